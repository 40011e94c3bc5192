"""What people see: the first screen, the plan, the languages; and what they must never see."""

from __future__ import annotations

from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from checks_machines import CURRENT, context, hashes, machine
from paddlevl_doctor.checks import ALL
from paddlevl_doctor.checks.base import Diagnosis
from paddlevl_doctor.checks.runner import describe, run_checks
from paddlevl_doctor.redaction import without_home, without_secrets
from paddlevl_doctor.report.console import Screen
from paddlevl_doctor.report.json_documents import as_json, check_document
from paddlevl_doctor.values.check_report import CheckReport
from paddlevl_doctor.values.facts import CachedModel, Facts, ModelCache
from paddlevl_doctor.values.findings import Status

FACTS = {
    "healthy": machine(),
    "broken": machine({**CURRENT, "safetensors": "0.6.2"}, patched_files=hashes("3.7.2", patched=False)),
    "nothing": machine(target=None),
}


def report(facts: Facts) -> CheckReport:
    return CheckReport(facts, run_checks(context(facts), ALL), 0.1)


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", FACTS)
def test_the_first_screen(
    name: str, lang: str, snapshot: SnapshotAssertion, capsys: pytest.CaptureFixture[str]
) -> None:
    Screen(color=False, verbose=False, quiet=False, home=Path("/home/somebody"), lang=lang).check(
        report(FACTS[name])
    )
    assert capsys.readouterr().out == snapshot


def test_quiet_shows_problems_only(capsys: pytest.CaptureFixture[str]) -> None:
    Screen(color=False, verbose=False, quiet=True, home=Path("/root"), lang="en").check(
        report(FACTS["healthy"])
    )
    assert capsys.readouterr().out == "✓ No problems found.\n"


def test_a_deep_check_without_models_and_hosts_does_not_say_that_all_is_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    well = report(FACTS["healthy"])
    hubs = describe("model-hoster-unreachable", Diagnosis(Status.NOTE))
    screen = Screen(color=False, verbose=False, quiet=True, home=Path("/root"), lang="en")
    screen.check(CheckReport(well.facts, (*well.findings, hubs), 0.1))
    shown = capsys.readouterr().out
    assert shown.startswith(
        "! The installation has no problem, but no models are cached and no model hub answers"
    )
    assert "No problems found" not in shown


def test_the_head_names_the_models_and_marks_the_incomplete_ones(capsys: pytest.CaptureFixture[str]) -> None:
    whole = CachedModel("PP-DocLayoutV3", "/c/1", 126)
    part = CachedModel("PaddleOCR-VL-1.6", "/c/2", 1922, missing=("model.safetensors",))
    cache = ModelCache("/c", (whole, part))
    Screen(color=False, verbose=False, quiet=False, home=Path("/root"), lang="en").check(
        report(machine(cache=cache))
    )
    assert "Models   PP-DocLayoutV3, PaddleOCR-VL-1.6 ✗ (2.0 GB)" in capsys.readouterr().out


def test_text_from_elsewhere_is_never_markup_and_steers_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Screen(color=False, verbose=False, quiet=False, home=Path("/root"), lang="en")
    screen.line("[red]not markup[/red] \x1b[2J\x1b]0;title\x07 end")
    shown = capsys.readouterr().out
    assert "[red]not markup[/red]" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_secrets_and_the_users_name_do_not_leave_the_machine() -> None:
    url = "https://alice:s3cret@mirror.example/simple and hf_abcdefghijklmnopqrstuvwx"
    assert without_secrets(url) == "https://***@mirror.example/simple and ***"
    assert without_home("/home/alice/.venv and /home/alice", Path("/home/alice")) == "~/.venv and ~"
    assert without_home("/etc and /root", Path("/")) == "/etc and /root"


def test_json_holds_no_secret_either() -> None:
    facts = machine(target_problem="https://alice:s3cret@mirror.example failed", target=None)
    assert "s3cret" not in as_json(check_document(report(facts)), "en")
