"""The catalogue of messages: both languages, the same placeholders, every id known and used; and how it is read."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from paddlevl_doctor.knowledge.failures import all_ids
from paddlevl_doctor.knowledge.selection_rules import RULES
from paddlevl_doctor.knowledge.version_sets import load_sets
from paddlevl_doctor.messages import (
    LANGUAGES,
    Message,
    catalogue,
    language,
    message,
    render,
    set_language,
    text,
)

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "paddlevl_doctor"
TEMPLATES = SOURCE / "report" / "templates"
MATRIX = ROOT / "matrix"

FAMILIES = {
    "rung-{}",
    "worker-{}",
    "document-{}",
    "picture-{}",
    "difference-{}",
    "witness-{}",
    "run-kind-{}",
    "matrix-part-{}",
    "gpu-{}",
    "status-{}",
    "seen-{}",
    "state-{}",
    "patch-{}",
    "room-{}",
    "rule-{}",
    "part-kind-{}",
    "evaluation-table-{}-lost",
    "evaluation-table-{}-extra",
}
"""Ids that are put together at run time; {} stands for what is filled in."""
DATA = {"set:{}:why", "failure:{}:{}", "patch:{}:title", "patch:{}:why", "patch:{}:drop_when"}
"""Ids of texts that lie in other files of matrix/."""
ID_FUNCTIONS = {"text", "message", "tr", "sentence", "_error"}
"""Functions whose first argument is the id of a message; `sentence` of knowledge/selection_rules takes a rule."""


def is_one_of(families: set[str], name: str) -> bool:
    return any(re.fullmatch(re.escape(family).replace(r"\{\}", ".+"), name) for family in families)


def first_arguments() -> Iterator[tuple[Path, ast.expr]]:
    for path in sorted(SOURCE.rglob("*.py")):
        if "probes" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = node.func
            of_screen = isinstance(called, ast.Attribute) and ast.unparse(called) in ("screen.tr", "self.tr")
            if of_screen or (isinstance(called, ast.Name) and called.id in ID_FUNCTIONS):
                yield path, node.args[0]


def pattern(joined: ast.JoinedStr) -> str:
    return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in joined.values)


def asked_for() -> tuple[set[str], set[str]]:
    """The ids that the source asks for as literals, and the patterns of those that it puts together."""
    literal: set[str] = set()
    joined: set[str] = set()
    for path, argument in first_arguments():
        rules = "selection_rules import" in path.read_text(encoding="utf-8")
        parts = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
        for part in parts:
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                literal.add(f"rule-{part.value}" if rules and part.value in RULES else part.value)
            elif isinstance(part, ast.JoinedStr):
                joined.add(pattern(part))
    for path in TEMPLATES.glob("*.html"):
        literal.update(re.findall(r'\bt\("([a-z0-9-]+)"\)', path.read_text(encoding="utf-8")))
    return literal, joined


def quoted_words() -> set[str]:
    """Every literal of the source and the templates that could be an id."""
    files = [*SOURCE.rglob("*.py"), *TEMPLATES.iterdir()]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return set(re.findall(r"""["']([a-z0-9]+(?:-[a-z0-9]+)*)["']""", source))


def placeholders(words: str) -> list[tuple[str, str]]:
    return sorted((name, spec or "") for _, name, spec, _ in string.Formatter().parse(words) if name)


def test_every_message_is_there_in_both_languages() -> None:
    broken = {
        name: texts
        for name, texts in catalogue().items()
        if tuple(texts) != LANGUAGES or not all(isinstance(words, str) and words for words in texts.values())
    }
    assert broken == {}


def test_both_languages_of_a_message_have_the_same_placeholders() -> None:
    found = {name: [placeholders(texts[lang]) for lang in LANGUAGES] for name, texts in catalogue().items()}
    assert {name: both for name, both in found.items() if both[0] != both[1]} == {}


def test_every_placeholder_is_a_plain_name() -> None:
    names = {name for texts in catalogue().values() for name, _ in placeholders(texts["en"])}
    assert {name for name in names if not re.fullmatch(r"[a-z_0-9]+", name)} == set()


def test_an_id_is_in_one_file_only_and_every_file_is_read() -> None:
    ids = [
        name
        for path in sorted((MATRIX / "messages").iterdir())
        for name in re.findall(r"^\[(.+)\]$", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert sorted(ids) == sorted(catalogue())


def test_no_message_is_left_over() -> None:
    used = quoted_words() | {f"rule-{rule}" for rule in RULES}
    families = FAMILIES - {"rule-{}"}
    assert [name for name in catalogue() if name not in used and not is_one_of(families, name)] == []


def test_no_message_is_asked_for_that_does_not_exist() -> None:
    literal, joined = asked_for()
    assert literal - set(catalogue()) == set()
    assert joined - FAMILIES - DATA == set()
    without_any = {family for family in FAMILIES if not any(is_one_of({family}, n) for n in catalogue())}
    assert without_any == set()


def test_every_reason_for_no_gpu_has_its_message() -> None:
    source = (SOURCE / "facts" / "gpu.py").read_text(encoding="utf-8")
    reasons = set(re.findall(r'"((?:no|library|driver|nvml)-[a-z-]+)"', source))
    assert reasons
    assert {reason for reason in reasons if f"gpu-{reason}" not in catalogue()} == set()


def test_a_message_is_worded_in_the_language_that_is_asked_for() -> None:
    said = message("target-vanished", path=Path("/venv"))
    assert said == Message("target-vanished", {"path": Path("/venv")})
    assert [render(said, lang) for lang in LANGUAGES] == [
        "The environment /venv no longer exists.",
        "环境 /venv 已不存在。",
    ]
    assert (str(said), len({said, message("target-vanished", path="/other")})) == (
        "The environment /venv no longer exists.",
        2,
    )


def test_a_text_stays_as_it_is() -> None:
    assert render("{path} as it is", "zh") == "{path} as it is"


def test_messages_within_a_message_are_worded_with_it_and_lists_get_their_separator() -> None:
    kinds = (message("part-kind-table"), message("part-kind-formula"), "x.png")
    said = message("evaluation-not-judged", kinds=kinds)
    assert render(said, "en").endswith(": table, formula, x.png.")
    assert render(said, "zh").endswith("：表格、公式、x.png。")


def test_numbers_keep_the_format_of_their_placeholder() -> None:
    said = message("rule-gpu-memory-short", gpu="T4", has=15.04, peak=17.26)
    assert "15.0 GB" in render(said, "en")
    assert "17.3 GB" in render(said, "zh")


def test_text_follows_the_language_of_the_run() -> None:
    before = language()
    try:
        set_language("zh")
        assert text("exit-status", code=3) == "退出码 3"
    finally:
        set_language(before)


@pytest.mark.parametrize("name", ["no-such-message", "failure:no-such-failure:cause", "set:none:why"])
def test_an_unknown_id_is_refused_where_it_is_worded(name: str) -> None:
    said = message(name)
    with pytest.raises(KeyError):
        render(said, "en")


def test_a_placeholder_without_a_value_is_refused() -> None:
    for name in ("target-vanished", "failure:driver-too-old:title.bad"):
        with pytest.raises(KeyError, match=r"path|driver"):
            render(message(name), "en")


def test_the_texts_of_a_failure_are_messages_too() -> None:
    title = message("failure:driver-too-old:title.bad", driver="470.1", cuda="12.9", needed="{525}")
    assert "470.1" in render(title, "en")
    assert "{525}" in render(title, "zh")
    for failure in all_ids():
        assert render(message(f"failure:{failure}:title.short"), "zh")


def test_the_reason_of_a_version_set_is_a_message_too() -> None:
    for one in load_sets():
        said = message(f"set:{one.name}:why")
        assert [render(said, lang) for lang in LANGUAGES] == [one.why_en, one.why_zh]
