"""Chooses the CUDA line (cu126, cu129, cu118) for the GPUs of a machine, and says why."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from paddlevl_doctor.facts.model import Gpu, Gpus, Host
from paddlevl_doctor.knowledge.rules import Sentence, backed_by, sentence
from paddlevl_doctor.knowledge.selection import architecture_covers, driver_system
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.knowledge.wheels import (
    CudaLine,
    load_compiled,
    load_lines,
    minimum_compute_capability,
)

ABOUT_DRIVERS = ("driver-too-old", "blackwell-driver")
"""Rules about a GPU that a newer driver would make usable."""
ABOUT_CODE = ("windows-needs-7-5", "architecture-not-built")
"""Rules about a GPU that no wheel of this system has code for."""


@dataclass(frozen=True)
class LineChoice:
    """A CUDA line with the GPUs that it serves; no line and no GPUs where none can be used."""

    line: CudaLine | None
    used: tuple[Gpu, ...]
    reasons: tuple[Sentence, ...]
    refusals: tuple[Sentence, ...]
    driver: str | None = None
    """The oldest driver that runs this line on all of these GPUs, numbered as the machine's drivers are."""


def choose_line(host: Host, gpus: Gpus, tags: Container[str]) -> LineChoice:
    """Return the first line among `tags` that serves every usable GPU, else the one for the best GPU.

    A GPU below the minimum of PaddleOCR-VL is left out before that, so that an old card beside a new one does
    no harm.
    """
    minimum = numbers(minimum_compute_capability())
    able = tuple(gpu for gpu in gpus.devices if numbers(gpu.compute_capability) >= minimum)
    weak = tuple(gpu for gpu in gpus.devices if gpu not in able)
    machine = _Machine(host, gpus.driver, tuple(line for line in load_lines() if line.tag in tags))
    line, used = machine.best(able)
    left = tuple(gpu for gpu in able if gpu not in used)
    refusals = _distinct([*machine.too_weak(weak), *machine.left_out(left)])
    if line is None:
        return LineChoice(None, (), (), refusals)
    return LineChoice(
        line, used, machine.why(line, used, gpus.devices), refusals, machine.needed_by(line, used)
    )


def loads_eagerly(host: Host, gpus: Iterable[Gpu]) -> bool:
    """Say whether CUDA has to load all kernels at once: RTX 50 cards under WSL (PaddlePaddle/docs#5498)."""
    return bool(host.wsl) and any(numbers(gpu.compute_capability)[:1] == (12,) for gpu in gpus)


def _distinct(sentences: list[Sentence]) -> tuple[Sentence, ...]:
    return tuple(dict.fromkeys(sentences))


def _names(gpus: tuple[Gpu, ...]) -> str:
    return ", ".join(f"gpu:{gpu.index} ({gpu.name})" for gpu in gpus)


