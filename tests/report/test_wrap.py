"""A paragraph is wrapped for the terminal, and no line ends within a command."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from paddlevl_doctor.report.wrap import wrapped

COMMAND = "`.doctor/bin/paddlevl-doctor fix --apply --only setuptools-missing --venv 'my env'`"


def lines(paragraph: str, width: int) -> list[str]:
    return [line.plain for line in wrapped(Text(paragraph), width)]


@pytest.mark.parametrize(
    ("paragraph", "width", "expected"),
    [
        ("one two three", 8, ["one two", "three"]),
        ("one two three", 13, ["one two three"]),
        ("run `a b c` now.", 8, ["run", "`a b c`", "now."]),
        ("run `a b c`.", 5, ["run", "`a b c`."]),
        ("", 8, [""]),
        ("one\n\ntwo", 8, ["one", "", "two"]),
        ("   one two", 8, ["   one", "two"]),
        ("请先处理，再运行 `a b c`；好", 12, ["请先处理，再", "运行", "`a b c`；好"]),
        ("a ` b", 3, ["a `", "b"]),
    ],
)
def test_the_lines_of_a_paragraph(paragraph: str, width: int, expected: list[str]) -> None:
    assert lines(paragraph, width) == expected


@pytest.mark.parametrize("width", [10, 40, 80, 200])
def test_a_command_is_in_one_line_whatever_the_width(width: int) -> None:
    assert any(
        COMMAND in line for line in lines(f"Install it: {COMMAND}. Then look again at the page.", width)
    )


WORDS = st.text("ab `，。字 \n'-", max_size=60)


@given(WORDS, st.integers(4, 30))
def test_nothing_is_lost_and_a_line_with_several_pieces_fits(paragraph: str, width: int) -> None:
    found = lines(paragraph, width)
    assert "".join("".join(found).split()) == "".join(paragraph.split())
    for line in found:
        assert cell_len(line) <= width or "`" in line or " " not in line.strip()


def test_styles_stay_with_their_words() -> None:
    paragraph = Text.assemble(("label: ", "bold"), "one two three")
    first, *rest = wrapped(paragraph, 8)
    assert (first.plain, [line.plain for line in rest]) == ("label:", ["one two", "three"])
    assert any(span.style == "bold" for span in first.spans)
