"""`serve` from plan to stop, with a real process in the server's place; nothing that was started stays behind."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from doctor import doctor, environment
from environments import environment as kept
from environments import fresh_copy
from nvml_stub import build_stub
from openai_server import MODEL, fake_program, left_over
from wheels import wheel

pytestmark = pytest.mark.xdist_group("serve")
CLIENT = "paddleocr-vl-client.yaml"
_NO_GPU = "it needs an NVIDIA GPU with compute capability 8.0 or more, and there is none"
_PAGES = "https://www.paddlepaddle.org.cn/packages/stable"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fake_llama(folder: Path, how: str) -> dict[str, str]:
    """Put a `llama-server` that behaves in this way on the PATH; it needs no GPU, so every machine can run it."""
    fake_program(folder / "programs" / "llama-server")
    path = f"{folder / 'programs'}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "FAKE_SERVER": how, "FAKE_PIDS": str(folder / "pids")}


def fake_vllm(folder: Path, machine: str = "h200") -> dict[str, str]:
    """Make an environment with a `vllm` in it, on a machine with this GPU."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv-server"], check=True)
    fake_program(folder / ".venv-server" / "bin" / "vllm")
    return {**build_stub(folder / "nvml", machine), "FAKE_SERVER": "slow", "FAKE_PIDS": str(folder / "pids")}


@dataclass
class Run:
    """A `serve` that has said that its server is ready."""

    process: subprocess.Popen[str]
    said: str

    def end(self, sign: signal.Signals) -> int:
        self.process.send_signal(sign)
        return self.process.wait(timeout=60)


def heed_ctrl_c() -> None:
    """Undo what a shell does to a job in the background: it makes it deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def serving(
    folder: Path, env: dict[str, str], *words: str, until: str = "Ready at", errors: int = subprocess.STDOUT
) -> Iterator[Run]:
    """Run `serve` and give it once it has printed a line that begins with `until`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "paddlevl_doctor", "serve", *words],
        cwd=folder,
        env=environment(folder, env),
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - one system call, and no threads are running
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith(until):
            break
    else:
        raise AssertionError(f"serve ended with {process.wait()}: {said}")
    try:
        yield Run(process, said)
    finally:
        if process.poll() is None:
            process.kill()
        process.stdout.close()
        process.wait()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name)
def test_a_ready_server_answers_and_ends_with_the_command(sign: signal.Signals, tmp_path: Path) -> None:
    env, port = fake_llama(tmp_path, "slow"), free_port()
    with serving(tmp_path, env, "--backend", "llama-cpp", "--port", str(port)) as run:
        assert f"Ready at http://127.0.0.1:{port}/v1" in run.said
        url = f"http://127.0.0.1:{port}/v1"
        assert doctor("serve", "--url", url, "--model", MODEL, cwd=tmp_path).code == 0
        assert len(left_over(tmp_path / "pids")) == 2, "the one that listens, and its engine"
        assert run.end(sign) == 130
    assert left_over(tmp_path / "pids") == []


def test_a_server_that_ignores_being_asked_to_end_is_killed(tmp_path: Path) -> None:
    env, port = fake_llama(tmp_path, "deaf"), free_port()
    with serving(tmp_path, env, "--backend", "llama-cpp", "--port", str(port)) as run:
        assert run.end(signal.SIGINT) == 130
    assert left_over(tmp_path / "pids") == []


@pytest.mark.parametrize(
    ("how", "said"),
    [("hangs", "refused"), ("loads for ever", "503"), ("orphans", "status 3"), ("dies", "vllm-gpu-memory")],
)
def test_a_server_that_never_gets_ready_is_a_failure_with_its_reason(
    how: str, said: str, tmp_path: Path
) -> None:
    env = fake_llama(tmp_path, how)
    words = ("--backend", "llama-cpp", "--port", str(free_port()), "--ready-timeout", "3")
    answer = doctor("serve", *words, "--format", "json", cwd=tmp_path, env=env)
    assert answer.code == 1
    assert said in answer.document["error"]["message"]
    assert left_over(tmp_path / "pids") == []


