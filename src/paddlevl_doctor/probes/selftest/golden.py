"""The text that the random model gives for one chart: CPU, float32, PaddleX as named.

It is meaningless and brittle on purpose: of 20 faults built into PaddleX one at a time it noticed 19, and noise of
bfloat16's size changes it too. So it is not compared on a GPU, nor with a PaddleX it was not measured on.
"""

CHART = ("black", "magenta", "white", "green")
"""The same with red and blue exchanged, so that curing that exchange does not change the text."""
MEASURED = frozenset(
    [
        "3.3.5",
        "3.3.6",
        "3.3.9",
        "3.3.10",
        "3.3.13",
        "3.4.0",
        "3.4.2",
        "3.4.3",
        "3.5.0",
        "3.6.1",
        "3.7.0",
        "3.7.2",
    ]
)
"""Each run once or more, with paddlepaddle 3.2.0, 3.2.2, 3.3.0 or 3.3.1 on Python 3.10 to 3.13: one text everywhere."""
TEXT = (
    " TR:whiteOTL:magenta#\ufffd\ufffd ChartChart\ufffd TR:black\ufffd\ufffd"
    "OTL:magenta#\ufffd\ufffd ChartChart\ufffd TR:black\ufffd\ufffd\ufffd"
)
TOKENS = 24
"""The random model never stops by itself."""


def golden_text(paddlex, device):
    """Return the text to expect, or None where only repeatability can be asked for."""
    return TEXT if device == "cpu" and paddlex in MEASURED else None
