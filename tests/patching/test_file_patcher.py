"""The file patcher: exact, invisible to everybody else, and undone to the same inode."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uv import find_uv_bin

from paddlevl_doctor.fix.entries import Entry, Places, State, state_of, take_back
from paddlevl_doctor.knowledge.patches import Original, PatchFile, Replacement, Variant, find_patch
from paddlevl_doctor.patching import file_patcher
from paddlevl_doctor.patching.file_patcher import FileMovedError, PatchDoesNotFitError
from paddlevl_doctor.system.machine import RealSystem

DOC = find_patch("doc-preprocessor-defaults").files[0]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def patch_file(
    before: bytes, after: bytes, replacements: tuple[Replacement, ...], path: str = "pkg/m.py"
) -> PatchFile:
    original = Original(digest(before), digest(after), ("1.0",))
    return PatchFile(path, (Variant(replacements, (original,)),))


def tree(root: Path) -> dict[str, tuple[bytes, int]]:
    return {
        p.relative_to(root).as_posix(): (p.read_bytes(), p.stat().st_mode)
        for p in root.rglob("*")
        if p.is_file()
    }


def site_with(tmp_path: Path, content: bytes, mode: int = 0o644) -> tuple[Path, Path, Path]:
    """Return site-packages, a folder for kept entries, and one module in it."""
    module = tmp_path / "site" / "pkg" / "m.py"
    module.parent.mkdir(parents=True)
    module.write_bytes(content)
    module.chmod(mode)
    (tmp_path / "keep").mkdir()
    return tmp_path / "site", tmp_path / "keep", module


# --- the change itself ------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40)


@given(head=TEXT, tail=TEXT, new=TEXT)
def test_the_change_replaces_exactly_the_named_text(head: str, tail: str, new: str) -> None:
    old = "\x00the old text\x00"
    before, after = (f"{head}{middle}{tail}".encode() for middle in (old, new))
    file = patch_file(before, after, (Replacement(old, new),))
    assert file_patcher.plan_change(file, before) == after


@pytest.mark.parametrize("damage", [b" ", b"\r\n", b"# edited by somebody\n"])
def test_a_file_that_nobody_published_is_refused(damage: bytes) -> None:
    before, after = b"x = True\n", b"x = False\n"
    file = patch_file(before, after, (Replacement("True", "False"),))
    with pytest.raises(PatchDoesNotFitError):
        file_patcher.plan_change(file, before + damage)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_line_endings_around_the_change_stay_as_they_are(ending: str) -> None:
    before, after = (f"a = 1{ending}x = {value}{ending}\n".encode() for value in ("True", "False"))
    file = patch_file(before, after, (Replacement("True", "False"),))
    assert file_patcher.plan_change(file, before) == after


def test_a_patched_file_is_not_patched_again() -> None:
    before, after = b"x = 1\n", b"x = 1 + 1\n"
    file = patch_file(before, after, (Replacement("1", "1 + 1"),))
    with pytest.raises(PatchDoesNotFitError):
        file_patcher.plan_change(file, file_patcher.plan_change(file, before))


def test_a_result_that_is_not_the_recorded_one_is_refused() -> None:
    file = patch_file(b"x = True\n", b"x = None\n", (Replacement("True", "False"),))
    with pytest.raises(PatchDoesNotFitError):
        file_patcher.plan_change(file, b"x = True\n")


# --- one file ---------------------------------------------------------------------------------------------


def written(data: bytes) -> State:
    return State("file", len(data), None, digest(data))


def entry_of(module: Path, after: bytes) -> Entry:
    """Return the entry of `pkg/m.py`, which is going to get the bytes `after`."""
    return Entry("pkg/m.py", state_of(module, hashed=True), written(after), "old")


def restore(site: Path, keep: Path, entry: Entry) -> list[str]:
    return take_back(Places(site, keep, keep / "aside"), [entry])


@settings(max_examples=40, deadline=None)
@given(
    before=st.binary(max_size=60),
    after=st.binary(max_size=60),
    mode=st.sampled_from([0o644, 0o600, 0o755, 0o444]),
)
def test_undo_is_the_inverse_of_apply_and_leaves_nothing_behind(
    tmp_path_factory: pytest.TempPathFactory, before: bytes, after: bytes, mode: int
) -> None:
    site, keep, module = site_with(tmp_path_factory.mktemp("p"), before, mode)
    former, inode, entry = tree(site), module.stat().st_ino, entry_of(module, after)
    file_patcher.replace_file(site, "pkg/m.py", after, expect=digest(before), keep=keep / "old")
    assert tree(site) == {"pkg/m.py": (after, former["pkg/m.py"][1])}
    assert module.stat().st_ino != inode
    restore(site, keep, entry)
    assert (tree(site), module.stat().st_ino) == (former, inode)
    restore(site, keep, entry)  # once more changes nothing
    assert (tree(site), list(keep.iterdir())) == (former, [])


def test_a_file_that_changed_since_the_plan_is_not_written(tmp_path: Path) -> None:
    site, keep, module = site_with(tmp_path, b"somebody was faster\n")
    with pytest.raises(FileMovedError):
        file_patcher.replace_file(site, "pkg/m.py", b"new", expect=digest(b"old"), keep=keep / "old")
    assert (module.read_bytes(), list(keep.iterdir())) == (b"somebody was faster\n", [])


def test_a_file_that_the_user_edited_after_the_patch_is_set_aside(tmp_path: Path) -> None:
    site, keep, module = site_with(tmp_path, b"old")
    entry = entry_of(module, b"new")
    file_patcher.replace_file(site, "pkg/m.py", b"new", expect=digest(b"old"), keep=keep / "old")
    module.write_bytes(b"precious edit")
    assert restore(site, keep, entry) == ["pkg/m.py"]
    assert (module.read_bytes(), (keep / "aside/pkg/m.py").read_bytes()) == (b"old", b"precious edit")


def no_hard_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)


def other_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kept entries lie on a device of their own."""
    rename = Path.replace

    def within_one_folder(source: Path, target: Path) -> Path:
        if source.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(source, target)

    no_hard_links(monkeypatch)
    monkeypatch.setattr(Path, "replace", within_one_folder)
    monkeypatch.setattr(file_patcher, "staging_folder", lambda preferred, beside: beside)


