"""Finds what the user changed, added or installed since a transaction, so that an undo leaves it and names it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePath

from paddlevl_doctor.fix import entries, installs
from paddlevl_doctor.fix.entries import Entry, Places
from paddlevl_doctor.fix.journal import Transaction
from paddlevl_doctor.fix.recorded_changes import StepChanges, changes_of, places_of


def changed_paths(places: Places, entry: Entry, own: Mapping[str, Entry]) -> list[str]:
    """Return what the user changed of an entry.

    Of a folder that was moved away, these are the files in its place that are not among the paths `own` of later steps.
    """
    path = places.of(entry)
    if entry.before is None or entry.before.kind != "folder" or not path.is_dir():
        changed = entries.is_changed_since(places, entry)
        return [standing_at(places.prefix, entry.path) or entry.path] if changed else []
    inside = (f"{entry.path}/{name}" for name, _ in entries.files_below(path))
    return [name for name in inside if name not in own and entries.source_of(name) not in own]


def standing_at(folder: Path, path: str) -> str | None:
    """Return what is at a path below `folder`: the path itself, a file in the place of a folder above it, or None."""
    if os.path.lexists(folder / path):
        return path
    return next(
        (p for p in folders_above(path) if os.path.lexists(folder / p) and not (folder / p).is_dir()), None
    )


def folders_above(path: str) -> list[str]:
    """Return the folders that a path lies in, the nearest first."""
    return [parent.as_posix() for parent in PurePath(path).parents]


def added_files(places: Places, found: list[StepChanges], *, whole: bool) -> Iterator[str]:
    """Yield the files of the user in folders that the transaction created; with `whole` in the whole prefix.

    In the folders of other packages that it changed, these are the files that no RECORD lists. The bytecode of a file
    is not listed beside it.
    """
    own = {entry.path for step in found for entry in step.entries}
    packages = set() if whole else set(_package_folders(places.prefix, found))
    folders = {""} if whole else {folder for step in found for folder in step.created} | packages
    if packages:
        base = f"{os.path.normpath(places.prefix)}{os.sep}"
        claimed = installs.claims(places.prefix, None)
        own |= {path.removeprefix(base).replace(os.sep, "/") for path in claimed}
    for folder in sorted(folders):
        root = places.prefix / folder
        if not root.is_dir() or not folders.isdisjoint(folders_above(folder)):
            continue  # it is listed with a folder above it
        for path, _ in entries.files_below(root, installs.SKIPPED if whole else ()):
            relative = f"{folder}/{path}".lstrip("/")
            source = entries.source_of(relative)
            if relative not in own and (source is None or not _has_file(places.prefix, source, own)):
                yield relative


def _has_file(prefix: Path, source: str, own: Collection[str]) -> bool:
    return source in own or os.path.lexists(prefix / source)


def _package_folders(prefix: Path, found: list[StepChanges]) -> Iterator[str]:
    """Yield the folders in site-packages that contain files which an installer changed."""
    sites = [site.relative_to(prefix).as_posix() for site in installs.site_folders(prefix)]
    starts = ["" if site == "." else f"{site}/" for site in sites]
    listed = (step.entries for step in found if any(".dist-info/" in e.path for e in step.entries))
    for path in (entry.path for step in listed for entry in step):
        for start in (start for start in starts if path.startswith(start)):
            name, inside, _ = path.removeprefix(start).partition("/")
            if inside and name not in ("", "..", "__pycache__") and not name.endswith(".dist-info"):
                yield start + name


def new_packages(transaction: Transaction) -> Iterator[str]:
    """Yield the distributions in an environment that were not there when its transaction was committed."""
    commit = transaction.read().find("commit")
    former = set(commit[0].get("distributions", ())) if commit else set()
    if commit:
        yield from sorted(distributions(transaction.prefix) - former)


def distributions(prefix: Path) -> set[str]:
    """Return `name version` of every distribution that has a dist-info folder in an environment."""
    infos = (info.name for site in installs.site_folders(prefix) for info in site.glob("*.dist-info"))
    return {" ".join(name.removesuffix(".dist-info").split("-", 1)) for name in infos}


def other_version_paths(transaction: Transaction, newer: Collection[str] = ()) -> list[str]:
    """Return the files outside, and then the dist-info folder, of each version that the user installed since.

    A version with paths in `newer` is not the user's.
    """
    prefix, found = places_of(transaction).prefix, list[str]()
    for info in _other_versions(transaction):
        if any(path.startswith(f"{info.relative_to(prefix).as_posix()}/") for path in newer):
            continue
        rest = (other for other in info.parent.glob("*.dist-info") if other != info)
        shared = {path for other in rest for path in installs.recorded_paths(other)}
        for path in (*installs.recorded_paths(info), str(info)):
            inside = path.startswith(f"{info}{os.sep}")
            relative = os.path.relpath(path, prefix)
            is_there = Path(path).is_file() or path == str(info)
            if is_there and path not in shared and not inside and not relative.startswith(".."):
                found.append(relative)
    return found


def _other_versions(transaction: Transaction) -> list[Path]:
    """Return the dist-info folders that the user's installations left beside those of the transaction."""
    listed = (entry.path for step in changes_of(transaction) for entry in step.entries)
    folders = {places_of(transaction).prefix / Path(path).parent for path in listed}
    own = {folder for folder in folders if folder.suffix == ".dist-info"}
    # A name counts in its own folder only: setuptools has copies of other distributions in a folder of its own.
    names = {(info.parent, installs.name_of(info.name)) for info in own}
    found = {info for site in {one.parent for one in own} for info in site.glob("*.dist-info")}
    return sorted(info for info in found - own if (info.parent, installs.name_of(info.name)) in names)
