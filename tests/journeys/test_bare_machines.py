"""Machines without a home, /proc, rights or room, and names that are no UTF-8: a result or one sentence, no crash."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from doctor import doctor, environment

DOCTOR = f"{sys.executable} -m paddlevl_doctor"
COMMANDS = (
    "check",
    "check --format json",
    "check --record r.zip",
    "fix",
    "matrix",
    "env",
    "undo",
    "explain log.txt",
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a POSIX shell")


def shell(command: str, folder: Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run a shell command; a variable with an empty value is not set."""
    (folder / "log.txt").write_text("ValueError: x", encoding="utf-8")
    known = {**environment(folder), **env}
    variables = {name: value for name, value in known.items() if value}
    argv = ["bash", "-c", command]
    return subprocess.run(argv, cwd=folder, env=variables, capture_output=True, check=False, timeout=120)


def assert_no_crash(done: subprocess.CompletedProcess[bytes], command: str) -> None:
    assert done.returncode in (0, 1, 2, 3), (command, done)
    assert b"Traceback" not in done.stderr, (command, done.stderr)
    assert done.stdout or done.stderr.count(b"\n") == 1, (command, done)


def test_a_user_without_a_home_and_an_entry_gets_answers(tmp_path: Path) -> None:
    code = (
        "import pwd, sys\n"
        "def unknown(_): raise KeyError\n"
        "pwd.getpwuid = pwd.getpwnam = unknown\n"
        "from paddlevl_doctor.cli import main\n"
        "main()\n"
    )
    (tmp_path / "main.py").write_text(code, encoding="utf-8")
    for words in COMMANDS:
        done = shell(
            f"{sys.executable} main.py {words}",
            tmp_path,
            HOME="",
            PADDLE_PDX_CACHE_HOME="",
            USER="",
            LOGNAME="",
        )
        assert_no_crash(done, words)


def test_a_deleted_working_folder_is_one_sentence(tmp_path: Path) -> None:
    for words in COMMANDS:
        done = shell(f"mkdir gone; cd gone; rmdir ../gone; {DOCTOR} {words}", tmp_path)
        assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), (words, done)
        assert done.stderr.startswith(b"The working folder cannot be used"), words
    assert shell(f"mkdir gone; cd gone; rmdir ../gone; {DOCTOR} --version", tmp_path).returncode == 0


def test_few_open_files_and_full_streams_crash_nothing(tmp_path: Path) -> None:
    for words in COMMANDS:
        assert_no_crash(shell(f"ulimit -n 64; {DOCTOR} {words}", tmp_path), words)
    full = shell(f"{DOCTOR} --help > /dev/full", tmp_path)
    assert (full.returncode, full.stderr.count(b"\n")) == (1, 1), full
    assert shell(f"{DOCTOR} check > /dev/full 2> /dev/full", tmp_path).returncode == 2
    assert shell(f"{DOCTOR} check 2> /dev/full", tmp_path).returncode == 1


MOUNTS = {
    "no /proc": "mount -t tmpfs none /proc",
    "read-only": " && ".join(
        f"mount --bind {path} {path} && mount -o remount,bind,ro {path}" for path in ("/", "/tmp")
    ),
}


@pytest.mark.parametrize("kind", MOUNTS)
def test_a_machine_without_proc_or_with_a_read_only_disk_gets_answers(kind: str, tmp_path: Path) -> None:
    inside = "unshare --mount bash -c"
    if shell(f"{inside} '{MOUNTS[kind]}'", tmp_path).returncode:
        pytest.skip("mounts are not allowed here")
    for words in COMMANDS:
        assert_no_crash(shell(f"{inside} '{MOUNTS[kind]} && {DOCTOR} {words}'", tmp_path), words)


# --- names ---------------------------------------------------------------------------------------------------


def test_a_folder_with_names_that_are_no_utf_8_is_read_whole(tmp_path: Path) -> None:
    Image.new("RGB", (300, 100), "white").save(tmp_path / "a.png")
    inside = tmp_path / "in" / os.fsdecode(b"\xe4")
    inside.mkdir(parents=True)
    for path in (inside / "b.png", tmp_path / "in" / os.fsdecode(b"\xff\xfe.png")):
        shutil.copyfile(tmp_path / "a.png", path)
    answer = doctor("parse", "in", "--engine", "reader", "--format", "json", cwd=tmp_path)
    assert (answer.code, answer.stderr) == (0, "")
    assert len(json.loads(answer.stdout)["documents"]) == 2
    written = {
        os.fsencode(path.relative_to(tmp_path / "output")) for path in (tmp_path / "output").rglob("*.md")
    }
    assert {b"\xff\xfe.md", b"\xe4/b.md"} <= written


# --- planted links --------------------------------------------------------------------------------------------


def test_no_written_file_follows_a_planted_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious", encoding="utf-8")
    Image.new("RGB", (300, 100), "white").save(tmp_path / "a.png")
    (tmp_path / "output").mkdir()
    for name in (
        ".r.zip.part",
        "r.zip",
        ".o.json.part",
        "o.json",
        ".requirements.txt.part",
        "output/a.md.new",
        "output/a.md",
        "output/a.json.new",
        "output/report.html",
        "output/.report.html.part",
    ):
        (tmp_path / name).symlink_to(victim)
    assert doctor("check", "--record", "r.zip", "--output", "o.json", cwd=tmp_path).code == 1
    doctor("matrix", "--export", "requirements", "--output", ".", cwd=tmp_path)
    doctor("parse", "a.png", "--engine", "reader", cwd=tmp_path)
    assert victim.read_text(encoding="utf-8") == "precious"
    assert (
        json.loads((tmp_path / "o.json").read_text(encoding="utf-8"))["schema"] == "paddlevl-doctor/check/1"
    )
    assert doctor("check", "--replay", "r.zip", cwd=tmp_path).code == 1
