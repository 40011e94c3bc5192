"""Real environments for the tests: built once a machine with uv, kept in a cache folder, never changed by a test.

The folder is $PADDLEVL_DOCTOR_TEST_ENVS, else ~/.cache/paddlevl-doctor-tests. Delete it at any time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import uv
from filelock import FileLock

from paddlevl_doctor.facts.run_probes import OWNER, probe_bytecode, run_probe, user_cache
from paddlevl_doctor.facts.target import python_of
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.facts import ProbeResult

PROBE_TIMEOUT = 300.0
# What a developer's shell may say about other environments and bytecode must not reach uv or a probe.
_FOREIGN = (
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "PYTHONHOME",
    "UV_SYSTEM_PYTHON",
    "CONDA_PREFIX",
    "PYTHONDONTWRITEBYTECODE",
)


@dataclass(frozen=True)
class Edit:
    """One replacement in an installed file; the text must be there."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Spec:
    """What an environment consists of: the Python, what is installed, and what is changed afterwards."""

    python: str
    packages: tuple[str, ...]
    edits: tuple[Edit, ...] = ()
    by_pip: tuple[str, ...] = ()
    """Installed afterwards and with pip, as somebody does who follows another project's tutorial."""


_CURRENT = ("paddlepaddle==3.2.2", "paddleocr[doc-parser]==3.7.0", "paddlex==3.7.2")
_NOVEMBER = ("paddlepaddle==3.2.0", "paddleocr[doc-parser]==3.3.1", "paddlex==3.3.6")
_FUSED = "paddlex/inference/models/doc_vlm/modeling/paddleocr_vl/_config.py"
_STRUCTURE = "paddlex/inference/pipelines/layout_parsing/pipeline_v2.py"
# What the shipped patches do, by hand: the probes are to tell the difference.
_CURES = (
    Edit(_FUSED, "self.fuse_rms_norm = True", "self.fuse_rms_norm = False"),
    Edit(
        _STRUCTURE,
        'config.get("use_doc_orientation_classify", True)',
        'config.get("use_doc_orientation_classify")',
    ),
    Edit(_STRUCTURE, 'config.get("use_doc_unwarping", True)', 'config.get("use_doc_unwarping")'),
)

SPECS = {
    "torch-beside-311": Spec("3.11", _CURRENT, _CURES, by_pip=("torch==2.13.0",)),
    "current-311": Spec("3.11", _CURRENT),
    "set-2025-11": Spec("3.11", (*_NOVEMBER, "numpy<2.4", "safetensors>=0.7")),
    "broken": Spec("3.11", (*_NOVEMBER, "numpy==2.4.6", "safetensors==0.6.2")),
    "numpy-2-4": Spec("3.11", (*_NOVEMBER, "numpy==2.4.6", "safetensors>=0.7")),
    "bfloat16-on-a-cpu": Spec(
        "3.11",
        (
            "paddlepaddle==3.2.0",
            "paddleocr[doc-parser]==3.3.1",
            "paddlex==3.3.4",
            "numpy<2.4",
            "safetensors>=0.7",
        ),
    ),
    "cured-current-311": Spec("3.11", _CURRENT, _CURES),
}


def environment(name: str) -> Path:
    """Return the folder of a finished environment, building it where it is absent or its spec has changed.

    Do not change what is in it; use `fresh_copy` for that.
    """
    root = _cache_root()
    root.mkdir(parents=True, exist_ok=True)
    folder, stamp = root / name, root / f"{name}.json"
    wanted = json.dumps(asdict(SPECS[name]), indent=1)
    with FileLock(root / f"{name}.lock"):
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
            stamp.unlink(missing_ok=True)
            for stale in (folder, _bytecode(folder)):
                shutil.rmtree(stale, ignore_errors=True)
            _build(SPECS[name], folder)
            stamp.write_text(wanted, encoding="utf-8")
    return folder


