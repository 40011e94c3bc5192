"""The workbook contains the tables as text and nothing that a spreadsheet program would execute."""

from __future__ import annotations

import io
import zipfile
from xml.etree import ElementTree

from paddlevl_doctor.parsing.output.writer import tables_of, workbook
from paddlevl_doctor.values.pages import Block, Page

BOX = (0, 0, 1, 1)


def table(*rows: str) -> Block:
    return Block("table", "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>", BOX)


def sheets(book: bytes) -> dict[str, list[dict[str, str]]]:
    """Return the rows of every sheet: texts by the names of their cells; anything but a text is an error."""
    files = zipfile.ZipFile(io.BytesIO(book))
    parts = [name for name in files.namelist() if "xl/" in name]
    trees = {name: ElementTree.fromstring(files.read(name)) for name in parts}  # noqa: S314 - written just now
    shared = ["".join(node.itertext()) for node in trees["xl/sharedStrings.xml"]]
    names = [node.attrib["name"] for node in trees["xl/workbook.xml"].iter() if node.tag.endswith("}sheet")]
    found = {}
    for number, name in enumerate(names, 1):
        rows = [
            node for node in trees[f"xl/worksheets/sheet{number}.xml"].iter() if node.tag.endswith("}row")
        ]
        assert all(cell.attrib["t"] == "s" and len(cell) == 1 for row in rows for cell in row)
        found[name] = [{cell.attrib["r"]: shared[int(cell[0].text or "")] for cell in row} for row in rows]
    return found


def test_every_table_has_a_sheet_named_by_its_page_and_number() -> None:
    pages = [
        Page(0, 1, 1, (Block("text", "no table", BOX), table("<td>a</td>"), table("<td>b</td>")), 0),
        Page(1, 1, 1, (Block("table", "a table without rows", BOX),), 0),
        Page(4, 1, 1, (table("<th rowspan=2>c</th><td>d</td>", "<td>e</td>"),), 0),
    ]
    assert sheets(workbook(list(tables_of(pages)))) == {
        "Page 1, table 1": [{"A1": "a"}],
        "Page 1, table 2": [{"A1": "b"}],
        "Page 5, table 1": [{"A1": "c", "B1": "d"}, {"A2": "", "B2": "e"}],
    }


def test_no_cell_is_a_formula_a_number_or_a_link() -> None:
    hostile = [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "{=1}",
        "12",
        "https://example.com",
        "</t><f>1</f>",
        "\x00\ufffe",
    ]
    page = Page(0, 1, 1, (table(*(f"<td>{cell.replace('<', '&lt;')}</td>" for cell in hostile)),), 0)
    (rows,) = sheets(workbook(list(tables_of([page])))).values()
    assert [next(iter(row.values())) for row in rows] == [*hostile[:-1], "_x0000__xFFFE_"]
