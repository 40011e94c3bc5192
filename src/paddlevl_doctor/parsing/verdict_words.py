"""The sentences of a verdict, in English and Chinese."""

from __future__ import annotations

SHOWN = 24
"""Characters by which a part is called."""
_QUOTED = 80
"""Characters of a text that is quoted because nobody knows it by its beginning."""

SENTENCES = {
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
        "en": "{right} of {count} parts are in the order of the page: {order:.0%} (needed: {needed:.0%}).",
        "zh": "{count} 个部分中有 {right} 个顺序与页面一致：{order:.0%}（要求 {needed:.0%}）。",
    },
    "moved": {
        "en": "{kind} '{name}' came after '{came}', but belongs after '{belongs}'.",
        "zh": "{kind}“{name}”出现在“{came}”之后，但应在“{belongs}”之后。",
    },
    "moved-first": {
        "en": "{kind} '{name}' came after '{came}', but belongs at the beginning.",
        "zh": "{kind}“{name}”出现在“{came}”之后，但应在开头。",
    },
    "moved-to-first": {
        "en": "{kind} '{name}' came at the beginning, but belongs after '{belongs}'.",
        "zh": "{kind}“{name}”出现在开头，但应在“{belongs}”之后。",
    },
    "unknown": {
        "en": "Not in the known text (page {page}): '{text}'",
        "zh": "已知文本中没有（第 {page} 页）：“{text}”",
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
    "table-missing": {
        "en": "Table {number} ('{name}') was not read as a table.",
        "zh": "表格 {number}（“{name}”）没有作为表格读出。",
    },
    "table-extra": {
        "en": "A table was read that the document has not: '{name}'.",
        "zh": "读出了文档中没有的表格：“{name}”。",
    },
    "table-shape": {
        "en": "Table {number} ('{name}') has {known} rows x columns, but {read} was read.",
        "zh": "表格 {number}（“{name}”）应为 {known}（行 x 列），读出的却是 {read}。",
    },
    "table-cells": {
        "en": "Table {number} ('{name}'): {score:.0%} of its cells are right and in place (needed: {needed:.0%}).",
        "zh": "表格 {number}（“{name}”）：{score:.0%} 的单元格内容与位置正确（要求 {needed:.0%}）。",
    },
    "table-row-lost": {
        "en": "Table {number}: row {at} is missing: '{text}'",
        "zh": "表格 {number}：缺少第 {at} 行：“{text}”",
    },
    "table-row-extra": {
        "en": "Table {number}: row {at} of what was read is not in the document: '{text}'",
        "zh": "表格 {number}：读出的第 {at} 行在文档中不存在：“{text}”",
    },
    "table-column-lost": {
        "en": "Table {number}: column {at} is missing: '{text}'",
        "zh": "表格 {number}：缺少第 {at} 列：“{text}”",
    },
    "table-column-extra": {
        "en": "Table {number}: column {at} of what was read is not in the document: '{text}'",
        "zh": "表格 {number}：读出的第 {at} 列在文档中不存在：“{text}”",
    },
    "table-cell": {
        "en": "Table {number}: cell ({row},{column}) is '{known}', but '{read}' was read.",
        "zh": "表格 {number}：单元格（{row}，{column}）应为“{known}”，读出的却是“{read}”。",
    },
    "more": {"en": "… and {count} more of this kind.", "zh": "……此类情况另有 {count} 处。"},
    "not-judged": {
        "en": "Not judged, because this engine does not claim to read it: {kinds}.",
        "zh": "未评判（该引擎不负责读取）：{kinds}。",
    },
}
KINDS = {
    "title": {"en": "title", "zh": "标题"},
    "heading": {"en": "heading", "zh": "小标题"},
    "text": {"en": "text", "zh": "正文"},
    "caption": {"en": "caption", "zh": "图表说明"},
    "table": {"en": "table", "zh": "表格"},
    "formula": {"en": "formula", "zh": "公式"},
    "figure": {"en": "figure", "zh": "插图"},
    "table-structure": {"en": "table structure", "zh": "表格结构"},
}


def say(key: str, lang: str, **values: object) -> str:
    """Return a sentence in a language."""
    return SENTENCES[key][lang].format(**values)


def kind_name(kind: str, lang: str) -> str:
    """Return what a kind of part is called; unknown ones are text."""
    return KINDS.get(kind, KINDS["text"])[lang]


def called(text: str) -> str:
    """Return the beginning of a text, by which people find it."""
    words = " ".join(text.split())
    return words if len(words) <= SHOWN else words[:SHOWN].rstrip() + "…"


def quoted(text: str) -> str:
    """Return a text on one line, cut where it is long."""
    words = " ".join(text.split())
    return words if len(words) <= _QUOTED else words[:_QUOTED].rstrip() + "…"
