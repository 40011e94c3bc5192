"""Reports of `parse --ray`, with one row per document, and of `check --ray`, with one row per node."""

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


def parse_document(report: ClusterReport) -> Document:
    """Return the JSON document of `parse --ray`."""
    return document("parse-cluster", **vars(report))


def as_parse_report(report: ClusterReport) -> ParseReport:
    """Return the run as a report of `parse`, for the CI formats. Every page gets an equal share of the time."""
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


def _path(entry: ClusterDocument) -> str:
    """Return the local path of a document for the CI formats, or the name of its results if it is remote."""
    return entry.input.removeprefix("file://") if entry.input.startswith("file://") else _name(entry)


def show_parse(screen: Screen, report: ClusterReport) -> None:
    """Print a row for each document and the verdict; with --quiet, omit the documents that passed."""
    table = screen.table(
        "column-status", "column-document", "column-pages", "column-seconds", "column-engine", "column-node"
    )
    documents = [d for d in report.documents if not (screen.quiet and d.passed)]
    for entry in documents:
        mark, style = _mark(entry)
        row = (_name(entry), str(entry.pages), f"{entry.seconds:.1f}", entry.engine or "-", entry.node)
        table.add_row(Text(mark, style=style), *(Text(screen.clean(cell)) for cell in row))
    screen.console.print(table)
    for entry in documents:
        for reason in () if entry.passed else (entry.reasons or (entry.summary,)):
            screen.line(f"{_name(entry)}: {screen.render(reason)}", "red")
    screen.line(
        as_parse_report(report).verdict.summary,
        "bold green" if all(d.passed for d in report.documents) else "bold red",
    )
    if report.resumed:
        screen.line(screen.tr("ray-resumed", count=report.resumed), "dim")
    screen.line(screen.tr("written", paths=report.output), "dim")


def _mark(entry: ClusterDocument) -> tuple[str, str]:
    """Return the mark and the colour of a document; one without a ground truth counts as skipped."""
    if not entry.passed:
        return STYLES[Status.ERROR]
    return STYLES[Status.OK if entry.judged else Status.SKIPPED]


def _name(entry: ClusterDocument) -> str:
    """Return the name of a document that is unique in the run: the folder of its results."""
    return entry.results or PurePosixPath(entry.input).name


# --- check --ray ------------------------------------------------------------------------------------------


def check_document(report: ClusterCheck) -> Document:
    """Return the JSON document of `check --ray`, which contains the document of each node."""
    return document("check-cluster", address=report.address, nodes=report.nodes)


def show_check(screen: Screen, report: ClusterCheck) -> None:
    """Print a row for each node with its problems."""
    table = screen.table("column-status", "column-node", "column-machine", "column-title")
    for node in report.nodes:
        mark, style = STYLES[Status(node.status)]
        problems = "\n".join(node.problems) or "-"
        row = (Text(node.node), Text(screen.clean(node.name)), Text(screen.clean(problems)))
        table.add_row(Text(f"{mark} {screen.tr(f'status-{node.status}')}", style=style), *row)
    screen.console.print(table)


def check_renderers(report: ClusterCheck) -> Mapping[str, Callable[[], str]]:
    """Return for each format a function that merges the reports of the nodes; the nodes have redacted them."""
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
        suite = ElementTree.fromstring(words)[0] if words else _unanswered_suite(node)  # noqa: S314 - `report.junit` wrote it
        suite.set("name", _display_name(node))
        suites.append(suite)
    ElementTree.indent(suites)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return head + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _unanswered_suite(node: NodeCheck) -> ElementTree.Element:
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
