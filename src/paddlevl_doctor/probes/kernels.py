"""Asks PaddlePaddle alone, without PaddleX, for what PaddleOCR-VL needs of it, as one JSON line.

    target_python -X utf8 kernels.py [--devices cpu,gpu:0]

Every question has an answer of its own, and one that fails does not keep the others from being asked.
"""

import argparse
import os
import sys

from _answer import Stopwatch, answer, describe


def ask(results, name, device, question):
    """Run one test; `ok` is the result, `value` or `error` (a traceback's last line) the detail."""
    result = {"name": name, "device": device, "ok": True, "value": None, "error": None}
    try:
        result["value"] = question()
    except Exception as error:
        result["ok"], result["error"] = False, describe(error)["root"].strip()
    results.append(result)


def round_trip(paddle, folder):
    """Write a bfloat16 tensor and read it as PaddleX reads weights; return what came back."""
    from safetensors import safe_open
    from safetensors.paddle import save_file

    path = os.path.join(folder, "tensors.safetensors")
    save_file({"a": paddle.to_tensor([1.5, -2.0]).astype("bfloat16")}, path)
    with safe_open(path, framework="paddle") as file:
        tensor = file.get_tensor("a")
    values = [float(x) for x in tensor.astype("float32").numpy()]
    if "bfloat16" not in str(tensor.dtype) or values != [1.5, -2.0]:
        raise ValueError("wrote [1.5, -2.0] as bfloat16, read %s as %s" % (values, tensor.dtype))
    return "%s as %s" % (values, tensor.dtype)


def scalar(paddle):
    """Make a number of a tensor with one element, as PaddleX up to 3.4.2 does."""
    return int(paddle.to_tensor([6]))


def fused_import():
    """Import the function that PaddleX's model code imports on every device."""
    from paddle.incubate.nn.functional import fused_rms_norm_ext

    return fused_rms_norm_ext.__name__


def fused_kernel(paddle):
    """Call that function; only some GPU builds have its kernel."""
    from paddle.incubate.nn.functional import fused_rms_norm_ext

    out = fused_rms_norm_ext(paddle.ones([2, 8]), paddle.ones([8]), 1e-6)
    return [float(x) for x in (out[0] if isinstance(out, (list, tuple)) else out).numpy()[0][:1]]


def matmul(paddle):
    """Multiply two matrices, which a GPU whose architecture the build lacks refuses."""
    size = 8
    total = float(paddle.matmul(paddle.ones([size, size]), paddle.ones([size, size])).sum())
    if total != size**3:
        raise ValueError("a product of ones has the sum %s, not %d" % (total, size**3))
    return total


def onednn(paddle, folder):
    """Run a small program with a resizing layer through oneDNN, as PaddleX runs its static models on a CPU."""
    from paddle import inference, nn

    class Model(nn.Layer):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2D(3, 8, 3, padding=1)

        def forward(self, x):  # paddle.jit.save wants the name self, literally
            return nn.functional.interpolate(self.conv(x), scale_factor=2, mode="nearest")

    model, path = Model(), os.path.join(folder, "onednn")
    model.eval()
    paddle.jit.save(model, path, input_spec=[paddle.static.InputSpec([None, 3, 32, 32], "float32")])
    program = path + (".json" if os.path.exists(path + ".json") else ".pdmodel")
    config = inference.Config(program, path + ".pdiparams")
    config.disable_gpu()
    config.disable_glog_info()
    for switch in ("enable_new_ir", "enable_new_executor", "enable_mkldnn"):
        getattr(config, switch, lambda: None)()
    return list(inference.create_predictor(config).run([paddle.ones([1, 3, 32, 32])])[0].shape)


def facts(paddle):
    """Return the build of paddle and the GPUs that it lists."""
    cuda = paddle.device.is_compiled_with_cuda()
    count = paddle.device.cuda.device_count() if cuda else 0
    return {
        "version": paddle.__version__,
        "cuda": paddle.version.cuda() if cuda else None,
        "gpus": [paddle.device.cuda.get_device_name(i) for i in range(count)],
    }


def look(document, devices, folder):
    """Import paddle and ask everything: on the CPU what has to do with files and programs, the rest everywhere."""
    with Stopwatch(document["seconds"], "import"):
        import paddle
    results = document["results"]
    ask(results, "facts", None, lambda: facts(paddle))
    ask(results, "fused-import", None, fused_import)
    for device in devices:
        before = len(results)
        ask(results, "device", device, lambda device=device: str(paddle.device.set_device(device)))
        if results[before]["ok"]:
            ask(results, "matmul", device, lambda: matmul(paddle))
            ask(results, "fused-kernel", device, lambda: fused_kernel(paddle))
            ask(results, "safetensors", device, lambda: round_trip(paddle, folder))
            ask(results, "scalar", device, lambda: scalar(paddle))
    paddle.device.set_device("cpu")
    ask(results, "onednn-interpolate", "cpu", lambda: onednn(paddle, folder))


def main():
    """Ask, and print what was answered."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--devices", default="cpu")
    devices = parser.parse_args().devices.split(",")
    sys.path.pop(0)  # the folder of this script
    answer({"probe": "kernels", "results": []}, lambda document, folder: look(document, devices, folder))


main()
