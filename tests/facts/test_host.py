"""What is learnt of the machine itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_system import FakeSystem
from paddlevl_doctor.facts.collect import free_disks
from paddlevl_doctor.facts.host import collect_host
from paddlevl_doctor.facts.model_cache import collect_cache
from paddlevl_doctor.facts.network import answering_hubs, hub_urls
from paddlevl_doctor.facts.target import Choice
from paddlevl_doctor.values.facts import CachedModel, Host, ModelCache

DEBIAN = b'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\n'
CPU = b"processor\t: 0\nmodel name\t: Intel(R) Xeon(R)\nflags\t\t: fpu avx avx2 fma\n\nprocessor\t: 1\nflags\t: fpu\n"


def test_a_linux_machine_is_described_whole() -> None:
    system = FakeSystem(files={"/etc/os-release": DEBIAN, "/proc/cpuinfo": CPU})
    assert collect_host(system) == Host(
        system="linux",
        release="6.1.0",
        machine="x86_64",
        distribution="Debian GNU/Linux 12 (bookworm)",
        glibc="2.36",
        cpu="Intel(R) Xeon(R)",
        cpu_count=8,
        cpu_flags=("avx", "avx2", "fma"),
        memory_total_mb=32_000,
        memory_available_mb=16_000,
    )


def test_an_amd64_image_on_an_arm_machine_is_recognised() -> None:
    """The file that docker/for-mac#6512 and #7080 show."""
    arm = b"processor\t: 0\nBogoMIPS\t: 48.00\nFeatures\t: fp asimd\nCPU implementer\t: 0x61\nCPU architecture: 8\n"
    host = collect_host(FakeSystem(files={"/proc/cpuinfo": arm}))
    assert (host.machine, host.cpu, host.cpu_flags, host.emulated_on) == ("x86_64", None, (), "aarch64")
    assert collect_host(FakeSystem(machine="aarch64", files={"/proc/cpuinfo": arm})).emulated_on is None


@pytest.mark.parametrize(
    ("env", "folder"),
    [
        ({}, "/home/somebody/.cache/uv"),
        ({"XDG_CACHE_HOME": "/big"}, "/big/uv"),
        ({"XDG_CACHE_HOME": "/big", "UV_CACHE_DIR": "/own"}, "/own"),
    ],
)
def test_the_room_for_uv_is_looked_for_where_uv_keeps_its_cache(env: dict[str, str], folder: str) -> None:
    asked = []

    class Disks(FakeSystem):
        def free_disk_mb(self, path: Path) -> int | None:
            asked.append(str(path))
            return 1

    assert free_disks(Disks(env=env), None, Choice(None, ".venv", explicit=False))["uv-cache"] == 1
    assert folder in asked


@pytest.mark.parametrize(
    ("release", "wsl"),
    [("5.15.153.1-microsoft-standard-WSL2", 2), ("4.4.0-19041-Microsoft", 1), ("6.1.0-amd64", None)],
)
def test_wsl_is_told_by_the_kernel(release: str, wsl: int | None) -> None:
    assert collect_host(FakeSystem(release=release)).wsl == wsl


@pytest.mark.parametrize(
    ("env", "files", "container", "notebook"),
    [
        ({}, {"/.dockerenv": b""}, "docker", None),
        ({}, {"/run/.containerenv": b""}, "podman", None),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {"/.dockerenv": b""}, "kubernetes", None),
        ({"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}, {"/.dockerenv": b""}, "docker", "kaggle"),
        ({"COLAB_RELEASE_TAG": "release"}, {}, None, "colab"),
    ],
)
def test_containers_and_notebooks_are_recognised(
    env: dict[str, str], files: dict[str, bytes], container: str | None, notebook: str | None
) -> None:
    host = collect_host(FakeSystem(env=env, files=files))
    assert (host.container, host.notebook) == (container, notebook)


@pytest.mark.parametrize(
    ("platform", "machine", "expected"),
    [("win32", "AMD64", ("windows", "x86_64")), ("darwin", "arm64", ("macos", "aarch64"))],
)
def test_other_systems_get_the_same_names_for_the_same_things(
    platform: str, machine: str, expected: tuple[str, str]
) -> None:
    host = collect_host(FakeSystem(platform=platform, machine=machine, libc=None))
    assert (host.system, host.machine) == expected
    assert (host.distribution, host.cpu, host.cpu_flags) == (None, None, ())


VL = ("chat_template.jinja", "config.json", "inference.yml", "model.safetensors", "preprocessor_config.json")
TOKENIZER = ("tokenizer.model", "tokenizer_config.json")
NO_TENSORS = (2).to_bytes(8, "little") + b"{}"
"""A whole safetensors file, which is enough for any file of which only the existence counts."""


def content(name: str) -> bytes:
    """Return what is whole in a file of this name."""
    return b"{}" if name.endswith(".json") else NO_TENSORS


def test_the_model_cache_lists_every_model_with_what_it_lacks() -> None:
    root = "/models/official_models"
    files = {f"{root}/PaddleOCR-VL/PaddleOCR-VL-0.9B/{name}": content(name) for name in (*VL, *TOKENIZER)}
    files |= {
        f"{root}/PaddleOCR-VL/PP-DocLayoutV2/{name}": b"x"
        for name in ("inference.yml", "inference.pdiparams")
    }
    files |= {f"{root}/UVDoc/inference.{end}": b"1" * (1 << 20) for end in ("yml", "pdiparams")}
    files |= {f"{root}/UVDoc/inference.json": b" " * (1 << 20) + b"{}"}
    system = FakeSystem(env={"PADDLE_PDX_CACHE_HOME": "/models"}, files=files)
    assert collect_cache(system) == ModelCache(
        "/models",
        (
            CachedModel(
                "PaddleOCR-VL/PP-DocLayoutV2", f"{root}/PaddleOCR-VL/PP-DocLayoutV2", 0, ("inference.json",)
            ),
            CachedModel(
                "PaddleOCR-VL/PaddleOCR-VL-0.9B",
                f"{root}/PaddleOCR-VL/PaddleOCR-VL-0.9B",
                0,
                ("generation_config.json",),
            ),
            CachedModel("UVDoc", f"{root}/UVDoc", 3, ()),
        ),
    )


def test_without_a_variable_the_cache_is_in_the_home_folder() -> None:
    assert collect_cache(FakeSystem()) == ModelCache("/home/somebody/.paddlex", ())


def test_the_hubs_that_answer_are_named_in_paddlex_order() -> None:
    system = FakeSystem(urls=("https://modelscope.cn", "https://huggingface.co"))
    assert answering_hubs(system) == ("huggingface", "modelscope")
    assert answering_hubs(FakeSystem()) == ()


def test_a_hub_of_ones_own_replaces_the_first() -> None:
    urls = hub_urls({"PADDLE_PDX_HUGGING_FACE_ENDPOINT": "http://127.0.0.1:8000"})
    assert (next(iter(urls.items())), len(urls)) == (("huggingface", "http://127.0.0.1:8000"), 4)


def test_a_machine_that_was_told_nothing_answers_nothing() -> None:
    with pytest.raises(AssertionError, match="unexpected command"):
        FakeSystem().run(("uname", "-a"), timeout=1)
    with pytest.raises(OSError, match="libnvidia-ml"):
        FakeSystem().nvml()
    assert FakeSystem().read_text(Path("/etc/passwd")) is None
