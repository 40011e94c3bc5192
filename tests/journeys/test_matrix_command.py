"""`matrix` on the command line: what people see in both languages, the document, exit codes, this machine's GPUs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from doctor import doctor
from nvml_stub import build_stub

HAN = re.compile(r"[\u4e00-\u9fff]")
SHOWN = {
    "kaggle": ("--for", "kaggle", "--driver", "560.35.03"),
    "p100": ("--for", "kaggle", "--gpu", "P100"),
    "rtx-5070-ti": ("--for", "windows", "--gpu", "RTX 5070 Ti", "--driver", "576.02"),
    "mixed-old-driver": ("--for", "wsl", "--gpu", "RTX 4090", "--gpu", "RTX 5090", "--driver", "566.36"),
    "intel-mac": ("--for", "macos", "--arch", "x86_64", "--python", "3.14"),
}


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", SHOWN)
def test_people_see_what_to_install_and_why(
    name: str, lang: str, tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    answer = doctor("matrix", *SHOWN[name], "--lang", lang, cwd=tmp_path)
    assert answer.stdout == snapshot
    assert (answer.code, answer.stderr) == (int(name == "intel-mac"), "")
    assert bool(HAN.search(answer.stdout)) == (lang == "zh")


@pytest.mark.parametrize(
    ("lang", "first"),
    [
        (
            "en",
            [
                "What cannot be used, and the alternatives",
                "P100 has compute capability 6.0, but PaddleOCR-VL needs 7.0. Use the CPU, another GPU or a server.",
                "On Kaggle, choose the accelerator “GPU T4 x2” instead of P100.",
            ],
        ),
        (
            "zh",
            [
                "无法使用的部分与替代方案",
                "P100 的计算能力为 6.0，而 PaddleOCR-VL 要求 7.0。请改用 CPU、其他 GPU 或推理服务。",
                "在 Kaggle 中请将加速器由 P100 改为“GPU T4 x2”。",
            ],
        ),
    ],
)
def test_a_p100_on_kaggle_is_refused_in_the_first_sentence_with_the_way_out(
    lang: str, first: list[str], tmp_path: Path
) -> None:
    answer = doctor("matrix", *SHOWN["p100"], "--lang", lang, cwd=tmp_path)
    shown = [line.strip().removeprefix("- ") for line in answer.stdout.splitlines()]
    assert (answer.code, [shown[0], shown[1], shown[3]]) == (0, first)


def test_quiet_leaves_the_refusals_and_the_commands(tmp_path: Path) -> None:
    shown = doctor("matrix", "--for", "kaggle", "--gpu", "P100", "-q", cwd=tmp_path).stdout.splitlines()
    assert [line.strip() for line in shown if line.strip().startswith(("- ", "uv "))] == [
        "- P100 has compute capability 6.0, but PaddleOCR-VL needs 7.0. Use the CPU, another GPU or a server.",
        "- On Kaggle, choose the accelerator “GPU T4 x2” instead of P100.",
        "uv venv --python 3.12 .venv",
        "uv pip install --python .venv --only-binary :all: paddlepaddle==3.2.2 'paddleocr[doc-parser]==3.7.0' "
        "paddlex==3.7.2 'numpy<2.4' 'safetensors>=0.7.0' setuptools",
    ]


def test_the_document_holds_the_whole_answer(tmp_path: Path) -> None:
    words = ("--for", "windows", "--gpu", "RTX 5070 Ti", "--driver", "576.02", "--python", "3.12")
    document = doctor("matrix", *words, "--format", "json", cwd=tmp_path).document
    assert (document["possible"], document["described"]) == (True, True)
    assert document["machine"]["gpus"] == [
        {"name": "RTX 5070 Ti", "compute_capability": "12.0", "memory_total_mb": None, "used": True}
    ]
    assert document["wheel"] == {
        "package": "paddlepaddle-gpu",
        "version": "3.2.1",
        "tag": "cu129",
        "device": "gpu:0",
        "find_links": "https://www.paddlepaddle.org.cn/packages/stable/cu129/paddlepaddle-gpu/",
        "requirements": [
            *("paddlepaddle-gpu==3.2.1", "paddleocr[doc-parser]==3.7.0", "paddlex==3.7.2"),
            *("numpy<2.4", "safetensors>=0.7.0", "setuptools"),
        ],
    }
    assert (document["driver"]["minimum"], document["driver"]["cuda"]) == ("576.02", "12.9")
    assert document["download"]["nvidia_mb"] == 2276
    assert document["gpu_memory"][0]["dtype"] == "bfloat16"
    rules = [(rule["rule"], rule["kind"], rule["verified"]) for rule in document["rules"]]
    assert rules == [
        ("set", "reason", "wheel"),
        ("gpu-model", "reason", "docs"),
        ("architecture", "reason", "unverified"),
        ("driver", "reason", "docs"),
        ("gpu-version", "reason", "docs"),
    ]


def test_a_mirrors_password_is_not_shown(tmp_path: Path) -> None:
    words = ("--for", "linux", "--mirror", "https://somebody:hunter22@h.example/simple")
    shown = doctor("matrix", *words, cwd=tmp_path).stdout
    assert ("hunter22" in shown, shown.count("https://***@h.example/simple")) == (False, 3)


@pytest.mark.parametrize(
    "words", [("--python", "3.8"), ("--for", "macos", "--arch", "x86_64"), ("--glibc", "2.17")]
)
def test_where_nothing_can_be_installed_the_exit_code_says_so(words: tuple[str, ...], tmp_path: Path) -> None:
    answer = doctor("matrix", *words, "--format", "json", cwd=tmp_path)
    document = answer.document
    assert (answer.code, document["possible"], document["wheel"], document["commands"]) == (
        1,
        False,
        None,
        [],
    )
    assert {rule["kind"] for rule in document["rules"]} == {"refusal"}


def test_a_name_that_nobody_knows_is_a_usage_error_with_names_that_are_known(tmp_path: Path) -> None:
    answer = doctor("matrix", "--gpu", "RTX 5O70 Ti", "--format", "json", cwd=tmp_path)
    assert answer.code == 2
    assert "Similar names: RTX 5070 Ti" in answer.stderr
    assert answer.document["error"]["exit_code"] == 2


MACHINES = {
    "kaggle-t4x2": ({"KAGGLE_KERNEL_RUN_TYPE": "Batch"}, "cu126", [True, True], []),
    "h200-mig": ({}, "cu126", [True], []),
    "rtx5070ti-old-driver": ({}, "cpu", [False], ["blackwell-driver"]),
    "t4-driver-418": ({}, "cpu", [False], ["driver-too-old"]),
    "gtx1080-and-rtx4090": ({}, "cu126", [False, True], ["compute-capability-too-low"]),
    "rtx4090-and-rtx5090": (
        {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
        "cu126",
        [True],
        ["gpus-hidden"],
    ),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_this_machine_is_asked_through_nvml(machine: str, tmp_path: Path) -> None:
    extra, tag, used, refused = MACHINES[machine]
    env = {**build_stub(tmp_path / "nvml", machine), **extra}
    document = doctor("matrix", "--format", "json", cwd=tmp_path, env=env).document
    assert (document["wheel"]["tag"], document["described"]) == (tag, False)
    assert [gpu["used"] for gpu in document["machine"]["gpus"]] == used
    assert [rule["rule"] for rule in document["rules"] if rule["kind"] == "refusal"] == refused
