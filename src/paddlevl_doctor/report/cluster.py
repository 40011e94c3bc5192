"""What people see of a Ray cluster: one row a document, or one row a node."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from rich.text import Text

from paddlevl_doctor.messages import text
from paddlevl_doctor.report.console import STYLES, Screen, make_table
from paddlevl_doctor.report.documents import Document, document
from paddlevl_doctor.values import Status

if TYPE_CHECKING:
    from paddlevl_doctor.commands.cluster import ClusterCheck, ClusterReport


def reading_document(report: ClusterReport) -> Document:
    """Describe a run of `parse --ray`."""
    return document("parse-cluster", **vars(report))


def check_document(report: ClusterCheck) -> Document:
    """Describe a run of `check --ray`; each node's own document is in it."""
    return document("check-cluster", **vars(report))


def show_reading(screen: Screen, report: ClusterReport) -> None:
    """Print a row for each document, and how many were read well enough; quiet leaves those that were not."""
    table = make_table("column-status", "column-document", "column-pages", "column-seconds", "column-node")
    shown = [d for d in report.documents if not (screen.quiet and d.passed)]
    for found in shown:
        mark, style = STYLES[Status.OK if found.passed else Status.ERROR]
        row = (PurePosixPath(found.input).name, str(found.pages), f"{found.seconds:.1f}", found.node)
        table.add_row(Text(mark, style=style), *(Text(screen.clean(words)) for words in row))
    screen.console.print(table)
    for found in shown:
        for reason in () if found.passed else (found.reasons or (found.summary,)):
            screen.line(f"{PurePosixPath(found.input).name}: {reason}", "red")
    good = sum(found.passed for found in report.documents)
    words = text("verdict-documents", good=good, count=len(report.documents))
    screen.line(words, "bold green" if good == len(report.documents) else "bold red")
    if report.resumed:
        screen.line(text("ray-resumed", count=report.resumed), "dim")
    screen.line(text("written", paths=report.output), "dim")


def show_check(screen: Screen, report: ClusterCheck) -> None:
    """Print a row for each node, with what is wrong on it."""
    table = make_table("column-status", "column-node", "column-machine", "column-title")
    for node in report.nodes:
        mark, style = STYLES[Status(node.status)]
        problems = "\n".join(node.problems) or "-"
        row = (Text(node.node), Text(screen.clean(node.name)), Text(screen.clean(problems)))
        table.add_row(Text(f"{mark} {text(f'status-{node.status}')}", style=style), *row)
    screen.console.print(table)
