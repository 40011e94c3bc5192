"""Reads PaddleX's model cache: the models, their sizes, and their missing and damaged files."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

from paddlevl_doctor.messages import Text, message
from paddlevl_doctor.system.files import load_json
from paddlevl_doctor.system.machine import System
from paddlevl_doctor.values.facts import AlteredModel, CachedModel, DamagedFile, ModelCache

# Found by leaving files out one at a time (selftest.md, 1): without one of these the loader raises, or, for
# generation_config.json, never stops writing.
_VL_FILES = (
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "inference.yml",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.model",
    "tokenizer_config.json",
)
_STATIC_FILES = ("inference.yml", "inference.pdiparams")
_PROGRAMS = ("inference.json", "inference.pdmodel")


def cache_root(system: System) -> Path:
    """Return PaddleX's cache folder: $PADDLE_PDX_CACHE_HOME, else ~/.paddlex (paddlex utils/cache.py)."""
    configured = system.env.get("PADDLE_PDX_CACHE_HOME")
    return Path(configured) if configured else system.home() / ".paddlex"


def collect_cache(system: System) -> ModelCache:
    """Return the models; a nested one (a layout model inside PaddleOCR-VL) has the name OUTER/INNER."""
    root = cache_root(system)
    models = root / "official_models"
    found: list[CachedModel] = []
    for name in system.names(models):
        folder = models / name
        if system.file_size(folder) is None:  # a folder
            found += _models(system, folder, name)
    local = system.env.get("PADDLE_PDX_LOCAL_FONT_FILE_PATH")
    usable = (local,) if local and system.file_size(Path(local)) is not None else ()
    return ModelCache(
        str(root), tuple(found), (*system.names(root / "fonts"), *usable), _cache_problem(system, root)
    )


_MADE = ("func_ret", "locks", "temp")
"""The folders that paddlex makes in its cache when it is imported; if they exist, it need not write (3.3.6, 3.7.2)."""


def _cache_problem(system: System, root: Path) -> Text | None:
    """Return why `import paddlex` cannot make the folders of its cache, None if it can."""
    if all(system.exists(root / name) for name in _MADE):
        return None
    there = next((path for path in (root, *root.parents) if system.exists(path)), None)
    if there is None:
        return None
    if system.file_size(there) is not None:
        return message("cache-is-file", path=there)
    return None if system.can_write(there) else message("cache-read-only", path=there)


def _models(system: System, folder: Path, name: str) -> list[CachedModel]:
    names = system.names(folder)
    inner = [n for n in names if n.startswith(("PP-Doc", "PaddleOCR-VL"))]
    nested = [m for n in inner for m in _models(system, folder / n, f"{name}/{n}")]
    if inner and not set(names) & {"config.json", "inference.yml"}:
        return nested
    required = _required(name.rpartition("/")[2], frozenset(names))
    missing = tuple(file for file in required if file not in names)
    damaged = _damaged(system, folder, tuple(file for file in required if file in names))
    size = system.folder_size_mb(folder)
    tokens = _tokens(system, folder, (*missing, *(d.file for d in damaged)))
    linked = "/" in name and system.link_count(folder / _STATIC_FILES[1]) > 1
    return [CachedModel(name, str(folder), size, missing, damaged, tokens, linked), *nested]


def _tokens(system: System, folder: Path, flawed: tuple[str, ...]) -> dict[str, int]:
    if "generation_config.json" not in flawed:
        return {}

    return token_ids(system, folder / "config.json")


def _required(name: str, present: frozenset[str]) -> tuple[str, ...]:
    if name.startswith("PaddleOCR-VL"):
        return _VL_FILES
    if name.endswith(("_safetensors", "_onnx")):
        return ()  # models of other engines: their required files are not known
    program = next((file for file in _PROGRAMS if file in present), _PROGRAMS[0])
    return (*_STATIC_FILES, program)


def _damaged(system: System, folder: Path, files: tuple[str, ...]) -> tuple[DamagedFile, ...]:

    found = (damage_of(system, folder / file) for file in files)
    return tuple(damage for damage in found if damage is not None)


_LENGTH = struct.Struct("<Q")
_LONGEST_HEADER = 100_000_000
"""The maximum length of a header in bytes that the safetensors library accepts."""


