"""`parse --server-url`: the real PaddleOCR-VL client in a real target, and other models without any target."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

import documents
import paddlevl_doctor
from doctor import doctor
from environments import environment, lend_bytecode, python_in, variables
from vlm_server import VlmServer

pytestmark = pytest.mark.xdist_group("current-311")
PROBES = Path(paddlevl_doctor.__file__).parent / "probes"
WHOLE = "The layout model is not on this machine and no model hub answers, so whole pages are read."
# Written by the target's Python: the layout model of the first PaddleOCR-VL, and that of the later ones.
LAYOUTS = """
import sys
sys.path.insert(0, sys.argv[1])
from selftest import layout, pages
for folder in ("PP-DocLayoutV2", "PP-DocLayoutV3"):
    layout.MODEL_NAME = folder
    layout.export(folder)
pages.paint_page("page.png", [("red", "green", "blue", "yellow")] * 4)
"""


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
    assert WHOLE in document["incidents"]
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
        "Page 1, in a new process",
    ]
    assert list(answer.document["rungs"].values()) == [1]
    stacks = Path("output", "incidents", "page-0001-first.txt")
    assert "most recent call first" in (tmp_path / stacks).read_text(encoding="utf-8")
    stood = (
        r"Page 1, first try: while reading, the process made no progress for \d+ s and was stopped \(more in "
    )
    (stalled,) = [said for said in answer.document["incidents"] if re.match(stood, said)]
    assert stalled.endswith(f" (more in {stacks})")
    assert stalled in (tmp_path / "output" / "report.html").read_text(encoding="utf-8")


def test_a_client_that_is_kept_warm_reads_for_the_next_run_without_being_loaded_again(
    server: VlmServer, tmp_path: Path
) -> None:
    documents.page().save(tmp_path / "page.png")
    env = {"HTTPS_PROXY": "http://127.0.0.1:9", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    first, second = (
        doctor(*words(server, "--keep-warm", minutes), cwd=tmp_path, env=env).document
        for minutes in ("5", "0")
    )

    assert [document["engine"] for document in (first, second)] == ["server", "server"]
    assert [{"import", "load"} & set(document["seconds"]) for document in (first, second)] == [
        {"import", "load"},
        set(),
    ]
    assert first["pages"][0]["blocks"] == second["pages"][0]["blocks"]


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the layout models and a page of four charts."""
    folder = tmp_path_factory.mktemp("layouts")
    venv = environment("current-311")
    argv = [str(python_in(venv)), "-c", LAYOUTS, str(PROBES)]
    subprocess.run(argv, cwd=folder, env=variables(venv), check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(
    ("layout", "place", "blocks"),
    [
        ("PP-DocLayoutV2", "PaddleOCR-VL/PP-DocLayoutV2", 4),
        ("PP-DocLayoutV3", "PP-DocLayoutV3", 1),
    ],
    ids=["inside-paddleocr-vl", "of-another-version"],
)
def test_the_layout_is_found_where_the_version_has_its_own(
    server: VlmServer, layouts: Path, layout: str, place: str, blocks: int, tmp_path: Path
) -> None:
    shutil.copy(layouts / "page.png", tmp_path)
    shutil.copytree(layouts / layout, tmp_path / "model-cache" / "official_models" / place)
    answer = doctor(*words(server), cwd=tmp_path, env={"HTTPS_PROXY": "http://127.0.0.1:9"})

    assert answer.code == 0, answer.stderr
    assert len(answer.document["pages"][0]["blocks"]) == len(server.requests) == blocks
    assert (WHOLE in answer.document["incidents"]) is (blocks == 1)


def test_a_model_of_any_name_is_asked_by_paddleocrs_client_where_the_user_says_what_serves_it(
    tmp_path: Path,
) -> None:
    documents.page().save(tmp_path / "page.png")
    with VlmServer("ocr").open() as server:
        answer = doctor(
            *words(server, "--server-backend", "sglang"),
            cwd=tmp_path,
            env={"HTTPS_PROXY": "http://127.0.0.1:9"},
        )

    assert answer.code == 0, answer.stderr
    assert answer.document["incidents"] == [WHOLE]
    assert [request["model"] for request in server.requests] == ["ocr"]
    assert server.requests[0]["messages"][0]["content"][-1]["text"] == "OCR:", "what PaddleOCR's client asks"


def test_a_target_without_paddlepaddle_reads_pages_whole(server: VlmServer, tmp_path: Path) -> None:
    documents.page().save(tmp_path / "page.png")
    without = shutil.ignore_patterns("paddle", "paddlepaddle-*", "__pycache__")
    venv = tmp_path / "venv"
    shutil.copytree(environment("current-311"), venv, symlinks=True, ignore=without, copy_function=os.link)
    lend_bytecode("current-311", venv)
    answer = doctor(*words(server), "--venv", venv, cwd=tmp_path)

    assert answer.code == 0, answer.stderr
    assert "It is " in answer.document["pages"][0]["blocks"][0]["text"]
    assert answer.document["incidents"] == [
        "The target has no paddlepaddle, so whole pages are read, without layout analysis."
    ]
    assert list(venv.rglob("*.pyc")) == [], "nothing is written into the target"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            ("--server-backend", "llama-cpp"),
            "The target's PaddleOCR 3.3.1 does not support llama-cpp-server; it supports: vllm-server, sglang-server.",
        ),
        (
            ("--pipeline-version", "v1.6"),
            "The target's PaddleX does not support PaddleOCR-VL v1.6; it supports: v1.",
        ),
    ],
    ids=["backend", "version"],
)
def test_what_the_targets_client_does_not_know_is_one_sentence(
    server: VlmServer, more: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    documents.page().save(tmp_path / "page.png")
    answer = doctor(*words(server, *more), "--venv", environment("set-2025-11"), cwd=tmp_path)

    assert answer.code == 1
    assert answer.document["error"]["message"].startswith(sentence)
    assert server.requests == []


def test_pages_that_another_model_or_another_question_read_are_read_again(tmp_path: Path) -> None:
    documents.page().save(tmp_path / "page.png")
    with VlmServer(models=("one", "two")).open() as server:
        said = [
            doctor("parse", "page.png", "--server-url", server.url, "--witness", "none", "--resume", "--format",
                   "json", "--server-model", model, "--server-prompt", prompt, cwd=tmp_path)
            for model, prompt in [("one", "a"), ("one", "a"), ("two", "a"), ("two", "b")]
        ]  # fmt: skip

    assert [answer.code for answer in said] == [0, 0, 0, 0], said
    assert [answer.document["documents"][0]["resumed"] for answer in said] == [0, 1, 0, 0]
    assert [request["model"] for request in server.requests] == ["one", "two", "two"]


def on_its_side(across: int, down: int) -> Image.Image:
    page = Image.new("RGB", (across, down), "white")
    for number in range(6):
        ImageDraw.Draw(page).text((40, 40 + 70 * number), f"Line {number} of a page", "black", font_size=28)
    return page.transpose(Image.Transpose.ROTATE_90)


def test_a_page_on_its_side_is_read_again_upright(tmp_path: Path) -> None:
    across, down = 640, 480
    on_its_side(across, down).save(tmp_path / "page.png")
    with VlmServer("other").open() as server:
        argv = ("parse", "page.png", "--server-url", server.url, "--format", "json")
        document = doctor(*argv, cwd=tmp_path).document
    (read,) = document["pages"]

    assert read["blocks"][1]["text"] == f"It is {across} by {down}, and light."
    assert (read["width"], read["height"], len(server.requests)) == (down, across, 2)
    turned = "Page 1 is not upright; it was rotated 270 degrees counterclockwise before reading."
    assert turned in document["incidents"]


def test_all_pages_of_a_long_document_on_its_side_are_read_again_upright(tmp_path: Path) -> None:
    documents.pdf(tmp_path / "long.pdf", [on_its_side(640, 480)] * 4)
    with VlmServer("other").open() as server:
        argv = ("parse", "long.pdf", "--server-url", server.url, "--format", "json")
        answer = doctor(*argv, cwd=tmp_path)
    turned = [note for note in answer.document["incidents"] if "it was rotated 270 degrees" in note]

    assert [note.split()[1] for note in turned] == ["1", "2", "3", "4"]
    assert answer.document["documents"][0]["witnessed"] == 4


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
        (("--server-url", "ftp://x"), 2, "'ftp://x' is not the URL of a server."),
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
