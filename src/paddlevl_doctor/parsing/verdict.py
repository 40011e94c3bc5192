"""The verdict: is what was read what the document says? It must be able to fail, and to say where.

Compared are the characters in reading order, whitespace aside, so that a lost paragraph and exchanged columns count;
and each part of the page on its own, so that a short heading cannot drown in a long page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from paddlevl_doctor.parsing.folding import fold_latex, fold_text
from paddlevl_doctor.parsing.model import Block, Box, Page, Reading
from paddlevl_doctor.parsing.tables import rows_of, shape
from paddlevl_doctor.parsing.truth import Truth, TruthBlock, TruthPage

STRUCTURE = "table-structure"
READER_CLAIMS = frozenset({"title", "heading", "text", "caption", "table"})
"""The reader claims the text of all these, that of a table's cells among it."""
NATIVE_CLAIMS = READER_CLAIMS | {STRUCTURE, "formula"}
THRESHOLDS = {"reader": 0.97, "native": 0.9}
"""The similarity that is needed. Reader, measured: 1.0 on the demo page and 0.998 to 1.0 on copies of it blurred by
2 pixels, at 75 to 300 dpi, with strong noise, turned by half a degree or as JPEG of quality 30; without any one of its
paragraphs at most 0.96. Native: not measured (unverified)."""

_PART_FLOOR = 0.75
"""A part of the page of which less was found is missing or was misread."""
_NAMED_PARTS = 3
_LONG = 24
"""Characters from which a second copy of a part is no chance."""
_REPEATED = re.compile(r"(.{4,80}?)\1{5,}", re.DOTALL)
"""A model that no longer stops: the same 4 to 80 characters six times on end."""
_INSIDE = 0.7
_MARGIN = 0.01
"""How far, in page widths, a line may stick out of the box of the part that it belongs to."""

_FIGURES = ("figure", "image", "chart", "seal", "header_image", "footer_image")
_FORMULAS = ("formula", "display_formula")

_SENTENCES = {
    "nothing": {"en": "Nothing was read.", "zh": "什么都没有读出来。"},
    "part": {
        "en": "{kind} '{name}': only {score:.0%} of it was found in what was read.",
        "zh": "{kind}“{name}”：读出的内容中只找到了其中的 {score:.0%}。",
    },
    "extra": {
        "en": "{read} characters were read where {known} are known: text was repeated or made up.",
        "zh": "已知文本为 {known} 个字符，却读出了 {read} 个：有重复或凭空多出的文字。",
    },
    "order": {
        "en": "All parts were read, but not in the order of the page.",
        "zh": "各部分都读出来了，但顺序与页面不符。",
    },
    "differs": {
        "en": "The part that differs most is {kind} '{name}': {score:.0%}.",
        "zh": "差异最大的是{kind}“{name}”：{score:.0%}。",
    },
    "loop": {
        "en": "'{text}' is repeated {times} times on end: the engine did not stop.",
        "zh": "“{text}”连续重复了 {times} 次：引擎没有正常停止。",
    },
    "twice": {
        "en": "{kind} '{name}' was read {times} times.",
        "zh": "{kind}“{name}”被读出了 {times} 次。",
    },
    "structure": {
        "en": "A table has {known} rows x columns, but {read} was read.",
        "zh": "表格应为 {known}（行 x 列），读出的却是 {read}。",
    },
    "not-judged": {
        "en": "Not judged, because this engine does not claim to read it: {kinds}.",
        "zh": "未评判（该引擎不负责读取）：{kinds}。",
    },
}
_KINDS = {
    "title": {"en": "title", "zh": "标题"},
    "heading": {"en": "heading", "zh": "小标题"},
    "text": {"en": "text", "zh": "正文"},
    "caption": {"en": "caption", "zh": "图表说明"},
    "table": {"en": "table", "zh": "表格"},
    "formula": {"en": "formula", "zh": "公式"},
    "figure": {"en": "figure", "zh": "插图"},
    STRUCTURE: {"en": "table structure", "zh": "表格结构"},
}


@dataclass(frozen=True)
class Verdict:
    """Whether a document was read well enough; similarity and threshold from 0 to 1, `reference` names the truth."""

    passed: bool
    similarity: float
    threshold: float
    reference: str
    reasons: tuple[str, ...] = ()
    """Why it failed, and what was not judged."""


@dataclass(frozen=True)
class _Part:
    """One judged part of the truth: its kind, how to call it, and the folded characters to be found."""

    kind: str
    name: str
    characters: str


def judge(
    reading: Reading, truth: Truth, *, claims: frozenset[str], threshold: float, lang: str = "en"
) -> Verdict:
    """Compare a reading with what the document says; `claims` are the kinds that the engine claims to read."""
    parts = [_part(block) for page in truth.pages for block in page.blocks if _is_judged(block, claims)]
    known, read = "".join(part.characters for part in parts), "".join(_read(reading, truth, claims))
    similarity = Levenshtein.normalized_similarity(known, read) if read else 0.0
    faults = list(_faults(parts, known, read, lang)) if read else [_say("nothing", lang)]
    if STRUCTURE in claims:
        faults += _table_faults(reading, truth, lang)
    if similarity < threshold and not faults:
        faults.append(_difference(parts, known, read, lang))
    passed = similarity >= threshold and not faults
    notes = _not_judged(truth, claims, lang)
    return Verdict(passed, round(similarity, 4), threshold, truth.name, (*faults, *notes))


def _say(key: str, lang: str, **values: object) -> str:
    return _SENTENCES[key][lang].format(**values)


