"""What Paddle's page of CUDA wheels lists now, against what the doctor knows of it; pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from paddlevl_doctor.checks.base import Context, Diagnosis, ok, skipped
from paddlevl_doctor.checks.runner import describe
from paddlevl_doctor.knowledge.data_files import numbers
from paddlevl_doctor.knowledge.install_options import IndexLook
from paddlevl_doctor.knowledge.selection_rules import RuleText, rule_text
from paddlevl_doctor.knowledge.version_sets import planned_python
from paddlevl_doctor.knowledge.wheel_choice import WheelChoice
from paddlevl_doctor.knowledge.wheel_tables import load_gpu_wheels
from paddlevl_doctor.messages import Message, message
from paddlevl_doctor.values.facts import Host, IndexPage, PublishedWheel
from paddlevl_doctor.values.findings import Evidence, Finding, Status


def compare(page: IndexPage, wheel: WheelChoice, host: Host, python: str) -> IndexLook:
    """Say whether the chosen wheel is on the page, and where the page and the known rows differ."""
    if page.problem:
        return IndexLook(page.url, "unreachable", (), (rule_text("index-unreachable", reason=page.problem),))
    if not page.wheels:
        return IndexLook(page.url, "empty", (), (rule_text("index-empty"),))
    minor = ".".join(python.split(".")[:2])
    mine = [w for w in page.wheels if (w.system, w.machine) == (host.system, host.machine)]
    versions = sorted({w.version for w in mine if w.python == minor}, key=numbers)
    asked = {"version": wheel.version, "python": minor, "system": host.system}
    there = wheel.version in versions
    shown = ", ".join(versions) or "-"
    first = rule_text("index-confirms", **asked) if there else rule_text("index-lacks", there=shown, **asked)
    said = (first, *_differences(mine, wheel.tag, host.system))
    differs = {"index-lacks", "index-fewer"} & {one.rule for one in said}
    return IndexLook(page.url, "differs" if differs else "confirmed", tuple(versions), said)


def _differences(listed: Iterable[PublishedWheel], tag: str, system: str) -> list[RuleText]:
    """Compare version by version and Python by Python; a row that names no Python as seen is not contradicted."""
    there = {(w.version, w.python) for w in listed}
    rows = [row for row in load_gpu_wheels() if (row.tag, row.system) == (tag, system)]
    known = {(row.version, python) for row in rows for python in row.pythons}
    said = []
    if known - there:
        said.append(rule_text("index-fewer", names=_names(known - there)))
    more = {(version, python) for version, python in there if version not in {row.version for row in rows}}
    if more:
        said.append(rule_text("index-more", names=_names(more)))
    return said


def _names(wheels: Iterable[tuple[str, str]]) -> str:
    """Show versions with their Pythons: 3.2.1 (3.9, 3.10)."""
    by_version: dict[str, list[str]] = {}
    for version, python in sorted(wheels, key=lambda pair: (numbers(pair[0]), numbers(pair[1]))):
        by_version.setdefault(version, []).append(python)
    return "; ".join(f"{version} ({', '.join(pythons)})" for version, pythons in by_version.items())


INDEX = "index-page-differs"
_WORTH_SAYING = ("index-lacks", "index-fewer", "index-empty")


def judge_page(page: IndexPage | None, context: Context, python: str | None = None) -> Diagnosis:
    """Say where a page and the known rows differ: a warning where the wheel that is still to come is not there.

    A page that cannot be read is no fault of the machine: the known rows stand. `python` is the version of an
    environment that is still to be made.
    """
    if page is None:
        return skipped(message("evidence-no-cuda-wheel-of-page"))
    target = context.facts.target
    look = compare(
        page,
        context.wheel,
        context.facts.host,
        python or (target.version if target else planned_python(context.version_set)),
    )
    if look.state == "unreachable":
        return skipped(page.problem)
    if look.state == "confirmed":
        return ok(page.url, ", ".join(look.versions))
    told = tuple(said.message for said in look.said if said.rule in _WORTH_SAYING)
    there = target is not None and target.version_of(context.wheel.package) == context.wheel.version
    gone = "index-lacks" in {said.rule for said in look.said} and not there
    evidence = tuple(Evidence(page.url, words) for words in told)
    return Diagnosis(
        Status.WARNING if gone else Status.NOTE, evidence, {"differences": reduce(_followed_by, told)}
    )


def _followed_by(first: Message, second: Message) -> Message:
    return message("two-sentences", first=first, second=second)


def page_finding(page: IndexPage, context: Context, python: str) -> Finding:
    """Return the finding of a page that was read while an installation was planned."""
    return describe(INDEX, judge_page(page, context, python))
