"""Inference servers: how each is installed and started, where it runs, what it pins (matrix/servers.toml)."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from paddlevl_doctor.knowledge.tables import Fact, load_rows


@dataclass(frozen=True, kw_only=True)
class Backend(Fact):
    """One inference server. Words in braces in `argv`, `requirements` and `flat` are filled in by the plan."""

    name: str
    """What `serve --backend` takes."""
    client: str
    """What PaddleOCR calls it: a value of `vl_rec_backend`."""
    since: str
    """The first paddleocr that takes this value."""
    systems: tuple[str, ...]
    machines: tuple[str, ...]
    minimum: str
    """The least compute capability; empty where it runs without an NVIDIA GPU."""
    below: str
    """The first compute capability that it does not run on; empty: none known."""
    python: str
    """The Python that its environment is made with; empty where it is no Python program."""
    distribution: str
    requirements: tuple[str, ...]
    torch: str
    """The version of torch that its METADATA asks for; empty: none."""
    native: str
    """The first version that knows PaddleOCR-VL by itself; empty: not known."""
    argv: tuple[str, ...]
    health: str
    """The path that answers 200 once the model is loaded."""
    cuda: str | None = None
    """The CUDA that its wheels are built with; it says which driver is needed. None: no GPU needed."""
    glibc: str | None = None
    """The least GNU C library that its wheels and what they ask for promise to run with; None: not known."""
    fraction_option: str = ""
    """The option that takes the share of GPU memory."""
    fraction_key: str = ""
    """The same as a key of PaddleX's server configuration."""
    program: str = ""
    """A program that has to be there already, for servers that are not installed from an index."""
    suffix: str = ""
    """What is added to the repository's name for this server's own weight format."""
    names_by_repository: bool = False
    """The server knows its model by the repository's name, not by PaddleX's."""
    flat: str = ""
    """A page of wheels for --find-links, by the pair of compute capabilities it was built for."""
    pairs: tuple[str, ...] = ()
    """Those pairs, as 80_90: there are no wheels for other cards."""
    paddle: str = ""
    """The index of the paddlepaddle-gpu that it is installed with (cu126); empty: it needs none."""


@dataclass(frozen=True, kw_only=True)
class ServerMemory(Fact):
    """What a server needs of a GPU's memory."""

    weights_mb: int
    cache_bytes_per_token: int
    tokens: int
    rest_mb: int
    share: float
    """PaddleX's own share of the card for vLLM and SGLang."""
    spare_mb: int
    """What is left to everything else on the card."""

    @property
    def needed_mb(self) -> int:
        """The least memory with which one request of the greatest length can be served, in MiB."""
        return self.weights_mb + self.rest_mb + (self.cache_bytes_per_token * self.tokens >> 20)


@dataclass(frozen=True, kw_only=True)
class Pinned(Fact):
    """What the METADATA of one published wheel for Linux x86_64 asks for in exact versions."""

    distribution: str
    version: str
    tag: str
    """The index of a paddlepaddle-gpu (cu118, cu126, cu129); empty for everything else."""
    requires: tuple[str, ...]


@functools.cache
def load_backends() -> dict[str, Backend]:
    """Return the servers by name. Raises KnowledgeError for a malformed file, as the others do."""
    return {row.name: row for row in load_rows("servers", "backend", Backend)}


def backends_for(system: str, machine: str) -> tuple[Backend, ...]:
    """Return the servers that run on such a machine, whatever its GPU."""
    return tuple(row for row in load_backends().values() if system in row.systems and machine in row.machines)


@functools.cache
def load_server_memory() -> ServerMemory:
    """Return what a server needs of a GPU's memory."""
    return load_rows("servers", "memory", ServerMemory)[0]


@functools.cache
def load_pinned() -> tuple[Pinned, ...]:
    """Return what published wheels ask for."""
    return load_rows("servers", "pinned", Pinned)


def pinned_of(distribution: str, version: str = "", tag: str = "") -> Pinned | None:
    """Return the row of one wheel, named by its version, or by its index where that is what counts."""
    return next(
        (
            row
            for row in load_pinned()
            if row.distribution == distribution and version in ("", row.version) and tag in ("", row.tag)
        ),
        None,
    )