def test_a_server_that_wants_a_key_is_given_it_or_ended_at_once(tmp_path: Path) -> None:
    """Servers take a key from the environment as well, where somebody set it for another one."""
    env, port = {**fake_llama(tmp_path, "slow"), "VLLM_API_KEY": "secret"}, free_port()
    words = ("--backend", "llama-cpp", "--port", str(port))
    answer = doctor("serve", *words, "--format", "json", cwd=tmp_path, env=env)
    assert (answer.code, "wants a key" in answer.document["error"]["message"]) == (1, True)
    assert left_over(tmp_path / "pids") == []
    with serving(tmp_path, {**env, "PADDLEVL_DOCTOR_API_KEY": "secret"}, *words) as run:
        assert run.end(signal.SIGINT) == 130


def test_ctrl_c_while_the_server_loads_ends_it_too(tmp_path: Path) -> None:
    env = fake_llama(tmp_path, "loads for ever")
    words = ("--backend", "llama-cpp", "--port", str(free_port()))
    pids = tmp_path / "pids"
    argv = [sys.executable, "-m", "paddlevl_doctor", "serve", *words]
    process = subprocess.Popen(
        argv,
        cwd=tmp_path,
        env=environment(tmp_path, env),
        stderr=subprocess.DEVNULL,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - as above
    )
    while not pids.exists() or len(pids.read_text(encoding="utf-8").split()) < 2:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert left_over(pids) == []


