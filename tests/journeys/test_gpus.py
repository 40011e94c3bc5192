"""What the command line says on machines with NVIDIA GPUs, through the real pynvml and a stub of NVIDIA's library."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor import doctor
from nvml_stub import build_stub, uuid

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
LARGE_DISK = ("--skip", "disk-space")
"""The CUDA wheels need 12 GB, which the disk of this machine may not have."""


@pytest.mark.parametrize("machine", CHOICES)
def test_the_plan_installs_the_wheel_that_fits_and_says_why(machine: str, tmp_path: Path) -> None:
    extra, requirement, page = CHOICES[machine]
    env = {**build_stub(tmp_path / "nvml", machine), **extra}
    words = ("--venv", tmp_path / "new", *LARGE_DISK, "--format", "json")
    plan = doctor("fix", *words, cwd=tmp_path, env=env)
    steps = {step["id"]: step for step in plan.document["plan"]["steps"]}
    command = steps["install-packages"]["commands"][0]
    assert requirement in command
    assert (command[command.index("--find-links") + 1] if "--find-links" in command else None) == page
    reasons = steps["install-packages"]["arguments"]["reasons"]
    assert reasons
    assert all(isinstance(reason, str) and reason for reason in reasons)


ONE = "CUDA_VISIBLE_DEVICES"
# machine -> variables, the GPUs that are left as `matrix` shows them, the wheel, and what is said of the others
HIDING = {
    "nothing of one": ("h200", {ONE: ""}, [], "cpu", ["gpus-hidden"]),
    "the first by speed": (
        "gtx1080-and-rtx4090",
        {ONE: "0"},
        ["NVIDIA GeForce RTX 4090"],
        "cu126",
        ["gpus-hidden", "gpu-order-guessed"],
    ),
    "one by its UUID": (
        "rtx4090-and-rtx5090",
        {ONE: uuid(1)},
        ["NVIDIA GeForce RTX 5090"],
        "cu129",
        ["gpus-hidden"],
    ),
}


@pytest.mark.parametrize("name", HIDING)
def test_matrix_and_fix_choose_the_same_for_what_a_program_sees_and_say_what_is_hidden(
    name: str, tmp_path: Path
) -> None:
    machine, variables, seen, tag, rules = HIDING[name]
    env = {**build_stub(tmp_path / "nvml", machine), **variables}
    words = ("--venv", tmp_path / "new", "--python", "3.12", "--format", "json")
    answer = doctor("matrix", *words[2:], cwd=tmp_path, env=env).document
    plan = doctor("fix", *LARGE_DISK, *words[:2], *words[4:], cwd=tmp_path, env=env).document["plan"]
    step = next(step for step in plan["steps"] if step["id"] == "install-packages")
    refusals = [rule for rule in answer["rules"] if rule["kind"] == "refusal"]

    assert [gpu["name"] for gpu in answer["machine"]["gpus"]] == seen
    assert (answer["wheel"]["tag"], [rule["rule"] for rule in refusals]) == (tag, rules)
    assert set(answer["wheel"]["requirements"]) <= set(step["commands"][0])
    assert {rule["text"] for rule in refusals} <= set(step["arguments"]["reasons"])


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
