"""GPUs as the real pynvml sees them through a compiled stand-in for the library, and what follows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fake_system import FakeSystem
from nvml_stub import MACHINES, build_stub, uuid
from paddlevl_doctor.facts.gpu import collect_gpus
from paddlevl_doctor.knowledge.version_sets import default_set
from paddlevl_doctor.knowledge.wheel_choice import WheelChoice, choose_wheel
from paddlevl_doctor.values.facts import Gpu, Gpus, Host

# What the child says: the GPUs, whether pynvml was imported, and how often NVML is still open.
_CHILD = """
import ctypes, json, os, sys
from paddlevl_doctor.facts.gpu import collect_gpus
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.findings import as_dict
answer = {"gpus": as_dict(collect_gpus(RealSystem())), "pynvml": "pynvml" in sys.modules}
if answer["pynvml"]:
    answer["open"] = ctypes.CDLL("libnvidia-ml.so.1").stubOpen()
print(json.dumps(answer))
"""
_LINUX = Host("linux", "6.8.0", "x86_64", glibc="2.39")
_WSL = Host("linux", "5.15.167.4-microsoft-standard-WSL2", "x86_64", wsl=2, glibc="2.39")
_KAGGLE = Host("linux", "6.6.56", "x86_64", notebook="kaggle", glibc="2.35")
_ARM = Host("linux", "6.11.0", "aarch64", glibc="2.39")
_INDEX = "https://www.paddlepaddle.org.cn/packages/stable/{}/paddlepaddle-gpu/"

_T4 = ("Tesla T4", "7.5", 15360, 15002)
_H200 = ("NVIDIA H200", "9.0", 143771, 143155)
_RTX4090 = ("NVIDIA GeForce RTX 4090", "8.9", 24564, 23010)
_RTX5090 = ("NVIDIA GeForce RTX 5090", "12.0", 32607, 31500)
_RTX5070TI = ("NVIDIA GeForce RTX 5070 Ti", "12.0", 16303, 15120)


def _gpus(driver: str | None, cuda: str | None, *devices: tuple[str, str, int, int]) -> Gpus:
    return Gpus(tuple(Gpu(index, *device) for index, device in enumerate(devices)), driver, cuda)


@dataclass(frozen=True)
class Case:
    """A machine of the stub, and everything that must come of it."""

    machine: str
    gpus: Gpus
    wheel: str
    reasons: str
    refusals: str = ""
    host: Host = _LINUX
    device: str = "gpu:0"


_CPU = "paddlepaddle==3.2.2 cpu"
_CU118 = "paddlepaddle-gpu==3.2.0 cu118"
_CU126 = "paddlepaddle-gpu==3.2.1 cu126"
_CU129 = "paddlepaddle-gpu==3.2.1 cu129"

CASES = (
    Case(
        "kaggle-t4x2",
        _gpus("560.35.03", "12.6", _T4, _T4),
        _CU126,
        "architecture driver several-gpus gpu-version",
        host=_KAGGLE,
    ),
    Case(
        "kaggle-p100",
        _gpus("560.35.03", "12.6", ("Tesla P100-PCIE-16GB", "6.0", 16384, 16104)),
        _CPU,
        "cpu-version",
        "compute-capability-too-low kaggle-choose-t4",
        host=_KAGGLE,
    ),
    Case(
        "rtx4090-laptop-wsl",
        _gpus("576.02", "12.9", ("NVIDIA GeForce RTX 4090 Laptop GPU", "8.9", 16376, 14980)),
        _CU126,
        "architecture driver wsl-driver gpu-version",
        host=_WSL,
    ),
    Case(
        "rtx5070ti",
        _gpus("575.57.08", "12.9", _RTX5070TI),
        _CU129,
        "architecture driver gpu-version",
    ),
    Case(
        "rtx5070ti-old-driver",
        _gpus("570.86.16", "12.8", _RTX5070TI),
        _CPU,
        "cpu-version",
        "blackwell-driver",
    ),
    Case(
        "rtx5070ti-wsl",
        _gpus("576.52", "12.9", _RTX5070TI),
        _CU129,
        "architecture driver wsl-driver wsl-blackwell-eager gpu-version",
        host=_WSL,
    ),
    Case("h200", _gpus("570.133.20", "12.8", _H200), _CU126, "architecture driver gpu-version"),
    Case(
        "t4-driver-470",
        _gpus("470.199.02", "11.4", _T4),
        _CU118,
        "architecture driver minor-version-compatibility gpu-version wheel-not-seen",
    ),
    Case("t4-driver-418", _gpus("418.87.01", "10.1", _T4), _CPU, "cpu-version", "driver-too-old"),
    Case("h200-driver-470", _gpus("470.199.02", "11.4", _H200), _CPU, "cpu-version", "driver-too-old"),
    Case(
        "h200-mig",
        _gpus("570.133.20", "12.8", ("NVIDIA H200 MIG 1g.18gb", "9.0", 16384, 16370)),
        _CU126,
        "architecture driver gpu-version",
    ),
    Case(
        "h200-mig-two",
        _gpus("570.133.20", "12.8", ("NVIDIA H200 MIG 1g.18gb", "9.0", 16384, 16370)),
        _CU126,
        "architecture driver gpu-version",
    ),
    Case(
        "h200-mig-empty",
        Gpus((), "570.133.20", "12.8", "no-devices", "GPU 0: MIG is on and has no instance"),
        _CPU,
        "cpu-version",
        "no-devices",
    ),
    Case(
        "gtx1080-and-rtx4090",
        _gpus("550.54.14", "12.4", ("NVIDIA GeForce GTX 1080", "6.1", 8192, 7900), _RTX4090),
        _CU126,
        "architecture driver minor-version-compatibility some-gpus gpu-version",
        "compute-capability-too-low",
        device="gpu:1",
    ),
    Case(
        "rtx4090-and-rtx5090",
        _gpus("575.57.08", "12.9", _RTX4090, _RTX5090),
        _CU129,
        "architecture architecture driver several-gpus gpu-version",
    ),
    Case(
        "rtx4090-in-use",
        _gpus("575.57.08", "12.9", ("NVIDIA GeForce RTX 4090", "8.9", 24564, 3012)),
        _CU126,
        "architecture driver gpu-version",
    ),
    Case(
        "rtx4090-and-rtx5090-old-driver",
        _gpus("570.86.16", "12.8", _RTX4090, _RTX5090),
        _CU126,
        "architecture driver some-gpus gpu-version",
        "blackwell-driver",
    ),
    Case(
        "one-gpu-lost",
        Gpus((Gpu(1, *_T4),), "550.54.14", "12.4", None, "GPU 0: GPU is lost"),
        _CU126,
        "architecture driver minor-version-compatibility gpu-version",
        device="gpu:1",
    ),
    Case(
        "gb10",
        _gpus("580.95.05", "13.0", ("NVIDIA GB10", "12.1", 0, 0)),
        _CPU,
        "aarch64 cpu-version",
        "arm-gpu-unused",
        host=_ARM,
    ),
    Case(
        "odd-answers",
        _gpus("546.80", None, ("NVIDIA GPU", "8.6", 6144, 5300)),
        _CU126,
        "architecture driver wsl-driver minor-version-compatibility gpu-version",
        host=_WSL,
    ),
    Case(
        "no-driver-version",
        _gpus(None, "12.4", _T4),
        _CU126,
        "architecture driver-unknown gpu-version",
    ),
    Case("no-library", Gpus(reason="no-library"), _CPU, "no-gpu cpu-version"),
    Case(
        "library-too-old",
        Gpus(reason="library-too-old", detail="Function Not Found"),
        _CPU,
        "cpu-version",
        "library-too-old",
    ),
    Case(
        "capability-unknown",
        Gpus((), "331.20", "6.0", "library-too-old", "GPU 0: Function Not Found"),
        _CPU,
        "cpu-version",
        "library-too-old",
    ),
    Case(
        "driver-not-loaded",
        Gpus(reason="driver-not-loaded", detail="Driver Not Loaded"),
        _CPU,
        "cpu-version",
        "driver-not-loaded",
    ),
    Case(
        "driver-library-mismatch",
        Gpus(reason="driver-library-mismatch", detail="RM has detected an NVML/RM version mismatch."),
        _CPU,
        "cpu-version",
        "driver-library-mismatch",
    ),
    Case(
        "no-permission",
        Gpus(reason="no-permission", detail="Insufficient Permissions"),
        _CPU,
        "cpu-version",
        "no-permission",
    ),
    Case(
        "unknown-error", Gpus(reason="nvml-error", detail="Unknown Error"), _CPU, "cpu-version", "nvml-error"
    ),
    Case(
        "not-ready",
        Gpus(reason="nvml-error", detail="System is not in ready state"),
        _CPU,
        "cpu-version",
        "nvml-error",
    ),
    Case(
        "no-devices",
        Gpus((), "550.54.14", "12.4", "no-devices", "NVML counts 0 devices"),
        _CPU,
        "cpu-version",
        "no-devices",
    ),
)


def test_every_machine_of_the_stub_has_its_case() -> None:
    assert sorted(case.machine for case in CASES) == sorted(MACHINES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.machine)
def test_pynvml_sees_the_machine_and_the_right_wheel_follows(case: Case, tmp_path: Path) -> None:
    answer = _ask(build_stub(tmp_path, case.machine))
    found = _as_gpus(answer["gpus"])
    if case.machine == "no-library":  # the loader's words name the folder
        assert found.detail.endswith("libnvidia-ml.so.1: file too short")
        found = Gpus(reason=found.reason)
    assert (found, answer["pynvml"], answer.get("open", 0)) == (case.gpus, case.machine != "no-library", 0)
    assert _summary(choose_wheel(case.host, found, "3.12", default_set())) == _expected(case)


@pytest.mark.parametrize(
    ("machine", "named", "found", "memory"),
    [
        ("kaggle-t4x2", "0,1", None, [15360, 15360]),
        ("kaggle-t4x2", f"{uuid(1)}, {uuid(0)}", {uuid(1): 1, uuid(0): 0}, [15360, 15360]),
        ("kaggle-t4x2", "GPU-00000001", {"GPU-00000001": 1}, [15360, 15360]),
        ("kaggle-t4x2", "GPU-0000000", {}, [15360, 15360]),
        ("kaggle-t4x2", uuid(7), {}, [15360, 15360]),
        ("h200-mig", uuid(1, mig=True), {uuid(1, mig=True): 0}, [16384]),
        ("h200-mig-two", uuid(2, mig=True), {uuid(2, mig=True): 0}, [71680]),
        ("h200-mig-two", "0", None, [16384]),
    ],
)
def test_uuids_of_cuda_visible_devices_are_looked_up_and_no_other_is_kept(
    machine: str, named: str, found: dict[str, int] | None, memory: list[int], tmp_path: Path
) -> None:
    env = {**build_stub(tmp_path, machine), "CUDA_VISIBLE_DEVICES": named}
    gpus = _as_gpus(_ask(env)["gpus"])
    assert (gpus.by_uuid, [gpu.memory_total_mb for gpu in gpus.devices]) == (found, memory)


def _ask(env: dict[str, str]) -> dict[str, Any]:
    argv = [sys.executable, "-c", _CHILD]
    done = subprocess.run(
        argv, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _as_gpus(answer: dict[str, Any]) -> Gpus:
    return Gpus(**{**answer, "devices": tuple(Gpu(**device) for device in answer["devices"])})


def _summary(choice: WheelChoice) -> tuple[str, str | None, str, str, str, bool]:
    return (
        f"{choice.requirement} {choice.tag}",
        choice.find_links,
        choice.device,
        " ".join(one.rule for one in choice.reasons),
        " ".join(one.rule for one in choice.refusals),
        choice.installable,
    )


def _expected(case: Case) -> tuple[str, str | None, str, str, str, bool]:
    tag = case.wheel.split()[1]
    page = None if tag == "cpu" else _INDEX.format(tag)
    device = "cpu" if tag == "cpu" else case.device
    return (case.wheel, page, device, case.reasons, case.refusals, True)


def test_a_missing_library_is_told_in_the_loaders_words() -> None:
    words = "libnvidia-ml.so.1: cannot open shared object file: No such file or directory"
    assert collect_gpus(FakeSystem()) == Gpus(reason="no-library", detail=words)


@pytest.mark.parametrize(
    "folder", ["/usr/lib/wsl/lib", "/usr/local/nvidia/lib64", "/usr/lib64-nvidia", "/run/opengl-driver/lib"]
)
def test_a_library_that_the_loader_does_not_find_is_pointed_out(folder: str) -> None:
    words = "libnvidia-ml.so.1: cannot open shared object file: No such file or directory"
    system = FakeSystem(files={f"{folder}/libnvidia-ml.so.1": b""})
    detail = f"{words}; {folder}/libnvidia-ml.so.1 exists"
    assert collect_gpus(system) == Gpus(reason="library-not-on-path", detail=detail)
    choice = choose_wheel(_WSL, Gpus(reason="library-not-on-path", detail=detail), "3.12", default_set())
    assert [one.rule for one in choice.refusals] == ["library-not-on-path"]


@pytest.mark.parametrize(
    ("release", "files", "hides"),
    [
        (_WSL.release, ("/usr/lib/x86_64-linux-gnu/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"), True),
        (_WSL.release, ("/usr/lib64/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"), True),
        (_WSL.release, ("/usr/lib/wsl/lib/libcuda.so.1",), False),
        (_WSL.release, ("/usr/lib/x86_64-linux-gnu/libcuda.so.1",), False),
        ("6.1.0", ("/usr/lib/x86_64-linux-gnu/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"), False),
    ],
)
def test_under_wsl_a_driver_package_of_linux_that_finds_no_driver_is_named(
    release: str, files: tuple[str, ...], hides: bool
) -> None:
    class NVMLError(Exception):
        value = 9

        def __str__(self) -> str:
            return "Driver Not Loaded"

    def refuse() -> None:
        raise NVMLError

    binding = _binding(nvmlInit=refuse)
    found = collect_gpus(FakeSystem(release=release, files=dict.fromkeys(files, b""), nvml_module=binding))
    if not hides:
        assert found == Gpus(reason="driver-not-loaded", detail="Driver Not Loaded")
        return
    detail = f"Driver Not Loaded; {files[0]} before /usr/lib/wsl/lib/libcuda.so.1"
    assert found == Gpus(reason="driver-of-linux-in-wsl", detail=detail)


def _binding(**functions: object) -> SimpleNamespace:
    """Make a binding that knows one T4; old ones gave bytes for text."""
    answers = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetCudaComputeCapability": lambda _: (7, 5),
        "nvmlDeviceGetMigMode": lambda _: [0, 0],
        "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(total=15360 << 20, free=15002 << 20),
        "nvmlDeviceGetName": lambda _: b"Tesla T4",
        "nvmlSystemGetDriverVersion": lambda: b"550.54.14",
        "nvmlSystemGetCudaDriverVersion": lambda: 12040,
    }
    return SimpleNamespace(**{**answers, **functions})


def test_a_binding_that_gives_bytes_and_knows_no_second_cuda_question_is_understood() -> None:
    system = FakeSystem(nvml_module=_binding())
    assert collect_gpus(system) == _gpus("550.54.14", "12.4", _T4)


def test_a_binding_that_breaks_is_a_reason_and_never_an_exception() -> None:
    def broken() -> None:
        raise RuntimeError("no handle")

    in_init = collect_gpus(FakeSystem(nvml_module=_binding(nvmlInit=broken)))
    in_count = collect_gpus(FakeSystem(nvml_module=_binding(nvmlDeviceGetCount=broken, nvmlShutdown=broken)))
    assert in_init == in_count == Gpus(reason="nvml-error", detail="RuntimeError('no handle')")


def test_a_library_not_found_by_the_binding_itself_is_no_library() -> None:
    class NVMLError(Exception):
        value = 12

        def __str__(self) -> str:
            return "NVML Shared Library Not Found"

    def missing() -> None:
        raise NVMLError

    system = FakeSystem(platform="win32", nvml_module=_binding(nvmlInit=missing))
    assert collect_gpus(system) == Gpus(reason="no-library", detail="NVML Shared Library Not Found")
