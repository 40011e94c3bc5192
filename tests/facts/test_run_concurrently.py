"""Jobs side by side: in order, a few at a time, and nothing lost when one fails."""

from __future__ import annotations

import threading
import time

import pytest

from paddlevl_doctor.facts.run_probes import run_concurrently


def test_answers_come_in_the_order_of_the_jobs_however_long_each_takes() -> None:
    def job(name: str, seconds: float) -> str:
        time.sleep(seconds)
        return name

    jobs = {name: (lambda name=name, wait=wait: job(name, wait)) for name, wait in (("a", 0.1), ("b", 0.0))}
    assert list(run_concurrently(jobs, 2).items()) == [("a", "a"), ("b", "b")]


def test_no_more_jobs_run_at_once_than_asked_for() -> None:
    running, most, lock, two_ran = 0, 0, threading.Lock(), threading.Event()

    def job() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running > 1:
                two_ran.set()
        two_ran.wait(60)
        time.sleep(0.02)  # a third one would come now
        with lock:
            running -= 1

    run_concurrently({str(number): job for number in range(7)}, 2)
    assert most == 2


def test_a_job_that_raises_lets_the_others_end_and_is_raised_then() -> None:
    ended = []

    def failing() -> None:
        raise ValueError("broken")

    def slow() -> None:
        time.sleep(0.05)
        ended.append("slow")

    with pytest.raises(ValueError, match="broken"):
        run_concurrently({"failing": failing, "slow": slow}, 2)
    assert ended == ["slow"]


def test_no_jobs_are_no_answers() -> None:
    assert run_concurrently({}, 2) == {}
