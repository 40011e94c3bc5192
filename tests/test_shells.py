"""What is shown to be pasted arrives in the program as it was: tried in a POSIX shell, by its rules in PowerShell."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddlevl_doctor.cli.common import language_of
from paddlevl_doctor.shells import POWERSHELL, SH, command_line, shell_of, source_command
from paddlevl_doctor.system import processes
from paddlevl_doctor.system.machine import interface_locale

WORDS = ["it's", "$HOME `x` \\", "a b", "", "gpu:0,gpu:1", "@file", "名 字", "paddleocr[doc-parser]==3.7.0"]
ECHO = (sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))")


def test_a_posix_shell_hands_over_the_words_as_they_are() -> None:
    line = command_line((*ECHO, *WORDS), SH)
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == WORDS


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (("paddlevl-doctor", "fix", "--apply"), "paddlevl-doctor fix --apply"),
        (("C:\\venv\\Scripts\\python.exe", "-m", "pip"), "C:\\venv\\Scripts\\python.exe -m pip"),
        (
            ("C:\\Program Files\\uv.exe", "--python", "C:\\o'brien\\$x"),
            "& 'C:\\Program Files\\uv.exe' --python 'C:\\o''brien\\$x'",
        ),
        (
            ("uv", "paddleocr[doc-parser]==3.7.0", "numpy<2.4"),
            "uv 'paddleocr[doc-parser]==3.7.0' 'numpy<2.4'",
        ),
        (("parse", "--device", "gpu:0,gpu:1"), "parse --device 'gpu:0,gpu:1'"),
        (("x", "@a", "`b`", "", "\u2019"), "x '@a' '`b`' '' '\u2019\u2019'"),
    ],
)
def test_powershell_gets_lines_that_it_can_run(command: tuple[str, ...], line: str) -> None:
    assert command_line(command, POWERSHELL) == line


def words_of(line: str) -> list[str]:
    """Read a PowerShell line by its own rules: strings end at an apostrophe of any kind that is not doubled."""
    words, word, inside, at = [], "", False, 0
    marks = "'\u2018\u2019\u201a\u201b"
    while at < len(line):
        one = line[at]
        if inside and one in marks and line[at + 1 : at + 2] and line[at + 1] in marks:
            word, at = word + line[at + 1], at + 1
        elif one in marks:
            inside = not inside
        elif one == " " and not inside:
            words, word = [*words, word], ""
        else:
            assert inside or one not in ' $`";,@&|<>(){}#', line
            word += one
        at += 1
    return [*words, word]


@given(st.lists(st.text("ab '\u2018\u2019$`,;&|(\\名", max_size=8), min_size=1, max_size=4))
def test_no_word_is_read_differently_by_powershell(words: list[str]) -> None:
    assert words_of(command_line(("run", *words), POWERSHELL)) == ["run", *words]


def test_a_file_of_settings_is_read_into_the_shell_itself() -> None:
    assert source_command("/srv/my env/paddlevl-env.sh", SH) == ". '/srv/my env/paddlevl-env.sh'"
    assert source_command("C:\\o'b\\paddlevl-env.ps1", POWERSHELL) == ". 'C:\\o''b\\paddlevl-env.ps1'"


def test_windows_people_have_powershell() -> None:
    systems = ("win32", "windows", "linux", "darwin", "macos")
    assert [shell_of(system) for system in systems] == [POWERSHELL, POWERSHELL, SH, SH, SH]


@pytest.mark.parametrize(
    ("env", "interface", "language"),
    [
        ({}, "", "en"),
        ({"LANG": "zh_CN.UTF-8"}, "", "zh"),
        ({}, "Chinese (Simplified)_China", "zh"),
        ({}, "zh_CN", "zh"),
        ({}, "German_Germany", "en"),
        ({"LC_ALL": "en_US"}, "zh_CN", "en"),
    ],
)
def test_the_language_is_that_of_the_variables_else_of_the_system(
    env: Mapping[str, str], interface: str, language: str
) -> None:
    assert language_of(env, interface) == language


def test_only_windows_has_a_locale_that_no_variable_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getlocale", lambda: ("Chinese (Simplified)_China", "936"))
    assert interface_locale() == ""
    monkeypatch.setattr(processes, "WINDOWS", True)
    assert interface_locale() == "Chinese (Simplified)_China"
