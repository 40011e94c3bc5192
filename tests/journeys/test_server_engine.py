"""`parse --server-url`: the real PaddleOCR-VL client in a real target, and other models without any target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from doctor import doctor
from environments import environment
from parsing import documents
from vlm_server import VlmServer

pytestmark = pytest.mark.xdist_group("set-2025-11")


@pytest.fixture
def server() -> Iterator[VlmServer]:
    with VlmServer().open() as opened:
        yield opened


def words(server: VlmServer, *more: str | Path) -> tuple[str | Path, ...]:
    base = ("parse", "page.png", "--server-url", server.url, "--format", "json", "--witness", "none")
    return (*base, "--venv", environment("current-311"), *more)


def test_paddleocrs_own_client_reads_with_the_server_and_without_a_layout_model(
    server: VlmServer, tmp_path: Path
) -> None:
    documents.page().save(tmp_path / "page.png")
    answer = doctor(*words(server), cwd=tmp_path, env={"HTTPS_PROXY": "http://127.0.0.1:9"})
    document = answer.document

    assert answer.code == 0, answer.stderr
    assert (document["engine"], document["device"]) == ("server", "server")
    assert "It is " in document["pages"][0]["blocks"][0]["text"]
    assert (
        "The layout model is not here and no model hub answers, so pages are read whole."
        in document["incidents"]
    )
    assert {request["model"] for request in server.requests} == {"PaddleOCR-VL-0.9B"}


def test_a_server_that_stalls_and_fails_is_asked_again_and_the_page_is_read(
    server: VlmServer, tmp_path: Path
) -> None:
    documents.page().save(tmp_path / "page.png")
    server.faults = ["stall", "400"]
    env = {"HTTPS_PROXY": "http://127.0.0.1:9"}
    answer = doctor(*words(server, "--stall", "5"), cwd=tmp_path, env=env)

    assert answer.code == 0, answer.stderr
    assert [i.partition(":")[0] for i in answer.document["incidents"] if i.startswith("Page 1, ")] == [
        "Page 1, first try",
        "Page 1, in a fresh process",
    ]
    assert list(answer.document["rungs"].values()) == [1]
    stacks = Path("output", "incidents", "page-0001-first.txt")
    assert "most recent call first" in (tmp_path / stacks).read_text(encoding="utf-8")
    stalled = (
        f"Page 1, first try: while reading, the process stood still for 5 s and was ended (more in {stacks})"
    )
    assert stalled in answer.document["incidents"]
    assert stalled in (tmp_path / "output" / "report.html").read_text(encoding="utf-8")


def test_another_model_needs_no_target_and_is_compared_with_the_reader(tmp_path: Path) -> None:
    documents.page("COMPARED").save(tmp_path / "page.png")
    with VlmServer("deepseek-ai/DeepSeek-OCR").open() as server:
        argv = (
            "parse",
            "page.png",
            "--compare",
            "server,reader",
            "--server-url",
            server.url,
            "--format",
            "json",
        )
        answer = doctor(*argv, cwd=tmp_path)
    server_engine, reader = answer.document["compared"]

    assert [(e["engine"], e["documents"][0]["similarity"] < 1) for e in (server_engine, reader)] == [
        ("server", False),
        ("reader", True),
    ]
    assert "+COMPARED" in reader["documents"][0]["diff"]
    assert (tmp_path / "output" / "server" / "page.md").read_text().startswith("# A page\n\nIt is 400 by 300")


@pytest.mark.parametrize(
    ("more", "code", "sentence"),
    [
        (
            ("--server-model", "other"),
            1,
            "There is no model 'other' on the server. It has: PaddleOCR-VL-0.9B",
        ),
        (("--server-url", "ftp://x"), 2, "'ftp://x' is no URL of a server."),
        (("--server-url", "http://127.0.0.1:9"), 1, "http://127.0.0.1:9/v1 does not answer: "),
        (("--server-url", ""), 2, "The engine 'server' needs --server-url"),
    ],
    ids=["model", "scheme", "nobody", "none"],
)
def test_a_server_that_cannot_be_used_is_one_sentence(
    server: VlmServer, more: tuple[str, ...], code: int, sentence: str, tmp_path: Path
) -> None:
    documents.page().save(tmp_path / "page.png")
    argv = ("parse", "page.png", "--engine", "server", "--server-url", server.url, *more)
    answer = doctor(*argv, cwd=tmp_path)

    assert (answer.code, answer.stdout, answer.stderr.startswith(sentence)) == (code, "", True), answer.stderr
