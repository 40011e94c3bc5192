"""The folder of a stranger: no program in it runs, no pipe in it blocks, and no plan file chooses a program."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from doctor import Answer, doctor, environment
from environments import interpreter
from paddlevl_doctor.system.processes import module_command
from small_stack import small_stack

OTHER_USER = 65534


def marking(path: Path, mark: Path) -> Path:
    """Write a program that leaves a mark when it runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ntouch {mark}\nexit 1\n", encoding="utf-8")
    path.chmod(0o755)
    return path


# --- modules ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["3.10", "3.13"])
def test_no_module_of_the_working_folder_is_imported(version: str, tmp_path: Path) -> None:
    """The Python runs our program without our dependencies: what it imports first decides."""
    mark, python = tmp_path / "mark", interpreter(version)
    for name in {*sys.stdlib_module_names, "numpy", "PIL", "psutil", "filelock", "paddlevl_doctor"} - {"sys"}:
        words = f"open({str(mark)!r}, 'a').write(__name__)\nraise ImportError('of a stranger')\n"
        (tmp_path / f"{name}.py").write_text(words, encoding="utf-8")
    for module in (
        "parsing.input.page_worker",
        "parsing.engines.embedded_worker",
        "parsing.workers.warm_daemon",
    ):
        _, *words = module_command(f"paddlevl_doctor.{module}")
        argv = [str(python), *words, "--help"]
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, env={})
        assert "of a stranger" not in done.stderr
        assert "paddlevl_doctor" in done.stderr + done.stdout, (
            "the module was found, whether it could be run or not"
        )
    assert not mark.exists()


def test_python_m_takes_no_module_of_the_working_folder_for_the_doctor(tmp_path: Path) -> None:
    """What Python itself imports for -m, such as runpy, is beyond the doctor."""
    names = (
        "json",
        "msgspec",
        "typer",
        "rich",
        "tomli",
        "packaging",
        "numpy",
        "inspect",
        "dataclasses",
        "hashlib",
    )
    for name in names:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('of a stranger')\n", encoding="utf-8")
    for words in (("check",), ("fix",), ("matrix", "--format", "json")):
        answer = doctor(*words, cwd=tmp_path)
        assert (answer.code in (0, 1), answer.stderr) == (True, "")


# --- environments of other users ----------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="gives a folder to another user")
def test_an_environment_of_another_user_runs_only_when_named(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for name in (".venv", ".venv-server"):
        marking(tmp_path / name / "bin" / "python", mark)
        (tmp_path / name / "pyvenv.cfg").write_text("home = /usr/bin\n", encoding="utf-8")
        os.chown(tmp_path / name, OTHER_USER, -1)
    (tmp_path / "log.txt").write_text("ValueError: x", encoding="utf-8")
    for words in (
        ("check",),
        ("check", "--deep"),
        ("fix",),
        ("fix", "--apply"),
        ("undo",),
        ("env",),
        ("pipelines", "link"),
        ("patches", "status"),
        ("serve", "--dry-run"),
        ("parse", "demo.png", "--fix"),
    ):
        answer = doctor(*words, cwd=tmp_path)
        assert (answer.code, answer.stdout, mark.exists()) == (2, "", False), (words, answer)
        assert "belongs to another user (nobody)" in answer.stderr
        assert answer.stderr.endswith("name it: --venv .venv\n")
    doctor("check", "--venv", ".venv", cwd=tmp_path)
    assert mark.exists()
    mark.unlink()
    os.chown(tmp_path / ".venv", 0, -1)
    doctor("check", cwd=tmp_path)
    assert mark.exists()


# --- plan files ---------------------------------------------------------------------------------------------


def applied(folder: Path, document: dict[str, Any], *words: str) -> Answer:
    (folder / "plan.json").write_text(json.dumps(document), encoding="utf-8")
    return doctor("fix", "--apply", "plan.json", *words, cwd=folder)


def test_a_plan_file_chooses_no_program(tmp_path: Path) -> None:
    mark, own = tmp_path / "mark", tmp_path / "own"
    own.mkdir()
    small_stack(own / ".venv")
    doctor("fix", "--output", "plan.json", "--only", "numpy-2-4-scalar", cwd=own)
    plan = json.loads((own / "plan.json").read_text(encoding="utf-8"))
    state, request = plan["state"], plan["request"]
    evil = marking(tmp_path / "evil" / "bin" / "python", mark)
    (tmp_path / "evil" / "pyvenv.cfg").write_text("home = /usr/bin\n", encoding="utf-8")
    for changed in (
        {"state": {**state, "prefix": str(evil.parent.parent)}},
        {"state": {**state, "python": str(evil), "virtual": False}},
        {"state": {**state, "prefix": str(own / "new"), "exists": False}},
        {"request": {**request, "interpreter": str(evil)}},
        {"request": {**request, "interpreter": "./python"}},
    ):
        answer = applied(own, {**plan, **changed})
        assert (answer.code, answer.stdout, mark.exists()) == (1, "", False), (changed, answer)
        assert answer.stderr.startswith("Nothing was changed: the plan ")


def test_a_plan_for_a_named_environment_is_applied_when_it_is_named_again(tmp_path: Path) -> None:
    small_stack(tmp_path / "other")
    words = ("--only", "numpy-2-4-scalar", "--venv", "other")
    doctor("fix", *words, "--output", "plan.json", cwd=tmp_path)
    plan = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    refused = applied(tmp_path, plan)
    assert (refused.code, f"--venv {tmp_path}/other" in refused.stderr) == (1, True)
    moved = {**plan, "state": {**plan["state"], "distributions": {}}}
    named = applied(tmp_path, moved, "--venv", "other")
    assert (named.code, "since the plan was made" in named.stderr) == (1, True)


# --- pipes --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="named pipes")
def test_a_pipe_in_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    for name in ("a.png", "folder/b.png", "venv/.venv/pyvenv.cfg", "uv/uv.toml", "project/pyproject.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(tmp_path / name)
    models = tmp_path / "model-cache" / "official_models"
    for name in ("PP-DocLayoutV3/inference.yml", "PP-DocLayoutV3/config.json", "PaddleOCR-VL/config.json"):
        (models / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(models / name)
    for code, folder, *words in (
        (2, "", "parse", "a.png", "--engine", "reader"),
        (2, "", "parse", "folder", "--engine", "reader"),
        (2, "", "parse", "demo.png", "--engine", "reader", "--expect", "a.png"),
        (2, "", "explain", "a.png"),
        (2, "", "fix", "--apply", "a.png"),
        (2, "", "check", "--replay", "a.png"),
        (1, "venv", "check"),
        (1, "", "check"),
        (1, "", "fix", "--wheelhouse", "folder"),
    ):
        answer = doctor(*words, cwd=tmp_path / str(folder), timeout=60)
        assert answer.code == code, (words, answer)
    with contextlib.suppress(subprocess.TimeoutExpired):  # uv itself may wait for its configuration
        doctor("fix", cwd=tmp_path / "uv", timeout=20)


@pytest.mark.skipif(os.name != "posix", reason="named pipes")
def test_a_log_is_still_read_from_a_pipe(tmp_path: Path) -> None:
    command = f'"{sys.executable}" -m paddlevl_doctor explain <(sleep 1; echo "ValueError: x")'
    env = environment(tmp_path)
    argv = ["bash", "-c", command]
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, "ValueError: x" in done.stdout) == (1, True), done.stderr
