"""The patches: the exact published files that they fit, their changes and their results (patches/*/patch.toml).

A patch applies only to a file with a recorded SHA-256. It replaces exact text, and the result must have the recorded
SHA-256, too.
"""

from __future__ import annotations

import enum
import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import tomli

from paddlevl_doctor.data_files import data_folder
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.failures import LANGUAGES
from paddlevl_doctor.knowledge.tables import KnowledgeError

_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"\d+(\.\d+)+")
_DEFAULTS = ("automatic", "offered")
_FIELDS = {"id", "distribution", "default", "title", "why", "drop_when", "links", "evidence", "file"}


class PatchState(str, enum.Enum):
    """The state of a file with respect to a patch."""

    PRISTINE = "pristine"
    PATCHED = "patched"
    OLDER = "older"
    """The result of an earlier release of this patch."""
    EDITED = "edited"
    """The result of an edit by hand that has the effect of this patch."""
    ALTERED = "altered"
    MISSING = "missing"
    OTHER_VERSION = "other-version"


@dataclass(frozen=True)
class Replacement:
    """Replaces the exact text `old`, which must occur once, by `new`."""

    old: str
    new: str


@dataclass(frozen=True)
class Original:
    """One published content of a file: its hash, the hash after the patch, and the versions that contain it."""

    sha256: str
    patched_sha256: str
    versions: tuple[str, ...]
    edited_sha256: tuple[str, ...] = ()
    """The hashes after edits by hand that have the effect of the patch."""


@dataclass(frozen=True)
class Variant:
    """The replacements that fit some of the published contents."""

    replacements: tuple[Replacement, ...]
    originals: tuple[Original, ...]

    def applied_to(self, content: bytes) -> bytes | None:
        """Return the content after every replacement, None if an old text does not occur exactly once."""
        for replacement in self.replacements:
            old = replacement.old.encode()
            if content.count(old) != 1:
                return None
            content = content.replace(old, replacement.new.encode())
        return content

    def taken_from(self, content: bytes) -> bytes | None:
        """Return the content with every replacement reverted, None if a new text does not occur exactly once."""
        for replacement in reversed(self.replacements):
            new = replacement.new.encode()
            if content.count(new) != 1:
                return None
            content = content.replace(new, replacement.old.encode())
        return content


@dataclass(frozen=True)
class PatchFile:
    """One file that a patch changes; `path` is relative to site-packages, with forward slashes."""

    path: str
    variants: tuple[Variant, ...]
    former: tuple[Variant, ...] = ()
    """The variants of earlier releases of this patch, so that they can be reverted exactly."""

    def original(self, sha256: str) -> tuple[Variant, Original] | None:
        """Return the variant and the original with this hash, None for an unknown hash."""
        return next(((v, o) for v in self.variants for o in v.originals if o.sha256 == sha256), None)

    def variant_for(self, version: str) -> Variant | None:
        """Return the variant for a published version."""
        return next((v for v in self.variants for o in v.originals if version in o.versions), None)

    def versions(self) -> frozenset[str]:
        """Return every version whose content of this file is recorded."""
        return frozenset(x for v in self.variants for o in v.originals for x in o.versions)

    def is_former_result(self, sha256: str) -> bool:
        """Return whether this is the hash of a result of an earlier release of the patch."""
        return any(o.patched_sha256 == sha256 for v in self.former for o in v.originals)

    def is_result(self, sha256: str) -> bool:
        """Return whether this is the hash of a result of the patch."""
        return any(o.patched_sha256 == sha256 for v in self.variants for o in v.originals)

    def is_edit(self, sha256: str) -> bool:
        """Return whether this is the hash of an edit by hand that has the effect of the patch."""
        return any(sha256 in o.edited_sha256 for v in self.variants for o in v.originals)


@dataclass(frozen=True)
class Patch:
    """One patch. `default` is automatic (`fix` applies it if needed) or offered (only with --only).

    `evidence` describes the proof of the defect and of the cure.
    """

    id: str
    distribution: str
    default: str
    titles: dict[str, str]
    whys: dict[str, str]
    drop_when: dict[str, str]
    links: tuple[str, ...]
    evidence: str
    files: tuple[PatchFile, ...]

    def title(self, lang: str) -> str:
        """Return one line about the effect of the patch."""
        return self.titles[lang]

    def why(self, lang: str) -> str:
        """Return the defect that the patch cures, and its other effects."""
        return self.whys[lang]

    def fits(self, version: str) -> bool:
        """Return whether every file of the patch is recorded for this version of the distribution."""
        return all(version in file.versions() for file in self.files)


def state_of(file: PatchFile, sha256: str | None, version: str) -> PatchState:
    """Return the state of a file with this hash in this installed version."""
    if sha256 is None:
        return PatchState.MISSING
    if file.original(sha256) is not None:
        return PatchState.PRISTINE
    if file.is_result(sha256):
        return PatchState.PATCHED
    if file.is_former_result(sha256):
        return PatchState.OLDER
    if file.is_edit(sha256):
        return PatchState.EDITED
    return PatchState.ALTERED if version in file.versions() else PatchState.OTHER_VERSION


@functools.cache
def load_patches() -> tuple[Patch, ...]:
    """Read all patches, sorted by id. Raises KnowledgeError naming the file and the field that is wrong."""
    return tuple(read_patch(path) for path in sorted(data_folder("patches").glob("*/patch.toml")))


def find_patch(patch_id: str) -> Patch:
    """Return the patch with this id; raises KeyError."""
    return {patch.id: patch for patch in load_patches()}[patch_id]