@pytest.mark.parametrize("machine", [no_hard_links, other_device])
@pytest.mark.parametrize("link", [False, True])
def test_undo_is_as_exact_where_the_old_entry_cannot_be_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Callable[..., None], link: bool
) -> None:
    site, keep, module = site_with(tmp_path, b"old", 0o750)
    if link:
        module.rename(tmp_path / "cached")
        module.symlink_to(tmp_path / "cached")
    former, entry = (tree(tmp_path), module.is_symlink()), entry_of(module, b"new")
    machine(monkeypatch)
    file_patcher.replace_file(site, "pkg/m.py", b"new", expect=digest(b"old"), keep=keep / "old")
    assert (module.read_bytes(), module.is_symlink(), module.stat().st_mode & 0o777) == (b"new", False, 0o750)
    restore(site, keep, entry)
    assert (tree(tmp_path), module.is_symlink()) == former


def test_a_kept_entry_is_never_overwritten(tmp_path: Path) -> None:
    site, keep, module = site_with(tmp_path, b"old")
    (tmp_path / "cached").write_bytes(b"of uv")
    os.link(tmp_path / "cached", keep / "old")
    former = tree(tmp_path)
    with pytest.raises(FileExistsError):
        file_patcher.replace_file(site, "pkg/m.py", b"new", expect=digest(b"old"), keep=keep / "old")
    assert (tree(tmp_path), module.stat().st_nlink) == (former, 1)


def test_a_file_that_changes_while_the_new_one_is_written_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, keep, module = site_with(tmp_path, b"old")
    stage = file_patcher.stage

    def stage_slowly(folder: Path, data: bytes, mode: int) -> Path:
        module.unlink()
        module.write_bytes(b"edited meanwhile")
        return stage(folder, data, mode)

    monkeypatch.setattr(file_patcher, "stage", stage_slowly)
    with pytest.raises(FileMovedError):
        file_patcher.replace_file(site, "pkg/m.py", b"new", expect=digest(b"old"), keep=keep / "old")
    assert (module.read_bytes(), list(keep.iterdir())) == (b"edited meanwhile", [])


