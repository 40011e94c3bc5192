"""What `matrix` answers for every kind of machine: set, wheel, index, driver, or a refusal with its way out."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace

import pytest

from fake_system import FakeSystem
from paddlevl_doctor.commands.judge_facts import context_of
from paddlevl_doctor.commands.matrix import MatrixRequest, matrix
from paddlevl_doctor.facts.gpu import collect_gpus
from paddlevl_doctor.facts.host import collect_host, collect_settings
from paddlevl_doctor.knowledge.catalogue import find_gpus, known_names, load_gpu_models
from paddlevl_doctor.knowledge.install_options import InstallOption
from paddlevl_doctor.knowledge.servers import backends_for
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.knowledge.version_sets import PLANNED_PYTHON, default_set, planned_python
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.facts import Facts

PAGE = "https://www.paddlepaddle.org.cn/packages/stable/{}/paddlepaddle-gpu/"
CPU = "paddlepaddle==3.2.2 cpu cpu -"
CPU_2025 = "paddlepaddle==3.2.0 cpu cpu -"
NOTHING = ""
# Linux and Windows number their drivers differently; under WSL Windows' count.
CU118 = "paddlepaddle-gpu==3.2.0 cu118 gpu:0 450.80.02"
CU118_WINDOWS = "paddlepaddle-gpu==3.2.0 cu118 gpu:0 452.39"
CU126 = "paddlepaddle-gpu==3.2.1 cu126 gpu:0 525.60.13"
CU126_WINDOWS = "paddlepaddle-gpu==3.2.1 cu126 gpu:0 528.33"
CU129 = "paddlepaddle-gpu==3.2.1 cu129 gpu:0 575.51.03"
CU129_WINDOWS = "paddlepaddle-gpu==3.2.1 cu129 gpu:0 576.02"


@dataclass(frozen=True)
class Row:
    """One machine. `wheel`: requirement, tag, device and oldest driver, or NOTHING; `ways`: a piece of each way out."""

    words: str
    wheel: str
    refused: str = ""
    """The rules of the refusals, in their order."""
    ways: tuple[str, ...] = ()
    set: str = "current"
    env: tuple[tuple[str, str], ...] = ()
    """Variables of this machine; the words then describe nothing."""


LOW = "compute-capability-too-low"
SERVER = "Use the CPU, another GPU or a server"
FOR_CPU = ("Use the CPU or a server",)
VISIBLE = "CUDA_VISIBLE_DEVICES"

DESCRIBED = (
    # --- nothing named
    Row("--for linux", CPU),
    Row("--for windows", CPU),
    Row("--for wsl", CPU),
    Row("--for macos", CPU),
    Row("--for linux --arch aarch64", CPU),
    Row("--arch arm64", CPU),
    Row("--for linux --set 2025-11", CPU_2025, set="2025-11"),
    # --- Kaggle and Colab
    Row("--for kaggle", CU126),
    Row("--for kaggle --gpu 'T4 x2'", CU126),
    Row("--for kaggle --gpu T4 --gpu T4 --driver 560.35.03 --python 3.11", CU126),
    Row(
        "--for kaggle --gpu P100",
        CPU,
        f"{LOW} kaggle-choose-t4",
        (SERVER, "choose the accelerator “GPU T4 x2”"),
    ),
    Row(
        "--for kaggle --gpu 'Tesla P100-PCIE-16GB' --driver 560.35.03",
        CPU,
        f"{LOW} kaggle-choose-t4",
        (SERVER, "GPU T4 x2"),
    ),
    Row("--for colab", CU126),
    Row("--for colab --gpu L4 --driver 550.54.15", CU126),
    Row("--for colab --gpu 'A100-SXM4-40GB'", CU126),
    # --- Linux, from Kepler to Blackwell
    Row("--for linux --gpu K80", CPU, LOW, (SERVER,)),
    Row("--for linux --gpu 'GTX 980 Ti'", CPU, LOW, (SERVER,)),
    Row("--for linux --gpu 'GTX 1080 Ti' --driver 550.54.14", CPU, LOW, (SERVER,)),
    Row("--for linux --gpu V100 --driver 535.183.01", CU126),
    Row("--for linux --gpu T4", CU126),
    Row("--for linux --gpu 'RTX 2080 Ti'", CU126),
    Row("--for linux --gpu 'GTX 1660 SUPER'", CU126),
    Row("--for linux --gpu A100 --driver 525.60.13", CU126),
    Row("--for linux --gpu A100 --driver 525.60.12", CU118),
    Row("--for linux --gpu A100 --driver 450.80.02", CU118),
    Row("--for linux --gpu A100 --driver 450.80.01", CPU, "driver-too-old", ("Update the driver",)),
    Row("--for linux --gpu T4 --driver 418.87.01", CPU, "driver-too-old", ("needs driver 450.80.02",)),
    Row("--for linux --gpu 'NVIDIA GeForce RTX 3090'", CU126),
    Row("--for linux --gpu rtx4090 --driver 565.57.01", CU126),
    Row("--for linux --gpu 8.9", CU126),
    Row("--for linux --gpu L40S --driver 470.199.02", CU118),
    Row("--for linux --gpu 'H100 80GB HBM3' --driver 570.133.20", CU126),
    Row("--for linux --gpu H200 --driver 470.199.02", CPU, "driver-too-old", ("needs driver 525.60.13",)),
    Row("--for linux --gpu B200 --driver 580.95.05", CU129),
    Row("--for linux --gpu B300 --driver 580.95.05", CU129),
    Row("--for linux --gpu 'RTX 5090' --driver 575.57.08", CU129),
    Row(
        "--for linux --gpu 'RTX 5090' --driver 570.86.16",
        CPU,
        "blackwell-driver",
        ("needs driver 575.51.03",),
    ),
    Row("--for linux --gpu 'RTX PRO 6000 Blackwell Workstation Edition'", CU129),
    Row("--for linux --gpu 13.0", CPU, "architecture-not-built", FOR_CPU),
    # --- several GPUs, and parts of one
    Row("--for linux --gpu '8x A100 80GB' --driver 550.54.14", CU126),
    Row("--for linux --gpu T4 --gpu A100", CU126),
    Row("--for linux --gpu 'RTX 4090' --gpu 'RTX 5090' --driver 580.95.05", CU129),
    Row(
        "--for linux --gpu 'RTX 4090' --gpu 'RTX 5090' --driver 570.86.16",
        CU126,
        "blackwell-driver",
        ("Update the driver",),
    ),
    Row("--for linux --gpu 'GTX 1080' --gpu 'RTX 3090'", CU126.replace("gpu:0", "gpu:1"), LOW, (SERVER,)),
    Row(
        "--for linux --gpu 'A100 MIG 1g.5gb' --driver 535.183.01",
        CU126,
        "gpu-memory-short",
        ("Use a larger MIG profile",),
    ),
    Row("--for linux --gpu 'A100 MIG 2g.10gb' --driver 535.183.01", CU126),
    Row("--for linux --gpu 'RTX 3050 6GB'", CU126, "gpu-memory-short", ("a GPU with more memory",)),
    Row("--for linux --gpu 'H100 MIG 3g.40gb' --driver 550.54.14", CU126),
    # --- WSL: Windows' driver, Linux' wheels
    Row("--for wsl --gpu 'RTX 4090 Laptop GPU' --driver 566.36", CU126_WINDOWS),
    Row("--for wsl --gpu V100 --driver 566.36", CU126_WINDOWS),
    Row("--for wsl --gpu 'RTX 5070 Ti' --driver 576.02", CU129_WINDOWS),
    Row(
        "--for wsl --gpu 'RTX 5070 Ti' --driver 572.16",
        CPU,
        "blackwell-driver wsl-driver",
        ("needs driver 576.02", "updated in Windows"),
    ),
    Row("--for wsl --gpu 'RTX 3060' --driver 525.60.13", CU118_WINDOWS),
    Row("--for wsl1", CPU),
    Row("--for wsl1 --gpu 'RTX 4090' --driver 566.36", CPU, "wsl-1", ("wsl --set-version NAME 2",)),
    # --- Windows
    Row("--for windows --gpu 'RTX 5070 Ti' --driver 576.02", CU129_WINDOWS),
    Row("--for windows --gpu 'RTX 5070 Ti' --driver 572.83", CPU, "blackwell-driver", ("Update the driver",)),
    Row("--for windows --gpu 'RTX 3060' --driver 528.33", CU126_WINDOWS),
    Row("--for windows --gpu 'RTX 3060' --driver 522.06", CU118_WINDOWS),
    Row("--for windows --gpu 'RTX 3060' --driver 451.82", CPU, "driver-too-old", ("needs driver 452.39",)),
    Row("--for windows --gpu 'GTX 1650'", CU126_WINDOWS),
    Row("--for windows --gpu 'GTX 1060'", CPU, LOW, (SERVER,)),
    Row("--for windows --gpu 'TITAN V'", CPU, "windows-needs-7-5", ("Use WSL",)),
    Row("--for windows --gpu H100", CPU, "architecture-not-built", FOR_CPU),
    # --- ARM: Jetson, Grace, Spark, Snapdragon; Macs
    Row("--for jetson", CPU, "arm-gpu-unused", ("(supported here by `serve`: llama-cpp)",)),
    Row("--for jetson --gpu 'Jetson Orin Nano'", CPU, "arm-gpu-unused", ("Let an inference server",)),
    Row("--for jetson --gpu 'Jetson TX2'", CPU, "arm-gpu-unused", ("Let an inference server",)),
    Row("--for jetson --gpu 'Jetson AGX Thor'", CPU, "arm-gpu-unused", ("Let an inference server",)),
    Row("--for linux --gpu GH200", CPU, "arm-gpu-unused", ("Let an inference server",)),
    Row("--for windows --gpu GB10", NOTHING, "windows-arm", ("or WSL",)),
    Row("--for linux --arch aarch64 --gpu GH200", CPU, "arm-gpu-unused", ("Let an inference server",)),
    Row("--for linux --arch aarch64 --gpu 'DGX Spark'", CPU, "arm-gpu-unused", ("Let an inference server",)),
    Row("--for windows --arch arm64", NOTHING, "windows-arm", ("or WSL",)),
    Row(
        "--for macos --arch x86_64", NOTHING, "intel-mac", ("Use another machine or a Linux virtual machine",)
    ),
    # --- Python
    Row("--for linux --python 3.8", NOTHING, "python-unsupported", ("Use another version, preferably 3.12",)),
    Row("--for linux --python 3.9.21", CPU),
    Row("--for linux --gpu T4 --python 3.10", CU126),
    Row("--for linux --gpu T4 --python 3.11.13", CU126),
    Row("--for windows --python 3.12", CPU),
    Row("--for macos --python 3.13", CPU),
    Row("--for linux --gpu T4 --python 3.14", NOTHING, "python-unsupported", ("preferably 3.12",)),
    Row(
        "--for macos --arch x86_64 --python 3.14",
        NOTHING,
        "intel-mac python-unsupported",
        ("virtual", "3.12"),
    ),
    # --- the C library
    Row("--for alpine", NOTHING, "musl", ("Use a system or an image with glibc",)),
    Row("--for alpine --gpu T4", NOTHING, "musl", ("python:3.12-slim",)),
    Row("--for linux --glibc 2.17", NOTHING, "glibc-too-old", ("or a container with one (debian:12",)),
    Row(
        "--for linux --gpu T4 --glibc 2.26", NOTHING, "glibc-too-old", ("Use a newer release of the system",)
    ),
    Row("--for linux --gpu T4 --glibc 2.27", CU126),
    Row("--for linux --arch aarch64 --glibc 2.17", NOTHING, "glibc-too-old", ("ubuntu:22.04",)),
    # --- the older set
    Row("--for kaggle --set 2025-11", CU126.replace("3.2.1", "3.2.0"), set="2025-11"),
    Row(
        "--for windows --gpu 'RTX 5090' --driver 576.02 --set 2025-11",
        CU129_WINDOWS.replace("3.2.1", "3.2.0"),
        set="2025-11",
    ),
)

BUS = ("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
UUIDS = ("GPU-75000000-1c2d-4e5f-8a9b-000000000001", "GPU-30900000-d72c-4106-c12f-20bd9faed9f6")
TWO = ((7, 5, b"Tesla T4"), (8, 6, b"NVIDIA GeForce RTX 3090"))
HIDDEN = ("Unset it to use them",)
GUESSED = (*HIDDEN, "Set that variable, or name GPUs by UUID")
SEEN = (
    # --- this machine, with a T4 as gpu:0 and an RTX 3090 as gpu:1
    Row("", CU126),
    Row("", CU126, env=((VISIBLE, "0,1"),)),
    Row("", CU126, "gpus-hidden", HIDDEN, env=((VISIBLE, "1"), BUS)),
    Row("", CU126, "gpus-hidden", HIDDEN, env=((VISIBLE, "0, 7, 1"), BUS)),
    Row("", CU126, "gpus-hidden gpu-order-guessed", GUESSED, env=((VISIBLE, "1"),)),
    Row("", CPU, "gpus-hidden", HIDDEN, env=((VISIBLE, "-1"),)),
    Row("", CPU, "gpus-hidden", HIDDEN, env=((VISIBLE, ""),)),
    Row("", CPU, "gpus-hidden", HIDDEN, env=((VISIBLE, "0,0"), BUS)),
    Row("", CU126, "gpus-hidden", HIDDEN, env=((VISIBLE, "GPU-30900000-d72c-4106-c12f-20bd9faed9f6"),)),
    Row("", CU126, "gpus-hidden", HIDDEN, env=((VISIBLE, "GPU-3090"),)),
    Row("", CU126, "gpus-hidden", HIDDEN, env=((VISIBLE, "GPU-3090,0"),)),
    Row("", CPU, "gpus-hidden", HIDDEN, env=((VISIBLE, "GPU-3090,GPU-30900000"),)),
    Row("", CPU, "gpus-hidden", HIDDEN, env=((VISIBLE, "GPU-8932f937"),)),
    Row("--driver 450.80.02", CU118),
    Row("--gpu 'RTX 5090' --driver 580.95.05", CU129),
    Row("--gpu 'RTX 5090'", CPU, "blackwell-driver", ("driver 575.51.03, but 560.35.03 is installed",)),
    Row("--gpu 'RTX 4090'", CU126),
    Row("--gpu 'GB200 x4' --driver 580.95.05", CPU, "arm-gpu-unused", ("Let an inference server",)),
    Row("--gpu GB300", CPU, "arm-gpu-unused", ("Let an inference server",)),
    Row("--gpu 'DGX Spark'", CPU, "arm-gpu-unused", ("Let an inference server",)),
    Row("--gpu 'Jetson AGX Orin'", CPU, "arm-gpu-unused", ("Let an inference server",)),
    Row("--glibc 2.17", NOTHING, "glibc-too-old", ("container",)),
    Row("--python 3.14", NOTHING, "python-unsupported", ("preferably 3.12",)),
    Row("--set 2025-11", CU126.replace("3.2.1", "3.2.0"), set="2025-11"),
    Row("", CU126, env=(("KAGGLE_KERNEL_RUN_TYPE", "Batch"),)),
)


def request_of(words: str) -> MatrixRequest:
    """Read options as the command line does."""
    names = {"--for": "platform", "--arch": "machine", "--set": "set_name"}
    values: dict[str, str] = {}
    gpus: list[str] = []
    parts = iter(shlex.split(words))
    for name, value in zip(parts, parts, strict=True):
        if name == "--gpu":
            gpus.append(value)
        else:
            values[names.get(name, name.removeprefix("--"))] = value
    assert set(values) <= {field.name for field in fields(MatrixRequest)}
    return MatrixRequest(gpus=tuple(gpus), **values)  # type: ignore[arg-type]


def nvml() -> SimpleNamespace:
    """Make an NVML that knows TWO."""
    memory = SimpleNamespace(total=16 << 30, free=15 << 30)
    return SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: len(TWO),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetCudaComputeCapability=lambda index: TWO[index][:2],
        nvmlDeviceGetMigMode=lambda _: [0, 0],
        nvmlDeviceGetMemoryInfo=lambda _: memory,
        nvmlDeviceGetUUID=lambda index: UUIDS[index],
        nvmlDeviceGetName=lambda index: TWO[index][2],
        nvmlSystemGetDriverVersion=lambda: "560.35.03",
        nvmlSystemGetCudaDriverVersion=lambda: 12060,
    )


def ask(row: Row, *, here: bool) -> InstallOption:
    system = FakeSystem(env=dict(row.env), nvml_module=nvml()) if here else FakeSystem()
    return matrix(system, request_of(row.words))


def check(row: Row, answer: InstallOption) -> None:
    """Compare a whole answer with its row."""
    wheel, need = answer.wheel, answer.driver
    if row.wheel == NOTHING:
        assert (answer.possible, answer.reasons, answer.commands) == (False, (), ())
        assert (answer.driver, answer.download, answer.memory) == (None, None, ())
    else:
        requirement, tag, device, driver = row.wheel.split()
        page = None if tag == "cpu" else PAGE.format(tag)
        assert answer.possible
        assert (wheel.requirement, wheel.tag, wheel.device, wheel.find_links) == (
            requirement,
            tag,
            device,
            page,
        )
        assert (need.minimum if need else "-") == driver
        assert answer.reasons[0].rule == "set"
        assert answer.download is not None
        assert bool(answer.memory) == bool(answer.used) == (tag != "cpu")
        assert requirement in answer.commands[1]
        assert (page in answer.commands[1]) == (page is not None)
    assert answer.version_set.name == row.set
    assert " ".join(said.rule for said in answer.refusals) == row.refused
    assert len(row.ways) == len(answer.refusals)
    assert [
        way for way, said in zip(row.ways, answer.refusals, strict=True) if way not in said.text("en")
    ] == []
    said = (*answer.reasons, *answer.refusals)
    assert [
        one.rule for one in said if not one.source or one.verified not in ("wheel", "docs", "unverified")
    ] == []


@pytest.mark.parametrize("row", DESCRIBED, ids=lambda row: row.words)
def test_a_described_machine_gets_its_whole_answer(row: Row) -> None:
    check(row, ask(row, here=False))


@pytest.mark.parametrize("row", SEEN, ids=lambda row: f"{row.words} {row.env}")
def test_this_machine_gets_its_whole_answer(row: Row) -> None:
    check(row, ask(row, here=True))


@pytest.mark.parametrize("words", ["--arch x86_64 --gpu GH200", "--for linux --arch amd64 --gpu 'T4,GH200'"])
def test_a_gpu_that_comes_with_another_processor_is_refused_with_the_way_out(words: str) -> None:
    with pytest.raises(UsageError) as caught:
        ask(Row(words, ""), here=False)
    value = words.split()[words.split().index("--arch") + 1]
    assert str(caught.value) == (
        f"GH200 exists only in machines with aarch64 processors, not with {value}. Remove --arch."
    )


def test_every_server_that_an_arm_gpu_is_sent_to_is_one_that_serve_starts_there() -> None:
    named = [backend.name for backend in backends_for("linux", "aarch64")]
    assert named == ["llama-cpp"]
    (refused,) = ask(Row("--for jetson", ""), here=False).refusals
    assert [
        f"：{', '.join(named)}）" in refused.text("zh"),
        f": {', '.join(named)})" in refused.text("en"),
    ] == [True, True]


def test_a_new_environment_here_is_planned_with_the_doctors_own_python_and_a_described_one_with_the_usual() -> (
    None
):
    own = ".".join(map(str, sys.version_info[:2]))
    here, there = (ask(Row(words, ""), here=True).machine.python for words in ("", "--for linux"))
    assert (here, there, planned_python(default_set())) == (own, PLANNED_PYTHON, own)


def test_a_set_that_the_doctors_own_python_is_too_new_for_is_planned_with_the_usual_one() -> None:
    assert planned_python(replace(default_set(), python=">=3.8,<3.9")) == PLANNED_PYTHON


FIX = "paddlevl-doctor fix --apply"


@pytest.mark.parametrize(
    ("words", "here", "command"),
    [
        ("", True, FIX),
        ("--set 2025-11 --mirror tuna", True, f"{FIX} --set 2025-11 --mirror tuna"),
        ("--python 3.13", True, f"{FIX} --base-python 3.13"),
        ("--gpu T4 --set current", False, f"{FIX} --set current"),
        ("--driver 580.95.05", False, FIX),
        ("--glibc 2.36 --python 3.10", False, f"{FIX} --base-python 3.10"),
        ("--for kaggle --mirror aliyun", False, f"{FIX} --mirror aliyun"),
    ],
)
def test_the_answer_says_what_fix_is_to_be_told_and_where(words: str, here: bool, command: str) -> None:
    answer = ask(Row(words, ""), here=True)
    assert (not answer.machine.described, shlex.join(answer.fix)) == (here, command)


def test_the_table_has_at_least_sixty_machines_and_each_only_once() -> None:
    assert len({(row.words, row.env) for row in (*DESCRIBED, *SEEN)}) == len(DESCRIBED) + len(SEEN) >= 60


@pytest.mark.parametrize(
    ("env", "used"),
    [
        # NVML counts by the PCI bus, CUDA the fastest first unless it is told otherwise.
        (((VISIBLE, "1"), BUS), "NVIDIA GeForce RTX 3090"),
        (((VISIBLE, "0"),), "NVIDIA GeForce RTX 3090"),
        (((VISIBLE, "1"),), "Tesla T4"),
        (((VISIBLE, "1"), ("CUDA_DEVICE_ORDER", "FASTEST_FIRST")), "Tesla T4"),
        (((VISIBLE, "GPU-7500"),), "Tesla T4"),
    ],
)
def test_a_number_means_what_cuda_means_by_it_and_the_gpus_that_are_left_are_numbered_anew(
    env: tuple[tuple[str, str], ...], used: str
) -> None:
    answer = ask(Row("", "", env=env), here=True)
    assert [(gpu.index, gpu.name) for gpu in answer.used] == [(0, used)]


def test_what_is_hidden_and_what_was_guessed_is_said_with_the_way_out() -> None:
    answer = ask(Row("", "", env=((VISIBLE, "0"),)), here=True)
    assert [(said.text("en"), said.verified) for said in answer.refusals] == [
        (
            "CUDA_VISIBLE_DEVICES=0 hides gpu:0 (Tesla T4) from every program. Unset it to use them.",
            "docs",
        ),
        (
            "These GPUs differ. By default CUDA numbers them by its own speed estimate, fastest "
            "first, and only with CUDA_DEVICE_ORDER=PCI_BUS_ID as nvidia-smi does: "
            "CUDA_VISIBLE_DEVICES=0 is assumed to mean gpu:1 (NVIDIA GeForce RTX 3090). Set that "
            "variable, or name GPUs by UUID (nvidia-smi -L).",
            "unverified",
        ),
    ]


@pytest.mark.parametrize("row", [row for row in SEEN if not row.words], ids=lambda row: str(row.env))
def test_check_and_fix_choose_as_matrix_does(row: Row) -> None:
    system, answer = FakeSystem(env=dict(row.env), nvml_module=nvml()), ask(row, here=True)
    facts = Facts(collect_host(system), collect_gpus(system), settings=collect_settings(system))
    context = context_of(facts, None)
    chosen = (context.wheel.requirement, context.wheel.device, context.wheel.refusals)
    assert chosen == (answer.wheel.requirement, answer.wheel.device, answer.refusals)
    assert context.gpus == answer.machine.gpus.devices


def test_uuids_that_nobody_can_look_up_hide_nothing() -> None:
    mute = nvml()
    mute.nvmlDeviceGetUUID = lambda _: None
    answer = matrix(FakeSystem(env={VISIBLE: "GPU-3090"}, nvml_module=mute), MatrixRequest())
    assert (len(answer.used), answer.refusals) == (2, ())


def test_alpine_linux_is_recognised_and_a_debian_with_musls_loader_beside_its_own_is_not() -> None:
    files = {"/lib/ld-musl-x86_64.so.1": b"", "/etc/os-release": b'PRETTY_NAME="Alpine Linux v3.22"'}
    alpine = FakeSystem(libc=None, files=files)
    assert [said.rule for said in matrix(alpine, MatrixRequest()).refusals] == ["musl"]
    assert matrix(FakeSystem(files=files), MatrixRequest()).possible
    with pytest.raises(UsageError, match=r"Alpine Linux v3\.22 does not have"):
        matrix(alpine, MatrixRequest(glibc="2.36"))


def test_a_gpu_that_is_named_for_a_machine_with_wsl_1_is_refused_there_too() -> None:
    answer = matrix(FakeSystem(release="4.4.0-19041-Microsoft"), MatrixRequest(gpus=("T4",)))
    assert (answer.wheel.tag, [said.rule for said in answer.refusals]) == ("cpu", ["wsl-1"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--for wsl --gpu 'RTX 5090' --driver 576.02", True),
        ("--for wsl --gpu 'RTX 4090' --gpu 'RTX 5090' --driver 576.02", True),
        ("--for wsl --gpu 'RTX 4090' --driver 576.02", False),
        ("--for linux --gpu 'RTX 5090' --driver 580.95.05", False),
        ("--for windows --gpu 'RTX 5090' --driver 576.02", False),
    ],
)
def test_rtx_50_cards_under_wsl_are_told_how_not_to_hang(words: str, told: bool) -> None:
    said = {one.rule: one.verified for one in matrix(FakeSystem(), request_of(words)).reasons}
    assert said.get("wsl-blackwell-eager") == ("unverified" if told else None)


@pytest.mark.parametrize("words", ["--for windows --driver 400.0", "--for macos --driver 1"])
def test_a_driver_without_a_gpu_is_said_not_to_be_judged(words: str) -> None:
    answer = matrix(FakeSystem(), request_of(words))
    said = {one.rule: one.text("en") for one in answer.reasons}
    driver = words.rpartition(" ")[2]
    assert said["driver-without-gpu"] == (
        f"Driver {driver} is not evaluated, because there is no GPU for it. Name one with --gpu."
    )
    assert "driver-without-gpu" not in {one.rule for one in matrix(FakeSystem(), MatrixRequest()).reasons}


TUNA = "https://pypi.tuna.tsinghua.edu.cn/simple"


@pytest.mark.parametrize(("mirror", "url"), [("tuna", TUNA), ("https://h/simple", "https://h/simple")])
def test_a_mirror_stands_in_for_the_default_index(mirror: str, url: str) -> None:
    command = matrix(FakeSystem(), request_of(f"--for kaggle --mirror {mirror}")).commands[1]
    assert command[command.index("--default-index") + 1] == url
    assert command[command.index("--find-links") + 1] == PAGE.format("cu126")


def test_what_is_taken_for_granted_is_said_with_its_source() -> None:
    answer = matrix(FakeSystem(), MatrixRequest(platform="kaggle"))
    said = {one.rule: one for one in answer.reasons}
    assert said["platform-gpus"].text("en") == "No GPU was given: kaggle is assumed to have T4, T4."
    assert said["platform-gpus"].verified == "unverified"
    assert said["gpu-model"].text("en") == "T4 is a Turing GPU with compute capability 7.5."
    assert said["gpu-model"].source.startswith("docs:https://developer.nvidia.com/cuda-gpus")
    assert (
        said["driver-unknown"].text("en")
        == "The driver's version is not known; CUDA 12.6 needs 525.60.13 or newer."
    )


def test_memory_and_downloads_are_named_where_they_are_known() -> None:
    small = matrix(FakeSystem(), request_of("--for linux --gpu 'A100 MIG 1g.5gb' --driver 535.183.01"))
    assert [(need.gpu, need.memory_mb, need.dtype) for need in small.memory] == [("A100", 5120, "bfloat16")]
    assert [(said.text("en"), said.verified) for said in small.refusals] == [
        (
            "A100 has 5.0 GB, but reading a large page needs an estimated peak of 6.5 GB, even with "
            "our patch. Use a larger MIG profile, a GPU with more memory or the CPU.",
            "unverified",
        )
    ]
    known = matrix(FakeSystem(), request_of("--for kaggle")).download
    assert known is not None
    parts = (known.paddle_mb, known.nvidia_mb, known.stack_mb, known.models_mb)
    assert (parts, known.total_mb, known.complete) == ((1890, 2011, 213, 2048), 6162, True)
    assert known.verified == "unverified"
    unknown = matrix(FakeSystem(), request_of("--for windows --gpu 'RTX 5090'")).download
    assert unknown is not None
    assert (unknown.paddle_mb, unknown.total_mb, unknown.complete) == (None, 4499, False)


# --- names of GPUs


@pytest.mark.parametrize(
    ("name", "capability", "memory_gb", "count"),
    [
        ("T4", "7.5", 0, 1),
        ("t4 x2", "7.5", 0, 2),
        ("T4x2", "7.5", 0, 2),
        ("2xT4", "7.5", 0, 2),
        ("2 × Tesla T4 16GB", "7.5", 16, 2),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "8.9", 0, 1),
        ("RTX 4070 Ti SUPER", "8.9", 0, 1),
        ("rtx5070ti", "12.0", 0, 1),
        ("RTX 5070Ti", "12.0", 0, 1),
        ("5090", "12.0", 0, 1),
        ("RTX 4090D", "8.9", 0, 1),
        ("NVIDIA A100-SXM4-80GB", "8.0", 80, 1),
        ("A100 MIG 3g.20gb", "8.0", 20, 1),
        ("Tesla V100-SXM2-16GB", "7.0", 16, 1),
        ("Quadro RTX 6000", "7.5", 0, 1),
        ("NVIDIA RTX 6000 Ada Generation", "8.9", 0, 1),
        ("Quadro RTX 5000 with Max-Q Design", "7.5", 0, 1),
        ("Jetson TX2", "6.2", 0, 1),
        ("TITAN X", "6.1", 0, 1),
        ("GTX TITAN X", "5.2", 0, 1),
        ("sm_90", "9.0", 0, 1),
        ("sm120", "12.0", 0, 1),
        ("8.6", "8.6", 0, 1),
        ("CC 12.1", "12.1", 0, 1),
        ("GPU T4 x2", "7.5", 0, 2),
        ("T4,T4", "7.5", 0, 2),
        ("2x T4, Tesla T4", "7.5", 0, 3),
        ("NVIDIA TITAN X (Pascal)", "6.1", 0, 1),
        ("NVIDIA TITAN Xp COLLECTORS EDITION", "6.1", 0, 1),
        ("RTX PRO 6000", "12.0", 0, 1),
        ("RTX PRO 6000 Blackwell Max-Q Workstation Edition", "12.0", 0, 1),
        ("GRID T4-16Q", "7.5", 16, 1),
        ("NVIDIA A10-24Q", "8.6", 24, 1),
        ("NVIDIA A100-40C", "8.0", 40, 1),
        ("NVIDIA RTXA6000-48Q", "8.6", 48, 1),
        ("H20-3e", "9.0", 0, 1),
        ("NVIDIA GeForce RTX 2050", "8.6", 0, 1),
        ("NVIDIA GeForce GTX 1630", "7.5", 0, 1),
        ("MX550", "7.5", 0, 1),
        ("Tesla K40", "3.5", 0, 1),
        ("Tesla K40c", "3.5", 0, 1),
        ("RTX 4000 SFF", "8.9", 0, 1),
        ("NVIDIA RTX 4000 SFF Ada Generation", "8.9", 0, 1),
        ("Quadro RTX 4000", "7.5", 0, 1),
        ("99x T4", "", 0, 0),
        ("T4,", "", 0, 0),
        ("T4, Radeon", "", 0, 0),
        ("GRID T4-16B", "", 0, 0),
        ("6000", "", 0, 0),
        ("GPU", "", 0, 0),
        ("Radeon RX 7900", "", 0, 0),
        ("RTX 9999", "", 0, 0),
        ("RTX 4090 Hopper", "", 0, 0),
        ("Ada", "", 0, 0),
        ("", "", 0, 0),
    ],
)
def test_a_gpu_is_known_by_the_names_that_people_and_nvidia_smi_use(
    name: str, capability: str, memory_gb: int, count: int
) -> None:
    found = find_gpus(name)
    assert {gpu.compute_capability for gpu in found} == ({capability} if count else set())
    assert {gpu.memory_total_mb for gpu in found} == ({memory_gb << 10} if count else set())
    assert [gpu.index for gpu in found] == list(range(count))


def test_every_known_name_means_its_own_row() -> None:
    wrong = [
        name
        for row in load_gpu_models()
        for name in row.names
        if [(g.name, g.compute_capability) for g in find_gpus(name)] != [(name, row.compute_capability)]
    ]
    assert wrong == []
    assert len(set(known_names())) == len(known_names())
    assert {numbers(row.compute_capability)[0] for row in load_gpu_models()} == {3, *range(5, 13)}


# --- what cannot be meant


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--for solaris", "no platform 'solaris'. Available: linux, windows, wsl, wsl1, alpine,"),
        ("--for linux --gpu 'RTX 5O70'", "known GPU 'RTX 5O70'. Similar names: RTX 5070"),
        ("--gpu Radeon", "You can also give its compute capability, such as 8.9."),
        ("--for linux --driver newest", "--driver newest is not a version"),
        ("--python three", "--python three is not a version"),
        ("--glibc 2.x", "--glibc 2.x is not a version"),
        (
            "--for windows --glibc 2.17",
            "--glibc is for Linux with the GNU C library, which windows does not have.",
        ),
        ("--for macos --glibc 2.36", "macos does not have"),
        ("--for alpine --glibc 2.36", "alpine does not have"),
        ("--arch sparc", "no processor architecture 'sparc'. Available: x86_64, amd64, aarch64, arm64."),
        ("--for linux --mirror nonsense", "no mirror 'nonsense'. Give a URL, or one of: auto, tuna, aliyun,"),
        ("--set 1999-12", "no version set '1999-12'. Available sets: current, 2025-11."),
    ],
)
def test_what_cannot_be_meant_is_refused_and_what_can_is_named(words: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        matrix(FakeSystem(), request_of(words))
    assert says in str(caught.value)
    assert caught.value.exit_code == 2
