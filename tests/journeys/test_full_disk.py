"""A disk that is too small is refused beforehand; one that fills up meanwhile leaves everything as it was."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import documents
from doctor import environment as clean_environment
from fake_system import FakeSystem
from kills import Trees, small_environment
from paddlevl_doctor.data_files import data_folder
from paddlevl_doctor.fix.preconditions import needed_room, refuse_tight
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import DoctorError
from paddlevl_doctor.values.plan import InstallPackages, Plan

pytestmark = pytest.mark.xdist_group("full-disk")
# Runs a repair on a file system of its own with a little free space, and tells what the trees were.
PROGRAM = """
import json, os, shutil, subprocess, sys
from pathlib import Path
import kills
from paddlevl_doctor import commands
import paddlevl_doctor.commands.apply_plan
from paddlevl_doctor.fix import preconditions

source, place, size, limit = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
project = Path(place, "project")
shutil.copytree(source, project, symlinks=True)
begun = shutil.disk_usage(place).used >> 10
os.chdir(project)
before = kills.Trees().of(project)
if limit == "no estimate":
    preconditions.refuse_tight = commands.apply_plan.refuse_tight = lambda *given: None
if os.fork() == 0:
    from paddlevl_doctor import cli
    sys.argv = ["paddlevl-doctor", "fix", "--set", "current", "--apply"]
    cli.main()
_, status = os.wait()
moved = sorted(kills.difference(before, kills.Trees().of(project)))
used = shutil.disk_usage(place).used >> 10
print("\\n" + json.dumps({"code": os.waitstatus_to_exitcode(status), "moved": moved, "begun": begun, "used": used}))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("disk") / "project"
    small_environment(folder / ".venv")
    return folder


