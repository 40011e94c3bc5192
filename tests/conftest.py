"""For all tests: bytecode is kept and a closed terminal heard as anywhere; the end tells what the tests of kills hit.

`-m quick` runs the tests of checks, plans, patches' data and reports alone, and prints their coverage.

A number of kills alone says little. Images for containers often set PYTHONDONTWRITEBYTECODE; every start of the
doctor and of the stack would then compile all of it anew. Under nohup a process ignores that its terminal was closed,
and in the background of a shell it ignores Ctrl-C.
Property tests try the same cases every time, so that a run fails for what was changed; `--hypothesis-profile default`
looks for new ones.
"""

from __future__ import annotations

import functools
import os
import signal
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # several tests share the cores; waiting threads would use them up
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.load_profile("ci")

HERE = Path(__file__).parent
QUICK = (
    *("checks", "knowledge", "logs", "report", "test_messages.py"),
    *("fix/test_plan.py", "serve/test_server_plan.py", "serve/test_server_gpu.py"),
)
"""Folders and files of the tests that `-m quick` runs: checks, plans, patches' data and reports."""
NOT_QUICK = ("checks/test_source_rules.py",)
"""Files in those folders that need a real environment."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all", action="store_true", help="run all kills, not an eighth, and the tests marked on_demand"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a list that names what is not there; print the coverage of the quick tests by itself."""
    if missing := [path for path in (*QUICK, *NOT_QUICK) if not (HERE / path).exists()]:
        raise pytest.UsageError(f"tests/conftest.py names what does not exist: {', '.join(missing)}")
    plugins = config.pluginmanager
    wants_coverage = only_quick(config) and plugins.has_plugin("pytest_cov") and not config.option.no_cov
    if wants_coverage and not plugins.has_plugin("_cov"):
        from pytest_cov.plugin import CovPlugin

        config.option.cov_source = ["paddlevl_doctor"]
        plugins.register(CovPlugin(config.option, plugins), "_cov")


def only_quick(config: pytest.Config) -> bool:
    return bool(config.option.markexpr == "quick")


@functools.cache
def is_quick(path: Path) -> bool:
    """Say whether a file of tests belongs to the quick ones."""
    inside = {place.relative_to(HERE).as_posix() for place in (path, *path.parents) if HERE in place.parents}
    return bool(inside & set(QUICK)) and not inside & set(NOT_QUICK)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import the other files where only quick tests are wanted: it takes longer than to run them."""
    is_other = collection_path.is_file() and not is_quick(collection_path)
    return True if only_quick(config) and is_other else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if is_quick(item.path):
            item.add_marker("quick")
    if not config.option.all:
        items[:] = [item for item in items if item.get_closest_marker("on_demand") is None]


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
    from kills import PROPERTY  # imports the doctor, whose coverage is measured from the first test on

    reports = [r for r in terminalreporter.stats.get("passed", []) if isinstance(r, pytest.TestReport)]
    hits: Counter[str] = Counter()
    for name, counts in (pair for report in reports for pair in report.user_properties):
        if name == PROPERTY and isinstance(counts, dict):
            hits.update(counts)
    if hits:
        terminalreporter.write_line(f"{hits.total()} kills, by where they hit:")
    for phase, count in sorted(hits.items()):
        terminalreporter.write_line(f"  {count:4d}  {phase}")
