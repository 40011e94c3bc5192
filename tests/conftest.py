"""What pytest prints at its end: what the tests of kills hit, because a number of them alone says little."""

from __future__ import annotations

from collections import Counter

import pytest

from kills import PROPERTY


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
