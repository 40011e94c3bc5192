"""`explain` as a whole: root cause, whether it concerns the target, exit codes, and every way of showing it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from jsonschema import Draft202012Validator

import paddlevl_doctor
from checks_machines import CURRENT, T4, machine, with_gpu
from fake_system import FakeSystem
from paddlevl_doctor.commands import explain as command
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.commands.explain import ExplainReport, explain
from paddlevl_doctor.messages import set_language
from paddlevl_doctor.report.console import Screen
from paddlevl_doctor.report.explain import explain_document, markdown, show
from paddlevl_doctor.report.json_documents import as_json
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import Facts

SAMPLES = Path(__file__).parents[1] / "knowledge" / "samples"
SCHEMA = Path(paddlevl_doctor.__file__).parent / "schemas" / "explain.json"
HOME = Path("/home/somebody")
HOSTILE = (
    "ValueError: [bold red]x[/] \x1b]0;title\x07 ``` </details> <img src=x> @someone /home/somebody/secret"
)
TRACE = f'Traceback (most recent call last):\n  File "/home/somebody/a.py", line 1, in <module>\n{HOSTILE}\n'


@contextlib.contextmanager
def stage(_: str) -> Iterator[None]:
    yield


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    yield
    set_language("en")


def run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: str, facts: Facts | None = None
) -> ExplainReport:
    path = tmp_path / "log.txt"
    path.write_text(log, encoding="utf-8")
    found = SimpleNamespace(facts=facts or machine())
    monkeypatch.setattr(command, "examine", lambda system, options: found)
    return explain(FakeSystem(), str(path), TargetOptions(), stage)


def sample(name: str) -> str:
    return (SAMPLES / f"{name}.txt").read_text(encoding="utf-8").split("\n=====\n")[0]


def test_a_failure_is_named_with_its_line_its_cure_and_whether_it_applies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    facts = machine({**CURRENT, "safetensors": "0.6.2"})
    report = run(monkeypatch, tmp_path, "start\n" + sample("safetensors-framework-paddle"), facts)
    (named,) = report.explanation.matches
    assert (named.id, named.line, named.count, named.root_cause, named.consequence_of) == (
        "safetensors-framework-paddle",
        5,
        1,
        True,
        None,
    )
    assert named.excerpt == "safetensors_rust.SafetensorError: framework paddle is invalid"
    assert named.remedy.commands == (("paddlevl-doctor", "fix", "--apply", "--only", named.id),)
    assert (named.applies, report.explanation.unknown, report.exit_code()) == ("yes", (), 1)


@pytest.mark.parametrize(
    ("name", "facts", "answer"),
    [
        ("libgl-missing", machine(), "yes"),
        ("windows-torch-dll-clash", machine(), "no"),
        ("safetensors-framework-paddle", machine(), "no"),
        ("safetensors-framework-paddle", machine(target=None), "unknown"),
        ("vision-attention-oom", machine(), "no"),
        ("vision-attention-oom", with_gpu({**CURRENT, "paddlepaddle-gpu": "3.2.1"}, T4), "yes"),
        ("flashattention2-unsupported", machine(), "no"),
    ],
)
def test_whether_a_failure_concerns_this_machine(
    name: str, facts: Facts, answer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    named = run(monkeypatch, tmp_path, sample(name), facts).explanation.matches[0]
    assert (named.id, named.applies) == (name, answer)
    assert named.reason
    assert answer != "no" or named.remedy.commands == ()


def test_the_echo_follows_from_the_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = sample("pdx-reinit-masks-cause") + "\n" + sample("libgl-missing")
    report = run(monkeypatch, tmp_path, log)
    assert [(m.id, m.root_cause, m.consequence_of) for m in report.explanation.matches] == [
        ("libgl-missing", True, None),
        ("pdx-reinit-masks-cause", False, "libgl-missing"),
    ]


def test_a_healthy_log_ends_with_0_and_calls_its_odd_lines_harmless(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = run(monkeypatch, tmp_path, sample("healthy"))
    show(Screen(color=False, verbose=False, quiet=False, home=HOME, lang="en"), report)
    named = [(one.id, one.weight) for one in report.explanation.matches]
    assert (report.exit_code(), named) == (0, [("noise-that-is-not-an-error", "harmless")])
    assert "Lines that look like errors but are harmless" in capsys.readouterr().out


def test_a_log_without_anything_to_say_looks_at_no_target(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = run(monkeypatch, tmp_path, "one\ntwo\n")
    show(Screen(color=False, verbose=False, quiet=False, home=HOME, lang="en"), report)
    assert (report.facts, report.exit_code(), report.explanation.matches) == (None, 0, ())
    assert capsys.readouterr().out == "✓ No error was found in 2 lines.\n"


def test_an_unknown_error_ends_with_1_and_a_text_for_an_issue(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    report = run(monkeypatch, tmp_path, TRACE)
    assert (report.exit_code(), report.explanation.matches) == (1, ())
    assert [(u.line, u.count, len(u.trace)) for u in report.explanation.unknown] == [(3, 1, 3)]
    issue = explain_document(report, HOME, "en")["unknown"][0]["issue"]
    assert "somebody" not in issue
    assert "~/a.py" in issue


def test_an_empty_log_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is empty"):
        run(monkeypatch, tmp_path, "")


def test_hostile_text_steers_neither_the_terminal_nor_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = run(monkeypatch, tmp_path, TRACE)
    show(Screen(color=False, verbose=True, quiet=False, home=HOME, lang="en"), report)
    shown, page = capsys.readouterr().out, markdown(report, HOME, "en")
    assert "[bold red]x[/]" in shown
    for words in (shown, page):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", words)
        assert "/home/somebody" not in words
    outside = re.sub(r"^(`{3,})text\n.*?^\1$", "", page, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"(?<!\\)[<@]|^```", outside, re.MULTILINE)


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", ["numpy-2-4-scalar", "healthy", "unknown"])
def test_every_answer_follows_its_schema_and_is_shown_in_both_languages(
    name: str, lang: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_language(lang)
    report = run(monkeypatch, tmp_path, TRACE if name == "unknown" else sample(name))
    document = json.loads(as_json(explain_document(report, HOME, lang), lang))
    Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(document)
    show(Screen(color=False, verbose=True, quiet=False, home=HOME, lang=lang), report)
    shown = capsys.readouterr().out + markdown(report, HOME, lang)
    assert bool(re.search("[\u4e00-\u9fff]", shown)) == (lang == "zh")
    assert name in shown or name in ("healthy", "unknown")
