"""The plan of every server as a whole, on a described machine that can run it."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from syrupy.assertion import SnapshotAssertion

from checks_machines import CURRENT, context, machine, model, with_gpu
from paddlevl_doctor.knowledge.servers import load_backends
from paddlevl_doctor.serve.plan import Choice, Clash, is_too_old, plan_server, proof_of
from paddlevl_doctor.values.facts import Facts, Gpu, Host, ModelCache
from server_choices import H200
from server_choices import choice as chosen

RTX4090 = Gpu(0, "RTX 4090", "8.9", 24564, 23010)
RTX5090 = Gpu(0, "RTX 5090", "12.0", 32607, 31500)
MAC = machine(host=Host("macos", "23.1.0", "aarch64"))
ORIGINAL = "SubModules:\n  VLRecognition:\n    genai_config:\n      backend: native\n    batch_size: 4\n"


def choice(name: str, facts: Facts, **changes: object) -> Choice:
    return chosen(name, facts, **{"original": ORIGINAL, **changes})


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("vllm", with_gpu(CURRENT, RTX5090, driver="575.57.08")),
        ("sglang", with_gpu(CURRENT, H200)),
        ("fastdeploy", with_gpu(CURRENT, RTX4090)),
        ("mlx-vlm", MAC),
        ("llama-cpp", machine()),
    ],
    ids=["vllm", "sglang", "fastdeploy", "mlx-vlm", "llama-cpp"],
)
def test_the_whole_plan_of_a_server(name: str, facts: Facts, snapshot: SnapshotAssertion) -> None:
    plan = asdict(plan_server(choice(name, facts), facts))
    assert json.dumps(plan, indent=1, ensure_ascii=False) == snapshot


def test_weights_that_are_in_the_cache_are_not_fetched_again_and_broken_ones_are() -> None:
    def weights(*missing: str) -> str:
        cached = ModelCache("/home/somebody/.paddlex", (model("PaddleOCR-VL-1.6", *missing),))
        facts = with_gpu(CURRENT, H200, cache=cached)
        return plan_server(choice("vllm", facts), facts).weights

    assert weights() == "/home/somebody/.paddlex/official_models/PaddleOCR-VL-1.6"
    assert weights("model.safetensors") == "PaddlePaddle/PaddleOCR-VL-1.6"


def test_an_environment_of_somebody_elses_gets_nothing_installed() -> None:
    facts = with_gpu(CURRENT, H200)
    assert plan_server(choice("vllm", facts, adopted=True), facts).server.prepare == ()


def test_a_client_that_does_not_know_the_server_is_brought_to_the_newest_set() -> None:
    facts = machine({**CURRENT, "paddleocr": "3.3.3", "paddlex": "3.3.13"})
    backends = load_backends()
    old = {name: is_too_old(backend, facts.target) for name, backend in backends.items()}
    assert old == {
        "vllm": False,
        "sglang": False,
        "fastdeploy": False,
        "mlx-vlm": True,
        "llama-cpp": True,
    }
    plans = [plan_server(choice(name, facts), facts).client.prepare for name in ("vllm", "llama-cpp")]
    assert plans == [(), (("paddlevl-doctor", "fix", "--set", "current", "--apply"),)]
    assert is_too_old(backends["llama-cpp"], None) is False


def test_the_proof_names_the_packages_that_both_sides_pin_in_other_versions() -> None:
    facts = with_gpu(CURRENT, RTX5090, driver="575.57.08")
    proof = proof_of(load_backends()["vllm"], context(facts).wheel, facts.host)
    assert proof is not None
    assert (proof.paddle, proof.server) == (
        "paddlepaddle-gpu 3.2.1 (cu129)",
        "vllm 0.11.1 → torch 2.9.0",
    )
    assert Clash("nvidia-cudnn-cu12", "9.9.0.52", "9.10.2.21") in proof.clashes
    assert len(proof.clashes) == 13
    assert proof.sources == (
        "docs:PaddlePaddle/Paddle setup.py",
        "wheel:vllm-0.11.1 METADATA",
        "wheel:torch-2.9.0 METADATA (cp312, manylinux_2_28_x86_64)",
    )


def test_a_machine_with_the_cpu_wheel_is_shown_what_a_gpu_would_need() -> None:
    facts = machine()
    proof = proof_of(load_backends()["sglang"], context(facts).wheel, facts.host)
    assert proof is not None
    assert proof.paddle == "paddlepaddle-gpu 3.2.1 (cu126)"


@pytest.mark.parametrize("name", ["fastdeploy", "mlx-vlm", "llama-cpp"])
def test_a_server_without_torch_of_its_own_needs_no_proof(name: str) -> None:
    facts = with_gpu(CURRENT, H200)
    assert proof_of(load_backends()[name], context(facts).wheel, facts.host) is None


def test_other_machines_than_linux_on_x86_64_have_no_pins_to_compare() -> None:
    assert proof_of(load_backends()["vllm"], context(MAC).wheel, MAC.host) is None
