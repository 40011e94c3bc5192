"""A worker whose memory keeps rising is replaced between pages, and one whose memory is at its size is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddlevl_doctor.parsing.workers import watchdog
from sessions import Stage, document

PAGES = 80


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(watchdog, "_MIN_GROWTH_MB", 64)  # a real one grows by gigabytes
    return Stage(tmp_path)


def told(stage: Stage, *, device: str = "cpu", **plan: int) -> tuple[int, list[str]]:
    """Read a document; return how many processes it took, and what was told about them."""
    jobs = stage.run([document(stage.folder, 1, PAGES)], [stage.engine(device)], **plan)
    assert [len(job.pages) for job in jobs] == [PAGES]
    assert sorted(number for worker in stage.read() for _, _, number in worker) == list(range(1, PAGES + 1))
    return len(stage.read()), [words for words in stage.incidents if "a new process continues" in words]


def test_main_memory_that_never_comes_back_is_given_back_by_a_fresh_process(stage: Stage) -> None:
    workers, words = told(stage, keeps_mb=12)
    assert workers == len(words) + 1 > 1
    assert words[0].startswith("Memory rose from ")


def test_memory_of_the_gpu_that_never_comes_back_is_given_back_too(stage: Stage) -> None:
    workers, words = told(stage, device="gpu:0", keeps_vram_mb=100)
    assert workers == len(words) + 1 > 1
    assert words[0].startswith("GPU memory rose from 100 to ")


def test_a_worker_that_has_got_to_its_size_reads_to_the_end(stage: Stage) -> None:
    assert told(stage) == (1, [])
