"""The page of CUDA wheels against what is known of it: a finding, in `check --deep` and where `fix` needs a wheel."""

from __future__ import annotations

import pytest

from checks_machines import CURRENT, T4, context, machine, with_gpu
from fake_system import FakeSystem
from paddlevl_doctor.checks.deep import judge
from paddlevl_doctor.checks.index_page import INDEX, judge_page, page_finding
from paddlevl_doctor.commands.judge_facts import Examination
from paddlevl_doctor.commands.plan_report import _with_index_page
from paddlevl_doctor.facts.network import read_index_page
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.system.http import Reply
from paddlevl_doctor.values.facts import DeepFacts, Facts, IndexPage
from paddlevl_doctor.values.findings import Status
from paddlevl_doctor.values.plan import InstallPackages, Plan, Step

URL = "https://www.paddlepaddle.org.cn/packages/stable/cu126/paddlepaddle-gpu/"
GPU = {**{k: v for k, v in CURRENT.items() if k != "paddlepaddle"}, "paddlepaddle-gpu": "3.2.1"}
CPU_WHEEL = with_gpu(CURRENT, T4)
GPU_WHEEL = with_gpu(GPU, T4)
KNOWN = [
    ("3.2.0", "310"),
    ("3.2.0", "312"),
    *(("3.2.1", python) for python in ("39", "310", "311", "312", "313")),
]
INSTALL = InstallPackages(
    id="install-packages",
    summary="Install",
    commands=(("uv", "pip", "install", "--find-links", URL, "paddlepaddle-gpu==3.2.1"),),
    reasons=("needed",),
)


def reply(*wheels: tuple[str, str]) -> Reply:
    names = (
        f"paddlepaddle_gpu-{version}-cp{python}-cp{python}-linux_x86_64.whl" for version, python in wheels
    )
    return Reply(200, "".join(f'<a href="{name}">{name}</a>' for name in names))


def page(*wheels: tuple[str, str]) -> IndexPage:
    return read_index_page(FakeSystem(replies={f"GET {URL}": reply(*wheels)}), URL)


def status(facts: Facts, listed: IndexPage | None) -> Status:
    return judge_page(listed, context(facts)).status


def test_a_page_that_lists_what_is_known_is_right() -> None:
    assert status(CPU_WHEEL, page(*KNOWN)) is Status.OK
    assert status(CPU_WHEEL, page(*KNOWN, ("3.9.0", "312"))) is Status.OK


def test_a_wheel_that_is_gone_from_the_page_is_a_warning_where_it_is_still_needed() -> None:
    without = page(*KNOWN[:2])
    finding = page_finding(without, context(CPU_WHEEL), "3.12")
    assert (finding.id, finding.status) == (INDEX, Status.WARNING)
    assert str(finding.cause).startswith(
        "The page has no paddlepaddle-gpu 3.2.1 for Python 3.12 on linux. It has: 3.2.0."
    )
    assert status(GPU_WHEEL, without) is Status.NOTE, "it is installed already"


def test_a_row_that_nobody_needs_is_a_note() -> None:
    assert status(CPU_WHEEL, page(*KNOWN[1:])) is Status.NOTE
    assert status(CPU_WHEEL, page()) is Status.NOTE, "an empty page is not believed"


def test_a_page_that_cannot_be_read_is_no_fault_of_the_machine() -> None:
    silent = read_index_page(FakeSystem(replies={f"GET {URL}": Reply(None, error="timeout")}), URL)
    assert [status(CPU_WHEEL, found) for found in (silent, None)] == [Status.SKIPPED, Status.SKIPPED]


@pytest.mark.parametrize(("facts", "expected"), [(CPU_WHEEL, Status.WARNING), (machine(), Status.SKIPPED)])
def test_the_deep_look_has_the_finding_among_its_own(facts: Facts, expected: Status) -> None:
    deep = DeepFacts(index=page(*KNOWN[:2]) if facts is CPU_WHEEL else None)
    found = {finding.id: finding.status for finding in judge(deep, context(facts))}
    assert found[INDEX] is expected


def planned(answer: Reply, step: Step = INSTALL) -> tuple[Examination, Plan, FakeSystem]:
    system = FakeSystem(replies={f"GET {URL}": answer})
    before = Examination(context(CPU_WHEEL), ())
    return (*_with_index_page(system, before, Plan(steps=(step,)), Request()), system)


def test_a_plan_that_takes_a_cuda_wheel_says_that_the_page_has_it_no_more() -> None:
    after, plan, _ = planned(reply(*KNOWN[:2]))
    assert [(finding.id, finding.status) for finding in after.findings] == [(INDEX, Status.WARNING)]
    first, told = plan.steps[0].reasons
    assert (first, str(told)[:34]) == ("needed", "The page has no paddlepaddle-gpu 3")


@pytest.mark.parametrize("answer", [reply(*KNOWN), Reply(None, error="timeout"), Reply(500, "no")])
def test_a_plan_stands_where_the_page_agrees_or_says_nothing(answer: Reply) -> None:
    after, plan, _ = planned(answer)
    assert (after.findings, plan) == ((), Plan(steps=(INSTALL,)))


def test_a_plan_for_the_processor_asks_for_no_page() -> None:
    step = InstallPackages(
        id="install-packages", summary="Install", commands=(("uv", "pip", "install", "x"),)
    )
    after, plan, _ = planned(reply(), step)
    assert (after.findings, plan) == ((), Plan(steps=(step,)))