@dataclass(frozen=True)
class _Machine:
    host: Host
    driver: str | None
    lines: tuple[CudaLine, ...]

    def best(self, able: tuple[Gpu, ...]) -> tuple[CudaLine | None, tuple[Gpu, ...]]:
        """Return a line for all GPUs, else one for the newest and largest of them, and the GPUs it serves."""
        ranked = sorted(
            able, key=lambda gpu: (numbers(gpu.compute_capability), gpu.memory_total_mb), reverse=True
        )
        for wanted in [able, *((gpu,) for gpu in ranked)]:
            for line in self.lines:
                if wanted and all(self.serves(line, gpu) for gpu in wanted):
                    return line, tuple(gpu for gpu in able if self.serves(line, gpu))
        return None, ()

    def serves(self, line: CudaLine, gpu: Gpu) -> bool:
        return self.covers(line, gpu) and self.drives(line, gpu)

    def covers(self, line: CudaLine, gpu: Gpu) -> bool:
        compiled = load_compiled().get((line.tag, self.host.system))
        return compiled is not None and architecture_covers(compiled.sm, gpu.compute_capability)

    def needed(self, line: CudaLine, gpu: Gpu) -> str:
        return line.needed_driver(driver_system(self.host), gpu.compute_capability)

    def needed_by(self, line: CudaLine, used: tuple[Gpu, ...]) -> str:
        return max((self.needed(line, gpu) for gpu in used), key=numbers)

    def drives(self, line: CudaLine, gpu: Gpu) -> bool:
        # A driver without a readable version is given the benefit of the doubt, and a sentence says so.
        return self.driver is None or numbers(self.driver) >= numbers(self.needed(line, gpu))

    def why(self, line: CudaLine, used: tuple[Gpu, ...], devices: tuple[Gpu, ...]) -> tuple[Sentence, ...]:
        """Say why this line: the architecture, the driver, and what became of the other GPUs."""
        return (
            *self._architectures(line, used),
            *self._driver(line, used),
            *self._loading(used),
            *self._others(line, used, devices),
        )

    def _architectures(self, line: CudaLine, used: tuple[Gpu, ...]) -> tuple[Sentence, ...]:
        row = load_compiled()[line.tag, self.host.system]
        archs = " ".join(map(str, row.sm))
        said = (
            sentence("architecture", gpu=g.name, cc=g.compute_capability, tag=line.tag, archs=archs)
            for g in used
        )
        return _distinct([backed_by(one, row) for one in said])

    def _driver(self, line: CudaLine, used: tuple[Gpu, ...]) -> tuple[Sentence, ...]:
        needed = self.needed_by(line, used)
        if self.driver is None:
            return (sentence("driver-unknown", cuda=line.cuda, needed=needed),)
        said = [sentence("driver", driver=self.driver, cuda=line.cuda, needed=needed)]
        if self.host.wsl:
            said.append(sentence("wsl-driver"))
        toolkit = line.toolkit_driver(driver_system(self.host))
        if numbers(self.driver) < numbers(toolkit):
            said.append(sentence("minor-version-compatibility", cuda=line.cuda, toolkit=toolkit))
        return tuple(said)

    def _loading(self, used: tuple[Gpu, ...]) -> tuple[Sentence, ...]:
        return (sentence("wsl-blackwell-eager"),) if loads_eagerly(self.host, used) else ()

    def _others(
        self, line: CudaLine, used: tuple[Gpu, ...], devices: tuple[Gpu, ...]
    ) -> tuple[Sentence, ...]:
        unused = tuple(gpu for gpu in devices if gpu not in used)
        if unused:
            device = f"gpu:{used[0].index}"
            return (sentence("some-gpus", used=_names(used), unused=_names(unused), device=device),)
        return (sentence("several-gpus", tag=line.tag, count=len(used)),) if len(used) > 1 else ()

    def too_weak(self, weak: tuple[Gpu, ...]) -> list[Sentence]:
        """Say that these GPUs are below the minimum, and on Kaggle what to choose instead."""
        minimum = minimum_compute_capability()
        said = [
            sentence("compute-capability-too-low", gpu=g.name, cc=g.compute_capability, minimum=minimum)
            for g in weak
        ]
        if weak and self.host.notebook == "kaggle":
            said.append(sentence("kaggle-choose-t4", gpu=weak[0].name))
        return said

    def left_out(self, left: tuple[Gpu, ...]) -> list[Sentence]:
        """Say why no line serves some of these GPUs; those that only another line serves are named elsewhere."""
        unserved = [gpu for gpu in left if not any(self.serves(line, gpu) for line in self.lines)]
        said = [self._left_out(gpu) for gpu in unserved]
        if self.host.wsl and any(one.rule in ABOUT_DRIVERS for one in said):
            said.append(sentence("wsl-driver"))
        return said

    def _left_out(self, gpu: Gpu) -> Sentence:
        """Say why no line serves this GPU: nothing is built for it, or the driver is too old."""
        cc = gpu.compute_capability
        built = [line for line in self.lines if self.covers(line, gpu)]
        if not built and self.host.system == "windows" and numbers(cc) < (7, 5):
            return sentence("windows-needs-7-5", gpu=gpu.name, cc=cc)
        if not built:
            return sentence("architecture-not-built", gpu=gpu.name, cc=cc)
        line = min(built, key=lambda one: numbers(self.needed(one, gpu)))
        rule = (
            "blackwell-driver"
            if numbers(cc) >= numbers(line.toolkit_driver_from or "1000")
            else "driver-too-old"
        )
        needed = self.needed(line, gpu)
        return sentence(rule, gpu=gpu.name, tag=line.tag, cuda=line.cuda, needed=needed, driver=self.driver)
