"""Inference servers: their installation, start, platforms and pinned requirements (matrix/servers.toml)."""

from __future__ import annotations

import functools

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.tables import Fact, load_rows


@dataclass(frozen=True, kw_only=True)
class Backend(Fact):
    """One inference server. serve/plan.py fills in the placeholders in `argv`, `requirements` and `flat`."""

    name: str
    """The value of `serve --backend`."""
    client: str
    """The value of PaddleOCR's `vl_rec_backend`."""
    since: str
    """The first paddleocr that accepts this value."""
    systems: tuple[str, ...]
    machines: tuple[str, ...]
    minimum: str
    """The minimum compute capability; empty if the server runs without an NVIDIA GPU."""
    below: str
    """The first compute capability that is not supported; empty: unknown."""
    python: str
    """The Python version of its environment; empty if the server is not a Python program."""
    distribution: str
    requirements: tuple[str, ...]
    torch: str
    """The version of torch that its METADATA requires; empty: none."""
    native: str
    """The first version that supports PaddleOCR-VL without paddlex; empty: unknown."""
    argv: tuple[str, ...]
    health: str
    """The path that answers with status 200 when the model is loaded."""
    cuda: str | None = None
    """The CUDA version of its wheels, which determines the required driver. None: it needs no GPU."""
    glibc: str | None = None
    """The oldest GNU C library that the tags of its wheels and their requirements name; None: unknown."""
    fraction_option: str = ""
    """The option for the fraction of GPU memory."""
    fraction_key: str = ""
    """The same setting as a key of PaddleX's server configuration."""
    program: str = ""
    """The program that the user must have installed, for servers that are on no package index."""
    suffix: str = ""
    """The suffix of the repository with the weights in the format of this server."""
    names_by_repository: bool = False
    """Whether the server names its model after the repository, not after PaddleX's model."""
    flat: str = ""
    """The page of wheels for --find-links, with a placeholder for the pair of compute capabilities."""
    pairs: tuple[str, ...] = ()
    """The pairs of compute capabilities that have wheels, as 80_90."""
    paddle: str = ""
    """The index tag of the paddlepaddle-gpu that it requires (cu126); empty: none."""


@dataclass(frozen=True, kw_only=True)
class ServerMemory(Fact):
    """The GPU memory that a server needs."""

    weights_mb: int
    cache_bytes_per_token: int
    tokens: int
    rest_mb: int
    share: float
    """PaddleX's default fraction of GPU memory for vLLM and SGLang."""
    spare_mb: int
    """The memory that is left for other programs on the GPU, in MiB."""

    @property
    def needed_mb(self) -> int:
        """The minimum memory for one request of maximum length, in MiB."""
        return self.weights_mb + self.rest_mb + (self.cache_bytes_per_token * self.tokens >> 20)


@dataclass(frozen=True, kw_only=True)
class Pinned(Fact):
    """The exact versions that the METADATA of one published wheel for Linux x86_64 requires."""

    distribution: str
    version: str
    tag: str
    """The index of a paddlepaddle-gpu (cu118, cu126, cu129); empty for everything else."""
    requires: tuple[str, ...]


@functools.cache
def load_backends() -> dict[str, Backend]:
    """Return the servers by name. Raises KnowledgeError for a malformed file."""
    return {row.name: row for row in load_rows("servers", "backend", Backend)}


def backends_for(system: str, machine: str) -> tuple[Backend, ...]:
    """Return the servers that run on this system and processor architecture, regardless of the GPU."""
    return tuple(row for row in load_backends().values() if system in row.systems and machine in row.machines)


@functools.cache
def load_server_memory() -> ServerMemory:
    """Return the GPU memory that a server needs."""
    return load_rows("servers", "memory", ServerMemory)[0]


def pinned_of(distribution: str, version: str = "", tag: str = "") -> Pinned | None:
    """Return the row of a wheel with this version or index tag; an empty value matches every row. None without one."""
    rows = (row for row in load_rows("servers", "pinned", Pinned) if row.distribution == distribution)
    return next((row for row in rows if version in ("", row.version) and tag in ("", row.tag)), None)
