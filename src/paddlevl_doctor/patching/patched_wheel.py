"""Builds a wheel of an installed distribution with patches applied, for images and for machines without a network.

A wheel with the local version `3.3.6+paddlevl.1` satisfies `==3.3.6`, is visible in every list of packages, and has
a correct RECORD; installing the published version again removes the patches. Nothing is downloaded: the environment
has every published file, with its hash in RECORD.
"""

from __future__ import annotations

import base64
import csv
import difflib
import hashlib
import io
import json
import os
import uuid
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from paddlevl_doctor import __version__
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.patches import Patch, PatchState, load_patches, state_of
from paddlevl_doctor.messages import message
from paddlevl_doctor.patching.file_patcher import plan_change, plan_reversal, sha256_of
from paddlevl_doctor.system.files import load_json
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import Distribution, Target

REVISION = "paddlevl.1"
"""The local version; its number is the version of this build procedure."""
MANIFEST = "paddlevl-doctor.json"
"""A file in .dist-info that lists the applied patches."""
SBOMS = "sboms"
"""The folder in .dist-info for bills of materials (PEP 770)."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can hold; the same in every build."""
# Files that an installer writes; a wheel must not contain them.
_WRITTEN_BY_INSTALLERS = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json", MANIFEST)


@dataclass(frozen=True)
class Member:
    """One file of a wheel."""

    data: bytes
    executable: bool = False


@dataclass(frozen=True)
class Published:
    """A distribution as it was published: its files by their path inside the wheel."""

    name: str
    version: str
    """Without a local part."""
    info: str
    """The name of its .dist-info folder."""
    members: Mapping[str, Member]


def build(source: Published, patches: Sequence[Patch], folder: Path) -> Path:
    """Write the wheel into `folder` and return its path; the same patches give the same bytes on every machine.

    Raises UsageError for a patch that does not fit this version, OSError if the wheel cannot be written.
    """
    local = f"{source.version}+{REVISION}"
    info = f"{source.info.removesuffix(f'-{source.version}.dist-info')}-{local}.dist-info"
    patched = _patched(source, patches)
    members = dict(_renamed({**source.members, **patched}, source, local, info))
    members[f"{info}/{MANIFEST}"] = Member(_manifest(source, patches))
    members[f"{info}/{SBOMS}/paddlevl-doctor.cdx.json"] = Member(_sbom(source, local, patches, patched))
    return _packed(info, members, folder)


def _patched(source: Published, patches: Sequence[Patch]) -> dict[str, Member]:
    found = {}
    for patch in patches:
        for file in patch.files:
            member = source.members.get(file.path)
            digest = sha256_of(member.data) if member else None
            if member is None or state_of(file, digest, source.version) is not PatchState.PRISTINE:
                raise UsageError(
                    message("patch-does-not-fit", patch=patch.id, name=source.name, version=source.version)
                )
            found[file.path] = Member(plan_change(file, member.data), member.executable)
    return found


def repack(source: Published, folder: Path) -> Path:
    """Write a wheel of the distribution as it was published into `folder`; raises OSError."""
    return _packed(source.info, source.members, folder)


def _packed(info: str, members: Mapping[str, Member], folder: Path) -> Path:
    wheel_file = members[f"{info}/WHEEL"].data
    lines = wheel_file.decode().splitlines()
    tag = next(line.partition(": ")[2].strip() for line in lines if line.startswith("Tag: "))
    path = folder / f"{info.removesuffix('.dist-info')}-{tag}.whl"
    _write(path, members, f"{info}/RECORD")
    return path


def _renamed(
    members: Mapping[str, Member], source: Published, local: str, info: str
) -> Iterator[tuple[str, Member]]:
    for path, member in members.items():
        folder, _, rest = path.partition("/")
        if folder != source.info:
            yield path, member
            continue
        old, new = f"Version: {source.version}\n".encode(), f"Version: {local}\n".encode()
        data = member.data.replace(old, new, 1) if rest == "METADATA" else member.data
        yield f"{info}/{rest}", Member(data, member.executable)


def _manifest(source: Published, patches: Sequence[Patch]) -> bytes:
    chosen = [{"id": patch.id, "files": [file.path for file in patch.files]} for patch in patches]
    document = {"distribution": source.name, "version": source.version, "patches": chosen}
    return (json.dumps(document, indent=1) + "\n").encode()


def patches_of(system: System, found: Distribution) -> tuple[str, ...]:
    """Return the patches that an installed distribution contains, because it was installed from a patched wheel."""
    text = system.read_text(Path(found.path) / MANIFEST)
    try:
        return tuple(str(patch["id"]) for patch in load_json(text or "{}").get("patches", ()))
    except (ValueError, TypeError, KeyError, AttributeError):
        return ()


# --- the bill of materials --------------------------------------------------------------------------------


