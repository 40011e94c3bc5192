"""What stalled and crashed workers leave behind lies beside the results, each incident's under a name of its own."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from paddlevl_doctor.parsing.engines.failures import save_incident
from paddlevl_doctor.values.errors import DoctorError
from sessions import Stage, document, texts


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def kept(stage: Stage) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(stage.kept.glob("*"))}


def test_a_worker_that_stands_still_leaves_its_stacks_and_the_incident_says_where(stage: Stage) -> None:
    path = document(stage.folder, 0, 2)
    for _ in range(2):
        (job,) = stage.run([path], [stage.engine()], faults=[[1, "deadlock"]])
        assert texts(job) == ["This is page 0.", "This is page 1."]
        for mark in (stage.folder / "log").glob("fault-*"):
            mark.unlink()

    names = ["from-0-0002-first-2.txt", "from-0-0002-first.txt"]
    assert sorted(kept(stage)) == names
    assert all("in stand_still" in words for words in kept(stage).values())
    assert [re.sub(r"\d+ s ", "N s ", incident) for incident in stage.incidents] == [
        "Page 2, first try: while reading, the process made no progress for N s and was stopped"
        f" (more in {stage.kept / name})"
        for name in reversed(names)
    ]


def test_a_worker_that_crashes_leaves_its_last_words(stage: Stage) -> None:
    stage.run([document(stage.folder, 0, 1)], [stage.engine()], faults=[[0, "segv"]])

    (words,) = kept(stage).values()
    assert "Segmentation fault" in words
    assert stage.incidents[0].endswith(f"(more in {stage.kept / 'from-0-0001-first.txt'})")


def test_a_worker_that_is_ended_because_nobody_waits_any_more_is_no_incident(stage: Stage) -> None:
    engine = stage.engine()

    def interrupt(doing: str) -> None:
        if doing == "read":
            threading.Thread(target=engine.close).start()

    engine.on_stage = interrupt
    with pytest.raises(DoctorError, match="Interrupted"):
        stage.run([document(stage.folder, 0, 1)], [engine], faults=[[0, "deadlock"]])

    assert (stage.incidents, kept(stage), stage.left_behind()) == ([], {}, [])


def test_a_run_without_an_incident_leaves_no_folder_for_them(stage: Stage) -> None:
    stage.run([document(stage.folder, 0, 1)], [stage.engine()])

    assert not stage.kept.exists()


def test_a_folder_that_cannot_be_written_costs_only_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert save_incident(tmp_path / "file" / "incidents", "name", "words") is None
