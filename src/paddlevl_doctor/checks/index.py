"""What Paddle's page of CUDA wheels lists now, against what the doctor knows of it; pure."""

from __future__ import annotations

from paddlevl_doctor.checks.model import Context, Diagnosis, ok, skipped
from paddlevl_doctor.checks.run import describe
from paddlevl_doctor.facts.index_page import IndexPage
from paddlevl_doctor.knowledge.published import compare
from paddlevl_doctor.knowledge.sets import planned_python
from paddlevl_doctor.messages import language
from paddlevl_doctor.values import Evidence, Finding, Status

INDEX = "index-page-differs"
_WORTH_SAYING = ("index-lacks", "index-fewer", "index-empty")


def judge_page(page: IndexPage | None, context: Context, python: str | None = None) -> Diagnosis:
    """Say where a page and the known rows differ: a warning where the wheel that is still to come is not there.

    A page that cannot be read is no fault of the machine: the known rows stand. `python` is the version of an
    environment that is still to be made.
    """
    if page is None:
        return skipped("no CUDA wheel comes from the page")
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
    told = tuple(said.text(language()) for said in look.said if said.rule in _WORTH_SAYING)
    there = target is not None and target.version_of(context.wheel.package) == context.wheel.version
    gone = "index-lacks" in {said.rule for said in look.said} and not there
    evidence = tuple(Evidence(page.url, words) for words in told)
    return Diagnosis(Status.WARNING if gone else Status.NOTE, evidence, {"differences": " ".join(told)})


def page_finding(page: IndexPage, context: Context, python: str) -> Finding:
    """Return the finding of a page that was read while an installation was planned."""
    return describe(INDEX, judge_page(page, context, python), language())