def _sbom(source: Published, local: str, patches: Sequence[Patch], patched: Mapping[str, Member]) -> bytes:
    """Return a bill of materials in the format CycloneDX 1.6: the wheel, what it was made from, and each patch.

    It has no time, and its serial number comes from its content, so that equal wheels have equal bytes.
    """
    component = {
        **_component(source.name, local),
        "pedigree": {
            "ancestors": [_component(source.name, source.version)],
            "patches": [_sbom_patch(patch, source, patched) for patch in patches],
        },
    }
    component["bom-ref"] = component["purl"]
    tool = {"type": "application", "name": "paddlevl-doctor", "version": __version__}
    content = {
        "version": 1,
        "metadata": {"tools": {"components": [tool]}, "component": component},
        "dependencies": [{"ref": component["bom-ref"]}],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content))
    head = {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{serial}"}
    return (json.dumps({**head, **content}, indent=1) + "\n").encode()


def _component(name: str, version: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{quote(version, safe='.')}"
    return {"type": "library", "name": name, "version": version, "purl": purl}


def _sbom_patch(patch: Patch, source: Published, patched: Mapping[str, Member]) -> dict[str, Any]:
    changed = ((file.path, source.members[file.path].data, patched[file.path].data) for file in patch.files)
    diff = "".join(line for path, old, new in changed for line in _diff(path, old, new))
    defect = {
        "type": "defect",
        "id": patch.id,
        "name": patch.title("en"),
        "description": patch.why("en"),
        "references": list(patch.links),
    }
    text = {"contentType": "text/x-diff", "content": diff}
    return {"type": "unofficial", "diff": {"text": text}, "resolves": [defect]}


def _diff(path: str, old: bytes, new: bytes) -> Iterator[str]:
    """Return a unified diff that `patch -p1` accepts."""
    before, after = (data.decode("utf-8", "replace").splitlines(keepends=True) for data in (old, new))
    for line in difflib.unified_diff(before, after, f"a/{path}", f"b/{path}"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


# --- the zip file -----------------------------------------------------------------------------------------


def _write(path: Path, members: Mapping[str, Member], record: str) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        with zipfile.ZipFile(part, "w") as wheel:
            ordered = sorted(members, key=lambda name: (".dist-info/" in name, name))
            for name in ordered:
                wheel.writestr(_entry(name, executable=members[name].executable), members[name].data)
            contents = ((name, members[name].data) for name in ordered)
            rows = [(name, f"sha256={_encoded(data)}", str(len(data))) for name, data in contents]
            wheel.writestr(_entry(record), _csv([*rows, (record, "", "")]))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _entry(name: str, *, executable: bool = False) -> zipfile.ZipInfo:
    """Describe one member. Stored, not compressed: the output of zlib differs between its versions."""
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = 3  # Unix, wherever it is built
    entry.external_attr = (0o100755 if executable else 0o100644) << 16
    return entry


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _csv(rows: Sequence[tuple[str, str, str]]) -> str:
    words = io.StringIO()
    csv.writer(words, lineterminator="\n").writerows(rows)
    return words.getvalue()


# --- the published files ------------------------------------------------------------------


def from_installation(system: System, target: Target, name: str) -> Published:
    """Collect a distribution's published files from an environment.

    Patches of the doctor are reversed. Raises UsageError if the distribution or its RECORD is missing, or if a file
    differs from RECORD.
    """
    found = next((d for d in target.distributions if d.name == name), None)
    if found is None or found.editable:
        raise UsageError(message("no-wheel-source", name=name))
    return published(system, found, target.python)


def published(system: System, found: Distribution, python: str) -> Published:
    """Collect the published files of a distribution of this Python; raises UsageError like `from_installation`."""
    record = system.read_text(Path(found.path) / "RECORD")
    if record is None:
        raise UsageError(message("no-wheel-source", name=found.name))
    members = dict(_installed(system, found, record, python))
    return Published(found.name, found.version, Path(found.path).name, members)


def _installed(system: System, found: Distribution, record: str, python: str) -> Iterator[tuple[str, Member]]:
    info = Path(found.path)
    for row in csv.reader(record.splitlines()):
        relative, promise = row[0].replace("\\", "/"), row[1]
        pure = PurePosixPath(relative)
        outside = pure.is_absolute() or ".." in pure.parts or ":" in relative
        own = pure.parts[0] == info.name and pure.name in _WRITTEN_BY_INSTALLERS
        if not promise or outside or own:
            continue
        path = info.parent.joinpath(*pure.parts)
        data = _as_published(system.read_bytes(path), relative, promise)
        if data is None:
            known = {"name": found.name, "version": found.version, "python": python}
            raise UsageError(message("wheel-source-altered", path=relative, **known))
        yield relative, Member(data, os.access(path, os.X_OK))


def _as_published(data: bytes | None, relative: str, promise: str) -> bytes | None:
    """Return the published content of a file, None if it differs from RECORD even without our patches."""
    for published in (data, data and _without_our_patch(relative, data)):
        if published is not None and promise.partition("=")[2].rstrip("=") == _encoded(published):
            return published
    return None


def _without_our_patch(relative: str, data: bytes) -> bytes | None:
    files = [file for patch in load_patches() for file in patch.files if file.path == relative]
    return next((former for file in files if (former := plan_reversal(file, data)) is not None), None)


def fitting(patches: Sequence[Patch], source: Published) -> tuple[Patch, ...]:
    """Return the patches for this version of the distribution."""
    return tuple(p for p in patches if p.distribution == source.name and p.fits(source.version))
