"""The self-test from its options to its document."""

import argparse
import os
import platform

from _answer import Stopwatch, answer

_DISTRIBUTIONS = ("paddlepaddle", "paddlepaddle-gpu", "paddlex", "paddleocr", "numpy", "safetensors")


def main(arguments):
    """Run the self-test, print its document and end the process."""
    options = _options(arguments)
    document = {
        "probe": "selftest",
        "ok": False,
        "device": options.device,
        "seed": options.seed,
        "drill": "fused-gate" if options.simulate_fused_gate else None,
        "versions": {},
        "parts": [],
        "colour_order": None,
    }
    answer(document, lambda document, folder: _examine(options, document, folder))


def _options(arguments):
    parser = argparse.ArgumentParser(prog="selftest", description="Read charts never seen before, offline.")
    parser.add_argument("--device", default="cpu", help="cpu or gpu:0")
    parser.add_argument(
        "--seed",
        type=int,
        default=int.from_bytes(os.urandom(4), "big"),
        help="what the charts are drawn from; fresh by default, so that no answer can be prepared",
    )
    parser.add_argument(
        "--simulate-fused-gate",
        action="store_true",
        help="a drill: decide about fused kernels as on a GPU with CUDA 12 (see drill.py)",
    )
    return parser.parse_args(arguments)


def _examine(options, document, folder):
    document["versions"] = _versions()
    with Stopwatch(document["seconds"], "import"):
        import paddle
        import paddleocr  # noqa: F401 - it imports paddlex

    from . import drill, parts

    desk = parts.Desk(folder, options.device, document["seconds"])
    desk.write_models()
    if options.simulate_fused_gate:
        drill.simulate_fused_gate()
    document["parts"].append(parts.read_colours(desk, options.seed))
    document["colour_order"] = document["parts"][0].pop("order")
    document["device"] = paddle.device.get_device()  # what really ran
    document["parts"].append(parts.read_random(desk, document["versions"]["paddlex"]))
    document["ok"] = all(part["ok"] for part in document["parts"])


def _versions():
    from importlib import metadata

    found = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
