"""Plans the environments of a server and its client, and the pipeline file that connects them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath, PurePosixPath, PureWindowsPath

from paddlevl_doctor.checks.packages import conflicts, nvidia_pins
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.catalogue import Model, Pipeline
from paddlevl_doctor.knowledge.servers import Backend, ServerMemory, pinned_of
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.knowledge.version_sets import VersionSet
from paddlevl_doctor.knowledge.visible_gpus import BUS_ORDER, DEVICE_ORDER, VISIBLE_DEVICES, find_visible_gpus
from paddlevl_doctor.knowledge.wheel_choice import WheelChoice, driver_system, required_driver
from paddlevl_doctor.knowledge.wheel_tables import load_indexes
from paddlevl_doctor.messages import Text, message, sentences
from paddlevl_doctor.values.facts import Facts, Gpu, Gpus, Host, Target
from paddlevl_doctor.values.findings import Command

_NO_GPU = ("no-library", "no-devices")
"""Reasons for an empty list that mean that there is no NVIDIA GPU; with any other reason it is unknown."""


@dataclass(frozen=True)
class Share:
    """How much of the GPU the server reserves. All sizes in MiB."""

    fraction: float
    reserved_mb: int
    needed_mb: int
    free_mb: int
    total_mb: int

    @property
    def enough(self) -> bool:
        """Whether the reserved memory suffices for the longest request and is free."""
        return self.needed_mb <= self.reserved_mb <= self.free_mb


def refusal(backend: Backend, facts: Facts) -> Text | None:
    """Return why a server cannot run on this machine, None if it can, or if the GPUs are unknown."""
    host = facts.host
    if host.system not in backend.systems:
        way = (message("serve-wsl"),) if host.system == "windows" else ()
        systems = ", ".join(backend.systems)
        return sentences((message("serve-system", systems=systems, system=host.system), *way))
    if host.machine not in backend.machines:
        return message("serve-machine", machines=", ".join(backend.machines), machine=host.machine)
    library = "musl" if host.musl else host.glibc
    if backend.glibc and library and numbers(library) < numbers(backend.glibc):
        return message("serve-glibc", needed=backend.glibc, library=library)
    if not backend.minimum or gpus_unknown(backend, facts):
        return None
    return _no_gpu(backend, facts) or _old_driver(backend, facts.gpus, host)


def _no_gpu(backend: Backend, facts: Facts) -> Text | None:
    """Return why no GPU is usable: there is none, all are hidden, or the server does not support their capability."""
    if not facts.gpus.devices:
        return message("serve-no-gpu", minimum=backend.minimum)
    seen = find_visible_gpus(facts.gpus, facts.settings)
    if not seen.devices:
        return sentences((message("serve-hidden"), *(one.message for one in seen.notes)))
    if usable(backend, seen.devices):
        return None
    gpus = ", ".join(f"{gpu.name} ({gpu.compute_capability})" for gpu in seen.devices)
    if backend.pairs:
        return message("serve-pages", capabilities=", ".join(capabilities(backend)), gpus=gpus)
    below = message("serve-below", below=backend.below) if backend.below else ""
    return message("serve-capability", minimum=backend.minimum, below=below, gpus=gpus)


def _old_driver(backend: Backend, gpus: Gpus, host: Host) -> Text | None:
    """Return a message if the driver is too old for the server's CUDA; None if it is new enough or unknown."""
    needed = required_driver(backend.cuda, driver_system(host)) if backend.cuda else None
    if not needed or not gpus.driver or numbers(gpus.driver) >= numbers(needed):
        return None
    return message("serve-driver", cuda=backend.cuda, needed=needed, driver=gpus.driver)


def gpus_unknown(backend: Backend, facts: Facts) -> bool:
    """Return whether the server needs a GPU and NVML could not list the GPUs."""
    gpus = facts.gpus
    return bool(backend.minimum) and not gpus.devices and gpus.reason not in (None, *_NO_GPU)


