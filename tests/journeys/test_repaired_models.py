"""The model cache repaired through the command line: moved aside, made one, completed; and all of it taken back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from doctor import Answer, doctor, environment
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


KILLED = """
import os, sys
from pathlib import Path

left, rename = [int(sys.argv.pop(1))], Path.rename

def rename_or_die(self, target):
    left[0] -= "model-cache" in str(self)
    if left[0] < 0:
        os._exit(137)
    return rename(self, target)

Path.rename = rename_or_die
from paddlevl_doctor.cli import main
main()
"""
"""Runs the command line, and kills it when it has renamed a number of folders in the model cache."""


@pytest.fixture
def returned(venv: Path, models: Path, tmp_path: Path) -> tuple[Path, dict[str, bytes], dict[str, bytes]]:
    """Return a model that was set aside and downloaded again, with its former files and its new ones."""
    model = models / "PP-DocLayoutV3"
    (model / "inference.yml").unlink()
    former = files(model)
    assert run("fix", venv, tmp_path, "--apply", "--only", "partial-model-cache").code == 0
    write_layout(model)
    return model, former, files(model)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_undo_with_yes_sets_the_model_aside_that_was_downloaded_again_and_names_both(
    lang: str, returned: tuple[Path, dict[str, bytes], dict[str, bytes]], venv: Path, tmp_path: Path
) -> None:
    model, former, new = returned
    (aside,) = (model.parents[1] / "set-aside-by-paddlevl-doctor").glob("*/PP-DocLayoutV3")
    free = aside.with_name("PP-DocLayoutV3.2")
    shown = doctor("undo", "--dry-run", "--venv", venv, "--lang", lang, cwd=tmp_path)
    assert str(model) in shown.stdout.replace("\n", "")
    seen = run("undo", venv, tmp_path, "--dry-run").document["changes"][0]["returned"]
    assert seen == [{"path": str(model), "former": str(aside), "aside": ""}]
    refused = doctor("undo", "--venv", venv, "--lang", lang, cwd=tmp_path)
    assert (refused.code, "undo --yes --venv" in refused.stderr) == (1, True)
    assert (files(model), files(aside)) == (new, former)

    done = doctor("undo", "--yes", "--venv", venv, "--lang", lang, cwd=tmp_path)
    assert (done.code, files(model), files(free)) == (0, former, new), done.stderr
    assert not aside.exists()
    assert {str(model), str(free)} <= set(re.findall(r"/[\w./-]+\w", done.stdout))


def test_undo_with_yes_names_both_in_json(
    returned: tuple[Path, dict[str, bytes], dict[str, bytes]], venv: Path, tmp_path: Path
) -> None:
    model, former, new = returned
    (change,) = run("undo", venv, tmp_path, "--yes").document["changes"]
    (row,) = change["returned"]
    assert (row["path"], row["former"]) == (str(model), "")
    assert (files(model), files(Path(row["aside"]))) == (former, new)


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("words", [("undo",), ("fix", "--apply", "--only", "pipelines-link")])
def test_after_a_kill_in_between_the_next_command_continues_and_no_model_is_lost(
    count: int,
    words: tuple[str, ...],
    returned: tuple[Path, dict[str, bytes], dict[str, bytes]],
    venv: Path,
    tmp_path: Path,
) -> None:
    model, former, new = returned
    argv = (sys.executable, "-c", KILLED, str(count), "undo", "--yes", "--venv", str(venv))
    killed = subprocess.run(argv, cwd=tmp_path, env=environment(tmp_path), check=False)
    assert (killed.returncode, model.exists()) == (137, count == 0)
    done = doctor(*words, "--venv", venv, "--format", "json", cwd=tmp_path)
    (free,) = model.parents[1].glob("set-aside-by-paddlevl-doctor/*/PP-DocLayoutV3.*")
    assert (files(model), files(free)) == (former, new), done.stderr
    if words == ("undo",):
        (row,) = done.document["changes"][0]["returned"]
        assert row == {"path": str(model), "former": "", "aside": str(free)}


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
