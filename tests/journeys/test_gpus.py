"""What the command line says on machines with NVIDIA GPUs, through the real pynvml and a stub of NVIDIA's library."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor import doctor
from nvml_stub import build_stub

PAGE = "https://www.paddlepaddle.org.cn/packages/stable/{tag}/paddlepaddle-gpu/"
# machine -> environment of the machine, what is installed, and the page it comes from (None: the default index)
CHOICES = {
    "kaggle-t4x2": ({"KAGGLE_KERNEL_RUN_TYPE": "Batch"}, "paddlepaddle-gpu==3.2.1", PAGE.format(tag="cu126")),
    "kaggle-p100": ({"KAGGLE_KERNEL_RUN_TYPE": "Batch"}, "paddlepaddle==3.2.2", None),
    "rtx4090-laptop-wsl": ({}, "paddlepaddle-gpu==3.2.1", PAGE.format(tag="cu126")),
    "rtx5070ti": ({}, "paddlepaddle-gpu==3.2.1", PAGE.format(tag="cu129")),
    "h200": ({}, "paddlepaddle-gpu==3.2.1", PAGE.format(tag="cu126")),
    "no-library": ({}, "paddlepaddle==3.2.2", None),
    "no-permission": ({}, "paddlepaddle==3.2.2", None),
    "unknown-error": ({}, "paddlepaddle==3.2.2", None),
}


@pytest.mark.parametrize("machine", CHOICES)
def test_the_plan_installs_the_wheel_that_fits_and_says_why(machine: str, tmp_path: Path) -> None:
    extra, requirement, page = CHOICES[machine]
    env = {**build_stub(tmp_path / "nvml", machine), **extra}
    plan = doctor("fix", "--venv", tmp_path / "new", "--format", "json", cwd=tmp_path, env=env)
    steps = {step["id"]: step for step in plan.document["plan"]["steps"]}
    command = steps["install-packages"]["commands"][0]
    assert requirement in command
    assert (command[command.index("--find-links") + 1] if "--find-links" in command else None) == page
    reasons = steps["install-packages"]["arguments"]["reasons"]
    assert reasons
    assert all(isinstance(reason, str) and reason for reason in reasons)


def test_the_head_of_a_report_names_every_gpu(tmp_path: Path) -> None:
    env = build_stub(tmp_path / "nvml", "kaggle-t4x2")
    shown = doctor("check", cwd=tmp_path, env=env).stdout
    assert shown.count("Tesla T4 (7.5, 15 GB)") == 2
    facts = doctor("check", "--format", "json", cwd=tmp_path, env=env).document["facts"]
    assert [gpu["compute_capability"] for gpu in facts["gpus"]["devices"]] == ["7.5", "7.5"]


def test_the_plan_for_a_p100_names_the_way_out(tmp_path: Path) -> None:
    env = build_stub(tmp_path / "nvml", "kaggle-p100")
    shown = doctor("check", "-v", cwd=tmp_path, env=env).stdout
    assert "P100" in shown
    assert "T4" in shown


def test_a_driver_that_refuses_is_a_finding_with_its_own_words(tmp_path: Path) -> None:
    env = build_stub(tmp_path / "nvml", "no-permission")
    answer = doctor("check", "--only", "gpu-detection", "--format", "json", cwd=tmp_path, env=env)
    assert answer.problems() == {"gpu-detection": "warning"}
    assert "Insufficient Permissions" in answer.document["findings"][0]["evidence"][0]["value"]
