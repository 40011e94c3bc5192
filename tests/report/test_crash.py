"""An error that nobody foresaw: exit code 70, and a report that can be pasted as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CRASH = (
    "from paddlevl_doctor.cli.common import Common, run\n"
    "run(Common('check'), lambda common: {}['a key that is missing'])\n"
)


def test_an_unexpected_error_leaves_a_report_and_no_bare_traceback(tmp_path: Path) -> None:
    program = tmp_path / "home" / "crash.py"
    program.parent.mkdir()
    program.write_text(CRASH)
    env = {**os.environ, "TMPDIR": str(tmp_path), "HOME": str(tmp_path / "home")}
    argv = [sys.executable, str(program), "--mirror", "https://alice:s3cret@mirror.example"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (70, "")
    assert "Traceback" not in done.stderr
    (report,) = tmp_path.glob("paddlevl-doctor-*.md")
    assert str(report) in done.stderr
    words = report.read_text(encoding="utf-8")
    assert "KeyError: 'a key that is missing'" in words
    assert "~/crash.py" in words
    assert "s3cret" not in words
    assert str(tmp_path / "home") not in words
