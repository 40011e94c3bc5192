"""The patches: which exact published files they fit, what they change, and what comes out (patches/*/patch.toml).

A patch never guesses. A file is known by the SHA-256 of its bytes, the change is a replacement of exact text, and
the result has to have the recorded SHA-256 too.
"""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import tomli

from paddlevl_doctor.knowledge.errors import KnowledgeError
from paddlevl_doctor.knowledge.location import data_folder

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DEFAULTS = ("automatic", "offered")


class PatchState(str, enum.Enum):
    """What a file is to a patch."""

    PRISTINE = "pristine"
    PATCHED = "patched"
    ALTERED = "altered"
    MISSING = "missing"
    OTHER_VERSION = "other-version"


@dataclass(frozen=True)
class Replacement:
    """Exact text `old`, which occurs once, becomes `new`."""

    old: str
    new: str


@dataclass(frozen=True)
class Original:
    """One published content of a file: its hash, the hash after the patch, and the versions that carry it."""

    sha256: str
    patched_sha256: str
    versions: tuple[str, ...]


@dataclass(frozen=True)
class Variant:
    """The replacements that fit some of the published contents."""

    replacements: tuple[Replacement, ...]
    originals: tuple[Original, ...]


@dataclass(frozen=True)
class PatchFile:
    """One file that a patch changes; `path` is relative to site-packages, with forward slashes."""

    path: str
    variants: tuple[Variant, ...]

    def original(self, sha256: str) -> tuple[Variant, Original] | None:
        """Return the variant and the original that this content is, None for an unknown content."""
        return next(((v, o) for v in self.variants for o in v.originals if o.sha256 == sha256), None)

    def variant_for(self, version: str) -> Variant | None:
        """Return the variant for a published version."""
        return next((v for v in self.variants for o in v.originals if version in o.versions), None)

    def versions(self) -> frozenset[str]:
        """Return every version that this file is known of."""
        return frozenset(x for v in self.variants for o in v.originals for x in o.versions)

    def is_result(self, sha256: str) -> bool:
        """Say whether this content is what the patch makes."""
        return any(o.patched_sha256 == sha256 for v in self.variants for o in v.originals)


@dataclass(frozen=True)
class Patch:
    """One patch. `default` is automatic (fix applies it where it is needed) or offered (only when asked for)."""

    id: str
    distribution: str
    default: str
    titles: dict[str, str]
    whys: dict[str, str]
    drop_when: dict[str, str]
    links: tuple[str, ...]
    files: tuple[PatchFile, ...]

    def title(self, lang: str) -> str:
        """Return one line that says what the patch does."""
        return self.titles[lang]

    def fits(self, version: str) -> bool:
        """Say whether every file of the patch is known of this version of the distribution."""
        return all(version in file.versions() for file in self.files)


def state_of(file: PatchFile, sha256: str | None, version: str) -> PatchState:
    """Say what a file with this hash, of this installed version, is to its patch."""
    if sha256 is None:
        return PatchState.MISSING
    if file.original(sha256) is not None:
        return PatchState.PRISTINE
    if file.is_result(sha256):
        return PatchState.PATCHED
    return PatchState.ALTERED if version in file.versions() else PatchState.OTHER_VERSION


@functools.cache
def load_patches() -> tuple[Patch, ...]:
    """Read all patches, sorted by id. Raises KnowledgeError naming the file and the field that is wrong."""
    return tuple(read_patch(path) for path in sorted(data_folder("patches").glob("*/patch.toml")))


def find_patch(patch_id: str) -> Patch:
    """Return the patch with this id; raises KeyError."""
    return next(patch for patch in load_patches() if patch.id == patch_id)


def read_patch(path: Path) -> Patch:
    """Read one patch.toml; raises KnowledgeError."""
    try:
        data = tomli.loads(path.read_text(encoding="utf-8"))
        patch = Patch(
            id=data["id"],
            distribution=data["distribution"],
            default=data["default"],
            titles=data["title"],
            whys=data["why"],
            drop_when=data["drop_when"],
            links=tuple(data["links"]),
            files=tuple(_file(entry) for entry in data["file"]),
        )
    except (OSError, tomli.TOMLDecodeError, KeyError, TypeError) as error:
        raise KnowledgeError(str(path), "-", f"{type(error).__name__}: {error}") from error
    _validate(patch, path)
    return patch


def _file(entry: dict[str, Any]) -> PatchFile:
    return PatchFile(entry["path"], tuple(_variant(variant) for variant in entry["variant"]))


def _variant(entry: dict[str, Any]) -> Variant:
    return Variant(
        tuple(Replacement(r["old"], r["new"]) for r in entry["replace"]),
        tuple(Original(o["sha256"], o["patched_sha256"], tuple(o["versions"])) for o in entry["original"]),
    )


def _validate(patch: Patch, path: Path) -> None:
    name = str(path)
    if patch.id != path.parent.name:
        raise KnowledgeError(name, "id", f"is not the name of its folder: {patch.id}")
    if patch.default not in _DEFAULTS:
        raise KnowledgeError(name, "default", f"is none of {', '.join(_DEFAULTS)}")
    for file in patch.files:
        pure = PurePosixPath(file.path)
        if pure.is_absolute() or ".." in pure.parts or "\\" in file.path:
            raise KnowledgeError(name, "file.path", f"leaves site-packages: {file.path}")
        for original in (o for v in file.variants for o in v.originals):
            if not (_SHA256.fullmatch(original.sha256) and _SHA256.fullmatch(original.patched_sha256)):
                raise KnowledgeError(name, "file.variant.original", f"no SHA-256: {original}")
