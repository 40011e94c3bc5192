"""A real virtual environment in a tenth of a second: the stack's distributions by name and version, nearly empty."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import uv

from environments import environment, interpreter, python_in
from paddlevl_doctor.knowledge.patches import load_patches
from wheels import wheel

NOVEMBER = {
    "paddlepaddle": "3.2.0",
    "paddleocr": "3.3.1",
    "paddlex": "3.3.6",
    "safetensors": "0.7.0",
    "numpy": "2.4.6",
    "setuptools": "80.9.0",
}
"""The versions of the set 2025-11, except numpy, which is too new for them."""


def small_stack(folder: Path, versions: Mapping[str, str] = NOVEMBER, *options: str) -> Path:
    """Create an environment at `folder` with a small wheel for each version; `options` are those of `uv venv`."""
    _uv("venv", *options, "--python", interpreter("3.11"), folder)
    install(folder, versions)
    return folder


def install(folder: Path, versions: Mapping[str, str], *options: str) -> None:
    """Install small wheels into an environment; `options` are those of `uv pip install`."""
    with tempfile.TemporaryDirectory() as wheels:
        paths = []
        for name, version in versions.items():
            file, data = wheel(name, version)
            paths.append(Path(wheels, file))
            paths[-1].write_bytes(data)
        _uv("pip", "install", *options, "--python", python_in(folder), "--no-deps", "--no-index", *paths)


def site_of(folder: Path) -> Path:
    """Return the site-packages folder of an environment."""
    return next(folder.glob("lib/*/site-packages"))


def copy_paddlex(site: Path, version: str = "3.7.2", *, record: bool = True) -> Path:
    """Put a small paddlex into a folder: the real files that patches change, and a record if requested."""
    source = site_of(environment("current-311"))
    files = {file.path for patch in load_patches() for file in patch.files}
    (site / "paddlex" / "configs" / "pipelines").mkdir(parents=True, exist_ok=True)
    (site / "paddlex" / "__init__.py").write_bytes(b"")
    for path in files:
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, site / path)
    if record:
        info = site / f"paddlex-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: paddlex\nVersion: {version}\n", "utf-8")
        (info / "WHEEL").write_text("Wheel-Version: 1.0\nTag: py3-none-any\n", "utf-8")
        (info / "INSTALLER").write_text("pip\n", "utf-8")
        named = [*sorted(files), *(f"{info.name}/{name}" for name in ("METADATA", "WHEEL"))]
        rows = [f"{path},sha256={_digest((site / path).read_bytes())},1\n" for path in named]
        (info / "RECORD").write_text("".join(rows), "utf-8")
    return site


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _uv(*words: str | Path) -> None:
    subprocess.run([uv.find_uv_bin(), *map(str, words), "--quiet"], check=True, capture_output=True)