def test_the_official_server_is_started_with_the_share_and_the_name_that_fit(tmp_path: Path) -> None:
    env, port = fake_vllm(tmp_path), free_port()
    words = ("--format", "json", "--port", str(port))
    with serving(tmp_path, env, *words, until="}", errors=subprocess.DEVNULL) as run:
        document = json.loads(run.said)
        asked = subprocess.run(
            [sys.executable, "-c", _ASK, f"http://127.0.0.1:{port}/v1"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.end(signal.SIGINT) == 130
    started = json.loads(json.loads(asked.stdout)["choices"][0]["message"]["content"])
    assert started == document["plan"]["server"]["start"][1:]
    assert started[started.index("--gpu-memory-utilization") + 1] == "0.50"
    assert started[started.index("--host") + 1] == "127.0.0.1"
    assert document["plan"]["server"]["prepare"] == [], "somebody else's environment is taken as it is"
    assert document["running"]["url"] == f"http://127.0.0.1:{port}/v1"
    assert left_over(tmp_path / "pids") == []


_ASK = """
import json, sys, urllib.request
body = json.dumps({"model": "PaddleOCR-VL-1.6-0.9B", "messages": []}).encode()
request = urllib.request.Request(sys.argv[1] + "/chat/completions", body, {"Content-Type": "application/json"})
print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read().decode())
"""


def test_what_cannot_be_installed_leaves_no_folder_and_is_code_4(tmp_path: Path) -> None:
    env = {
        **build_stub(tmp_path / "nvml", "h200"),
        "UV_OFFLINE": "1",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
    }
    env["UV_PYTHON"] = sys.executable
    answer = doctor("serve", "--port", str(free_port()), "--format", "json", cwd=tmp_path, env=env)
    assert (answer.code, answer.document["error"]["exit_code"]) == (4, 4)
    assert not (tmp_path / ".venv-server").exists()
    assert not (tmp_path / CLIENT).exists()


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
        ("h200-driver-470", "vllm", 1, "needs driver 525.60.13 or newer, and this is 470.199.02"),
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
        ("mlx-vlm", "it runs on macos only, and this is linux", ["mlx-vlm>=0.3.11"], "{bin}/python"),
        (
            "llama-cpp",
            "there is no program llama-server on the PATH; install llama.cpp first",
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
        "prepare": [["paddlevl-doctor", "fix", "--apply"]],
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


def put(folder: Path, *packages: tuple[str, str]) -> None:
    """Install packages of these names and versions, and nothing in them, into an environment."""
    (site,) = (folder / "lib").glob("python*/site-packages")
    for name, version in packages:
        zipfile.ZipFile(io.BytesIO(wheel(name, version)[1])).extractall(site)


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
    env = fake_vllm(tmp_path)
    put(tmp_path / ".venv-server", *packages)
    shown = doctor("serve", "--dry-run", "--format", "json", cwd=tmp_path, env=env)
    assert shown.code == code
    assert shown.statuses("vlm-server-too-old", "vllm-flash-attn-build") == {
        "vlm-server-too-old": age,
        "vllm-flash-attn-build": flash,
    }


def test_a_client_that_does_not_know_the_server_is_refused_with_the_way_out(tmp_path: Path) -> None:
    env = fake_llama(tmp_path, "slow")
    venv = str(kept("set-2025-11"))
    words = ("--backend", "llama-cpp", "--venv", venv, "--format", "json")
    answer = doctor("serve", *words, cwd=tmp_path, env=env)
    client = answer.document["findings"][1]
    assert (answer.code, client["id"], client["status"]) == (1, "vl-backend-unknown", "error")
    assert client["evidence"] == [
        {"source": "paddleocr", "value": "3.3.1; llama-cpp-server is known since 3.4.1"}
    ]
    assert answer.document["plan"]["client"]["prepare"] == [
        ["paddlevl-doctor", "fix", "--venv", venv, "--set", "current", "--apply"]
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


def test_a_port_that_is_taken_and_a_file_of_somebody_else_are_refused(tmp_path: Path) -> None:
    env, port = fake_llama(tmp_path, "slow"), free_port()
    fresh_copy("current-311", tmp_path / ".venv")
    words = ("--backend", "llama-cpp", "--port", str(port))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert doctor("serve", *words, cwd=tmp_path, env=env).code == 2
    (tmp_path / CLIENT).write_text("mine: true\n", encoding="utf-8")
    answer = doctor("serve", *words, cwd=tmp_path, env=env)
    assert (answer.code, (tmp_path / CLIENT).read_text(encoding="utf-8")) == (2, "mine: true\n")
    assert not (tmp_path / "pids").exists(), "no server was started"


def test_the_real_client_reads_through_the_file_that_was_written(tmp_path: Path) -> None:
    """paddlex accepts the file, and its own client gets the stand-in's text with the settings in it."""
    env, port = fake_llama(tmp_path, "slow"), free_port()
    venv = fresh_copy("current-311", tmp_path / ".venv")
    with serving(tmp_path, env, "--backend", "llama-cpp", "--port", str(port)) as run:
        client = subprocess.run(
            [venv / "bin" / "python", "-c", _CLIENT, CLIENT],
            cwd=tmp_path,
            env=environment(tmp_path, {"PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK": "True"}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.end(signal.SIGINT) == 130
    assert client.returncode == 0, client.stderr
    answer = json.loads(client.stdout.splitlines()[-1])
    assert answer["pipeline"] == "PaddleOCR-VL-1.6"
    assert answer["settings"] == {"backend": "llama-cpp-server", "server_url": f"http://127.0.0.1:{port}/v1"}
    assert "--alias" in answer["text"]


_CLIENT = """
import json, sys
import numpy
from paddlex.inference.models import create_predictor
from paddlex.utils.config import parse_config
config = parse_config(sys.argv[1])
module = config["SubModules"]["VLRecognition"]
model = create_predictor(module["model_name"], genai_config=module["genai_config"])
page = numpy.full((112, 112, 3), 255, dtype="uint8")
result = next(iter(model.predict([{"image": page, "query": "OCR:"}])))
print(json.dumps({"pipeline": config["pipeline_name"], "settings": module["genai_config"], "text": result["result"]}))
"""
