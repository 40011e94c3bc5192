"""The facts as frozen values; units are in the field names, absent knowledge is None or an empty tuple."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from paddlevl_doctor.messages import Text


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
    driver-of-linux-in-wsl, no-permission, no-devices, nvml-error; None with devices."""
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
class DllFolder:
    """A folder of Windows with DLLs of CUDA in it.

    `role` is wheel (nvidia\\*\\bin beside paddle), torch (torch\\lib), python (where python.exe lies), system
    (Windows and its System32) or path.
    """

    role: str
    path: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """Everything that the checks may look at."""

    host: Host
    gpus: Gpus
    target: Target | None = None
    target_problem: Text | None = None
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
    dlls: tuple[DllFolder, ...] | None = None
    """The folders with CUDA's DLLs, in the order in which they are asked; None but on Windows with a CUDA wheel."""


@dataclass(frozen=True)
class HubAnswer:
    """Whether one model hub answered within its time limit."""

    name: str
    """huggingface, aistudio, modelscope or bos."""
    url: str
    answered: bool
    seconds: float
    """Until the answer or the refusal; the whole limit where neither came."""
    proxied: bool = False
    """Whether the environment names a proxy for this address."""


@dataclass(frozen=True)
class AlteredModel:
    """A model in the cache with files that are not what the hub promised of them."""

    name: str
    path: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class DeepFacts:
    """Everything that the deep checks may look at.

    `probes` has one result a child, by key: `selftest DEVICE`, `kernels`, `installed_files`; `torch-first` and
    `paddle-first` where torch is installed; `import MODULE` for paddle, paddlex and paddleocr, only where no
    self-test could import. `hubs` is empty where no hub was asked, because no model is missing.
    """

    probes: Mapping[str, ProbeResult] = field(default_factory=dict)
    hubs: tuple[HubAnswer, ...] = ()
    seconds: float = 0.0
    """Wall-clock time of the whole look."""
    index: IndexPage | None = None
    """Paddle's page of CUDA wheels, None where this machine takes its wheel from elsewhere."""
    models: tuple[AlteredModel, ...] = ()

    def of_kind(self, kind: str) -> dict[str, ProbeResult]:
        """Return the results whose key begins with this word, by the rest of the key."""
        parts = {key: key.partition(" ") for key in self.probes}
        return {part[2]: self.probes[key] for key, part in parts.items() if part[0] == kind}

    def selftest_devices(self) -> tuple[str, ...]:
        """Return the devices that self-tests ran on, by their own words where they answered."""
        return tuple(
            (result.data or {}).get("device", name) for name, result in self.of_kind("selftest").items()
        )


def did_import(result: ProbeResult) -> bool:
    """Say whether a self-test came past its imports."""
    return result.data is not None and (result.data.get("seconds") or {}).get("import") is not None


class Failure(TypedDict):
    """An exception, as probes/_answer.py describes it."""

    type: str
    message: str
    root: str
    traceback: list[str]


class _Common(TypedDict):
    probe: str
    seconds: dict[str, float]
    error: Failure | None


class Part(TypedDict):
    """One reading of the self-test; blocks for the colour model, a text for the random one."""

    name: str
    ok: bool
    expected: Any
    got: Any


class Drill(TypedDict):
    """Threads that stayed behind after an error, or why the drill could not be made."""

    blocked: list[str] | None
    error: str | None


class _SelfTestAdded(TypedDict, total=False):
    queue_drill: Drill | None
    colour_order: str | None


class SelfTest(_Common, _SelfTestAdded):
    """probes/selftest."""

    ok: bool
    parts: list[Part]


class Question(TypedDict):
    """One question of probes/kernels.py and its answer."""

    name: str
    device: str | None
    ok: bool
    value: Any
    error: str | None


class Kernels(_Common):
    """probes/kernels.py."""

    results: list[Question]


class Imports(_Common):
    """probes/imports.py."""

    versions: dict[str, str]


class Altered(TypedDict):
    """A file that is not what RECORD promises."""

    path: str
    sha256: str | None
    links: int
    error: str | None


class Installed(TypedDict):
    """One distribution of probes/installed_files.py."""

    name: str
    version: str
    record: bool
    files: int
    missing: list[str]
    altered: list[Altered]


class InstalledFiles(_Common):
    """probes/installed_files.py."""

    distributions: list[Installed]


_KINDS: dict[str, Any] = {
    "selftest": SelfTest,
    "kernels": Kernels,
    "import": Imports,
    "torch-first": Imports,
    "paddle-first": Imports,
    "installed_files": InstalledFiles,
}


def document_type(key: str) -> Any:
    """Return the type of the document behind a key of `DeepFacts.probes`; raises KeyError for an unknown key."""
    return _KINDS[key.partition(" ")[0]]


Status = Literal["answered", "crashed", "timed-out", "garbage", "not-started"]


@dataclass(frozen=True)
class ProbeResult:
    """What one run of a probe gave.

    `data` is its document where it answered, else None, and `detail` says what happened instead: the signal
    that killed it and its last words, or what it printed in place of a document. `seconds` is wall-clock time.
    """

    status: Status
    data: dict[str, Any] | None
    detail: str
    seconds: float


@dataclass(frozen=True, order=True)
class PublishedWheel:
    """One wheel of paddlepaddle-gpu on the page."""

    version: str
    system: str
    machine: str
    python: str
    """For example 3.12."""


@dataclass(frozen=True)
class IndexPage:
    """A page that was asked for; `problem` says why nothing is known, and is empty where it answered."""

    url: str
    wheels: tuple[PublishedWheel, ...] = ()
    problem: str = ""
