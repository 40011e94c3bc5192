"""SIGTERM, SIGHUP and a closed terminal have the effect of Ctrl-C in every command: nothing is left, exit code 130."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from broken_server import Broken, Manners, broken_server
from doctor import doctor, environment, fingerprint, start_doctor
from paddlevl_doctor.commands import apply_plan
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.commands.fix import fix
from paddlevl_doctor.commands.judge_facts import Examination
from paddlevl_doctor.fix.journal import begin
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.system.machine import RealSystem
from small_stack import copy_paddlex, site_of, small_stack
from waiting import until
from wheels import index, wheel

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = "Interrupted. Changes in progress were rolled back.\n"
MARK = "PADDLEVL_DOCTOR_TEST_RUN"
NUMPY = wheel("numpy", "2.3.5")


def marked(value: object) -> list[str]:
    """Return the command lines of the running processes that a test started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == str(value) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
    return found


@dataclass
class Repair:
    """An environment whose numpy is to be replaced, and an index that sends nothing during a transaction."""

    folder: Path
    server: Broken
    before: dict[str, str]
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def state(self) -> Path:
        return self.folder / ".venv" / ".paddlevl-doctor"

    def words(self) -> tuple[str, ...]:
        url = self.server.url("simple/")
        return ("fix", "--apply", "--only", "numpy-2-4-scalar", "--mirror", url)

    def env(self) -> dict[str, str]:
        return {MARK: str(self.folder), "UV_CACHE_DIR": str(self.folder / "cache")}

    def wait_for_uv(self, process: subprocess.Popen[str]) -> None:
        """Wait until uv waits for the index in the middle of the transaction."""
        until(lambda: process.poll() is not None or (self.has_begun() and self.is_asked()))
        assert process.poll() is None, process.communicate()
        assert any("uv" in line and "install" in line for line in marked(self.folder))

    def has_begun(self) -> bool:
        return (self.state / "transactions" / "0001" / "journal.jsonl").exists()

    def is_asked(self) -> bool:
        """Return whether uv asked for the second time: the first time was for the plan."""
        return [path for path, _ in self.server.asked].count("/simple/numpy/") > 1

    def assert_untouched(self) -> None:
        assert fingerprint(self.folder / ".venv") == self.before
        assert not self.state.exists()
        until(lambda: marked(self.folder) == [])


@pytest.fixture
def repair(tmp_path: Path) -> Iterator[Repair]:
    venv = small_stack(tmp_path / ".venv")
    with broken_server(index(NUMPY)) as server:
        repair = Repair(tmp_path, server, fingerprint(venv))
        server.manners = Manners(after=lambda: repair.released.is_set() or not repair.has_begun())
        yield repair
        repair.released.set()


@pytest.mark.parametrize("sign", SIGNALS, ids=lambda s: s.name)
def test_a_signal_while_uv_works_ends_uv_and_rolls_back(sign: signal.Signals, repair: Repair) -> None:
    process = start_doctor(*repair.words(), cwd=repair.folder, env=repair.env())
    repair.wait_for_uv(process)
    process.send_signal(sign)
    said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, ("", INTERRUPTED))
    repair.assert_untouched()


def test_further_signals_do_not_break_the_rollback(repair: Repair) -> None:
    process = start_doctor(*repair.words(), cwd=repair.folder, env=repair.env())
    repair.wait_for_uv(process)
    for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGINT):
        process.send_signal(sign)
    until(lambda: process.send_signal(signal.SIGINT) or process.poll() is not None, every=0.001)
    assert (process.returncode, process.communicate()[1]) == (130, INTERRUPTED)
    repair.assert_untouched()


