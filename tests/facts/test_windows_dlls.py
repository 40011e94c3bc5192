"""Which folders of Windows hold CUDA's DLLs, in the order in which they are asked."""

from __future__ import annotations

from dataclasses import replace

from checks_machines import CURRENT, target
from fake_system import FakeSystem
from paddlevl_doctor.facts.windows_dlls import collect_dlls
from paddlevl_doctor.values.facts import DllFolder

SITE = "C:/venv/Lib/site-packages"
CUDA = "C:/Program Files/NVIDIA GPU Computing Toolkit/CUDA/v12.4/bin"
GPU_STACK = {**{k: v for k, v in CURRENT.items() if k != "paddlepaddle"}, "paddlepaddle-gpu": "3.2.1"}
TARGET = target(GPU_STACK, purelib=SITE, platlib=SITE, base_prefix="C:/Python312")
FILES = (
    f"{SITE}/nvidia/cudnn/bin/cudnn64_9.dll",
    f"{SITE}/nvidia/cudnn/bin/cudnn_ops64_9.dll",
    f"{SITE}/nvidia/cudnn/include/cudnn.h",
    f"{SITE}/nvidia/cublas/bin/cublas64_12.dll",
    f"{SITE}/nvidia/nccl/bin/cublas64_12.dll",
    f"{SITE}/torch/lib/cudnn64_9.dll",
    f"{SITE}/torch/lib/c10.dll",
    "C:/Python312/python.exe",
    "C:/Python312/CUBLAS64_12.DLL",
    "C:/WINDOWS/System32/kernel32.dll",
    "C:/WINDOWS/System32/zlibwapi.dll",
    f"{CUDA}/cudnn64_8.dll",
    f"{CUDA}/nvcc.exe",
)


def windows(path: str, **env: str) -> FakeSystem:
    variables = {"PATH": path, "WINDIR": "C:/WINDOWS", **env}
    return FakeSystem(platform="win32", env=variables, files=dict.fromkeys(FILES, b""))


def test_the_folders_are_named_in_the_order_of_the_loader_each_once() -> None:
    system = windows(f'C:/WINDOWS/system32;;"{CUDA}"; {CUDA.upper()} ;C:/gone')
    assert collect_dlls(system, TARGET) == (
        DllFolder("wheel", f"{SITE}/nvidia/cublas/bin", ("cublas64_12.dll",)),
        DllFolder("wheel", f"{SITE}/nvidia/cudnn/bin", ("cudnn64_9.dll", "cudnn_ops64_9.dll")),
        DllFolder("torch", f"{SITE}/torch/lib", ("cudnn64_9.dll",)),
        DllFolder("python", "C:/Python312", ("CUBLAS64_12.DLL",)),
        DllFolder("system", "C:/WINDOWS/System32", ("zlibwapi.dll",)),
        DllFolder("path", CUDA, ("cudnn64_8.dll",)),
    )


def test_windows_lies_on_c_where_no_variable_says_otherwise() -> None:
    system = FakeSystem(platform="win32", files={"C:/Windows/System32/cudnn64_9.dll": b""})
    assert collect_dlls(system, TARGET) == (DllFolder("system", "C:/Windows/System32", ("cudnn64_9.dll",)),)


def test_nothing_is_looked_at_elsewhere_or_without_a_cuda_wheel() -> None:
    assert collect_dlls(replace(windows(""), platform="linux"), TARGET) is None
    assert collect_dlls(windows(""), target(CURRENT)) is None
    assert collect_dlls(windows(""), None) is None
    assert collect_dlls(FakeSystem(platform="win32"), TARGET) == ()
