"""The rules by which a wheel is chosen or refused: a sentence each in English and Chinese, and its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from paddlevl_doctor.knowledge.tables import Fact


@dataclass(frozen=True)
class Sentence:
    """One rule, said about this machine. `rule` is a stable id; `source` says where the rule is from."""

    rule: str
    en: str
    zh: str
    source: str = ""
    verified: str = "docs"
    """wheel (read or run), docs (an official page or a maintainer's words) or unverified, as in matrix/."""
    about: Mapping[str, object] = field(default_factory=dict, compare=False)
    """What was filled in, by its placeholder."""

    def text(self, lang: str) -> str:
        """Return the sentence in English or Chinese (zh)."""
        return self.zh if lang == "zh" else self.en


def sentence(rule: str, **params: object) -> Sentence:
    """Say a rule; raises KeyError for an unknown rule or a missing parameter."""
    en, zh, source = RULES[rule]
    return Sentence(rule, en.format(**params), zh.format(**params), source, _mark(rule, source), params)


def backed_by(said: Sentence, row: Fact) -> Sentence:
    """Return a sentence with the source and the mark of the row that it was read from; the rule's own stays."""
    return replace(said, source=f"{row.source}; {said.source}", verified=row.verified)


_DOUBTFUL = ("matrix/architectures.toml", "matrix/indexes.toml", "matrix/memory.toml")
"""Data that nobody verified: what is in wheels that could not be read, and estimates. See the heads of the files."""
_GUESSES = ("gpu-order-guessed", "wsl-blackwell-eager")
"""Rules that rest on an estimate, or on a report or two."""


def _mark(rule: str, source: str) -> str:
    """Return how far a rule is verified: by wheels that were read, by pages, or not at all."""
    if rule in _GUESSES or source.startswith(_DOUBTFUL):
        return "unverified"
    return "wheel" if source.startswith(("default-index", "wheel:", "matrix/sets.toml")) else "docs"


_VL_PAGE = "docs:PaddlePaddle/PaddleOCR docs/version3.x/pipeline_usage/PaddleOCR-VL.md"
_BLACKWELL_PAGE = (
    "docs:PaddlePaddle/PaddleOCR docs/version3.x/pipeline_usage/PaddleOCR-VL-NVIDIA-Blackwell.md"
)
_NVIDIA_TABLE = "docs:https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html"
_NVML = "docs:https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html"
_INDEX_PAGE = "wheel:names on the index page, read now; matrix/indexes.toml"
_CPU_FILES = "default-index: files of paddlepaddle 3.0.0-3.3.1"

RULES: dict[str, tuple[str, str, str]] = {
    # --- what a described machine has
    "platform-gpus": (
        "No GPU was named: {platform} is taken to have {gpus}.",
        "未指定 GPU：假定 {platform} 配有 {gpus}。",
        "matrix/platforms.toml",
    ),
    "gpu-model": (
        "{gpu} is a {architecture} GPU with compute capability {cc}.",
        "{gpu} 属于 {architecture} 架构，计算能力为 {cc}。",
        "matrix/gpus.toml",
    ),
    "gpu-processor": (
        "{gpu} comes in machines with an ARM processor ({machine}) only.",
        "{gpu} 只用于 ARM 处理器（{machine}）的机器。",
        "matrix/gpus.toml",
    ),
    "driver-without-gpu": (
        "Driver {driver} is not judged, because there is no GPU that it could drive. Name one with --gpu.",
        "未判断驱动 {driver}，因为没有可用的 GPU。请用 --gpu 指定。",
        "matrix/drivers.toml",
    ),
    # --- why the CPU wheel
    "no-gpu": (
        "Without an NVIDIA GPU paddle runs on the CPU.",
        "没有可用的 NVIDIA GPU，因此 paddle 在 CPU 上运行。",
        _VL_PAGE,
    ),
    "cpu-version": (
        "On the CPU this set takes paddlepaddle {version}: 3.3.0 and 3.3.1 fail in oneDNN.",
        "CPU 上本组合采用 paddlepaddle {version}：3.3.0 和 3.3.1 会在 oneDNN 中出错。",
        "issue:PaddlePaddle/Paddle#77340; local probe of 3.2.0, 3.2.2, 3.3.0 and 3.3.1",
    ),
    "apple-silicon": (
        "On a Mac paddle knows the CPU only; an MLX-VLM server can use the Apple GPU for the language model.",
        "在 Mac 上 paddle 只支持 CPU；语言模型可以交给 MLX-VLM 服务，由它使用 Apple GPU。",
        _VL_PAGE,
    ),
    "aarch64": (
        "For Linux on ARM there are CPU wheels up to 3.2.2 and no CUDA wheel, so paddle runs on the CPU.",
        "ARM 架构的 Linux 只有 CPU 版（最高 3.2.2），没有 CUDA 版，因此 paddle 在 CPU 上运行。",
        _CPU_FILES,
    ),
    # --- why this CUDA wheel
    "architecture": (
        "{gpu} has compute capability {cc}; the {tag} wheels are reported to contain code for {archs}.",
        "{gpu} 的计算能力为 {cc}；据公开资料，{tag} 版包含 {archs} 的代码。",
        "matrix/architectures.toml; docs:CUDA C++ programming guide (binary compatibility)",
    ),
    "driver": (
        "Driver {driver} is new enough for CUDA {cuda}, which needs {needed}.",
        "驱动 {driver} 满足 CUDA {cuda} 的要求（不低于 {needed}）。",
        _NVIDIA_TABLE,
    ),
    "driver-unknown": (
        "The driver's version is not known; CUDA {cuda} needs {needed} or newer.",
        "驱动版本未知；CUDA {cuda} 要求不低于 {needed}。",
        _NVIDIA_TABLE,
    ),
    "minor-version-compatibility": (
        "The driver is older than {toolkit}, which came with CUDA {cuda}: it runs by minor-version "
        "compatibility. If kernels fail to start, update the driver first.",
        "驱动早于 CUDA {cuda} 自带的 {toolkit}，依靠次版本兼容运行；如果内核无法启动，请先更新驱动。",
        _NVIDIA_TABLE,
    ),
    "wsl-driver": (
        "Under WSL the driver is the one of Windows: its numbers apply although the wheel is a Linux one, "
        "and it is updated in Windows.",
        "WSL 使用 Windows 的驱动：虽然安装的是 Linux 版，仍按 Windows 的驱动版本判断，"
        "更新也在 Windows 中进行。",
        "issue:microsoft/WSL#11277; issue:microsoft/WSL#11589",
    ),
    "wsl-blackwell-eager": (
        "Under WSL, RTX 50 cards with CUDA 12.9 are reported to hang while kernels are loaded (cuLibraryGetModule): "
        "set CUDA_MODULE_LOADING=EAGER before paddle is imported. `paddlevl-doctor env` prints it there.",
        "据报告，RTX 50 系列在 WSL 中使用 CUDA 12.9 时会卡在加载内核处（cuLibraryGetModule）：请在导入 paddle 之前设置 "
        "CUDA_MODULE_LOADING=EAGER。在那里运行 `paddlevl-doctor env` 会输出该变量。",
        "issue:PaddlePaddle/docs#5498 (RTX 5090 D, cu129, 3.2.1)",
    ),
    "gpu-version": (
        "paddlepaddle-gpu {version} is the version of this set on the {tag} index.",
        "本组合在 {tag} 源上采用 paddlepaddle-gpu {version}。",
        "matrix/sets.toml",
    ),
    "wheel-not-seen": (
        "Nobody is known to have seen this wheel for Python {python}; the index page will tell.",
        "尚无公开资料证实该版本提供 Python {python} 的安装包，以索引页面为准。",
        "matrix/indexes.toml",
    ),
    "several-gpus": (
        "The {tag} wheel serves all {count} GPUs.",
        "{tag} 版适用于全部 {count} 块 GPU。",
        "matrix/architectures.toml",
    ),
    "some-gpus": (
        "The wheel serves {used} and not {unused}. Set CUDA_DEVICE_ORDER=PCI_BUS_ID so that {device} means "
        "the same card for CUDA as for nvidia-smi.",
        "该版本可用于 {used}，不能用于 {unused}。请设置 CUDA_DEVICE_ORDER=PCI_BUS_ID，使 {device} "
        "在 CUDA 与 nvidia-smi 中指同一块显卡。",
        "docs:CUDA C++ programming guide (CUDA_DEVICE_ORDER)",
    ),
    # --- what cannot be used, and the way out
    "compute-capability-too-low": (
        "{gpu} has compute capability {cc}, and PaddleOCR-VL needs {minimum}. Use the CPU, another GPU or a "
        "server.",
        "{gpu} 的计算能力为 {cc}，而 PaddleOCR-VL 要求 {minimum}。请改用 CPU、其他 GPU 或推理服务。",
        _VL_PAGE,
    ),
    "kaggle-choose-t4": (
        "On Kaggle choose the accelerator “GPU T4 x2” instead of {gpu}.",
        "在 Kaggle 中请将加速器由 {gpu} 改为“GPU T4 x2”。",
        "issue:PaddlePaddle/PaddleOCR#16724",
    ),
    "windows-needs-7-5": (
        "{gpu} has compute capability {cc}, and no Windows wheel is known to contain code for it. Use WSL, "
        "whose Linux wheels do, or the CPU.",
        "{gpu} 的计算能力为 {cc}，已知的 Windows 版均不含对应代码。请使用 WSL（Linux 版包含）或 CPU。",
        "issue:PaddlePaddle/Paddle#75016; issue:PaddlePaddle/Paddle#73687; issue:PaddlePaddle/PaddleX#4473",
    ),
    "architecture-not-built": (
        "{gpu} has compute capability {cc}, and no wheel of this set is known to contain code for it. Use "
        "the CPU or a server.",
        "{gpu} 的计算能力为 {cc}，本组合中没有已知包含对应代码的版本。请改用 CPU 或推理服务。",
        "matrix/architectures.toml",
    ),
    "driver-too-old": (
        "{gpu} needs driver {needed} for the {tag} wheel, and {driver} is installed. Update the driver.",
        "{gpu} 使用 {tag} 版需要驱动 {needed}，而已安装的是 {driver}。请更新驱动。",
        _NVIDIA_TABLE,
    ),
    "blackwell-driver": (
        "{gpu} needs the {tag} wheel and driver {needed} with it; {driver} is installed. Update the driver.",
        "{gpu} 需要 {tag} 版，而该版本要求驱动 {needed}；已安装的是 {driver}。请更新驱动。",
        _BLACKWELL_PAGE,
    ),
    "intel-mac": (
        "For Intel Macs paddlepaddle ended with 3.0.0, which is too old for PaddleOCR-VL. Use another "
        "machine or a Linux virtual machine.",
        "Intel 芯片 Mac 的 paddlepaddle 止于 3.0.0，无法运行 PaddleOCR-VL。请换用其他机器或 Linux 虚拟机。",
        _CPU_FILES,
    ),
    "windows-arm": (
        "For Windows on ARM there is no wheel. Use an x86-64 Python under Windows' emulation, or WSL.",
        "ARM 架构的 Windows 没有对应的安装包。请在 Windows 的仿真下使用 x86-64 版 Python，或使用 WSL。",
        _CPU_FILES,
    ),
    "machine-unsupported": (
        "There is no paddlepaddle wheel for {system} on {machine}. Use an x86-64 machine, or Linux or a Mac "
        "on ARM.",
        "没有适用于 {system}（{machine}）的 paddlepaddle 安装包。"
        "请使用 x86-64 机器，或 ARM 架构的 Linux、Mac。",
        _CPU_FILES,
    ),
    "gpu-memory-short": (
        "{gpu} has {has:.1f} GB, and reading a large page is estimated to take {peak:.1f} GB at the peak, with our "
        "patch too. Use a larger MIG profile, a card with more memory or the CPU.",
        "{gpu} 的显存为 {has:.1f} GB，而识别大图的峰值估计为 {peak:.1f} GB（已用本项目的补丁）。请改用更大的 MIG 配置、"
        "显存更大的显卡或 CPU。",
        "matrix/memory.toml",
    ),
    "arm-gpu-unused": (
        "{gpus} cannot be used by paddle, because there is no CUDA wheel for ARM. Let a server use it (of those that "
        "`serve` knows, here: {servers}), or read with a server on another machine, and let paddle use the CPU.",
        "ARM 架构没有 CUDA 版安装包，paddle 无法使用 {gpus}。请由推理服务使用 GPU（`serve` 在本机支持：{servers}），"
        "或使用其他机器上的推理服务，paddle 则使用 CPU。",
        _CPU_FILES,
    ),
    "gpus-hidden": (
        "CUDA_VISIBLE_DEVICES={value} hides {gpus} from every program. Unset it to use them.",
        "CUDA_VISIBLE_DEVICES={value} 使所有程序都看不到 {gpus}。如需使用，请取消该变量。",
        "docs:CUDA C++ programming guide (CUDA_VISIBLE_DEVICES)",
    ),
    "gpu-order-guessed": (
        "These GPUs differ, and CUDA counts the fastest first, by an estimate of its own, unless "
        "CUDA_DEVICE_ORDER=PCI_BUS_ID lets it count as nvidia-smi does: CUDA_VISIBLE_DEVICES={value} is taken to mean "
        "{gpus}. Set that variable, or name GPUs by their UUIDs (nvidia-smi -L).",
        "各 GPU 型号不同，而 CUDA 默认按自行估计的速度从快到慢编号，只有设置 CUDA_DEVICE_ORDER=PCI_BUS_ID 才与 "
        "nvidia-smi 一致：此处假定 CUDA_VISIBLE_DEVICES={value} 指 {gpus}。请设置该变量，或用 UUID 指定 GPU"
        "（nvidia-smi -L）。",
        "docs:CUDA C++ programming guide (CUDA_DEVICE_ORDER)",
    ),
    "glibc-too-old": (
        "The GNU C library is {glibc}, and paddlepaddle {version} needs {needed}. Use a newer release of the "
        "system, or a container with one (debian:12, ubuntu:22.04).",
        "GNU C 库（glibc）为 {glibc}，而 paddlepaddle {version} 需要 {needed}。"
        "请升级系统，或使用较新的容器（debian:12、ubuntu:22.04）。",
        "wheel:paddlepaddle-3.2.0, 3.3.1 (symbols of libphi_core.so); issue:PaddlePaddle/PaddleOCR#17373",
    ),
    "musl": (
        "This system has the C library musl (Alpine Linux), and every paddlepaddle wheel needs the GNU C "
        "library. Use a system or an image with glibc (debian:12, ubuntu:22.04, python:3.12-slim instead of "
        "python:3.12-alpine).",
        "本系统使用 musl C 库（Alpine Linux），而所有 paddlepaddle 安装包都需要 GNU C 库（glibc）。"
        "请改用带 glibc 的系统或镜像（debian:12、ubuntu:22.04，或用 python:3.12-slim 代替 python:3.12-alpine）。",
        _CPU_FILES,
    ),
    "wsl-1": (
        "WSL 1 gives no program a GPU, so {gpus} cannot be used. Convert the distribution to WSL 2 (in Windows: "
        "wsl --set-version NAME 2), or use the CPU.",
        "WSL 1 中的程序无法使用 GPU，因此用不了 {gpus}。请把该发行版转换为 WSL 2"
        "（在 Windows 中运行 wsl --set-version 名称 2），或使用 CPU。",
        "docs:https://learn.microsoft.com/windows/wsl/compare-versions",
    ),
    "python-unsupported": (
        "This set installs for Python {wanted}, and {python} is not one of those. Use another, best {best}.",
        "本组合支持的 Python 为 {wanted}，{python} 不在其中。请换用其他 Python，首选 {best}。",
        "matrix/sets.toml: resolved from wheels alone for Python 3.8-3.14",
    ),
    # --- what the index page says when it is asked
    "index-confirms": (
        "The page lists paddlepaddle-gpu {version} for Python {python} on {system}.",
        "页面列出了适用于 {system}、Python {python} 的 paddlepaddle-gpu {version}。",
        _INDEX_PAGE,
    ),
    "index-lacks": (
        "The page has no paddlepaddle-gpu {version} for Python {python} on {system}. It has: {there}.",
        "页面没有适用于 {system}、Python {python} 的 paddlepaddle-gpu {version}。已有：{there}。",
        _INDEX_PAGE,
    ),
    "index-fewer": (
        "Wheels that were known are not on the page any more: {names}. Please report this.",
        "页面上已没有以下已知的安装包：{names}。请反馈此情况。",
        _INDEX_PAGE,
    ),
    "index-more": (
        "The page has wheels that this doctor does not know: {names}. No set uses them.",
        "页面上有本工具未收录的安装包：{names}。没有组合使用它们。",
        _INDEX_PAGE,
    ),
    "index-empty": (
        "The page answered and lists no wheel of paddlepaddle-gpu, which is not believed. What is known stands.",
        "页面有应答，但没有列出任何 paddlepaddle-gpu 安装包，不予采信，仍以已收录的信息为准。",
        _INDEX_PAGE,
    ),
    "index-unreachable": (
        "The page could not be read ({reason}). What is known stands.",
        "无法读取页面（{reason}），仍以已收录的信息为准。",
        _INDEX_PAGE,
    ),
    # --- a GPU may be there, but it could not be asked
    "library-not-on-path": (
        "NVIDIA's library is on this machine, but the loader does not look there: {detail}. Put the folder "
        "in LD_LIBRARY_PATH and look again.",
        "本机装有 NVIDIA 的库，但加载器不在该目录中查找：{detail}。请把该目录加入 LD_LIBRARY_PATH 后重试。",
        "issue:PaddlePaddle/Paddle#44599; issue:microsoft/WSL#8587",
    ),
    "library-too-old": (
        "NVIDIA's library is too old to be asked ({detail}). Update the driver.",
        "NVIDIA 的库过旧，无法查询（{detail}）。请更新驱动。",
        _NVML,
    ),
    "driver-not-loaded": (
        "NVIDIA's driver is not loaded ({detail}). Load or reinstall it; a container needs the GPU passed in "
        "(--gpus all).",
        "NVIDIA 驱动未加载（{detail}）。请加载或重装驱动；在容器中请传入 GPU（--gpus all）。",
        _NVML,
    ),
    "driver-library-mismatch": (
        "NVIDIA's driver was updated while it was running ({detail}). Restart the machine.",
        "NVIDIA 驱动在运行期间被更新（{detail}）。请重启机器。",
        _NVML,
    ),
    "driver-of-linux-in-wsl": (
        "A Linux driver was installed in WSL and stands before the one of Windows ({detail}). Remove it, or put "
        "/usr/lib/wsl/lib first in LD_LIBRARY_PATH.",
        "WSL 中安装了 Linux 驱动，挡在 Windows 的驱动之前（{detail}）。请将其卸载，"
        "或把 /usr/lib/wsl/lib 放在 LD_LIBRARY_PATH 的最前面。",
        "docs:https://docs.nvidia.com/cuda/wsl-user-guide/index.html",
    ),
    "no-permission": (
        "This user may not ask the GPU ({detail}). Allow access to /dev/nvidia*, or use another account.",
        "当前用户无权访问 GPU（{detail}）。请开放 /dev/nvidia* 的权限，或换用其他账户。",
        _NVML,
    ),
    "no-devices": (
        "NVIDIA's driver runs, but shows no GPU to this process ({detail}).",
        "NVIDIA 驱动正常运行，但当前进程看不到 GPU（{detail}）。",
        _NVML,
    ),
    "nvml-error": (
        "The GPU could not be asked: {detail}. Look at what nvidia-smi says.",
        "无法查询 GPU：{detail}。请查看 nvidia-smi 的输出。",
        _NVML,
    ),
}
