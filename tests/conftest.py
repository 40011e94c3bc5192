"""For all tests: bytecode is kept as it is anywhere, and at the end pytest prints what the tests of kills hit.

A number of kills alone says little. Images for containers often set PYTHONDONTWRITEBYTECODE; every start of the
doctor and of the stack would then compile all of it anew.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from kills import PROPERTY

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Add up the kills of all workers by phase."""
    reports = [r for r in terminalreporter.stats.get("passed", []) if isinstance(r, pytest.TestReport)]
    hits: Counter[str] = Counter()
    for name, counts in (pair for report in reports for pair in report.user_properties):
        if name == PROPERTY and isinstance(counts, dict):
            hits.update(counts)
    if hits:
        terminalreporter.write_line(f"{hits.total()} kills, by where they hit:")
    for phase, count in sorted(hits.items()):
        terminalreporter.write_line(f"  {count:4d}  {phase}")
