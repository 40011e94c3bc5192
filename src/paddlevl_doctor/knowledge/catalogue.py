"""The catalogue: pipelines, releases, models, mirrors, GPUs and platforms (matrix/*.toml). `check` does not load it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.tables import Fact, load_rows
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
    """The value of PaddleOCRVL's pipeline_version; None for every other class."""
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
    """The required files of a model folder: all of `files`, and one of `one_of` unless it is empty."""

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
    """A hub from which paddlex downloads models; `name` is the value of PADDLE_PDX_MODEL_SOURCE."""

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
    """Return the required files of model folders by the name of the kind."""
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
    """Return the hosts of the CUDA wheels: the CDN, then the origin server, which works if the CDN fails."""
    return load_rows("indexes", "host", WheelHost)


_CAPABILITY = re.compile(r"(?:cc ?)?(\d{1,2})\.(\d)|sm_?(\d{1,2})(\d)", re.IGNORECASE)
_TIMES = (re.compile(r"(\d{1,2}) ?[x×] ?(.+)"), re.compile(r"(.+?) ?[x×] ?(\d{1,2})"))
_MEMORY = re.compile(r"\d+(?= ?gb\b)|(?<=-)\d+(?=[qc]\b)", re.IGNORECASE)
_BRANDS = frozenset({"nvidia", "geforce", "tesla", "quadro", "grid", "gpu"})
# Words that a product name may contain without naming another chip.
_IGNORED_WORDS = re.compile(
    r"super|laptop|mobile|gpu|max|q|with|design|pcie|sxm\d?|hbm\d?e?|nvl|mig|\dg|\d+ ?gb|gb|\d+"
    r"|workstation|server|edition|collectors|sff|generation|accelerator"
    r"|\d+[qc]"  # profiles of virtual GPUs that have CUDA: T4-16Q, A100-40C
)
_MAX_GPUS = 16
"""The maximum count in a description such as "T4 x2"."""


@dataclass(frozen=True, kw_only=True)
class GpuModels(Fact):
    """The names of GPUs with one compute capability."""

    compute_capability: str
    architecture: str
    names: tuple[str, ...]
    machine: str = ""
    """The processor architecture of every machine with such a GPU; empty if there are several."""


@functools.cache
def load_gpu_models() -> tuple[GpuModels, ...]:
    """Return the GPUs that are known by name."""
    return load_rows("gpus", "model", GpuModels)


@functools.cache
def _gpus_by_words() -> dict[tuple[str, ...], tuple[str, GpuModels]]:
    """Return every known name and its row by the words of the name."""
    return {_words(name): (name, row) for row in load_gpu_models() for name in row.names}


def known_names() -> tuple[str, ...]:
    """Return every name that `find_gpus` knows, in the order of the file."""
    return tuple(name for row in load_gpu_models() for name in row.names)


def find_gpus(description: str) -> tuple[Gpu, ...]:
    """Return the GPUs of a description: "T4", "2x T4", "T4,L4", "RTX 5070 Ti", "A100 80GB", "8.9" or "sm_89".

    The memory is taken from the name ("A100 MIG 3g.20gb", the virtual "GRID T4-16Q"), else it is 0. Nothing is
    returned for an unknown or ambiguous name.
    """
    groups = [_gpus_of_one_model(part) for part in description.split(",")]
    return renumbered(groups) if all(groups) else ()


def _gpus_of_one_model(description: str) -> tuple[Gpu, ...]:
    plain = " ".join(description.split())
    capability = _CAPABILITY.fullmatch(plain)
    if capability:
        number = ".".join(part for part in capability.groups() if part)
        return (Gpu(0, f"GPU {number}", number, 0, 0),)
    for name, count in _names_and_counts(plain):
        match = _find_model(name)
        if match is not None and 0 < count <= _MAX_GPUS:
            known_name, row = match
            sizes = _MEMORY.findall(name.replace(".", " "))
            memory = int(sizes[-1]) << 10 if sizes else 0
            return tuple(Gpu(i, known_name, row.compute_capability, memory, memory) for i in range(count))
    return ()


def row_of(gpu: Gpu) -> GpuModels | None:
    """Return the row of a described GPU, None for one that was described by its compute capability."""
    match = _gpus_by_words().get(_words(gpu.name))
    return match[1] if match else None


def processor_of(gpus: Iterable[Gpu]) -> tuple[str, Gpu] | None:
    """Return the processor architecture that one of the GPUs requires, and that GPU; None if none requires one."""
    return next(((row.machine, gpu) for gpu in gpus if (row := row_of(gpu)) and row.machine), None)


def renumbered(groups: Sequence[Sequence[Gpu]]) -> tuple[Gpu, ...]:
    """Return the GPUs of several descriptions as those of one machine, numbered from 0."""
    gpus = [gpu for group in groups for gpu in group]
    return tuple(replace(gpu, index=index) for index, gpu in enumerate(gpus))


def _names_and_counts(text: str) -> Iterator[tuple[str, int]]:
    """Yield the possible meanings of a text: one GPU of this name (Jetson TX2), several of a shorter name (T4 x2)."""
    yield text, 1
    if first := _TIMES[0].fullmatch(text):
        yield first[2], int(first[1])
    if last := _TIMES[1].fullmatch(text):
        yield last[1], int(last[2])


def _words(name: str) -> tuple[str, ...]:
    """Split a name at spaces, hyphens and between a number and its suffix: rtx5070ti gives rtx, 5070, ti."""
    plain = re.sub(r"(?<=rtx)(?=a?\d)|(?<=gtx)(?=\d)|(?<=\d{4})(?=ti\b|d\b)", " ", name.lower())
    return tuple(word for word in re.findall(r"[a-z0-9]+", plain) if word not in _BRANDS)


def _find_model(name: str) -> tuple[str, GpuModels] | None:
    """Return the longest known name that `name` begins with, else the only known name that ends with it (4090)."""
    by_words, words = _gpus_by_words(), _words(name)
    for length in range(len(words), 0, -1):
        model = by_words.get(words[:length])
        if model and all(_IGNORED_WORDS.fullmatch(word) for word in words[length:]):
            return model
    ending = [model for parts, model in by_words.items() if words and parts[-len(words) :] == words]
    return ending[0] if len(ending) == 1 else None


@dataclass(frozen=True, kw_only=True)
class Platform(Fact):
    """A kind of machine, and its GPUs unless the user names others."""

    name: str
    system: str
    machine: str
    wsl: int | None = None
    musl: bool = False
    notebook: str | None = None
    gpus: tuple[str, ...] = ()

    def host(self, machine: str | None = None) -> Host:
        """Return the host of this platform; `machine` replaces the processor architecture."""
        machine = machine or self.machine
        return Host(self.system, "", machine, wsl=self.wsl, notebook=self.notebook, musl=self.musl)


@functools.cache
def load_platforms() -> dict[str, Platform]:
    """Return the platforms by name."""
    return {row.name: row for row in load_rows("platforms", "platform", Platform)}
