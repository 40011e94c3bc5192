"""The native engine: the real PaddleOCRVL in a real target, with the tiny checkpoint in the place of the weights."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image

from doctor import doctor
from environments import environment, python_in, variables
from native_desk import lay_out

pytestmark = pytest.mark.xdist_group("set-2025-11")
# Reads a workbook with another program than the one that wrote it.
SHEETS = """
import json, openpyxl, sys
book = openpyxl.load_workbook(sys.argv[1])
print(json.dumps({sheet.title: [list(row) for row in sheet.values] for sheet in book}))
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with a page of charts, and the variables that name a model cache with the tiny models."""
    folder = tmp_path_factory.mktemp("desk")
    return folder, lay_out(folder)


def test_weights_in_the_cache_are_read_by_paddleocr_vl_itself(desk: tuple[Path, dict[str, str]]) -> None:
    folder, env = desk
    venv = environment("set-2025-11")
    answer = doctor("parse", "page.png", "--venv", venv, "--format", "json", cwd=folder, env=env)
    assert answer.code == 0, answer.stderr
    document = answer.document
    assert (document["engine"], document["device"], document["reason"]) == ("native", "cpu", "")
    (page,) = document["pages"]
    # Red and blue come exchanged: that is what the native backend does to every page (native-bgr-swap).
    assert [(block["kind"], block["text"]) for block in page["blocks"]] == [
        ("doc_title", "TL:blue TR:green BL:red BR:cyan [OCR]"),
        ("text", "TL:blue TR:green BL:red BR:cyan [OCR]"),
        (
            "table",
            "<table><tr><td>TL=blue</td><td>TR=green</td></tr><tr><td>BL=red</td><td>BR=cyan</td></tr></table>",
        ),
        ("display_formula", page["blocks"][3]["text"]),
    ]
    assert document["verdict"] == {
        "passed": True,
        "similarity": None,
        "threshold": None,
        "reference": None,
        "reasons": [],
        "summary": "Not evaluated: there is no ground truth to compare with (give one with --expect PATH).",
        "summary_message": {"id": "verdict-none", "params": {}},
        "judged": False,
        "order": None,
    }
    assert {"import", "load", "read"} <= set(document["seconds"])
    written = folder / "output"
    assert "TL:blue TR:green" in (written / "page.md").read_text(encoding="utf-8")
    assert json.loads((written / "page.json").read_text(encoding="utf-8"))["engine"] == "native"
    ends = ("md", "json", "tables.xlsx", "layout.pdf", "order.pdf")
    assert [Path(path).name for path in document["outputs"]] == [
        *(f"page.{end}" for end in ends),
        "report.html",
    ]
    for end in ("layout", "order"):
        assert len(pypdfium2.PdfDocument(written / f"page.{end}.pdf")) == 1
    argv = [str(python_in(venv)), "-c", SHEETS, str(written / "page.tables.xlsx")]
    done = subprocess.run(argv, env=variables(venv), check=True, capture_output=True, text=True)
    sheets = json.loads(done.stdout)
    assert sheets == {"Page 1, table 1": [["TL=blue", "TR=green"], ["BL=red", "BR=cyan"]]}


def test_two_documents_are_read_in_one_batch_and_each_is_joined_and_written(
    desk: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder, env = desk
    for name in ("one.png", "two.png"):
        shutil.copy(folder / "page.png", tmp_path / name)
    words = ("--witness", "none", "--venv", environment("set-2025-11"), "--format", "json")
    answer = doctor("parse", "one.png", "two.png", *words, cwd=tmp_path, env=env)

    assert answer.code == 0, answer.stderr
    assert [(d["pages"], d["failed"]) for d in answer.document["documents"]] == [(1, []), (1, [])]
    assert (answer.document["incidents"], answer.document["rungs"]) == ([], {"first": 2})
    one, two = ((tmp_path / "output" / f"{name}.md").read_text(encoding="utf-8") for name in ("one", "two"))
    assert one.startswith("# TL:blue TR:green")
    assert one == two


def test_a_known_text_is_compared_with_what_paddleocr_vl_read(desk: tuple[Path, dict[str, str]]) -> None:
    folder, env = desk
    (folder / "other.md").write_text("Something else altogether stands on this page, as anybody can see.\n")
    more = ("--expect", "other.md", "--resume", "--format", "json")  # it may have been read above
    answer = doctor("parse", "page.png", "--venv", environment("set-2025-11"), *more, cwd=folder, env=env)
    assert answer.code == 1
    assert answer.document["verdict"]["passed"] is False
    assert answer.document["verdict"]["similarity"] < 0.5


def test_native_without_weights_and_without_a_hub_says_so(tmp_path: Path) -> None:
    Image.effect_noise((200, 100), 40).save(tmp_path / "page.png")
    env = {"HTTPS_PROXY": "http://127.0.0.1:9", "PADDLE_PDX_CACHE_HOME": str(tmp_path / "none")}
    words = ("parse", "page.png", "--engine", "native", "--venv", environment("set-2025-11"))
    answer = doctor(*words, cwd=tmp_path, env=env)
    assert answer.code == 1
    assert "(PaddleOCR-VL, PP-DocLayoutV2), and no model hub answers" in answer.stderr


def test_without_a_layout_model_and_without_a_hub_the_reader_reads(
    desk: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder, env = desk
    models = tmp_path / "models" / "official_models"
    shutil.copytree(
        Path(env["PADDLE_PDX_CACHE_HOME"]) / "official_models" / "PaddleOCR-VL", models / "PaddleOCR-VL"
    )
    shutil.copy(folder / "page.png", tmp_path)
    more = {"HTTPS_PROXY": "http://127.0.0.1:9", "PADDLE_PDX_CACHE_HOME": str(models.parent)}
    words = ("parse", "page.png", "--venv", environment("set-2025-11"), "--format", "json")
    document = doctor(*words, cwd=tmp_path, env=more).document

    assert document["engine"] == "reader"
    assert "(PP-DocLayoutV2), and no model hub answers" in document["reason"]


def test_a_model_that_cannot_be_loaded_is_one_sentence_with_the_cause(
    desk: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder, env = desk
    cache = tmp_path / "models" / "official_models"
    source = Path(env["PADDLE_PDX_CACHE_HOME"]) / "official_models"
    shutil.copytree(source, cache)
    weights = cache / "PaddleOCR-VL" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    words = (
        "parse",
        "page.png",
        "--engine",
        "native",
        "--venv",
        environment("set-2025-11"),
        "--output",
        tmp_path / "out",
    )
    answer = doctor(*words, cwd=folder, env={"PADDLE_PDX_CACHE_HOME": str(cache.parent)})
    assert answer.code == 1
    assert "partial-model-cache" in answer.stderr
    assert "model.safetensors (100000 of " in answer.stderr
    assert "Traceback" not in answer.stderr
