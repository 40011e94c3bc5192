"""The self-test from options to its JSON document."""

import argparse
import os
import platform
import shutil
import tempfile
import time

import _answer
from _answer import Stopwatch


def main(arguments):
    """Run the self-test, print its document and end the process."""
    started = time.perf_counter()
    out = _answer.claim_stdout()
    options = _options(arguments)
    document = {
        "probe": "selftest",
        "ok": False,
        "device": options.device,
        "seed": options.seed,
        "drill": "fused-gate" if options.simulate_fused_gate else None,
        "versions": {"python": platform.python_version()},
        "parts": [],
        "colour_order": None,
        "seconds": {},
        "error": None,
    }
    folder = tempfile.mkdtemp(prefix="paddlevl-doctor-selftest-")
    try:
        _examine(options, folder, document)
        document["ok"] = all(part["ok"] for part in document["parts"])
    except BaseException as error:
        document["error"] = _answer.describe(error)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    document["seconds"]["total"] = round(time.perf_counter() - started, 3)
    document["rss_peak_mb"] = _answer.peak_rss_mb()
    _answer.finish(out, document)


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


def _examine(options, folder, document):
    from . import offline

    seconds = document["seconds"]
    offline.stay_offline(os.path.join(folder, "cache"))
    os.environ.setdefault("GLOG_minloglevel", "2")
    document["versions"].update(_versions())
    with Stopwatch(seconds, "import"):
        import paddle  # noqa: F401 - the order tells which one fails first
        import paddleocr  # noqa: F401
        import paddlex  # noqa: F401

    from . import parts

    desk = parts.Desk(folder, options.device, seconds)
    desk.write_models()
    if options.simulate_fused_gate:
        from . import drill

        drill.simulate_fused_gate()
    _time(document, lambda: _read_colours(desk, options.seed, document))
    _time(document, lambda: parts.read_random(desk, document["versions"].get("paddlex")))


def _read_colours(desk, seed, document):
    import paddle

    from . import parts

    part, document["colour_order"] = parts.read_colours(desk, seed)
    document["device"] = paddle.device.get_device()
    return part


def _time(document, read):
    started = time.perf_counter()
    part = read()
    part["seconds"] = round(time.perf_counter() - started, 3)
    document["parts"].append(part)


def _versions():
    from importlib import metadata

    found = {}
    for name in ("paddlepaddle", "paddlepaddle-gpu", "paddlex", "paddleocr", "numpy", "safetensors"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
