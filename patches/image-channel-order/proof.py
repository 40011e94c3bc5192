"""Tests which colour the model's processor receives for a red page in BGR, the channel order of pipelines."""

import sys

sys.path.insert(0, sys.argv[1])
from _alone import load_alone
from _answer import answer

MODULE = "paddlex.inference.models.doc_vlm.processors.common"
REAL = ("numpy", "PIL", "packaging")
ROWS = 56


def look(document, _folder):
    """Fetch the red page, and a grey page, which has only one channel."""
    processor = load_alone(MODULE, real=REAL)
    import numpy

    red = numpy.zeros((ROWS, ROWS, 3), "uint8")
    red[:, :, 2] = 255
    seen = processor.fetch_image(red, size_factor=28).convert("RGB").getpixel((1, 1))
    processor.fetch_image(red[:, :, 2], size_factor=28)
    document["cured"] = seen == (255, 0, 0)
    document["saw"] = "a red pixel arrives as RGB %s" % (seen,)


answer({"probe": "proof"}, look)
