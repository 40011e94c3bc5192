"""The facts of one check as a file: `check --record` writes it, `check --replay` reads it.

A recording is a zip archive with `manifest.json`, `facts.json` and, after a deep check, `deep.json`. Its source is not
trusted: it is read into memory, never unpacked, and every value must have the type that the doctor writes.
"""

from __future__ import annotations

import dataclasses
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

import msgspec

from paddlevl_doctor import __version__
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Message, Text, from_json, message, render
from paddlevl_doctor.system.files import new_file
from paddlevl_doctor.values import facts
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import DeepFacts, Facts, ProbeResult

SCHEMA = "paddlevl-doctor/recording/1"
_MANIFEST, _FACTS, _DEEP = "manifest.json", "facts.json", "deep.json"
_MAX_MEMBER_BYTES = 16 << 20
"""The maximum size of one member in bytes; a deep check of a large environment writes 200 KB."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
)
"""The exceptions of zipfile for files that are not archives, truncated, encrypted or inconsistent archives."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Provenance:
    """The origin of a recording.

    `kind` is recorded (on the machine itself) or constructed (from the published `sources`); `date` is YYYY-MM-DD.
    """

    kind: Literal["recorded", "constructed"]
    date: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recording:
    """All facts for a diagnosis. `deep` is None if no probe was run."""

    facts: Facts
    provenance: Provenance
    deep: DeepFacts | None = None
    looked_deep: bool = False
    set_name: str | None = None


@dataclass(frozen=True)
class _Doctor:
    version: str


@dataclass(frozen=True)
class _Head:
    """The fields that every version of the manifest has."""

    schema: str
    doctor: _Doctor


@dataclass(frozen=True)
class _Manifest:
    schema: str
    doctor: _Doctor
    provenance: Provenance
    looked_deep: bool
    set_name: str | None


def save(path: Path, recording: Recording, redacted: Callable[[Any], Any]) -> None:
    """Write a recording atomically; `redacted` removes what must not leave the machine.

    Equal recordings give equal bytes. Raises UsageError if the file cannot be written.
    """
    hidden: Recording = redacted(recording)
    manifest = _Manifest(SCHEMA, _Doctor(__version__), hidden.provenance, hidden.looked_deep, hidden.set_name)
    members: dict[str, object] = {_MANIFEST: manifest, _FACTS: hidden.facts}
    if hidden.deep is not None:
        members[_DEEP] = hidden.deep
    try:
        with new_file(path) as file:
            _write(file, members)
    except OSError as error:
        raise UsageError(
            message("cannot-write", option="--record", path=path, reason=error.strerror)
        ) from error


