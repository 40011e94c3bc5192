"""What a deep look saw, as values: written down by `--record`, read back by `--replay`, judged by checks/deep.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from paddlevl_doctor.facts.deep import ProbeResult
from paddlevl_doctor.facts.index_page import IndexPage


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

    def read_on(self) -> tuple[str, ...]:
        """Return the devices that self-tests ran on, by their own words where they answered."""
        return tuple(
            (result.data or {}).get("device", name) for name, result in self.of_kind("selftest").items()
        )


def did_import(result: ProbeResult) -> bool:
    """Say whether a self-test came past its imports."""
    return result.data is not None and (result.data.get("seconds") or {}).get("import") is not None
