"""Which devices read, what each of their processes sees, and when a process has grown too large."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checks_machines import CURRENT, context, machine, with_gpu
from fake_system import FakeSystem
from paddlevl_doctor.commands.diagnose_deep import devices_of
from paddlevl_doctor.commands.engine_factory import create_engines
from paddlevl_doctor.commands.judge_facts import Examination
from paddlevl_doctor.commands.parse_context import ParseContext
from paddlevl_doctor.knowledge.visible_gpus import as_counted
from paddlevl_doctor.parsing.engines.devices import (
    cpu_workers,
    isolate_device,
    resolve_devices,
    tuning_variables,
)
from paddlevl_doctor.parsing.engines.native import NativeEngine
from paddlevl_doctor.parsing.run.report import ParseRequest
from paddlevl_doctor.parsing.workers.watchdog import is_leaking, slope
from paddlevl_doctor.report.progress import Progress
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import Gpu, Gpus


@pytest.mark.parametrize(
    ("asked", "gpus", "usable", "found"),
    [
        ("auto", 0, (), ("cpu",)),
        ("auto", 2, (), ("cpu",)),
        ("auto", 2, (0, 1), ("gpu:0", "gpu:1")),
        ("auto", 3, (1, 2), ("gpu:1", "gpu:2")),
        ("cpu", 2, (0, 1), ("cpu",)),
        ("cpu,cpu", 0, (), ("cpu", "cpu")),
        ("gpu", 1, (0,), ("gpu:0",)),
        ("cuda:1", 2, (0, 1), ("gpu:1",)),
        ("GPU:0, gpu:1", 2, (1,), ("gpu:0", "gpu:1")),
        ("npu:0", 0, (), ("npu:0",)),
        ("gpu:3", 0, (), ("gpu:3",)),
    ],
)
def test_the_devices_are_those_asked_for(
    asked: str, gpus: int, usable: tuple[int, ...], found: tuple[str, ...]
) -> None:
    assert resolve_devices(asked, gpus, usable) == found


GTX1080 = Gpu(0, "NVIDIA GeForce GTX 1080", "6.1", 8192, 8000)
RTX3090 = Gpu(1, "NVIDIA GeForce RTX 3090", "8.6", 24576, 24000)
RTX5090 = Gpu(1, "NVIDIA GeForce RTX 5090", "12.0", 32607, 32000)
GPU_STACK = {**{k: v for k, v in CURRENT.items() if k != "paddlepaddle"}, "paddlepaddle-gpu": "3.2.1"}
LIST, ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"


@pytest.mark.parametrize(
    ("gpus", "wheel", "settings", "found"),
    [
        ((GTX1080, RTX3090), {}, {}, ("gpu:1",)),
        ((GTX1080, RTX3090), {}, {LIST: "1,0", ORDER: "PCI_BUS_ID"}, ("gpu:0",)),
        ((GTX1080, RTX3090), {}, {LIST: "0"}, ("gpu:0",)),  # the fastest
        ((GTX1080, RTX3090), {"archs": (75, 80, 86)}, {LIST: "0,1"}, ("gpu:1",)),
        ((replace(RTX3090, index=0), RTX3090), {}, {}, ("gpu:0", "gpu:1")),
        (
            (replace(RTX3090, index=0), RTX5090),
            {"archs": (75, 80, 86), "driver": "576.02"},
            {},
            ("gpu:0",),
        ),
    ],
)
def test_auto_reads_on_the_gpus_that_the_wheel_serves(
    gpus: tuple[Gpu, ...], wheel: dict[str, Any], settings: dict[str, str], found: tuple[str, ...]
) -> None:
    assert devices_of(context(with_gpu(GPU_STACK, *gpus, **wheel, settings=settings))) == found


def test_a_target_with_the_cpu_wheel_reads_on_the_cpu() -> None:
    assert devices_of(context(with_gpu(CURRENT, RTX3090))) == ("cpu",)


def test_where_the_wheel_serves_no_gpu_a_look_asks_them_all() -> None:
    assert devices_of(context(with_gpu(GPU_STACK, GTX1080))) == ("gpu:0",)


@pytest.mark.parametrize(
    ("settings", "counted"),
    [
        ({}, {ORDER: "PCI_BUS_ID"}),
        ({LIST: "0,1"}, {ORDER: "PCI_BUS_ID"}),
        ({LIST: "0"}, {LIST: "0"}),
        ({LIST: "1,0", ORDER: "PCI_BUS_ID"}, {LIST: "1,0", ORDER: "PCI_BUS_ID"}),
    ],
)
def test_a_worker_counts_the_gpus_as_they_were_chosen(
    settings: dict[str, str], counted: dict[str, str]
) -> None:
    assert as_counted(Gpus((GTX1080, RTX3090), "560.35.03"), settings) == counted


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("gpu:2", "There is no gpu:2: 2 GPUs are visible here, and the first is gpu:0."),
        ("tpu", "There is no device 'tpu'. "),
        ("gpu:0,", "There is no device ''. "),
        ("gpu:-1", "There is no device 'gpu:-1'. "),
    ],
)
def test_a_device_that_is_none_is_named(asked: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_devices(asked, 2, (0, 1))

    assert str(caught.value).startswith(sentence)


def test_a_process_sees_its_own_gpu_only_and_calls_it_the_first() -> None:
    order = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    hidden = {"CUDA_VISIBLE_DEVICES": "3, GPU-8f"}

    assert isolate_device("gpu:1", {}, workers=2, cores=8) == (
        "gpu:0",
        {"CUDA_VISIBLE_DEVICES": "1", **order},
    )
    assert isolate_device("gpu:1", hidden, workers=2, cores=8) == (
        "gpu:0",
        {"CUDA_VISIBLE_DEVICES": "GPU-8f", **order},
    )


@pytest.mark.parametrize(
    ("device", "setting", "guess", "found"),
    [
        ("gpu:0", "3", True, ("gpu:0", {"CUDA_VISIBLE_DEVICES": "3"})),
        ("gpu:0", "", False, ("gpu:0", {"CUDA_VISIBLE_DEVICES": "", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"})),
        ("gpu:1", "3", False, ("gpu:1", {})),
    ],
)
def test_what_the_user_hid_stays_hidden_from_a_worker(
    device: str, setting: str, guess: bool, found: tuple[str, dict[str, str]]
) -> None:
    env = {"CUDA_VISIBLE_DEVICES": setting}
    assert isolate_device(device, env, workers=1, cores=8, guess=guess) == found


def test_several_workers_on_the_processor_share_its_cores() -> None:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

    assert isolate_device("cpu", {}, workers=1, cores=8) == ("cpu", {})
    assert isolate_device("cpu", {}, workers=3, cores=8) == ("cpu", dict.fromkeys(names, "2"))
    assert isolate_device("cpu", {}, workers=4, cores=2) == ("cpu", dict.fromkeys(names, "1"))


@pytest.mark.parametrize(
    ("device", "cpu", "flags", "found"),
    [
        ("cpu", "AMD Ryzen 7 5800X 8-Core Processor", ("avx", "avx2"), {"MKL_DEBUG_CPU_TYPE": "5"}),
        ("gpu:0", "AMD Ryzen 7 5800X 8-Core Processor", ("avx", "avx2"), {}),
        ("cpu", "AMD FX(tm)-8350 Eight-Core Processor", ("avx",), {}),
        ("cpu", "Intel(R) Xeon(R) CPU @ 2.20GHz", ("avx", "avx2", "avx512f"), {}),
        ("cpu", None, (), {}),
    ],
)
def test_mkl_is_told_to_use_avx2_on_amd_where_the_processor_reads(
    device: str, cpu: str | None, flags: tuple[str, ...], found: dict[str, str]
) -> None:
    assert tuning_variables(device, cpu, flags) == found


@pytest.mark.parametrize(("own", "value"), [({}, "5"), ({"MKL_DEBUG_CPU_TYPE": "4"}, "4")])
def test_a_worker_on_amd_gets_what_mkl_is_told_unless_the_user_has_told_it(
    own: dict[str, str], value: str, tmp_path: Path
) -> None:
    amd = replace(machine().host, cpu="AMD EPYC")
    seen = Examination(context(machine(host=amd)), ())
    system = FakeSystem(env=own)
    request, progress = ParseRequest((), tmp_path, device="cpu"), Progress(enabled=False, lang="en")
    run = ParseContext(system, request, seen, progress.stage, progress.bar)
    (worker,) = create_engines(run, "native", tmp_path, 1).engines
    assert isinstance(worker, NativeEngine)
    assert worker.setup.env["MKL_DEBUG_CPU_TYPE"] == value


@pytest.mark.parametrize(
    ("cores", "free_mb", "pages", "weights_mb", "workers"),
    [
        (2, 16_000, 50, 100, 2),
        (2, 16_000, 15, 100, 1),
        (64, 500_000, 700, 2_200, 4),
        (8, 24_000, 700, 2_200, 1),
        (8, 26_000, 700, 2_200, 2),
        (1, 100, 1, 2_200, 1),
    ],
)
def test_more_processes_than_one_read_on_the_processor_only_where_there_is_enough_of_all(
    cores: int, free_mb: int, pages: int, weights_mb: int, workers: int
) -> None:
    assert cpu_workers(cores, free_mb, pages, weights_mb) == workers


def test_memory_that_doubles_for_good_keeps_rising_and_a_single_large_page_does_not() -> None:
    flat = [3000, 3200, 3300, 3300, 3310, 3300, 3300, 3320, 3300, 3300, 3310, 3300]

    assert not is_leaking(flat)
    assert not is_leaking([*flat, 9000, 3300, 3300])
    assert not is_leaking([100 * n for n in range(1, 9)])
    assert is_leaking([3000 + 400 * n for n in range(20)])
    assert not is_leaking([100 + 40 * n for n in range(20)]), "half a gigabyte is no matter"


def test_the_slope_is_that_of_the_line_of_least_squares() -> None:
    assert slope([(0, 10), (1, 12), (2, 14)]) == 2
    assert slope([(0, 10), (1, 10), (2, 10)]) == 0
    assert (slope([(5, 10)]), slope([])) == (0, 0)
