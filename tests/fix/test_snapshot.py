"""A snapshot brings a folder back exactly, whatever happened to it in between."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevl_doctor.fix import snapshot
from paddlevl_doctor.fix.snapshot import Snapshot

NAMES = st.sampled_from(
    ["a.py", "b.py", "pkg/c.py", "pkg/d.txt", "pkg/sub/e.so", "bin/tool", "pkg-1.dist-info/RECORD"]
)
TREES = st.dictionaries(NAMES, st.binary(max_size=20), min_size=1)


def build(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def state(root: Path) -> dict[str, tuple[str, bytes, int]]:
    """Every file and link with its bytes and mode; the doctor's own folder is left out."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.startswith(snapshot.STATE_FOLDER) or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink():
            found[name] = ("link", os.readlink(path).encode(), 0)
        else:
            found[name] = ("file", path.read_bytes(), path.stat().st_mode)
    return found


def install(root: Path, files: dict[str, bytes]) -> None:
    """Change a tree the way installers do: old files are unlinked, new ones are moved into place."""
    for path in [p for p in root.rglob("*") if p.is_file() and snapshot.STATE_FOLDER not in p.parts]:
        path.unlink()
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_bytes(data)
        temporary.replace(path)


@settings(max_examples=60, deadline=None)
@given(before=TREES, after=TREES, trimmed=st.booleans())
def test_restoring_is_the_inverse_of_any_installation(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, bytes], after: dict[str, bytes], trimmed: bool
) -> None:
    root = build(tmp_path_factory.mktemp("env"), before)
    former = state(root)
    kept = snapshot.take(root, root / snapshot.STATE_FOLDER / "1")
    install(root, after)
    if trimmed:
        snapshot.trim(kept)
    snapshot.restore(kept)
    assert state(root) == former
    assert not kept.folder.exists()


@pytest.mark.parametrize("stop_after", range(6))
def test_an_interrupted_restore_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    root = build(tmp_path / "env", {"a.py": b"1", "b.py": b"2", "pkg/c.py": b"3", "pkg/d.txt": b"4"})
    former = state(root)
    kept = snapshot.take(root, root / snapshot.STATE_FOLDER / "1")
    install(root, {"a.py": b"new", "pkg/e.py": b"5"})
    stop_at_rename(monkeypatch, stop_after)
    with pytest.raises(KeyboardInterrupt):
        snapshot.restore(kept)
        raise KeyboardInterrupt  # the limit was never reached
    monkeypatch.undo()
    if kept.folder.exists():
        snapshot.restore(kept)
    assert state(root) == former


@pytest.mark.parametrize("stop_after", range(5))
def test_an_interrupted_trim_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    root = build(tmp_path / "env", {f"{name}.py": b"same" for name in "abcdef"})
    former = state(root)
    kept = snapshot.take(root, root / snapshot.STATE_FOLDER / "1")
    (root / "a.py").unlink()
    (root / "new.py").write_bytes(b"new")
    real, calls = os.unlink, []

    def unlink(path: str) -> None:
        if len(calls) == stop_after:
            raise KeyboardInterrupt
        calls.append(path)
        real(path)

    monkeypatch.setattr(os, "unlink", unlink)
    with pytest.raises(KeyboardInterrupt):
        snapshot.trim(kept)
    monkeypatch.undo()
    snapshot.restore(kept)
    assert state(root) == former


def stop_at_rename(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    real, calls = Path.replace, []

    def replace(path: Path, target: Path) -> Path:
        if len(calls) == count:
            raise KeyboardInterrupt
        calls.append(path)
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)


def test_a_snapshot_costs_no_copies_and_keeps_only_what_changed(tmp_path: Path) -> None:
    root = build(tmp_path / "env", {"big.so": b"x" * 100_000, "old.py": b"1"})
    kept = snapshot.take(root, root / snapshot.STATE_FOLDER / "1")
    assert (kept.kept / "big.so").stat().st_ino == (root / "big.so").stat().st_ino
    (root / "old.py").unlink()
    snapshot.trim(kept)
    assert [p.name for p in kept.kept.rglob("*")] == ["old.py"]


def test_links_are_kept_as_links(tmp_path: Path) -> None:
    root = build(tmp_path / "env", {"lib/python3.11/x.py": b"1"})
    (root / "lib64").symlink_to("lib")
    (root / "python").symlink_to("/nowhere/python3.11")
    former = state(root)
    kept = snapshot.take(root, root / snapshot.STATE_FOLDER / "1")
    (root / "lib64").unlink()
    (root / "python").unlink()
    (root / "python").symlink_to("elsewhere")
    snapshot.trim(kept)
    snapshot.restore(kept)
    assert state(root) == former


def test_bytecode_of_removed_modules_goes_with_them(tmp_path: Path) -> None:
    root = build(tmp_path / "env", {"kept.py": b"1"})
    kept = snapshot.take(root, root / snapshot.STATE_FOLDER / "1")
    build(root, {"pkg/new.py": b"2"})
    snapshot.trim(kept)
    build(root, {"pkg/__pycache__/new.cpython-311.pyc": b"pyc"})  # somebody imported it meanwhile
    snapshot.restore(kept)
    assert sorted(p.name for p in root.iterdir() if p.name != snapshot.STATE_FOLDER) == ["kept.py"]


@pytest.mark.parametrize(
    "refusal",
    [OSError(1, "Operation not permitted"), NotImplementedError("follow_symlinks unavailable")],
    ids=["file system", "system"],
)
def test_where_there_are_no_hard_links_there_are_copies(
    refusal: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise refusal

    monkeypatch.setattr(os, "link", no_links)
    root = build(tmp_path / "env", {"a.py": b"1", "b.py": b"2"})
    former = state(root)
    kept = snapshot.take(root, root / snapshot.STATE_FOLDER / "1")
    (root / "a.py").unlink()
    snapshot.trim(kept)
    assert [p.name for p in kept.kept.rglob("*")] == ["a.py"]
    snapshot.restore(kept)
    assert state(root) == former


def test_a_snapshot_without_a_list_of_added_files_understands_itself(tmp_path: Path) -> None:
    root = build(tmp_path / "env", {"a.py": b"1"})
    folder = root / snapshot.STATE_FOLDER / "1"
    snapshot.take(root, folder)
    build(root, {"orphan/x.py": b"left by a killed installer"})
    snapshot.restore(Snapshot(root, folder))
    assert not (root / "orphan").exists()
    shutil.rmtree(root)


def test_folders_are_what_they_were_where_nothing_is_in_them_too(tmp_path: Path) -> None:
    """An installer removes empty folders, and one that was stopped has made some that nothing is in yet."""
    root = build(tmp_path / "env", {"pkg/a.py": b"1"})
    (root / "pkg" / "mine").mkdir()
    kept = snapshot.take(root, root / snapshot.STATE_FOLDER / "1")
    (root / "pkg" / "mine").rmdir()
    (root / "pkg" / "new" / "deep").mkdir(parents=True)
    snapshot.restore(kept)
    found = sorted(
        p.relative_to(root).as_posix() for p in root.rglob("*") if snapshot.STATE_FOLDER not in p.parts
    )
    assert found == ["pkg", "pkg/a.py", "pkg/mine"]
