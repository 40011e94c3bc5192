"""For all tests: bytecode is kept and a closed terminal heard as anywhere; the end tells what the tests of kills hit.

A number of kills alone says little. Images for containers often set PYTHONDONTWRITEBYTECODE; every start of the
doctor and of the stack would then compile all of it anew. Under nohup a closed terminal is heard by nobody.
Property tests try the same cases every time, so that a run fails for what was changed; `--hypothesis-profile default`
looks for new ones.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Generator

import pytest
from hypothesis import settings

from kills import PROPERTY

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.load_profile("ci")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Put the handlers of signals back after every test: Ray, for one, leaves its own behind."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    former = {number: signal.getsignal(number) for number in numbers}
    try:
        return (yield)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


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
