"""What an installer changed is taken back exactly, and what others changed at the same time stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevl_doctor.facts.target import STATE_FOLDER
from paddlevl_doctor.fix import installs
from paddlevl_doctor.fix.entries import Places, take_back
from paddlevl_doctor.fix.installs import Changes

NAMES = st.sampled_from(
    ["a.py", "b.py", "pkg/c.py", "pkg/d.txt", "pkg/sub/e.so", "bin/tool", "pkg-1.dist-info/RECORD"]
)
TREES = st.dictionaries(NAMES, st.binary(max_size=20), min_size=1)
OWN = st.dictionaries(
    st.sampled_from(["mine.txt", "pkg/mine.py", "pkg/sub/notes", "new/deep/mine", "bin/mine"]),
    st.binary(max_size=9),
)


def build(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def state(root: Path) -> dict[str, tuple[str, bytes, int]]:
    """Return every file and link with its content and mode, without the doctor's own folder."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.startswith(STATE_FOLDER) or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink():
            found[name] = ("link", os.readlink(path).encode(), 0)
        else:
            found[name] = ("file", path.read_bytes(), path.stat().st_mode)
    return found


def folders(root: Path) -> list[str]:
    return sorted(
        p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_dir() and STATE_FOLDER not in p.parts
    )


def install(root: Path, files: dict[str, bytes], former: dict[str, bytes]) -> None:
    """Change a tree as installers do: unlink the former files, and move new ones into place."""
    for name in former:
        (root / name).unlink()
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_bytes(data)
        temporary.replace(path)


def places(root: Path) -> Places:
    return Places(root, root / STATE_FOLDER / "1", root / STATE_FOLDER / "aside")


def keep(root: Path) -> None:
    (root / STATE_FOLDER / "1").mkdir(parents=True)
    installs.keep_tree(root, (".",), places(root).kept / "s")


def changes(root: Path, after: dict[str, bytes]) -> Changes:
    """Return what the installer of these files changed."""
    claimed = {str(root / name): None for name in after}
    return installs.find_changes(root, (".",), places(root).kept / "s", claimed, "s")


def restore(root: Path, found: Changes) -> list[str]:
    return take_back(places(root), found.entries, found.folders, found.created)


@settings(max_examples=80, deadline=None)
@given(before=TREES, after=TREES, own=OWN, discarded=st.booleans())
def test_taking_back_is_the_inverse_of_any_installation_and_the_files_of_others_stay(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[str, bytes],
    after: dict[str, bytes],
    own: dict[str, bytes],
    discarded: bool,
) -> None:
    root = build(tmp_path_factory.mktemp("env"), before)
    former = state(root)
    keep(root)
    install(root, after, before)
    build(root, own)
    found = changes(root, after)
    if discarded:
        installs.discard_unchanged(places(root).kept / "s", found, places(root).kept)
    later = {f"{name}.later": data for name, data in own.items()}
    build(root, later)
    restore(root, found)
    mine = {name: ("file", data) for name, data in {**own, **later}.items()}
    assert {name: what[:2] for name, what in state(root).items()} == {
        **{name: what[:2] for name, what in former.items()},
        **mine,
    }


def test_a_file_that_its_user_saved_by_rename_meanwhile_keeps_its_text(tmp_path: Path) -> None:
    root = build(tmp_path / "env", {"notes.txt": b"old", "pkg/a.py": b"1"})
    keep(root)
    install(root, {"pkg/a.py": b"2"}, {"pkg/a.py": b"1"})
    build(root, {"notes.new": b"my new text"})
    (root / "notes.new").replace(root / "notes.txt")
    restore(root, changes(root, {"pkg/a.py": b"2"}))
    assert {name: what[1] for name, what in state(root).items()} == {
        "notes.txt": b"my new text",
        "pkg/a.py": b"1",
    }


@pytest.mark.parametrize("stop_after", range(6))
def test_an_interrupted_restoration_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    before = {"a.py": b"1", "b.py": b"2", "pkg/c.py": b"3", "pkg/d.txt": b"4"}
    root = build(tmp_path / "env", before)
    former, after = state(root), {"a.py": b"new", "pkg/e.py": b"5"}
    keep(root)
    install(root, after, before)
    found = changes(root, after)
    real, calls = Path.replace, []

    def replace(path: Path, target: Path) -> Path:
        if len(calls) == stop_after:
            raise KeyboardInterrupt
        calls.append(path)
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        restore(root, found)
        raise KeyboardInterrupt  # the limit was never reached
    monkeypatch.undo()
    restore(root, found)
    assert state(root) == former


def test_kept_files_cost_no_copies_and_only_what_changed_is_kept(tmp_path: Path) -> None:
    root = build(tmp_path / "env", {"big.so": b"x" * 100_000, "old.py": b"1"})
    keep(root)
    kept = places(root).kept / "s"
    assert (kept / "0" / "big.so").stat().st_ino == (root / "big.so").stat().st_ino
    (root / "old.py").unlink()
    installs.discard_unchanged(kept, changes(root, {}), places(root).kept)
    assert [p.name for p in (kept / "0").rglob("*")] == ["old.py"]


def test_links_are_kept_as_links(tmp_path: Path) -> None:
    root = build(tmp_path / "env", {"lib/python3.11/x.py": b"1"})
    (root / "lib64").symlink_to("lib")
    (root / "python").symlink_to("/nowhere/python3.11")
    former = state(root)
    keep(root)
    (root / "lib64").unlink()
    (root / "python").unlink()
    (root / "python").symlink_to("elsewhere")
    found = changes(root, {"python": b""})
    installs.discard_unchanged(places(root).kept / "s", found, places(root).kept)
    restore(root, found)
    assert state(root) == former


