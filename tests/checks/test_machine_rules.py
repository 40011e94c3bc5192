"""The rules about GPU memory, settings, CUDA libraries and WSL, on machines with the fault and without it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks_machines import CURRENT, T4, context, hashes, machine, problems, published, target, with_gpu
from paddlevl_doctor.checks import ALL
from paddlevl_doctor.checks.runner import run_checks
from paddlevl_doctor.values.facts import Facts, Gpu, Gpus, Host
from paddlevl_doctor.values.findings import Evidence, Finding, Status
from wording import worded

GPU_STACK = {**{k: v for k, v in CURRENT.items() if k != "paddlepaddle"}, "paddlepaddle-gpu": "3.2.1"}
ARCHS = (70, 75, 80, 86, 89, 90, 120)
LINUX = machine().host
WSL = replace(LINUX, release="5.15.153.1-microsoft-standard-WSL2", wsl=2)
WINDOWS = Host("windows", "10.0.22631", "x86_64", cpu_count=8)
RTX3070 = Gpu(0, "NVIDIA GeForce RTX 3070", "8.6", 8192, 7900)
RTX3060 = Gpu(0, "NVIDIA GeForce RTX 3060", "8.6", 12288, 11100)
RTX2060 = Gpu(0, "NVIDIA GeForce RTX 2060", "7.5", 6144, 5900)
RTX4090 = Gpu(0, "NVIDIA GeForce RTX 4090", "8.9", 24564, 23900)
H200 = Gpu(0, "NVIDIA H200", "9.0", 143771, 143000)
SHARED = Gpu(0, "NVIDIA GB10", "12.0", 0, 0)
HIDDEN = Gpus(
    reason="library-not-on-path",
    detail="libnvidia-ml.so.1: cannot open; /usr/lib/wsl/lib/libnvidia-ml.so.1 exists",
)


OF_LINUX = Gpus(
    reason="driver-of-linux-in-wsl",
    detail="Driver Not Loaded; /usr/lib/x86_64-linux-gnu/libcuda.so.1 before /usr/lib/wsl/lib/libcuda.so.1",
)


def without_cuda_name(facts: Facts) -> Facts:
    assert facts.target is not None
    return replace(facts, target=replace(facts.target, missing_libraries=("libcuda.so",)))


def gpu_machine(*gpus: Gpu, host: Host = LINUX, **changes: object) -> Facts:
    """A machine whose attention is as published: with the patch it needs less memory."""
    # cu118, whose wheel does not take the fused kernel that is a finding of its own on Windows
    facts = with_gpu(GPU_STACK, *gpus, driver="576.02", cuda="11.8", archs=ARCHS, host=host, **changes)
    return published(facts, "vision-attention-chunks")


def finding(facts: Facts, name: str, lang: str = "en") -> Finding:
    return worded(next(f for f in run_checks(context(facts), ALL) if f.id == name), lang)


PINS = (
    "numpy>=1.21",
    'nvidia-cudnn-cu12==9.5.1.17; platform_system == "Linux" and platform_machine == "x86_64"',
    'nvidia-cublas-cu12==12.6.4.1; platform_system == "Linux"',
    'nvidia-cudnn-cu11==8.9.4.19; platform_system == "Windows"',
    'nvidia-nothing==1; extra == "test"',
)


RIGHT = {"nvidia-cudnn-cu12": "9.5.1.17", "nvidia-cublas-cu12": "12.6.4.1", "nvidia-cudnn-cu11": "8.9.4.19"}


def with_libraries(*names: str, host: Host = LINUX) -> Facts:
    versions = {**GPU_STACK, **{name: RIGHT[name] for name in names}}
    patient = target(versions, paddle=gpu_machine(T4).target.paddle)  # type: ignore[union-attr]
    wheel = replace(next(d for d in patient.distributions if d.name == "paddlepaddle-gpu"), requires=PINS)
    others = tuple(d for d in patient.distributions if d.name != "paddlepaddle-gpu")
    return replace(gpu_machine(T4, host=host), target=replace(patient, distributions=(wheel, *others)))


HEALTHY = {
    "T4": gpu_machine(T4),
    "RTX 3060 of 12 GB": gpu_machine(RTX3060),
    "RTX 3060 of 12 GB on Windows": gpu_machine(RTX3060, host=WINDOWS),
    "RTX 3070 of 8 GB": gpu_machine(RTX3070),
    "RTX 4090": gpu_machine(RTX4090),
    "RTX 4090 in WSL": gpu_machine(RTX4090, host=WSL),
    "RTX 4090 on Windows": gpu_machine(RTX4090, host=WINDOWS),
    "H200": gpu_machine(H200),
    "memory that NVML does not tell": gpu_machine(SHARED),
    "two GPUs, one of them hidden": gpu_machine(
        T4, replace(T4, index=1), settings={"CUDA_VISIBLE_DEVICES": "1"}
    ),
    "a small card beside a large one, hidden": gpu_machine(
        RTX4090,
        replace(RTX2060, index=1),
        settings={"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
    ),
    "settings that mean nothing bad": gpu_machine(
        T4, settings={"FLAGS_use_mkldnn": "0", "CUDA_VISIBLE_DEVICES": "0", "HTTPS_PROXY": "set"}
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_machine_with_a_gpu_gives_no_finding(name: str) -> None:
    assert problems(HEALTHY[name]) == {}


BROKEN: dict[str, tuple[Facts, dict[str, str]]] = {
    "8 GB on Windows": (
        gpu_machine(RTX3070, host=WINDOWS),
        {"vision-attention-oom": "warning", "windows-sysmem-fallback": "warning"},
    ),
    "6 GB and float32": (gpu_machine(RTX2060), {"vision-attention-oom": "warning"}),
    "6 GB and float32 in WSL": (
        gpu_machine(RTX2060, host=WSL),
        {"vision-attention-oom": "warning", "windows-sysmem-fallback": "warning"},
    ),
    "12 GB on Windows, half of them taken": (
        gpu_machine(replace(RTX3060, memory_free_mb=6000), host=WINDOWS),
        {"windows-sysmem-fallback": "warning"},
    ),
    "a small card beside a large one": (
        gpu_machine(RTX4090, replace(RTX2060, index=1)),
        {"vision-attention-oom": "note"},
    ),
    "a small card beside a large one in WSL": (
        gpu_machine(RTX4090, replace(RTX2060, index=1), host=WSL),
        {"vision-attention-oom": "note", "windows-sysmem-fallback": "note"},
    ),
    "every GPU hidden": (
        gpu_machine(T4, settings={"CUDA_VISIBLE_DEVICES": "-1"}),
        {"cuda-visible-devices": "warning"},
    ),
    "every GPU hidden by nothing": (
        gpu_machine(T4, settings={"CUDA_VISIBLE_DEVICES": ""}),
        {"cuda-visible-devices": "warning"},
    ),
    "a GPU that is not there": (
        gpu_machine(T4, replace(T4, index=1), settings={"CUDA_VISIBLE_DEVICES": "0, 2"}),
        {"cuda-visible-devices": "warning"},
    ),
    "the only GPU that can be used hidden": (
        gpu_machine(
            replace(T4, name="NVIDIA GeForce GTX 1080", compute_capability="6.1"),
            replace(RTX4090, index=1),
            settings={"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
        ),
        {"p100-and-other-unbuilt-arch": "error"},
    ),
    "the misprinted name": (
        machine(settings={"DISABLE_MODEL_SOURCE_CHECK": "True"}),
        {"misprinted-source-check-env": "warning"},
    ),
    "the misprinted name before there was a right one": (
        machine(
            {**CURRENT, "paddlepaddle": "3.2.0", "paddleocr": "3.3.1", "paddlex": "3.3.6"},
            settings={"DISABLE_MODEL_SOURCE_CHECK": "True"},
            patched_files=hashes("3.3.6", patched=True),
        ),
        {"misprinted-source-check-env": "note"},
    ),
    "Alpine Linux": (
        machine(host=replace(LINUX, distribution="Alpine Linux v3.22", glibc=None, musl=True)),
        {"musl-libc": "error"},
    ),
    "a CUDA wheel without its libraries": (with_libraries(), {"cudnn-not-found": "error"}),
    "WSL without the folder, and the CPU wheel": (
        machine(host=WSL, gpus=HIDDEN),
        {"wsl-libcuda-not-found": "warning"},
    ),
    "Windows without the runtime of Visual C++": (
        machine(host=WINDOWS, target=target(CURRENT, missing_libraries=("msvcp140.dll",))),
        {"windows-libpaddle-dll": "warning"},
    ),
    "WSL with a driver of Linux before that of Windows": (
        replace(gpu_machine(T4, host=WSL), gpus=OF_LINUX),
        {"wsl-libcuda-not-found": "error"},
    ),
    "WSL whose loader has NVML, and not the name that paddle asks for": (
        without_cuda_name(gpu_machine(RTX4090, host=WSL)),
        {"wsl-libcuda-not-found": "warning"},
    ),
    "WSL without the folder, and the CUDA wheel": (
        replace(gpu_machine(T4, host=WSL), gpus=HIDDEN),
        {"wsl-libcuda-not-found": "error"},
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_machine_gives_exactly_its_findings(name: str) -> None:
    facts, expected = BROKEN[name]
    assert problems(facts) == expected


def test_no_text_of_these_findings_leaves_a_value_open() -> None:
    wrong = []
    for lang, (name, (facts, expected)) in itertools.product(("en", "zh"), BROKEN.items()):
        for rule in expected:
            shown = finding(facts, rule, lang)
            words = (shown.title, shown.cause, shown.remedy and shown.remedy.text)
            wrong += [(name, lang, words)] if None in words or "…" in " ".join(map(str, words)) else []
    assert wrong == []


def test_the_memory_finding_shows_the_estimate_and_every_gpu() -> None:
    shown = finding(gpu_machine(replace(RTX2060, index=0), replace(RTX2060, index=1)), "vision-attention-oom")
    need = "5900 of 6144 MiB free; estimated peak 11702 MiB (1003520 pixels, float32, eager attention)"
    assert shown.evidence == tuple(Evidence(f"GPU {n} (NVIDIA GeForce RTX 2060)", need) for n in (0, 1))
    assert shown.title == (
        "NVIDIA GeForce RTX 2060 may run out of memory: it has 6144 MB, a large image needs about 11702 MB"
    )


def test_the_remedy_advises_a_size_that_fits() -> None:
    remedy = finding(gpu_machine(RTX3070, host=WINDOWS), "vision-attention-oom").remedy
    assert remedy is not None
    assert "`max_pixels=690704`" in remedy.text


def test_an_old_paddlex_asks_for_far_more() -> None:
    old = {**GPU_STACK, "paddleocr": "3.3.1", "paddlex": "3.3.6"}
    facts = with_gpu(
        old,
        RTX4090,
        driver="576.02",
        cuda="11.8",
        archs=ARCHS,
        patched_files=hashes("3.3.6", patched=False),
    )
    shown = finding(facts, "vision-attention-oom")
    assert (shown.status, "31985 MiB (2822400 pixels" in shown.evidence[0].value) == (Status.WARNING, True)


@pytest.mark.parametrize("host", [LINUX, WSL, WINDOWS], ids=["linux", "wsl", "windows"])
@given(
    total=st.integers(min_value=1, max_value=200_000),
    more=st.integers(min_value=0, max_value=100_000),
    taken=st.integers(min_value=0, max_value=8_000),
    capability=st.sampled_from(["7.0", "7.5", "8.6", "9.0", "12.0"]),
)
def test_more_memory_never_makes_the_answer_worse(
    host: Host, total: int, more: int, taken: int, capability: str
) -> None:
    def answers(memory: int) -> list[int]:
        gpu = Gpu(0, "GPU", capability, memory, max(0, memory - taken))
        facts = context(gpu_machine(gpu, host=host))
        checks = [c for c in ALL if c.id in ("vision-attention-oom", "windows-sysmem-fallback")]
        order = (Status.OK, Status.SKIPPED, Status.NOTE, Status.WARNING, Status.ERROR)
        return [order.index(check.run(facts).status) for check in checks]

    assert all(a >= b for a, b in zip(answers(total), answers(total + more), strict=True))


@pytest.mark.parametrize(
    ("gpus", "versions"),
    [((), GPU_STACK), ((T4,), CURRENT), ((Gpu(0, "GTX 1080", "6.1", 8192, 8000),), GPU_STACK)],
    ids=["no GPU", "the CPU wheel", "a GPU that paddle does not use"],
)
def test_memory_is_only_looked_at_where_a_gpu_would_be_used(
    gpus: tuple[Gpu, ...], versions: dict[str, str]
) -> None:
    facts = with_gpu(versions, *gpus, driver="576.02", cuda="11.8")
    assert finding(facts, "vision-attention-oom").status is Status.SKIPPED


def test_linux_has_no_shared_gpu_memory() -> None:
    assert finding(gpu_machine(RTX2060), "windows-sysmem-fallback").status is Status.SKIPPED


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("0", Status.OK),
        ("1,0", Status.OK),
        (" 0 , 1 ", Status.OK),
        ("GPU-8932f937-d72c", Status.OK),
        ("MIG-GPU-8932f937/1/2", Status.OK),
        ("2", Status.WARNING),
        ("0,", Status.WARNING),
        ("-1", Status.WARNING),
        ("", Status.WARNING),
        ("none", Status.WARNING),
        ("GPU-8932f937,7", Status.WARNING),
        ("0,0", Status.WARNING),
    ],
)
def test_each_entry_of_cuda_visible_devices_has_to_name_a_gpu(value: str, status: Status) -> None:
    facts = gpu_machine(T4, replace(T4, index=1), settings={"CUDA_VISIBLE_DEVICES": value})
    assert finding(facts, "cuda-visible-devices").status is status


def test_a_gpu_that_could_not_be_asked_still_has_its_number() -> None:
    facts = gpu_machine(T4, settings={"CUDA_VISIBLE_DEVICES": "1"})
    lost = replace(facts, gpus=replace(facts.gpus, detail="GPU 1: GPU is lost"))
    assert finding(lost, "cuda-visible-devices").status is Status.OK


def test_the_cpu_wheel_does_not_mind_which_gpus_are_visible() -> None:
    facts = with_gpu(CURRENT, T4, settings={"CUDA_VISIBLE_DEVICES": "7"})
    assert finding(facts, "cuda-visible-devices").status is Status.SKIPPED


def test_the_right_name_beside_the_misprinted_one_is_enough() -> None:
    both = {"DISABLE_MODEL_SOURCE_CHECK": "True", "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK": "True"}
    assert finding(machine(settings=both), "misprinted-source-check-env").status is Status.OK
    assert finding(machine(), "misprinted-source-check-env").status is Status.SKIPPED


def test_the_hidden_wsl_library_is_said_once() -> None:
    facts = replace(gpu_machine(T4, host=WSL), gpus=HIDDEN)
    assert finding(facts, "gpu-detection").status is Status.SKIPPED
    assert finding(facts, "gpu-wheel-no-gpu-visible").blocked_by == "wsl-libcuda-not-found"


def test_what_wsl_hides_is_shown_with_what_the_loader_was_told() -> None:
    facts = without_cuda_name(gpu_machine(RTX4090, host=WSL, settings={"LD_LIBRARY_PATH": "no"}))
    shown = finding(facts, "wsl-libcuda-not-found")
    words = "libcuda.so is not found; LD_LIBRARY_PATH names /usr/lib/wsl/lib: no"
    assert shown.evidence == (Evidence("loader", words),)
    assert finding(facts, "gpu-detection").status is Status.OK


def test_a_driver_name_that_is_missing_outside_of_wsl_is_nothing() -> None:
    assert problems(without_cuda_name(gpu_machine(RTX4090))) == {}


def test_a_hidden_library_outside_of_wsl_is_left_to_the_detection() -> None:
    hidden = replace(HIDDEN, detail="/run/opengl-driver/lib/libnvidia-ml.so.1 exists")
    assert problems(machine(gpus=hidden)) == {"gpu-detection": "warning"}


@pytest.mark.parametrize(
    ("installed", "host", "missing"),
    [
        (("nvidia-cudnn-cu12", "nvidia-cublas-cu12"), LINUX, None),
        (("nvidia-cublas-cu12",), LINUX, "nvidia-cudnn-cu12"),
        ((), LINUX, "nvidia-cudnn-cu12, nvidia-cublas-cu12"),
        (("nvidia-cudnn-cu11",), WINDOWS, None),
        ((), WINDOWS, "nvidia-cudnn-cu11"),
    ],
)
def test_the_cuda_libraries_that_the_wheel_asks_for_have_to_be_there(
    installed: tuple[str, ...], host: Host, missing: str | None
) -> None:
    shown = finding(with_libraries(*installed, host=host), "cudnn-not-found")
    cudnn = "nvidia-cudnn-cu12" if host is LINUX else "nvidia-cudnn-cu11"
    expected = (Status.OK, (cudnn, RIGHT[cudnn]))
    if missing is not None:
        expected = (Status.ERROR, ("distributions", f"missing: {missing}"))
    assert (shown.status, (shown.evidence[0].source, shown.evidence[0].value)) == expected


def test_a_wheel_without_such_requirements_brings_its_libraries_itself() -> None:
    assert finding(gpu_machine(T4), "cudnn-not-found").status is Status.SKIPPED


def test_the_patch_of_the_attention_makes_room_for_a_page() -> None:
    small = replace(RTX3070, memory_total_mb=8192, memory_free_mb=7900)
    before = gpu_machine(small, host=WINDOWS)
    after = replace(before, patched_files=hashes("3.7.2", patched=True))
    assert finding(before, "vision-attention-oom").status is Status.WARNING
    assert finding(after, "vision-attention-oom").status is Status.OK
    assert "in-blocks attention" in finding(after, "vision-attention-oom").evidence[0].value
