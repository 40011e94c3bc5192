"""Which CUDA line (cu118, cu126, cu129) a build of paddlepaddle-gpu is for: the names of its wheels do not tell."""

from __future__ import annotations

import zipfile
from pathlib import Path

from paddlevl_doctor.facts.target import BUILD_FILE, build_of

PACKAGE = "paddlepaddle-gpu"


def line_of(cuda: str | None) -> str | None:
    """Return the tag of a CUDA version: cu126 of 12.6 or 12.6.3; None for a build without CUDA."""
    return "cu" + "".join(cuda.split(".")[:2]) if cuda else None


def line_in(wheel: Path) -> str | None:
    """Return the tag of the CUDA version that a wheel says it was built with; None where it does not say."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            said = archive.read(BUILD_FILE).decode("utf-8", errors="replace")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return None
    return line_of(build_of(said).cuda)