def usable(backend: Backend, devices: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """Return the GPUs that a server supports."""
    return tuple(gpu for gpu in devices if _fits(backend, gpu.compute_capability))


def _fits(backend: Backend, capability: str) -> bool:
    if backend.pairs:  # there is one wheel for each pair of capabilities
        return capability in capabilities(backend)
    enough = not backend.minimum or numbers(capability) >= numbers(backend.minimum)
    return enough and (not backend.below or numbers(capability) < numbers(backend.below))


def capabilities(backend: Backend) -> tuple[str, ...]:
    """Return the sorted compute capabilities of a server's wheels."""
    words = (word for pair in backend.pairs for word in pair.split("_"))
    return tuple(sorted(f"{word[:-1]}.{word[-1]}" for word in words))


def choose_gpu(backend: Backend, facts: Facts) -> Gpu | None:
    """Return the GPU for a server: the visible one that it supports with the most free memory.

    If the user named GPUs by UUIDs that are unknown, the one with the least free memory, to be safe.
    """
    fitting = usable(backend, find_visible_gpus(facts.gpus, facts.settings).devices)
    choose = min if _has_unknown_uuids(facts) else max
    return choose(fitting, key=lambda gpu: gpu.memory_free_mb, default=None)


def gpu_variables(gpu: Gpu | None, facts: Facts) -> Mapping[str, str]:
    """Return the variables that make only this GPU visible to the server, by its NVML index.

    Empty without a GPU, for a MIG instance, which has no index, and for unknown UUIDs.
    """
    if gpu is None or facts.settings.get(VISIBLE_DEVICES, "").startswith("MIG-") or _has_unknown_uuids(facts):
        return {}
    return {DEVICE_ORDER: BUS_ORDER, VISIBLE_DEVICES: str(gpu.index)}


def _has_unknown_uuids(facts: Facts) -> bool:
    """Return whether the user named GPUs by UUIDs that could not be resolved."""
    by_uuid = facts.settings.get(VISIBLE_DEVICES, "").startswith(("GPU-", "MIG-"))
    return by_uuid and facts.gpus.by_uuid is None


def share_of(gpu: Gpu | None, memory: ServerMemory, requested: float | None) -> Share | None:
    """Return the memory to reserve: PaddleX's default half, more on a small GPU, less if other programs use it.

    A server takes its share of the whole GPU memory and does not start if less is free. None if the size is unknown.
    """
    if gpu is None or not gpu.memory_total_mb:
        return None
    total, free = gpu.memory_total_mb, gpu.memory_free_mb
    wanted = max(memory.share, memory.needed_mb / total + 0.01)
    fraction = requested or max(0.01, int(100 * min(wanted, (free - memory.spare_mb) / total)) / 100)
    return Share(fraction, int(fraction * total), memory.needed_mb, free, total)


HOST = "127.0.0.1"
CLIENT_FILE = "paddleocr-vl-client.yaml"
HEADER = "# Written by paddlevl-doctor serve: PaddleOCR's own pipeline file with the server in it.\n"


@dataclass(frozen=True)
class Clash:
    """A package that both sides require in incompatible versions."""

    package: str
    paddle: str
    server: str


@dataclass(frozen=True)
class Proof:
    """Why both sides cannot share an environment: the incompatible requirements, and the sources of them."""

    paddle: str
    server: str
    clashes: tuple[Clash, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class ServerSide:
    """The server's environment and how it is started."""

    folder: str | None
    """The environment; None for a program that must be installed already."""
    prepare: tuple[Command, ...]
    start: Command
    environment: Mapping[str, str]
    config: str | None
    """PaddleX's server configuration as YAML, for a server that uses one."""
    health: str
    """The URL that returns 200 when the model is loaded."""


@dataclass(frozen=True)
class ClientSide:
    """The client's environment, its pipeline file, and the command that reads a page."""

    folder: str | None
    """None without a target; `prepare` creates it."""
    prepare: tuple[Command, ...]
    settings: Mapping[str, object]
    """The values of `genai_config` in VLRecognition of the file."""
    file: str
    yaml: str | None
    """The whole file; None without an installed paddlex that has the original file."""
    read: Command


@dataclass(frozen=True)
class ServerPlan:
    """Both sides, and the URL of the server."""

    backend: str
    model: str
    """The name of the model in requests."""
    weights: str
    """The source of the weights: a folder of the model cache, or a repository on a model hub."""
    url: str
    server: ServerSide
    client: ClientSide
    share: Share | None
    proof: Proof | None


@dataclass(frozen=True)
class Choice:
    """The requested server, with its data from the matrix."""

    backend: Backend
    model: Model
    pipeline: Pipeline
    port: int
    folder: PurePath
    python: str
    wheel: WheelChoice
    version_set: VersionSet
    """The versions for a server that is part of PaddleX, and for a client that is too old."""
    memory: ServerMemory
    fraction: float | None = None
    original: str | None = None
    """The content of the pipeline's file in the target, None if it is missing."""
    target: tuple[str, ...] = ()
    """The options that name the client's environment, for commands in the plan."""
    adopted: bool = False
    """Whether the server's environment exists and was not created by the doctor: nothing is installed into it."""
    indexes: tuple[str, ...] = ()
    """uv's options for indexes; empty if uv uses its own configuration."""


def is_too_old(backend: Backend, target: Target | None) -> bool:
    """Return whether the target's paddleocr is older than this `vl_rec_backend`."""
    version = target.version_of("paddleocr") if target else None
    return version is not None and numbers(version) < numbers(backend.since)


def proof_of(backend: Backend, wheel: WheelChoice, host: Host) -> Proof | None:
    """Compare the requirements of paddlepaddle-gpu and of the server's torch; None if the server needs no torch.

    A machine with the CPU wheel is compared with the wheel for CUDA 12.6, the one that a GPU would need.
    """
    if not backend.torch or host.system != "linux" or host.machine != "x86_64":
        return None
    tag = wheel.tag if wheel.tag.startswith("cu") else "cu126"
    paddle, torch = pinned_of("paddlepaddle-gpu", tag=tag), pinned_of("torch", backend.torch)
    server = pinned_of(backend.distribution, backend.requirements[0].partition("==")[2])
    if paddle is None or torch is None or server is None:
        return None
    pairs = conflicts(nvidia_pins(paddle.requires), nvidia_pins(torch.requires))
    clashes = tuple(Clash(one.name, one.exact or "", other.exact or "") for one, other in pairs)
    return Proof(
        f"paddlepaddle-gpu {paddle.version} ({tag})",
        f"{server.distribution} {server.version} → torch {torch.version}",
        clashes,
        (paddle.source, server.source, torch.source),
    )


def plan_server(choice: Choice, facts: Facts) -> ServerPlan:
    """Return the plan for the server, the client, and the GPU memory."""
    backend, gpu = choice.backend, choose_gpu(choice.backend, facts)
    share = share_of(gpu, choice.memory, choice.fraction) if backend.minimum else None
    weights = _weights(choice, facts)
    name = weights if backend.names_by_repository else choice.model.name
    url = f"http://{HOST}:{choice.port}"
    server = _server_side(choice, facts, gpu, share, weights)
    client = _client_side(choice, facts, f"{url}/v1", name)
    proof = proof_of(backend, choice.wheel, facts.host)
    return ServerPlan(backend.name, name, weights, f"{url}/v1", server, client, share, proof)


def _weights(choice: Choice, facts: Facts) -> str:
    """Return the folder of the model in the cache if it is complete, else the repository."""
    if choice.backend.suffix or choice.backend.names_by_repository:
        return choice.model.repository + choice.backend.suffix
    cached = facts.cache.models if facts.cache else ()
    whole = (m for m in cached if m.name == choice.model.folder and not m.missing and not m.damaged)
    return next((model.path for model in whole), choice.model.repository)


def _server_side(
    choice: Choice, facts: Facts, gpu: Gpu | None, share: Share | None, weights: str
) -> ServerSide:
    backend, host = choice.backend, facts.host
    fraction = f"{share.fraction:.2f}" if share else f"{choice.memory.share:.2f}"
    config = f"{backend.fraction_key}: {fraction}\n" if backend.fraction_key else None
    values = {
        "bin": str(programs(choice.folder, host.system)),
        "model": weights,
        "name": choice.model.name,
        "port": str(choice.port),
        "config": str(choice.folder / "server-config.yaml"),
    }
    option = (backend.fraction_option, fraction) if backend.fraction_option else ()
    start = tuple(word.format(**values) for word in backend.argv) + option
    return ServerSide(
        None if backend.program else str(choice.folder),
        () if backend.program or choice.adopted else _prepare(choice, host, gpu),
        start,
        {
            **gpu_variables(gpu, facts),
            "NO_PROXY": f"{HOST},localhost",
        },  # its processes communicate over loopback
        config,
        f"http://{HOST}:{choice.port}{backend.health}",
    )


def programs(folder: PurePath, system: str) -> PurePath:
    """Return the folder of an environment's programs: `Scripts` on Windows, `bin` elsewhere."""
    kind = PureWindowsPath if system == "windows" else PurePosixPath
    return kind(str(folder)) / ("Scripts" if system == "windows" else "bin")


def _prepare(choice: Choice, host: Host, gpu: Gpu | None) -> tuple[Command, ...]:
    """Return the commands that create the environment and install the server, from wheels only."""
    name = "python.exe" if host.system == "windows" else "python"
    python = str(programs(choice.folder, host.system) / name)
    backend, versions = choice.backend, choice.version_set
    values = {
        "paddle": f"paddlepaddle-gpu=={versions.paddle_gpu.get(backend.paddle)}",
        "paddleocr": versions.paddleocr,
        "paddlex": versions.paddlex,
    }
    links = [word for page in _pages(backend, gpu) for word in ("--find-links", page)]
    wanted = [requirement.format(**values) for requirement in backend.requirements]
    return (
        ("uv", "venv", "--no-project", "--python", choice.python, str(choice.folder)),
        (
            "uv",
            "pip",
            "install",
            "--python",
            python,
            "--only-binary",
            ":all:",
            *links,
            *choice.indexes,
            *wanted,
        ),
    )


def _pages(backend: Backend, gpu: Gpu | None) -> tuple[str, ...]:
    """Return the flat pages with wheels: Paddle's, and the server's for the capability of the GPU (else the first)."""
    if not backend.flat:
        return ()
    word = gpu.compute_capability.replace(".", "") if gpu else ""
    pair = next((pair for pair in backend.pairs if word in pair.split("_")), backend.pairs[0])
    return str(load_indexes()[backend.paddle].flat), backend.flat.replace("{pair}", pair)


def _client_side(choice: Choice, facts: Facts, url: str, name: str) -> ClientSide:
    target = facts.target
    ready = target is not None and target.version_of("paddleocr") is not None
    settings: dict[str, object] = {"backend": choice.backend.client, "server_url": url}
    if name != choice.model.name:
        settings["client_kwargs"] = {"model_name": name}
    yaml = with_server(choice.original, settings) if choice.original is not None else None
    newest = ("--set", choice.version_set.name) if is_too_old(choice.backend, target) else ()
    fix = ("paddlevl-doctor", "fix", *choice.target, *newest, "--apply")
    return ClientSide(
        target.prefix if target else facts.planned_target,
        () if ready and not newest else (fix,),
        settings,
        CLIENT_FILE,
        yaml,
        (_reader(facts), choice.pipeline.command, "-i", "page.png", "--paddlex_config", CLIENT_FILE),
    )


def _reader(facts: Facts) -> str:
    """Return the path of PaddleOCR's program in the client's environment, which need not be active.

    Without a virtual environment the folder of the programs is unknown, so the program is found in PATH.
    """
    if facts.target is not None and not facts.target.is_virtual:
        return "paddleocr"
    folder = facts.target.prefix if facts.target else facts.planned_target
    return str(programs(PurePath(folder), facts.host.system) / "paddleocr")


_NATIVE = re.compile(r"^(?P<indent> +)genai_config:[ ]*\n(?P=indent) +backend: *native[ ]*$", re.MULTILINE)


def with_server(original: str, settings: Mapping[str, object]) -> str | None:
    """Return a pipeline file with these settings instead of `backend: native`; None if the file does not contain that.

    The rest of the file, comments included, stays as PaddleX published it.
    """
    found = _NATIVE.search(original)
    if found is None:
        return None
    indent = found["indent"]
    lines = [f"{indent}genai_config:", *(f"{indent}  {line}" for line in _yaml_lines(settings))]
    return HEADER + original[: found.start()] + "\n".join(lines) + original[found.end() :]


def _yaml_lines(settings: Mapping[str, object], depth: int = 0) -> list[str]:
    lines = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            lines += [f"{'  ' * depth}{key}:", *_yaml_lines(value, depth + 1)]
        else:
            lines.append(f"{'  ' * depth}{key}: {_scalar(str(value))}")
    return lines


def _scalar(value: str) -> str:
    """Quote a value that YAML might not read as a string, such as a URL with a colon."""
    return value if re.fullmatch(r"[A-Za-z][\w-]*", value) else f'"{value}"'
