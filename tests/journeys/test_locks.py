"""One at a time: two doctors, a doctor and what a killed one left behind, a doctor and uv."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from uv import find_uv_bin

from doctor import doctor
from environments import interpreter, python_in
from paddlevl_doctor.facts.target import STATE_FOLDER
from paddlevl_doctor.fix.lock import locked
from paddlevl_doctor.packages.uv import _is_awaited, remove_lock_file, uv_locked
from paddlevl_doctor.values.errors import DoctorError, UsageError
from waiting import until

# Holds a target as the doctor does and runs a program the while, then ends or is killed.
HOLD = """
import sys
from pathlib import Path
from paddlevl_doctor.fix.lock import locked
from paddlevl_doctor.system.machine import RealSystem
prefix, *argv = sys.argv[1:]
sys.argv[1:] = ["fix", "--venv", "/home/alice/secret"]
with locked(Path(prefix)):
    print("held", flush=True)
    RealSystem().run(argv, timeout=60)
"""
# Works on a target, named last, until a file that it has made is removed.
LASTS = """
import sys, time
from pathlib import Path
Path(sys.argv[1]).touch()
for _ in range(3000):
    Path(sys.argv[1]).exists() or sys.exit()
    time.sleep(0.02)
"""
# Takes and leaves a target many times; two at once would meet in the file that each makes for itself alone.
CONTEND = """
import os, sys
from pathlib import Path
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.fix.lock import locked
prefix, done = Path(sys.argv[1]), 0
while done < int(sys.argv[2]):
    try:
        with locked(prefix):
            os.close(os.open(prefix.parent / "alone", os.O_CREAT | os.O_EXCL))
            os.unlink(prefix.parent / "alone")
            done += 1
    except UsageError:
        pass
"""


def hold(prefix: Path, *argv: str) -> subprocess.Popen[str]:
    """Start a process that holds the target while `argv` runs."""
    words = [sys.executable, "-c", HOLD, str(prefix), *argv]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_doctor_says_who_holds_the_target_since_when_and_with_which_command(
    tmp_path: Path,
) -> None:
    (tmp_path / ".venv").mkdir()
    first = hold(tmp_path / ".venv", "sleep", "60")
    try:
        second = doctor("undo", cwd=tmp_path)
    finally:
        first.terminate()
        first.wait()
    assert (second.code, second.stdout) == (2, "")
    assert re.search(
        rf"process {first.pid}, `paddlevl-doctor fix`, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\. ",
        second.stderr,
    )
    assert "alice" not in second.stderr


def test_what_a_killed_doctor_started_is_waited_for_and_named(tmp_path: Path) -> None:
    prefix, at_work = tmp_path / ".venv", tmp_path / "at-work"
    first = hold(prefix, sys.executable, "-c", LASTS, str(at_work), str(prefix))
    until(at_work.exists)
    first.send_signal(signal.SIGKILL)
    first.wait()
    with pytest.raises(UsageError, match=r"still working on .*python\S* \d+"), locked(prefix, wait=0.2):
        raise AssertionError("it must not come here")
    threading.Timer(0.5, at_work.unlink).start()
    with locked(prefix, wait=60):
        assert not at_work.exists()
    assert not prefix.exists()


@pytest.mark.parametrize("pid", [os.getpid(), 2**22 + 1], ids=["reused", "free"])
def test_what_a_process_left_that_is_no_more_blocks_nobody(pid: int, tmp_path: Path) -> None:
    """The number may belong to another process by now, as after the machine was started anew."""
    folder = tmp_path / STATE_FOLDER
    folder.mkdir()
    holder = {"pid": pid, "born": 1.0, "since": 1.0, "command": "paddlevl-doctor fix"}
    (folder / "holder.json").write_text(json.dumps(holder), encoding="utf-8")
    (folder / "lock").touch()
    with locked(tmp_path, wait=0):
        now = json.loads((folder / "holder.json").read_text(encoding="utf-8"))
        assert now["pid"] == os.getpid()
        assert now["born"] > 1


def test_a_half_written_signature_blocks_nobody(tmp_path: Path) -> None:
    (tmp_path / STATE_FOLDER).mkdir()
    (tmp_path / STATE_FOLDER / "holder.json").write_text('{"pid": 1, "bo', encoding="utf-8")
    with locked(tmp_path, wait=0):
        pass
    assert not (tmp_path / STATE_FOLDER).exists()


def test_never_two_at_once_though_each_removes_the_lock_file_when_it_leaves(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", CONTEND, str(tmp_path / ".venv"), "60"]
    crowd = [subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [(p.communicate(timeout=120)[1], p.returncode) for p in crowd] == [("", 0)] * 4
    assert os.listdir(tmp_path) == []


# --- uv ---------------------------------------------------------------------------------------------------

# The build of this package lasts until it is told to end, and uv holds its lock of the environment meanwhile.
SLOW = """
import time
from pathlib import Path

def build_wheel(*_, **__):
    Path("building").touch()
    for _ in range(3000):
        if Path("enough").exists():
            break
        time.sleep(0.02)
    raise RuntimeError("as planned")
"""


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    folder = tmp_path / ".venv"
    subprocess.run([find_uv_bin(), "venv", "-q", "--python", interpreter("3.11"), folder], check=True)
    return folder


def start_uv(venv: Path, slow: Path) -> subprocess.Popen[bytes]:
    slow.mkdir()
    backend = '[build-system]\nrequires = []\nbuild-backend = "slow"\nbackend-path = ["."]\n'
    project = '[project]\nname = "slow"\nversion = "1"\n'
    (slow / "pyproject.toml").write_text(backend + project, encoding="utf-8")
    (slow / "slow.py").write_text(SLOW, encoding="utf-8")
    argv = [
        find_uv_bin(),
        "pip",
        "install",
        "--offline",
        "--no-deps",
        "--python",
        str(python_in(venv)),
        str(slow),
    ]
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_uv_waits_while_files_are_touched(venv: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    with uv_locked(venv):
        uv = start_uv(venv, slow)
        until(lambda: _is_awaited(venv / ".lock"))
        assert (uv.poll(), (slow / "building").exists()) == (None, False)
        remove_lock_file(venv)
        assert (venv / ".lock").exists(), "whoever waits for it waits for this very file"
    until((slow / "building").exists)
    (slow / "enough").touch()
    assert uv.wait(timeout=60) != 0


def test_uv_is_waited_for_and_then_that_is_said(venv: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    uv = start_uv(venv, slow)
    until((slow / "building").exists)
    with pytest.raises(DoctorError, match="uv has been working on"), uv_locked(venv, wait=0.3):
        raise AssertionError("it must not come here")
    remove_lock_file(venv)
    assert (venv / ".lock").exists(), "uv holds it"
    threading.Timer(0.5, (slow / "enough").touch).start()
    with uv_locked(venv, wait=60):
        assert (slow / "enough").exists()
    assert uv.wait(timeout=60) != 0
    remove_lock_file(venv)
    assert not (venv / ".lock").exists()


def test_a_file_where_the_folder_of_the_lock_belongs_is_named(tmp_path: Path) -> None:
    (tmp_path / STATE_FOLDER).write_text("mine")
    with pytest.raises(DoctorError, match="in the place of the folder for the records"), locked(tmp_path):
        pass
    assert (tmp_path / STATE_FOLDER).read_text() == "mine"
