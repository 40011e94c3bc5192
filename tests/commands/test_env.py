"""The variables for shells and notebooks: what they set is what a shell, or Python, has afterwards."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from checks_machines import CURRENT, T4, machine, model, with_gpu
from doctor import doctor
from paddlevl_doctor.commands import env
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.commands.env import variables
from paddlevl_doctor.commands.judge_facts import Examination, context_of
from paddlevl_doctor.fix.start_variables import Variable, content_of, script
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.facts import Facts, Gpus, ModelCache

ODD = Variable("ODD", "a 'quoted' $HOME `x`\\", "why")
PATHS = Variable("LIBS", "/usr/lib/wsl/lib", "why", prepends=True)


def wanted(monkeypatch: pytest.MonkeyPatch, facts: Facts) -> dict[str, str]:
    monkeypatch.setattr(env, "examine", lambda *_: Examination(context_of(facts, None), ()))
    return {v.name: v.value for v in variables(RealSystem(), TargetOptions())}


def gpu(**changes: object) -> Facts:
    stack = {**{k: v for k, v in CURRENT.items() if k != "paddlepaddle"}, "paddlepaddle-gpu": "3.2.1"}
    return with_gpu(stack, T4, **changes)


def test_a_gpu_gets_another_allocator_and_complete_models_need_no_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = ModelCache("/c", (model("PaddleOCR-VL-1.6"), model("PP-DocLayoutV3")))
    assert wanted(monkeypatch, gpu(cache=cache)) == {
        "FLAGS_allocator_strategy": "naive_best_fit",
        "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK": "True",
    }
    assert wanted(monkeypatch, machine()) == {}


def test_a_cpu_wheel_on_amd_gets_the_fast_way_of_its_mkl(monkeypatch: pytest.MonkeyPatch) -> None:
    amd = replace(machine().host, cpu="AMD Ryzen 7 5800X 8-Core Processor")
    known = {"MKL_DEBUG_CPU_TYPE": "5"}
    assert wanted(monkeypatch, machine(host=amd)) == known
    assert wanted(monkeypatch, machine(host=amd, settings=known)) == {}
    assert wanted(monkeypatch, machine(host=amd, target=None)) == {}
    assert wanted(monkeypatch, machine(host=replace(amd, cpu_flags=("avx",)))) == {}


def test_rtx_50_cards_under_wsl_load_all_kernels_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    card = replace(T4, name="NVIDIA GeForce RTX 5090", compute_capability="12.0")
    wsl = replace(gpu().host, wsl=2)
    here = replace(gpu(host=wsl), gpus=Gpus((card,), "576.02", "12.9"))
    assert wanted(monkeypatch, here)["CUDA_MODULE_LOADING"] == "EAGER"
    assert "CUDA_MODULE_LOADING" not in wanted(monkeypatch, gpu(host=wsl))
    assert "CUDA_MODULE_LOADING" not in wanted(monkeypatch, replace(here, host=gpu().host))
    assert "CUDA_MODULE_LOADING" not in wanted(
        monkeypatch, replace(here, settings={"CUDA_MODULE_LOADING": "LAZY"})
    )


def test_what_the_user_has_set_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wanted(monkeypatch, gpu(settings={"FLAGS_allocator_strategy": "auto_growth"})) == {}


@pytest.mark.parametrize("before", [None, "/opt/lib"])
def test_a_shell_has_the_values_afterwards(before: str | None) -> None:
    lines = script((ODD, PATHS), "sh") + 'printf "%s\\n%s\\n" "$ODD" "$LIBS"'
    base = {k: v for k, v in os.environ.items() if k != "LIBS"} | ({"LIBS": before} if before else {})
    done = subprocess.run(["sh", "-c", lines], env=base, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        ODD.value,
        f"/usr/lib/wsl/lib:{before}" if before else "/usr/lib/wsl/lib",
    ]


@pytest.mark.parametrize("before", [None, "/opt/lib"])
def test_a_notebook_has_the_values_afterwards(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ODD", "LIBS"):
        monkeypatch.delenv(name, raising=False)
    if before:
        monkeypatch.setenv("LIBS", before)
    exec(script((ODD, PATHS), "notebook"), {})  # noqa: S102 - our own lines
    assert os.environ["ODD"] == ODD.value
    assert os.environ["LIBS"] == (f"/usr/lib/wsl/lib:{before}" if before else "/usr/lib/wsl/lib")
    for name in ("ODD", "LIBS"):
        os.environ.pop(name)


def test_powershell_gets_its_own_quotes() -> None:
    assert script((ODD, Variable("A", "it’s", "why"), PATHS), "powershell").splitlines() == [
        "# why",
        "$env:ODD = 'a ''quoted'' $HOME `x`\\'",
        "# why",
        "$env:A = 'it’’s'",
        "# why",
        "$env:LIBS = '/usr/lib/wsl/lib' + $(if ($env:LIBS) { [IO.Path]::PathSeparator + $env:LIBS })",
    ]


def test_the_file_for_powershell_says_that_it_is_utf_8_and_the_one_for_shells_does_not() -> None:
    lines = script((PATHS,), "powershell")
    assert content_of((PATHS,), "powershell").encode() == b"\xef\xbb\xbf" + lines.encode()
    assert content_of((PATHS,), "sh") == script((PATHS,), "sh")


def test_the_command_prints_lines_that_a_shell_understands(tmp_path: Path) -> None:
    answer = doctor("env", cwd=tmp_path)
    assert (answer.code, answer.stdout) == (0, "# no variable needs to be set here\n")
    assert doctor("env", "--format", "json", cwd=tmp_path).document["variables"] == []