def damage_of(system: System, path: Path) -> DamagedFile | None:
    """Return the damage of an existing file, None if there is none."""
    size = system.file_size(path)
    if size is None:
        return None  # a folder, or deleted in the meantime
    if size == 0:
        return DamagedFile(path.name, "empty", "0 bytes")
    if path.suffix == ".safetensors":
        return _safetensors(system, path, size)
    if path.name == "generation_config.json":
        return _end_mark(system, path)
    return _json(system, path) if path.suffix == ".json" else None


def _json(system: System, path: Path) -> DamagedFile | None:
    """Return a damage if a file is not JSON; huggingface_hub compares only sizes and does not notice it."""
    try:
        load_json((system.read_bytes(path) or b"").decode("utf-8-sig"))
    except ValueError:
        return DamagedFile(path.name, "not-json", "no JSON")
    return None


def _safetensors(system: System, path: Path, size: int) -> DamagedFile | None:
    """Compare a file's size with its header (format: safetensors README).

    A file is 8 bytes with the header's length, the header (JSON) and the tensors; the largest end of all
    data_offsets is where the tensors end.
    """
    promised = _promised_size(system, path)
    if promised is None:
        return DamagedFile(path.name, "not-safetensors", f"{size} bytes")
    if promised == size:
        return None
    return DamagedFile(
        path.name, "truncated" if size < promised else "too-long", f"{size} of {promised} bytes"
    )


def _promised_size(system: System, path: Path) -> int | None:
    """Return the size according to the header, None if it has no header of this format.

    For a file that ends inside its header, return the size of the header.
    """
    start = system.read_head(path, _LENGTH.size) or b""
    if len(start) < _LENGTH.size:
        return None
    length: int = _LENGTH.size + _LENGTH.unpack(start)[0]
    if length > _LONGEST_HEADER:
        return None
    head = system.read_head(path, length) or b""
    if len(head) < length:
        return length if head[_LENGTH.size :].lstrip().startswith(b"{") else None
    try:
        tensors = load_json(head[_LENGTH.size :])
        ends = [entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"]
        return length + max(ends, default=0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None


def _end_mark(system: System, path: Path) -> DamagedFile | None:
    """Return a damage if generation_config.json has no end-of-text token or another one than config.json.

    PaddleX reads it only from there; a wrong one is never generated (failures.md, generation-config-missing).
    """
    try:
        named = _end_marks(load_json(system.read_text(path) or ""))
    except ValueError:
        return DamagedFile(path.name, "not-json")
    if not named:
        return DamagedFile(path.name, "no-end-mark", "eos_token_id")
    wanted = _end_marks(_config(system, path.with_name("config.json")))
    if wanted and not named & wanted:
        seen = f"eos_token_id {min(named)}, config.json says {min(wanted)}"
        return DamagedFile(path.name, "other-end-mark", seen)
    return None


def token_ids(system: System, config: Path) -> dict[str, int]:
    """Return the ids of the special tokens in a config.json."""
    document = _config(system, config)
    found = document if isinstance(document, dict) else {}
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {n: found[n] for n in names if isinstance(found.get(n), int) and not isinstance(found[n], bool)}


def _config(system: System, path: Path) -> object:
    try:
        return load_json(system.read_text(path) or "")
    except ValueError:
        return None


def _end_marks(document: object) -> frozenset[int]:
    """Return the token ids under eos_token_id, which is one number or a list of them."""
    value = document.get("eos_token_id") if isinstance(document, dict) else None
    values = value if isinstance(value, list) else [value]
    return frozenset(item for item in values if isinstance(item, int) and not isinstance(item, bool))


_NOTES = Path(".cache", "huggingface", "download")
_SUFFIX = ".metadata"
_LINES = 3
_SHA256, _BLOB = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
_SECOND = 1.0
"""Seconds. A file that is newer than huggingface_hub's metadata by more than this was edited."""


def altered_models(system: System, cache: ModelCache | None) -> tuple[AlteredModel, ...]:
    """Return the models whose files differ from the hashes in huggingface_hub's metadata; reads all these files."""
    models = cache.models if cache else ()
    found = (AlteredModel(m.name, m.path, tuple(_altered_files(system, m))) for m in models)
    return tuple(model for model in found if model.files)


def _altered_files(system: System, model: CachedModel) -> Iterator[str]:
    folder = Path(model.path)
    inner = model.name.split("/")[1:]  # a nested model has the metadata of the outer one
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
    return False  # an ETag of another hub, which is not a hash


def _edited(modified: float, noted: str) -> bool:
    try:
        return modified - _SECOND > float(noted)
    except ValueError:
        return True
