"""Compares what is known of an index (matrix/indexes.toml) with what its page lists now. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from paddlevl_doctor.facts.index_page import IndexPage, PublishedWheel
from paddlevl_doctor.facts.model import Host
from paddlevl_doctor.knowledge.rules import Sentence, sentence
from paddlevl_doctor.knowledge.selection import WheelChoice
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.knowledge.wheels import load_gpu_wheels


@dataclass(frozen=True)
class IndexLook:
    """What a page said.

    `state`: confirmed (the chosen wheel is there, and every known one), differs, empty (not believed) or
    unreachable. Wheels that nobody knew yet are said and make no difference.
    """

    url: str
    state: str
    versions: tuple[str, ...]
    """What the page has for this system and this Python, the newest last."""
    said: tuple[Sentence, ...]


def compare(page: IndexPage, wheel: WheelChoice, host: Host, python: str) -> IndexLook:
    """Say whether the chosen wheel is on the page, and where the page and the known rows differ."""
    if page.problem:
        return IndexLook(page.url, "unreachable", (), (sentence("index-unreachable", reason=page.problem),))
    if not page.wheels:
        return IndexLook(page.url, "empty", (), (sentence("index-empty"),))
    minor = ".".join(python.split(".")[:2])
    mine = [w for w in page.wheels if (w.system, w.machine) == (host.system, host.machine)]
    versions = sorted({w.version for w in mine if w.python == minor}, key=numbers)
    asked = {"version": wheel.version, "python": minor, "system": host.system}
    there = wheel.version in versions
    shown = ", ".join(versions) or "-"
    first = sentence("index-confirms", **asked) if there else sentence("index-lacks", there=shown, **asked)
    said = (first, *_differences(mine, wheel.tag, host.system))
    differs = {"index-lacks", "index-fewer"} & {one.rule for one in said}
    return IndexLook(page.url, "differs" if differs else "confirmed", tuple(versions), said)


def _differences(listed: Iterable[PublishedWheel], tag: str, system: str) -> list[Sentence]:
    """Compare version by version and Python by Python; a row that names no Python as seen is not contradicted."""
    there = {(w.version, w.python) for w in listed}
    rows = [row for row in load_gpu_wheels() if (row.tag, row.system) == (tag, system)]
    known = {(row.version, python) for row in rows for python in row.pythons}
    said = []
    if known - there:
        said.append(sentence("index-fewer", names=_names(known - there)))
    more = {(version, python) for version, python in there if version not in {row.version for row in rows}}
    if more:
        said.append(sentence("index-more", names=_names(more)))
    return said


def _names(wheels: Iterable[tuple[str, str]]) -> str:
    """Show versions with their Pythons: 3.2.1 (3.9, 3.10)."""
    by_version: dict[str, list[str]] = {}
    for version, python in sorted(wheels, key=lambda pair: (numbers(pair[0]), numbers(pair[1]))):
        by_version.setdefault(version, []).append(python)
    return "; ".join(f"{version} ({', '.join(pythons)})" for version, pythons in by_version.items())
