"""Runs in the target: the vision part's attention as published and as patched, side by side on the same numbers.

    vision_attention.py PUBLISHED_FILE ROWS ...

Prints one JSON list: for each number of rows and kind of input the largest difference, and the most bytes that
Paddle's allocator held at once while either was computed.
"""

import importlib.util
import json
import sys
from types import SimpleNamespace

import numpy
import paddle

PACKAGE = "paddlex.inference.models.doc_vlm.modeling.paddleocr_vl"
# A quarter of the 16 heads that PaddleOCR-VL has, each of the same size.
SHAPE = SimpleNamespace(hidden_size=288, num_attention_heads=4, attention_dropout=0.0)


def published(path):
    """Load the published file beside the patched one, under another name in the same package."""
    spec = importlib.util.spec_from_file_location(PACKAGE + "._published", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def computed(layer, hidden, mask):
    """Return the output, and the most bytes that were held above what was held before."""
    before = paddle.base.core.host_memory_stat_current_value("Allocated", 0)
    paddle.base.core.host_memory_stat_reset_peak_value("Allocated", 0)
    with paddle.no_grad():
        output = layer(hidden, mask)[0]
    peak = paddle.base.core.host_memory_stat_peak_value("Allocated", 0) - before
    return output.numpy(), peak


def compared(former, patched, rows, dtype, masked):
    """Compare the two on one input."""
    draw = numpy.random.default_rng(rows)
    hidden = paddle.to_tensor(draw.standard_normal((1, rows, SHAPE.hidden_size), dtype))
    mask = None
    if masked:
        mask = paddle.to_tensor(draw.standard_normal((1, 1, rows, rows), dtype))
    (one, before), (other, after) = computed(former, hidden, mask), computed(patched, hidden, mask)
    difference = float(numpy.abs(one - other).max())
    shown = {"rows": rows, "dtype": dtype, "masked": masked, "difference": difference}
    return {**shown, "largest": float(numpy.abs(one).max()), "before": before, "after": after}


def layers(modules, dtype):
    """Return one attention layer of each module, with the same weights."""
    paddle.set_default_dtype(dtype)
    made = [module.SiglipAttention(SHAPE) for module in modules]
    made[1].set_state_dict(made[0].state_dict())
    for layer in made:
        layer.eval()
    return made


def main():
    """Print what was found."""
    paddle.seed(7)
    paddle.set_device("cpu")
    modules = [published(sys.argv[1]), importlib.import_module(PACKAGE + "._siglip")]
    cases = [(rows, "float32", False) for rows in map(int, sys.argv[2:])]
    cases += [(1100, "float32", True), (1100, "float64", False)]
    print(
        json.dumps([compared(*layers(modules, dtype), rows, dtype, masked) for rows, dtype, masked in cases])
    )


if __name__ == "__main__":
    main()
