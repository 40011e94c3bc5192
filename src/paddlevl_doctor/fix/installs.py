"""Finds out which paths an installer changed, and tells them from those that others changed at the same time.

Before an installer runs, the whole tree is kept with hard links, because the installer may overwrite any file.
Afterwards the difference is sorted by ownership. A path belongs to the transaction if the RECORD of a distribution that
the installer changed lists it, if it lies in the dist-info folder of one, if it is the bytecode of such a file, or if
it was there before and is gone. Any other difference is the user's and is left alone.
"""

from __future__ import annotations

import base64
import csv
import filecmp
import json
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from paddlevl_doctor.facts.target import STATE_FOLDER
from paddlevl_doctor.fix.entries import (
    Entry,
    State,
    entry_from_json,
    files_below,
    folders_below,
    is_same_entry,
    is_same_file,
    keep_all,
    keep_link,
    source_of,
    state_of,
)
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.packages import uv
from paddlevl_doctor.patching.file_patcher import sha256_of_file
from paddlevl_doctor.system import files

SKIPPED = (STATE_FOLDER, uv.LOCK_NAME)
"""What is neither kept nor restored: the doctor's state, and uv's lock file, whose inode other processes wait for."""
ENTRIES = "entries.json"
"""The file with the changes of a step, in the folder of its kept files."""
BEFORE = "before.json"
"""The file with the folders and the outside scripts that were there before, in the same folder."""
Claims = Mapping[str, str | None]
"""The paths of an installer, absolute, with their SHA-256 where the RECORD has one."""
_SKELETON = re.compile(
    r"pyvenv\.cfg|\.gitignore|CACHEDIR\.TAG|lib64"
    r"|(bin|Scripts)/(python[\w.]*|pypy[\w.]*|graalpy[\w.]*|(de)?activate[\w.]*|pydoc\.bat)"
    r"|(lib|lib64)/[\w.]+/site-packages/_virtualenv\.(py|pth)|Lib/site-packages/_virtualenv\.(py|pth)"
)
"""The files that `uv venv` writes (uv 0.10, crates/uv-virtualenv)."""

_UNFINISHED = re.compile(r"site-packages/(?:.*/)?\.tmp[A-Za-z0-9]{6}(?:/|$)")
"""A file that uv was writing when it was killed (the crate tempfile chooses such names)."""


@dataclass(frozen=True)
class Changes:
    """The entries of an installer, the folders that it removed or whose mode it changed, and those that it created.

    All paths are relative to the prefix.
    """

    entries: tuple[Entry, ...]
    folders: tuple[tuple[str, int], ...]
    """With their former modes."""
    created: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """Return the changes as JSON; `changes_from_bytes` is the inverse."""
        listed = [entry.to_json() for entry in self.entries]
        return json.dumps({"entries": listed, "folders": self.folders, "created": self.created}).encode()


def changes_from_bytes(data: bytes) -> Changes:
    """Return the changes of `Changes.to_bytes`. Raises ValueError, TypeError or KeyError for other data."""
    document = json.loads(data)
    folders = tuple((str(path), int(mode)) for path, mode in document["folders"])
    return Changes(
        tuple(map(entry_from_json, document["entries"])), folders, tuple(map(str, document["created"]))
    )


# --- before -----------------------------------------------------------------------------------------------


def keep_tree(prefix: Path, roots: Sequence[str], kept: Path, *, creates: bool = False) -> None:
    """Keep every file below the roots (relative to the prefix), and the scripts that their RECORDs list outside.

    `uv pip` replaces files. `uv venv`, which `creates` an environment, writes into files that are there.
    """
    copied = _SKELETON.fullmatch if creates else lambda _: None
    for number, root in enumerate(roots):
        keep_all(prefix / root, kept / str(number), SKIPPED, copied)
    outside = kept / "outside"
    outside.mkdir()
    paths = sorted(path for path in _claimed_paths(prefix, roots) if not _is_below(path, prefix, roots))
    for number, path in enumerate(paths):
        keep_link(path, str(outside / str(number)))
    folders = [
        (_joined(root, folder), stat.S_IMODE(os.stat(prefix / root / folder).st_mode))  # noqa: PTH116 - as below
        for root in roots
        for folder in folders_below(prefix / root, SKIPPED)
    ]
    listed = {"outside": [os.path.relpath(path, prefix) for path in paths], "folders": sorted(folders)}
    (kept / BEFORE).write_text(json.dumps(listed), encoding="utf-8")


