"""PaddleX's model cache: which models are there, how large, what is missing, and what cannot be right."""

from __future__ import annotations

from pathlib import Path

from paddlevl_doctor.facts.model import CachedModel, DamagedFile, ModelCache
from paddlevl_doctor.system import System

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
    """List the model folders; nested ones (a layout model inside PaddleOCR-VL) are listed as OUTER/INNER."""
    root = cache_root(system)
    models = root / "official_models"
    found: list[CachedModel] = []
    for name in system.names(models):
        folder = models / name
        if system.file_size(folder) is None:  # a folder
            found += _models(system, folder, name)
    return ModelCache(str(root), tuple(found), _fonts(system, root))


def _fonts(system: System, root: Path) -> tuple[str, ...]:
    """Name the fonts at hand; paddlex takes the variable only where it names a file (utils/fonts.py)."""
    local = system.env.get("PADDLE_PDX_LOCAL_FONT_FILE_PATH")
    usable = (local,) if local and system.file_size(Path(local)) is not None else ()
    return (*system.names(root / "fonts"), *usable)


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
    from paddlevl_doctor.facts.model_files import token_ids  # noqa: PLC0415 - only where there are models

    return token_ids(system, folder / "config.json")


def _required(name: str, present: frozenset[str]) -> tuple[str, ...]:
    if name.startswith("PaddleOCR-VL"):
        return _VL_FILES
    if name.endswith(("_safetensors", "_onnx")):
        return ()  # other engines' files; nothing measured about what they need
    program = next((file for file in _PROGRAMS if file in present), _PROGRAMS[0])
    return (*_STATIC_FILES, program)


def _damaged(system: System, folder: Path, files: tuple[str, ...]) -> tuple[DamagedFile, ...]:
    from paddlevl_doctor.facts.model_files import damage_of  # noqa: PLC0415 - only where there are models

    found = (damage_of(system, folder / file) for file in files)
    return tuple(damage for damage in found if damage is not None)
