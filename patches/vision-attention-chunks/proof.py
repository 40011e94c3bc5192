"""Tests how many of 1100 rows of attention are computed at once, and whether the result equals the formula."""

import math
import sys

sys.path.insert(0, sys.argv[1])
from _alone import load_alone
from _answer import answer

MODULE = "paddlex.inference.models.doc_vlm.modeling.paddleocr_vl._siglip"
ROWS, SIZE = 1100, 8
NEAR = 1e-5


class MatmulRecorder:
    """Replaces paddle.matmul and records the largest number of rows of its results."""

    def __init__(self, paddle):
        self.rows, self.matmul = 0, paddle.matmul
        paddle.matmul = self

    def __call__(self, *args, **options):
        """Multiply; only the attention weights have one column per row of the page."""
        product = self.matmul(*args, **options)
        if product.shape[-1] == ROWS:
            self.rows = max(self.rows, product.shape[-2])
        return product


def formula(query, key, value, scaling):
    """Return softmax(q k / sqrt d) v with numpy, with rows before heads, as in the module."""
    import numpy

    weights = query @ key.transpose(0, 1, 3, 2) * scaling
    weights = numpy.exp(weights - weights.max(-1, keepdims=True))
    return (weights / weights.sum(-1, keepdims=True) @ value).transpose(0, 2, 1, 3)


def look(document, _folder):
    """Compare with the formula on the CPU."""
    import numpy
    import paddle

    paddle.set_device("cpu")
    module = load_alone(MODULE, real=("numpy", "paddle"))
    draw = numpy.random.default_rng(7).standard_normal
    parts = [draw((1, 2, ROWS, SIZE)).astype("float32") for _ in range(3)]
    recorder, layer = MatmulRecorder(paddle), type("Layer", (), {"training": False})
    with paddle.no_grad():
        tensors = map(paddle.to_tensor, parts)
        output = module.eager_attention_forward(layer, *tensors, None, 1 / math.sqrt(SIZE), is_causal=False)[
            0
        ]
    difference = float(numpy.abs(output.numpy() - formula(*parts, 1 / math.sqrt(SIZE))).max())
    document["cured"] = 0 < recorder.rows < ROWS and difference < NEAR
    document["saw"] = "%d of %d rows at once, %.0e from the formula" % (recorder.rows, ROWS, difference)


answer({"probe": "proof"}, look)
