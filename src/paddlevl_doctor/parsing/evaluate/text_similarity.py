"""Normalises texts and compares them regardless of line breaks, spaces, markup and small misreadings.

`fold_text` keeps punctuation, for the comparison with a ground truth; `comparison_key` keeps letters and digits only
and maps characters that OCR confuses to one. Lengths below are those of `information_length` for comparison keys.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

# Whitespace, and "$", "\(" and "\)": with these a model marks words that it takes for a formula.
_IGNORED = re.compile(r"\\[()]|[\s$\u00ad\u200b-\u200f\u2060\ufeff]")
_PLAIN_PUNCTUATION = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4`\u300c\u300d", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u300e\u300f", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58", "-"),
        "\u3002": ".",
        "\u3001": ",",
    }
)

_IGNORED_LATEX = re.compile(
    r"\\(?:left|right|displaystyle|limits|quad|qquad|[,;:!\[\]() ])(?![a-zA-Z])|\\(?:begin|end)\{equation\*?\}|[\s$]"
)


def fold_text(text: str) -> str:
    """Return a text in NFKC without whitespace and with plain quotes and dashes."""
    return _IGNORED.sub("", unicodedata.normalize("NFKC", text).translate(_PLAIN_PUNCTUATION))


def fold_latex(latex: str) -> str:
    """Return LaTeX without whitespace, spacing commands and display delimiters."""
    return _IGNORED_LATEX.sub("", latex).replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")


FORMULA = "\ufffc"
"""Placeholder for an inline formula, which OCR cannot read (Unicode: object replacement character)."""

IDEOGRAPHS = "\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Chinese characters and kana (scripts without spaces), for a character class of a regular expression."""

_FORMULA = re.compile(r"\$\$?[^$]{1,400}?\$\$?|\\\(.{1,400}?\\\)|\\\[.{1,400}?\\\]", re.DOTALL)
_LATEX_MARKUP = re.compile(r"\\[a-zA-Z]|[\^_]")
"""Text between dollar signs without any of these is plain text or an amount of money."""
_TAG = re.compile(
    r"</?(?:a|b|body|br|caption|center|div|em|html|i|img|p|s|span|strong|su[bp]"
    r"|t(?:able|body|d|foot|h|head|r)|u)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
"""The tags that PaddleOCR-VL and its Markdown use; any other "<...>" may be text."""
_COMMAND = re.compile(r"\\(?:begin|end)\{[^}]*\}|\\[a-zA-Z]+")
_CONFUSABLE = str.maketrans("oli", "011")
"""Characters that OCR confuses, in lower case: o and 0; l, i and 1."""
_IDEOGRAPH = re.compile(f"[{IDEOGRAPHS}]")

_MIN_MISSING_LENGTH = 5
"""Length from which a gap is missing text; misreading can remove up to four letters at the end of a line."""
_MIN_CLIPPED_LENGTH = 4
"""The same if the other text has nothing at all in this place, so that nothing was misread."""
_MIN_ANCHOR_CHARS = 4
"""Length from which equal characters are an anchor; shorter runs occur by chance in any two English texts."""
_MAX_FORMULA_LENGTH = 30
"""Length up to which OCR text in the place of an inline formula is taken for that formula."""
_SHORT_TEXT_CHARS = 12
"""Shorter texts are compared by pairs of characters: one misread character may leave no 4-gram intact."""


def without_tags(text: str) -> str:
    """Return a text without HTML tags and entities; a table becomes its cells, row by row."""
    return html.unescape(_TAG.sub(" ", text))


def without_latex(text: str) -> str:
    """Return a text with FORMULA for each inline formula that has LaTeX markup, and without commands elsewhere."""
    marked = _FORMULA.sub(lambda found: FORMULA if _LATEX_MARKUP.search(found[0]) else found[0], text)
    return _COMMAND.sub(" ", marked)


def comparison_key(text: str) -> str:
    """Return the letters and digits of a text in lower case without accents, and FORMULA for formulas."""
    folded = unicodedata.normalize("NFKD", fold_text(without_latex(without_tags(text))).casefold())
    kept = "".join(char for char in folded if char.isalnum() or char == FORMULA)
    return unicodedata.normalize("NFC", kept).translate(_CONFUSABLE)  # NFC composes Hangul syllables again


def information_length(text: str) -> int:
    """Return the length of a text in letters; an ideograph counts as two."""
    return len(text) + len(_IDEOGRAPH.findall(text))


def missing_pieces(line: str, text: str) -> list[str]:
    """Return the pieces of `line` that are missing in the most similar place of `text`; [] if nothing is missing.

    A misread character is no missing piece, and neither is text that `text` has as a formula.
    """
    if line in text:
        return []
    match = fuzz.partial_ratio_alignment(line, text) if line and text else None
    if match is None:
        return [line] if information_length(line) >= _MIN_MISSING_LENGTH else []
    margin = len(line) // 4 + _MIN_ANCHOR_CHARS  # `text` may have a few more characters within the line
    near = text[max(0, match.dest_start - margin) : match.dest_end + margin]
    return [line[start:end] for start, end in missing_spans(line, near)]


def missing_spans(line: str, near: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each part of `line` for which `near` has too little text between two anchors."""
    equal = [step for step in Levenshtein.opcodes(line, near) if step.tag == "equal"]
    kept = {at for step in equal for at in range(step.src_start, step.src_end)}
    anchors = [step for step in equal if step.src_end - step.src_start >= _MIN_ANCHOR_CHARS]
    starts = [(0, 0), *((step.src_end, step.dest_end) for step in anchors)]
    ends = [*((step.src_start, step.dest_start) for step in anchors), (len(line), len(near))]
    for (start, near_start), (end, near_end) in zip(starts, ends, strict=True):
        between = near[near_start:near_end]
        if start > 0 and end < len(line):
            missing = information_length(line[start:end]) - information_length(between)
        else:  # text before or after the line belongs to another line
            missing = information_length("".join(line[at] for at in range(start, end) if at not in kept))
        is_formula = FORMULA in between and information_length(line[start:end]) <= _MAX_FORMULA_LENGTH
        if missing >= (_MIN_MISSING_LENGTH if between else _MIN_CLIPPED_LENGTH) and not is_formula:
            yield start, end


def ngram_overlap(text: str, other: str, run: int = 4) -> float:
    """Return the share of `text`, 0 to 1, that consists of n-grams of `run` characters that `other` contains."""
    run = 2 if len(text) < _SHORT_TEXT_CHARS else run
    shared = reached = 0
    for start in range(len(text) - run + 1):
        if text[start : start + run] in other:
            shared += start + run - max(reached, start)
            reached = start + run
    return shared / len(text) if text else 0.0


def fuzzy_contains(piece: str, text: str, min_similarity: float) -> bool:
    """Return whether any place of `text` has at least this similarity with `piece`, 0 to 1."""
    if not text or len(piece) > len(text):
        return bool(text) and Levenshtein.normalized_similarity(piece, text) >= min_similarity
    return piece in text or fuzz.partial_ratio(piece, text, score_cutoff=100 * min_similarity) > 0