def proof_of(patch_id: str) -> Path:
    """Return the program that the target's Python runs to test whether a patch works there."""
    return data_folder("patches") / patch_id / "proof.py"


def read_patch(path: Path) -> Patch:
    """Read and validate one patch.toml; raises KnowledgeError that names the file and the field."""
    try:
        document = tomli.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # a TOMLDecodeError is a ValueError
        raise KnowledgeError(path, "", str(error)) from error
    table = _Table(path, "", document)
    table.only(_FIELDS)
    return Patch(
        id=table.one_of("id", (path.parent.name,)),
        distribution=table.string("distribution"),
        default=table.one_of("default", _DEFAULTS),
        titles=table.texts("title"),
        whys=table.texts("why"),
        drop_when=table.texts("drop_when"),
        links=table.strings("links"),
        evidence=table.string("evidence"),
        files=_files(table),
    )


@dataclass(frozen=True)
class _Table:
    """A table of a patch file; its methods raise KnowledgeError for missing, unknown and mistyped fields."""

    file: Path
    name: str
    values: Mapping[str, object]

    def wrong(self, key: str, problem: str) -> KnowledgeError:
        return KnowledgeError(self.file, f"{self.name}.{key}".lstrip("."), problem)

    def only(self, keys: Iterable[str]) -> None:
        unknown = sorted(set(self.values) - set(keys))
        if unknown:
            raise self.wrong(unknown[0], "unknown field")

    def string(self, key: str) -> str:
        value = self.values.get(key)
        if not (isinstance(value, str) and value.strip()):
            raise self.wrong(key, "a text is expected")
        return value

    def one_of(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.string(key)
        if value not in allowed:
            raise self.wrong(key, f"one of {', '.join(allowed)} is expected, not {value}")
        return value

    def sha256(self, key: str) -> str:
        return self._hashes(key, (self.string(key),))[0]

    def sha256s(self, key: str) -> tuple[str, ...]:
        """Return the hashes of a list that may be absent."""
        return self._hashes(key, self.strings(key)) if key in self.values else ()

    def _hashes(self, key: str, values: tuple[str, ...]) -> tuple[str, ...]:
        strange = [value for value in values if not _SHA256.fullmatch(value)]
        if strange:
            raise self.wrong(key, f"no SHA-256 in lower case: {strange[0]}")
        return values

    def strings(self, key: str) -> tuple[str, ...]:
        value = self.values.get(key)
        if not (isinstance(value, list) and value and all(isinstance(x, str) and x for x in value)):
            raise self.wrong(key, "a list of texts is expected")
        return tuple(value)

    def tables(self, key: str, keys: Iterable[str]) -> tuple[_Table, ...]:
        """Return the tables of [[key]]: at least one, with no fields except `keys`."""
        value = self.values.get(key)
        if not (isinstance(value, list) and value and all(isinstance(x, dict) for x in value)):
            raise self.wrong(key, "at least one table is expected")
        found = tuple(
            _Table(self.file, f"{self.name}.{key}[{n}]".lstrip("."), x) for n, x in enumerate(value)
        )
        for table in found:
            table.only(keys)
        return found

    def texts(self, key: str) -> dict[str, str]:
        """Return a text in every language."""
        value = self.values.get(key)
        if not isinstance(value, dict):
            raise self.wrong(key, "a text in every language is expected")
        table = _Table(self.file, key, value)
        table.only(LANGUAGES)
        return {language: table.string(language) for language in LANGUAGES}


def _files(patch: _Table) -> tuple[PatchFile, ...]:
    tables = patch.tables("file", {"path", "variant", "former"})
    files = tuple(_file(table) for table in tables)
    _refuse_repeated(patch, "file", (file.path for file in files))
    return files


def _file(table: _Table) -> PatchFile:
    path = table.string("path")
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or {"\\", ":"} & set(path):
        raise table.wrong("path", f"leaves site-packages: {path}")
    variants = tuple(_variant(t) for t in table.tables("variant", {"replace", "original"}))
    former = table.tables("former", {"replace", "original"}) if "former" in table.values else ()
    file = PatchFile(path, variants, tuple(_variant(t) for t in former))
    originals = [o for variant in file.variants for o in variant.originals]
    results = [o.patched_sha256 for variant in file.former for o in variant.originals]
    _refuse_repeated(table, "variant", (v for o in originals for v in o.versions))
    # A result that is an original, too, would be patched twice.
    _refuse_repeated(
        table,
        "variant",
        (*(h for o in originals for h in (o.sha256, o.patched_sha256, *o.edited_sha256)), *results),
    )
    return file


def _variant(table: _Table) -> Variant:
    replacements = tuple(_replacement(t) for t in table.tables("replace", {"old", "new"}))
    tables = table.tables("original", {"sha256", "patched_sha256", "edited_sha256", "versions"})
    return Variant(replacements, tuple(_original(t) for t in tables))


def _replacement(table: _Table) -> Replacement:
    old, new = table.string("old"), table.values.get("new")
    if not isinstance(new, str) or new == old:
        raise table.wrong("new", "a text other than `old` is expected")
    return Replacement(old, new)


def _original(table: _Table) -> Original:
    versions = table.strings("versions")
    strange = [version for version in versions if not _VERSION.fullmatch(version)]
    if strange:
        raise table.wrong("versions", f"no version: {strange[0]}")
    hashes = table.sha256("sha256"), table.sha256("patched_sha256")
    return Original(*hashes, versions, table.sha256s("edited_sha256"))


def _refuse_repeated(table: _Table, key: str, values: Iterable[str]) -> None:
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise table.wrong(key, f"occurs more than once: {repeated[0]}")
