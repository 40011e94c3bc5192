"""How much of a GPU is in use, from an NVML that answers, and from one that does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fake_system import FakeSystem
from nvml_stub import build_stub
from paddlevl_doctor.facts.gpu import GpuUse

ASK_TWICE = """
import json, os
from paddlevl_doctor.facts.gpu import GpuUse
from paddlevl_doctor.system.machine import RealSystem
use = GpuUse(RealSystem(), "0")
print(json.dumps([use({os.getpid()}), use({os.getpid()})]))
"""


def nvml(asked: list[Any], busy: object = 42) -> SimpleNamespace:
    def rates(_handle: object) -> SimpleNamespace:
        if isinstance(busy, Exception):
            raise busy
        return SimpleNamespace(gpu=busy)

    return SimpleNamespace(
        nvmlInit=lambda: asked.append("init"),
        nvmlDeviceGetHandleByIndex=lambda index: asked.append(index) or "handle",
        nvmlDeviceGetHandleByUUID=lambda uuid: asked.append(uuid) or "handle",
        nvmlDeviceGetMemoryInfo=lambda _handle: SimpleNamespace(used=3 << 30),
        nvmlDeviceGetUtilizationRates=rates,
    )


@pytest.mark.parametrize(("device", "name"), [("1", 1), ("GPU-8f3a", "GPU-8f3a")])
def test_a_gpu_is_found_once_by_index_or_uuid_and_asked_each_time(device: str, name: object) -> None:
    asked: list[Any] = []
    use = GpuUse(FakeSystem(nvml_module=nvml(asked)), device)

    assert [use(()), use(())] == [(3072, 42), (3072, 42)]
    assert asked == ["init", name]


def test_a_driver_that_says_nothing_is_not_asked_again() -> None:
    asked: list[Any] = []
    use = GpuUse(FakeSystem(nvml_module=nvml(asked, RuntimeError("not supported"))), "0")

    assert [use(()), use(())] == [None, None]
    assert asked == ["init", 0]


@pytest.mark.parametrize(
    ("machine", "busy"),
    [("busy-with-ours", [37, 0]), ("busy-in-a-container", [80, 80]), ("busy-under-wsl", [80, 80])],
)
def test_what_other_processes_compute_counts_only_where_ours_is_not_known(
    tmp_path: Path, machine: str, busy: list[int]
) -> None:
    env = {**os.environ, **build_stub(tmp_path, machine)}
    answer = subprocess.run(
        [sys.executable, "-c", ASK_TWICE], env=env, capture_output=True, text=True, check=True
    )

    assert json.loads(answer.stdout) == [[1554, percent] for percent in busy]
