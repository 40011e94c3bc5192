"""The facts as frozen values; units are in the field names, absent knowledge is None or an empty tuple."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Host:
    """The machine that the doctor runs on."""

    system: str
    """linux, windows, macos, or what `platform.system()` calls it, in lower case."""
    release: str
    """Kernel or build version."""
    machine: str
    """Processor architecture as x86_64 or aarch64 (AMD64 and arm64 are folded into these)."""
    distribution: str | None = None
    """PRETTY_NAME of /etc/os-release, Linux only."""
    wsl: int | None = None
    """1 or 2 under the Windows Subsystem for Linux."""
    container: str | None = None
    """docker, podman, kubernetes, ..., None outside of a container."""
    notebook: str | None = None
    """kaggle or colab."""
    glibc: str | None = None
    musl: bool = False
    """The C library is musl, as on Alpine Linux."""
    cpu: str | None = None
    cpu_count: int = 0
    cpu_flags: tuple[str, ...] = ()
    """Those of avx, avx2, avx512f, fma that the processor has; empty where it could not be read."""
    memory_total_mb: int = 0
    memory_available_mb: int = 0


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU as NVML describes it."""

    index: int
    name: str
    compute_capability: str
    memory_total_mb: int
    """0 where NVML does not say, as on GPUs that share the processor's memory."""
    memory_free_mb: int


@dataclass(frozen=True)
class Gpus:
    """All NVIDIA GPUs, or the reason why none is known."""

    devices: tuple[Gpu, ...] = ()
    driver: str | None = None
    """Driver version, for example 550.54.14."""
    cuda: str | None = None
    """The CUDA version of the driver's API, for example 12.4."""
    reason: str | None = None
    """One of no-library, library-not-on-path, library-too-old, driver-not-loaded, driver-library-mismatch,
    no-permission, no-devices, nvml-error; None with devices."""
    detail: str = ""
    """NVML's own words for `reason`; with devices, what it said about those that could not be asked."""
    by_uuid: Mapping[str, int] | None = None
    """The entries of CUDA_VISIBLE_DEVICES that are UUIDs of GPUs that are there, with their indices; None where the
    variable has none, or NVML does not tell. No other UUID is kept: it would identify the machine."""


@dataclass(frozen=True)
class Distribution:
    """One installed distribution, as its .dist-info folder says."""

    name: str
    """Normalised: lower case, single hyphens."""
    version: str
    path: str
    """The .dist-info folder."""
    has_record: bool
    """RECORD is there, or an installer that keeps its records elsewhere (Debian, conda) put it there."""
    requires: tuple[str, ...] = ()
    """Requires-Dist lines, kept only for the stack and for torch, vllm and sglang."""
    editable: bool = False
    has_metadata: bool = True


@dataclass(frozen=True)
class PaddleBuild:
    """What an installed paddle says of itself in paddle/version/__init__.py, read without importing it."""

    version: str
    cuda: str | None
    """CUDA version of the build, for example 12.6; None for a CPU wheel."""
    cudnn: str | None
    architectures: tuple[int, ...] = ()
    """Compiled compute capabilities as 75, 80, ...; empty for a CPU wheel or where the wheel does not say."""


@dataclass(frozen=True)
class Target:
    """The environment under treatment, as its own Python describes it."""

    python: str
    version: str
    """For example 3.11.7."""
    implementation: str
    bits: int
    free_threaded: bool
    prefix: str
    base_prefix: str
    purelib: str
    platlib: str
    externally_managed: bool
    distributions: tuple[Distribution, ...] = ()
    paddle: PaddleBuild | None = None
    missing_libraries: tuple[str, ...] = ()
    """Shared libraries the stack needs and the dynamic loader cannot find."""
    leftovers: tuple[str, ...] = ()
    """Names in site-packages that begin with ~: what a killed pip left behind."""

    def versions_of(self, name: str) -> tuple[str, ...]:
        """Return every version installed under this normalised distribution name."""
        return tuple(d.version for d in self.distributions if d.name == name)

    def version_of(self, name: str) -> str | None:
        """Return the first installed version, or None."""
        return next(iter(self.versions_of(name)), None)

    @property
    def is_virtual(self) -> bool:
        """Say whether this is a virtual environment rather than an interpreter's own installation."""
        return self.prefix != self.base_prefix


@dataclass(frozen=True)
class DamagedFile:
    """A file of a model that is there and cannot be right; `why` is a stable word, `seen` what was read.

    `why` is empty, truncated (shorter than its header says), too-long, not-safetensors (a Git LFS pointer, a
    web page), not-json (any .json), no-end-mark or other-end-mark (generation_config.json).
    """

    file: str
    why: str
    seen: str = ""


@dataclass(frozen=True)
class CachedModel:
    """One folder of PaddleX's model cache."""

    name: str
    path: str
    size_mb: int
    missing: tuple[str, ...] = ()
    """Required files that are not there."""
    damaged: tuple[DamagedFile, ...] = ()
    """Required files that are there and cannot be right."""
    tokens: Mapping[str, int] = field(default_factory=dict)
    """bos_token_id, eos_token_id and pad_token_id as config.json has them; empty unless generation_config.json,
    from which PaddleX takes them, is missing or cannot be right."""
    linked: bool = False
    """Its weights have a second name, so that they take no space of their own; looked at in nested models only."""


@dataclass(frozen=True)
class ModelCache:
    """PaddleX's model cache ($PADDLE_PDX_CACHE_HOME, else ~/.paddlex)."""

    root: str
    models: tuple[CachedModel, ...] = ()
    fonts: tuple[str, ...] = ()
    """Fonts that paddlex need not download: the files in `fonts`, and $PADDLE_PDX_LOCAL_FONT_FILE_PATH."""


@dataclass(frozen=True)
class PatchedFile:
    """One file that a patch knows: its hash now, and what its distribution's RECORD promises."""

    patch: str
    path: str
    """Relative to the site-packages folder, with forward slashes."""
    sha256: str | None
    """None where the file does not exist."""


@dataclass(frozen=True)
class PipelinesLink:
    """The link `pipelines` in the working folder.

    `state` is absent, right, dangling, other-link, not-a-link, or read-only where the folder cannot be written.
    """

    path: str
    state: str
    points_to: str | None = None
    wanted: str | None = None
    """The target's paddlex/configs/pipelines, None while paddlex is not installed."""


@dataclass(frozen=True)
class Facts:
    """Everything that the checks may look at."""

    host: Host
    gpus: Gpus
    target: Target | None = None
    target_problem: str | None = None
    """Why there is no target: none, not-python, or what the inventory probe said."""
    planned_target: str = ".venv"
    """Where `fix` would create the target, while there is none."""
    cache: ModelCache | None = None
    patched_files: tuple[PatchedFile, ...] = ()
    applied_patches: tuple[str, ...] = ()
    """Patches that committed transactions of this target applied and that nobody has undone."""
    pipelines: PipelinesLink | None = None
    free_disk_mb: dict[str, int] = field(default_factory=dict)
    """Free space by purpose: target, uv-cache, model-cache, temp."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The environment variables that the stack heeds, as facts/settings.py lets them through."""
    long_paths: bool | None = None
    """Whether Windows allows paths of 260 characters and more; None elsewhere, and where nothing is that long."""
