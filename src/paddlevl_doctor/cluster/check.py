"""`check --ray`: check every node of a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from paddlevl_doctor.cluster import connect
from paddlevl_doctor.cluster.connect import Node
from paddlevl_doctor.cluster.node import check_node
from paddlevl_doctor.commands.check import CheckRequest, refuse_unknown
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import language, message, render
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.findings import ExitCode

REPORTS = ("markdown", "junit", "github")
"""Formats in which the reports of the nodes can be merged."""
_UNMERGED = ("console", "json")
_TIMEOUT_SECONDS, _DEEP_TIMEOUT_SECONDS = 120, 1800
_PROBLEM_STATUSES = ("error", "unknown", "warning")


@dataclass(frozen=True)
class NodeCheck:
    """The result of `check` on one node; `document` is its JSON document, empty if the node did not answer."""

    node: str
    name: str
    status: str
    problems: tuple[str, ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ClusterCheck:
    """The result of `check --ray`; `written` has the report of each node in the chosen format."""

    address: str
    nodes: tuple[NodeCheck, ...]
    written: tuple[str, ...] = ()

    def exit_code(self, *, strict: bool = False) -> ExitCode:
        """Return 3 if a node did not answer, 1 if a node has an error (with `strict` also a warning), else 0."""
        states = {node.status for node in self.nodes}
        if "unknown" in states:
            return ExitCode.NOT_LOOKED_AT
        return ExitCode.PROBLEMS if states & {"error", *(("warning",) if strict else ())} else ExitCode.OK


def check_on_ray(
    address: str, options: TargetOptions, request: CheckRequest, written_as: str = "json"
) -> ClusterCheck:
    """Check every node. Raises UsageError for unusable options and DoctorError if the cluster cannot be reached."""
    if request.record or request.replay:
        raise UsageError(message("ray-no-recording"))
    if written_as not in (*_UNMERGED, *REPORTS):
        formats = ", ".join((*_UNMERGED, *REPORTS))
        raise UsageError(message("no-such-format", format=written_as, names=formats))
    refuse_unknown(request.only, request.ignore)
    seconds = _DEEP_TIMEOUT_SECONDS if request.deep or request.integrity else _TIMEOUT_SECONDS
    with connect.connected(address) as ray:
        nodes = sorted(connect.alive_nodes(ray), key=lambda node: str(node["NodeID"]))
        unusable = connect.nodes_without_doctor(ray, nodes)
        tasks = {
            node["NodeID"]: _start_check(ray, node, connect.with_absolute_paths(options), request, written_as)
            for node in nodes
            if node["NodeID"] not in unusable
        }
        answers = [
            _wait_for(ray, tasks[node["NodeID"]], seconds)
            if node["NodeID"] in tasks
            else render(unusable[node["NodeID"]], language())
            for node in nodes
        ]
    checks = tuple(_node_check(node, answer) for node, answer in zip(nodes, answers, strict=True))
    return ClusterCheck(
        address, checks, tuple("" if isinstance(answer, str) else answer[1] for answer in answers)
    )


def _start_check(ray: Any, node: Node, options: TargetOptions, request: CheckRequest, written_as: str) -> Any:
    task = ray.remote(check_node).options(
        scheduling_strategy=connect.node_affinity(node), num_cpus=0, max_retries=0
    )
    return task.remote(options, request, written_as, language())


def _wait_for(ray: Any, task: Any, seconds: float) -> Any:
    """Return the JSON document and the report of a node, or the reason of a failure."""
    try:
        return ray.get(task, timeout=seconds)
    except ray.exceptions.RayError as error:
        return connect.reason_of(error)


def _node_check(node: Node, answer: tuple[Mapping[str, Any], str] | str) -> NodeCheck:
    head = (node["NodeID"][:8], node["NodeManagerHostname"])
    if isinstance(answer, str):
        return NodeCheck(*head, "unknown", (answer,))
    document = answer[0]
    findings = [f for f in document["findings"] if f["status"] in _PROBLEM_STATUSES]
    problems = tuple(f"{f['id']}: {f['title']}" for f in findings)
    return NodeCheck(*head, document["summary"]["status"], problems, document)