def _claimed_paths(prefix: Path, roots: Sequence[str]) -> Iterator[str]:
    for root in roots:
        yield from (path for path in claims(prefix / root, None) if os.path.isfile(path))  # noqa: PTH113


def _is_below(path: str, prefix: Path, roots: Sequence[str]) -> bool:
    return any(Path(path).is_relative_to(os.path.normpath(prefix / root)) for root in roots)


def _joined(root: str, path: str) -> str:
    return os.path.normpath(f"{root}/{path}").replace(os.sep, "/")


# --- claims -----------------------------------------------------------------------------------------------


def claims(root: Path, names: Collection[str] | None) -> dict[str, str | None]:
    """Return the paths of the distributions below a prefix or a site-packages folder; `names` None: of all.

    Names are normalized (PEP 503). A RECORD that cannot be read claims the dist-info folder only.
    """
    found: dict[str, str | None] = {}
    for site in site_folders(root):
        for info in site.glob("*.dist-info"):
            if names is None or name_of(info.name) in names:
                found.update(recorded_paths(info))
    return found


def owners(
    prefix: Path, roots: Sequence[str], kept: Path, names: Collection[str]
) -> dict[str, dict[str, str | None]]:
    """Return the paths of the distributions of these names, by the path of the RECORD that lists them.

    Each has the path of its kept copy, None if it lies outside of the roots.
    """
    return {
        str(info / "RECORD"): {path: _kept_copy(path, prefix, roots, kept) for path in recorded_paths(info)}
        for root in roots
        for site in site_folders(prefix / root)
        for info in site.glob("*.dist-info")
        if name_of(info.name) in names
    }


def _kept_copy(path: str, prefix: Path, roots: Sequence[str], kept: Path) -> str | None:
    for number, root in enumerate(roots):
        base = f"{os.path.normpath(prefix / root)}{os.sep}"
        if path.startswith(base):
            return f"{kept}/{number}/{path[len(base) :]}"
    return None


def recorded_paths(info: Path) -> dict[str, str | None]:
    """Return the paths of the distribution that has this dist-info folder."""
    inside: dict[str, str | None] = {str(path): None for path in info.rglob("*")}
    return {**inside, **_recorded(info.parent, info / "RECORD")}


def site_folders(root: Path) -> list[Path]:
    """Return the site-packages folders of a virtual environment, or the folder itself if it is one."""
    if (root / "pyvenv.cfg").exists():
        # lib64 is a link to lib in the environments of most Pythons.
        folders = (root / name for name in ("lib", "lib64"))
        found = [
            site for folder in folders if not folder.is_symlink() for site in folder.glob("*/site-packages")
        ]
        found += [root / "Lib" / "site-packages"] if files.WINDOWS else []
        return [folder for folder in found if folder.is_dir()]
    return [root]


def name_of(info: str) -> str:
    """Return the normalized name of a distribution by the name of its dist-info folder."""
    return canonicalize_name(info.partition("-")[0])


def _recorded(site: Path, record: Path) -> dict[str, str | None]:
    try:
        text = record.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return {}
    rows = (row for row in csv.reader(text.splitlines()) if row and row[0])
    return {os.path.normpath(f"{site}/{row[0]}"): _sha256(row[1]) if len(row) > 1 else None for row in rows}


def _sha256(field: str) -> str | None:
    if not field.startswith("sha256="):
        return None
    try:
        return base64.urlsafe_b64decode(field[7:] + "=").hex()
    except ValueError:
        return None


