"""Bad input gets one clear sentence, the exit code of the contract, and nothing half done."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image
from uv import find_uv_bin

from doctor import Answer, doctor, environment
from environments import interpreter

OFFLINE = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "UV_HTTP_TIMEOUT": "2"}


def sentence(answer: Answer, code: int) -> str:
    """The one sentence on stderr of a command that ended with this code and printed nothing else."""
    assert (answer.code, answer.stdout) == (code, "")
    assert "Traceback" not in answer.stderr
    lines = answer.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


# --- the document -----------------------------------------------------------------------------------------


def picture(path: Path) -> Path:
    Image.effect_noise((300, 200), 40).save(path)
    return path


def huge_png(path: Path, side: int) -> Path:
    """Write a white page of side x side pixels in colour, without ever holding it in memory."""
    import struct

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\x00" + b"\xff" * (3 * side)
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )
    return path


def unusable(folder: Path) -> dict[str, str]:
    """Make every kind of unusable input; returns the name and a word that the sentence must hold."""
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("this is no picture\n")
    (folder / "folder.png").mkdir()
    whole = picture(folder / "whole.png").read_bytes()
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    return {
        "missing.png": "missing.png",
        "empty.png": "empty",
        "text.png": "text.png",
        "folder.png": "no image and no PDF",
        "truncated.png": "truncated.png",
    }


@pytest.mark.parametrize("name", ["missing.png", "empty.png", "text.png", "folder.png", "truncated.png"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_an_unusable_document_is_refused_before_anything_starts(name: str, lang: str, tmp_path: Path) -> None:
    word = unusable(tmp_path)[name]
    said = sentence(doctor("parse", name, "--fix", "--lang", lang, cwd=tmp_path), 2)
    assert (word if lang == "en" else name) in said
    assert not (tmp_path / ".venv").exists(), "nothing is installed for a document that cannot be read"
    assert not (tmp_path / "output").exists()


# Runs a command, and tells the memory of whichever of its processes had most.
MEASURED = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
print(json.dumps([done.returncode, most]), done.stdout)
"""


def test_a_page_of_20000_pixels_a_side_is_scaled_down_and_said_so(tmp_path: Path) -> None:
    huge_png(tmp_path / "huge.png", 20_000)
    argv = [
        sys.executable,
        "-m",
        "paddlevl_doctor",
        "parse",
        "huge.png",
        "--engine",
        "reader",
        "--format",
        "json",
    ]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *argv],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    (code, most_mb), start = json.JSONDecoder().raw_decode(done.stdout)
    document = json.loads(done.stdout[start:])
    assert (code, document["verdict"]["summary"]) == (0, "There is nothing to read: every page is blank.")
    assert document["incidents"] == [
        "Page 1 is too large to be read at its full size; it was scaled to 33 % before reading.",
        "Page 1 is blank.",
    ]
    assert 1_500 < most_mb < 2_200, (
        "1.6 GB are the 400 million pixels of Pillow's RGB, and nothing is held twice"
    )


def test_a_name_that_no_file_can_have_is_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "There is no file " in sentence(doctor("parse", "a" * 300 + ".png", cwd=tmp_path), 2)


def test_an_output_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "page.png")
    (tmp_path / "taken").write_text("a file")
    assert "taken" in sentence(doctor("parse", "page.png", "--output", "taken", cwd=tmp_path), 2)
    assert "/proc" in sentence(doctor("parse", "page.png", "--output", "/proc/nothing", cwd=tmp_path), 2)


# --- the target -------------------------------------------------------------------------------------------


def script(path: Path, code: str) -> Path:
    path.write_text(code)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_target_that_is_no_python_is_refused(tmp_path: Path) -> None:
    program = script(tmp_path / "program", "#!/bin/sh\necho hello\n")
    assert "hello" in sentence(doctor("check", "--python", program, cwd=tmp_path), 2)
    assert "nowhere" in sentence(doctor("check", "--python", tmp_path / "nowhere", cwd=tmp_path), 2)
    assert "--venv" in sentence(doctor("check", "--python", tmp_path, cwd=tmp_path), 2)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    assert "photos" in sentence(doctor("fix", "--apply", "--venv", "photos", cwd=tmp_path), 2)
    assert "--venv" in sentence(doctor("check", "--python", "a", "--venv", "b", cwd=tmp_path), 2)


