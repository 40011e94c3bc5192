"""The catalogue: pipelines, releases, models, mirrors and hosts (matrix/*.toml). `check` needs none of it."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from paddlevl_doctor.knowledge.tables import Fact, load_rows


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
