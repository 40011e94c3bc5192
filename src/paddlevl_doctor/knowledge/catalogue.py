"""The catalogue: pipelines, releases, models, mirrors and hosts (matrix/*.toml). `check` needs none of it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from paddlevl_doctor.knowledge.data_files import Fact, load_rows
from paddlevl_doctor.values.facts import Gpu, Host


@dataclass(frozen=True, kw_only=True)
class Pipeline(Fact):
    """One pipeline under all its names."""

    paddlex: str
    """PaddleX's name for it."""
    file: str
    """Its file in paddlex/configs/pipelines."""
    paddleocr: str
    """PaddleOCR's class."""
    command: str
    """PaddleOCR's subcommand."""
    since: str
    """The first paddlex with this file, counted from 3.3.0."""
    version: str | None = None
    """What PaddleOCRVL takes as pipeline_version; None for every other class."""
    layout_model: str | None = None
    language_model: str | None = None


@dataclass(frozen=True, kw_only=True)
class PaddleocrRelease(Fact):
    """One release of paddleocr; `paddlex` is the range it declares."""

    version: str
    date: str
    paddlex: str


@dataclass(frozen=True, kw_only=True)
class PaddlexRelease(Fact):
    """One release of paddlex."""

    version: str
    date: str


@dataclass(frozen=True, kw_only=True)
class ModelKind(Fact):
    """What a folder of this kind must hold: all of `files`, and one of `one_of` unless that is empty."""

    name: str
    files: tuple[str, ...]
    one_of: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Model(Fact):
    """One model of the PaddleOCR-VL pipelines."""

    name: str
    folder: str
    """Its name in PaddleX's cache."""
    kind: str
    repository: str
    """Owner and name on Hugging Face and ModelScope."""
    bytes: int | None = None
    """Size of the file with the weights."""
    sha256: str | None = None
    """Hash of that file."""


@dataclass(frozen=True, kw_only=True)
class Hub(Fact):
    """Where paddlex downloads models from; `name` is the value of PADDLE_PDX_MODEL_SOURCE."""

    name: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Mirror(Fact):
    """A mirror of the default Python index."""

    name: str
    url: str


@dataclass(frozen=True, kw_only=True)
class WheelHost(Fact):
    """A host that Paddle's index pages link to; `url` has the placeholders {tag} and {wheel}."""

    name: str
    url: str


@functools.cache
def load_pipelines() -> tuple[Pipeline, ...]:
    """Return every pipeline that PaddleOCR registers, PaddleOCR-VL's versions last."""
    return load_rows("pipelines", "pipeline", Pipeline)


@functools.cache
def load_paddleocr_releases() -> tuple[PaddleocrRelease, ...]:
    """Return the releases of paddleocr that know PaddleOCR-VL, oldest first."""
    return load_rows("releases", "paddleocr", PaddleocrRelease)


@functools.cache
def load_paddlex_releases() -> tuple[PaddlexRelease, ...]:
    """Return the releases of paddlex that know PaddleOCR-VL, oldest first."""
    return load_rows("releases", "paddlex", PaddlexRelease)


@functools.cache
def load_model_kinds() -> dict[str, ModelKind]:
    """Return by name what a model's folder must hold."""
    return {kind.name: kind for kind in load_rows("models", "kind", ModelKind)}


@functools.cache
def load_models() -> tuple[Model, ...]:
    """Return the models of the PaddleOCR-VL pipelines."""
    return load_rows("models", "model", Model)


@functools.cache
def load_hubs() -> tuple[Hub, ...]:
    """Return the model hubs in the order in which paddlex asks them."""
    return load_rows("models", "hub", Hub)


@functools.cache
def load_mirrors() -> tuple[Mirror, ...]:
    """Return the mirrors of the default Python index."""
    return load_rows("mirrors", "mirror", Mirror)


@functools.cache
def load_wheel_hosts() -> tuple[WheelHost, ...]:
    """Return where the CUDA wheels themselves lie: the CDN, then the origin that works when the CDN does not."""
    return load_rows("indexes", "host", WheelHost)


_CAPABILITY = re.compile(r"(?:cc ?)?(\d{1,2})\.(\d)|sm_?(\d{1,2})(\d)", re.IGNORECASE)
_TIMES = (re.compile(r"(\d{1,2}) ?[x×] ?(.+)"), re.compile(r"(.+?) ?[x×] ?(\d{1,2})"))
_MEMORY = re.compile(r"\d+(?= ?gb\b)|(?<=-)\d+(?=[qc]\b)", re.IGNORECASE)
_BRANDS = frozenset({"nvidia", "geforce", "tesla", "quadro", "grid", "gpu"})
# What a product name may carry besides, without being another chip.
_TRIMMINGS = re.compile(
    r"super|laptop|mobile|gpu|max|q|with|design|pcie|sxm\d?|hbm\d?e?|nvl|mig|\dg|\d+ ?gb|gb|\d+"
    r"|workstation|server|edition|collectors|sff|generation|accelerator"
    r"|\d+[qc]"  # profiles of virtual GPUs that have CUDA: T4-16Q, A100-40C
)
_MAX_GPUS = 16
"""GPUs of one machine that a name may ask for: "T4 x2"."""


