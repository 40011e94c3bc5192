"""The text that the random model gives for one chart: CPU, float32, PaddleX as named.

It is meaningless, and sensitive on purpose: of 20 faults built into PaddleX one at a time it noticed 19, where the
colour charts noticed 14. Relative noise of 0.4 % on every layer left it alone in 20 of 20 runs, of 1.6 % in 4 of 20,
so it is not compared on a GPU, nor with a PaddleX it was not measured on.
"""

CHART = ("black", "magenta", "white", "green")
"""The same with red and blue exchanged, so that curing that exchange does not change the text."""
MEASURED = "3.3.5 3.3.6 3.3.9 3.3.10 3.3.13 3.4.0 3.4.2 3.4.3 3.5.0 3.6.1 3.7.0 3.7.2".split()  # noqa: SIM905
"""Each run once or more, with paddlepaddle 3.2.0, 3.2.2, 3.3.0 or 3.3.1 on Python 3.10 to 3.13: one text everywhere."""
TEXT = (
    " TR:whiteOTL:magenta#\ufffd\ufffd ChartChart\ufffd TR:black\ufffd\ufffd"
    "OTL:magenta#\ufffd\ufffd ChartChart\ufffd TR:black\ufffd\ufffd\ufffd"
)
TOKENS = 24
"""The random model never stops by itself."""


def golden_text(paddlex, device):
    """Return the expected text, or None where only repeatability can be tested."""
    return TEXT if device == "cpu" and paddlex in MEASURED else None
