"""Exports a layout program that needs no training: it finds the bands of a page that have ink on them.

It is a real inference program (paddle.jit.save, a few kB) and keeps PP-DocLayoutV2's contract with PaddleX
(inference/models/layout_analysis of 3.3.6 and 3.7.2):

inputs   im_shape [N, 2] (height and width after resizing), image [N, 3, S, S], scale_factor [N, 2] (y, x)
outputs  boxes [sum of K, 8] = class, score, x0, y0, x1, y1, order, votes; their numbers K [N], int32
"""

import json
import os

from .pages import BANDS, MARGIN

MODEL_NAME = "PP-DocLayoutV2"
SIDE = 64
_INK = 0.01  # how far the darkest row of a band must be below white
_SCORE = 0.9
LABELS = [
    "abstract",
    "algorithm",
    "aside_text",
    "chart",
    "content",
    "display_formula",
    "doc_title",
    "figure_title",
    "footer",
    "footer_image",
    "footnote",
    "formula_number",
    "header",
    "header_image",
    "image",
    "inline_formula",
    "number",
    "paragraph_title",
    "reference",
    "reference_content",
    "seal",
    "table",
    "text",
    "vertical_text",
    "vision_footnote",
]


def export(folder):
    """Write the program into a new folder; `paddle` must be importable."""
    import paddle

    os.makedirs(folder)
    paddle.device.set_device("cpu")
    program = _program(paddle)
    spec = [
        paddle.static.InputSpec([None, 2], "float32", "im_shape"),
        paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image"),
        paddle.static.InputSpec([None, 2], "float32", "scale_factor"),
    ]
    paddle.jit.save(program, os.path.join(folder, "inference"), input_spec=spec)
    with open(os.path.join(folder, "inference.yml"), "w", encoding="utf-8") as file:
        json.dump(_settings(), file, indent=2)  # JSON is YAML, and needs no YAML writer


def _program(paddle):
    bands = len(BANDS)
    classes = [[float(LABELS.index(band))] for band in BANDS]
    # Left, top, right and bottom of every band as shares of the page.
    edges = [[MARGIN, (i + MARGIN) / bands, 1 - MARGIN, (i + 1 - MARGIN) / bands] for i in range(bands)]
    orders = [[float(i), 0.0] for i in range(bands)]

    class Bands(paddle.nn.Layer):
        """Gives every band with ink a box with the band's label."""

        def __init__(self):
            super().__init__()
            # Parameters rather than constants, so that the program has weights to load.
            self.classes, self.edges, self.orders = map(self.table, (classes, edges, orders))

        def table(self, rows):
            start = paddle.nn.initializer.Assign(rows)
            return self.create_parameter([len(rows), len(rows[0])], default_initializer=start)

        def forward(self, im_shape, image, scale_factor):
            pages = paddle.shape(image)[0]
            rows = image.mean(axis=1).reshape([-1, bands, SIDE // bands, SIDE]).mean(axis=3)
            ink = 1.0 - rows.min(axis=2)
            score = paddle.where(ink > _INK, paddle.full_like(ink, _SCORE), paddle.full_like(ink, 0.0))
            size = paddle.floor(im_shape / scale_factor + 0.5).flip([1])
            box = self.edges.unsqueeze(0) * size.tile([1, 2]).unsqueeze(1)
            kind = self.classes.unsqueeze(0).expand([pages, bands, 1])
            order = self.orders.unsqueeze(0).expand([pages, bands, 2])
            found = paddle.concat([kind, score.unsqueeze(-1), box, order], axis=-1).reshape([-1, 8])
            return found, paddle.full([1], bands, dtype="int32").expand([pages])

    program = Bands()
    program.eval()
    return program


def _settings():
    resize = {"type": "Resize", "target_size": [SIDE, SIDE], "keep_ratio": False, "interp": 2}
    scale = {"type": "NormalizeImage", "mean": [0.0] * 3, "std": [1.0] * 3, "norm_type": "none"}
    return {
        "Global": {"model_name": MODEL_NAME},
        "mode": "paddle",
        "draw_threshold": 0.5,
        "arch": "DETR",
        "Preprocess": [resize, scale, {"type": "Permute"}],
        "label_list": LABELS,
    }
