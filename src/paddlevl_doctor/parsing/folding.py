"""Text without what does not matter when two readings are compared: whitespace, and the shape of quotes and dashes."""

from __future__ import annotations

import re
import unicodedata

# "$", "\(" and "\)" only say that a model took a few words for a formula.
_DROPPED = re.compile(r"\\[()]|[\s$\u00ad\u200b-\u200f\u2060\ufeff]")
_SHAPES = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4`\u300c\u300d", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u300e\u300f", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58", "-"),
        "\u3002": ".",
        "\u3001": ",",
    }
)

_LATEX_DROPPED = re.compile(
    r"\\(?:left|right|displaystyle|limits|quad|qquad|[,;:!\[\]() ])(?![a-zA-Z])|\\(?:begin|end)\{equation\*?\}|[\s$]"
)


def fold_text(text: str) -> str:
    """Return text in NFKC without whitespace, quotes and dashes in their plain form."""
    return _DROPPED.sub("", unicodedata.normalize("NFKC", text).translate(_SHAPES))


def fold_latex(latex: str) -> str:
    """Return LaTeX without whitespace, spacing commands and the marks of a display."""
    return _LATEX_DROPPED.sub("", latex).replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
