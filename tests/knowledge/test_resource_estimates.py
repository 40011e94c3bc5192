"""The estimate of GPU memory: it meets what was measured, and moves in the right direction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddlevl_doctor.knowledge.resource_estimates import (
    SMALLEST_PIXELS,
    Estimate,
    default_pixels,
    estimate,
    fitting_pixels,
    peak_vram_mb,
)

PIXELS = st.integers(min_value=0, max_value=20_000_000)
DTYPE = st.sampled_from(["bfloat16", "float32"])
ATTENTION = st.sampled_from(["eager", "fused"])
CAPABILITY = st.sampled_from(["7.0", "7.5", "8.0", "8.6", "8.9", "9.0", "12.0"])
PADDLEX = st.sampled_from(["3.3.0", "3.3.6", "3.3.10", "3.3.12", "3.4.0", "3.6.1", "3.7.2"])
SYSTEM = st.sampled_from(["linux", "windows"])


def test_the_estimate_meets_the_measured_run() -> None:
    # PaddlePaddle/PaddleOCR#17349: 4884 positions of 196 pixels, bfloat16, eager, 9.36 GB on the board.
    assert peak_vram_mb(4884 * 196, "bfloat16", "eager") / 1024 == pytest.approx(9.36, abs=0.01)


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (("linux", "7.5", "3.7.2"), Estimate(11702, 1_003_520, "float32", "eager")),
        (("linux", "8.9", "3.7.2"), Estimate(6673, 1_003_520, "bfloat16", "fused")),
        (("windows", "8.6", "3.7.2"), Estimate(9873, 1_003_520, "bfloat16", "eager")),
        (("windows", "8.6", "3.3.10"), Estimate(6673, 2_822_400, "bfloat16", "fused")),
        (("linux", "8.0", "3.3.6"), Estimate(31985, 2_822_400, "bfloat16", "eager")),
        (("linux", "8.0", "3.3.9"), Estimate(31985, 2_822_400, "bfloat16", "eager")),
        (("linux", "8.0", "3.3.12"), Estimate(6673, 2_822_400, "bfloat16", "fused")),
    ],
)
def test_the_attention_path_follows_paddlex_and_the_machine(
    machine: tuple[str, str, str], expected: Estimate
) -> None:
    assert estimate(*machine) == expected


@pytest.mark.parametrize(
    ("paddlex", "pipeline", "pixels"),
    [
        ("3.3.13", None, 2_822_400),
        ("3.3.13", "v1", 2_822_400),
        ("3.4.0", "v1", 1_003_520),
        ("3.4.0", "v1.5", 1_003_520),
        ("3.7.2", "v1.6", 1_003_520),
        ("3.3.6", "v1.6", 2_822_400),
        ("3.2.1", None, 2_822_400),
    ],
)
def test_each_pipeline_has_the_largest_image_of_its_paddlex(
    paddlex: str, pipeline: str | None, pixels: int
) -> None:
    assert default_pixels(paddlex, pipeline) == pixels


@given(PIXELS, PIXELS, DTYPE, ATTENTION)
def test_more_pixels_never_take_less_memory(one: int, other: int, dtype: str, attention: str) -> None:
    small, large = sorted((one, other))
    assert peak_vram_mb(small, dtype, attention) <= peak_vram_mb(large, dtype, attention)


@given(PIXELS, DTYPE)
def test_a_thousand_more_positions_take_more_memory_where_the_matrix_is_built(
    pixels: int, dtype: str
) -> None:
    assert peak_vram_mb(pixels, dtype, "eager") < peak_vram_mb(pixels + 196_000, dtype, "eager")


@given(PIXELS, ATTENTION)
def test_float32_takes_more_than_bfloat16(pixels: int, attention: str) -> None:
    assert peak_vram_mb(pixels, "float32", attention) > peak_vram_mb(pixels, "bfloat16", attention)


@given(SYSTEM, CAPABILITY, PADDLEX)
def test_windows_never_takes_less_than_linux(system: str, capability: str, paddlex: str) -> None:
    assert estimate("windows", capability, paddlex).peak_mb >= estimate("linux", capability, paddlex).peak_mb
    assert estimate(system, capability, paddlex).peak_mb >= estimate(system, "12.0", paddlex).peak_mb


@given(st.integers(min_value=0, max_value=200_000), SYSTEM, CAPABILITY, PADDLEX)
def test_the_advised_size_fits_wherever_any_size_fits(
    memory: int, system: str, capability: str, paddlex: str
) -> None:
    need = estimate(system, capability, paddlex)
    advised = fitting_pixels(memory, need)
    assert SMALLEST_PIXELS <= advised <= need.pixels
    assert advised % 784 == 0
    if peak_vram_mb(SMALLEST_PIXELS, need.dtype, need.attention) <= memory:
        assert peak_vram_mb(advised, need.dtype, need.attention) <= memory