@dataclass(frozen=True, kw_only=True)
class Models(Fact):
    """GPUs of one compute capability."""

    compute_capability: str
    architecture: str
    names: tuple[str, ...]
    machine: str = ""
    """The processor architecture of every machine with such a GPU; empty: it may be any."""


@functools.cache
def load_models_of_gpus() -> tuple[Models, ...]:
    """Return the GPUs that are known by name."""
    return load_rows("gpus", "model", Models)


@functools.cache
def _by_words() -> dict[tuple[str, ...], tuple[str, Models]]:
    """Return every known name, split into its words."""
    return {_words(name): (name, row) for row in load_models_of_gpus() for name in row.names}


def known_names() -> tuple[str, ...]:
    """Return every name that `find_gpus` knows, in the file's order."""
    return tuple(name for row in load_models_of_gpus() for name in row.names)


def find_gpus(words: str) -> tuple[Gpu, ...]:
    """Return the GPUs that somebody means by "T4", "2x T4", "T4,L4", "RTX 5070 Ti", "A100 80GB", "8.9" or "sm_89".

    Their memory is known where the name says it ("A100 MIG 3g.20gb", the virtual "GRID T4-16Q"), else 0. Nothing
    is returned for a name that is not known, or that could mean several.
    """
    groups = [_of_one_kind(part) for part in words.split(",")]
    return renumbered(groups) if all(groups) else ()


def _of_one_kind(words: str) -> tuple[Gpu, ...]:
    plain = " ".join(words.split())
    capability = _CAPABILITY.fullmatch(plain)
    if capability:
        number = ".".join(part for part in capability.groups() if part)
        return (Gpu(0, f"GPU {number}", number, 0, 0),)
    for name, count in _readings(plain):
        found = _find(name)
        if found is not None and 0 < count <= _MAX_GPUS:
            known, row = found
            sizes = _MEMORY.findall(name.replace(".", " "))
            memory = int(sizes[-1]) << 10 if sizes else 0
            return tuple(Gpu(i, known, row.compute_capability, memory, memory) for i in range(count))
    return ()


def row_of(gpu: Gpu) -> Models | None:
    """Return the row that a described GPU was found in, None for one that was named by its capability."""
    found = _by_words().get(_words(gpu.name))
    return found[1] if found else None


def processor_of(gpus: Iterable[Gpu]) -> tuple[str, Gpu] | None:
    """Return the processor architecture that described GPUs bring along, and the first that does; None: any may be."""
    found = ((row.machine, gpu) for gpu in gpus if (row := row_of(gpu)) is not None and row.machine)
    return next(found, None)


def renumbered(groups: Sequence[Sequence[Gpu]]) -> tuple[Gpu, ...]:
    """Return the GPUs of several descriptions as those of one machine, numbered from 0."""
    together = [gpu for group in groups for gpu in group]
    return tuple(
        Gpu(i, g.name, g.compute_capability, g.memory_total_mb, g.memory_free_mb)
        for i, g in enumerate(together)
    )


def _readings(words: str) -> Iterator[tuple[str, int]]:
    """Yield what a text can mean: one GPU of this name (a Jetson TX2), or several of a shorter one (T4 x2)."""
    yield words, 1
    first = _TIMES[0].fullmatch(words)
    if first:
        yield first[2], int(first[1])
    last = _TIMES[1].fullmatch(words)
    if last:
        yield last[1], int(last[2])


def _words(name: str) -> tuple[str, ...]:
    """Split a name at spaces, hyphens and between a number and what follows it: rtx5070ti is RTX 5070 Ti."""
    plain = re.sub(r"(?<=rtx)(?=a?\d)|(?<=gtx)(?=\d)|(?<=\d{4})(?=ti\b|d\b)", " ", name.lower())
    return tuple(word for word in re.findall(r"[a-z0-9]+", plain) if word not in _BRANDS)


def _find(name: str) -> tuple[str, Models] | None:
    """Return the longest known name that this one begins with, else the only one that ends with it (4090)."""
    known, words = _by_words(), _words(name)
    for length in range(len(words), 0, -1):
        found = known.get(words[:length])
        if found and all(_TRIMMINGS.fullmatch(word) for word in words[length:]):
            return found
    ending = [found for parts, found in known.items() if words and parts[-len(words) :] == words]
    return ending[0] if len(ending) == 1 else None


@dataclass(frozen=True, kw_only=True)
class Platform(Fact):
    """A kind of machine, and the GPUs that it has unless others are named."""

    name: str
    system: str
    machine: str
    wsl: int | None = None
    musl: bool = False
    notebook: str | None = None
    gpus: tuple[str, ...] = ()

    def host(self, machine: str | None = None) -> Host:
        """Return such a machine, with another processor architecture where one is named."""
        return Host(
            self.system,
            "",
            machine or self.machine,
            wsl=self.wsl,
            notebook=self.notebook,
            musl=self.musl,
        )


@functools.cache
def load_platforms() -> dict[str, Platform]:
    """Return the platforms by name."""
    return {row.name: row for row in load_rows("platforms", "platform", Platform)}
