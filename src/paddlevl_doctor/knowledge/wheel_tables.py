"""The tables for the choice of a paddle wheel: indexes, drivers and compiled architectures (matrix/*.toml).

`check` loads this only on a machine with an NVIDIA GPU."""

from __future__ import annotations

import functools

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.tables import Fact, load_rows, numbers


@dataclass(frozen=True, kw_only=True)
class Index(Fact):
    """One of Paddle's own package indexes."""

    tag: str
    """cpu, cu118, cu126 or cu129."""
    package: str
    simple: str
    """The page for --index; unsafe with uv's default strategy, see matrix/indexes.toml."""
    flat: str
    """The page for --find-links."""


@dataclass(frozen=True, kw_only=True)
class GpuWheel(Fact):
    """One version of paddlepaddle-gpu on one index. There may be wheels for Pythons that are not listed."""

    tag: str
    version: str
    system: str
    pythons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DriverFamily(Fact):
    """The oldest driver that runs every toolkit of one CUDA major version."""

    major: int
    linux: str
    windows: str


@dataclass(frozen=True, kw_only=True)
class CudaLine(Fact):
    """A CUDA version that paddle has wheels for."""

    tag: str
    cuda: str
    toolkit_linux: str
    """The driver that was released with this toolkit."""
    toolkit_windows: str
    toolkit_driver_from: str | None = None
    """The compute capability from which on that driver is required; below it the family's minimum is enough."""

    def needed_driver(self, system: str, compute_capability: str) -> str:
        """Return the oldest driver for a GPU; linux and windows number their drivers differently."""
        if self.toolkit_driver_from and numbers(compute_capability) >= numbers(self.toolkit_driver_from):
            return self.toolkit_driver(system)
        family = family_of(self.cuda)
        assert family is not None  # noqa: S101 - a test resolves every line's family
        return family.windows if system == "windows" else family.linux

    def toolkit_driver(self, system: str) -> str:
        """Return the driver of this toolkit for linux or windows."""
        return self.toolkit_windows if system == "windows" else self.toolkit_linux


@dataclass(frozen=True, kw_only=True)
class Compiled(Fact):
    """The architectures that the wheels of one index contain code for, on one system."""

    tag: str
    system: str
    sm: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Minimum(Fact):
    """The minimum compute capability of an engine."""

    engine: str
    compute_capability: str


@functools.cache
def load_indexes() -> dict[str, Index]:
    """Return Paddle's indexes by tag."""
    return {index.tag: index for index in load_rows("indexes", "index", Index)}


@functools.cache
def load_gpu_wheels() -> tuple[GpuWheel, ...]:
    """Return the CUDA wheels that are documented or were downloaded."""
    return load_rows("indexes", "gpu_wheel", GpuWheel)


@functools.cache
def load_families() -> tuple[DriverFamily, ...]:
    """Return the minimum drivers by CUDA major version."""
    return load_rows("drivers", "family", DriverFamily)


@functools.cache
def load_lines() -> tuple[CudaLine, ...]:
    """Return the CUDA versions in order of preference."""
    return load_rows("drivers", "line", CudaLine)


@functools.cache
def load_compiled() -> dict[tuple[str, str], Compiled]:
    """Return the compiled architectures by tag and system."""
    return {(row.tag, row.system): row for row in load_rows("architectures", "compiled", Compiled)}


@functools.cache
def minimum_compute_capability(engine: str = "paddle") -> str:
    """Return the minimum compute capability of an engine according to the PaddleOCR-VL documentation."""
    rows = load_rows("architectures", "minimum", Minimum)
    return next(row.compute_capability for row in rows if row.engine == engine)


def family_of(cuda: str) -> DriverFamily | None:
    """Return the driver family of a CUDA version such as 12.6, None for an unknown one."""
    major = cuda.partition(".")[0]
    return next((family for family in load_families() if str(family.major) == major), None)


@dataclass(frozen=True, kw_only=True)
class DllLine(Fact):
    """The DLLs of one CUDA major version."""

    cuda: str
    names: tuple[str, ...]


def dlls_of(cuda: str) -> tuple[str, ...]:
    """Return the DLLs that a wheel built with this CUDA version loads, nothing for an unknown version."""
    major = cuda.partition(".")[0]
    return next((row.names for row in load_rows("dlls", "line", DllLine) if row.cuda == major), ())