def test_a_link_to_nothing_in_place_of_a_source_file_is_put_back(tmp_path: Path) -> None:
    root = build(tmp_path, {"p/a.py": b"a", "p/__pycache__/a.cpython-311.pyc": b"0123456789abcdef"})
    (root / "p/a.py").unlink()
    (root / "p/a.py").symlink_to("nowhere/a.py")
    keep(root)
    install(root, {"p/a.py": b"new"}, {"p/a.py": b""})
    found = changes(root, {"p/a.py": b"new"})
    assert restore(root, found) == []
    assert os.readlink(root / "p/a.py") == "nowhere/a.py"


def test_a_folder_of_the_user_in_place_of_a_file_is_put_back_and_nothing_is_named_as_changed(
    tmp_path: Path,
) -> None:
    root = build(tmp_path, {"p/a.pyi/mine": b"mine", "p/b.py": b"b"})
    former = state(root)
    keep(root)
    install(root, {"p/b.py": b"new"}, {"p/b.py": b"", "p/a.pyi/mine": b""})
    (root / "p/a.pyi").rmdir()
    install(root, {"p/a.pyi": b"new"}, {})
    found = changes(root, {"p/a.pyi": b"new", "p/b.py": b"new"})
    assert restore(root, found) == []
    assert state(root) == former
    assert not places(root).aside.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_in_place_of_a_file_is_kept_and_put_back_and_nothing_waits_for_its_other_end(
    tmp_path: Path,
) -> None:
    root = build(tmp_path, {"p/a.py": b"a", "p/b.py": b"b"})
    (root / "p/a.py").unlink()
    os.mkfifo(root / "p/a.py")
    keep(root)
    install(root, {"p/a.py": b"new", "p/b.py": b"new"}, {"p/a.py": b"", "p/b.py": b""})
    found = changes(root, {"p/a.py": b"new", "p/b.py": b"new"})
    installs.discard_unchanged(places(root).kept / "s", found, places(root).kept)
    (root / "p/b.py").unlink()
    os.mkfifo(root / "p/b.py")  # the user's, since
    assert restore(root, found) == ["p/b.py"]
    assert (root / "p/a.py").is_fifo()
    assert (root / "p/b.py").read_bytes() == b"b"
    assert (places(root).aside / "p/b.py").is_fifo()


def test_bytecode_of_removed_modules_goes_with_them(tmp_path: Path) -> None:
    root = build(tmp_path / "env", {"kept.py": b"1"})
    keep(root)
    build(root, {"pkg/new.py": b"2"})
    found = changes(root, {"pkg/new.py": b"2"})
    build(root, {"pkg/__pycache__/new.cpython-311.pyc": b"pyc"})  # Python imported it meanwhile
    restore(root, found)
    assert sorted(p.name for p in root.iterdir() if p.name != STATE_FOLDER) == ["kept.py"]


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
    keep(root)
    (root / "a.py").unlink()
    found = changes(root, {})
    installs.discard_unchanged(places(root).kept / "s", found, places(root).kept)
    assert [p.name for p in (places(root).kept / "s" / "0").rglob("*")] == ["a.py"]
    restore(root, found)
    assert state(root) == former


def test_folders_are_what_they_were_also_if_they_are_empty(tmp_path: Path) -> None:
    """An installer removes empty folders, and one that was stopped has made some that nothing is in yet."""
    root = build(tmp_path / "env", {"pkg/a.py": b"1"})
    (root / "pkg" / "mine").mkdir()
    keep(root)
    (root / "pkg" / "mine").rmdir()
    (root / "pkg" / "new" / "deep").mkdir(parents=True)
    (root / "the" / "users").mkdir(parents=True)
    restore(root, changes(root, {"pkg/new/deep/file": b""}))
    assert folders(root) == ["pkg", "pkg/mine", "the", "the/users"]


RECORDS = {
    "one-1.dist-info/RECORD": b"one.py,,\n",
    "two-1.dist-info/RECORD": b"two.py,,\ntwo/include/t.h,,\n",
}
SOURCES = {"one.py": b"1", "two.py": b"2", "two/include/t.h": b"3"}


def test_a_file_that_an_installation_wrote_over_another_packages_is_named(tmp_path: Path) -> None:
    root = build(tmp_path / "env", {**RECORDS, **SOURCES})
    keep(root)
    after = {"one.py": b"new", "two.py": b"new", "two/include/t.h": b"new", "tests/x.py": b""}
    record = {"one-2.dist-info/RECORD": "".join(f"{name},,\n" for name in after).encode()}
    install(root, {**after, **record}, dict.fromkeys((*SOURCES, "one-1.dist-info/RECORD"), b""))
    kept, found = places(root).kept / "s", changes(root, {**after, **record})
    assert installs.overwritten(root, (".",), kept, found, {"one"}) == {"two": ["two.py"]}
    assert installs.overwritten(root, (".",), kept, found, {"one", "two"}) == {}


def test_an_interrupted_installer_did_not_install_what_has_its_former_record(tmp_path: Path) -> None:
    root = build(tmp_path / "env", {**RECORDS, **SOURCES})
    keep(root)
    install(root, {"one-2.dist-info/RECORD": b""}, {"one-1.dist-info/RECORD": b""})
    assert installs.untouched_names(root, (".",), places(root).kept / "s") == {"two"}
    build(root, {"two-2.dist-info/RECORD": b""})
    assert installs.untouched_names(root, (".",), places(root).kept / "s") == set()
