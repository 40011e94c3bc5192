"""More than a hundred faults of every kind: none hangs a run, and no page is lost."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest

from paddlevl_doctor.parsing.input.page_source import PageSource, Picture
from paddlevl_doctor.parsing.workers.watchdog import LIMITS, Limits, limits_for
from paddlevl_doctor.values.errors import DoctorError
from sessions import Stage, document, pdf, texts

KINDS = (
    "deadlock", "spin", "segv", "killed", "abort", "exit", "half-a-line", "garbage", "heir", "closed", "stubborn",
    "oom", "raised", "stranger", "other-page", "torn",
)  # fmt: skip


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.mark.parametrize("seed", range(7))
def test_faults_at_random_pages_of_two_documents_lose_no_page(stage: Stage, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    pages = chance.sample(range(24), len(KINDS))
    faults = [list(pair) for pair in zip(pages, chance.sample(KINDS, len(KINDS)), strict=True)]
    paths = [document(stage.folder, 0, 12), document(stage.folder, 12, 12)]
    jobs = stage.run(paths, [stage.engine(), stage.engine()], faults=faults)

    assert [texts(job) for job in jobs] == [
        [f"This is page {n}." for n in range(12)],
        [f"This is page {n}." for n in range(12, 24)],
    ]
    assert [job.failed for job in jobs] == [{}, {}]
    assert sorted(stage.finished) == ["from-0", "from-12"]
    assert stage.happened() == len(faults)
    assert stage.left_behind() == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_of_each_kind_is_named_and_the_page_is_read_on_the_next_rung(stage: Stage, kind: str) -> None:
    (job,) = stage.run([document(stage.folder, 0, 2)], [stage.engine()], faults=[[0, kind]])

    assert texts(job) == ["This is page 0.", "This is page 1."]
    assert len(stage.incidents) == (0 if kind == "garbage" else 1)
    assert all(incident.startswith("Page 1, first try: ") for incident in stage.incidents)
    assert stage.left_behind() == []


@pytest.mark.parametrize("kind", ["deadlock", "segv", "exit", "stubborn", "heir", "stranger"])
def test_a_fault_while_the_models_are_loaded_is_tried_again(stage: Stage, kind: str) -> None:
    (job,) = stage.run([document(stage.folder, 0, 2)], [stage.engine()], faults=[[-1, kind]])

    assert texts(job) == ["This is page 0.", "This is page 1."]
    assert stage.left_behind() == []


def test_a_page_that_always_fails_in_the_same_words_is_one_sentence_and_the_others_are_read(
    stage: Stage,
) -> None:
    (job,) = stage.run([document(stage.folder, 0, 3)], [stage.engine()], faults=[[1, "raised"]] * 9)

    assert texts(job) == ["This is page 0.", "This is page 2."]
    assert {index: str(reason) for index, reason in job.failed.items()} == {
        1: "Page 2 could not be read: RuntimeError: CUDA error: an illegal memory access was encountered"
    }
    assert stage.finished == ["from-0"]


def test_a_pdf_of_700_pages_is_read_to_its_end_and_leaves_no_pictures_behind(stage: Stage) -> None:
    (job,) = stage.run([pdf(stage.folder, 700)], [stage.engine(), stage.engine()])

    assert texts(job) == [f"This is page {n}." for n in range(700)]
    assert [path.name for path in (stage.folder / "scratch").iterdir()] == ["pages.log"]


def test_a_worker_that_never_ends_is_ended(stage: Stage) -> None:
    (job,) = stage.run([document(stage.folder, 0, 2)], [stage.engine()], never_ends=True)

    assert texts(job) == ["This is page 0.", "This is page 1."]
    assert stage.left_behind() == []


def test_a_worker_that_stops_before_pages_are_joined_is_ended_and_they_are_joined_without_it(
    stage: Stage,
) -> None:
    (job,) = stage.run([document(stage.folder, 0, 2)], [stage.engine()], deaf_after=1, dots=200_000)

    assert [len(words) > 200_000 for words in texts(job)] == [True, True]
    assert (job.markdown, stage.finished, stage.left_behind()) == (None, ["from-0"], [])


def test_pages_that_were_slow_at_first_do_not_keep_an_engine_at_one_page_a_call(stage: Stage) -> None:
    engine = stage.engine()
    engine.batch = 1
    stage.run([document(stage.folder, 0, 8)], [engine])

    assert engine.batch == 32


def test_a_device_that_is_lost_leaves_its_pages_to_the_others(stage: Stage) -> None:
    engines = [stage.engine("gpu:0"), stage.engine("gpu:1")]
    (job,) = stage.run([document(stage.folder, 0, 10)], engines, faults=[[-1, "fatal"]], seconds=0.2)

    assert texts(job) == [f"This is page {n}." for n in range(10)]
    failed = [f"PaddleOCR-VL failed on gpu:{n}: OSError: weights" for n in (0, 1)]
    assert stage.lost in ([failed[0]], [failed[1]]), "the one that was first to load"
    assert sorted(engine.lost for engine in engines) == [False, True]


def test_a_page_is_drawn_once_however_uneven_the_devices_are(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    really = PageSource._render

    def counted(self: PageSource, path: Path, page: int, *rest: Any) -> Picture:
        drawn.append(page)
        return really(self, path, page, *rest)

    monkeypatch.setattr(PageSource, "_render", counted)
    speeds = {"gpu:0": 0.01, "gpu:1": 0.6}
    engines = [stage.engine(device, {"SPEED": device}, LIMITS) for device in speeds]
    (job,) = stage.run([document(stage.folder, 0, 60)], engines, speeds=speeds, together=2)

    assert texts(job) == [f"This is page {n}." for n in range(60)]
    assert len(stage.read()) == 2, "the slow one did read"
    assert sorted(drawn) == list(range(60))
    assert [path.name for path in (stage.folder / "scratch").iterdir()] == ["pages.log"]


def test_a_run_whose_every_device_is_lost_ends_with_the_reason(stage: Stage) -> None:
    with pytest.raises(DoctorError, match="OSError: weights"):
        stage.run([document(stage.folder, 0, 3)], [stage.engine()], faults=[[-1, "fatal"]] * 9)

    assert stage.left_behind() == []


def test_the_rung_that_helps_is_kept_for_the_following_pages(stage: Stage) -> None:
    good = {"FLAGS_allocator_strategy": "auto_growth"}
    (job,) = stage.run([document(stage.folder, 0, 4)], [stage.engine("gpu:0")], good_env=good)

    assert [page.rung for page in job.pages_in_order()] == ["allocator"] * 4
    assert [incident.partition(":")[0] for incident in stage.incidents] == ["Page 1, first try"]


def test_a_run_that_was_cut_off_is_resumed_and_no_page_is_read_twice(stage: Stage) -> None:
    path = document(stage.folder, 0, 6)
    with pytest.raises(DoctorError):
        stage.run([path], [stage.engine()], faults=[[3, "exit"], *[[-1, "fatal"]] * 9], on_page=lambda: None)
    first = [number for log in stage.read() for _, _, number in log]
    (job,) = stage.run([path], [stage.engine()], resume=True)
    everything = [number for log in stage.read() for _, _, number in log]

    assert sorted(everything) == list(range(6))
    assert job.resumed == len(first)
    assert texts(job) == [f"This is page {n}." for n in range(6)]


def without_seconds(incident: str) -> str:
    """Return it without the seconds: they are measured, and a busy machine looks late."""
    return re.sub(r"\d+ s\b", "N s", incident)


def test_a_worker_whose_gpu_is_busy_does_not_stand_still_and_its_memory_is_sampled(stage: Stage) -> None:
    engine = stage.engine("gpu:0", gpu=lambda _pids: (4321, 97))
    (job,) = stage.run([document(stage.folder, 0, 1)], [engine], faults=[[0, "deadlock"]])

    assert texts(job) == ["This is page 0."]
    assert [without_seconds(incident.split(";")[0]) for incident in stage.incidents] == [
        "Page 1, first try: reading did not finish within N s"
    ]
    assert {sample.vram_mb for sample in stage.samples if sample.rss_mb} == {4321}


def test_a_desktop_on_the_gpu_does_not_hide_a_worker_that_stands_still(stage: Stage) -> None:
    engine = stage.engine("gpu:0", gpu=lambda _pids: (4321, 4))
    (job,) = stage.run([document(stage.folder, 0, 1)], [engine], faults=[[0, "deadlock"]])

    assert texts(job) == ["This is page 0."]
    assert [without_seconds(incident.partition(" (")[0]) for incident in stage.incidents] == [
        "Page 1, first try: while reading, the process made no progress for N s and was stopped"
    ]


def test_a_page_may_take_an_hour_on_a_processor_and_ten_minutes_on_a_gpu() -> None:
    assert [limits_for(device)["read"] for device in ("cpu", "gpu:0")] == [Limits(3600, 90), Limits(600, 90)]
    assert {limits.idle for limits in limits_for("gpu:0", 7).values()} == {7}
    assert limits_for("gpu:0", 7)["load"] == Limits(3600, 7)


@pytest.mark.parametrize("page", [-1, 0])
def test_a_worker_that_the_system_has_killed_is_told_with_its_memory_and_its_models_are_kept(
    stage: Stage, page: int
) -> None:
    asked: list[int] = []
    stage.fresh_cache = lambda: asked.append(page)
    killed = [[page, "hungry"]] * 3
    (job,) = stage.run([document(stage.folder, 0, 2)], [stage.engine(limits=LIMITS)], faults=killed)

    assert texts(job) == ["This is page 0.", "This is page 1."]
    assert asked == []
    words = [re.split(r"(?<=which used )(\d+)", incident) for incident in stage.incidents]
    assert [first for first, _, _ in words] == [
        f"Page 1, {rung}: the process, which used "
        for rung in ("first try", "in a new process", "without queues")
    ]
    assert all(200 <= int(mb) < 400 for _, mb, _ in words)
    assert {last for _, _, last in words} == {
        " MiB, was killed (SIGKILL); the usual reason is that the system ran out of memory. "
        "Free some memory, or use fewer devices with --device: "
    }


@pytest.mark.parametrize(("kind", "times"), [("segv", 2), ("deadlock", 2), ("fatal", 1)])
def test_models_that_end_their_process_twice_or_say_why_are_downloaded_anew(
    stage: Stage, kind: str, times: int
) -> None:
    fresh = stage.folder / "fresh"
    stage.fresh_cache = lambda: fresh
    good = {"PADDLE_PDX_CACHE_HOME": str(fresh)}
    (job,) = stage.run(
        [document(stage.folder, 0, 2)], [stage.engine()], faults=[[-1, kind]] * times, good_env=good
    )

    assert texts(job) == ["This is page 0.", "This is page 1."]
    assert stage.incidents[-1].startswith("The cached models cannot be loaded (")
    assert stage.incidents[-1].endswith(f"); they are downloaded again to {fresh}.")
    assert len(stage.incidents) == times
    assert stage.left_behind() == []
