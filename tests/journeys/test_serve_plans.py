"""What `serve` shows and refuses before anything starts: the plan of each server, and why it cannot run here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from doctor import PROGRAM, doctor
from environments import environment
from fake_servers import fake_llama, fake_vllm, free_port, put
from nvml_stub import build_stub

CLIENT = "paddleocr-vl-client.yaml"
_NO_GPU = "it needs an NVIDIA GPU with compute capability 8.0 or higher, but there is none"
_PAGES = "https://www.paddlepaddle.org.cn/packages/stable"


def test_a_dry_run_changes_nothing_and_shows_both_sides(tmp_path: Path) -> None:
    env = build_stub(tmp_path / "nvml", "h200")
    before = sorted(path.name for path in tmp_path.iterdir())
    answer = doctor("serve", "--dry-run", cwd=tmp_path, env=env)
    assert answer.code == 0
    for part in (
        "uv venv --no-project --python 3.12",
        "vllm==0.11.1",
        "--gpu-memory-utilization 0.50",
        "--paddlex_config paddleocr-vl-client.yaml",
        "server_url: http://127.0.0.1:8118/v1",
    ):
        assert part in answer.stdout
    assert re.search(r"nvidia-cudnn-cu12\s+9\.5\.1\.17\s+9\.10\.2\.21", answer.stdout)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("machine", "backend", "code", "why"),
    [
        ("kaggle-t4x2", "vllm", 1, "Tesla T4 (7.5)"),
        ("rtx5070ti", "sglang", 1, "below 12.0"),
        ("rtx5070ti", "vllm", 0, ""),
        ("no-permission", "vllm", 3, "Insufficient Permissions"),
        ("h200", "fastdeploy", 0, ""),
        ("h200-driver-470", "vllm", 1, "needs driver 525.60.13 or newer, but this is 470.199.02"),
    ],
)
def test_a_machine_that_cannot_run_it_gets_the_plan_and_the_reason(
    machine: str, backend: str, code: int, why: str, tmp_path: Path
) -> None:
    env = build_stub(tmp_path / "nvml", machine)
    words = ("--backend", backend, "--format", "json")
    shown = doctor("serve", *words, "--dry-run", cwd=tmp_path, env=env)
    platform = shown.document["findings"][0]
    assert (shown.code, platform["id"]) == (code, "vllm-platform-and-cc")
    assert why in platform["title"]
    assert shown.document["plan"]["backend"] == backend
    if code:  # without --dry-run nothing else happens
        assert doctor("serve", *words, cwd=tmp_path, env=env).code == code
        assert not (tmp_path / ".venv-server").exists()


@pytest.mark.parametrize(
    ("backend", "why", "installed", "program"),
    [
        ("vllm", _NO_GPU, ["vllm==0.11.1"], "{bin}/vllm"),
        ("sglang", _NO_GPU, ["sglang==0.5.7"], "{bin}/python"),
        (
            "fastdeploy",
            _NO_GPU,
            [
                *("--find-links", f"{_PAGES}/cu126/paddlepaddle-gpu/"),
                *("--find-links", f"{_PAGES}/fastdeploy-gpu-80_90/fastdeploy-gpu/"),
                *("paddlepaddle-gpu==3.2.1", "paddleocr[doc-parser]==3.7.0", "paddlex==3.7.2"),
                "fastdeploy-gpu==2.3.0",
            ],
            "{bin}/paddlex_genai_server",
        ),
        ("mlx-vlm", "it runs on macos only, but this is linux", ["mlx-vlm>=0.3.11"], "{bin}/python"),
        (
            "llama-cpp",
            "there is no program llama-server on PATH; install llama.cpp first",
            None,
            "llama-server",
        ),
    ],
    ids=["vllm", "sglang", "fastdeploy", "mlx-vlm", "llama-cpp"],
)
def test_a_machine_without_a_gpu_gets_the_whole_plan_of_every_server_and_why_not(
    backend: str, why: str, installed: list[str] | None, program: str, tmp_path: Path
) -> None:
    env = build_stub(tmp_path / "nvml", "no-library")
    shown = doctor("serve", "--backend", backend, "--dry-run", "--format", "json", cwd=tmp_path, env=env)
    plan, platform = shown.document["plan"], shown.document["findings"][0]
    folder = f"{tmp_path}/.venv-server"
    words = ("uv", "pip", "install", "--python", f"{folder}/bin/python", "--only-binary", ":all:")
    made = ["uv", "venv", "--no-project", "--python", "3.12", folder]
    assert (shown.code, platform["status"]) == (1, "error")
    assert platform["title"] == f"{backend} does not run here: {why}"
    assert plan["server"]["prepare"] == ([made, [*words, *installed]] if installed else [])
    assert plan["server"]["start"][0] == program.format(bin=f"{folder}/bin")
    assert plan["client"] == {
        "folder": ".venv",
        "prepare": [[*PROGRAM, "fix", "--apply"]],
        "settings": {
            "backend": f"{backend}-server",
            "server_url": "http://127.0.0.1:8118/v1",
            **({"client_kwargs": {"model_name": plan["model"]}} if backend == "mlx-vlm" else {}),
        },
        "file": CLIENT,
        "yaml": None,
        "read": [".venv/bin/paddleocr", "doc_parser", "-i", "page.png", "--paddlex_config", CLIENT],
    }


@pytest.mark.parametrize(
    ("words", "index", "notes"),
    [
        (
            (),
            "http://pip.example/simple",
            ["the index from pip's configuration is used: http://pip.example/simple"],
        ),
        (("--mirror", "http://named.example/simple"), "http://named.example/simple", []),
    ],
)
def test_the_servers_packages_come_from_where_fix_takes_its_own(
    words: tuple[str, ...], index: str, notes: list[str], tmp_path: Path
) -> None:
    unset = dict.fromkeys(("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX"), "")
    pip = {"PIP_INDEX_URL": "http://pip.example/simple", "UV_NO_CONFIG": "1"}
    env = {**build_stub(tmp_path / "nvml", "h200"), **unset, **pip}
    shown = doctor("serve", "--dry-run", *words, "--format", "json", cwd=tmp_path, env=env).document
    install = shown["plan"]["server"]["prepare"][1]
    assert install[install.index(":all:") + 1 :] == ["--default-index", index, "vllm==0.11.1"]
    assert [note for note in shown["notes"] if "uv also uses" not in note] == notes


@pytest.mark.parametrize(
    ("setting", "code", "said"),
    [
        ("0", 0, "gpu:0 (NVIDIA GeForce RTX 4090); CUDA_VISIBLE_DEVICES=0 hides gpu:1"),
        ("", 1, 'CUDA_VISIBLE_DEVICES="" hides gpu:0 (NVIDIA GeForce RTX 4090), gpu:1'),
    ],
)
def test_a_card_that_the_user_hides_is_not_taken(setting: str, code: int, said: str, tmp_path: Path) -> None:
    """The hidden one has more free memory."""
    env = {
        **build_stub(tmp_path / "nvml", "rtx4090-and-rtx5090"),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": setting,
    }
    shown = doctor("serve", "--dry-run", "--format", "json", cwd=tmp_path, env=env)
    platform, started = shown.document["findings"][0], shown.document["plan"]["server"]["environment"]
    assert (shown.code, started.get("CUDA_VISIBLE_DEVICES", "")) == (code, setting)
    assert said in "; ".join(evidence["value"] for evidence in platform["evidence"])


def test_a_card_that_others_use_has_too_little_memory_and_nothing_is_started(tmp_path: Path) -> None:
    env = fake_vllm(tmp_path, "rtx4090-in-use")
    answer = doctor("serve", "--port", str(free_port()), "--format", "json", cwd=tmp_path, env=env)
    memory = next(f for f in answer.document["findings"] if f["id"] == "vllm-gpu-memory")
    assert (answer.code, memory["status"]) == (1, "error")
    assert [e["value"] for e in memory["evidence"]] == [
        "0.10 of 24564 MiB = 2456 MiB; needed 5188 MiB, free 3012 MiB"
    ]
    assert not (tmp_path / "pids").exists()


@pytest.mark.parametrize(
    ("packages", "code", "age", "flash"),
    [
        ((("vllm", "0.10.2"),), 1, "error", "warning"),
        ((("vllm", "0.10.2"), ("paddlex", "3.7.2"), ("flash-attn", "2.8.3")), 0, "warning", "ok"),
        ((("vllm", "0.11.1"),), 0, "ok", "ok"),
    ],
    ids=["old", "old, with paddlex's plugin", "new"],
)
def test_a_server_from_before_the_model_is_told_by_its_version(
    packages: tuple[tuple[str, str], ...], code: int, age: str, flash: str, tmp_path: Path
) -> None:
    env = fake_vllm(tmp_path, version="")
    put(tmp_path / ".venv-server", *packages)
    shown = doctor("serve", "--dry-run", "--format", "json", cwd=tmp_path, env=env)
    assert shown.code == code
    assert shown.statuses("vlm-server-too-old", "vllm-flash-attn-build") == {
        "vlm-server-too-old": age,
        "vllm-flash-attn-build": flash,
    }


def test_an_environment_of_somebody_elses_without_the_server_is_named(tmp_path: Path) -> None:
    env = fake_vllm(tmp_path, version="")
    put(tmp_path / ".venv-server", ("sglang", "0.5.7"))
    shown = doctor("serve", "--dry-run", "--format", "json", cwd=tmp_path, env=env)
    found = {finding["id"]: finding for finding in shown.document["findings"]}
    missing = found["vlm-server-not-installed"]

    prefix = tmp_path / ".venv-server"
    assert (shown.code, missing["status"]) == (1, "error")
    assert missing["title"] == "The server's environment does not contain vllm"
    assert missing["evidence"] == [
        {
            "source": "vllm",
            "value": f"not installed in {prefix}",
            "value_message": {"id": "evidence-not-installed-in", "params": {"prefix": str(prefix)}},
        }
    ]
    assert {name: found[name]["blocked_by"] for name in ("vlm-server-too-old", "vllm-flash-attn-build")} == {
        "vlm-server-too-old": "vlm-server-not-installed",
        "vllm-flash-attn-build": "vlm-server-not-installed",
    }


def test_a_client_that_does_not_know_the_server_is_refused_with_the_way_out(tmp_path: Path) -> None:
    env = fake_llama(tmp_path, "slow")
    venv = str(environment("set-2025-11"))
    words = ("--backend", "llama-cpp", "--venv", venv, "--format", "json")
    answer = doctor("serve", *words, cwd=tmp_path, env=env)
    client = answer.document["findings"][1]
    assert (answer.code, client["id"], client["status"]) == (1, "vl-backend-unknown", "error")
    assert client["evidence"] == [
        {"source": "paddleocr", "value": "3.3.1; llama-cpp-server is known since 3.4.1"}
    ]
    assert answer.document["plan"]["client"]["prepare"] == [
        [*PROGRAM, "fix", "--venv", venv, "--set", "current", "--apply"]
    ]
    assert not (tmp_path / "pids").exists()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--port", "0"), "--port"[2:]),
        (("--gpu-memory", "1.5"), "1.5"),
        (("--model", "PaddleOCR-VL-9"), "PaddleOCR-VL-0.9B"),
        (("--url", "http://127.0.0.1:1/v1", "--dry-run"), "--url"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(words: tuple[str, ...], part: str, tmp_path: Path) -> None:
    answer = doctor("serve", *words, cwd=tmp_path)
    assert answer.code == 2
    assert part in answer.stderr
