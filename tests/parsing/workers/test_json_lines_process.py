"""A child that is spoken to in lines: one that does not listen holds up nobody, and never outlives its use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from paddlevl_doctor.parsing.workers.json_lines_process import ChildEndedError, JsonLinesProcess

MUCH = {"words": "x" * 1_000_000}
"""More than a pipe holds."""
DEAF = "import time; time.sleep(600)"
ECHO = """
import json, sys
for line in sys.stdin:
    print(json.dumps({"event": "heard", "count": len(json.loads(line)["words"])}), flush=True)
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def child(program: str, log: Path) -> JsonLinesProcess:
    return JsonLinesProcess((sys.executable, "-c", program), os.environ, log)


@pytest.fixture
def deaf(log: Path) -> Iterator[JsonLinesProcess]:
    started = child(DEAF, log)
    started.send(MUCH)
    yield started
    started.kill()


def test_who_asks_a_child_that_does_not_listen_can_wait_for_as_long_as_it_likes(
    deaf: JsonLinesProcess,
) -> None:
    assert deaf.next_event(0.1) is None


def test_a_child_that_does_not_listen_is_ended(deaf: JsonLinesProcess) -> None:
    deaf.close(timeout=0.1)

    assert not psutil.pid_exists(deaf.process.pid)
    with pytest.raises(ChildEndedError):
        deaf.next_event(5)


def test_requests_of_any_length_arrive_in_order_and_the_end_of_them_ends_the_child(log: Path) -> None:
    echo = child(ECHO, log)
    for message in (MUCH, {"words": "few"}):
        echo.send(message)
    heard = [echo.next_event(30) for _ in range(2)]
    echo.close()

    assert heard == [{"event": "heard", "count": 1_000_000}, {"event": "heard", "count": 3}]
    assert echo.process.returncode == 0


def test_a_request_to_a_child_that_has_ended_is_answered_with_its_exit_status(log: Path) -> None:
    ended = child("raise SystemExit(7)", log)
    ended.process.wait()
    ended.send(MUCH)

    with pytest.raises(ChildEndedError, match="ended with 7"):
        ended.next_event(30)
