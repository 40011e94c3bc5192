"""The rules that choose or refuse a wheel, and the source of each rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.tables import Fact
from paddlevl_doctor.messages import Message, message, render


@dataclass(frozen=True)
class RuleText:
    """The message of one rule about a machine. `rule` is a stable id; `source` is the origin of the rule."""

    rule: str
    message: Message
    source: str = ""
    verified: str = "docs"
    """wheel (read or run), docs (an official page or a maintainer's words) or unverified, as in matrix/."""

    @property
    def params(self) -> Mapping[str, object]:
        """The values of the message's placeholders."""
        return self.message.params

    def text(self, lang: str) -> str:
        """Return the sentence in English or Chinese (zh)."""
        return render(self.message, lang)


def rule_text(rule: str, **params: object) -> RuleText:
    """Return the text of a rule. Raises KeyError for an unknown rule."""
    source = RULES[rule]
    verified = "wheel" if source.startswith(("default-index", "wheel:", "matrix/sets.toml")) else "docs"
    if rule in _GUESSES or source.startswith(_UNVERIFIED_FILES):
        verified = "unverified"
    return RuleText(rule, message(f"rule-{rule}", **params), source, verified)


def with_source(text: RuleText, row: Fact) -> RuleText:
    """Return the text with the source of a table row in front of its own, and the row's verification."""
    return replace(text, source=f"{row.source}; {text.source}", verified=row.verified)


_UNVERIFIED_FILES = ("matrix/architectures.toml", "matrix/indexes.toml", "matrix/memory.toml")
"""Files with estimates and with data about wheels that could not be read: see the comments at their beginning."""
_GUESSES = ("gpu-order-guessed", "wsl-blackwell-eager")
"""Rules that are based on an estimate or on one or two reports."""


_VL_PAGE = "docs:PaddlePaddle/PaddleOCR docs/version3.x/pipeline_usage/PaddleOCR-VL.md"
_BLACKWELL_PAGE = (
    "docs:PaddlePaddle/PaddleOCR docs/version3.x/pipeline_usage/PaddleOCR-VL-NVIDIA-Blackwell.md"
)
_NVIDIA_TABLE = "docs:https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html"
_NVML = "docs:https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html"
_INDEX_PAGE = "wheel:names on the index page, read now; matrix/indexes.toml"
_CPU_FILES = "default-index: files of paddlepaddle 3.0.0-3.3.1"

RULES: dict[str, str] = {
    # --- what a described machine has
    "platform-gpus": "matrix/platforms.toml",
    "gpu-model": "matrix/gpus.toml",
    "gpu-processor": "matrix/gpus.toml",
    "driver-without-gpu": "matrix/drivers.toml",
    # --- why the CPU wheel
    "no-gpu": _VL_PAGE,
    "cpu-version": "issue:PaddlePaddle/Paddle#77340; local probe of 3.2.0, 3.2.2, 3.3.0 and 3.3.1",
    "apple-silicon": _VL_PAGE,
    "aarch64": _CPU_FILES,
    # --- why this CUDA wheel
    "architecture": "matrix/architectures.toml; docs:CUDA C++ programming guide (binary compatibility)",
    "driver": _NVIDIA_TABLE,
    "driver-unknown": _NVIDIA_TABLE,
    "minor-version-compatibility": _NVIDIA_TABLE,
    "wsl-driver": "issue:microsoft/WSL#11277; issue:microsoft/WSL#11589",
    "wsl-blackwell-eager": "issue:PaddlePaddle/docs#5498 (RTX 5090 D, cu129, 3.2.1)",
    "gpu-version": "matrix/sets.toml",
    "wheel-not-seen": "matrix/indexes.toml",
    "several-gpus": "matrix/architectures.toml",
    "some-gpus": "docs:CUDA C++ programming guide (CUDA_DEVICE_ORDER)",
    # --- what cannot be used, and the way out
    "compute-capability-too-low": _VL_PAGE,
    "kaggle-choose-t4": "issue:PaddlePaddle/PaddleOCR#16724",
    "windows-needs-7-5": "issue:PaddlePaddle/Paddle#75016; issue:PaddlePaddle/Paddle#73687; "
    "issue:PaddlePaddle/PaddleX#4473",
    "architecture-not-built": "matrix/architectures.toml",
    "driver-too-old": _NVIDIA_TABLE,
    "blackwell-driver": _BLACKWELL_PAGE,
    "intel-mac": _CPU_FILES,
    "windows-arm": _CPU_FILES,
    "machine-unsupported": _CPU_FILES,
    "gpu-memory-short": "matrix/memory.toml",
    "arm-gpu-unused": _CPU_FILES,
    "gpus-hidden": "docs:CUDA C++ programming guide (CUDA_VISIBLE_DEVICES)",
    "gpu-order-guessed": "docs:CUDA C++ programming guide (CUDA_DEVICE_ORDER)",
    "glibc-too-old": "wheel:paddlepaddle-3.2.0, 3.3.1 (symbols of libphi_core.so); issue:PaddlePaddle/PaddleOCR#17373",
    "musl": _CPU_FILES,
    "wsl-1": "docs:https://learn.microsoft.com/windows/wsl/compare-versions",
    "python-unsupported": "matrix/sets.toml: resolved from wheels alone for Python 3.8-3.14",
    # --- what the index page says when it is asked
    "index-confirms": _INDEX_PAGE,
    "index-lacks": _INDEX_PAGE,
    "index-fewer": _INDEX_PAGE,
    "index-more": _INDEX_PAGE,
    "index-empty": _INDEX_PAGE,
    "index-unreachable": _INDEX_PAGE,
    # --- a GPU may be there, but it could not be asked
    "library-not-on-path": "issue:PaddlePaddle/Paddle#44599; issue:microsoft/WSL#8587",
    "library-too-old": _NVML,
    "driver-not-loaded": _NVML,
    "driver-library-mismatch": _NVML,
    "driver-of-linux-in-wsl": "docs:https://docs.nvidia.com/cuda/wsl-user-guide/index.html",
    "no-permission": _NVML,
    "no-devices": _NVML,
    "nvml-error": _NVML,
}
"""The source of every rule. Its sentence is the message `rule-<rule>` in matrix/messages/rules.toml."""
