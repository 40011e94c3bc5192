"""A warm worker serves one run after the other, and never outlives its use."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from paddlevl_doctor.parsing.engines.native_setup import WarmWorkers
from paddlevl_doctor.parsing.workers.watchdog import LIMITS
from sessions import Stage, document, texts
from waiting import until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and process groups")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def warm(stage: Stage, minutes: float = 1, state: str = "") -> WarmWorkers:
    return WarmWorkers(stage.folder / "warm", minutes, state)


def workers(stage: Stage) -> list[int]:
    """The numbers of the processes that have read pages."""
    return sorted(int(path.name.partition("-")[2]) for path in (stage.folder / "log").glob("read-*"))


def until_ended(stage: Stage) -> None:
    until(lambda: stage.left_behind() == [], every=0.05)


def end(stage: Stage) -> None:
    """End what is kept, as the end of a session would."""
    for pid in workers(stage):
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)
    until_ended(stage)


def test_the_next_run_reads_with_the_same_process_and_loads_nothing(stage: Stage) -> None:
    path = document(stage.folder, 0, 3)
    first, second = stage.engine(warm=warm(stage)), stage.engine(warm=warm(stage))
    read = [texts(stage.run([path], [engine])[0]) for engine in (first, second)]
    seconds = [engine.seconds for engine in (first, second)]
    kept = workers(stage)
    end(stage)

    assert read == [[f"This is page {n}." for n in range(3)]] * 2
    assert seconds == [{"import": 0.1, "load": 0.2}, {}]
    assert len(kept) == 1
    assert stage.incidents == []


def test_a_process_that_nobody_wants_any_more_ends(stage: Stage) -> None:
    stage.run([document(stage.folder, 0, 1)], [stage.engine(warm=warm(stage, minutes=0.02))])

    until_ended(stage)
    assert list((stage.folder / "warm").rglob("keeper.json")) == []


def test_zero_minutes_end_it_with_the_run(stage: Stage) -> None:
    path = document(stage.folder, 0, 1)
    stage.run([path], [stage.engine(warm=warm(stage, minutes=0))])

    until_ended(stage)


def test_the_minutes_of_the_last_run_count(stage: Stage) -> None:
    path = document(stage.folder, 0, 1)
    for minutes in (1, 0):
        stage.run([path], [stage.engine(warm=warm(stage, minutes=minutes))])

    until_ended(stage)
    assert len(workers(stage)) == 1, "the second run read with the process of the first"


def test_other_versions_in_the_target_get_a_process_of_their_own(stage: Stage) -> None:
    path = document(stage.folder, 0, 1)
    for state in ("paddlex=1", "paddlex=2"):
        stage.run([path], [stage.engine(warm=warm(stage, state=state))])
    kept = workers(stage)
    end(stage)

    assert len(kept) == 2


def test_a_process_that_is_busy_is_left_alone_and_another_one_reads(stage: Stage) -> None:
    path = document(stage.folder, 0, 6)
    engines = [stage.engine(limits=LIMITS, warm=warm(stage)) for _ in range(2)]
    (job,) = stage.run([path], engines, together=2)
    kept = workers(stage)
    end(stage)

    assert texts(job) == [f"This is page {n}." for n in range(6)]
    assert len(kept) == 2


def test_runs_at_the_same_time_have_a_warm_process_each_and_the_same_ones_the_next_time(stage: Stage) -> None:
    path, kept = document(stage.folder, 0, 8), []
    for _ in range(2):
        engines = [stage.engine(warm=warm(stage)) for _ in range(2)]
        (job,) = stage.run([path], engines, seconds=0.5)
        assert texts(job) == [f"This is page {n}." for n in range(8)]
        kept.append(workers(stage))
    end(stage)

    assert len(kept[0]) == 2
    assert kept[1] == kept[0]


@pytest.mark.parametrize("kind", ["deadlock", "segv", "exit", "stubborn", "closed"])
def test_a_warm_process_that_fails_is_replaced_like_any_other(stage: Stage, kind: str) -> None:
    path = document(stage.folder, 0, 3)
    (job,) = stage.run([path], [stage.engine(warm=warm(stage))], faults=[[1, kind]])
    end(stage)

    assert texts(job) == [f"This is page {n}." for n in range(3)]
    assert len(stage.incidents) == 1


def test_a_run_that_is_killed_in_the_middle_of_a_page_leaves_nothing_behind(stage: Stage) -> None:
    engine = stage.engine(warm=warm(stage))
    stage.run([document(stage.folder, 0, 1)], [engine], seconds=0.3)

    class Killed(Exception):  # noqa: N818 - no error of ours
        pass

    def kill() -> None:
        for process in psutil.Process().children():
            if "warm_daemon" in " ".join(process.cmdline()):
                process.kill()
        raise Killed

    with pytest.raises(Killed):
        stage.run([document(stage.folder, 5, 8)], [stage.engine(warm=warm(stage))], on_page=kill, seconds=0.3)

    until_ended(stage)
