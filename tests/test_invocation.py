"""A printed command names the program as it was called, the target, and the given options that decide."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from paddlevl_doctor.data_files import read_toml
from paddlevl_doctor.invocation import (
    NAME,
    TARGETED,
    Invocation,
    Option,
    invocation,
    set_invocation,
    without_password,
)
from paddlevl_doctor.messages import message, render
from paddlevl_doctor.redaction import without_secrets
from paddlevl_doctor.shells import POWERSHELL, SH, command_line

MATRIX = Path(__file__).parents[1] / "matrix"
VENV = Option(("--venv", "my env"), TARGETED)
SET = Option(("--set", "2025-11"), ("check", "fix"))
ELSEWHERE = {"ray-no-fix", "ray-no-recording", "rule-wsl-blackwell-eager", "house-page"}
"""Messages with commands for another machine, where the program has its plain name."""


@pytest.fixture
def called() -> Iterator[None]:
    """A run that was called with a path and with options."""
    before = invocation()
    set_invocation(Invocation((".doctor/bin/paddlevl-doctor",), (VENV, SET)))
    yield
    set_invocation(before)


@pytest.mark.parametrize(
    ("command", "completed"),
    [
        ("fix --apply --only x", "P fix --apply --only x --venv ENV --set 2025-11"),
        ("fix --apply --set current", "P fix --apply --set current --venv ENV"),
        ("fix --venv NEW --apply", "P fix --venv NEW --apply --set 2025-11"),
        ("fix --python /usr/bin/python3", "P fix --python /usr/bin/python3 --set 2025-11"),
        ("undo", "P undo --venv ENV"),
        ("patches status", "P patches status --venv ENV"),
        ("serve --help", "P serve --help"),
        ("--version", "P --version"),
    ],
)
def test_a_command_gets_what_it_does_not_name_itself(command: str, completed: str) -> None:
    own = Invocation(("P",), (Option(("--venv", "ENV"), TARGETED), SET))
    assert own.complete((NAME, *command.split())) == tuple(completed.split())


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ("d", "uv pip install --python /d/python 'paddlevl-doctor[ray]'"),
        ("uvx --from x p", "uvx --with 'paddlevl-doctor[ray]' --from x p parse demo.png"),
        ("uv tool run p", "uv tool run --with 'paddlevl-doctor[ray]' p parse demo.png"),
    ],
)
def test_an_extra_is_installed_where_the_doctor_is(program: str, line: str) -> None:
    assert Invocation(tuple(program.split()), python="/d/python").install_line("ray") == line


def test_a_command_of_another_program_stays_as_it_is() -> None:
    own = Invocation(("P",), (VENV,))
    assert own.complete(("pip", "install", "x")) == ("pip", "install", "x")
    assert own.complete(()) == ()
    assert own.complete((NAME,)) == ("P",)


def test_uv_is_started_as_the_user_can_start_it() -> None:
    words = ("uv", "pip", "install", "x")
    assert Invocation().complete(words) == words
    own = Invocation(uv=("/d/python", "-m", "uv"))
    assert own.complete(words) == ("/d/python", "-m", "uv", "pip", "install", "x")


def test_without_a_command_line_nothing_is_added() -> None:
    assert Invocation().line((NAME, "fix", "--apply")) == "paddlevl-doctor fix --apply"


@pytest.mark.usefixtures("called")
def test_a_sentence_has_its_commands_completed_and_quoted() -> None:
    said = message("failure:version-set:remedy", set="current")
    line = "`.doctor/bin/paddlevl-doctor fix --apply --set current --venv 'my env'`"
    assert line in render(said, "en")
    assert line in render(said, "zh")
    skipped = message("skip-removal", names="x", id="a-finding")
    assert "--only a-finding --venv 'my env' --set 2025-11`" in render(skipped, "en")


@pytest.mark.usefixtures("called")
def test_a_value_of_a_sentence_is_one_argument_and_no_placeholder() -> None:
    said = message("skip-removal", names="{id}", id="a {doctor:fix} b")
    assert "fix --apply --only 'a {doctor:fix} b' --venv" in render(said, "en")
    assert "removes {id}." in render(said, "en")


@pytest.mark.parametrize(
    ("home", "argument", "words"),
    [
        ("/home/ada", "/home/ada/my env/x", "~/'my env/x'"),
        ("/home/ada", "/home/ada", "~"),
        ("/home/ada", "/home/ada/", "~/"),
        ("/home/ada", "/home/adamant", "/home/adamant"),
        ("/home/ada", "/mnt/home/ada/x", "/mnt/home/ada/x"),
        ("/home/ada", "pkg @ file:///home/ada/x y", "'pkg @ file://'\"$HOME\"'/x y'"),
        ("/home/ada", "~/x", "'~/x'"),
        ("/", "/x", "/x"),
    ],
)
def test_the_home_folder_is_left_to_the_shell(home: str, argument: str, words: str) -> None:
    line = command_line(("printf", "%s", argument), SH, home)
    assert line == f"printf %s {words}"
    done = subprocess.run(["sh", "-c", line], env={"HOME": home}, capture_output=True, text=True, check=True)
    assert done.stdout == argument


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        (r"C:\Users\ada\my env", '"$HOME\\my env"'),
        (r"C:\Users\ada\a$b", '"$HOME\\a`$b"'),
        (r"C:\Users\adam", r"C:\Users\adam"),
    ],
)
def test_powershell_expands_the_home_folder_too(argument: str, words: str) -> None:
    assert command_line(("run", argument), POWERSHELL, r"C:\Users\ada") == f"run {words}"
    assert command_line((r"C:\Users\ada\d.exe",), POWERSHELL, r"C:\Users\ada") == '& "$HOME\\d.exe"'


def test_a_password_is_no_part_of_a_command() -> None:
    assert without_password("https://u:p@host/simple") == "https://host/simple"
    assert without_password("https://host/simple") == "https://host/simple"
    assert without_password("https://token@host/simple") == "https://host/simple"
    assert without_password("git+ssh://git@host/x") == without_secrets("git+ssh://git@host/x")
    assert without_password("tuna") == "tuna"


def test_the_catalogue_has_every_command_as_a_placeholder() -> None:
    """A command in plain letters would name neither the program as it was called nor the target."""
    verbs = "|".join({*TARGETED, "matrix"} - {"parse"})
    plain = re.compile(rf"`{NAME} |{NAME} (?:{verbs})\b")
    found = set()
    for path in [*MATRIX.glob("messages/*.toml"), *MATRIX.glob("failures/*.toml")]:
        document = read_toml(path)
        found |= {name for name, texts in document.items() if plain.search(str(texts))}
    assert found == ELSEWHERE


def test_every_command_of_uv_in_a_text_is_completed_and_names_the_environment_that_it_changes() -> None:
    files = [*MATRIX.glob("messages/*.toml"), *MATRIX.glob("failures/*.toml")]
    texts = {path.name: path.read_text(encoding="utf-8") for path in files}
    found = {
        (name, line) for name, text in texts.items() for line in re.findall(r"uv[ :]pip install.*", text)
    }
    assert len(found) >= 4
    assert {one for one in found if not one[1].startswith("uv:pip install --python ")} == set()


@pytest.mark.usefixtures("called")
def test_a_command_of_uv_in_a_text_starts_uv_as_the_user_can() -> None:
    set_invocation(Invocation(python="/d/python", uv=("/d/python", "-m", "uv")))
    words = {"path": "a.py", "name": "paddlex", "version": "3.3.6", "python": "/my env/bin/python"}
    options = "--python '/my env/bin/python' --reinstall-package paddlex paddlex==3.3.6"
    shown = render(message("wheel-source-altered", **words), "en")
    assert f"`/d/python -m uv pip install {options}`" in shown
