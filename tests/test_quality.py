"""The checks that are not about behaviour: formatting, lint, types, and that the pages agree with each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from paddlevl_doctor.messages import SENTENCES

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run(*argv: str) -> str:
    """Run a tool of the development environment in the repository; return what it complained about."""
    done = subprocess.run(
        [sys.executable, "-m", *argv], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_code_is_formatted() -> None:
    assert run("ruff", "format", "--check", ".") == ""


def test_the_linter_is_content() -> None:
    assert run("ruff", "check", ".") == ""


def test_the_types_are_sound() -> None:
    assert run("mypy") == ""


def commands_of(page: str) -> list[str]:
    return [
        line
        for block in FENCE.findall((ROOT / page).read_text(encoding="utf-8"))
        for line in block.splitlines()
    ]


def test_ci_runs_the_test_command_of_the_readme() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert commands_of("README.md")[1] in ci


def used_keys() -> set[str]:
    """Every key that the source asks the sentences for, directly or by a list of literal keys."""
    source = "\n".join(
        p.read_text(encoding="utf-8") for p in (ROOT / "src").rglob("*.py") if p.name != "messages.py"
    )
    source += (ROOT / "src/paddlevl_doctor/report/templates/check.html").read_text(encoding="utf-8")
    source += (ROOT / "src/paddlevl_doctor/report/templates/run.html").read_text(encoding="utf-8")
    return set(re.findall(r"""["']([a-z0-9]+(?:-[a-z0-9]+)*)["']""", source))


FAMILIES = (
    "rung-",
    "worker-",
    "document-",
    "picture-",
    "difference-",
    "witness-",
    "run-kind-",
    "matrix-part-",
    "gpu-",
    "status-",
    "seen-",
    "state-",
    "patch-automatic",
    "patch-offered",
    "room-",
)
"""Keys that are put together at run time."""


def test_no_sentence_is_left_over() -> None:
    asked = used_keys()
    assert [k for k in SENTENCES if k not in asked and not k.startswith(FAMILIES)] == []


@pytest.mark.parametrize("key", SENTENCES)
def test_both_languages_of_a_sentence_take_the_same_values(key: str) -> None:
    english, chinese = (sorted(re.findall(r"\{(\w+)\}", words)) for words in SENTENCES[key])
    assert english == chinese
    assert SENTENCES[key][0] != ""


def test_every_reason_for_no_gpu_has_its_sentence() -> None:
    text = (ROOT / "src/paddlevl_doctor/facts/gpu.py").read_text(encoding="utf-8")
    reasons = set(re.findall(r'"((?:no|library|driver|nvml)-[a-z-]+)"', text))
    assert reasons
    assert {reason for reason in reasons if f"gpu-{reason}" not in SENTENCES} == set()


@pytest.mark.xdist_group("together")
def test_the_processes_of_a_run_know_the_groups_of_tests(request: pytest.FixtureRequest) -> None:
    """What a module builds once is else built by every process, and the run takes twice as long."""
    assert request.node.nodeid.endswith("@together") == ("PYTEST_XDIST_WORKER" in os.environ)


def test_no_page_names_a_machine_or_a_registry() -> None:
    from pip._internal.models.index import PyPI

    hosts = [PyPI.netloc, PyPI.file_storage_domain, str(Path.home()) + "/", str(ROOT.parent) + "/"]
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    texts = {n: (ROOT / n).read_bytes() for n in tracked if (ROOT / n).is_file()}
    assert [name for name, data in texts.items() if any(h.encode() in data for h in hosts)] == []
