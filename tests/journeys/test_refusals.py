"""What is not the user's to change is refused before the first change, with the way out."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from doctor import Answer, doctor, fingerprint, start_doctor
from environments import fresh_copy, python_in
from paddlevl_doctor.packages.uv import uv_locked
from paddlevl_doctor.values.errors import DoctorError
from waiting import until

pytestmark = pytest.mark.xdist_group("refusals")
NOBODY = 65534


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refusals")
    fresh_copy("broken", folder / ".venv")
    return folder


def site(project: Path) -> Path:
    return next((project / ".venv").glob("lib/*/site-packages"))


def info(project: Path, name: str) -> Path:
    return next(site(project).glob(f"{name}-*.dist-info"))


def refused(project: Path) -> str:
    before = fingerprint(project / ".venv")
    answer: Answer = doctor("fix", "--apply", cwd=project)
    assert (answer.code, answer.stdout) == (2, "")
    assert fingerprint(project / ".venv") == before
    assert not (project / ".venv" / ".paddlevl-doctor").exists()
    assert "fix --venv NEW --apply" in answer.stderr
    return answer.stderr


def replaced(path: Path, words: str) -> Callable[[], None]:
    """Write a file anew, and return what brings the former one back."""
    former = path.read_bytes() if path.exists() else None

    def write(data: bytes) -> None:
        path.with_name("new").write_bytes(data)
        path.with_name("new").replace(path)

    write(words.encode())
    return lambda: path.unlink() if former is None else write(former)


def test_an_environment_of_another_user_is_left_alone(project: Path) -> None:
    venv = project / ".venv"
    os.chown(venv, NOBODY, -1)
    try:
        assert "belongs to another user (nobody)" in refused(project)
    finally:
        os.chown(venv, os.geteuid(), -1)


@pytest.mark.parametrize("inside", ["numpy", "numpy/linalg"])
@pytest.mark.parametrize("place", ["outside", ".venv/shared"])
def test_a_package_with_a_folder_that_is_a_link_is_left_alone(project: Path, inside: str, place: str) -> None:
    """uv follows the link: it removed the files outside, and nothing could bring them back."""
    folder, moved = site(project) / inside, project / place
    folder.rename(moved)
    folder.symlink_to(moved)
    try:
        (moved / "mine.py").touch()
        before = fingerprint(project)
        answer = doctor("fix", "--apply", cwd=project)
        assert (answer.code, fingerprint(project)) == (2, before)
        assert f"{folder}, a folder of numpy, is a link" in " ".join(answer.stderr.split())
        (moved / "mine.py").unlink()
    finally:
        folder.unlink()
        moved.rename(folder)


def test_packages_of_conda_are_left_alone(project: Path) -> None:
    back = replaced(info(project, "numpy") / "INSTALLER", "conda\n")
    try:
        assert "numpy in " in refused(project)
    finally:
        back()


def test_an_editable_paddlex_is_left_alone(project: Path) -> None:
    words = '{"url": "file:///src/paddlex", "dir_info": {"editable": true}}'
    back = replaced(info(project, "paddlex") / "direct_url.json", words)
    try:
        assert "paddlex in " in refused(project)
        assert "editable installation" in refused(project)
    finally:
        back()


def test_a_folder_on_a_read_only_file_system_is_left_alone(project: Path) -> None:
    folder = site(project)
    program = (
        f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && "
        f"exec {sys.executable} -m paddlevl_doctor fix --apply"
    )
    argv = ("unshare", "--mount", "--map-root-user", "sh", "-c", program)
    done = subprocess.run(argv, cwd=project, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "cannot be written, so nothing was changed" in done.stderr


def test_uvs_lock_is_held_while_files_are_touched_and_waited_for(tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").touch()
    with uv_locked(tmp_path):
        assert_locked(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "pyvenv.cfg"], "as uv leaves it"

    held = FileLock(tmp_path / ".lock", thread_local=False)
    held.acquire()
    with pytest.raises(DoctorError, match="uv has been working on"), uv_locked(tmp_path, wait=0.2):
        raise AssertionError("it must not come here")
    threading.Timer(0.3, held.release).start()
    with uv_locked(tmp_path, wait=60):
        assert not held.is_locked, "it was waited for"


def assert_locked(prefix: Path) -> None:
    """uv itself would wait: a lock of another process cannot be had."""
    program = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    argv = [sys.executable, "-c", program, str(prefix / ".lock")]
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 1


def test_a_patch_waits_for_uv_and_is_then_applied(tmp_path: Path) -> None:
    venv = fresh_copy("current-311", tmp_path / ".venv")
    held = FileLock(venv / ".lock", thread_local=False)
    held.acquire()
    fix = start_doctor("fix", "--apply", "--only", "use-doc-preprocessor", cwd=tmp_path)
    journal = venv / ".paddlevl-doctor" / "transactions" / "0001" / "journal.jsonl"
    until(lambda: journal.exists() or fix.poll() is not None)
    time.sleep(1)
    assert (fix.poll(), '"event": "intent"' in journal.read_text(encoding="utf-8")) == (None, False)
    held.release()
    _, said = fix.communicate(timeout=120)
    assert fix.returncode == 0, said
    status = doctor(
        "patches", "status", "--python", python_in(venv), "--format", "json", cwd=tmp_path
    ).document
    states = {row["patch"]: row["state"] for row in status["status"]}
    assert states["doc-preprocessor-defaults"] == "patched"
