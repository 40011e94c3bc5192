"""The door to the machine: whatever happens to a command, nothing that it started is left behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest

from doctor import sigint_not_ignored
from paddlevl_doctor.system import processes
from paddlevl_doctor.system.processes import hangup_is_interrupt, hold_interrupts, uninterrupted
from waiting import until

# Starts children one after the other until Ctrl-C ends it; the marker tells its children from others.
RUNS_CHILDREN = """
import sys
from paddlevl_doctor.system.machine import RealSystem
print("ready", flush=True)
while True:
    RealSystem().run((sys.executable, "-S", "-E", "-c", "import time; time.sleep(600)", sys.argv[1]), timeout=0.05)
"""


def left_behind(marker: str) -> list[int]:
    """Processes that were started with this marker and still run."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if marker in (process.info["cmdline"] or ()) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


def test_ctrl_c_at_any_moment_leaves_no_child_behind() -> None:
    chance = random.Random(7)  # noqa: S311 - moments for a test, not keys
    for attempt in range(12):
        marker = f"paddlevl-doctor-test-{os.getpid()}-{attempt}"
        argv = [sys.executable, "-c", RUNS_CHILDREN, marker]
        with sigint_not_ignored():
            process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(chance.uniform(0.0, 0.12))
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        process.stdout.close()
        until(lambda marker=marker: left_behind(marker) == [])  # type: ignore[misc]


# Starts a child; a signal comes in the middle of it.
STARTS_A_CHILD = """
import os, subprocess, sys
from pathlib import Path
from paddlevl_doctor.system import child
from paddlevl_doctor.system.processes import hangup_is_interrupt

class Interrupted(subprocess.Popen):
    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        os.kill(os.getpid(), int(sys.argv[2]))
        for _ in range(1000):
            pass

subprocess.Popen = Interrupted
command = (sys.executable, "-S", "-E", "-c", "import time; time.sleep(600)", sys.argv[1])
with hangup_is_interrupt():
    try:
        child.start(command, {}, Path(os.devnull))
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name)
def test_a_signal_while_a_child_is_started_ends_the_child(sign: signal.Signals) -> None:
    marker = f"paddlevl-doctor-test-{os.getpid()}-{sign.name}"
    argv = [sys.executable, "-c", STARTS_A_CHILD, marker, str(int(sign))]
    with sigint_not_ignored():
        run = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("interrupted\n", "")
    until(lambda: left_behind(marker) == [])


def test_the_first_hangup_interrupts_and_further_ones_do_not_cut_the_end_off() -> None:
    with hangup_is_interrupt():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGHUP)
        for sign in (signal.SIGHUP, signal.SIGTERM):
            signal.raise_signal(sign)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_hangup_waits_while_interrupts_are_held() -> None:
    with hangup_is_interrupt():
        release = hold_interrupts()
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            release()


def test_a_signal_counts_again_when_the_clean_up_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clean-up that hangs can be interrupted; one in an `uninterrupted` block cannot."""
    with hangup_is_interrupt():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        monkeypatch.setattr(processes, "_IGNORED_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_an_uninterrupted_block_ends_first_and_its_error_comes_first(sign: signal.Signals) -> None:
    done = []
    with hangup_is_interrupt(), pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(sign)
        done.append("the block")
    assert done == ["the block"]
    with hangup_is_interrupt(), pytest.raises(ValueError, match="failed"), uninterrupted():
        signal.raise_signal(sign)
        raise ValueError("failed")
    with hangup_is_interrupt():
        pass  # nothing is left that would interrupt the next block


def test_what_is_ignored_stays_ignored_as_nohup_wants_it() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with hangup_is_interrupt():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)
