"""Whether the files of the models are what the hub promised.

huggingface_hub notes the ETag of every file that it puts into a folder (`.cache/huggingface/download/FILE.metadata`:
commit, ETag, seconds since 1970), and compares sizes alone, so that a bit that fell over on the way stays unnoticed.
The ETag is the SHA-256 of a large file, and what git calls a small one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from paddlevl_doctor.facts.deep_facts import AlteredModel
from paddlevl_doctor.facts.model import CachedModel, ModelCache
from paddlevl_doctor.system import System

_NOTES = Path(".cache", "huggingface", "download")
_SUFFIX = ".metadata"
_LINES = 3
_SHA256, _BLOB = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
_SECOND = 1.0
"""What huggingface_hub allows a file to be younger than its note; one that is younger still was edited by somebody."""


def altered_models(system: System, cache: ModelCache | None) -> tuple[AlteredModel, ...]:
    """Return the models with files that are not what was promised of them; reads every file that has a promise."""
    models = cache.models if cache else ()
    found = (AlteredModel(m.name, m.path, tuple(_altered_files(system, m))) for m in models)
    return tuple(model for model in found if model.files)


def _altered_files(system: System, model: CachedModel) -> Iterator[str]:
    folder = Path(model.path)
    inner = model.name.split("/")[1:]  # a model that lies inside another one came with it
    notes = (folder, *folder.parents)[len(inner)] / _NOTES / Path(*inner)
    for name in system.names(notes):
        if name.endswith(_SUFFIX) and _is_altered(system, folder / name[: -len(_SUFFIX)], notes / name):
            yield name[: -len(_SUFFIX)]


def _is_altered(system: System, path: Path, note: Path) -> bool:
    lines = (system.read_text(note) or "").split()
    size, modified = system.file_size(path), system.modified(path)
    if len(lines) != _LINES or size is None or modified is None or _edited(modified, lines[2]):
        return False
    promised = lines[1]
    if _SHA256.fullmatch(promised):
        return system.digest(path, "sha256") not in (promised, None)
    if _BLOB.fullmatch(promised):
        return system.digest(path, "sha1", b"blob %d\0" % size) not in (promised, None)
    return False  # another hub's idea of an ETag


def _edited(modified: float, noted: str) -> bool:
    try:
        return modified - _SECOND > float(noted)
    except ValueError:
        return True
