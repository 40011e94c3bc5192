"""A table of machines and the paddle wheel that each gets, and the rules that say why."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from paddlevl_doctor.knowledge import wheel_choice
from paddlevl_doctor.knowledge.selection_rules import RULES, rule_text
from paddlevl_doctor.knowledge.version_sets import find_set
from paddlevl_doctor.knowledge.wheel_choice import (
    WheelChoice,
    architecture_covers,
    choose_wheel,
    driver_system,
    required_driver,
)
from paddlevl_doctor.knowledge.wheel_tables import Compiled
from paddlevl_doctor.messages import catalogue
from paddlevl_doctor.values.facts import Gpu, Gpus, Host

LINUX = Host("linux", "6.8.0", "x86_64")
WSL = Host("linux", "5.15.167.4-microsoft-standard-WSL2", "x86_64", wsl=2)
WSL1 = Host("linux", "4.4.0-19041-Microsoft", "x86_64", wsl=1)
KAGGLE = Host("linux", "6.6.56", "x86_64", notebook="kaggle")
WINDOWS = Host("windows", "10.0.26100", "x86_64")
WINDOWS_ARM = Host("windows", "10.0.26100", "aarch64")
ARM = Host("linux", "6.11.0", "aarch64")
APPLE = Host("macos", "25.1.0", "aarch64")
INTEL_MAC = Host("macos", "22.6.0", "x86_64")
POWER = Host("linux", "6.8.0", "ppc64le")
ALPINE = Host("linux", "6.12.0", "x86_64", musl=True)
CENTOS = Host("linux", "3.10.0", "x86_64", glibc="2.17")
FREEBSD = Host("freebsd", "14.2", "x86_64")

NONE = Gpus(reason="no-library", detail="libnvidia-ml.so.1: cannot open shared object file")


def gpus(driver: str | None, *capabilities: str) -> Gpus:
    """Make GPUs of these compute capabilities, each named after its own."""
    devices = (Gpu(i, f"GPU {cc}", cc, 16_000, 15_000) for i, cc in enumerate(capabilities))
    return Gpus(tuple(devices), driver, None)


@dataclass(frozen=True)
class Row:
    """One machine. `wheel`: version, tag and device; `why` and `not_why`: rules in their order."""

    machine: str
    host: Host
    gpus: Gpus
    wheel: str
    why: str
    not_why: str = ""
    python: str = "3.12"
    set: str = "current"


CPU = "3.2.2 cpu cpu"
CU118 = "3.2.0 cu118 gpu:0"
CU126 = "3.2.1 cu126 gpu:0"
CU129 = "3.2.1 cu129 gpu:0"
GOOD = "architecture driver gpu-version"
COMPATIBLE = "architecture driver minor-version-compatibility gpu-version"
ON_WSL = "architecture driver wsl-driver gpu-version"

TABLE = (
    # --- no GPU
    Row("Linux without a GPU", LINUX, NONE, CPU, "no-gpu cpu-version"),
    Row("Windows without a GPU", WINDOWS, NONE, CPU, "no-gpu cpu-version"),
    Row("Apple silicon", APPLE, NONE, CPU, "no-gpu apple-silicon cpu-version"),
    Row("Linux on ARM", ARM, NONE, CPU, "no-gpu aarch64 cpu-version"),
    Row("Grace Hopper", ARM, gpus("570.133.20", "9.0"), CPU, "aarch64 cpu-version", "arm-gpu-unused"),
    Row("DGX Spark", ARM, gpus("580.95.05", "12.1"), CPU, "aarch64 cpu-version", "arm-gpu-unused"),
    Row(
        "a container without its GPU",
        LINUX,
        Gpus(reason="driver-not-loaded"),
        CPU,
        "cpu-version",
        "driver-not-loaded",
    ),
    Row(
        "an updated driver",
        LINUX,
        Gpus(reason="driver-library-mismatch"),
        CPU,
        "cpu-version",
        "driver-library-mismatch",
    ),
    Row("a locked device", LINUX, Gpus(reason="no-permission"), CPU, "cpu-version", "no-permission"),
    Row("a reason from the future", LINUX, Gpus(reason="on-fire"), CPU, "cpu-version", "nvml-error"),
    # --- nothing to install
    Row("an Intel Mac", INTEL_MAC, NONE, CPU, "", "intel-mac"),
    Row("Windows on ARM", WINDOWS_ARM, NONE, CPU, "", "windows-arm"),
    Row("POWER", POWER, NONE, CPU, "", "machine-unsupported"),
    Row("CentOS 7", CENTOS, gpus("460.91.03", "7.5"), CPU, "", "glibc-too-old"),
    Row("Alpine Linux", ALPINE, NONE, CPU, "", "musl"),
    Row("FreeBSD", FREEBSD, NONE, CPU, "", "machine-unsupported"),
    Row("Python 3.8", LINUX, NONE, CPU, "", "python-unsupported", python="3.8.18"),
    Row("Python 3.14", LINUX, gpus("570.133.20", "8.9"), CPU, "", "python-unsupported", python="3.14.0"),
    Row(
        "an Intel Mac with Python 3.14",
        INTEL_MAC,
        NONE,
        CPU,
        "",
        "intel-mac python-unsupported",
        python="3.14",
    ),
    # --- one GPU on Linux
    Row("K80", LINUX, gpus("470.199.02", "3.7"), CPU, "cpu-version", "compute-capability-too-low"),
    Row("P100", LINUX, gpus("550.54.14", "6.0"), CPU, "cpu-version", "compute-capability-too-low"),
    Row(
        "Kaggle P100",
        KAGGLE,
        gpus("560.35.03", "6.0"),
        CPU,
        "cpu-version",
        "compute-capability-too-low kaggle-choose-t4",
    ),
    Row("GTX 1080", LINUX, gpus("550.54.14", "6.1"), CPU, "cpu-version", "compute-capability-too-low"),
    Row("V100", LINUX, gpus("560.35.03", "7.0"), CU126, GOOD),
    Row("T4", LINUX, gpus("560.35.03", "7.5"), CU126, GOOD),
    Row("Jetson's 7.2 in a PC", LINUX, gpus("560.35.03", "7.2"), CU126, GOOD),
    Row("A100", LINUX, gpus("560.35.03", "8.0"), CU126, GOOD),
    Row("RTX 3090, driver of CUDA 12.4", LINUX, gpus("550.54.14", "8.6"), CU126, COMPATIBLE),
    Row("RTX 4090", LINUX, gpus("565.57.01", "8.9"), CU126, GOOD),
    Row("H100", LINUX, gpus("560.28.03", "9.0"), CU126, GOOD),
    Row("the oldest driver for CUDA 12", LINUX, gpus("525.60.13", "8.0"), CU126, COMPATIBLE),
    Row("one step older", LINUX, gpus("525.60.12", "8.0"), CU118, f"{GOOD} wheel-not-seen"),
    Row(
        "the oldest driver for CUDA 11",
        LINUX,
        gpus("450.80.02", "7.0"),
        CU118,
        f"{COMPATIBLE} wheel-not-seen",
    ),
    Row("the same with a Python seen", LINUX, gpus("450.80.02", "7.0"), CU118, COMPATIBLE, python="3.10.13"),
    Row("one step older still", LINUX, gpus("450.80.01", "7.0"), CPU, "cpu-version", "driver-too-old"),
    Row("RTX 4090, old driver", LINUX, gpus("515.105.01", "8.9"), CU118, f"{COMPATIBLE} wheel-not-seen"),
    Row("H100, old driver", LINUX, gpus("515.105.01", "9.0"), CPU, "cpu-version", "driver-too-old"),
    Row("RTX 5090", LINUX, gpus("575.51.03", "12.0"), CU129, GOOD),
    Row("RTX 5090, old driver", LINUX, gpus("575.51.02", "12.0"), CPU, "cpu-version", "blackwell-driver"),
    Row("B200", LINUX, gpus("580.95.05", "10.0"), CU129, GOOD),
    Row("B300", LINUX, gpus("580.95.05", "10.3"), CU129, GOOD),
    Row("a GPU of tomorrow", LINUX, gpus("700.10", "13.0"), CPU, "cpu-version", "architecture-not-built"),
    Row(
        "RTX 5090 on Python 3.13",
        LINUX,
        gpus("580.95.05", "12.0"),
        CU129,
        f"{GOOD} wheel-not-seen",
        python="3.13.0",
    ),
    Row(
        "a driver that tells no version",
        LINUX,
        gpus(None, "8.6"),
        CU126,
        "architecture driver-unknown gpu-version",
    ),
    Row("a driver with a strange version", LINUX, gpus("550.54.14-grid", "8.6"), CU126, COMPATIBLE),
    # --- WSL: Windows' driver, Linux' wheels
    Row("RTX 4090 under WSL", WSL, gpus("566.36", "8.9"), CU126, ON_WSL),
    Row(
        "RTX 5070 Ti under WSL",
        WSL,
        gpus("576.02", "12.0"),
        CU129,
        "architecture driver wsl-driver wsl-blackwell-eager gpu-version",
    ),
    Row("RTX 4090 under WSL 1", WSL1, gpus("566.36", "8.9"), CPU, "cpu-version", "wsl-1"),
    Row(
        "the same, old driver", WSL, gpus("572.16", "12.0"), CPU, "cpu-version", "blackwell-driver wsl-driver"
    ),
    Row("Linux' minimum is not enough", WSL, gpus("525.60.13", "8.6"), CU118, f"{ON_WSL} wheel-not-seen"),
    Row("V100 under WSL", WSL, gpus("566.36", "7.0"), CU126, ON_WSL),
    # --- Windows
    Row("GTX 1660 on Windows", WINDOWS, gpus("566.36", "7.5"), CU126, GOOD),
    Row("RTX 3060 on Windows", WINDOWS, gpus("528.33", "8.6"), CU126, COMPATIBLE),
    Row("the same, old driver", WINDOWS, gpus("522.06", "8.6"), CU118, GOOD),
    Row("Titan V on Windows", WINDOWS, gpus("566.36", "7.0"), CPU, "cpu-version", "windows-needs-7-5"),
    Row(
        "GTX 1080 on Windows",
        WINDOWS,
        gpus("566.36", "6.1"),
        CPU,
        "cpu-version",
        "compute-capability-too-low",
    ),
    Row("H100 on Windows", WINDOWS, gpus("566.36", "9.0"), CPU, "cpu-version", "architecture-not-built"),
    Row("RTX 5090 on Windows", WINDOWS, gpus("576.02", "12.0"), CU129, GOOD),
    Row("the same, old driver", WINDOWS, gpus("572.83", "12.0"), CPU, "cpu-version", "blackwell-driver"),
    # --- several GPUs
    Row(
        "two T4",
        LINUX,
        gpus("560.35.03", "7.5", "7.5"),
        CU126,
        "architecture driver several-gpus gpu-version",
    ),
    Row(
        "T4 and A100",
        LINUX,
        gpus("560.35.03", "7.5", "8.0"),
        CU126,
        "architecture architecture driver several-gpus gpu-version",
    ),
    Row(
        "RTX 4090 and 5090",
        LINUX,
        gpus("575.57.08", "8.9", "12.0"),
        CU129,
        "architecture architecture driver several-gpus gpu-version",
    ),
    Row(
        "RTX 4090 and 5090, a driver for the first",
        LINUX,
        gpus("570.86.16", "8.9", "12.0"),
        CU126,
        "architecture driver some-gpus gpu-version",
        "blackwell-driver",
    ),
    Row(
        "GTX 1080 and RTX 3090",
        LINUX,
        gpus("560.35.03", "6.1", "8.6"),
        "3.2.1 cu126 gpu:1",
        "architecture driver some-gpus gpu-version",
        "compute-capability-too-low",
    ),
    Row(
        "A100 and H100, a driver for the first",
        LINUX,
        gpus("515.105.01", "8.0", "9.0"),
        CU118,
        "architecture driver minor-version-compatibility some-gpus gpu-version wheel-not-seen",
        "driver-too-old",
    ),
    Row(
        "two P100",
        KAGGLE,
        gpus("560.35.03", "6.0", "6.0"),
        CPU,
        "cpu-version",
        "compute-capability-too-low kaggle-choose-t4",
    ),
    # --- the older set
    Row("2025-11 without a GPU", LINUX, NONE, "3.2.0 cpu cpu", "no-gpu cpu-version", set="2025-11"),
    Row("2025-11 on a T4", LINUX, gpus("560.35.03", "7.5"), "3.2.0 cu126 gpu:0", GOOD, set="2025-11"),
    Row("2025-11 on ARM", ARM, NONE, "3.2.0 cpu cpu", "no-gpu aarch64 cpu-version", set="2025-11"),
    Row(
        "2025-11, RTX 50 on Windows",
        WINDOWS,
        gpus("576.02", "12.0"),
        "3.2.0 cu129 gpu:0",
        GOOD,
        set="2025-11",
    ),
)


def _choose(row: Row) -> WheelChoice:
    version_set = find_set(row.set)
    assert version_set is not None
    return choose_wheel(row.host, row.gpus, row.python, version_set)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.machine)
def test_each_machine_gets_its_wheel_and_the_reasons(row: Row) -> None:
    choice = _choose(row)
    version, tag, device = row.wheel.split()
    package = "paddlepaddle" if tag == "cpu" else "paddlepaddle-gpu"
    page = (
        None if tag == "cpu" else f"https://www.paddlepaddle.org.cn/packages/stable/{tag}/paddlepaddle-gpu/"
    )
    assert replace(choice, used=()) == WheelChoice(
        package, version, tag, page, device, choice.reasons, choice.refusals, bool(row.why)
    )
    assert device == (f"gpu:{choice.used[0].index}" if choice.used else "cpu")
    assert (_rules(choice.reasons), _rules(choice.refusals)) == (row.why, row.not_why)


def _rules(sentences: tuple[object, ...]) -> str:
    return " ".join(getattr(one, "rule", "?") for one in sentences)


def test_every_rule_is_used_by_a_machine_of_the_table_or_of_the_stub() -> None:
    used = {one.rule for row in TABLE for one in (*_choose(row).reasons, *_choose(row).refusals)}
    by_stub_only = {"library-not-on-path", "library-too-old", "no-devices"}
    by_facts_only = {"driver-of-linux-in-wsl"}
    by_described_machines_only = {
        *(
            "platform-gpus",
            "gpu-model",
            "gpu-processor",
            "gpus-hidden",
            "gpu-order-guessed",
            "gpu-memory-short",
        ),
        "driver-without-gpu",
    }
    by_pages_only = {rule for rule in RULES if rule.startswith("index-")}
    assert used | by_stub_only | by_facts_only | by_described_machines_only | by_pages_only == set(RULES)


def test_a_sentence_names_the_machine_in_both_languages() -> None:
    choice = _choose(next(row for row in TABLE if row.machine == "Kaggle P100"))
    assert [one.text("en") for one in choice.refusals] == [
        "GPU 6.0 has compute capability 6.0, but PaddleOCR-VL needs 7.0. Use the CPU, another GPU or a server.",
        "On Kaggle, choose the accelerator “GPU T4 x2” instead of GPU 6.0.",
    ]
    assert [one.text("zh") for one in choice.refusals] == [
        "GPU 6.0 的计算能力为 6.0，而 PaddleOCR-VL 要求 7.0。请改用 CPU、其他 GPU 或推理服务。",
        "在 Kaggle 中请将加速器由 GPU 6.0 改为“GPU T4 x2”。",
    ]


@pytest.mark.parametrize(
    ("machine", "driver", "capability", "says"),
    [
        (
            WINDOWS,
            "572.83",
            "12.0",
            "needs the cu129 wheel, which needs driver 576.02, but 572.83 is installed",
        ),
        (
            LINUX,
            "570.86.16",
            "12.0",
            "needs the cu129 wheel, which needs driver 575.51.03, but 570.86.16 is inst",
        ),
        (LINUX, "418.87.01", "7.5", "needs driver 450.80.02 for the cu118 wheel, but 418.87.01 is installed"),
        (LINUX, "470.199.02", "9.0", "needs driver 525.60.13 for the cu126 wheel, but 470.199.02 is inst"),
    ],
)
def test_an_old_driver_is_told_the_one_it_needs(
    machine: Host, driver: str, capability: str, says: str
) -> None:
    choice = _choose(Row("", machine, gpus(driver, capability), "", ""))
    assert [says in one.text("en") for one in choice.refusals] == [True]


def test_several_gpus_are_held_to_the_driver_of_the_most_demanding_one() -> None:
    choice = _choose(next(row for row in TABLE if row.machine == "RTX 4090 and 5090"))
    said = {one.rule: one.text("en") for one in choice.reasons}
    assert said["driver"] == "Driver 575.57.08 is new enough for CUDA 12.9, which needs 575.51.03."


def test_where_every_gpu_needs_a_line_of_its_own_the_newest_gpu_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = {"cu118": (70,), "cu126": (80,), "cu129": (120,)}
    rows = {
        (tag, "linux"): Compiled(tag=tag, system="linux", sm=sm, source="", verified="")
        for tag, sm in lists.items()
    }
    monkeypatch.setattr(wheel_choice, "load_compiled", lambda: rows)
    choice = _choose(Row("", LINUX, gpus("580.95.05", "7.0", "12.0", "8.0"), "", ""))
    said = {one.rule: one.text("en") for one in choice.reasons}
    assert (choice.tag, choice.device, choice.refusals) == ("cu129", "gpu:1", ())
    assert said["some-gpus"].startswith(
        "The wheel supports gpu:1 (GPU 12.0) but not gpu:0 (GPU 7.0), gpu:2 (GPU 8.0). Set CUDA_DEVICE_ORDER"
    )


def test_every_rule_has_a_sentence_and_a_source() -> None:
    sources = ("docs:", "issue:", "matrix/", "default-index", "wheel:")
    assert [rule for rule in RULES if f"rule-{rule}" not in catalogue()] == []
    assert [rule for rule, source in RULES.items() if not source.startswith(sources)] == []


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(KeyError, match="no-such-rule"):
        rule_text("no-such-rule")


@pytest.mark.parametrize(
    ("archs", "capability", "covered"),
    [
        ((80, 86), "8.0", True),
        ((80,), "8.9", True),
        ((86,), "8.0", False),
        ((75, 80, 86, 89), "12.0", False),
        ((120,), "12.1", True),
        ((100,), "12.0", False),
        ((61,), "7.0", False),
        ((), "8.0", False),
        ((80,), "8", False),
        ((80,), "", False),
    ],
)
def test_code_runs_on_the_same_major_and_on_later_minors(
    archs: tuple[int, ...], capability: str, covered: bool
) -> None:
    assert architecture_covers(archs, capability) is covered


@pytest.mark.parametrize(
    ("cuda", "system", "driver"),
    [
        ("11.8", "linux", "450.80.02"),
        ("11.8", "windows", "452.39"),
        ("12.6", "linux", "525.60.13"),
        ("12.9", "windows", "528.33"),
        ("13.0", "linux", "580.65.06"),
        ("13.0", "windows", "580"),
        ("12.6", "macos", None),
        ("10.2", "linux", None),
        ("", "linux", None),
    ],
)
def test_the_driver_for_an_installed_wheel_follows_its_cuda_major(
    cuda: str, system: str, driver: str | None
) -> None:
    assert required_driver(cuda, system) == driver


def test_under_wsl_the_driver_is_numbered_as_in_windows() -> None:
    assert [driver_system(host) for host in (LINUX, WSL, WINDOWS)] == ["linux", "windows", "windows"]
