"""The worker that reads with a pipeline: it gives memory back after every page, and ends with whoever asks it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from paddlevl_doctor.commands.engine_factory import login_variables
from paddlevl_doctor.facts.run_probes import PROBES
from paddlevl_doctor.invocation import without_password
from paddlevl_doctor.parsing.workers.json_lines_process import JsonLinesProcess
from waiting import is_running, until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

# A pipeline whose thread is no daemon, as PaddleX's are, and that stops for ever where it is told to.
PADDLEOCR = """
import os, threading, time
def note(words):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(words + "\\n")
def stop(place):
    if os.environ.get("STOPS") == place:
        note(place)
        time.sleep(3600)
class Result(dict):
    markdown = {"markdown_texts": "words"}
class PaddleOCRVL:
    def __init__(self, device):
        threading.Thread(target=time.sleep, args=(3600,)).start()
        stop("load")
    def predict_iter(self, images):
        for image in images:
            stop("read")
            note("read " + image)
            yield Result(parsing_res_list=[], width=10, height=20)
"""
PADDLE = """
from types import SimpleNamespace
from paddleocr import note
MB = 1 << 20
def told(words, value):
    note(words)
    return value
cuda = SimpleNamespace(
    max_memory_allocated=lambda: told("peak", 700 * MB),
    empty_cache=lambda: note("empty"),
    memory_allocated=lambda: told("held", 300 * MB),
)
device = SimpleNamespace(cuda=cuda)
"""
# Starts the worker, asks for a page, and waits to be killed.
ASKS = """
import os, sys, time
from pathlib import Path
from paddlevl_doctor.parsing.workers.json_lines_process import JsonLinesProcess
child = JsonLinesProcess(sys.argv[2:], os.environ, Path(sys.argv[1], "log"))
child.send({"pages": [{"page": 0, "image": "a.png", "folder": sys.argv[1]}]})
print(child.process.pid, flush=True)
time.sleep(3600)
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "paddleocr.py").write_text(PADDLEOCR)
    (tmp_path / "paddle.py").write_text(PADDLE)
    (tmp_path / "notes").touch()
    source = str(Path(PROBES).parents[1])
    path = os.pathsep.join((str(tmp_path), source))
    return {**os.environ, "PYTHONPATH": path, "NOTES": str(tmp_path / "notes")}


def command(device: str) -> tuple[str, ...]:
    return (sys.executable, str(PROBES / "native_worker.py"), "--device", device)


@pytest.mark.parametrize("stops", ["load", "read"])
def test_a_worker_ends_when_its_parent_is_killed_whatever_it_does(
    tmp_path: Path, env: dict[str, str], stops: str
) -> None:
    argv = (sys.executable, "-c", ASKS, str(tmp_path), *command("cpu"))
    parent = subprocess.Popen(argv, env={**env, "STOPS": stops}, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    try:
        until(lambda: (tmp_path / "notes").read_text() == f"{stops}\n" or not is_running(worker))
        assert is_running(worker)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        until(lambda: not is_running(worker))
    finally:
        parent.kill()
        if is_running(worker):
            os.kill(worker, signal.SIGKILL)


def pages(tmp_path: Path, env: dict[str, str], device: str) -> list[dict[str, Any]]:
    """Return what a worker tells of three pages."""
    child = JsonLinesProcess(command(device), env, tmp_path / "log")
    asked = [{"page": n, "image": f"{n}.png", "folder": str(tmp_path / str(n))} for n in range(3)]
    child.send({"pages": asked})
    told = []
    while len(told) < 3:
        event = child.next_event(20)
        assert event is not None
        told += [event] if event["event"] == "page" else []
    child.close()
    return told


def test_memory_of_the_gpu_is_given_back_after_every_page(tmp_path: Path, env: dict[str, str]) -> None:
    told = pages(tmp_path, env, "gpu:0")

    assert [(page["page"], page["vram_mb"], page["held_mb"]) for page in told] == [
        (n, 700, 300) for n in range(3)
    ]
    assert (tmp_path / "notes").read_text().split("\n")[:-1] == [
        words for n in range(3) for words in (f"read {n}.png", "peak", "empty", "held")
    ]


def test_on_a_processor_there_is_nothing_to_give_back(tmp_path: Path, env: dict[str, str]) -> None:
    told = pages(tmp_path, env, "cpu")

    assert [(page["page"], page["vram_mb"], page["held_mb"]) for page in told] == [
        (n, None, None) for n in range(3)
    ]
    assert (tmp_path / "notes").read_text() == "read 0.png\nread 1.png\nread 2.png\n"


def test_the_login_of_a_server_is_in_the_environment_and_not_among_the_arguments(
    tmp_path: Path, env: dict[str, str]
) -> None:
    url = "http://bob:hunter22@127.0.0.1:9/v1"
    module = PADDLEOCR.replace("(self, device)", "(self, device, vl_rec_server_url=None)")
    (tmp_path / "paddleocr.py").write_text(
        module.replace('        stop("load")', "        note(str(vl_rec_server_url))")
    )
    options = json.dumps({"vl_rec_server_url": without_password(url)})
    argv = (*command("cpu"), "--options", options)
    for variables, wanted in ((login_variables(url), url), ({}, "http://127.0.0.1:9/v1")):
        child = JsonLinesProcess(argv, {**env, **variables}, tmp_path / "log")
        until(lambda: (tmp_path / "notes").read_text().endswith("\n"))
        child.close()
        assert (tmp_path / "notes").read_text() == f"{wanted}\n"
        (tmp_path / "notes").write_text("")
    assert "hunter22" not in " ".join(argv)
    assert login_variables("http://127.0.0.1:9/v1") == {}
