"""Reports of a cluster for CI systems: documents as without --ray, and the merged reports of the nodes."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from paddlevl_doctor.cluster.check import ClusterCheck, NodeCheck
from paddlevl_doctor.cluster.ledger import ClusterDocument
from paddlevl_doctor.cluster.parse import ClusterReport
from paddlevl_doctor.cluster.report import as_parse_report, check_renderers, show_parse
from paddlevl_doctor.report.ci_parse import github, junit
from paddlevl_doctor.report.console import Screen
from paddlevl_doctor.values.findings import ExitCode

GOOD = ClusterDocument(
    "file:///in/a/1.png",
    "1",
    "one",
    passed=True,
    pages=2,
    seconds=3.0,
    engine="native",
    device="gpu:0",
    summary="Read well enough.",
    results="a/1.png",
)
UNJUDGED = replace(
    GOOD,
    input="s3://bucket/b/2.png?versionId=1",
    judged=False,
    summary="Not judged.",
    results="b/2.png",
    node="two",
)
BAD = replace(
    GOOD, input="s3://bucket/b/1.png", passed=False, summary="Bad.", reasons=("lost",), results="b/1.png"
)
REPORT = ClusterReport("10.0.0.1:6379", 2, "/out", 1, (GOOD, UNJUDGED, BAD), 9.5)
JUNIT = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="paddlevl-doctor parse" tests="4" failures="1" skipped="1" time="9.500">
  <testsuite name="paddlevl-doctor parse" tests="4" failures="1" skipped="1" time="9.500">
    <testcase classname="paddlevl-doctor.parse" name="/in/a/1.png" time="3.000" />
    <testcase classname="paddlevl-doctor.parse" name="b/2.png" time="3.000">
      <skipped message="Not judged." />
    </testcase>
    <testcase classname="paddlevl-doctor.parse" name="b/1.png" time="3.000">
      <failure message="lost">lost</failure>
    </testcase>
    <testcase classname="paddlevl-doctor.parse" name="engine native" time="0.000" />
  </testsuite>
</testsuites>
"""


def test_documents_of_a_cluster_are_junit_cases_and_annotations() -> None:
    assert junit(as_parse_report(REPORT), "en") == JUNIT
    assert github(as_parse_report(REPORT), "en") == "::error file=b/1.png::Bad.%0Alost\n"
    assert REPORT.exit_code() is ExitCode.PROBLEMS


def test_the_table_distinguishes_documents_of_the_same_name_and_marks_unjudged_ones() -> None:
    screen = Screen(color=False, verbose=False, quiet=False, home=Path("/home/me"), lang="en")
    screen.console.file = io.StringIO()
    show_parse(screen, REPORT)

    assert [line.split() for line in screen.console.file.getvalue().splitlines()[1:]] == [
        ["✓", "a/1.png", "2", "3.0", "native", "one"],
        ["-", "b/2.png", "2", "3.0", "native", "two"],
        ["✗", "b/1.png", "2", "3.0", "native", "one"],
        ["b/1.png:", "lost"],
        ["Of", "3", "documents,", "1", "passed,", "1", "failed,", "1", "were", "not", "evaluated."],
        ["1", "of", "them", "were", "read", "in", "an", "earlier", "run."],
        ["Written:", "/out"],
    ]


CHECKED = NodeCheck("abcd1234", "gpu_1", "warning", ("old-driver: It is old",), {"findings": []})
UNANSWERED = NodeCheck("ef567890", "gpu-2", "unknown", ("It does not answer",))


@pytest.mark.parametrize(
    ("name", "written", "expected"),
    [
        (
            "markdown",
            "# Report\n",
            "# gpu\\_1 (abcd1234)\n\n# Report\n\n# gpu-2 (ef567890)\n\nIt does not answer\n",
        ),
        (
            "github",
            "::warning title=old-driver::It is old\n",
            "::warning title=gpu_1 (abcd1234) old-driver::It is old\n"
            "::error title=gpu-2 (ef567890)::It does not answer\n",
        ),
        (
            "junit",
            '<testsuites><testsuite name="x" tests="1"><testcase name="old-driver" /></testsuite></testsuites>',
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<testsuites name="paddlevl-doctor check --ray">\n'
            '  <testsuite name="gpu_1 (abcd1234)" tests="1">\n'
            '    <testcase name="old-driver" />\n'
            "  </testsuite>\n"
            '  <testsuite tests="1" errors="1" name="gpu-2 (ef567890)">\n'
            '    <testcase classname="paddlevl-doctor.check" name="node">\n'
            '      <error message="It does not answer" />\n'
            "    </testcase>\n"
            "  </testsuite>\n"
            "</testsuites>\n",
        ),
    ],
)
def test_the_reports_of_all_nodes_are_merged_with_nodes_that_did_not_answer(
    name: str, written: str, expected: str
) -> None:
    cluster = ClusterCheck("10.0.0.1:6379", (CHECKED, UNANSWERED), (written, ""))

    assert check_renderers(cluster)[name]() == expected


def test_the_exit_code_of_a_cluster_is_that_of_its_worst_node() -> None:
    def code(*nodes: NodeCheck, strict: bool = False) -> ExitCode:
        return ClusterCheck("10.0.0.1:6379", nodes).exit_code(strict=strict)

    bad = replace(CHECKED, status="error")
    assert (code(CHECKED), code(CHECKED, strict=True)) == (ExitCode.OK, ExitCode.PROBLEMS)
    assert (code(CHECKED, bad), code(bad, UNANSWERED)) == (ExitCode.PROBLEMS, ExitCode.NOT_LOOKED_AT)
