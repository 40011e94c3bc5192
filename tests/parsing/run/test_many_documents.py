"""Runs over many documents, which end anywhere in a batch of pages: each is read, joined by the engine and finished."""

from __future__ import annotations

import shutil
import signal
from itertools import accumulate
from pathlib import Path

import pytest

from doctor import sigint_not_ignored
from paddlevl_doctor.parsing.engines.native_setup import WarmWorkers
from paddlevl_doctor.values.errors import DoctorError
from sessions import Stage, document, texts


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def paths(stage: Stage, *pages: int) -> list[Path]:
    firsts = accumulate(pages, initial=0)
    return [document(stage.folder, first, count) for first, count in zip(firsts, pages, strict=False)]


def words(*pages: int) -> list[list[str]]:
    """What is on the pages of documents of so many pages."""
    firsts = accumulate(pages, initial=0)
    return [
        [f"This is page {n}." for n in range(first, first + count)]
        for first, count in zip(firsts, pages, strict=False)
    ]


@pytest.mark.parametrize("engines", [1, 2])
@pytest.mark.parametrize("pages", [(1, 1), (1,) * 4, (9, 3), (1,) * 20, (2, 8, 1)], ids=str)
def test_every_document_is_read_and_joined_by_the_engine(
    stage: Stage, pages: tuple[int, ...], engines: int
) -> None:
    jobs = stage.run(paths(stage, *pages), [stage.engine() for _ in range(engines)])

    assert [texts(job) for job in jobs] == words(*pages)
    assert [job.markdown for job in jobs] == ["\n\n".join(said) for said in words(*pages)]
    assert sorted(stage.finished) == sorted(job.name for job in jobs)
    assert (stage.incidents, stage.lost, stage.left_behind()) == ([], [], [])


def test_a_warm_worker_joins_documents_between_batches_too(stage: Stage) -> None:
    engine = stage.engine(warm=WarmWorkers(stage.folder / "warm", 0, ""))
    jobs = stage.run(paths(stage, 1, 9, 2), [engine])

    assert [job.markdown for job in jobs] == ["\n\n".join(said) for said in words(1, 9, 2)]
    assert stage.incidents == []


def test_one_engine_finishes_documents_in_their_order(stage: Stage) -> None:
    jobs = stage.run(paths(stage, 3, 1, 9, 1, 2), [stage.engine()])

    assert stage.finished == [job.name for job in jobs]


def test_an_engine_that_is_lost_in_the_middle_of_a_batch_leaves_what_was_over_finished(stage: Stage) -> None:
    faults = [[1, "exit"], [-1, "garbage"], *[[-1, "fatal"]] * 9]
    with pytest.raises(DoctorError, match="OSError: weights"):
        stage.run(paths(stage, 1, 3), [stage.engine()], faults=faults)

    assert stage.finished == ["from-0"]


@pytest.mark.parametrize("kind", ["exit", "other-page", "failed", "deadlock"])
def test_pages_that_the_engine_cannot_join_are_left_to_their_flags(stage: Stage, kind: str) -> None:
    jobs = stage.run(paths(stage, 2, 2), [stage.engine()], joins=kind)

    assert [texts(job) for job in jobs] == words(2, 2)
    assert [job.markdown for job in jobs] == [None, None]
    assert stage.finished == [job.name for job in jobs]
    assert stage.left_behind() == []


def test_ctrl_c_keeps_what_was_read_of_many_documents_and_the_next_run_reads_the_rest(
    stage: Stage,
) -> None:
    sizes = (1, 1, 3, 9, 1, 2, 1, 1)
    over = iter(range(sum(sizes)))
    with sigint_not_ignored(), pytest.raises(KeyboardInterrupt):
        stage.run(
            paths(stage, *sizes),
            [stage.engine(), stage.engine()],
            on_page=lambda: signal.raise_signal(signal.SIGINT) if next(over) == 6 else None,
            seconds=0.05,
        )
    assert stage.left_behind() == []
    shutil.rmtree(stage.folder / "log")
    stage.finished.clear()
    jobs = stage.run(paths(stage, *sizes), [stage.engine()], resume=True)
    numbers = [number for worker in stage.read() for _, _, number in worker]

    assert [texts(job) for job in jobs] == words(*sizes)
    assert sorted(stage.finished) == sorted(job.name for job in jobs)
    assert sum(job.resumed for job in jobs) >= 7
    assert len(numbers) == len(set(numbers)) == sum(sizes) - sum(job.resumed for job in jobs)
