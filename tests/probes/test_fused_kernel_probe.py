"""Whether the fused kernel works, and whether PaddleX would ask for it."""

from __future__ import annotations

import pytest

from environments import probe

pytestmark = pytest.mark.xdist_group("set-2025-11")


def test_a_cpu_build_has_no_fused_kernel_and_paddlex_does_not_ask_for_it() -> None:
    data = probe("set-2025-11", "fused_kernel").data
    assert data is not None
    assert (data["device"], data["usable"], data["fuse_rms_norm"], data["error"]) == (
        "cpu",
        False,
        False,
        None,
    )
    assert data["message"].startswith("(NotFound) The kernel `fused_rms_norm_ext` is not registered.")


def test_a_device_that_is_not_there_is_an_error_and_says_nothing_about_the_kernel() -> None:
    data = probe("set-2025-11", "fused_kernel", "--device", "gpu:0").data
    assert data is not None
    assert (data["usable"], data["fuse_rms_norm"]) == (None, None)
    assert "not compiled with CUDA" in data["error"]["message"]
