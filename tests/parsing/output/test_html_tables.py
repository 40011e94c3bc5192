"""Tables in HTML become rows of plain cells, whatever the model wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddlevl_doctor.parsing.output.html_tables import Cell, cells_of, rows_of, shape


@pytest.mark.parametrize(
    ("html", "rows"),
    [
        ("no table", ()),
        ("<table></table>", ()),
        ("<table><tr><th>A</th><td> b\n c </td></tr></table>", (("A", "b c"),)),
        ("<tr><td>1<td>2<tr><td>3<td>4", (("1", "2"), ("3", "4"))),
        ("<tr><td>a &amp; <b>b</b></td></tr>", (("a & b",),)),
        ("<tr><td colspan=2>x</td><td>y</td></tr>", (("x", "", "y"),)),
        (
            "<tr><td rowspan=2>x</td><td>1</td></tr><tr><td>2</td></tr><tr><td>z</td><td>3</td></tr>",
            (("x", "1"), ("", "2"), ("z", "3")),
        ),
        ("<tr><td>1</td><td rowspan=2>x</td></tr><tr><td>2</td></tr>", (("1", "x"), ("2", ""))),
    ],
)
def test_rows_are_those_that_a_browser_shows(html, rows):
    assert rows_of(html) == rows


@pytest.mark.parametrize(
    ("html", "cells"),
    [
        ("no table", ()),
        ("<table><tr></tr></table>", ()),
        (
            "<tr><th colspan=2>A\n a</th></tr><tr><td rowspan=2><b>x</b></td><td>1</td></tr><tr><td>2</td></tr>",
            ((Cell("A a", 2, 1, True),), (Cell("x", 1, 2), Cell("1")), (Cell("2"),)),
        ),
        ("<tr><td colspan=-2 rowspan=x>1</td></tr>", ((Cell("1"),),)),
    ],
)
def test_cells_keep_their_spans(html, cells):
    assert cells_of(html) == cells


def test_a_huge_span_is_limited():
    assert shape(rows_of("<tr><td colspan=999999999>x</td></tr>")) == (1, 100)


@given(
    st.lists(
        st.sampled_from(["<tr>", "</tr>", "<td>", "<td rowspan=3 colspan=2>", "</td>", "x", "<", "&#0;"])
    )
)
def test_broken_html_never_raises(pieces):
    rows = rows_of("".join(pieces))

    assert all(isinstance(cell, str) for row in rows for cell in row)
    assert {cell.text for row in cells_of("".join(pieces)) for cell in row} <= {
        c for row in rows for c in row
    }