def test_a_closed_terminal_rolls_back(repair: Repair) -> None:
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "paddlevl_doctor", *repair.words()]
    process = subprocess.Popen(
        argv,
        cwd=repair.folder,
        env={**environment(repair.folder, repair.env()), "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - the child starts no thread
        text=True,
    )
    os.close(theirs)
    repair.wait_for_uv(process)
    os.close(ours)
    assert process.wait(timeout=60) == 130
    repair.assert_untouched()


def test_a_signal_that_is_ignored_stays_ignored(repair: Repair) -> None:
    """As under nohup: the repair goes on when the terminal is closed."""
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = start_doctor(*repair.words(), cwd=repair.folder, env=repair.env())
    finally:
        signal.signal(signal.SIGHUP, former)
    repair.wait_for_uv(process)
    process.send_signal(signal.SIGHUP)
    repair.released.set()
    assert process.wait(timeout=60) == 0, process.communicate()


def test_check_reports_an_interrupted_repair_until_it_is_rolled_back(repair: Repair) -> None:
    """Not while a doctor works on the environment."""
    process = start_doctor(*repair.words(), cwd=repair.folder, env=repair.env())
    repair.wait_for_uv(process)
    assert waiting(repair.folder) == "ok"
    uv = psutil.Process(process.pid).children()
    for one in (process, *uv):
        one.kill()
    process.communicate()
    assert waiting(repair.folder) == "warning"
    plan = doctor("fix", "--format", "json", cwd=repair.folder)
    reasons = {skipped["finding"]: skipped["reason"] for skipped in plan.document["skipped"]}
    assert "rolls the interrupted repair back" in reasons["interrupted-repair"]

    words = ("fix", "--apply", "--only", "interrupted-repair", "--format", "json")
    rolled_back = doctor(*words, cwd=repair.folder).document
    assert (rolled_back["recovered"], rolled_back["plan"]["steps"]) == (1, [])
    assert waiting(repair.folder) == "ok"
    repair.assert_untouched()


def test_an_interrupt_in_the_check_after_the_last_step_rolls_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = small_stack(tmp_path / ".venv", {"paddleocr": "3.7.0", "paddlepaddle": "3.2.2"})
    copy_paddlex(site_of(venv))
    before = fingerprint(venv)

    def interrupted(*_: Any) -> Examination:
        raise KeyboardInterrupt

    monkeypatch.setattr(apply_plan, "examine", interrupted)
    options, request = TargetOptions(venv=str(venv)), Request(only=("use-doc-preprocessor",))
    with pytest.raises(KeyboardInterrupt):
        fix(RealSystem(), options, request, lambda _: contextlib.nullcontext(), apply=True)
    assert fingerprint(venv) == before


def test_check_reports_the_interrupted_creation_of_an_environment(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    begin(tmp_path / ".venv", {}, creates=True)
    assert waiting(tmp_path) == "warning"


def waiting(folder: Path) -> str:
    found = doctor("check", "--format", "json", cwd=folder)
    return found.statuses("interrupted-repair")["interrupted-repair"]


VERBS = {
    "check": ("check",),
    "fix": ("fix",),
    "fix --apply": ("fix", "--apply"),
    "undo": ("undo",),
    "parse": ("parse", "page.png"),
    "serve": ("serve", "--dry-run"),
    "env": ("env",),
    "pipelines list": ("pipelines", "list"),
    "patches show": ("patches", "show", "fuse-rms-norm"),
    "patches status": ("patches", "status"),
    "patches build": ("patches", "build"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_signal_ends_every_command_and_the_python_that_it_waits_for(verb: str, tmp_path: Path) -> None:
    """The target's Python never answers; in two cases it has left an orphan."""
    children = 1 if verb in ("check", "undo") else 0
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{'(sleep 600 &)' * children}\nexec sleep 600\n", encoding="utf-8")
    python.chmod(0o755)
    (tmp_path / "page.png").write_bytes(Path("src/paddlevl_doctor/assets/demo.png").read_bytes())
    words = (*VERBS[verb], "--python", str(python))
    process = start_doctor(*words, cwd=tmp_path, env={MARK: str(tmp_path)})
    until(lambda: process.poll() is not None or len(marked(tmp_path)) > 1 + children)
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, ("", INTERRUPTED))
    until(lambda: marked(tmp_path) == [], seconds=10)


def test_a_signal_ends_the_collection_of_a_wheelhouse(tmp_path: Path) -> None:
    with broken_server(index(NUMPY), Manners(after=lambda: False)) as server:
        words = ("matrix", "--export", "wheelhouse", "house", "--mirror", server.url("simple/"))
        process = start_doctor(*words, cwd=tmp_path, env={MARK: str(tmp_path)})
        until(lambda: process.poll() is not None or server.asked)
        assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, ("", INTERRUPTED))
    until(lambda: marked(tmp_path) == [], seconds=10)