def _write(file: BinaryIO, members: dict[str, object]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in members.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16  # the same on every system
            entry.compress_type = zipfile.ZIP_DEFLATED
            encoded = msgspec.json.encode(value, order="sorted")
            archive.writestr(entry, msgspec.json.format(encoded, indent=1))


# --- reading ----------------------------------------------------------------------------------------------


def load(path: Path) -> Recording:
    """Read a recording. Raises UsageError with the reason for an invalid or malicious file."""
    try:
        members = _members(path)
    except _ARCHIVE_ERRORS as error:
        said = next((word for word in error.args if isinstance(word, Message)), None)
        raise _refusal(path, said or str(error) or type(error).__name__) from error
    try:
        # Check the schema first: unknown fields from a newer doctor are not an error of the file.
        head = _decoded(path, _MANIFEST, members, _Head, strict=False)
        if head.schema != SCHEMA:
            raise _refusal(path, message("recording-schema", schema=head.schema, version=head.doctor.version))
        manifest = _decoded(path, _MANIFEST, members, _Manifest)
        deep = _decoded(path, _DEEP, members, DeepFacts) if _DEEP in members else None
        for key, result in deep.probes.items() if deep else ():
            _check_result(path, key, result)
        facts = _decoded(path, _FACTS, members, Facts)
        facts = dataclasses.replace(facts, target_problem=_problem(path, facts.target_problem))
        return Recording(facts, manifest.provenance, deep, manifest.looked_deep, manifest.set_name)
    except RecursionError as error:
        raise _refusal(path, message("recording-nested")) from error


def _refusal(path: Path, reason: Text) -> UsageError:
    return UsageError(message("recording-refused", path=path, reason=reason))


def _members(path: Path) -> dict[str, bytes]:
    # Only regular files: a pipe blocks, and zipfile reads /dev/zero until the memory is full.
    if path.exists() and not path.is_file():
        raise ValueError(message("recording-member-kind", name=path.name))
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        if len(set(names)) != len(names) or not {_MANIFEST, _FACTS} <= set(names) <= {
            _MANIFEST,
            _FACTS,
            _DEEP,
        }:
            raise ValueError(message("recording-members", names=", ".join(names[:5])))
        return {entry.filename: _content(archive, entry) for entry in entries}


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Return the bytes of one member; the limit applies to the real size, not to the size in the archive's header."""
    mode = entry.external_attr >> 16
    ordinary = stat.S_IFMT(mode) in (0, stat.S_IFREG) and not entry.is_dir()
    if not ordinary or entry.flag_bits & 1 or entry.compress_type not in _METHODS:
        raise ValueError(message("recording-member-kind", name=entry.filename))
    with archive.open(entry) as file:
        data = file.read(_MAX_MEMBER_BYTES + 1)
    if len(data) > _MAX_MEMBER_BYTES:
        raise ValueError(message("recording-too-large", name=entry.filename, mb=_MAX_MEMBER_BYTES >> 20))
    return data


def _problem(path: Path, problem: Text | None) -> Text | None:
    """Return the problem of the target as a message. Raises UsageError for one that cannot be rendered."""
    if not isinstance(problem, Message):
        return problem
    try:
        said = from_json({"id": problem.id, "params": problem.params})
        render(said, "en")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise _refusal(path, f"{_FACTS}: {problem.id}") from error
    return said


def _decoded(
    path: Path, name: str, members: dict[str, bytes], kind: type[Value], *, strict: bool = True
) -> Value:
    """Decode a member; with `strict`, unknown fields raise UsageError."""
    try:
        value = msgspec.json.decode(members[name], type=kind, strict=True)
        strange = _unknown(msgspec.json.decode(members[name]), msgspec.to_builtins(value))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _refusal(path, f"{name}: {error}") from error
    if strict and strange is not None:
        raise _refusal(
            path,
            message(
                "recording-in-member", member=name, reason=message("recording-unknown-field", name=strange)
            ),
        )
    return value


def _unknown(raw: object, known: object) -> str | None:
    """Return the first key of the file that the decoded value lacks, None if there is none."""
    if isinstance(raw, dict) and isinstance(known, dict):
        strange = next((key for key in raw if key not in known), None)
        return strange or next(filter(None, (_unknown(raw[key], known[key]) for key in raw)), None)
    if isinstance(raw, list) and isinstance(known, (list, tuple)):
        return next(filter(None, (_unknown(*pair) for pair in zip(raw, known, strict=True))), None)
    return None


def _check_result(path: Path, key: str, result: ProbeResult) -> None:
    """Raise UsageError if a probe's document does not have the form of this probe."""
    if (result.status == "answered") != (result.data is not None):
        raise _refusal(path, f"{_DEEP}: {key}")
    if result.data is None:
        return
    try:
        msgspec.convert(result.data, facts.document_type(key), strict=True)
    except (msgspec.ValidationError, KeyError) as error:
        raise _refusal(path, f"{_DEEP}: {key}: {error}") from error


def redact_with(redact: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that redacts the facts and probe results of a recording, but not its sources."""

    def redacted(recording: Recording) -> Recording:
        return dataclasses.replace(
            recording, facts=redact(recording.facts), deep=redact(recording.deep) if recording.deep else None
        )

    return redacted
