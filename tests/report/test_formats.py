"""Every format of a check: what it looks like, that it says the same, and that hostile text stays text."""

from __future__ import annotations

import html.parser
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from syrupy.assertion import SnapshotAssertion

from checks_machines import CURRENT, context, hashes, machine, target
from paddlevl_doctor.checks import ALL
from paddlevl_doctor.checks.runner import run_checks
from paddlevl_doctor.report import ci, markdown
from paddlevl_doctor.report import html as page
from paddlevl_doctor.report.console import causes, root_of
from paddlevl_doctor.values.check_report import CheckReport
from paddlevl_doctor.values.facts import Facts
from paddlevl_doctor.values.findings import Evidence, Finding, Remedy, Status

FORMATS = {
    "markdown": markdown.render_check,
    "junit": ci.junit,
    "github": ci.github,
    "html": page.render_check,
}
SICK = machine(
    {**CURRENT, "safetensors": "0.6.2", "numpy": "2.4.6", "paddlex": "3.3.6", "paddleocr": "3.3.1"},
    patched_files=hashes("3.3.6", patched=False),
)
NO_PADDLE = {name: version for name, version in CURRENT.items() if name != "paddlepaddle"}
MACHINES = {"sick": SICK, "no paddle": machine(NO_PADDLE, target=target(NO_PADDLE, paddle=None))}
HOSTILE = "</pre></style><script>alert(1)</script> ]]> ::error::x%0A @octocat #1 |a| `b` \x1b[2J \x00 \u202e ![i](http://x)"


def report(facts: Facts) -> CheckReport:
    findings = run_checks(context(facts), ALL)
    return CheckReport(facts, tuple(replace(f, duration_ms=0.0) for f in findings), 0.1)


def hostile() -> CheckReport:
    finding = Finding(
        id="self-test",
        status=Status.ERROR,
        title=HOSTILE,
        cause=HOSTILE,
        evidence=(Evidence(HOSTILE, HOSTILE),),
        remedy=Remedy(HOSTILE, (("echo", HOSTILE),)),
        links=("javascript:alert(1)", "https://example.org/?a=<b>"),
    )
    waiting = Finding("paddle-kernels", Status.BLOCKED, HOSTILE, blocked_by="self-test")
    return CheckReport(SICK, (finding, waiting), 0.1)


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("sickness", MACHINES)
def test_what_each_format_looks_like(
    sickness: str, name: str, lang: str, snapshot: SnapshotAssertion
) -> None:
    shown = FORMATS[name](report(MACHINES[sickness]), lang)
    assert shown == snapshot


@pytest.mark.parametrize("name", FORMATS)
def test_a_healthy_machine_has_no_problem_in_any_format(name: str) -> None:
    shown = FORMATS[name](report(machine()), "en")
    assert {
        "markdown": "## " not in shown,
        "junit": 'failures="0" errors="0"' in shown,
        "github": shown == "",
        "html": "<article" not in shown,
    }[name]


def test_a_root_cause_is_shown_once_with_everything_that_waits_for_it() -> None:
    found = report(MACHINES["no paddle"])
    (cause,) = causes(found.findings)
    assert (cause.finding.id, cause.finding.status) == ("no-paddle-installed", Status.ERROR)
    blocked = {f.id for f in found.findings if f.status is Status.BLOCKED}
    assert {f.id for f in cause.consequences} == blocked != set()


def test_the_root_of_a_chain_is_found_and_a_circle_ends() -> None:
    a, b, c = (Finding(x, Status.BLOCKED, "", blocked_by=y) for x, y in (("a", "b"), ("b", "c"), ("c", "d")))
    assert [root_of(f, (a, b, c)) for f in (a, b, c)] == ["d", "d", "d"]
    circle = Finding("c", Status.BLOCKED, "", blocked_by="a")
    assert root_of(a, (a, b, circle)) is not None


class Elements(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_hostile_text_does_nothing_in_a_page() -> None:
    shown = page.render_check(hostile(), "en")
    elements = Elements()
    elements.feed(shown)
    tags = {tag for tag, _ in elements.seen}
    assert not tags & {"script", "img", "iframe", "link", "object", "base", "form"}
    assert [a["href"] for tag, a in elements.seen if tag == "a"] == ["https://example.org/?a=<b>"]
    assert not [name for _, a in elements.seen for name in a if name.startswith("on")]
    assert re.search("[\x00-\x08\x1b\u202e]", shown) is None
    assert shown.count("</style>") == 1


def test_a_page_asks_nobody_for_anything() -> None:
    shown = page.render_check(report(SICK), "en")
    assert "default-src 'none'" in shown
    assert re.findall(r"""(?:src|srcset|action|@import|url\()=?["']?\s*http""", shown) == []


def test_hostile_text_stays_text_in_an_issue() -> None:
    shown = markdown.render_check(hostile(), "en")
    outside = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", shown)
    assert "<script>" not in re.sub(r"\\<", "", outside)
    assert "@octocat" not in outside
    assert re.search(r"(?<!\\)!\[", outside) is None
    assert re.search(r"(?<!\\)#1", outside) is None


def test_junit_is_xml_whatever_is_in_it() -> None:
    root = ElementTree.fromstring(ci.junit(hostile(), "en"))  # noqa: S314 - our own document
    failure = root.find(".//failure")
    assert failure is not None
    assert "<script>" in failure.attrib["message"]
    assert root.attrib["failures"] == "1"
    assert [case.attrib["name"] for case in root.iter("testcase")] == ["self-test", "paddle-kernels"]


def test_an_annotation_is_one_line_and_starts_no_other() -> None:
    shown = ci.github(hostile(), "en")
    assert len(shown.splitlines()) == 1
    assert shown.startswith("::error title=self-test::")
    assert "%250A" in shown, "a percent sign of the text is escaped itself"
