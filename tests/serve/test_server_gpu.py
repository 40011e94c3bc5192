"""Which card a server gets, how much of it, and why some machines get none; on described machines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checks_machines import CURRENT, machine, with_gpu
from paddlevl_doctor.knowledge.servers import ServerMemory, load_backends, load_server_memory
from paddlevl_doctor.serve.plan import (
    Share,
    capabilities,
    choose_gpu,
    gpu_variables,
    gpus_unknown,
    refusal,
    share_of,
)
from paddlevl_doctor.values.facts import Facts, Gpu, Host
from wording import worded

RTX4090 = Gpu(0, "RTX 4090", "8.9", 24564, 23010)
RTX5090 = Gpu(1, "RTX 5090", "12.0", 32607, 31500)
ORIN = Gpu(0, "Orin", "8.7", 30697, 29000)
B200 = Gpu(0, "B200", "10.0", 183359, 182000)
B300 = Gpu(0, "B300", "10.3", 275040, 274000)
T4 = Gpu(0, "Tesla T4", "7.5", 15360, 15000)


def seeing(setting: str | None, *gpus: Gpu, driver: str = "575.57.08", **changes: object) -> Facts:
    """A machine whose user set this CUDA_VISIBLE_DEVICES, counting as nvidia-smi does."""
    settings = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    settings |= {} if setting is None else {"CUDA_VISIBLE_DEVICES": setting}
    return with_gpu(CURRENT, *gpus, driver=driver, settings=settings, **changes)


def by_uuid(facts: Facts, **uuids: int) -> Facts:
    known = {name.replace("_", "-"): index for name, index in uuids.items()}
    return replace(facts, gpus=replace(facts.gpus, by_uuid=known))


@pytest.mark.parametrize(
    ("facts", "card", "number"),
    [
        (seeing(None, RTX4090, RTX5090), RTX5090, "1"),
        (seeing("0", RTX4090, RTX5090), RTX4090, "0"),
        (seeing("1", RTX4090, RTX5090), RTX5090, "1"),
        (seeing("1, 0", RTX4090, RTX5090), RTX5090, "1"),
        (seeing("0,7,1", RTX4090, RTX5090), RTX4090, "0"),
        (by_uuid(seeing("GPU-89", RTX4090, RTX5090), GPU_89=0), RTX4090, "0"),
        (seeing("GPU-89", RTX4090, RTX5090), RTX4090, None),
        (by_uuid(seeing("MIG-89", RTX4090, RTX5090), MIG_89=1), RTX5090, None),
    ],
    ids=["all", "first", "second", "both", "up to an unknown", "UUID", "UUID of nobody", "MIG instance"],
)
def test_a_server_takes_only_a_card_that_the_user_left_visible(
    facts: Facts, card: Gpu, number: str | None
) -> None:
    """A UUID that nobody could look up stays as it is; the smallest card then stands for the one it means."""
    backend = load_backends()["vllm"]
    variables = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": number} if number else {}
    assert choose_gpu(backend, facts) == card
    assert gpu_variables(card, facts) == variables
    assert refusal(backend, facts) is None


def test_a_number_by_cudas_own_count_means_the_same_card_for_the_server() -> None:
    """Without CUDA_DEVICE_ORDER the fastest card is CUDA's first; the server is told by nvidia-smi's number."""
    settings = {"CUDA_VISIBLE_DEVICES": "0"}
    facts = with_gpu(CURRENT, RTX4090, RTX5090, driver="575.57.08", settings=settings)
    assert choose_gpu(load_backends()["vllm"], facts) == RTX5090
    assert gpu_variables(RTX5090, facts)["CUDA_VISIBLE_DEVICES"] == "1"


@pytest.mark.parametrize(
    ("backend", "facts", "why"),
    [
        (
            "vllm",
            seeing("", RTX4090),
            "it needs an NVIDIA GPU, but none is visible: "
            'CUDA_VISIBLE_DEVICES="" hides gpu:0 (RTX 4090) from every program. Unset it to use them.',
        ),
        (
            "sglang",
            seeing("1", RTX4090, RTX5090),
            "it needs compute capability 8.0 or higher and below 12.0, but this is RTX 5090 (12.0)",
        ),
        ("vllm", seeing(None, T4), "it needs compute capability 8.0 or higher, but this is Tesla T4 (7.5)"),
        (
            "vllm",
            machine(),
            "it needs an NVIDIA GPU with compute capability 8.0 or higher, but there is none",
        ),
        (
            "vllm",
            seeing(None, RTX4090, driver="470.199.02"),
            "it is built with CUDA 12.8, which needs driver 525.60.13 or newer, but this is "
            "470.199.02. Update the NVIDIA driver",
        ),
        (
            "vllm",
            seeing(None, RTX4090, driver="525.85.12", host=Host("linux", "5.15", "x86_64", wsl=2)),
            "it is built with CUDA 12.8, which needs driver 528.33 or newer, but this is 525.85.12. "
            "Update the NVIDIA driver",
        ),
        (
            "sglang",
            seeing(None, RTX4090, host=Host("linux", "3.10", "x86_64", glibc="2.17")),
            "its wheels need the GNU C library 2.28 or newer, but this is 2.17. Use a newer release "
            "of the system, or Docker",
        ),
        (
            "vllm",
            seeing(None, RTX4090, host=Host("linux", "6.6", "x86_64", musl=True)),
            "its wheels need the GNU C library 2.28 or newer, but this is musl. Use a newer release "
            "of the system, or Docker",
        ),
        *(
            (
                "fastdeploy",
                seeing(None, gpu),
                "it has wheels for the compute capabilities 8.0, 8.6, 8.9, 9.0 only, but this is "
                f"{gpu.name} ({gpu.compute_capability})",
            )
            for gpu in (ORIN, B200, B300)
        ),
        (
            "vllm",
            seeing(None, RTX4090, host=Host("windows", "10", "x86_64")),
            "it runs on linux only, but this is windows (it runs inside WSL2 or Docker)",
        ),
        (
            "vllm",
            machine(host=Host("linux", "6.1", "aarch64")),
            "it has wheels for x86_64 only, but this is aarch64",
        ),
        ("mlx-vlm", machine(), "it runs on macos only, but this is linux"),
    ],
)
def test_a_machine_that_cannot_run_a_server_gets_the_reason(backend: str, facts: Facts, why: str) -> None:
    assert worded(refusal(load_backends()[backend], facts)) == why


@pytest.mark.parametrize(
    ("backend", "facts"),
    [
        ("vllm", seeing(None, RTX4090, driver="525.60.13")),
        ("vllm", seeing(None, B300)),
        ("vllm", seeing("GPU-89", RTX4090)),
        ("sglang", seeing(None, RTX4090, RTX5090)),
        ("fastdeploy", seeing(None, RTX4090)),
        ("llama-cpp", machine()),
        ("llama-cpp", seeing("", RTX4090, driver="470.199.02")),
        ("mlx-vlm", machine(host=Host("macos", "23.1.0", "aarch64"))),
    ],
)
def test_a_machine_that_can_run_a_server_is_not_refused(backend: str, facts: Facts) -> None:
    assert refusal(load_backends()[backend], facts) is None


def test_a_server_without_need_of_a_gpu_leaves_a_user_who_hides_them_alone() -> None:
    facts, backend = seeing("", RTX4090), load_backends()["llama-cpp"]
    assert choose_gpu(backend, facts) is None
    assert gpu_variables(None, facts) == {}


def test_a_driver_that_does_not_answer_is_no_refusal_but_something_unseen() -> None:
    silent = seeing(None)
    facts = replace(silent, gpus=replace(silent.gpus, reason="no-permission"))
    backends = load_backends()
    assert (refusal(backends["vllm"], facts), gpus_unknown(backends["vllm"], facts)) == (None, True)
    assert gpus_unknown(backends["llama-cpp"], facts) is False


def test_the_pages_of_fastdeploy_are_read_as_compute_capabilities() -> None:
    found = {name: capabilities(backend) for name, backend in load_backends().items()}
    assert found == {
        "vllm": (),
        "sglang": (),
        "fastdeploy": ("8.0", "8.6", "8.9", "9.0"),
        "mlx-vlm": (),
        "llama-cpp": (),
    }


MEMORY = ServerMemory(
    source="the test",
    verified="unverified",
    weights_mb=2000,
    cache_bytes_per_token=1 << 16,
    tokens=16_000,
    rest_mb=3000,
    share=0.5,
    spare_mb=500,
)
"""6000 MiB are needed."""


@pytest.mark.parametrize(
    ("total", "free", "asked", "share", "enough"),
    [
        (24_000, 23_000, None, Share(0.5, 12_000, 6000, 23_000, 24_000), True),
        (8_000, 7_800, None, Share(0.76, 6_080, 6000, 7_800, 8_000), True),
        (24_000, 8_000, None, Share(0.31, 7_440, 6000, 8_000, 24_000), True),
        (24_000, 5_000, None, Share(0.18, 4_320, 6000, 5_000, 24_000), False),
        (24_000, 100, None, Share(0.01, 240, 6000, 100, 24_000), False),
        (24_000, 23_000, 0.9, Share(0.9, 21_600, 6000, 23_000, 24_000), True),
        (24_000, 8_000, 0.9, Share(0.9, 21_600, 6000, 8_000, 24_000), False),
        (24_000, 23_000, 0.2, Share(0.2, 4_800, 6000, 23_000, 24_000), False),
    ],
    ids=["half", "a small card", "others use it", "too little free", "full", "asked", "no room", "too small"],
)
def test_a_server_reserves_half_of_a_card_or_what_it_needs_where_that_is_free(
    total: int, free: int, asked: float | None, share: Share, enough: bool
) -> None:
    found = share_of(Gpu(0, "GPU", "8.9", total, free), MEMORY, asked)
    assert found == share
    assert share.enough is enough


def test_memory_that_nobody_tells_gives_no_share() -> None:
    assert share_of(None, load_server_memory(), None) is None
    assert share_of(Gpu(0, "GB10", "12.1", 0, 0), load_server_memory(), None) is None
