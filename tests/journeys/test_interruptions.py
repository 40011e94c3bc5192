"""A run that is killed or interrupted leaves nothing that the next command does not put right."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

import documents
from doctor import doctor, fingerprint, start_doctor
from environments import fresh_copy, kept_bytecode
from paddlevl_doctor.system.processes import hangup_is_interrupt
from waiting import until

pytestmark = pytest.mark.xdist_group("interruptions")


def start_and_stop(folder: Path, what: str, sign: signal.Signals, *words: str) -> int:
    """Start a command, send it a signal as soon as the journal says `what`, return its exit status."""
    process = start_doctor(*words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = folder / ".venv" / ".paddlevl-doctor" / "transactions" / "0001" / "journal.jsonl"

    def is_time() -> bool:
        return journal.exists() and what in journal.read_text(encoding="utf-8")

    until(lambda: is_time() or process.poll() is not None, seconds=250, every=0.001)
    assert is_time(), f"the journal never said {what}"
    process.send_signal(sign)
    return process.wait(timeout=60)


# Most kills of test_kills.py hit the installation.
INSTALLATION = pytest.param('"step": "install-packages"', marks=pytest.mark.on_demand)
MOMENTS = ['"event": "begin"', INSTALLATION, '"step": "patch-doc']


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_repair_is_put_back_by_the_next_one_which_then_reaches_the_goal(
    moment: str, tmp_path: Path
) -> None:
    venv = fresh_copy("broken", tmp_path / ".venv")
    before = fingerprint(venv)
    assert start_and_stop(tmp_path, moment, signal.SIGKILL, "fix", "--apply") == -signal.SIGKILL

    undone = doctor("undo", "--format", "json", cwd=tmp_path)
    assert (undone.code, undone.document["undone"]) == (0, [1])
    assert fingerprint(venv) == before

    assert start_and_stop(tmp_path, moment, signal.SIGKILL, "fix", "--apply") == -signal.SIGKILL
    cure = doctor("fix", "--apply", "--format", "json", cwd=tmp_path)
    assert cure.code == 0, cure.stderr
    assert cure.document["recovered"] == 1
    names = [p.name.partition("-")[0] for p in next(venv.glob("lib/*/site-packages")).glob("*.dist-info")]
    assert len(names) == len(set(names)), "no distribution is there twice"
    assert doctor("undo", cwd=tmp_path).code == 0
    assert fingerprint(venv) == before


def test_ctrl_c_puts_everything_back_and_says_so(tmp_path: Path) -> None:
    venv = fresh_copy("broken", tmp_path / ".venv")
    before = fingerprint(venv)
    assert start_and_stop(tmp_path, '"step": "install-packages"', signal.SIGINT, "fix", "--apply") == 130
    assert fingerprint(venv) == before
    assert not (venv / ".paddlevl-doctor").exists()
    assert not (tmp_path / "pipelines").exists()


def test_a_killed_creation_is_continued_from_nothing(tmp_path: Path) -> None:
    assert (
        start_and_stop(tmp_path, '"step": "install-packages"', signal.SIGKILL, "fix", "--apply")
        == -signal.SIGKILL
    )
    with kept_bytecode("current-3.11", tmp_path / ".venv"):
        cure = doctor("fix", "--apply", "--format", "json", cwd=tmp_path)
    assert cure.code == 0, cure.stderr
    assert cure.document["recheck"]["summary"]["status"] in ("ok", "note")


def test_what_was_in_the_folder_of_a_new_environment_survives_a_kill_and_undo(tmp_path: Path) -> None:
    mine = tmp_path / ".venv" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("mine\n", encoding="utf-8")
    assert (
        start_and_stop(tmp_path, '"step": "install-packages"', signal.SIGKILL, "fix", "--apply")
        == -signal.SIGKILL
    )
    assert doctor("undo", cwd=tmp_path).code == 0
    assert (os.listdir(tmp_path / ".venv"), mine.read_text(encoding="utf-8")) == (["notes.txt"], "mine\n")


def test_a_second_doctor_is_told_to_wait(tmp_path: Path) -> None:
    from paddlevl_doctor.fix.lock import locked

    venv = fresh_copy("broken", tmp_path / ".venv")
    with locked(venv):
        second = doctor("fix", "--apply", cwd=tmp_path)
    assert (second.code, second.stdout) == (2, "")
    assert "Another paddlevl-doctor" in second.stderr
    assert os.listdir(tmp_path) == [".venv"]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name)
def test_a_reading_that_is_told_to_end_leaves_its_pages_and_nothing_else(
    sign: signal.Signals, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    documents.pdf(tmp_path / "long.pdf", [documents.page(f"NUMBER {n}") for n in range(60)])
    words = ("parse", "long.pdf", "--engine", "reader")
    process = start_doctor(*words, cwd=tmp_path, env={"TMPDIR": str(scratch)}, stdout=subprocess.DEVNULL)
    until(lambda: list((tmp_path / "output").rglob("page.json")) or process.poll() is not None)
    process.send_signal(sign)
    said = process.communicate(timeout=60)[1]

    assert process.returncode == 130, said
    assert "of 60 pages, which are kept. Run the same command with --resume to read the rest." in said
    assert list(scratch.glob("paddlevl-doctor-*")) == []
    until(lambda: processes_with("TMPDIR", str(scratch)) == [])


def processes_with(name: str, value: str) -> list[str]:
    """Return the processes whose variable has a value."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(name) == value:
                found.append(" ".join(process.cmdline()))
    return found


def test_what_is_told_to_ignore_a_closed_terminal_goes_on_when_it_is_closed() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with hangup_is_interrupt():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, former)


def test_a_second_signal_does_not_break_off_the_tidying_of_the_first() -> None:
    tidied = False
    with pytest.raises(KeyboardInterrupt), hangup_is_interrupt():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGHUP)
            tidied = True
    assert tidied
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
