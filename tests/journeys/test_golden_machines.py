"""Golden machines through the command line: each recording gives its diagnosis, in both languages, anywhere."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from bundles import golden, names
from checks_machines import OF_VERSIONS
from doctor import Answer, doctor
from environments import environment
from paddlevl_doctor.facts.recording import load, redact_with, save
from paddlevl_doctor.redaction import Redactor

HAN = re.compile(r"[\u4e00-\u9fff]")
STRANGER = Redactor("/home/stranger", "stranger", "strange-host")


def replay(case: Path, *words: str) -> Answer:
    return doctor("check", "--replay", case, "--format", "json", *words, cwd=case.parent)


def loud(answer: Answer) -> dict[str, str]:
    """What a user has to hear: everything but what is right, does not apply, waits, or is true of all machines."""
    quiet = ("ok", "skipped", "blocked")
    found = {f["id"]: f["status"] for f in answer.document["findings"] if f["status"] not in quiet}
    return {name: status for name, status in found.items() if name not in OF_VERSIONS}


def without_times(answer: Answer) -> list[dict[str, object]]:
    return [{k: v for k, v in f.items() if k != "duration_ms"} for f in answer.document["findings"]]


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", names())
def test_a_golden_machine_gives_its_diagnosis(name: str, lang: str, tmp_path: Path) -> None:
    machine, case = golden(name), tmp_path / "case.zip"
    save(case, machine.recording, redact_with(STRANGER.masked))
    answer = replay(case, "--lang", lang)
    assert loud(answer) == machine.expected
    wrong = [f for f in answer.document["findings"] if f["id"] in machine.expected]
    assert [f["id"] for f in wrong if bool(HAN.search(f["title"])) != (lang == "zh")] == []
    assert answer.code == int("error" in machine.expected.values())


@pytest.mark.parametrize("name", names())
def test_a_golden_machine_says_where_its_values_come_from(name: str) -> None:
    provenance = golden(name).recording.provenance
    assert (provenance.kind, bool(provenance.sources)) == ("constructed", True)


def test_what_was_recorded_here_is_judged_the_same_anywhere(tmp_path: Path) -> None:
    active = {"VIRTUAL_ENV": str(environment("broken"))}  # an option for the target would be in the commands
    words = ("check", "--deep", "--record", "case.zip", "--format", "json")
    seen = doctor(*words, cwd=tmp_path, env=active)
    assert (seen.code, seen.stderr.count("Traceback")) == (1, 0)
    again = replay(tmp_path / "case.zip")
    assert without_times(again) == without_times(seen)
    assert load(tmp_path / "case.zip").provenance.kind == "recorded"
    assert zipfile.ZipFile(tmp_path / "case.zip").namelist() == ["manifest.json", "facts.json", "deep.json"]


def test_a_recording_holds_no_name_of_the_user(tmp_path: Path) -> None:
    home = tmp_path / "home" / "maximiliane"
    home.mkdir(parents=True)
    env = {
        "HOME": str(home),
        "USER": "maximiliane",
        "LOGNAME": "maximiliane",
        "PADDLE_PDX_CACHE_HOME": f"{home}/c",
    }
    answer = doctor("check", "--record", "case.zip", cwd=tmp_path, env=env)
    assert answer.code in (0, 1)
    with zipfile.ZipFile(tmp_path / "case.zip") as archive:
        words = b"".join(archive.read(name) for name in archive.namelist())
    assert b"maximiliane" not in words
    assert b"/home/xxxxxxxxxxx/c" in words, "the folder keeps its place and its length"


def test_a_deep_look_that_was_not_recorded_cannot_be_judged(tmp_path: Path) -> None:
    save(tmp_path / "case.zip", golden("kaggle-t4x2").recording, redact_with(STRANGER.masked))
    answer = replay(tmp_path / "case.zip", "--deep")
    assert (answer.code, answer.document["error"]["exit_code"]) == (2, 2)
    assert "was recorded without --deep" in answer.stderr


@pytest.mark.parametrize("option", [("--python", "x"), ("--venv", "x"), ("--record", "x.zip")])
def test_a_replay_looks_at_nothing_else(option: tuple[str, str], tmp_path: Path) -> None:
    save(tmp_path / "case.zip", golden("kaggle-t4x2").recording, redact_with(STRANGER.masked))
    answer = replay(tmp_path / "case.zip", *option)
    assert (answer.code, "--replay evaluates a recording; do not combine it with" in answer.stderr) == (
        2,
        True,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["case.zip"]
