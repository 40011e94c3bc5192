"""Any vision model behind an OpenAI-compatible API: every fault ends in a page or in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from paddlevl_doctor.parsing.engines.base import PageFailedError, Task
from paddlevl_doctor.parsing.engines.openai import ChatEngine, VisionServer, blocks_of, prompt_for
from paddlevl_doctor.parsing.input.page_source import Picture
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.pages import Block
from vlm_server import LOOP, VlmServer

BOX = (0, 0, 80, 60)


@pytest.fixture
def server() -> Iterator[VlmServer]:
    with VlmServer("deepseek-ai/DeepSeek-OCR").open() as opened:
        yield opened


def task(folder: Path, shade: str = "white") -> Task:
    def picture(scale: float) -> Picture:
        path = folder / f"page-{scale}.png"
        Image.new("RGB", (round(80 * scale), round(60 * scale)), shade).save(path)
        return Picture(path, 80, 60)

    return Task(0, folder, picture)


def engine(
    server: VlmServer, url: str = "", key: str = "", model: str = "", seconds: float = 20
) -> ChatEngine:
    found = VisionServer.from_url(url or server.url, key, seconds=seconds)
    return ChatEngine(found, model or server.model, "Read.", sleep=lambda _seconds: None)


def test_a_page_is_read_with_its_own_pixels(server: VlmServer, tmp_path: Path) -> None:
    light, dark = (engine(server).read(task(tmp_path, shade)) for shade in ("white", "black"))

    assert light.page.blocks == (
        Block("title", "A page", BOX),
        Block("text", "It is 80 by 60, and light.", BOX),
    )
    assert dark.page.blocks[1].text == "It is 80 by 60, and dark."
    assert (light.page.width, light.page.height, light.device, light.notes) == (80, 60, "server", ())
    assert server.requests[0]["model"] == "deepseek-ai/DeepSeek-OCR"


@pytest.mark.parametrize(
    "fault",
    ["stall", "half", "drip", "reset", "garbage", "empty", "408", "429", "500", "502", "503", "504", "529"],
)
def test_a_fault_that_passes_is_an_incident_and_the_page_is_read(
    server: VlmServer, fault: str, tmp_path: Path
) -> None:
    server.faults = [fault, fault]
    reading = engine(server, seconds=2 if fault in ("stall", "half", "drip") else 20)
    read = reading.read(task(tmp_path))

    assert [block.text for block in read.page.blocks] == ["A page", "It is 80 by 60, and light."]
    assert [incident.partition(":")[0] for incident in map(str, reading.incidents)] == [
        "Page 1, first try",
        "Page 1, in a new process",
    ]


def test_a_page_that_is_never_answered_fails_alone_where_the_server_lives(
    server: VlmServer, tmp_path: Path
) -> None:
    server.faults = ["502"] * 4

    with pytest.raises(PageFailedError, match=r"^Page 1 could not be read: .*/v1 answers 502: "):
        engine(server).read(task(tmp_path))

    assert [block.kind for block in engine(server).read(task(tmp_path)).page.blocks] == ["title", "text"]


def test_the_last_attempt_is_made_with_a_smaller_picture(server: VlmServer, tmp_path: Path) -> None:
    server.faults = ["502"] * 3
    read = engine(server).read(task(tmp_path))

    assert (read.page.blocks[1].text, read.rung) == ("It is 40 by 30, and light.", "smaller")


@pytest.mark.parametrize("code", ["400", "413", "422"])
def test_a_page_that_is_refused_is_asked_for_once_more_and_smaller(
    server: VlmServer, code: str, tmp_path: Path
) -> None:
    server.faults = [code]
    reading = engine(server)
    read = reading.read(task(tmp_path))

    assert (read.page.blocks[1].text, read.rung) == ("It is 40 by 30, and light.", "smaller")
    assert list(map(str, reading.incidents)) == [
        f'Page 1, first try: {server.url} answers {code}: {{"error": {{"message": "of no use"}}}}'
    ]


@pytest.mark.parametrize("code", ["400", "413", "422"])
def test_a_page_that_is_refused_at_any_size_is_lost_alone_in_the_servers_words(
    server: VlmServer, code: str, tmp_path: Path
) -> None:
    server.faults = [code, code, "", code, code]
    reading = engine(server)
    lost = []
    for _ in range(2):
        with pytest.raises(PageFailedError) as caught:
            reading.read(task(tmp_path))
        lost.append(str(caught.value))
        reading.read(task(tmp_path))

    assert (
        lost
        == [f'Page 1 could not be read: {server.url} answers {code}: {{"error": {{"message": "of no use"}}}}']
        * 2
    )
    assert len(server.requests) == 6


@pytest.mark.parametrize(("code", "attempts"), [("400", 2), ("500", 4)])
def test_three_pages_in_a_row_with_the_same_refusal_end_the_engine(
    server: VlmServer, code: str, attempts: int, tmp_path: Path
) -> None:
    server.faults = [code] * attempts * 3
    reading = engine(server)
    for _ in range(2):
        with pytest.raises(PageFailedError):
            reading.read(task(tmp_path))

    with pytest.raises(DoctorError) as caught:
        reading.read(task(tmp_path))

    assert str(caught.value) == (
        "3 pages in a row could not be read for the same reason, so the other pages were not tried: "
        f'{server.url} answers {code}: {{"error": {{"message": "of no use"}}}}'
    )


def test_pages_that_are_refused_for_different_reasons_are_each_lost_alone(
    server: VlmServer, tmp_path: Path
) -> None:
    server.faults = ["400"] * 4 + ["413"] * 2 + ["400"] * 4
    reading = engine(server)

    for _ in range(5):
        with pytest.raises(PageFailedError):
            reading.read(task(tmp_path))
    assert reading.read(task(tmp_path)).page.blocks


def test_nobody_waits_after_the_last_attempt(server: VlmServer, tmp_path: Path) -> None:
    server.faults = ["502"] * 4
    waited: list[float] = []
    reading = ChatEngine(VisionServer.from_url(server.url), server.model, "Read.", sleep=waited.append)

    with pytest.raises(PageFailedError):
        reading.read(task(tmp_path))
    assert waited == [1.0, 4.0, 8.0]


def test_a_model_that_was_stopped_at_its_limit_is_noted(server: VlmServer, tmp_path: Path) -> None:
    server.faults = ["cut", "loop"]
    cut, loop = engine(server).read(task(tmp_path)), engine(server).read(task(tmp_path))
    note = ("Page 1: the model reached its limit of 8192 tokens, so the text is cut off.",)

    assert [tuple(map(str, page.notes)) for page in (cut, loop)] == [note, note]
    assert loop.page.blocks[0].text == LOOP.strip()


WORDS = '{"error": {"message": "of no use"}}'


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("401", "{url} requires a key (401). Set PADDLEVL_DOCTOR_API_KEY to it."),
        (
            "403",
            f"{{url}} denies access to this key (403): {WORDS}. Set PADDLEVL_DOCTOR_API_KEY to a key with access.",
        ),
        (
            "404",
            f"{{url}} has no such model or address (404): {WORDS}. Check --server-url and --server-model.",
        ),
        (
            "405",
            f"{{url}} refuses (405): {WORDS}. Check that it is the address of an OpenAI-compatible server.",
        ),
    ],
)
def test_what_will_not_pass_ends_the_engine_in_one_sentence(
    server: VlmServer, fault: str, sentence: str, tmp_path: Path
) -> None:
    server.faults = [fault]

    with pytest.raises(DoctorError) as caught:
        engine(server).read(task(tmp_path))

    assert str(caught.value) == sentence.replace("{url}", server.url)
    assert len(server.requests) == 1


def test_a_wrong_key_is_not_in_the_sentence(tmp_path: Path) -> None:
    with VlmServer(key="secret").open() as server, pytest.raises(DoctorError) as caught:
        engine(server, key="wrong-one").read(task(tmp_path))

    assert str(caught.value) == f"{server.url} requires a key (401). Set PADDLEVL_DOCTOR_API_KEY to it."


def test_another_model_ends_the_engine_with_the_servers_words(server: VlmServer, tmp_path: Path) -> None:
    with pytest.raises(
        DoctorError, match=r"has no such model or address \(404\): .*The model `other` does not"
    ):
        engine(server, model="other").read(task(tmp_path))


def test_a_server_that_is_not_there_ends_the_engine(tmp_path: Path) -> None:
    with pytest.raises(DoctorError, match=r"127\.0\.0\.1:9/v1 does not answer: ConnectionRefusedError"):
        engine(VlmServer(), url="127.0.0.1:9").read(task(tmp_path))


def test_the_key_is_sent_and_a_proxy_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with VlmServer(key="secret").open() as server:
        assert engine(server, key="secret").read(task(tmp_path)).page.blocks


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://host:8080", "http://host:8080/v1"),
        ("http://host:8080/v1/", "http://host:8080/v1"),
        ("host:8080", "http://host:8080/v1"),
        ("https://host/some/path", "https://host/some/path/v1"),
    ],
)
def test_an_address_is_taken_with_and_without_its_version(given: str, url: str) -> None:
    assert VisionServer.from_url(given).url == url


@pytest.mark.parametrize(
    "given",
    [
        "",
        "ftp://host",
        "http://",
        "http://host/v1?key=1",
        "http://[::1",
        "http://host:no",
        "http://host:99999",
    ],
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="is not the URL of a server"):
        VisionServer.from_url(given)


@pytest.mark.parametrize("listed", [None, {}, "PaddleOCR-VL", 7])
def test_a_list_of_models_that_is_none_names_no_model(
    listed: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VisionServer, "_request", lambda *_arguments: {"data": listed})
    assert VisionServer.from_url("http://host").models() == ()


def test_markdown_becomes_blocks() -> None:
    markdown = (
        "# Title\n\n## Part\n\nWords\ngo on.\n\n| a | b |\n| --- | :-: |\n| 1 | <2> |\n\n<table><tr></tr></table>\n\n"
        "<|ref|>text<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\nSeen."
    )

    assert [(block.kind, block.text) for block in blocks_of(markdown, BOX)] == [
        ("title", "Title"),
        ("heading", "Part"),
        ("text", "Words\ngo on."),
        ("table", "<table><tr><td>a</td><td>b</td></tr><tr><td>1</td><td>&lt;2&gt;</td></tr></table>"),
        ("table", "<table><tr></tr></table>"),
        ("text", "Seen."),
    ]


def test_a_model_is_asked_as_it_was_trained() -> None:
    assert prompt_for("PaddlePaddle/PaddleOCR-VL") == "OCR:"
    assert prompt_for("deepseek_ocr").startswith("<|grounding|>")
    assert "Markdown" in prompt_for("Qwen/Qwen3-VL")
