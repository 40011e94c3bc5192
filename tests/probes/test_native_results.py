"""The native worker with the real pipelines and result classes of PP-StructureV3 and OCR, on models that are stubs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import documents
import paddlevl_doctor
from environments import environment, python_in, variables

pytestmark = pytest.mark.xdist_group("current-311")
WORKER = Path(paddlevl_doctor.__file__).parent / "probes" / "native_worker.py"
STUB = Path(__file__).with_name("stub_models")


def events(name: str, pipeline: str, folder: Path) -> list[dict[str, Any]]:
    """Let the worker read one page and join its Markdown; return what it said besides its stages and times."""
    documents.page().save(folder / "page.png")
    page = {"page": 0, "image": str(folder / "page.png"), "folder": str(folder / "out")}
    pages = [{"markdown_texts": words, "page_continuation_flags": [True, True]} for words in ("One.", "Two.")]
    tasks = [{"pages": [page]}, {"join": pages}]
    venv = environment(name)
    with subprocess.Popen(
        [str(python_in(venv)), "-X", "utf8", str(WORKER), "--pipeline", pipeline],
        env={**variables(venv), "PYTHONPATH": str(STUB), "PADDLE_PDX_CACHE_HOME": str(folder / "cache")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write("".join(json.dumps(task) + "\n" for task in tasks))
        worker.stdin.flush()
        said = []
        for line in worker.stdout:
            said.append(json.loads(line))
            if said[-1]["event"] in ("joined", "failed", "fatal"):
                break
        worker.stdin.close()  # which ends it
    dropped = ("seconds", "vram_mb", "held_mb")
    shown = [{key: value for key, value in event.items() if key not in dropped} for event in said]
    return [event for event in shown if event["event"] != "stage"]


def told(blocks: list[dict[str, object]], markdown: dict[str, object]) -> dict[str, object]:
    """Return what a worker tells of its first page, if these are on it and nothing went wrong."""
    size = {"width": 400, "height": 300}
    return {"event": "page", "page": 0, **size, "blocks": blocks, "markdown": markdown, "troubles": []}


@pytest.mark.parametrize("name", ["current-311", "set-2025-11"])
def test_pp_structurev3_gives_titles_and_tables_with_their_places(name: str, tmp_path: Path) -> None:
    cell = "<html><body><table{}><tr><td></td></tr></table></body></html>"
    bordered = cell.format(' border="1"')
    centred = f'<div style="text-align: center;">{bordered}</div>'
    ready, page, joined = events(name, "PP-StructureV3", tmp_path)

    assert ready == {"event": "ready"}
    assert page == told(
        [
            {"kind": "doc_title", "text": "Words ", "box": [50, 50, 320, 100]},
            {"kind": "table", "text": cell.format(""), "box": [50, 120, 320, 180]},
        ],
        {"markdown_texts": f"# Words \n\n\n{centred}\n", "page_continuation_flags": [True, True]},
    )
    assert joined == {"event": "joined", "text": "\n\nOne.\n\nTwo."}
    assert {"page.md", "page_res.json", "page_layout_det_res.png"} <= set(os.listdir(tmp_path / "out"))


def test_ocr_gives_lines_and_no_markdown_of_its_own(tmp_path: Path) -> None:
    ready, page, joined = events("current-311", "OCR", tmp_path)

    assert ready == {"event": "ready"}
    assert page == told(
        [
            {"kind": "text", "text": "Words", "box": [60, 60, 300, 90]},
            {"kind": "text", "text": "Words", "box": [60, 130, 300, 160]},
        ],
        {},
    )
    assert joined["event"] == "failed", "nobody joins the Markdown of lines"
    assert {"page_res.json", "page_ocr_res_img.png"} == set(os.listdir(tmp_path / "out"))
