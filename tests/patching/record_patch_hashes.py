"""Writes, or checks, the hashes of a patch against a folder of published wheels. A maintainer's tool.

    python tests/patching/record_patch_hashes.py WHEELS [PATCH ...]          print the tables for patch.toml
    python tests/patching/record_patch_hashes.py --check WHEELS [PATCH ...]  fail when patch.toml says otherwise

Both fail, and name the version, where no variant of a patch fits a wheel: that release needs a new variant.
Fetch the wheels with `pip download --no-deps -d WHEELS paddlex==X.Y.Z`. A new release of paddlex is a change of data:
run this, paste the tables, and let the tests prove the rest.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from packaging.utils import parse_wheel_filename
from packaging.version import Version

from paddlevl_doctor.knowledge.patches import Patch, PatchFile, load_patches

Contents = dict[bytes, list[Version]]


def published(wheels: Iterable[Path], path: str) -> tuple[Contents, list[Version]]:
    """Return the distinct contents of one file, each with its versions, and the versions that lack the file."""
    contents: Contents = {}
    without = []
    for wheel in wheels:
        _, version, _, _ = parse_wheel_filename(wheel.name)
        with zipfile.ZipFile(wheel) as archive:
            if path in archive.namelist():
                contents.setdefault(archive.read(path), []).append(version)
            else:
                without.append(version)
    return {content: sorted(versions) for content, versions in contents.items()}, without


def tables(file: PatchFile, contents: Contents) -> list[str]:
    """Return a table for every content that some variant fits, under the number of its variant."""
    found = []
    for number, variant in enumerate(file.variants, 1):
        for content, versions in sorted(contents.items(), key=lambda item: item[1]):
            changed = variant.applied_to(content)
            if changed is not None:
                found.append(table(number, content, changed, versions))
    return found


def complaints(file: PatchFile, contents: Contents, without: Iterable[Version]) -> list[str]:
    """Say which versions do not have the file, or have one that not exactly one variant fits."""
    found = [f"{version}: no such file" for version in without]
    for content, versions in contents.items():
        fitting = [n for n, v in enumerate(file.variants, 1) if v.applied_to(content) is not None]
        if len(fitting) != 1:
            found += [f"{version}: the variants that fit are {fitting or 'none'}" for version in versions]
    return sorted(found)


def table(number: int, content: bytes, changed: bytes, versions: list[Version]) -> str:
    """Write one [[file.variant.original]] table."""
    before, after = (hashlib.sha256(data).hexdigest() for data in (content, changed))
    names = ", ".join(f'"{version}"' for version in versions)
    return (
        f"# variant {number}\n[[file.variant.original]]\nversions = [{names}]\n"
        f'sha256 = "{before}"\npatched_sha256 = "{after}"\n'
    )


def recorded(file: PatchFile) -> list[str]:
    """Return the tables that patch.toml has now, in the same form."""
    return [
        f"# variant {number}\n[[file.variant.original]]\n"
        f"versions = [{', '.join(chr(34) + v + chr(34) for v in o.versions)}]\n"
        f'sha256 = "{o.sha256}"\npatched_sha256 = "{o.patched_sha256}"\n'
        for number, variant in enumerate(file.variants, 1)
        for o in variant.originals
    ]


def main() -> int:
    """Print or check; returns the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("wheels", type=Path)
    parser.add_argument("patches", nargs="*")
    arguments = parser.parse_args()
    chosen: list[Patch] = [p for p in load_patches() if not arguments.patches or p.id in arguments.patches]
    wrong: list[str] = []
    for patch in chosen:
        wheels = sorted(arguments.wheels.glob(f"{patch.distribution}-*.whl"))
        for file in patch.files:
            contents, without = published(wheels, file.path)
            now = tables(file, contents)
            wrong += [f"{patch.id}: {line}" for line in complaints(file, contents, without)]
            if not arguments.check:
                print(f"# {patch.id}: {file.path}\n" + "\n".join(now))
            elif sorted(now) != sorted(recorded(file)):
                wrong.append(f"{patch.id}: {file.path}: patch.toml records other hashes or versions")
    print("\n".join(wrong) or f"{len(chosen)} patches fit every wheel", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
