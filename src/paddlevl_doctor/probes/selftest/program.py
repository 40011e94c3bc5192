"""The self-test from its options to its document."""

import argparse
import gc
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
        "queue_drill": None,
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
        paddle = _import()

    from . import drill, parts, queue_drill

    desk = parts.Desk(folder, options.device, document["seconds"])
    desk.write_models()
    if options.simulate_fused_gate:
        drill.simulate_fused_gate()
    colours, rest = parts.read_colours(desk, options.seed)
    document["colour_order"] = colours.pop("order")
    document["parts"].append(colours)
    document["device"] = paddle.device.get_device()  # what really ran
    # The pipeline's threads wait half a second for more pages before they end: time for everything else.
    document["parts"].append(parts.read_random(desk, document["versions"]["paddlex"]))
    document["queue_drill"] = queue_drill.run()
    desk.finish(rest)
    document["ok"] = all(part["ok"] for part in document["parts"])


def _import():
    """Import as a user's program does, paddleocr first: the order decides which of two CUDA libraries is loaded.

    Nothing of 20 000 new objects is garbage, so looking for some waits until they are known to stay; that is a
    tenth of the time.
    """
    gc.disable()
    try:
        import paddleocr  # noqa: F401, I001 - it imports paddlex

        import paddle
    finally:
        gc.freeze()
        gc.enable()
    return paddle


def _versions():
    from importlib import metadata

    found = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