def test_a_target_whose_base_python_is_gone_is_unknown_not_a_crash(tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    script(python, "#!/bin/sh\nkill -SEGV $$\n")
    answer = doctor("check", "--format", "json", cwd=tmp_path)
    assert (answer.code, answer.problems()) == (3, {"target-environment": "unknown"})


def test_python_3_8_is_refused_with_the_reason_and_left_alone(tmp_path: Path) -> None:
    subprocess.run(
        [find_uv_bin(), "venv", "-q", "--python", interpreter("3.8"), str(tmp_path / ".venv")], check=True
    )
    answer = doctor("check", "--format", "json", cwd=tmp_path)
    assert (answer.code, answer.problems()) == (1, {"python-version-unsupported": "error"})
    plan = doctor("fix", "--apply", "--format", "json", cwd=tmp_path)
    assert (plan.code, plan.document["plan"]["steps"]) == (1, [])
    assert [skipped["finding"] for skipped in plan.document["skipped"]] == ["python-version-unsupported"]


def test_python_3_14_is_refused(tmp_path: Path) -> None:
    # There is no 3.14 on the machines that test this: a real Python says that it were one.
    pretend = "import sys; sys.version_info = type('V', (tuple,), {})((3, 14, 0, 'final', 0))\n"
    (tmp_path / "pretend").mkdir()
    (tmp_path / "pretend" / "sitecustomize.py").write_text(pretend)
    subprocess.run(
        [find_uv_bin(), "venv", "-q", "--python", sys.executable, str(tmp_path / ".venv")], check=True
    )
    wrapper = script(
        tmp_path / "python3.14",
        f'#!/bin/sh\nPYTHONPATH={tmp_path}/pretend exec {tmp_path}/.venv/bin/python "$@"\n',
    )
    answer = doctor("check", "--python", wrapper, "--format", "json", cwd=tmp_path)
    assert (answer.code, answer.problems()) == (1, {"python-version-unsupported": "error"})
    assert answer.document["target"]["version"] == "3.14.0"


def test_an_interpreter_of_the_operating_system_is_not_touched(tmp_path: Path) -> None:
    home = tmp_path / "python"
    subprocess.run([find_uv_bin(), "venv", "-q", "--python", sys.executable, str(home)], check=True)
    marked = (
        "import sys, sysconfig\n"
        "sys.base_prefix = sys.prefix\n"
        "paths = sysconfig.get_paths\n"
        f"sysconfig.get_paths = lambda *a, **k: {{**paths(*a, **k), 'stdlib': {str(tmp_path)!r}}}\n"
    )
    site = next((home / "lib").glob("python3*/site-packages"))
    (site / "sitecustomize.py").write_text(marked)
    (tmp_path / "EXTERNALLY-MANAGED").write_text("[externally-managed]\n")
    said = sentence(doctor("fix", "--apply", "--python", home / "bin" / "python", cwd=tmp_path), 2)
    assert "EXTERNALLY-MANAGED" in said
    assert not (home / ".paddlevl-doctor").exists()


# --- the network and the disk -----------------------------------------------------------------------------


def test_without_any_network_nothing_is_left_behind(tmp_path: Path) -> None:
    env = {**OFFLINE, "UV_CACHE_DIR": str(tmp_path / "empty-cache")}
    said = sentence(doctor("fix", "--apply", cwd=tmp_path, env=env), 4)
    assert "--mirror" in said
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "empty-cache") == []


def test_without_any_network_check_works_as_always(tmp_path: Path) -> None:
    assert doctor("check", "--format", "json", cwd=tmp_path, env=OFFLINE).problems() == {
        "target-environment": "error"
    }


ON_A_SMALL_DISK = """
mount -t tmpfs -o size=120m tmpfs disk || exit 70
"$@"
code=$?
ls -A disk > left.txt
exit $code
"""
"""The disk is mounted for this command alone: a mount that others see makes theirs fail."""


def test_a_disk_that_cannot_hold_a_new_environment_is_refused_also_if_the_check_is_skipped(
    tmp_path: Path,
) -> None:
    """A disk that fills up during the installation: see test_full_disk."""
    (tmp_path / "disk").mkdir()
    answer = doctor(
        *("fix", "--apply", "--venv", tmp_path / "disk" / "env", "--skip", "disk-space"),
        cwd=tmp_path,
        env={"UV_LINK_MODE": "copy"},
        under=("unshare", "--mount", "--map-root-user", "sh", "-c", ON_A_SMALL_DISK, "sh"),
    )
    assert answer.code == 1, answer.stderr
    assert "MB are free (on the disk of the environment). Nothing was changed." in answer.stderr
    assert (tmp_path / "left.txt").read_text() == ""