def fresh_copy(name: str, folder: Path) -> Path:
    """Build a new environment of this spec at `folder` and return the folder; a test may change it.

    Its files may be hard links into uv's cache: replace them, never write into them. The doctor finds it compiled, as
    if it had looked at it before: compiling the stack again for each of a hundred environments takes minutes.
    """
    _uv("venv", "--python", interpreter(SPECS[name].python), folder)
    _install_like(environment(name), folder)
    for edit in SPECS[name].edits:
        _apply(edit, folder)
    lend_bytecode(name, folder)
    return folder


def _install_like(kept: Path, folder: Path) -> None:
    """Install the versions of a kept environment; uv's cache has them, and then nobody has to be asked."""
    uv_freeze = (uv.find_uv_bin(), "pip", "freeze", "--python", str(python_in(kept)))
    frozen = subprocess.run(uv_freeze, capture_output=True, text=True, check=True, env=_clean_environment())
    wanted = folder / "wanted.txt"
    wanted.write_text(frozen.stdout, encoding="utf-8")
    install = ("pip", "install", "--python", python_in(folder), "--no-deps", "--requirements", wanted)
    try:
        _uv(*install, "--offline")
    except RuntimeError:  # the cache was emptied
        _uv(*install)
    wanted.unlink()


def lend_bytecode(name: str, folder: Path) -> None:
    """Link the bytecode of a kept environment to where the doctor keeps that of a new one that is like it.

    Python compares the sources with the hashes in the bytecode, and compiles what differs into files of its own.
    Their times say nothing: uv unpacks a wheel again where a test asks for it.
    """
    kept, prefix = environment(name), str(folder.absolute())
    python = python_in(kept)
    whole = _bytecode(kept) / "whole"
    with FileLock(_cache_root() / f"{name}.pycache.lock"):
        if not whole.exists():  # another test may have compiled a part of it
            probe(name, "selftest", "--device", "cpu")
            _compare_by_hash(python, _bytecode(kept))
            whole.touch()
    place = _bytecode(folder)
    shutil.rmtree(place, ignore_errors=True)
    base = _base_of(python)
    for source, target in ((str(kept), prefix), (base, base)):
        compiled = _bytecode(kept) / source.lstrip("/")
        if compiled.is_dir():
            shutil.copytree(compiled, place / target.lstrip("/"), copy_function=os.link)
    (place / OWNER).write_text(prefix, encoding="utf-8")


@contextmanager
def kept_bytecode(key: str, folder: Path) -> Iterator[None]:
    """Lend what an earlier run of the tests compiled under this key, and afterwards keep what is new.

    The key ends in the version of Python, after a hyphen.
    """
    prefix, python = str(folder.absolute()), interpreter(key.rpartition("-")[2])
    place = _bytecode(folder)
    kept = _cache_root() / f"{key}.pycache"
    pairs = (
        (kept / "environment", place / prefix.lstrip("/")),
        (kept / "base", place / _base_of(python).lstrip("/")),
    )
    for there, here in pairs:
        _link_new(there, here)
    yield
    _compare_by_hash(python, place)
    for there, here in pairs:
        _link_new(here, there)


def _base_of(python: Path) -> str:
    """Return the folder of the installation that a Python belongs to, or its environment was made from."""
    return str(python.resolve().parents[1])


def _compare_by_hash(python: Path, place: Path) -> None:
    """Let bytecode below PYTHONPYCACHEPREFIX name the hash of its source instead of its time (PEP 552)."""
    _run(python, "-I", "-c", _BY_HASH, place)


