"""The command line itself: help, suggestions, completion, and which modules a command loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from doctor import PROGRAM, doctor
from paddlevl_doctor.cli.group import COMMANDS, load
from paddlevl_doctor.values.findings import ExitCode

COMPLETE = "_PADDLEVL_DOCTOR_COMPLETE"


@pytest.mark.parametrize("words", [(), ("check",), ("pipelines", "list")], ids=" ".join)
def test_h_is_short_for_help_on_every_command(words: tuple[str, ...], tmp_path: Path) -> None:
    short, long = doctor(*words, "-h", cwd=tmp_path), doctor(*words, "--help", cwd=tmp_path)
    assert (short.code, short.stderr) == (0, "")
    assert short.stdout.startswith(" ".join(("Usage:", *PROGRAM, *words)))
    assert short == long


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (("chek",), "No such command 'chek'. Did you mean 'check'?"),
        (("check", "--onyl", "x"), "No such option: --onyl (Possible options: --only)"),
    ],
    ids=["command", "option"],
)
def test_a_mistyped_word_gets_the_nearest_one(
    words: tuple[str, ...], suggestion: str, tmp_path: Path
) -> None:
    answer = doctor(*words, cwd=tmp_path)
    assert (answer.code, answer.stdout) == (2, "")
    assert suggestion in answer.stderr


def test_the_help_of_the_program_says_what_the_help_of_each_command_says() -> None:
    assert {name: load(name).help for name in COMMANDS} == {
        name: words for name, (_, words) in COMMANDS.items()
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("paddlevl-doctor ch", ["check"]),
        ("paddlevl-doctor patches s", ["show", "status"]),
        ("paddlevl-doctor check --str", ["--strict"]),
        ("paddlevl-doctor parse --witness a", ["auto", "all"]),
    ],
)
def test_a_shell_completes_commands_options_and_values(line: str, words: list[str], tmp_path: Path) -> None:
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), COMPLETE: "complete_bash"}
    program = "import sys; sys.argv = ['paddlevl-doctor']; from paddlevl_doctor.cli import main; main()"
    argv = [sys.executable, "-c", program]
    done = subprocess.run(
        argv, cwd=tmp_path, env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.stderr) == (words, "")


def loaded_by(program: str) -> set[str]:
    """Return the modules of the doctor that a program loads, without the name of the package."""
    code = f"{program}; import sys; print(*(m[16:] for m in sys.modules if m.startswith('paddlevl_doctor.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_command_loads_its_own_module_and_help_loads_none() -> None:
    cli = {"cli", "cli.group"}
    assert {m for m in loaded_by("import paddlevl_doctor.cli") if m.startswith("cli")} == cli
    one = loaded_by("from paddlevl_doctor.cli.group import load; load('undo')")
    assert {m for m in one if m.startswith("cli")} == {*cli, "cli.common", "cli.fix"}


def test_the_rules_are_not_loaded_before_the_facts_are_asked_for() -> None:
    """They are loaded while the target's Python starts."""
    assert not {"checks", "checks.base", "logs"} & loaded_by("import paddlevl_doctor.cli.check")


def test_a_command_that_cannot_be_imported_ends_as_every_other_internal_error(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['paddlevl_doctor.commands.parse'] = None\n"
        "sys.argv = ['paddlevl-doctor', 'parse', 'page.png']\n"
        "from paddlevl_doctor.cli import main\n"
        "main()\n"
    )
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (ExitCode.INTERNAL, "")
    (report,) = tmp_path.glob("paddlevl-doctor-*.md")
    assert str(report) in done.stderr
    assert "Traceback" not in done.stderr
    assert "paddlevl_doctor.commands.parse" in report.read_text(encoding="utf-8")
