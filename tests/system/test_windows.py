"""The ways that only Windows takes, on stand-ins with its quirks: links to folders, locks and process trees."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from checks_machines import CURRENT, target
from fake_system import FakeSystem
from paddlevl_doctor.facts.collect import PIPELINES, collect_facts, pipelines_link
from paddlevl_doctor.facts.target import STATE_FOLDER, Choice
from paddlevl_doctor.fix import installs, journal, lock
from paddlevl_doctor.fix.entries import Places, take_back
from paddlevl_doctor.fix.lock import locked
from paddlevl_doctor.fix.recorded_changes import changes_of
from paddlevl_doctor.fix.start_variables import Variable, content_of
from paddlevl_doctor.fix.steps import StepContext, link_pipelines, write_text
from paddlevl_doctor.fix.undo import take_back_steps
from paddlevl_doctor.parsing.workers import warm_daemon
from paddlevl_doctor.parsing.workers.json_lines_process import JsonLinesProcess
from paddlevl_doctor.system import files, processes
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import PipelinesLink, Target
from paddlevl_doctor.values.plan import LinkPipelines, SetEnvironment
from waiting import until
from windows import with_byte_locks, with_junctions, without_sessions

# --- links to folders -------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A target's site-packages with one pipeline file in it."""
    folder = tmp_path / "venv" / "Lib" / "site-packages"
    (folder / PIPELINES).mkdir(parents=True)
    (folder / PIPELINES / "OCR.yaml").write_text("name: OCR\n")
    return folder


def of(site: Path) -> Target:
    prefix = str(site.parents[1])
    return target(CURRENT, purelib=str(site), platlib=str(site), prefix=prefix, python=f"{prefix}/python.exe")


def work(site: Path) -> StepContext:
    """A transaction that has begun in this target."""
    prefix = site.parents[1]
    transaction = journal.begin(prefix, {}, creates=False)
    return StepContext(RealSystem(), transaction, prefix / "python.exe", creates=False, known=[of(site)])


def step(path: Path) -> LinkPipelines:
    words = {"summary": "", "resolves": (), "diff": "", "precondition": "", "undo": ""}
    return LinkPipelines(id="link", path=str(path), **words)  # type: ignore[arg-type]