def planned_names(
    infos: Iterable[Path], requirements: Iterable[str], planned: Iterable[str] = ()
) -> set[str]:
    """Return the normalized names that an interrupted installation may have installed.

    These are the planned ones, the required ones, and what the metadata in these dist-info folders says that they
    require, regardless of the markers.
    """
    metadata: dict[str, list[Path]] = {}
    for info in infos:
        metadata.setdefault(name_of(info.name), []).append(info / "METADATA")
    names: set[str] = set()
    waiting = [canonicalize_name(name) for name in planned]
    waiting += [name for text in requirements if (name := _required_name(text))]
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting += [required for path in metadata.get(name, ()) for required in _required_by(path)]
    return names


def _required_by(metadata: Path) -> list[NormalizedName]:
    try:
        headers = HeaderParser().parsestr(metadata.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return []
    return [name for text in headers.get_all("Requires-Dist", ()) if (name := _required_name(text))]


def _required_name(text: str) -> NormalizedName | None:
    try:
        return canonicalize_name(Requirement(text).name)
    except InvalidRequirement:
        return None


def untouched_names(prefix: Path, roots: Sequence[str], kept: Path) -> set[str]:
    """Return the normalized names of the distributions that an interrupted installer did not install.

    Their only RECORD is the former one. uv removes the former RECORDs of all packages before it installs the first.
    """
    former: set[str] = set()
    written: set[str] = set()
    for number, root in enumerate(roots):
        for site in site_folders(prefix / root):
            for record in site.glob("*.dist-info/RECORD"):
                copy = kept / str(number) / record.relative_to(prefix / root)
                (former if is_same_file(copy, record) else written).add(name_of(record.parent.name))
    return former - written


def other_versions(
    prefix: Path, roots: Sequence[str], kept: Path, versions: Mapping[str, str | None]
) -> list[Path]:
    """Return the dist-info folders of versions that an interrupted installer was not to install.

    `versions` has the planned ones by name, None for a distribution that was to be removed. A version that was there
    before is none of them.
    """
    found: list[Path] = []
    for number, root in enumerate(roots):
        for info in (info for site in site_folders(prefix / root) for info in site.glob("*.dist-info")):
            name, record = name_of(info.name), info / "RECORD"
            planned = name not in versions or is_version(versions[name], info.name)
            former = kept / str(number) / record.relative_to(prefix / root)
            if not planned and record.is_file() and not is_same_file(former, record):
                found.append(info)
    return found


def is_version(version: str | None, info: str) -> bool:
    """Return whether a dist-info folder has this version."""
    shown = info.removesuffix(".dist-info").partition("-")[2]
    try:
        return version is not None and Version(shown) == Version(version)
    except InvalidVersion:
        return shown == version


def without_distributions(
    changes: Changes, prefix: Path, roots: Sequence[str], kept: Path, names: Collection[str]
) -> Changes:
    """Leave out the files and folders of the former versions of these distributions: other versions replaced them."""
    former = _former_paths(prefix, roots, kept, names)
    parents = {os.path.relpath(parent, prefix) for path in former for parent in Path(path).parents}
    paths = ((entry, os.path.normpath(prefix / entry.path)) for entry in changes.entries)
    return replace(
        changes,
        entries=tuple(entry for entry, path in paths if not {path, source_of(path)} & former),
        folders=tuple(f for f in changes.folders if f[0] not in parents or (prefix / f[0]).is_dir()),
    )


def _former_paths(prefix: Path, roots: Sequence[str], kept: Path, names: Collection[str]) -> set[str]:
    """Return the paths that the former versions of these distributions had."""
    return {
        os.path.normpath(_rebased(path, kept / str(number), prefix / root))
        for number, root in enumerate(roots)
        for site in site_folders(prefix / root)
        for info in (kept / str(number) / site.relative_to(prefix / root)).glob("*.dist-info")
        if name_of(info.name) in names
        for path in recorded_paths(info)
    }


def cached_infos(cache: Path) -> list[Path]:
    """Return the dist-info folders of the wheels in uv's cache."""
    return list(cache.glob("archive-v0/*/*.dist-info"))


def is_cached(path: Path, relative: str, infos: Iterable[Path]) -> bool:
    """Return whether a wheel in uv's cache has this file with this content; `infos` are the dist-info folders there."""
    copies = (info.parent / relative for info in infos)
    return any(copy.is_file() and filecmp.cmp(copy, path, shallow=False) for copy in copies)


def cached_claims(
    infos: Iterable[Path], sites: Sequence[Path], names: Collection[str]
) -> dict[str, str | None]:
    """Return the paths that the wheels of these names in uv's cache install.

    A killed uv leaves files of a wheel whose dist-info folder is not there yet. uv writes a script for each entry
    point.
    """
    found: dict[str, str | None] = {}
    for info in infos:
        if name_of(info.name) in names:
            for site in sites:
                found.update(_recorded(site, info / "RECORD"))
                scripts = site.parents[2] / "bin" if not files.WINDOWS else site.parents[1] / "Scripts"
                found.update({str(scripts / name): None for name in _entry_points(info / "entry_points.txt")})
    return found


def checked(
    prefix: Path, changes: Changes, infos: Sequence[Path], sites: Sequence[Path], claimed: Claims
) -> Changes:
    """Return the changes of an interrupted installer, with the content of its files compared with their RECORD.

    A file that is neither what its RECORD says nor the beginning of it, which a killed uv leaves, was edited since: no
    state of it counts as written. Neither does one of a script without a RECORD that does more than call a function.
    """
    entries = tuple(_checked(prefix, entry, infos, sites, claimed) for entry in changes.entries)
    return replace(changes, entries=entries)


def _checked(
    prefix: Path, entry: Entry, infos: Sequence[Path], sites: Sequence[Path], claimed: Claims
) -> Entry:
    path, after = prefix / entry.path, entry.after
    if after is None or after.kind != "file" or after.sha256 is None:
        return entry
    digest = sha256_of_file(path)
    is_script = path.parent.name in ("bin", "Scripts") and claimed.get(os.path.normpath(path)) is None
    if digest == after.sha256 and not (is_script and not _is_generated(path)):
        return entry
    originals = (
        info.parent / path.relative_to(site) for site in sites if path.is_relative_to(site) for info in infos
    )
    if any(
        original.is_file() and original.read_bytes().startswith(path.read_bytes()) for original in originals
    ):
        return replace(entry, after=replace(after, sha256=digest))
    return replace(entry, after=State("file", -1, None, after.sha256))


_SCRIPT_LINE = re.compile(
    r"|#!.*|'''exec' .*|' '''|# -\*- coding: utf-8 -\*-|import (?:re|sys)|from [\w.]+ import \w+"
    r"|if __name__ == [\"']__main__[\"']:| +(?:el)?if sys\.argv\[0\]\.endswith\(.*\):| +sys\.argv\[0\] = .*"
    r"| +sys\.exit\([\w.]+\(\)\)"
)
"""A line of a script that uv or pip writes for an entry point."""


def _is_generated(script: Path) -> bool:
    """Return whether a script is one that an installer writes, or a program of Windows, which is not compared."""
    if script.suffix == ".exe":
        return True
    text = script.read_text(encoding="utf-8", errors="replace")
    return all(_SCRIPT_LINE.fullmatch(line) for line in text.splitlines())


def _entry_points(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    names = re.findall(r"^\s*([\w.-]+)\s*=", text, re.MULTILINE)
    return [name + end for name in names for end in (("", ".exe") if files.WINDOWS else ("",))]


# --- after ------------------------------------------------------------------------------------------------


def find_changes(prefix: Path, roots: Sequence[str], kept: Path, claimed: Claims, within: str) -> Changes:
    """Return what an installer changed since `keep_tree`; `within` is the path of `kept` in the transaction.

    Nothing is changed on the disk, so an interrupted call can be repeated.
    """
    before = json.loads((kept / BEFORE).read_text(encoding="utf-8"))
    entries: list[Entry] = []
    for number, root in enumerate(roots):
        entries += _differences(prefix, root, kept / str(number), f"{within}/{number}", claimed)
    listed = {path: f"outside/{number}" for number, path in enumerate(before["outside"])}
    entries += _differences_outside(prefix, roots, kept, within, listed, claimed)
    former = {str(path): int(mode) for path, mode in before["folders"]}
    folders = tuple((path, mode) for path, mode in former.items() if _mode(prefix / path) != mode)
    created = _created(prefix, roots, claimed, former)
    return Changes(tuple(entries), folders, tuple(sorted(set(created))))


def _mode(folder: Path) -> int | None:
    """Return the mode of a folder, None if there is none."""
    try:
        found = folder.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stat.S_IMODE(found) if stat.S_ISDIR(found) else None


def _created(prefix: Path, roots: Sequence[str], claimed: Claims, former: Collection[str]) -> Iterator[str]:
    """Yield the folders of claimed paths in the prefix that are there now and were not before.

    A wheel may have an empty folder for its libraries, which no RECORD lists.
    """
    for site in (site for root in roots for site in site_folders(prefix / root)):
        libraries = (folder for folder in site.glob("*.libs") if folder.is_dir() and not os.listdir(folder))
        found = (os.path.relpath(folder, prefix).replace(os.sep, "/") for folder in libraries)
        yield from (folder for folder in found if folder not in former and not folder.startswith(".."))
    base = f"{os.path.normpath(prefix)}{os.sep}"
    seen: set[str] = set()
    for path in claimed:
        folder = os.path.dirname(path)  # noqa: PTH120 - as above
        while folder.startswith(base) and folder not in seen:
            seen.add(folder)
            relative = folder[len(base) :].replace(os.sep, "/")
            if relative not in former and os.path.isdir(folder):  # noqa: PTH112 - as above
                yield relative
            folder = os.path.dirname(folder)  # noqa: PTH120 - as above


def _differences(prefix: Path, root: str, kept: Path, within: str, claimed: Claims) -> Iterator[Entry]:
    base = os.path.normpath(prefix / root)
    now = dict(files_below(prefix / root, SKIPPED))
    for relative, former in files_below(kept):
        entry = now.pop(relative, None)
        if entry is not None and is_same_entry(former, entry):
            continue
        if entry is None or _is_claimed(f"{base}/{relative}", claimed):
            after = None if entry is None else _written(entry.path, claimed.get(f"{base}/{relative}"))
            before = state_of(former.path, hashed=True)
            yield Entry(_joined(root, relative), before, after, f"{within}/{relative}")
    for relative, entry in now.items():
        path = f"{base}/{relative}"
        if _is_claimed(path, claimed) and source_of(path) is None:
            yield Entry(_joined(root, relative), None, _written(entry.path, claimed.get(path)))


def _differences_outside(
    prefix: Path, roots: Sequence[str], kept: Path, within: str, listed: Mapping[str, str], claimed: Claims
) -> Iterator[Entry]:
    for relative, name in listed.items():
        before, after = state_of(kept / name, hashed=True), state_of(prefix / relative, hashed=True)
        if before != after:
            yield Entry(relative, before, after, f"{within}/{name}")
    new = (path for path in claimed if not _is_below(path, prefix, roots) and os.path.lexists(path))
    for path in new:
        relative = os.path.relpath(path, prefix)
        if relative not in listed:
            yield Entry(relative, None, state_of(path, hashed=True))


def overwritten(
    prefix: Path, roots: Sequence[str], kept: Path, changes: Changes, names: Collection[str]
) -> dict[str, list[str]]:
    """Return the files that the changed distributions `names` wrote over those of other distributions, by owner.

    The owner of the files of the environment itself, such as `pyvenv.cfg`, is called `python`.
    Two distributions share a file without harm if both have the same content, if nothing imports it, or if they are
    rivals: builds of OpenCV, which all bring cv2, or PaddlePaddle and the distribution `paddle` of another project. The
    import of the stack shows whether they work.
    """
    former = _former_paths(prefix, roots, kept, names)
    written = (entry for entry in changes.entries if entry.before is not None and entry.after is not None)
    over = {os.path.normpath(prefix / entry.path) for entry in written if _is_new_content(entry)} - former
    if not over:
        return {}
    shown = {path: os.path.relpath(path, prefix).replace(os.sep, "/") for path in over}
    found = {"python": sorted(name for name in shown.values() if _SKELETON.fullmatch(name))}
    for site in (site for root in roots for site in site_folders(prefix / root)):
        for info in site.glob("*.dist-info"):
            name = name_of(info.name)
            if name not in names and not any(_are_rivals(name, other) for other in names):
                lost = sorted(over.intersection(_recorded(site, info / "RECORD")))
                found[name] = [shown[path] for path in lost if not _UNUSED.match(_site_path(path, site))]
    return {name: paths for name, paths in found.items() if paths}


_UNUSED = re.compile(r"(?:tests?|docs?|examples?)/|.*/include/|[^/]+(?<!\.py|pth|\.so|pyd)$", re.IGNORECASE)
"""Paths in site-packages that nothing imports, and that the wheels of several projects contain."""
_RIVALS = (re.compile(r"opencv-.*"), re.compile(r"paddle(paddle.*)?"))
"""The names of distributions that own the same files by design or by mistake."""


def _are_rivals(one: str, other: str) -> bool:
    return any(names.fullmatch(one) and names.fullmatch(other) for names in _RIVALS)


def _site_path(path: str, site: Path) -> str:
    return os.path.relpath(path, site).replace(os.sep, "/")


def _rebased(path: str, old: Path, new: Path) -> str:
    return f"{new}/{os.path.relpath(path, old)}"


def _is_new_content(entry: Entry) -> bool:
    before, after = entry.before, entry.after
    if (
        before is None
        or after is None
        or (before.kind, before.size, before.text) != (after.kind, after.size, after.text)
    ):
        return True
    return before.sha256 != after.sha256 or before.sha256 is None


def _is_claimed(path: str, claimed: Claims) -> bool:
    return path in claimed or source_of(path) in claimed or _UNFINISHED.search(path) is not None


def _written(path: str, sha256: str | None) -> State | None:
    """Return the state of a written file, with the SHA-256 of its RECORD; a file without one is read."""
    found = state_of(path, hashed=sha256 is None)
    if found is None or found.kind != "file" or sha256 is None:
        return found
    return State("file", found.size, found.mtime_ns, sha256)


def files_of(prefix: Path, root: str) -> Iterator[str]:
    """Yield the files below a root, relative to the prefix."""
    yield from (_joined(root, path) for path, _ in files_below(prefix / root, SKIPPED))


def restore_deleted(prefix: Path, roots: Sequence[str], kept: Path, path: str) -> None:
    """Link a kept file back to its path in the prefix; do nothing if it is not kept, or if the path exists."""
    for number, root in enumerate(roots):
        former = kept / str(number) / os.path.relpath(prefix / path, prefix / root)
        if os.path.lexists(former) and not os.path.lexists(prefix / path):
            (prefix / path).parent.mkdir(parents=True, exist_ok=True)
            keep_link(str(former), str(prefix / path))


def discard_unchanged(kept: Path, changes: Changes, folder: Path) -> None:
    """Remove the kept files that no entry needs; `folder` is the folder of the transaction."""
    needed = {str(folder / entry.kept) for entry in changes.entries if entry.kept is not None}
    for _, entry in list(files_below(kept, (ENTRIES, BEFORE))):
        if entry.path not in needed:
            os.unlink(entry.path)  # noqa: PTH108 - 20,000 Path objects cost a second


def skeleton(prefix: Path) -> dict[str, str | None]:
    """Return the paths of `prefix` that `uv venv` may have written."""
    found = [path for path, _ in files_below(prefix, SKIPPED) if _SKELETON.fullmatch(path)]
    # Recent versions of uv leave site-packages empty; its folders are found by a file that may be in it.
    found += [str(site / "_virtualenv.py") for site in site_folders(prefix)]
    return {os.path.normpath(prefix / path): None for path in found}
