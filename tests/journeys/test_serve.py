"""`serve` from plan to stop, with a real process in the server's place; nothing that was started stays behind."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from doctor import doctor, environment, start_doctor
from environments import fresh_copy, variables
from fake_servers import fake_llama, fake_vllm, free_port
from nvml_stub import build_stub
from openai_server import MODEL, left_over
from waiting import until as wait_until

pytestmark = pytest.mark.xdist_group("serve")
CLIENT = "paddleocr-vl-client.yaml"


@dataclass
class Run:
    """A `serve` that has said that its server is ready."""

    process: subprocess.Popen[str]
    said: str

    def end(self, sign: signal.Signals) -> int:
        self.process.send_signal(sign)
        return self.process.wait(timeout=60)


@contextlib.contextmanager
def serving(
    folder: Path, env: dict[str, str], *words: str, until: str = "Ready at", errors: int = subprocess.STDOUT
) -> Iterator[Run]:
    """Run `serve` and give it once it has printed a line that begins with `until`."""
    process = start_doctor("serve", *words, cwd=folder, env=env, stderr=errors)
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


def test_further_signals_leave_no_stubborn_server_behind(tmp_path: Path) -> None:
    """A terminal that closes sends more than one SIGHUP, and people press Ctrl-C again."""
    env, port = fake_llama(tmp_path, "deaf"), free_port()
    with serving(tmp_path, env, "--backend", "llama-cpp", "--port", str(port)) as run:
        for sign in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            run.process.send_signal(sign)
            time.sleep(0.2)
        assert run.process.wait(timeout=60) == 130
    assert left_over(tmp_path / "pids") == []


def test_a_server_that_ignores_being_asked_to_end_is_killed(tmp_path: Path) -> None:
    env, port = fake_llama(tmp_path, "deaf"), free_port()
    with serving(tmp_path, env, "--backend", "llama-cpp", "--port", str(port)) as run:
        assert run.end(signal.SIGINT) == 130
    assert left_over(tmp_path / "pids") == []


@pytest.mark.parametrize(
    ("how", "wait", "said"),
    [
        ("hangs", "8", "refused"),
        ("loads for ever", "8", "503"),
        ("orphans", "60", "status 3"),
        ("dies", "60", "vllm-gpu-memory"),
    ],
)
def test_a_server_that_never_gets_ready_is_a_failure_with_its_reason(
    how: str, wait: str, said: str, tmp_path: Path
) -> None:
    """Within the seconds to wait a Python has to start, on a busy machine too; some end before, at once."""
    env = fake_llama(tmp_path, how)
    words = ("--backend", "llama-cpp", "--port", str(free_port()), "--ready-timeout", wait)
    answer = doctor("serve", *words, "--format", "json", cwd=tmp_path, env=env)
    assert answer.code == 1
    assert said in answer.document["error"]["message"]
    assert left_over(tmp_path / "pids") == []


def test_a_server_that_wants_a_key_is_given_it_or_ended_at_once(tmp_path: Path) -> None:
    """Servers take a key from the environment as well, where somebody set it for another one."""
    env, port = {**fake_llama(tmp_path, "slow"), "VLLM_API_KEY": "secret"}, free_port()
    words = ("--backend", "llama-cpp", "--port", str(port))
    answer = doctor("serve", *words, "--format", "json", cwd=tmp_path, env=env)
    assert (answer.code, "requires a key" in answer.document["error"]["message"]) == (1, True)
    assert left_over(tmp_path / "pids") == []
    with serving(tmp_path, {**env, "PADDLEVL_DOCTOR_API_KEY": "secret"}, *words) as run:
        assert run.end(signal.SIGINT) == 130


def test_ctrl_c_while_the_server_loads_ends_it_too(tmp_path: Path) -> None:
    env = fake_llama(tmp_path, "loads for ever")
    words = ("--backend", "llama-cpp", "--port", str(free_port()))
    pids = tmp_path / "pids"
    process = start_doctor(
        "serve", *words, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def both() -> bool:
        return pids.exists() and len(pids.read_text(encoding="utf-8").split()) == 2

    wait_until(lambda: both() or process.poll() is not None, every=0.05)
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


@pytest.mark.parametrize("there", [False, True], ids=["no folder", "an empty folder"])
def test_what_cannot_be_installed_leaves_no_folder_and_is_code_4(there: bool, tmp_path: Path) -> None:
    if there:
        (tmp_path / ".venv-server").mkdir()
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
            env=environment(tmp_path, {**variables(venv), "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK": "True"}),
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
