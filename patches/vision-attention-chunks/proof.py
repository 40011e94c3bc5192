"""Computes the attention of 1100 rows: how many at once, and are the numbers those of the formula?"""

import math
import sys

sys.path.insert(0, sys.argv[1])
from _alone import load_alone
from _answer import answer

MODULE = "paddlex.inference.models.doc_vlm.modeling.paddleocr_vl._siglip"
ROWS, SIZE = 1100, 8
NEAR = 1e-5


class Witness:
    """Stands before paddle.matmul and notes the largest number of rows that come out of it."""

    def __init__(self, paddle):
        self.rows, self.matmul = 0, paddle.matmul
        paddle.matmul = self

    def __call__(self, *args, **options):
        """Multiply; matrices as wide as the page is long are the weights."""
        product = self.matmul(*args, **options)
        if product.shape[-1] == ROWS:
            self.rows = max(self.rows, product.shape[-2])
        return product


def formula(query, key, value, scaling):
    """Return softmax(q k / sqrt d) v with numpy, rows before heads as the module has it."""
    import numpy

    weights = query @ key.transpose(0, 1, 3, 2) * scaling
    weights = numpy.exp(weights - weights.max(-1, keepdims=True))
    return (weights / weights.sum(-1, keepdims=True) @ value).transpose(0, 2, 1, 3)


def look(document, _folder):
    """Compare with the formula, on this machine's CPU."""
    import numpy
    import paddle

    paddle.set_device("cpu")
    module = load_alone(MODULE, real=("numpy", "paddle"))
    draw = numpy.random.default_rng(7).standard_normal
    parts = [draw((1, 2, ROWS, SIZE)).astype("float32") for _ in range(3)]
    witness, layer = Witness(paddle), type("Layer", (), {"training": False})
    with paddle.no_grad():
        tensors = map(paddle.to_tensor, parts)
        output = module.eager_attention_forward(layer, *tensors, None, 1 / math.sqrt(SIZE), is_causal=False)[
            0
        ]
    difference = float(numpy.abs(output.numpy() - formula(*parts, 1 / math.sqrt(SIZE))).max())
    document["cured"] = 0 < witness.rows < ROWS and difference < NEAR
    document["saw"] = "%d of %d rows at once, %.0e from the formula" % (witness.rows, ROWS, difference)


answer({"probe": "proof"}, look)