def state(site: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> PipelinesLink:
    monkeypatch.chdir(folder)
    return pipelines_link(RealSystem(), of(site))


@pytest.mark.parametrize("windows", [False, True], ids=["symbolic link", "junction"])
def test_the_link_is_made_known_as_ours_and_taken_back_without_what_it_points_to(
    windows: bool, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if windows:
        with_junctions(monkeypatch)
    path, wanted = tmp_path / "pipelines", str(site / PIPELINES)
    ours = work(site)
    assert state(site, monkeypatch, tmp_path) == PipelinesLink(str(path), "absent", None, wanted)
    assert link_pipelines(ours, step(path)) == "applied"
    seen = state(site, monkeypatch, tmp_path)
    assert replace(seen, points_to=None) == PipelinesLink(str(path), "right", None, wanted)
    assert (path.is_symlink(), files.is_junction(path)) == (not windows, windows)
    assert (path / "OCR.yaml").read_text() == "name: OCR\n"
    assert link_pipelines(ours, step(path)) == "already"
    take_back_steps(ours.transaction, changes_of(ours.transaction))
    assert state(site, monkeypatch, tmp_path).state == "absent"
    assert [p.name for p in (site / PIPELINES).iterdir()] == ["OCR.yaml"]


@pytest.mark.parametrize("windows", [False, True], ids=["symbolic link", "junction"])
def test_a_dangling_link_is_replaced_and_brought_back_by_undo(
    windows: bool, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if windows:
        with_junctions(monkeypatch)
    path, ours = tmp_path / "pipelines", work(site)
    files.restore_link(path, str(tmp_path / "gone"))
    assert state(site, monkeypatch, tmp_path).state == "dangling"
    assert link_pipelines(ours, step(path)) == "applied"
    assert state(site, monkeypatch, tmp_path).state == "right"
    take_back_steps(ours.transaction, changes_of(ours.transaction))
    seen = state(site, monkeypatch, tmp_path)
    assert (seen.state, seen.points_to) == ("dangling", str(tmp_path / "gone"))


def test_a_link_that_somebody_made_point_elsewhere_stays(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_junctions(monkeypatch)
    path, ours = tmp_path / "pipelines", work(site)
    link_pipelines(ours, step(path))
    path.rmdir()
    (tmp_path / "mine").mkdir()
    files.make_link(path, tmp_path / "mine")
    take_back_steps(ours.transaction, changes_of(ours.transaction))
    assert state(site, monkeypatch, tmp_path).points_to == str(tmp_path / "mine")


def test_a_folder_in_the_way_is_neither_replaced_nor_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_junctions(monkeypatch)
    (tmp_path / "pipelines").mkdir()
    with pytest.raises(FileExistsError):
        files.make_link(tmp_path / "pipelines", tmp_path)
    files.remove_link(tmp_path / "pipelines")
    assert (tmp_path / "pipelines").is_dir()


@pytest.mark.parametrize(
    ("read", "meant"),
    [
        ("\\\\?\\C:\\venv\\Lib", "C:\\venv\\Lib"),
        ("\\\\?\\UNC\\server\\share\\venv", "\\\\server\\share\\venv"),
        ("C:\\venv", "C:\\venv"),
        ("../lib", "../lib"),
    ],
)
def test_the_target_of_a_link_is_told_without_the_prefix_of_windows(
    read: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "readlink", lambda _: read)
    assert RealSystem().link_target(Path("pipelines")) == meant


def test_what_lies_behind_a_junction_is_neither_kept_nor_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "venv"
    for path in (root / "a.py", tmp_path / "mine" / "page.png"):
        path.parent.mkdir()
        path.write_text("1")
    with_junctions(monkeypatch)
    files.make_link(root / "documents", tmp_path / "mine")
    places = Places(root, root / STATE_FOLDER / "1", root / STATE_FOLDER / "aside")
    installs.keep_tree(root, (".",), places.kept / "s")
    assert os.listdir(places.kept / "s" / "0") == ["a.py"]
    (root / "a.py").unlink()
    (root / "a.py").write_text("2")
    (tmp_path / "mine" / "second.png").write_text("2")
    found = installs.find_changes(root, (".",), places.kept / "s", {str(root / "a.py"): None}, "s")
    assert ([entry.path for entry in found.entries], found.folders) == (["a.py"], ())
    take_back(places, found.entries, found.folders, found.created)
    assert (root / "a.py").read_text() == "1"
    assert sorted(os.listdir(tmp_path / "mine")) == ["page.png", "second.png"]
    assert files.is_junction(root / "documents")


# --- the activation file ----------------------------------------------------------------------------------


def test_the_file_for_powershell_is_written_and_how_to_read_it_in_is_said(site: Path) -> None:
    ours, path = work(site), site.parents[1] / "it's mine.ps1"
    content = content_of((Variable("A", "b", "why"),), "powershell")
    done = write_text(ours, SetEnvironment(id="s", summary="", path=str(path), content=content))
    assert (done, path.read_bytes()) == ("applied", b"\xef\xbb\xbf# why\n$env:A = 'b'\n")
    assert [str(note) for note in ours.notes] == [
        f"in every new PowerShell: `. '{site.parents[1]}/it''s mine.ps1'` (if scripts are not allowed, "
        "first run: `Set-ExecutionPolicy -Scope Process RemoteSigned`)"
    ]


# --- the lock ---------------------------------------------------------------------------------------------


def test_the_byte_lock_keeps_a_second_doctor_out_and_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = with_byte_locks(monkeypatch)
    with locked(tmp_path / "venv"), pytest.raises(UsageError), locked(tmp_path / "venv"):
        raise AssertionError("two at once")
    assert done == ["locked", "unlocked"]
    assert list(tmp_path.iterdir()) == []


def test_a_transaction_that_is_remembered_keeps_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_byte_locks(monkeypatch)
    transaction = journal.Transaction(tmp_path, 1)
    transaction.folder.mkdir(parents=True)
    with locked(tmp_path):
        transaction.write("begin", number=1)
    assert sorted(os.listdir(tmp_path / STATE_FOLDER)) == ["transactions"]


def test_whoever_has_opened_the_lock_file_since_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_byte_locks(monkeypatch)
    unlock, second = files.unlock_file, []

    def let_go(descriptor: int) -> None:
        unlock(descriptor)
        second.append(os.open(tmp_path / STATE_FOLDER / "lock", os.O_RDWR))
        assert files.lock_file(second[0])
        (tmp_path / STATE_FOLDER / "holder.json").write_text("{}")

    with locked(tmp_path):
        monkeypatch.setattr(lock, "unlock_file", let_go)
    assert sorted(os.listdir(tmp_path / STATE_FOLDER)) == ["holder.json", "lock"]
    os.close(second[0])


# --- processes --------------------------------------------------------------------------------------------

TREE = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {leaf!r}]); {then}"
LEAF = "import time; time.sleep(600)"


def grandchildren(pid: int) -> list[psutil.Process]:
    until(lambda: psutil.Process(pid).children(recursive=True))
    return psutil.Process(pid).children(recursive=True)


def gone(processes: list[psutil.Process]) -> bool:
    return psutil.wait_procs(processes, timeout=60)[1] == []


def test_a_child_is_out_of_reach_of_ctrl_c_on_both_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes.own_group() == {"start_new_session": True}
    monkeypatch.setattr(processes, "WINDOWS", True)
    assert processes.own_group() == {"creationflags": 0x200}


def test_a_command_that_takes_too_long_ends_with_its_tree_without_any_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signalled = without_sessions(monkeypatch)
    note = tmp_path / "leaf"
    script = f"import os, time\nif not os.fork(): open({str(note)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)"
    done = RealSystem().run((sys.executable, "-S", "-E", "-c", script), timeout=3.0)
    assert (done.timed_out, done.ok, signalled) == (True, False, [])
    assert not psutil.pid_exists(int(note.read_text()))


def test_a_server_ends_with_its_tree_without_any_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signalled = without_sessions(monkeypatch)
    argv = (sys.executable, "-c", TREE.format(leaf=LEAF, then="time.sleep(600)"))
    child = RealSystem().start(argv, os.environ, tmp_path / "log")
    leaves = grandchildren(child.pid)
    child.stop()
    assert (gone(leaves), child.wait(0) is None, signalled) == (True, False, [])


def test_a_worker_ends_with_its_tree_without_any_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signalled = without_sessions(monkeypatch)
    argv = (sys.executable, "-c", TREE.format(leaf=LEAF, then="time.sleep(600)"))
    child = JsonLinesProcess(argv, os.environ, tmp_path / "log")
    leaves = grandchildren(child.process.pid)
    child.kill()
    assert (gone(leaves), child.process.returncode, signalled) == (True, -9, [])


def test_a_keeper_ends_its_worker_with_its_tree_without_any_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signalled = without_sessions(monkeypatch)
    one = warm_daemon.WarmWorkerDaemon(tmp_path, 60.0, [])
    argv = (sys.executable, "-c", TREE.format(leaf=LEAF, then="time.sleep(600)"))
    one.worker = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    leaves = grandchildren(one.worker.pid)
    one._stop_worker()
    assert (gone(leaves), one.worker.poll() is None, signalled) == (True, False, [])


def test_without_a_keeper_the_command_is_waited_for_where_it_cannot_be_become(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_sessions(monkeypatch)
    assert warm_daemon._exec_command([sys.executable, "-c", "raise SystemExit(7)"]) == 7


@pytest.mark.parametrize(
    ("windows", "code", "given"),
    [
        (False, 0, 0),
        (False, 3, 3),
        (False, -9, 137),
        (True, 3, 3),
        (True, 0xC0000005, 0xC0000005 - 2**32),
    ],
)
def test_the_end_of_a_worker_is_passed_on(
    windows: bool, code: int, given: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "WINDOWS", windows)
    assert warm_daemon.exit_status(code) == given


def test_where_folders_cannot_be_opened_they_are_not_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    really: Callable[..., int] = os.open
    monkeypatch.setattr(os, "open", lambda path, *words: opened.append(path) or really(path, *words))
    files.sync_folder(tmp_path)
    monkeypatch.setattr(files, "WINDOWS", True)
    files.sync_folder(tmp_path)
    assert opened == [tmp_path]


# --- the rest ---------------------------------------------------------------------------------------------


class Windows(RealSystem):
    """This machine, which says that it is Windows."""

    platform = "win32"
    env: Mapping[str, str] = {}

    def __init__(self, **env: str) -> None:
        self.env = env


@pytest.mark.parametrize("place", ["System32/nvml.dll", "NVIDIA Corporation/NVSMI/nvml.dll"])
def test_nvml_is_asked_where_one_of_its_two_places_has_it(place: str, tmp_path: Path) -> None:
    system = Windows(WINDIR=str(tmp_path), ProgramFiles=str(tmp_path))
    with pytest.raises(OSError, match=r"there is no .*System32.nvml\.dll"):
        system.nvml()
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).touch()
    assert system.nvml().__name__ == "pynvml"


def test_uv_keeps_its_cache_elsewhere() -> None:
    asked: list[Path] = []

    class Asked(FakeSystem):
        def free_disk_mb(self, path: Path) -> int | None:
            asked.append(path)
            return 1

    home = {"LOCALAPPDATA": "C:/Users/a/AppData/Local", "TEMP": "C:/Users/a/AppData/Local/Temp"}
    collect_facts(Asked(platform="win32", env=home), Choice(None, ".venv", explicit=False), lambda: None)
    assert asked[1] == Path("C:/Users/a/AppData/Local/uv/cache")
    assert asked[3] == Path("C:/Users/a/AppData/Local/Temp")


SIGNS = (
    "os.name",
    "sys.platform",
    "platform.system()",
    "msvcrt",
    "_winapi",
    "winreg",
    "killpg",
    "creationflags",
)
SOURCE = Path(__file__).parents[2] / "src" / "paddlevl_doctor"


def test_only_the_door_and_the_probes_ask_which_system_this_is() -> None:
    modules = (p for p in SOURCE.rglob("*.py") if not {"system", "probes"} & set(p.parts))
    code = {p: re.sub(r'"""[\s\S]*?"""|#.*', "", p.read_text(encoding="utf-8")) for p in modules}
    assert [(p.name, sign) for p, text in code.items() for sign in SIGNS if sign in text] == []
