"""What a person sees on a terminal while a large wheel comes over a slow line."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from broken_server import Manners, broken_server
from wheels import wheel

NAME, DATA = wheel("paddlepaddle-gpu", "3.2.1", padding=900_000)
RATE = 600_000
FETCH = """\
import pathlib, sys
import rich.progress  # what came meanwhile would look like a fast line
from paddlevl_doctor.packages.download import Limits, DownloadRequest, fetch
from paddlevl_doctor.report.progress import Progress

name, url, folder = sys.argv[1:]
fetch(DownloadRequest(name, (url,)), pathlib.Path(folder), Progress(enabled=True, lang="en").bytes, Limits(pause=0.01))
"""


def sent_to_a_terminal(program: str, *words: str) -> str:
    """Run a Python program whose stderr is a terminal of 120 columns; return what the terminal was sent.

    Colours and movements of the cursor, which rich sends, are left out.
    """
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LC_ALL": "C.UTF-8"}
    with subprocess.Popen([sys.executable, "-c", program, *words], stderr=theirs, env=env) as child:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 1 << 16):
                shown += piece
        except OSError:  # Linux's way to say that nobody writes any more
            pass
        os.close(ours)
    assert child.returncode == 0, shown
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.decode())


def test_a_terminal_shows_how_much_is_there_the_rate_and_the_time_left(tmp_path: Path) -> None:
    """Cut once on the way: the bar goes on where it was, and its total stays."""
    with broken_server({NAME: DATA}, Manners(rate=RATE, cut_after=500_000, times=1)) as server:
        shown = sent_to_a_terminal(FETCH, NAME, server.url(NAME), str(tmp_path))
    seen = re.findall(rf"{re.escape(NAME)} \S+ +([\d.]+)/([\d.]+) (\w+) +([\d.]+) kB/s (0:00:\d\d)", shown)
    counts = [float(row[0]) for row in seen]
    assert counts == sorted(counts)
    assert {row[1:3] for row in seen} == {(f"{len(DATA) / 1000:.1f}", "kB")}
    assert 0 < float(seen[-1][3]) <= RATE / 1000 * 1.2  # a busy machine may be slower than the line
    assert len({row[4] for row in seen}) > 1


def test_names_that_steer_a_terminal_are_shown_and_do_not() -> None:
    program = """\
from paddlevl_doctor.report.progress import Progress
with Progress(enabled=True, lang="en").bar("\\x1b]0;owned\\x07page", 1) as advance:
    advance.say("\\x9b2Jnow")
    advance(1)
with Progress(enabled=True, lang="en").stage("\\x1b]0;owned\\x07stage"):
    pass
"""
    shown = sent_to_a_terminal(program)

    assert "�]0;owned�page" in shown
    assert "�2Jnow" in shown
    assert "✓ �]0;owned�stage" in shown
    assert not {"\x1b", "\x9b", "\x07"} & set(shown)