def repair(project: Path, tmp_path: Path, size: str, limit: str) -> tuple[dict[str, Any], str]:
    """Run the repair on a file system of this size; return what it came to, and what was said."""
    argv = ["unshare", "--mount", "--map-root-user", sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        [*argv, str(project), str(tmp_path), size, limit],
        env={
            **clean_environment(project),
            "PYTHONPATH": str(Path(__file__).parents[1] / "support"),
            "NO_COLOR": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    told = done.stdout.rpartition("\n{")[2]
    assert told, done.stderr
    answer: dict[str, Any] = json.loads("{" + told)
    return answer, done.stderr


@pytest.fixture(scope="module")
def sizes(project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, int]:
    """KiB in use before and after a repair that has all the room it wants."""
    done, said = repair(project, tmp_path_factory.mktemp("roomy"), "500m", "no estimate")
    assert done["code"] == 0, said
    return done["begun"], done["used"]


def test_a_disk_that_is_too_small_is_refused_before_the_first_change(project: Path, tmp_path: Path) -> None:
    done, said = repair(project, tmp_path, "60m", "as it is")
    assert (done["code"], done["moved"]) == (1, [])
    assert "MB are needed, but " in said
    assert "on the disk of the environment" in said


@pytest.mark.parametrize("part", [0.2, 0.4, 0.6, 0.8])
def test_a_disk_that_fills_up_leaves_everything_as_it_was(
    part: float, sizes: tuple[int, int], project: Path, tmp_path: Path
) -> None:
    begun, used = sizes
    done, said = repair(project, tmp_path, f"{begun + part * (used - begun):.0f}k", "no estimate")
    assert (done["code"], done["moved"]) == (4, []), said
    assert "ran out of disk space" in said
    assert "No space left on device" in said


READING = """
import json, subprocess, sys
place, *argv = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=280k", "tmpfs", place], check=True)
full = subprocess.run(argv, capture_output=True, text=True)
subprocess.run(["mount", "-o", "remount,size=9m", place], check=True)
rest = subprocess.run([*argv, "--resume", "--format", "json"], capture_output=True, text=True)
print(json.dumps([full.returncode, full.stdout, full.stderr, rest.returncode, json.loads(rest.stdout)["documents"]]))
"""


def test_results_that_do_not_fit_are_one_sentence_and_the_next_run_reads_the_rest(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    # pictures of at most 16 pages are drawn ahead, 12 kB each: some pages are whole before the disk is full
    documents.pdf(tmp_path / "long.pdf", [documents.page(f"NUMBER {n}") for n in range(21, 45)])
    words = ("parse", "long.pdf", "--engine", "reader", "--output", "out")
    argv = ["unshare", "--mount", "--map-root-user", sys.executable, "-c", READING, "out"]
    done = subprocess.run(
        [*argv, sys.executable, "-m", "paddlevl_doctor", *words],
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    code, printed, said, later, (document,) = json.loads(done.stdout)
    # which file is the first that does not fit depends on whose page is drawn first
    assert (code, printed, re.sub(r"^out/\S+", "out", said)) == (
        1,
        "",
        "out cannot be written: No space left on device. Free some space, or choose another folder "
        "with --output. Finished pages are kept: run the same command with --resume to read the rest.\n",
    )
    assert (later, document["pages"], document["resumed"] in range(1, 24)) == (0, 24, True)


def install(*changes: str) -> Plan:
    return Plan((InstallPackages(id="install-packages", summary="install", diff="\n".join(changes)),))


def needed_mb(plan: Plan) -> int:
    return needed_room(FakeSystem(), plan).kib >> 10


def test_what_comes_is_counted_and_what_goes_is_not() -> None:
    nothing = needed_mb(Plan())
    assert needed_mb(install()) == nothing
    assert needed_mb(install("+ unknown 1.0", "- attrs 1")) == nothing + 8
    assert needed_mb(install("~ paddlepaddle 3.2.0 -> 3.2.2")) - nothing > 600
    assert needed_mb(install("~ scipy 1.0 -> 1.1")) - nothing in range(105, 125)


def test_a_new_environment_needs_what_the_list_of_its_tested_versions_takes() -> None:
    tested = data_folder("matrix") / "resolved" / "current-3.12.txt"
    words = ("uv", "pip", "install", "--requirements", str(tested), "paddlepaddle==3.2.2")
    names = ("paddlepaddle==3.2.2", "paddleocr[doc-parser]==3.7.0", "paddlex==3.7.2")
    step = InstallPackages(id="install-packages", summary="install", commands=(words,), requirements=names)
    assert needed_room(RealSystem(), Plan((step,))).kib >> 10 in range(1_200, 1_500)
    page = ("--find-links", "https://www.example/packages/stable/cu126/paddlepaddle-gpu/")
    gpu = replace(step, commands=((*words[:5], *page),), requirements=("paddlepaddle-gpu==3.2.1",))
    assert needed_room(RealSystem(), Plan((gpu,))).kib >> 10 in range(5_000, 8_000)


def test_the_cache_of_uv_needs_room_too() -> None:
    plan = install("+ paddlepaddle-gpu 3.3.1")
    places = {"uv-cache": Path("/cache")}
    refuse_tight(FakeSystem(disk_mb=5_000), places, plan)
    refuse_tight(FakeSystem(disk_mb=None), places, plan)
    with pytest.raises(DoctorError, match=r"900 MB are free \(on the disk of uv's cache\)"):
        refuse_tight(FakeSystem(disk_mb=900), places, plan)


def test_too_few_inodes_are_a_reason_of_their_own() -> None:
    plan, places = install("+ scipy 1.1"), {"target": Path("/here")}
    refuse_tight(FakeSystem(inode_counts=(9_000, 10_000)), places, plan)
    with pytest.raises(
        DoctorError, match=r"room for 3000 more files and folders \(inodes; on the disk of the env"
    ):
        refuse_tight(FakeSystem(inode_counts=(3_000, 10_000)), places, plan)


def test_a_file_system_with_too_few_inodes_is_refused_before_the_first_change(
    project: Path, tmp_path: Path
) -> None:
    """Real: the file system has 400 MB left, and fewer inodes than the repair needs."""
    size = f"500m,nr_inodes={len(Trees().of(project)) + 1000}"
    refused, words = repair(project, tmp_path, size, "as it is")
    assert (refused["code"], refused["moved"]) == (1, [])
    assert "(inodes; on the disk of the environment)" in words
