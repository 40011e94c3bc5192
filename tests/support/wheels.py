"""Small wheels made on the spot."""

from __future__ import annotations

import base64
import hashlib
import io
import random
import zipfile
from collections.abc import Sequence

_STACK = {
    "paddlepaddle": {"paddle/__init__.py": b"# PaddlePaddle\n"},
    "paddlepaddle-gpu": {"paddle/__init__.py": b"# PaddlePaddle\n"},
    "paddlex": {"paddlex/inference/__init__.py": b"# inference\n"},
    "paddleocr": {"paddleocr/__init__.py": b"class PaddleOCRVL: ...\n"},
}
"""What the import after a repair needs of the stack."""


def wheel(
    name: str,
    version: str,
    requires: Sequence[str] = (),
    *,
    tag: str = "py3-none-any",
    padding: int = 0,
    python: str = ">=3.8",
    cuda: str | None = None,
) -> tuple[str, bytes]:
    """Return the file name and the bytes of an installable wheel with `padding` bytes that do not compress.

    With `cuda` it says of itself what paddle's wheels say.
    """
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
    files = {
        f"{module}/__init__.py": f"__version__ = {version!r}\n".encode(),
        f"{module}/padding.bin": random.Random(name).randbytes(padding),  # noqa: S311 - the same bytes every time
        f"{info}/METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: {python}\n{needs}"
        ).encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
    }
    files |= _STACK.get(name, {})
    if cuda is not None:
        files["paddle/version/__init__.py"] = (
            f"full_version = '{version}'\ncuda_version = '{cuda}'\n".encode()
        )
    rows = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), data)
    return f"{module}-{version}-{tag}.whl", packed.getvalue()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def index(*wheels: tuple[str, bytes], hashes: bool = True, metadata: bool = False) -> dict[str, bytes]:
    """Return the files of a server that is a package index at simple/, by their paths.

    With `metadata` it serves every wheel's METADATA beside the wheel, as the default index does (PEP 658).
    """
    pages: dict[str, list[str]] = {}
    for name, data in wheels:
        project = name.split("-")[0].replace("_", "-").lower()
        fragment = f"#sha256={hashlib.sha256(data).hexdigest()}" if hashes else ""
        mark = ' data-core-metadata="true"' if metadata else ""
        pages.setdefault(project, []).append(f'<a href="/files/{name}{fragment}"{mark}>{name}</a>')
    files = {f"files/{name}": data for name, data in wheels}
    files |= {f"files/{name}.metadata": _metadata(data) for name, data in wheels if metadata}
    return files | {
        f"simple/{project}/": f"<!DOCTYPE html><html><body>{''.join(rows)}</body></html>".encode()
        for project, rows in pages.items()
    }


def _metadata(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA")))
