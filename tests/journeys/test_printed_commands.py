"""Every command that the doctor prints is run as a user does who copies it: it works, and what it is for is done."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uv

from broken import BROKEN
from doctor import PROGRAM, doctor, fingerprint
from environments import fresh_copy
from printed import in_terminal, printed_commands, program_line, run_printed, try_commands

pytestmark = pytest.mark.xdist_group("printed-commands")
BIN = Path(sys.prefix) / "bin"
VENV = ("--venv", "my env")
FINDING = "use-doc-preprocessor"


@dataclass(frozen=True)
class Way:
    """A way to call the doctor, and the program that its commands name."""

    program: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The program as a shell needs it."""
        return program_line(self.program)


WAYS = {
    "a relative path": Way((".doctor/bin/paddlevl-doctor",)),
    "an absolute path": Way((str(BIN / "paddlevl-doctor"),)),
    "a module": Way(PROGRAM),
    "a name on PATH": Way(("paddlevl-doctor",), {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the doctor in .doctor, as in README, and a target that only its name finds."""
    folder = tmp_path_factory.mktemp("project")
    fresh_copy("current-311", folder / "my env")
    (folder / ".doctor").symlink_to(sys.prefix)
    return folder


@pytest.mark.parametrize(("width", "lang"), [(40, "en"), (40, "zh"), (80, "en"), (200, "zh")])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_check_prints_whole_commands_at_every_width(way: Way, width: int, lang: str, project: Path) -> None:
    shown = in_terminal((*way.program, "check", *VENV, "--lang", lang), project, width, way.env)
    assert shown.code == 0, shown.stderr
    assert printed_commands(shown.stdout, way.line) == [
        f"{way.line} fix --apply --only {FINDING} --venv 'my env'",
        f"{way.line} fix --venv 'my env'",
    ]


@pytest.mark.parametrize(("name", "width"), [("a relative path", 40), ("a name on PATH", 200)])
def test_the_commands_lead_from_the_check_to_the_plan_to_the_cure_and_back(
    name: str, width: int, project: Path
) -> None:
    way = WAYS[name]
    before = fingerprint(project / "my env")
    checked = in_terminal((*way.program, "check", *VENV), project, width, way.env)
    cure, plan = printed_commands(checked.stdout, way.line)

    planned = run_printed(f"{plan} --only {FINDING} --skip queue-deadlock-on-error", project, way.env)
    words = f"--only {FINDING} --skip queue-deadlock-on-error --venv 'my env'"
    assert printed_commands(planned.stdout, way.line) == [f"{way.line} fix --apply {words}"], planned.stderr

    cured = run_printed(cure, project, way.env)
    assert cured.code == 0, cured.stderr
    assert FINDING not in doctor("check", *VENV, "--format", "json", cwd=project).problems()
    (undo, *_) = printed_commands(cured.stdout, way.line)
    assert undo == f"{way.line} undo --venv 'my env'"
    assert run_printed(undo, project, way.env).code == 0
    assert fingerprint(project / "my env") == before


def test_the_command_after_a_plan_repeats_what_decides_but_no_password(project: Path) -> None:
    way = WAYS["a relative path"]
    given = f"--only {FINDING} --skip torch-beside --yes --venv 'my env' --set current"
    url = "https://ada:s3cret@127.0.0.1:9/simple"
    planned = run_printed(f"{way.line} fix {given} --mirror {url}", project)
    (apply,) = printed_commands(planned.stdout, way.line)
    assert apply == f"{way.line} fix --apply {given} --mirror https://127.0.0.1:9/simple"
    assert "The password in the value of --mirror is not printed." in planned.stdout
    assert "s3cret" not in planned.stdout + planned.stderr


def test_the_argument_lists_in_json_run_without_a_shell(project: Path) -> None:
    way = WAYS["a relative path"]
    words = (*way.program, "check", *VENV, "--only", FINDING, "--format", "json")
    document = doctor(*words[1:], cwd=project).document
    (command,) = document["findings"][0]["remedy"]["commands"]
    assert command == [*PROGRAM, "fix", "--apply", "--only", FINDING, *VENV]
    planned = [word for word in command if word != "--apply"]
    done = subprocess.run(planned, cwd=project, capture_output=True, text=True, check=False)
    assert "patch" in done.stdout, done.stderr


def test_the_home_folder_is_not_printed_and_the_command_works(project: Path) -> None:
    env = {"HOME": str(project)}
    program = project / ".doctor" / "bin" / "paddlevl-doctor"
    shown = in_terminal((program, "check", "--venv", project / "my env"), project, 80, env)
    assert str(project) not in shown.stdout
    plan = printed_commands(shown.stdout, "~/.doctor/bin/paddlevl-doctor")[-1]
    assert plan == "~/.doctor/bin/paddlevl-doctor fix --venv ~/'my env'"
    assert "patch" in run_printed(plan, project, env).stdout


def test_uvx_is_named_where_it_started_the_doctor(project: Path) -> None:
    """The wheel is in the folder of the user; the place in uv's cache is never named."""
    uv_bin = Path(uv.find_uv_bin())
    subprocess.run([uv_bin, "build", "-q", "--wheel", "-o", project / "dist", ROOT], check=True)
    (wheel,) = (project / "dist").glob("*.whl")
    way = Way(
        ("uvx", "--from", f"dist/{wheel.name}", "paddlevl-doctor"),
        {"PATH": f"{uv_bin.parent}{os.pathsep}{os.environ['PATH']}"},
    )
    shown = run_printed(f"{way.line} check --venv 'my env'", project, way.env)
    assert shown.code == 0, shown.stderr
    cure, plan = printed_commands(shown.stdout, way.line)
    assert cure == f"{way.line} fix --apply --only {FINDING} --venv 'my env'"
    assert "patch" in run_printed(plan, project, way.env).stdout


ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "words",
    [
        "check --only no-such-check",
        "fix --apply --venv plain",
        "explain no-such-file",
        "frobnicate",
        "check --no-such-option",
    ],
)
def test_the_commands_in_error_messages_work(words: str, project: Path) -> None:
    way = WAYS["a relative path"]
    (project / "plain").mkdir(exist_ok=True)
    (project / "plain" / "file").touch()
    failed = run_printed(f"{way.line} {words}", project)
    assert failed.code == 2
    for line in printed_commands(failed.stderr, way.line):
        done = run_printed(line.replace(" --apply", ""), project)
        assert done.code != 2, (line, done.stderr)


@pytest.mark.parametrize("name", [name for name, one in BROKEN.items() if one.is_quick])
def test_after_each_printed_cure_the_finding_is_gone_or_the_answer_says_why_not(
    name: str, tmp_path: Path
) -> None:
    """Each cure is run alone, on the environment as it was.

    Alternatives that the text names are only planned; an earlier test has run the cure of the finding that all have.
    """
    BROKEN[name].build(tmp_path / "my env")
    (tmp_path / ".doctor").symlink_to(sys.prefix)
    tried = list(try_commands(WAYS["a relative path"].program, VENV, tmp_path, skip={FINDING}))
    assert [one for one in tried if one.failure] == []
    assert any(one.kind != "planned" for one in tried)