_BY_HASH = """
import importlib.util, os, struct, sys
place = sys.argv[1]
for folder, _, names in os.walk(place):
    for name in (name for name in names if name.endswith(".pyc")):
        path = os.path.join(folder, name)
        source = os.path.join("/", os.path.relpath(folder, place), name.partition(".cpython")[0] + ".py")
        with open(path, "rb") as file:
            data = file.read()
        if data[4:8] != bytes(4) or not os.path.isfile(source):
            continue
        found = os.stat(source)
        if data[8:16] != struct.pack("<II", int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF):
            continue
        with open(source, "rb") as file:
            digest = importlib.util.source_hash(file.read())
        with open(path + ".new", "wb") as file:
            file.write(data[:4] + struct.pack("<I", 3) + digest + data[16:])
        os.replace(path + ".new", path)
"""
"""A program for the Python that compiled it; bytecode that no longer fits its source is left as it is."""


def _link_new(source: Path, target: Path) -> None:
    """Link the bytecode below `source` to the same places below `target`."""
    for path in source.rglob("*.pyc"):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        # Another worker has just linked it, or a doctor has cleared the bytecode of an environment that is gone.
        with suppress(FileExistsError, FileNotFoundError):
            if not (place.exists() and place.samefile(path)):
                place.unlink(missing_ok=True)
                os.link(path, place)


def _build(spec: Spec, folder: Path) -> None:
    _uv("venv", "--python", interpreter(spec.python), folder)
    _uv("pip", "install", "--python", python_in(folder), *spec.packages)
    for edit in spec.edits:
        _apply(edit, folder)
    if spec.by_pip:
        _run(python_in(folder), "-m", "ensurepip")
        _run(python_in(folder), "-m", "pip", "install", "--quiet", *spec.by_pip)


@cache
def interpreter(version: str) -> Path:
    """Return a Python of this minor version, wherever uv or pyenv keep one; raises LookupError without one."""
    argv = (uv.find_uv_bin(), "python", "find", "--system", "--no-python-downloads", version)
    found = subprocess.run(argv, capture_output=True, text=True, check=False, env=_clean_environment())
    if found.returncode == 0:
        return Path(found.stdout.strip())
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates = sorted(pyenv.glob(f"{version}*/bin/python"))
    if not candidates:
        raise LookupError(f"no Python {version} on this machine")
    return candidates[-1]


def python_in(folder: Path) -> Path:
    """Return the interpreter of a virtual environment."""
    return python_of(folder, sys.platform)


def variables(folder: Path) -> dict[str, str]:
    """Return the environment variables for a program in a virtual environment of the tests.

    Its bytecode goes to where the doctor keeps it, which makes the second import three times as fast.
    """
    return {**_clean_environment(), "PYTHONPYCACHEPREFIX": str(_bytecode(folder))}


def probe(name: str, probe_name: str, *args: str, extra: Mapping[str, str] | None = None) -> ProbeResult:
    """Run a probe in a kept environment."""
    folder = environment(name)
    env = {**variables(folder), **(extra or {})}
    return run_probe(RealSystem(), str(python_in(folder)), probe_name, args, PROBE_TIMEOUT, env)


def _cache_root() -> Path:
    named = os.environ.get("PADDLEVL_DOCTOR_TEST_ENVS")
    return Path(named) if named else Path.home() / ".cache" / "paddlevl-doctor-tests"


def _bytecode(folder: Path) -> Path:
    """Return where the doctor keeps the bytecode of an environment."""
    return probe_bytecode(user_cache(RealSystem()), str(folder.absolute()))


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _FOREIGN}


def _uv(*words: str | Path) -> None:
    _run(uv.find_uv_bin(), *words, "--quiet")


def _run(*words: str | Path) -> None:
    argv = [str(word) for word in words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=_clean_environment())
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}\n{done.stderr}")


def _apply(edit: Edit, folder: Path) -> None:
    (path,) = folder.glob(f"[Ll]ib/**/site-packages/{edit.path}")
    text = path.read_text(encoding="utf-8")
    if edit.old not in text:
        raise ValueError(f"{edit.path} does not contain {edit.old!r}")
    replacement = path.with_name(path.name + ".new")  # a new file: the old one is shared with uv's cache
    replacement.write_text(text.replace(edit.old, edit.new), encoding="utf-8")
    replacement.replace(path)
