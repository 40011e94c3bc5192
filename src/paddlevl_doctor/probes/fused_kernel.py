"""Says whether the kernel fused_rms_norm_ext works on a device, and whether PaddleX would use it, as one JSON line.

    target_python -X utf8 fused_kernel.py [--device cpu|gpu:0]

The answer means something on the device that will read documents: a CPU build never has the kernel, and PaddleX
does not ask for it there.
"""

import argparse
import importlib
import sys

from _answer import answer

CONFIG = "paddlex.inference.models.doc_vlm.modeling.paddleocr_vl._config"


def try_kernel(paddle):
    """Call the kernel once and return None, or its complaint."""
    from paddle.incubate.nn.functional import fused_rms_norm_ext

    try:
        fused_rms_norm_ext(paddle.ones([2, 8]), paddle.ones([8]), 1e-6)
        if paddle.device.get_device() != "cpu":
            paddle.device.synchronize()  # a GPU reports errors late
    except Exception as error:
        return str(error).strip()
    return None


def look(document, device):
    """Call the kernel on the device, then ask PaddleX for its decision there."""
    import paddle

    paddle.device.set_device(device)
    document["device"] = paddle.device.get_device()
    document["message"] = try_kernel(paddle)
    document["usable"] = document["message"] is None
    document["fuse_rms_norm"] = bool(importlib.import_module(CONFIG).PaddleOCRVLConfig().fuse_rms_norm)


def main():
    """Look, and print what was seen."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    device = parser.parse_args().device
    sys.path.pop(0)  # the folder of this script
    document = {
        "probe": "fused_kernel",
        "device": device,
        "usable": None,
        "message": None,
        "fuse_rms_norm": None,
    }
    answer(document, lambda document, _: look(document, device))


main()
