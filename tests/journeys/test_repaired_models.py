"""The model cache repaired through the command line: moved aside, made one, completed; and all of it taken back."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from doctor import Answer, doctor
from environments import fresh_copy
from paddlevl_doctor.probes.selftest import checkpoint

pytestmark = pytest.mark.xdist_group("repaired-models")
LONG_AGO = time.time() - 3600
LAYOUT = {
    "inference.yml": b"Global: {}\n",
    "inference.json": b"{}\n",
    "inference.pdiparams": b"weights" * 99_999,
}


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that these tests change in the doctor's own folder only."""
    return fresh_copy("cured-current-311", tmp_path_factory.mktemp("models") / ".venv")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A cache with one complete model of each kind, written an hour ago."""
    folder = tmp_path / "model-cache/official_models"
    checkpoint.write_colour(str(folder / "PaddleOCR-VL-1.6"))
    write_layout(folder / "PP-DocLayoutV3")
    age(folder)
    return folder


def write_layout(folder: Path, files: dict[str, bytes] | None = None) -> None:
    folder.mkdir(parents=True)
    for name, content in (files or LAYOUT).items():
        (folder / name).write_bytes(content)


def age(folder: Path, when: float = LONG_AGO) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (when, when))


def state(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    files = (path for path in folder.parent.rglob("*") if path.is_file())
    return {
        str(p.relative_to(folder.parent)): (p.read_bytes(), p.stat().st_mode, p.stat().st_mtime_ns)
        for p in files
    }


def run(verb: str, venv: Path, tmp_path: Path, *words: str) -> Answer:
    return doctor(verb, "--venv", venv, *words, "--format", "json", cwd=tmp_path)


def test_an_incomplete_model_moves_aside_only_when_named_and_comes_back(
    venv: Path, models: Path, tmp_path: Path
) -> None:
    (models / "PaddleOCR-VL-1.6/tokenizer.model").unlink()
    (models / "PP-DocLayoutV3/inference.pdiparams").write_bytes(b"")
    age(models)
    before = state(models)

    others = ("pipelines-link", "queue-deadlock-on-error")
    plan = run("fix", venv, tmp_path, *(word for name in others for word in ("--skip", name))).document
    assert plan["plan"]["steps"] == []
    (skipped,) = plan["skipped"]
    assert "PP-DocLayoutV3, PaddleOCR-VL-1.6" in skipped["reason"]
    assert "--only partial-model-cache" in skipped["reason"]

    cure = run("fix", venv, tmp_path, "--apply", "--only", "partial-model-cache")
    assert cure.code == 0, cure.stderr
    (outcome,) = cure.document["outcome"]
    assert (outcome["step"], outcome["status"]) == ("set-models-aside", "applied")
    assert outcome["message"].count("delete it when you no longer need it") == 2
    assert list(models.iterdir()) == []
    assert sorted(p.name for p in (models.parent / "set-aside-by-paddlevl-doctor").glob("*/*")) == [
        "PP-DocLayoutV3",
        "PaddleOCR-VL-1.6",
    ]
    assert run("undo", venv, tmp_path).code == 0
    assert state(models) == before


def test_a_download_that_goes_on_is_left_alone(venv: Path, models: Path, tmp_path: Path) -> None:
    (models / "PP-DocLayoutV3/inference.yml").unlink()
    age(models, time.time() - 20)
    before = state(models)
    refused = run("fix", venv, tmp_path, "--apply", "--only", "partial-model-cache")
    assert refused.code == 4
    assert "a download may be in progress" in refused.stderr
    assert state(models) == before


def test_undo_stops_where_the_model_was_downloaded_again(venv: Path, models: Path, tmp_path: Path) -> None:
    (models / "PP-DocLayoutV3/inference.yml").unlink()
    assert run("fix", venv, tmp_path, "--apply", "--only", "partial-model-cache").code == 0
    write_layout(models / "PP-DocLayoutV3")
    fresh = state(models)
    refused = run("undo", venv, tmp_path)
    assert refused.code == 1
    assert "has been downloaded again" in refused.stderr
    assert state(models) == fresh
    (aside,) = (models.parent / "set-aside-by-paddlevl-doctor").glob("*/PP-DocLayoutV3")
    (models / "PP-DocLayoutV3").rename(tmp_path / "new")
    assert run("undo", venv, tmp_path).code == 0
    assert not aside.exists()
    assert sorted(p.name for p in (models / "PP-DocLayoutV3").iterdir()) == [
        "inference.json",
        "inference.pdiparams",
    ]


def test_the_layout_model_stored_twice_becomes_one_and_two_again(
    venv: Path, models: Path, tmp_path: Path
) -> None:
    write_layout(models / "PP-DocLayoutV2")
    inner = models / "PaddleOCR-VL-1.6/PP-DocLayoutV2"
    write_layout(inner, {**LAYOUT, "inference.yml": b"Global: {other: 1}\n"})
    age(models)
    age(inner, LONG_AGO - 60)
    (inner / "inference.pdiparams").chmod(0o600)
    before = state(models)

    note = run("check", venv, tmp_path, "--only", "duplicate-doclayoutv2").document["findings"][0]
    assert (note["status"], note["subjects"]) == ("note", ["PaddleOCR-VL-1.6/PP-DocLayoutV2"])
    cure = run("fix", venv, tmp_path, "--apply", "--only", "duplicate-doclayoutv2")
    assert (cure.code, [o["status"] for o in cure.document["outcome"]]) == (0, ["applied"])
    same = {name: (inner / name).samefile(models / "PP-DocLayoutV2" / name) for name in LAYOUT}
    assert same == {"inference.yml": False, "inference.json": True, "inference.pdiparams": True}
    assert {path: content for path, (content, *_) in state(models).items()} == {
        path: content for path, (content, *_) in before.items()
    }
    seen = run("check", venv, tmp_path, "--only", "duplicate-doclayoutv2").document["findings"][0]
    assert seen["status"] == "ok", "what is stored once is not reported again"

    assert run("undo", venv, tmp_path).code == 0
    assert state(models) == before
    assert not any((inner / name).samefile(models / "PP-DocLayoutV2" / name) for name in LAYOUT)


@pytest.mark.parametrize("damage", ["missing", "no json", "another mark"])
def test_the_end_mark_is_written_from_what_the_model_itself_says(
    damage: str, venv: Path, models: Path, tmp_path: Path
) -> None:
    path = models / "PaddleOCR-VL-1.6/generation_config.json"
    ids = {"bos_token_id", "eos_token_id", "pad_token_id"}
    config = path.with_name("config.json")
    known = {name: value for name, value in json.loads(path.read_bytes()).items() if name in ids}
    config.write_text(json.dumps({**json.loads(config.read_bytes()), **known}), encoding="utf-8")
    if damage == "missing":
        path.unlink()
    else:
        path.write_text("{" if damage == "no json" else '{"eos_token_id": 99}', encoding="utf-8")
    before = state(models)

    cure = run("fix", venv, tmp_path, "--apply", "--only", "generation-config-missing")
    assert cure.code == 0, cure.stderr
    assert cure.document["plan"]["steps"][0]["kind"] == "edit-config"
    assert json.loads(path.read_bytes()) == known
    assert run("undo", venv, tmp_path).code == 0
    assert state(models) == before


def test_a_model_that_says_nowhere_where_it_ends_is_left_to_people(
    venv: Path, models: Path, tmp_path: Path
) -> None:
    path = models / "PaddleOCR-VL-1.6/generation_config.json"
    path.unlink()
    config = path.with_name("config.json")
    silent = {k: v for k, v in json.loads(config.read_bytes()).items() if k != "eos_token_id"}
    config.write_text(json.dumps(silent), encoding="utf-8")
    plan = run("fix", venv, tmp_path, "--only", "generation-config-missing").document
    assert plan["plan"]["steps"] == []
    assert [skip["finding"] for skip in plan["skipped"]] == ["generation-config-missing"]


def test_an_edited_end_mark_survives_undo(venv: Path, models: Path, tmp_path: Path) -> None:
    path = models / "PaddleOCR-VL-1.6/generation_config.json"
    path.unlink()
    assert run("fix", venv, tmp_path, "--apply", "--only", "generation-config-missing").code == 0
    path.write_text('{"eos_token_id": 2, "mine": true}', encoding="utf-8")
    refused = run("undo", venv, tmp_path)
    assert (refused.code, "were changed since" in refused.stderr) == (1, True)
    assert json.loads(path.read_bytes())["mine"] is True
    path.unlink()
    assert run("undo", venv, tmp_path).code == 0
