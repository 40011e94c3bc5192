"""Facts about the machine and the target. Field names contain units; unknown values are None or empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal, TypedDict

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import Text


@dataclass(frozen=True)
class Host:
    """The machine that the doctor runs on."""

    system: str
    """linux, windows, macos, or another value of `platform.system()` in lower case."""
    release: str
    """Kernel or build version."""
    machine: str
    """Processor architecture: x86_64 (also for AMD64) or aarch64 (also for arm64)."""
    distribution: str | None = None
    """PRETTY_NAME of /etc/os-release, Linux only."""
    wsl: int | None = None
    """1 or 2 under the Windows Subsystem for Linux."""
    container: str | None = None
    """docker, podman, kubernetes, ...; None outside of a container."""
    notebook: str | None = None
    """kaggle or colab."""
    glibc: str | None = None
    musl: bool = False
    """The C library is musl, as on Alpine Linux."""
    cpu: str | None = None
    cpu_count: int = 0
    cpu_flags: tuple[str, ...] = ()
    """The flags avx, avx2, avx512f and fma that the processor has; empty if they are unknown."""
    memory_total_mb: int = 0
    memory_available_mb: int = 0
    emulated_on: str | None = None
    """The architecture of the processor that runs this system by emulation."""


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU as NVML describes it."""

    index: int
    name: str
    compute_capability: str
    memory_total_mb: int
    """0 if NVML does not report it, as on GPUs that share the memory of the processor."""
    memory_free_mb: int


@dataclass(frozen=True)
class Gpus:
    """All NVIDIA GPUs, or the reason why there is none."""

    devices: tuple[Gpu, ...] = ()
    driver: str | None = None
    """Driver version, for example 550.54.14."""
    cuda: str | None = None
    """The CUDA version of the driver's API, for example 12.4."""
    reason: str | None = None
    """One of no-library, library-not-on-path, library-too-old, driver-not-loaded, driver-library-mismatch,
    driver-of-linux-in-wsl, no-permission, no-devices, nvml-error; None with devices."""
    detail: str = ""
    """The error text of NVML for `reason`; with devices, the errors of those that could not be queried."""
    by_uuid: Mapping[str, int] | None = None
    """The UUIDs in CUDA_VISIBLE_DEVICES that match a GPU, with its index. None if the variable has no UUID or NVML does
    not report them. No other UUID is stored, because it would identify the machine."""


Origin = Literal["target", "shadowing", "elsewhere", "namespace", "absent"]
"""The relation of the folder that a package is imported from to the target's own site-packages.

target: it is that folder; shadowing: it comes before it on the import path, so that an installation would not be
imported; elsewhere: it comes after it; namespace: a package without an `__init__.py`; absent: the import fails.
"""


@dataclass(frozen=True)
class Distribution:
    """An installed distribution, from its .dist-info folder."""

    name: str
    """Normalised: lower case, single hyphens."""
    version: str
    path: str
    """The .dist-info folder."""
    has_record: bool
    """Whether RECORD exists, or the installer keeps its records elsewhere (Debian, conda)."""
    requires: tuple[str, ...] = ()
    """Requires-Dist lines of the stack, of what it requires (without unused extras), of torch, vllm and sglang."""
    editable: bool = False
    has_metadata: bool = True
    in_target: bool = True
    """Whether its .dist-info folder is in the target's own site-packages, and not in a user's or the system's."""
    imported_from: str | None = None
    """The folder that its package is imported from; None if unknown. Only for the distributions that `fix` changes."""
    origin: Origin | None = None


@dataclass(frozen=True)
class PaddleBuild:
    """The build data in paddle/version/__init__.py of an installed paddle, read without an import."""

    version: str
    cuda: str | None
    """CUDA version of the build, for example 12.6; None for a CPU wheel."""
    cudnn: str | None
    architectures: tuple[int, ...] = ()
    """Compiled compute capabilities as 75, 80, ...; empty for a CPU wheel or if the wheel does not name them."""


