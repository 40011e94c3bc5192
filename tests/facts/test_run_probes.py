"""Running a probe: whatever it does becomes a value."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fake_system import FakeSystem
from paddlevl_doctor.facts import run_probes
from paddlevl_doctor.facts.run_probes import run_probe
from paddlevl_doctor.system.machine import Completed, RealSystem
from paddlevl_doctor.values.facts import ProbeResult
from waiting import is_running

PYTHON = "/env/bin/python"
ARGV = (PYTHON, "-X", "utf8", str(run_probes.PROBES / "imports.py"), "--only", "paddle")


def answer_to(done: Completed) -> ProbeResult:
    system = FakeSystem(commands={ARGV: done})
    return run_probe(system, PYTHON, "imports", ("--only", "paddle"), 30)


def completed(
    returncode: int | None, stdout: str = "", stderr: str = "", *, timed_out: bool = False
) -> Completed:
    return Completed(ARGV, returncode, stdout, stderr, 1.5, timed_out)


def test_the_document_is_the_last_line_of_the_output() -> None:
    done = completed(0, 'noise\n{"probe": "imports", "error": null}\n', "a warning")
    assert answer_to(done) == ProbeResult("answered", {"probe": "imports", "error": None}, "", 1.5)


@pytest.mark.parametrize(
    ("done", "status", "detail"),
    [
        (completed(-4, stderr="x\nIllegal instruction\n"), "crashed", "SIGILL: Illegal instruction"),
        (completed(-11), "crashed", "SIGSEGV"),
        (completed(-250), "crashed", "signal 250"),
        (completed(0xC0000005), "crashed", "ACCESS_VIOLATION"),
        (
            completed(1, stderr="Traceback\nSyntaxError: invalid"),
            "crashed",
            "exit status 1: SyntaxError: invalid",
        ),
        (completed(-15, stderr="loading", timed_out=True), "timed-out", "no answer in 30 s: loading"),
        (completed(None, stderr="[Errno 2] No such file"), "not-started", "[Errno 2] No such file"),
        (completed(0), "garbage", "no document at the end of the output"),
        (completed(0, "hello\n"), "garbage", "no document at the end of the output: hello"),
        (completed(0, "[1]"), "garbage", "no document at the end of the output: [1]"),
        (completed(0, '{"probe": "x"}'), "garbage", 'no document at the end of the output: {"probe": "x"}'),
    ],
)
def test_anything_else_is_a_status_with_its_reason(
    done: Completed, status: run_probes.Status, detail: str
) -> None:
    assert answer_to(done) == ProbeResult(status, None, detail, 1.5)


def test_a_probe_is_a_file_or_a_folder() -> None:
    assert run_probes.probe_path("imports").name == "imports.py"
    assert (run_probes.probe_path("selftest") / "__main__.py").is_file()


@dataclass
class Listening(FakeSystem):
    """A machine that remembers the environment of the last command."""

    heard: dict[str, str] = field(default_factory=dict)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ARG002
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,  # noqa: ARG002
    ) -> Completed:
        self.heard = dict(env or {})
        assert Path(self.heard["TMPDIR"]).is_dir()
        return Completed(tuple(argv), 0, '{"probe": "imports"}')


def test_by_default_a_probe_writes_no_bytecode_and_its_temporary_files_go_away() -> None:
    system = Listening(env={"PATH": "/bin"})
    run_probe(system, PYTHON, "imports", (), 30)
    temporary = {system.heard.pop(name) for name in ("TMPDIR", "TEMP", "TMP")}
    assert system.heard == {
        "PATH": "/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PADDLEVL_DOCTOR_PROBE_SECONDS": "30",
    }
    assert [Path(folder).exists() for folder in temporary] == [False]


def test_an_environment_that_is_given_replaces_the_default() -> None:
    system = Listening(env={"PATH": "/bin"})
    run_probe(system, PYTHON, "imports", (), 30, {"HOME": "/h"})
    assert set(system.heard) == {"HOME", "TMPDIR", "TEMP", "TMP", "PADDLEVL_DOCTOR_PROBE_SECONDS"}


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the package's probes."""
    monkeypatch.setattr(run_probes, "PROBES", tmp_path)
    return tmp_path


def run_script(folder: Path, code: str, timeout: float = 60) -> ProbeResult:
    (folder / "script.py").write_text(code, encoding="utf-8")
    return run_probe(RealSystem(), sys.executable, "script", (), timeout)


def test_a_probe_that_hangs_is_ended_with_everything_it_started(scripts: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import subprocess, sys; '\n"
        "    f'p = subprocess.Popen({sleep!r}); print(p.pid, file=sys.stderr, flush=True); p.wait()'])\n"
        "print(child.pid, file=sys.stderr, flush=True)\n"
        "time.sleep(600)\n"
    )
    result = run_script(scripts, code, timeout=5)
    assert (result.status, result.data) == ("timed-out", None)
    assert result.detail.startswith("no answer in 5 s: ")
    assert not is_running(int(result.detail.rpartition(" ")[2]))


def test_a_probe_that_dies_of_a_signal_names_it(scripts: Path) -> None:
    result = run_script(scripts, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert (result.status, result.data, result.detail) == ("crashed", None, "SIGSEGV")


def test_a_probe_that_prints_garbage_has_not_answered(scripts: Path) -> None:
    result = run_script(scripts, "print('\\x00\\ufffd {')")
    assert (result.status, result.data) == ("garbage", None)


def test_a_probe_without_a_python_has_not_started(scripts: Path) -> None:
    result = run_probe(RealSystem(), str(scripts / "no-python"), "script", (), 10)
    assert (result.status, result.data) == ("not-started", None)
    assert "No such file" in result.detail
