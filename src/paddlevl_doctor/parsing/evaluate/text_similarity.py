"""How much of one text is in another, however either reader broke, spaced, marked up or slightly misread it.

Both readers' texts are first brought to their `characters`: letters and digits alone, alike ones as one. All weights
and lengths below count these characters."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

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


FORMULA = "\ufffc"
"""Stands for an inline formula, which the witness cannot read (Unicode's own sign for an embedded object)."""

IDEOGRAPHS = "\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Chinese characters and kana, for a regular expression: scripts that are written without spaces."""

_FORMULA = re.compile(r"\$\$?[^$]{1,400}?\$\$?|\\\(.{1,400}?\\\)|\\\[.{1,400}?\\\]", re.DOTALL)
_LATEX_SIGNS = re.compile(r"\\[a-zA-Z]|[\^_]")
"""Without these, what stands between dollars is plain text or money."""
_TAG = re.compile(
    r"</?(?:a|b|body|br|caption|center|div|em|html|i|img|p|s|span|strong|su[bp]"
    r"|t(?:able|body|d|foot|h|head|r)|u)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
"""What PaddleOCR-VL and its Markdown use; any other "<a ...>" may be text."""
_COMMAND = re.compile(r"\\(?:begin|end)\{[^}]*\}|\\[a-zA-Z]+")
_CONFUSABLE = str.maketrans("oli", "011")
"""Characters, lower case, that OCR confuses: O and 0, l, I and 1."""
_IDEOGRAPH = re.compile(f"[{IDEOGRAPHS}]")

_MIN_MISSING_LENGTH = 5
"""Weight from which a gap is text that is missing. Up to four letters are what misreading does to a line's end."""
_MIN_CLIPPED_LENGTH = 4
"""The same where the other text has nothing at all in the place, so that nothing was misread there."""
_MIN_EQUAL_RUN = 4
"""So many equal characters on end are the same text; fewer are chance, as between any two English texts."""
_LONGEST_FORMULA = 30
"""Weight up to which what the witness saw is taken for its view of an inline formula."""
_SHORT_TEXT_CHARS = 12
"""Texts of fewer characters are compared by pairs: one misread character leaves no run of four in them."""


def without_tags(text: str) -> str:
    """Return text without HTML tags, so a table is its cells, row by row."""
    return html.unescape(_TAG.sub(" ", text))


def without_latex(text: str) -> str:
    """Return text with FORMULA for each inline formula that has LaTeX in it, and without commands elsewhere."""
    marked = _FORMULA.sub(lambda found: FORMULA if _LATEX_SIGNS.search(found[0]) else found[0], text)
    return _COMMAND.sub(" ", marked)


def comparison_key(text: str) -> str:
    """Return what is compared of a text: letters and digits in lower case without accents, and FORMULA."""
    folded = unicodedata.normalize("NFKD", fold_text(without_latex(without_tags(text))).casefold())
    kept = "".join(sign for sign in folded if sign.isalnum() or sign == FORMULA)
    return unicodedata.normalize("NFC", kept).translate(_CONFUSABLE)  # Hangul syllables come together again


def information_length(text: str) -> int:
    """Return how much a text says, in letters: an ideograph counts for two."""
    return len(text) + len(_IDEOGRAPH.findall(text))


def missing_pieces(line: str, text: str) -> list[str]:
    """Return the pieces of `line` that are missing where `text` is most like it; [] where all of it is there.

    A character read as another one is no gap, nor is what the text has as a formula.
    """
    if line in text:
        return []
    place = fuzz.partial_ratio_alignment(line, text) if line and text else None
    if place is None:
        return [line] if information_length(line) >= _MIN_MISSING_LENGTH else []
    margin = len(line) // 4 + _MIN_EQUAL_RUN  # the text may say a little more within the line
    near = text[max(0, place.dest_start - margin) : place.dest_end + margin]
    return [line[start:end] for start, end in missing_spans(line, near)]


def missing_spans(line: str, near: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each part of `line` for which `near` has too little between two anchors."""
    same = [step for step in Levenshtein.opcodes(line, near) if step.tag == "equal"]
    kept = {at for step in same for at in range(step.src_start, step.src_end)}
    anchors = [step for step in same if step.src_end - step.src_start >= _MIN_EQUAL_RUN]
    starts = [(0, 0), *((step.src_end, step.dest_end) for step in anchors)]
    ends = [*((step.src_start, step.dest_start) for step in anchors), (len(line), len(near))]
    for (start, near_start), (end, near_end) in zip(starts, ends, strict=True):
        between = near[near_start:near_end]
        if start > 0 and end < len(line):
            missing = information_length(line[start:end]) - information_length(between)
        else:  # what comes before or after belongs to another line and makes up for nothing
            missing = information_length("".join(line[at] for at in range(start, end) if at not in kept))
        is_formula = FORMULA in between and information_length(line[start:end]) <= _LONGEST_FORMULA
        if missing >= (_MIN_MISSING_LENGTH if between else _MIN_CLIPPED_LENGTH) and not is_formula:
            yield start, end


def ngram_overlap(text: str, other: str, run: int = 4) -> float:
    """Return which part of `text`, 0 to 1, consists of runs of so many characters that are in `other`, in any order."""
    run = 2 if len(text) < _SHORT_TEXT_CHARS else run
    shared = 0
    reached = 0
    for start in range(len(text) - run + 1):
        if text[start : start + run] in other:
            shared += start + run - max(reached, start)
            reached = start + run
    return shared / len(text) if text else 0.0


def fuzzy_contains(piece: str, text: str, least: float) -> bool:
    """Return whether a place of `text` is as like `piece` as `least` says, 0 to 1."""
    if not text or len(piece) > len(text):
        return bool(text) and Levenshtein.normalized_similarity(piece, text) >= least
    return piece in text or fuzz.partial_ratio(piece, text, score_cutoff=100 * least) > 0