@dataclass(frozen=True)
class SuspectFile:
    """A file that decides whether the stack can be imported, and that contradicts a RECORD or has several owners."""

    path: str
    """Relative to site-packages."""
    size: int | None
    """None if it is missing."""
    cut: bool
    """Whether it is empty, or a shared library that ends too early."""
    claims: Mapping[str, int]
    """The size in the RECORD of each distribution that lists it."""


@dataclass(frozen=True)
class UnownedCode:
    """A file or a folder with code in site-packages that no distribution lists."""

    path: str
    runs_at_start: bool = False
    """Whether Python runs it at every start: a .pth file with an `import` line, sitecustomize or usercustomize."""


@dataclass(frozen=True)
class MissingCode:
    """A module at the top of site-packages, a package or a library that a RECORD lists, and that does not exist."""

    path: str
    distribution: str


@dataclass(frozen=True)
class RecordedFile:
    """A file at the top of site-packages, as the RECORD of its distribution describes it."""

    path: str
    distribution: str
    sha256: str
    """As in RECORD: URL-safe base64 without padding."""
    size: int


@dataclass(frozen=True)
class AlteredFile:
    """A file that differs from the RECORD of its distribution."""

    path: str
    distribution: str
    sha256: str | None
    """None for a large file, of which only the size was compared."""


@dataclass(frozen=True)
class Target:
    """The target environment, as its Python describes it."""

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
    """Names in site-packages that begin with ~, which a killed pip leaves behind."""
    site_folders: tuple[str, ...] = ()
    """The target's own site-packages folders, and the user's if Python uses it, without links in their paths."""
    unowned_code: tuple[UnownedCode, ...] | None = None
    """The code at the top of these folders that no distribution lists; None if that was not looked at."""
    ownership_problem: str | None = None
    """Why `unowned_code` is not known: a list of files that cannot be read."""
    single_files: tuple[RecordedFile, ...] = ()
    """The files with code at the top of these folders that a RECORD lists."""
    hiding_modules: tuple[str, ...] = ()
    """What Python imports instead of its own modules and of what the stack requires: files, and folders with a slash.

    Paths are relative to the working folder, or absolute in the folders of PYTHONPATH.
    """
    missing_code: tuple[MissingCode, ...] = ()
    """What RECORDs list in these folders, and what does not exist: modules at the top, libraries, packages."""

    def versions_of(self, name: str) -> tuple[str, ...]:
        """Return every version installed under this normalised distribution name."""
        return tuple(d.version for d in self.distributions if d.name == name)

    def version_of(self, name: str) -> str | None:
        """Return the first installed version, or None."""
        return next(iter(self.versions_of(name)), None)

    def _named(self, name: str) -> Distribution | None:
        return next((d for d in self.distributions if d.name == name), None)

    def folder_of(self, name: str) -> str:
        """Return the folder that the files of a distribution are relative to: where its package is imported from."""
        found = self._named(name)
        return (found.imported_from if found else None) or self.purelib

    def origin_of(self, name: str) -> Origin | None:
        """Return where the package of a distribution is imported from; None if unknown."""
        found = self._named(name)
        return found.origin if found else None

    def can_change(self, name: str) -> bool:
        """Return whether the files of a distribution that are imported are those in the target's site-packages."""
        return self.origin_of(name) in (None, "target")

    @property
    def is_virtual(self) -> bool:
        """Whether this is a virtual environment and not the installation of an interpreter."""
        return self.prefix != self.base_prefix

    @property
    def root(self) -> str:
        """The folder that the doctor changes and keeps its state in: the environment, or site-packages without one."""
        return self.prefix if self.is_virtual else self.purelib


@dataclass(frozen=True)
class DamagedFile:
    """A damaged file of a model. `why` is a stable identifier, `seen` the content that was read.

    `why` is one of: empty, truncated (shorter than its header says), too-long, not-safetensors (a Git LFS pointer, a
    web page), not-json (any .json), no-end-mark or other-end-mark (generation_config.json).
    """

    file: str
    why: str
    seen: str = ""


