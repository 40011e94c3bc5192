"""The door to the machine: whatever happens to a command, nothing that it started is left behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import psutil

from doctor import ctrl_c_is_heard
from waiting import until

# Starts children one after the other until Ctrl-C ends it; the marker tells its children from others.
RUNS_CHILDREN = """
import sys
from paddlevl_doctor.system import RealSystem
print("ready", flush=True)
while True:
    RealSystem().run((sys.executable, "-S", "-E", "-c", "import time; time.sleep(20)", sys.argv[1]), timeout=0.05)
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
        with ctrl_c_is_heard():
            process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(chance.uniform(0.0, 0.12))
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        process.stdout.close()
        until(lambda marker=marker: left_behind(marker) == [], seconds=5)  # type: ignore[misc]
