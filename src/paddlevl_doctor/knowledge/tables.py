"""Reads the tables of the TOML files in `matrix/` into frozen dataclasses and validates their fields."""

from __future__ import annotations

import functools
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar, cast

import tomli

from paddlevl_doctor.data_files import data_folder
from paddlevl_doctor.frozen import dataclass


class KnowledgeError(ValueError):
    """A data file is missing, malformed or contradictory. This is a defect of the doctor, not of the machine.

    `file` and `field` are the position: `field` is a dotted path, empty for the whole file.
    """

    def __init__(self, file: Path | str, field: str, problem: str) -> None:
        super().__init__(f"{file}: {field}: {problem}" if field else f"{file}: {problem}")
        self.file = str(file)
        self.field = field
        self.problem = problem


@dataclass(frozen=True)
class Fact:
    """The fields that every row in `matrix/` has."""

    source: str
    """The origin of the fact: wheel:, docs:, issue:, a probe, or third-party evidence."""
    verified: str
    """How the fact was verified: wheel (read or run), docs (an official page) or unverified."""


Row = TypeVar("Row", bound=Fact)


@functools.cache
def read_tables(name: str) -> dict[str, list[dict[str, Any]]]:
    """Return the unvalidated tables of matrix/<name>.toml. Raises KnowledgeError if it is absent or not TOML."""
    path = data_folder("matrix") / f"{name}.toml"
    try:
        tables: dict[str, list[dict[str, Any]]] = tomli.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # a TOMLDecodeError is a ValueError
        raise KnowledgeError(path, "", str(error)) from error
    return tables


def load_rows(name: str, table: str, row_class: type[Row]) -> tuple[Row, ...]:
    """Return the rows of [[table]] in matrix/<name>.toml, in the order of the file, with lists as tuples.

    The rows are cached. Raises KnowledgeError if the table is absent, or if the fields of a row are not those of
    `row_class`.
    """
    rows: tuple[Row, ...] = _cached_rows(
        name, table, cast("Hashable", row_class)
    )  # mypy: a class is hashable
    return rows


@functools.cache
def _cached_rows(name: str, table: str, row_class: Any) -> tuple[Any, ...]:
    file, rows = f"matrix/{name}.toml", read_tables(name).get(table)
    if rows is None:
        raise KnowledgeError(file, table, "no such table")
    parsed = []
    for number, row in enumerate(rows):
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
        try:
            parsed.append(row_class(**values))
        except TypeError as error:
            raise KnowledgeError(file, f"{table}.{number}", str(error)) from error
    return tuple(parsed)


def clear_cache() -> None:
    """Forget the tables, so that the next call reads the files again."""
    read_tables.cache_clear()
    _cached_rows.cache_clear()


def numbers(version: str) -> tuple[int, ...]:
    """Return the leading dotted numbers of a version, for comparisons: "550.54.14" gives (550, 54, 14).

    A suffix is ignored; a version without a number gives (). Versions of drivers and CUDA and compute
    capabilities need no more, and importing packaging.version would cost `check` 20 ms.
    """
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
