"""Reads one table of a file in matrix/ into frozen rows, and refuses a row that is not as its class says."""

from __future__ import annotations

import functools
import re
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import tomli

from paddlevl_doctor.data_files import data_folder


class KnowledgeError(ValueError):
    """A data file is missing, malformed or contradicts itself: a defect of the doctor, not of the machine.

    `file` and `field` say where (`field` as a dotted path, empty for the file as a whole).
    """

    def __init__(self, file: Path | str, field: str, problem: str) -> None:
        super().__init__(f"{file}: {field}: {problem}" if field else f"{file}: {problem}")
        self.file = str(file)
        self.field = field
        self.problem = problem


@dataclass(frozen=True)
class Fact:
    """What every row of the matrix carries."""

    source: str
    """Where the fact is from: wheel:, docs:, issue:, a probe, or third-party evidence."""
    verified: str
    """wheel (read or run), docs (an official page) or unverified."""


Row = TypeVar("Row", bound=Fact)


@functools.cache
def read_tables(name: str) -> dict[str, list[dict[str, Any]]]:
    """Return the tables of matrix/<name>.toml as they stand.

    Raises KnowledgeError for a file that is absent or no TOML.
    """

    path = data_folder("matrix") / f"{name}.toml"
    try:
        tables: dict[str, list[dict[str, Any]]] = tomli.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # a TOMLDecodeError is a ValueError
        raise KnowledgeError(path, "", str(error)) from error
    return tables


def load_rows(name: str, table: str, kind: type[Row]) -> tuple[Row, ...]:
    """Return the rows of [[table]] in matrix/<name>.toml, in the file's order, lists as tuples; read once.

    Raises KnowledgeError where the table is absent, or a row lacks a field or has one that `kind` does not
    know.
    """
    rows: tuple[Row, ...] = _rows_of(name, table, cast("Hashable", kind))  # mypy doubts that classes are
    return rows


@functools.cache
def _rows_of(name: str, table: str, kind: Any) -> tuple[Any, ...]:
    rows = read_tables(name).get(table)
    if rows is None:
        raise KnowledgeError(f"matrix/{name}.toml", table, "no such table")
    return tuple(_row(f"matrix/{name}.toml", f"{table}.{n}", row, kind) for n, row in enumerate(rows))


def forget() -> None:
    """Read the files again when they are next asked for."""
    read_tables.cache_clear()
    _rows_of.cache_clear()


def _row(file: str, field: str, row: dict[str, Any], kind: type[Row]) -> Row:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in row.items()
    }
    try:
        return kind(**values)
    except TypeError as error:
        raise KnowledgeError(file, field, str(error)) from error


def numbers(version: str) -> tuple[int, ...]:
    """Return the leading dotted numbers of a version, for comparing: "550.54.14" gives (550, 54, 14).

    Drivers, CUDA and compute capabilities are numbered plainly; this spares `check` the 20 ms that importing
    packaging.version takes. Anything else at the end is ignored, and no number at all gives ().
    """
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


__all__ = ["data_folder"]