@dataclass(frozen=True)
class CachedModel:
    """A folder of PaddleX's model cache."""

    name: str
    path: str
    size_mb: int
    missing: tuple[str, ...] = ()
    """Required files that do not exist."""
    damaged: tuple[DamagedFile, ...] = ()
    """Required files that are damaged."""
    tokens: Mapping[str, int] = field(default_factory=dict)
    """bos_token_id, eos_token_id and pad_token_id of config.json; empty unless generation_config.json, from which
    PaddleX takes them, is missing or damaged."""
    linked: bool = False
    """Whether its weights are hard links to another model; examined only for nested models."""


@dataclass(frozen=True)
class ModelCache:
    """PaddleX's model cache ($PADDLE_PDX_CACHE_HOME, else ~/.paddlex)."""

    root: str
    models: tuple[CachedModel, ...] = ()
    fonts: tuple[str, ...] = ()
    """Fonts that paddlex need not download: files in `fonts`, and $PADDLE_PDX_LOCAL_FONT_FILE_PATH."""
    problem: Text | None = None
    """Why paddlex cannot write its cache, None if it can."""


@dataclass(frozen=True)
class PatchedFile:
    """A file that a patch knows, with its current hash."""

    patch: str
    path: str
    """Relative to the site-packages folder, with forward slashes."""
    sha256: str | None
    """None if the file does not exist."""
    recorded: bool | None = None
    """Whether the RECORD of the distribution has this hash; None if that is unknown."""


@dataclass(frozen=True)
class PipelinesLink:
    """The link `pipelines` in the working folder.

    `state` is absent, right, dangling, other-link, not-a-link, or read-only if the folder cannot be written.
    """

    path: str
    state: str
    points_to: str | None = None
    wanted: str | None = None
    """The target's paddlex/configs/pipelines, None while paddlex is not installed."""


@dataclass(frozen=True)
class DllFolder:
    """A folder of Windows with CUDA DLLs.

    `role` is wheel (nvidia\\*\\bin beside paddle), torch (torch\\lib), python (the folder of python.exe), system
    (Windows and its System32) or path.
    """

    role: str
    path: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class BrokenEnvironment:
    """A virtual environment whose Python no longer exists, or without pyvenv.cfg.

    Its data comes from pyvenv.cfg, .dist-info folders, and the link that its Python is.
    """

    folder: str
    """The absolute path."""
    version: str | None = None
    """The version of its Python."""
    home: str | None = None
    """The folder that contained its Python."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """The versions of the distributions in `facts.target.MANAGED`, by name."""
    without_settings: bool = False
    """Whether pyvenv.cfg is missing; its Python may then exist, but is that of another folder."""


@dataclass(frozen=True)
class DamagedJournal:
    """A transaction that was not complete when its journal was damaged."""

    transaction: int
    folder: str
    reason: Text


@dataclass(frozen=True)
class Facts:
    """All facts that the quick checks use."""

    host: Host
    gpus: Gpus
    target: Target | None = None
    startup_file: str | None = None
    """The file that ends the target's Python while it starts, or that does not end."""
    scripts_of: str | None = None
    """The environment that the programs in the target's `bin` belong to, if it is another one."""
    own_environment: str | None = None
    """The active environment, if it contains the doctor itself and no other target was found."""
    target_problem: Text | None = None
    """Why there is no target: none, not-python, or the error of the inventory probe."""
    planned_target: str = ".venv"
    """Where `fix` would create the target if there is none."""
    cache: ModelCache | None = None
    patched_files: tuple[PatchedFile, ...] = ()
    suspect_files: tuple[SuspectFile, ...] = ()
    altered_files: tuple[AlteredFile, ...] | None = None
    """Of the files that decide, and of those at the top of site-packages, those that were changed after the
    installation; None if that was not looked at."""
    applied_patches: tuple[str, ...] = ()
    """Patches that transactions applied to this target and that were not undone."""
    interrupted_transaction: int | None = None
    """The number of the transaction that was interrupted and not rolled back yet; None while a doctor works on it."""
    damaged_journals: tuple[DamagedJournal, ...] = ()
    """The interrupted transactions that cannot be rolled back by their journals."""
    broken_environment: BrokenEnvironment | None = None
    """The environment that would be the target if its Python still existed."""
    pipelines: PipelinesLink | None = None
    free_disk_mb: dict[str, int] = field(default_factory=dict)
    """Free space by purpose: target, uv-cache, model-cache, temp."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The environment variables that affect the stack, as facts/settings.py selects them."""
    long_paths: bool | None = None
    """Whether Windows allows paths of 260 characters and more; None on other systems or if no path is that long."""
    dlls: tuple[DllFolder, ...] | None = None
    """The folders with CUDA DLLs in search order; None except on Windows with a CUDA wheel."""