def _kind(kind: str, lang: str) -> str:
    return _KINDS.get(kind, _KINDS["text"])[lang]


# --- what is compared -----------------------------------------------------------------------------------------


def _is_judged(block: TruthBlock, claims: frozenset[str]) -> bool:
    kind = block.kind if block.kind in _KINDS else "text"
    return kind in claims and bool(block.text.strip() or block.rows or block.latex)


def _part(block: TruthBlock) -> _Part:
    text = block.latex or block.text or " ".join(cell for row in block.rows for cell in row)
    name = text if len(text) <= _LONG else text[:_LONG].rstrip() + "…"
    return _Part(block.kind, name, fold_latex(text) if block.latex else fold_text(text))


def _read(reading: Reading, truth: Truth, claims: frozenset[str]) -> Iterator[str]:
    """Yield the folded characters of every block, those aside that lie where nothing is judged."""
    for page in reading.pages:
        ignored = list(_ignored_boxes(page, truth, claims))
        for block in page.blocks:
            if block.kind not in _FIGURES and not any(_is_inside(block.box, box) for box in ignored):
                yield _characters(block)


def _characters(block: Block) -> str:
    if block.kind in _FORMULAS:
        return fold_latex(block.text)
    cells = [cell for row in rows_of(block.text) for cell in row] if block.kind == "table" else []
    return fold_text("".join(cells) or block.text)


def _ignored_boxes(page: Page, truth: Truth, claims: frozenset[str]) -> Iterator[Box]:
    """Yield the boxes of what is not judged on this page, a little wider, in the pixels of the reading."""
    known = truth.pages[page.index] if page.index < len(truth.pages) else TruthPage(())
    if not known.width or not known.height:
        return
    across, down, margin = page.width / known.width, page.height / known.height, _MARGIN * page.width
    for block in known.blocks:
        if block.box is not None and not _is_judged(block, claims):
            left, top, right, bottom = block.box
            yield (
                round(left * across - margin),
                round(top * down - margin),
                round(right * across + margin),
                round(bottom * down + margin),
            )


def _is_inside(inner: Box, outer: Box) -> bool:
    wide = min(inner[2], outer[2]) - max(inner[0], outer[0])
    high = min(inner[3], outer[3]) - max(inner[1], outer[1])
    area = (inner[2] - inner[0]) * (inner[3] - inner[1])
    return wide > 0 and high > 0 and wide * high >= _INSIDE * area


# --- what is wrong --------------------------------------------------------------------------------------------


def _score(part: _Part, read: str) -> float:
    """Return how much of a part is somewhere in what was read, 0 to 1."""
    if len(part.characters) > len(read):
        return Levenshtein.normalized_similarity(part.characters, read)
    return fuzz.partial_ratio(part.characters, read) / 100


def _faults(parts: list[_Part], known: str, read: str, lang: str) -> Iterator[str]:
    """Yield what makes a reading fail however similar it is on the whole."""
    scored = sorted(((_score(part, read), part) for part in parts), key=lambda pair: pair[0])
    missed = [(score, part) for score, part in scored if score < _PART_FLOOR]
    for score, part in missed[:_NAMED_PARTS]:
        yield _say("part", lang, kind=_kind(part.kind, lang), name=part.name, score=score)
    loop = _REPEATED.search(read)
    if loop is not None and loop[0] not in known:
        yield _say("loop", lang, text=loop[1], times=len(loop[0]) // len(loop[1]))
    doubled = [part for part in parts if read.count(part.characters) > known.count(part.characters)]
    for part in [part for part in doubled if len(part.characters) >= _LONG][:_NAMED_PARTS]:
        times = read.count(part.characters)
        yield _say("twice", lang, kind=_kind(part.kind, lang), name=part.name, times=times)


def _difference(parts: list[_Part], known: str, read: str, lang: str) -> str:
    """Return the likely reason why a reading differs too much although every part was found."""
    score, part = min(((_score(part, read), part) for part in parts), key=lambda pair: pair[0])
    if len(read) > 1.1 * len(known):
        return _say("extra", lang, read=len(read), known=len(known))
    if score >= 0.9:  # noqa: PLR2004 - everything is there
        return _say("order", lang)
    return _say("differs", lang, kind=_kind(part.kind, lang), name=part.name, score=score)


def _table_faults(reading: Reading, truth: Truth, lang: str) -> list[str]:
    """Compare rows x columns of the tables, one after the other."""
    known = [shape(block.rows) for page in truth.pages for block in page.blocks if block.rows]
    read = [shape(rows_of(b.text)) for page in reading.pages for b in page.blocks if b.kind == "table"]
    read += [(0, 0)] * (len(known) - len(read))
    return [
        _say("structure", lang, known=f"{a[0]} x {a[1]}", read=f"{b[0]} x {b[1]}")
        for a, b in zip(known, read, strict=False)
        if a != b
    ]


def _not_judged(truth: Truth, claims: frozenset[str], lang: str) -> tuple[str, ...]:
    blocks = [block for page in truth.pages for block in page.blocks]
    kinds = dict.fromkeys(b.kind for b in blocks if b.kind in _KINDS and not _is_judged(b, claims))
    if STRUCTURE not in claims and any(block.rows for block in blocks):
        kinds[STRUCTURE] = None
    names = ("、" if lang == "zh" else ", ").join(_kind(kind, lang) for kind in kinds)
    return (_say("not-judged", lang, kinds=names),) if kinds else ()
