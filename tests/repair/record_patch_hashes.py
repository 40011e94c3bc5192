"""Writes, or checks, the hashes of a patch against a folder of published wheels. A maintainer's tool.

    python tests/repair/record_patch_hashes.py WHEELS [PATCH ...]          print the tables for patch.toml
    python tests/repair/record_patch_hashes.py --check WHEELS [PATCH ...]  fail when patch.toml says otherwise

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

from paddlevl_doctor.knowledge.patches import Patch, PatchFile, Variant, load_patches


def published(wheels: Iterable[Path], path: str) -> dict[bytes, list[Version]]:
    """Return the distinct contents of one file over all wheels, each with the versions that carry it."""
    contents: dict[bytes, list[Version]] = {}
    for wheel in wheels:
        _, version, _, _ = parse_wheel_filename(wheel.name)
        with zipfile.ZipFile(wheel) as archive:
            contents.setdefault(archive.read(path), []).append(version)
    return {content: sorted(versions) for content, versions in contents.items()}


def result(variant: Variant, content: bytes) -> bytes | None:
    """Return what a variant makes of a content, None where it does not fit."""
    for replacement in variant.replacements:
        if content.count(replacement.old.encode()) != 1:
            return None
        content = content.replace(replacement.old.encode(), replacement.new.encode())
    return content


def tables(file: PatchFile, contents: dict[bytes, list[Version]]) -> list[str]:
    """Return a table for every content that some variant fits, under the number of its variant."""
    found = []
    for number, variant in enumerate(file.variants, 1):
        for content, versions in sorted(contents.items(), key=lambda item: item[1]):
            changed = result(variant, content)
            if changed is not None:
                found.append(table(number, content, changed, versions))
    return found


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
    stale = 0
    for patch in chosen:
        wheels = sorted(arguments.wheels.glob(f"{patch.distribution}-*.whl"))
        for file in patch.files:
            now = tables(file, published(wheels, file.path))
            stale += sorted(now) != sorted(recorded(file))
            if not arguments.check:
                print(f"# {patch.id}: {file.path}\n" + "\n".join(now))
    if arguments.check:
        print(f"{len(chosen)} patches checked, {stale} files differ")
    return int(arguments.check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
