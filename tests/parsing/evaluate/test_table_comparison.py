"""Tables are matched by their text, and differences are named by row and column."""

from __future__ import annotations

import pytest

from paddlevl_doctor.parsing.evaluate.ground_truth import Truth, TruthBlock, TruthPage
from paddlevl_doctor.parsing.evaluate.tables import TableFaults, table_faults
from paddlevl_doctor.values.pages import Block
from samples import reading
from wording import worded

Rows = tuple[tuple[str, ...], ...]
FRUIT: Rows = (("Name", "Size"), ("Alpha", "100"), ("Beta", "200"), ("Gamma", "300"))
CITIES: Rows = (("City", "Country", "People"), ("Oslo", "Norway", "700k"), ("Paris", "France", "2M"))
TRUTH = Truth("x", (TruthPage((TruthBlock("table", "", rows=FRUIT), TruthBlock("table", "", rows=CITIES))),))
FIRST, SECOND = "Table 1 ('Name Size Alpha 100 Beta…')", "Table 2 ('City Country People Oslo…')"


def html(rows: Rows) -> str:
    return "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)


def compared(*tables: str, truth: Truth = TRUTH) -> TableFaults:
    blocks = (Block("table", f"<table>{words}</table>", (0, 0, 1, 1)) for words in tables)
    return worded(table_faults(reading(*blocks), truth, 0.9))


def test_correct_tables_have_no_faults_in_any_order() -> None:
    assert compared(html(FRUIT), html(CITIES)) == TableFaults()
    assert compared(html(CITIES), html(FRUIT)) == TableFaults()


def test_a_missing_table_does_not_shift_the_others() -> None:
    assert compared(html(CITIES)) == TableFaults((f"{FIRST} was not read as a table.",))


def test_an_extra_table_is_a_fault_if_the_ground_truth_has_tables() -> None:
    extra = html((("Zig", "Zag"), ("1", "2")))
    plain = Truth("x", (TruthPage((TruthBlock("text", "Name Size"),)),))

    assert compared(html(FRUIT), html(CITIES), extra) == TableFaults(
        ("A table was read that is not in the document: 'Zig Zag 1 2'.",)
    )
    assert compared(extra, truth=plain) == TableFaults()


@pytest.mark.parametrize(
    ("rows", "reasons"),
    [
        (
            (FRUIT[0], FRUIT[1], FRUIT[3]),
            ("has 4 x 2 rows x columns, but 3 x 2 were read.", "row 3 is missing: 'Beta | 200'"),
        ),
        (
            (*FRUIT, ("Delta", "400")),
            (
                "has 4 x 2 rows x columns, but 5 x 2 were read.",
                "row 5 of the result is not in the document: 'Delta | 400'",
            ),
        ),
        (
            tuple(row[:1] for row in FRUIT),
            (
                "has 4 x 2 rows x columns, but 4 x 1 were read.",
                "column 2 is missing: 'Size | 100 | 200 | 300'",
            ),
        ),
        (
            tuple((row[0], "new", row[1]) for row in FRUIT),
            (
                "has 4 x 2 rows x columns, but 4 x 3 were read.",
                "column 2 of the result is not in the document: 'new | new | new | new'",
            ),
        ),
    ],
)
def test_a_missing_or_extra_row_or_column_is_named(rows: Rows, reasons: tuple[str, str]) -> None:
    shape, what = reasons
    assert compared(html(rows), html(CITIES)) == TableFaults((f"{FIRST} {shape}", f"Table 1: {what}"))


def test_a_misread_cell_is_named_and_is_no_fault() -> None:
    read = (CITIES[0], ("Oslo", "Norwav", "700k"), CITIES[2])

    assert compared(html(FRUIT), html(read)) == TableFaults(
        (), ("Table 2: cell (2,2) is 'Norway', but 'Norwav' was read.",)
    )


def test_displaced_cells_fail_although_no_text_is_missing() -> None:
    read = (CITIES[0], ("Oslo", "", "Norway700k"), CITIES[2])

    assert compared(html(FRUIT), html(read)) == TableFaults(
        (
            f"{SECOND}: 84% of its cells are correct and in place (required: 90%).",
            "Table 2: cell (2,2) is 'Norway', but '' was read.",
            "Table 2: cell (2,3) is '700k', but 'Norway700k' was read.",
        )
    )


@pytest.mark.parametrize("middle", ["", "Both"])
def test_the_ground_truth_may_have_the_text_of_a_merged_cell_once_or_repeated(middle: str) -> None:
    rows: Rows = (("Both", middle, "A"), ("x", "y", "z"))
    truth = Truth("x", (TruthPage((TruthBlock("table", "", rows=rows),)),))
    merged = "<tr><td colspan=2>Both</td><td>A</td></tr>" + html(rows[1:])

    assert compared(merged, truth=truth) == TableFaults()


def test_of_many_differences_the_first_ones_are_named() -> None:
    rows = tuple((f"name {n}", str(n * 7919)) for n in range(30))
    truth = Truth("x", (TruthPage((TruthBlock("table", "", rows=rows),)),))
    found = compared(html(rows[:10]), truth=truth)

    assert [reason.partition(":")[2] for reason in found.faults[1:]] == [
        f" row {n} is missing: 'name {n - 1} | {(n - 1) * 7919}'" for n in (11, 12, 13)
    ]
