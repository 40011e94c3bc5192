"""Compares a downloaded page of Paddle's CUDA wheels with the wheels in matrix/indexes.toml, without I/O."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from paddlevl_doctor.checks.base import Context, Diagnosis, ok, skipped
from paddlevl_doctor.checks.runner import describe
from paddlevl_doctor.knowledge.install_options import IndexComparison
from paddlevl_doctor.knowledge.selection_rules import RuleText, rule_text
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.knowledge.version_sets import planned_python
from paddlevl_doctor.knowledge.wheel_choice import WheelChoice
from paddlevl_doctor.knowledge.wheel_tables import load_gpu_wheels
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.values.facts import Host, IndexPage, PublishedWheel
from paddlevl_doctor.values.findings import Evidence, Finding, Status


def compare(page: IndexPage, wheel: WheelChoice, host: Host, python: str) -> IndexComparison:
    """Return whether the page lists the chosen wheel, and how it differs from the known wheels."""
    if page.problem:
        return IndexComparison(
            page.url, "unreachable", (), (rule_text("index-unreachable", reason=page.problem),)
        )
    if not page.wheels:
        return IndexComparison(page.url, "empty", (), (rule_text("index-empty"),))
    minor = ".".join(python.split(".")[:2])
    wheels = [w for w in page.wheels if (w.system, w.machine) == (host.system, host.machine)]
    versions = sorted({w.version for w in wheels if w.python == minor}, key=numbers)
    chosen = {"version": wheel.version, "python": minor, "system": host.system}
    first = rule_text("index-confirms", **chosen)
    if wheel.version not in versions:
        first = rule_text("index-lacks", there=", ".join(versions) or "-", **chosen)
    texts = (first, *_differences(wheels, wheel.tag, host.system))
    differs = {"index-lacks", "index-fewer"} & {one.rule for one in texts}
    return IndexComparison(page.url, "differs" if differs else "confirmed", tuple(versions), texts)


def _differences(wheels: Iterable[PublishedWheel], tag: str, system: str) -> list[RuleText]:
    """Compare the listed (version, Python) pairs with the known ones; a known row without Pythons is not compared."""
    listed = {(w.version, w.python) for w in wheels}
    rows = [row for row in load_gpu_wheels() if (row.tag, row.system) == (tag, system)]
    known = {(row.version, python) for row in rows for python in row.pythons}
    known_versions = {row.version for row in rows}
    new = {(version, python) for version, python in listed if version not in known_versions}
    texts = []
    if known - listed:
        texts.append(rule_text("index-fewer", names=_format_wheels(known - listed)))
    if new:
        texts.append(rule_text("index-more", names=_format_wheels(new)))
    return texts


def _format_wheels(wheels: Iterable[tuple[str, str]]) -> str:
    """Return the versions with their Pythons: 3.2.1 (3.9, 3.10)."""
    by_version: dict[str, list[str]] = {}
    for version, python in sorted(wheels, key=lambda pair: (numbers(pair[0]), numbers(pair[1]))):
        by_version.setdefault(version, []).append(python)
    return "; ".join(f"{version} ({', '.join(pythons)})" for version, pythons in by_version.items())


INDEX = "index-page-differs"
_REPORTED_RULES = ("index-lacks", "index-fewer", "index-empty")


def judge_page(page: IndexPage | None, context: Context, python: str | None = None) -> Diagnosis:
    """Return how a page differs from the known wheels: a warning if it lacks a wheel that is not installed yet.

    An unreachable page is skipped: the known wheels still count. `python` is the version of a planned environment;
    by default it is that of the target.
    """
    if page is None:
        return skipped(message("evidence-no-cuda-wheel-of-page"))
    target, wheel = context.facts.target, context.wheel
    python = python or (target.version if target else planned_python(context.version_set))
    comparison = compare(page, wheel, context.facts.host, python)
    if comparison.state == "unreachable":
        return skipped(page.problem)
    if comparison.state == "confirmed":
        return ok(page.url, ", ".join(comparison.versions))
    texts = tuple(one.message for one in comparison.texts if one.rule in _REPORTED_RULES)
    installed = target is not None and target.version_of(wheel.package) == wheel.version
    lacking = any(one.rule == "index-lacks" for one in comparison.texts)
    status = Status.WARNING if lacking and not installed else Status.NOTE
    evidence = tuple(Evidence(page.url, text) for text in texts)
    return Diagnosis(status, evidence, {"differences": reduce(_join, texts)})


def _join(first: Message, second: Message) -> Message:
    return message("two-sentences", first=first, second=second)


def page_finding(page: IndexPage, context: Context, python: str) -> Finding:
    """Return the finding about a page that was read while an installation was planned."""
    return describe(INDEX, judge_page(page, context, python))
