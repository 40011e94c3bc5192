"""What PaddlePaddle alone answers in real environments: each question for itself."""

from __future__ import annotations

from typing import Any

import pytest

from environments import probe


def answers(name: str, *args: str) -> list[dict[str, Any]]:
    result = probe(name, "kernels", *args)
    assert result.data is not None, result.detail
    assert result.data["error"] is None
    return result.data["results"]  # type: ignore[no-any-return]


def rows(results: list[dict[str, Any]]) -> list[tuple[str, str | None, bool]]:
    return [(one["name"], one["device"], one["ok"]) for one in results]


@pytest.mark.xdist_group("current-311")
def test_a_healthy_cpu_build_can_do_everything_but_the_fused_kernel() -> None:
    results = answers("current-311")
    assert rows(results) == [
        ("facts", None, True),
        ("fused-import", None, True),
        ("device", "cpu", True),
        ("matmul", "cpu", True),
        ("fused-kernel", "cpu", False),
        ("safetensors", "cpu", True),
        ("scalar", "cpu", True),
        ("onednn-interpolate", "cpu", True),
    ]
    assert [one["value"] for one in results] == [
        {"version": "3.2.2", "cuda": None, "gpus": []},
        "fused_rms_norm_ext",
        "Place(cpu)",
        512.0,
        None,
        "[1.5, -2.0] as paddle.bfloat16",
        6,
        [1, 8, 64, 64],
    ]
    assert results[4]["error"].startswith(
        "RuntimeError: (NotFound) The kernel `fused_rms_norm_ext` is not registered."
    )


@pytest.mark.xdist_group("set-2025-11")
def test_old_weights_reader_and_new_numpy_fail_with_the_words_a_user_would_see() -> None:
    errors = {one["name"]: one["error"] for one in answers("broken") if not one["ok"]}
    del errors["fused-kernel"]
    assert errors == {
        "safetensors": "SafetensorError: framework paddle is invalid",
        "scalar": "TypeError: only 0-dimensional arrays can be converted to Python scalars",
    }


@pytest.mark.xdist_group("current-311")
def test_a_device_that_is_not_there_says_so_and_the_next_one_is_still_asked() -> None:
    results = answers("current-311", "--devices", "gpu:0,cpu")
    assert rows(results)[2:4] == [("device", "gpu:0", False), ("device", "cpu", True)]
    assert "not compiled with CUDA" in results[2]["error"]
    assert rows(results)[-1] == ("onednn-interpolate", "cpu", True)
