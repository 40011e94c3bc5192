"""What people and CI systems see of a Ray cluster: one row a document, or one row a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from rich.text import Text

from paddlevl_doctor.parsing.evaluate.judge import judge_run
from paddlevl_doctor.parsing.run.report import DocumentReport, ParseReport
from paddlevl_doctor.report.ci import escaped_data, escaped_property, writable
from paddlevl_doctor.report.console import STYLES, Screen
from paddlevl_doctor.report.json_documents import Document, document
from paddlevl_doctor.report.markdown import escape
from paddlevl_doctor.values.findings import Status
from paddlevl_doctor.values.pages import Page

if TYPE_CHECKING:
    from paddlevl_doctor.cluster.check import ClusterCheck, NodeCheck
    from paddlevl_doctor.cluster.ledger import ClusterDocument
    from paddlevl_doctor.cluster.parse import ClusterReport

# --- parse --ray ------------------------------------------------------------------------------------------


def reading_document(report: ClusterReport) -> Document:
    """Describe a run of `parse --ray`."""
    return document("parse-cluster", **vars(report))


def as_reading(report: ClusterReport) -> ParseReport:
    """Return the run as one of this machine, for the formats of CI systems: every page took its part of the time."""
    engines = ",".join(dict.fromkeys(d.engine for d in report.documents if d.engine)) or "-"
    devices = ",".join(dict.fromkeys(d.device for d in report.documents if d.device))
    documents = tuple(
        DocumentReport(_path(d), d.pages, 0, (), d.outputs, d.verdict(), d.incidents)
        for d in report.documents
    )
    pages = (Page(n, 0, 0, (), d.seconds / d.pages) for d in report.documents for n in range(d.pages))
    verdict = judge_run(documents, (), engines, None)
    head = (report.output, engines, devices, engines, "", tuple(pages))
    return ParseReport(*head, (), verdict, {"read": report.seconds}, {}, documents=documents)


def _path(found: ClusterDocument) -> str:
    """Return what the formats of CI systems take for its file; one that is elsewhere is called as its results are."""
    return found.input.removeprefix("file://") if found.input.startswith("file://") else _name(found)


def show_reading(screen: Screen, report: ClusterReport) -> None:
    """Print a row for each document, and how many were read well enough; quiet leaves those that were not."""
    table = screen.table(
        "column-status", "column-document", "column-pages", "column-seconds", "column-engine", "column-node"
    )
    shown = [d for d in report.documents if not (screen.quiet and d.passed)]
    for found in shown:
        mark, style = _mark(found)
        row = (_name(found), str(found.pages), f"{found.seconds:.1f}", found.engine or "-", found.node)
        table.add_row(Text(mark, style=style), *(Text(screen.clean(words)) for words in row))
    screen.console.print(table)
    for found in shown:
        for reason in () if found.passed else (found.reasons or (found.summary,)):
            screen.line(f"{_name(found)}: {screen.words(reason)}", "red")
    screen.line(
        as_reading(report).verdict.summary,
        "bold green" if all(d.passed for d in report.documents) else "bold red",
    )
    if report.resumed:
        screen.line(screen.say("ray-resumed", count=report.resumed), "dim")
    screen.line(screen.say("written", paths=report.output), "dim")


def _mark(found: ClusterDocument) -> tuple[str, str]:
    """Return the sign and the colour of a document; what could not be judged is neither good nor bad."""
    if not found.passed:
        return STYLES[Status.ERROR]
    return STYLES[Status.OK if found.judged else Status.SKIPPED]


def _name(found: ClusterDocument) -> str:
    """Return what a document is called beside others of the same name: as its results are."""
    return found.results or PurePosixPath(found.input).name


# --- check --ray ------------------------------------------------------------------------------------------


def check_document(report: ClusterCheck) -> Document:
    """Describe a run of `check --ray`; each node's own document is in it."""
    return document("check-cluster", address=report.address, nodes=report.nodes)


def show_check(screen: Screen, report: ClusterCheck) -> None:
    """Print a row for each node, with what is wrong on it."""
    table = screen.table("column-status", "column-node", "column-machine", "column-title")
    for node in report.nodes:
        mark, style = STYLES[Status(node.status)]
        problems = "\n".join(node.problems) or "-"
        row = (Text(node.node), Text(screen.clean(node.name)), Text(screen.clean(problems)))
        table.add_row(Text(f"{mark} {screen.say(f'status-{node.status}')}", style=style), *row)
    screen.console.print(table)


def check_renderers(report: ClusterCheck) -> Mapping[str, Callable[[], str]]:
    """Return what puts the nodes' reports together, each of them redacted on its node, in each format."""
    return {
        "markdown": lambda: _markdown(report),
        "junit": lambda: _junit(report),
        "github": lambda: _github(report),
    }


def _display_name(node: NodeCheck) -> str:
    return f"{node.name} ({node.node})"


def _markdown(report: ClusterCheck) -> str:
    parts = (
        f"# {escape(_display_name(node))}\n\n{words or escape(node.problems[0])}"
        for node, words in zip(report.nodes, report.written, strict=True)
    )
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _junit(report: ClusterCheck) -> str:
    suites = ElementTree.Element("testsuites", name="paddlevl-doctor check --ray")
    for node, words in zip(report.nodes, report.written, strict=True):
        suite = ElementTree.fromstring(words)[0] if words else _silent(node)  # noqa: S314 - `report.junit` wrote it
        suite.set("name", _display_name(node))
        suites.append(suite)
    ElementTree.indent(suites)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return head + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _silent(node: NodeCheck) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", tests="1", errors="1")
    case = ElementTree.SubElement(suite, "testcase", classname="paddlevl-doctor.check", name="node")
    ElementTree.SubElement(case, "error", message=writable(node.problems[0]))
    return suite


def _github(report: ClusterCheck) -> str:
    lines = []
    for node, words in zip(report.nodes, report.written, strict=True):
        title = f" title={escaped_property(_display_name(node))}"
        if node.status == "unknown" and not node.document:
            lines.append(f"::error{title}::{escaped_data(node.problems[0])}\n")
        lines += [line.replace(" title=", f"{title} ", 1) for line in words.splitlines(keepends=True)]
    return "".join(lines)
