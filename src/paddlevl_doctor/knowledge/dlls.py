"""Which DLLs a CUDA wheel of Paddle loads on Windows (matrix/dlls.toml)."""

from __future__ import annotations

from dataclasses import dataclass

from paddlevl_doctor.knowledge.tables import Fact, load_rows


@dataclass(frozen=True, kw_only=True)
class DllLine(Fact):
    """The DLLs of one CUDA major version."""

    cuda: str
    names: tuple[str, ...]


def dlls_of(cuda: str) -> tuple[str, ...]:
    """Return the DLLs that a wheel built with this CUDA version loads, nothing where that is not known."""
    major = cuda.partition(".")[0]
    return next((row.names for row in load_rows("dlls", "line", DllLine) if row.cuda == major), ())
