"""Files that are written whole, and what must not become a file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from doctor import doctor
from paddlevl_doctor.system.child import start


def test_an_output_that_is_a_device_or_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    """Root may replace /dev/null by a file, and then every program of the machine fails."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (Path(os.devnull), pipe):
        answer = doctor("check", "--list", "--output", path, cwd=tmp_path)
        assert answer.code == (2 if path == pipe else 0), answer.stderr  # nothing reads the pipe
    assert (pipe.is_fifo(), stat.S_ISCHR(Path(os.devnull).stat().st_mode)) == (True, True)


def test_the_log_of_a_child_replaces_a_link_and_no_device(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("mine\n", encoding="utf-8")
    (tmp_path / "log").symlink_to(tmp_path / "other")
    for log in (tmp_path / "log", Path(os.devnull)):
        start(("sh", "-c", "echo said"), {}, log).stop()
    assert (tmp_path / "other").read_text(encoding="utf-8") == "mine\n"
    assert (tmp_path / "log").is_symlink() is False
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
