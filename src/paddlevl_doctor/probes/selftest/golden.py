"""The text that the random model gives for the golden chart: CPU, float32, PaddleX as named.

It is meaningless and brittle on purpose; noise of 1.6 % on the layers changes it in most runs, so it is not
compared on a GPU, nor with a PaddleX it was not measured on.
"""

MEASURED = ("3.3.6", "3.7.2")
TEXT = "\b\x1fFormulaChart\ufffd TR:blackFormulaChart\ufffd TR:blackFormula [Seal]"
TOKENS = 24
"""The random model never stops by itself."""


def golden_text(paddlex, device):
    """Return the text to expect, or None where only repeatability can be asked for."""
    return TEXT if device == "cpu" and paddlex in MEASURED else None