def test_a_file_that_cannot_be_replaced_stays_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_use(*_: object) -> None:
        raise PermissionError(errno.EACCES, "the file is in use")

    site, keep, _ = site_with(tmp_path, b"old")
    former = tree(tmp_path)
    monkeypatch.setattr(Path, "replace", in_use)
    with pytest.raises(PermissionError):
        file_patcher.replace_file(site, "pkg/m.py", b"new", expect=digest(b"old"), keep=keep / "old")
    assert (tree(tmp_path), list(keep.iterdir())) == (former, [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_file_of_another_user_stays_his(tmp_path: Path) -> None:
    site, keep, module = site_with(tmp_path, b"old")
    os.chown(module, 1234, 1235)
    file_patcher.replace_file(site, "pkg/m.py", b"new", expect=digest(b"old"), keep=keep / "old")
    assert (module.stat().st_uid, module.stat().st_gid) == (1234, 1235)


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    site, keep, module = site_with(tmp_path, b"")
    module.unlink()
    with pytest.raises(FileMovedError):
        file_patcher.replace_file(site, "pkg/m.py", b"new", expect=digest(b""), keep=keep / "old")
    assert tree(tmp_path) == {}


# Ends itself like a killed process right before the given call to the operating system.
KILLED = """
import json, os, sys
from pathlib import Path
from paddlevl_doctor.fix.entries import Places, entry_from_json, take_back
from paddlevl_doctor.patching import file_patcher

action, point, links, site, keep, before, entry = sys.argv[1:]
entry = entry_from_json(json.loads(entry))
places = Places(Path(site), Path(keep), Path(keep, "aside"))
left = int(point)

def refuse(*_, **__):
    raise PermissionError

def count(event, _):
    global left
    if event in ("open", "os.link", "os.symlink", "os.rename", "os.remove", "os.chmod"):
        if left == 0:
            os._exit(9)
        left -= 1

if links == "without hard links":
    os.link = refuse
keep = Path(keep) / "old"
sys.addaudithook(count)
if action == "apply":
    file_patcher.replace_file(Path(site), "pkg/m.py", b"new", expect=before, keep=keep)
else:
    take_back(places, [entry])
"""


@pytest.mark.parametrize("links", ["with hard links", "without hard links", "symbolic link"])
@pytest.mark.parametrize("action", ["apply", "undo"])
def test_after_a_kill_at_any_point_undo_brings_the_old_file_back(
    tmp_path: Path, action: str, links: str
) -> None:
    for point in itertools.count():
        site, keep, module = site_with(tmp_path / str(point), b"old", 0o640)
        if links == "symbolic link":
            module.rename(tmp_path / "cached")
            module.symlink_to(tmp_path / "cached")
        former, entry = (tree(site), module.is_symlink()), entry_of(module, b"new")
        if action == "undo":
            file_patcher.replace_file(site, "pkg/m.py", b"new", expect=digest(b"old"), keep=keep / "old")
        argv = [action, str(point), links, str(site), str(keep), digest(b"old"), json.dumps(entry.to_json())]
        killed = subprocess.run([sys.executable, "-c", KILLED, *argv], check=False).returncode
        assert killed in {0, 9}
        restore(site, keep, entry)
        assert (tree(site), module.is_symlink(), (keep / "aside").exists()) == (*former, False)
        if killed == 0:
            break
    assert point >= 2  # a kill before each of several calls was tried


@pytest.mark.parametrize("path", ["../outside.py", "/etc/passwd", "link/m.py"])
def test_no_path_leads_out_of_the_target(tmp_path: Path, path: str) -> None:
    site, keep, _ = site_with(tmp_path, b"old")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "m.py").write_bytes(b"old")
    (tmp_path / "outside.py").write_bytes(b"old")
    (site / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PatchDoesNotFitError):
        file_patcher.replace_file(site, path, b"new", expect=digest(b"old"), keep=keep / "old")
    assert (tmp_path / "elsewhere" / "m.py").read_bytes() == b"old"


def test_a_same_size_change_in_the_same_second_runs_the_new_code(tmp_path: Path) -> None:
    site, keep, module = site_with(tmp_path, b"print(1)\n")
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    run = [sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[1]); import pkg.m", str(site)]
    first = subprocess.run(run, env=env, capture_output=True, text=True, check=True).stdout
    stamp = module.stat()
    file_patcher.replace_file(
        site, "pkg/m.py", b"print(2)\n", expect=digest(b"print(1)\n"), keep=keep / "old"
    )
    os.utime(module, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # the worst case: not even the time differs
    second = subprocess.run(run, env=env, capture_output=True, text=True, check=True).stdout
    assert (first, second) == ("1\n", "2\n")


def test_bytecode_kept_elsewhere_is_removed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, keep, module = site_with(tmp_path, b"old")
    for folder in (module.parent / "__pycache__", Path(f"{tmp_path}/cache{module.parent}")):
        folder.mkdir(parents=True)
        for name in ("m.cpython-311.pyc", "m.cpython-312.opt-1.pyc", "mm.cpython-311.pyc"):
            (folder / name).touch()
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "cache"))
    file_patcher.replace_file(site, "pkg/m.py", b"new", expect=digest(b"old"), keep=keep / "old")
    assert [p.name for p in tmp_path.rglob("*.pyc")] == ["mm.cpython-311.pyc"] * 2


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    site, keep, module = site_with(tmp_path, b"old")
    before = tree(tmp_path)
    limited = (
        "import resource, signal, sys; from pathlib import Path; from paddlevl_doctor.patching import file_patcher\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "site, keep, expect = sys.argv[1:]\n"
        "file_patcher.replace_file(Path(site), 'pkg/m.py', b'x' * 10000, expect=expect, keep=Path(keep) / 'old')\n"
    )
    argv = [sys.executable, "-c", limited, str(site), str(keep), digest(b"old")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert tree(tmp_path) == before
    assert module.read_bytes() == b"old"


def test_code_that_would_not_compile_is_found_without_leaving_bytecode(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("def broken(:\n")
    flaw = file_patcher.syntax_error(sys.executable, path, "pkg/m.py", RealSystem())
    assert flaw is not None
    assert "SyntaxError" in flaw
    path.write_text("x = 1\n")
    assert file_patcher.syntax_error(sys.executable, path, "pkg/m.py", RealSystem()) is None
    assert [p.name for p in tmp_path.iterdir()] == ["m.py"]


# --- real paddlex, every way in which uv puts files into an environment ------------------------------------


@pytest.mark.parametrize("version", ["3.3.6", "3.7.2"])
@pytest.mark.parametrize("mode", ["clone", "hardlink", "copy", "symlink"])
def test_the_cache_and_a_second_environment_keep_their_bytes(tmp_path: Path, mode: str, version: str) -> None:
    cache = tmp_path / "cache"
    ours, other = (install(tmp_path / name, cache, mode, version) for name in ("ours", "other"))
    former, pristine = tree(ours), tree(other)
    content = (ours / DOC.path).read_bytes()
    was_link, entry = (ours / DOC.path).is_symlink(), state_of(ours / DOC.path, hashed=True)
    changed = file_patcher.plan_change(DOC, content)
    keep = tmp_path / "keep"
    keep.mkdir()

    file_patcher.replace_file(ours, DOC.path, changed, expect=digest(content), keep=keep / "old")
    assert (ours / DOC.path).read_bytes() == changed
    assert tree(other) == pristine
    assert content in cached(cache, DOC.path)
    assert changed not in cached(cache, DOC.path)

    restore(ours, keep, Entry(DOC.path, entry, written(changed), "old"))
    assert tree(ours) == former
    assert (ours / DOC.path).is_symlink() == was_link
    assert (tree(other), list(keep.iterdir())) == (pristine, [])


def install(folder: Path, cache: Path, mode: str, version: str) -> Path:
    """Install paddlex alone with uv, its cache in a folder of the test; return site-packages."""
    env = {**os.environ, "UV_CACHE_DIR": str(cache), "UV_LINK_MODE": mode}
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], env=env, check=True)
    python = str(folder / "bin" / "python")
    argv = [uv, "pip", "install", "-q", "--python", python, "--no-deps", f"paddlex=={version}"]
    subprocess.run(argv, env=env, check=True)
    return next((folder / "lib").glob("python*/site-packages"))


def cached(cache: Path, path: str) -> list[bytes]:
    """Return what uv's cache holds of a file of the package."""
    return [found.read_bytes() for found in cache.rglob(Path(path).name) if found.as_posix().endswith(path)]