@dataclass(frozen=True)
class HubAnswer:
    """Whether one model hub answered within its time limit."""

    name: str
    """huggingface, aistudio, modelscope or bos."""
    url: str
    answered: bool
    seconds: float
    """Time until the answer or the refusal, or the time limit."""
    proxied: bool = False
    """Whether the environment has a proxy for this URL."""


@dataclass(frozen=True)
class AlteredModel:
    """A cached model with files that differ from the hashes of the hub."""

    name: str
    path: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class DeepFacts:
    """All facts that the deep checks use.

    `probes` has the result of each probe by key: `selftest DEVICE`, `kernels`, `installed_files`; `torch-first` and
    `paddle-first` if torch is installed; `import MODULE` for paddle, paddlex and paddleocr if no self-test could
    import. `hubs` is empty if no model is missing, because then no hub is asked.
    """

    probes: Mapping[str, ProbeResult] = field(default_factory=dict)
    hubs: tuple[HubAnswer, ...] = ()
    seconds: float = 0.0
    """Wall-clock time of all probes."""
    index: IndexPage | None = None
    """Paddle's page of CUDA wheels; None if the wheel of this machine comes from another index."""
    models: tuple[AlteredModel, ...] = ()

    def of_kind(self, kind: str) -> dict[str, ProbeResult]:
        """Return the results whose key begins with `kind`, by the rest of the key."""
        parts = {key: key.partition(" ") for key in self.probes}
        return {part[2]: self.probes[key] for key, part in parts.items() if part[0] == kind}

    def selftest_devices(self) -> tuple[str, ...]:
        """Return the devices of the self-tests, as the probe reported them if it answered."""
        return tuple(
            (result.data or {}).get("device", name) for name, result in self.of_kind("selftest").items()
        )


def did_import(result: ProbeResult) -> bool:
    """Return whether a self-test finished its imports."""
    return result.data is not None and (result.data.get("seconds") or {}).get("import") is not None


def unending_import(result: ProbeResult) -> str | None:
    """Return the module whose import did not end before the limit of a probe, None if there is none."""
    error = (result.data or {}).get("error") or {}
    return error.get("module") if error.get("type") == "TimeoutError" else None


class _FailureAdded(TypedDict, total=False):
    module: str
    raised: str | None


class Failure(_FailureAdded):
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
    """A page that the self-test read; blocks with the colour model, a text with the random one."""

    name: str
    ok: bool
    expected: Any
    got: Any


class Drill(TypedDict):
    """Threads that did not end after an error, or why the test could not run."""

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
    """A test of probes/kernels.py and its result."""

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
    """A file that differs from RECORD."""

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
    """Return the type of the document for a key of `DeepFacts.probes`. Raises KeyError for an unknown key."""
    return _KINDS[key.partition(" ")[0]]


Status = Literal["answered", "crashed", "timed-out", "garbage", "not-started"]


@dataclass(frozen=True)
class ProbeResult:
    """The result of a probe.

    `data` is its document if it answered, else None. Then `detail` is the reason: the signal that killed it and the end
    of its stderr, or its output if that is not a document. `seconds` is wall-clock time.
    """

    status: Status
    data: dict[str, Any] | None
    detail: str
    seconds: float


@dataclass(frozen=True)
class PublishedWheel:
    """A wheel of paddlepaddle-gpu on an index page."""

    version: str
    system: str
    machine: str
    python: str
    """For example 3.12."""


@dataclass(frozen=True)
class IndexPage:
    """An index page; `problem` is the reason if it could not be read, else empty."""

    url: str
    wheels: tuple[PublishedWheel, ...] = ()
    problem: str = ""
