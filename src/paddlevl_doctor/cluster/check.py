"""`check --ray`: every node of a Ray cluster looks at itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from paddlevl_doctor.cluster.connect import (
    Node,
    alive,
    at_node,
    joined,
    nodes_without_doctor,
    on_every_node,
    reason_of,
)
from paddlevl_doctor.cluster.node import check_node
from paddlevl_doctor.commands.check import CheckRequest, refuse_unknown
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.messages import language, message, render
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.findings import ExitCode

REPORTS = ("markdown", "junit", "github")
"""Formats that the nodes' answers can be put together in."""
_PLAIN = ("console", "json")
_SECONDS, _DEEP_SECONDS = 120, 1800
_REPORTED = ("error", "unknown", "warning")


@dataclass(frozen=True)
class NodeCheck:
    """What `check` says on one node; `document` is its whole JSON document, empty where the node did not answer."""

    node: str
    name: str
    status: str
    problems: tuple[str, ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ClusterCheck:
    """The whole answer of `check --ray`; `written` has each node's report in the format that was asked for."""

    address: str
    nodes: tuple[NodeCheck, ...]
    written: tuple[str, ...] = ()

    def exit_code(self, *, strict: bool = False) -> ExitCode:
        """3 where a node did not answer, 1 where something is wrong on one (with `strict` also a warning)."""
        states = {node.status for node in self.nodes}
        if "unknown" in states:
            return ExitCode.NOT_LOOKED_AT
        return ExitCode.PROBLEMS if states & {"error", *(("warning",) if strict else ())} else ExitCode.OK


def check_on_ray(
    address: str, options: TargetOptions, request: CheckRequest, written_as: str = "json"
) -> ClusterCheck:
    """Look at every node of a cluster; raises UsageError and DoctorError before anything is looked at."""
    if request.record or request.replay:
        raise UsageError(message("ray-no-recording"))
    if written_as not in (*_PLAIN, *REPORTS):
        raise UsageError(message("no-such-format", format=written_as, names=", ".join((*_PLAIN, *REPORTS))))
    refuse_unknown(request.only, request.ignore)
    seconds = _DEEP_SECONDS if request.deep or request.integrity else _SECONDS
    with joined(address) as ray:
        nodes = sorted(alive(ray), key=lambda node: str(node["NodeID"]))
        without = {node: render(why, language()) for node, why in nodes_without_doctor(ray, nodes).items()}
        asked = {
            node["NodeID"]: _begun(ray, node, on_every_node(options), request, written_as)
            for node in nodes
            if node["NodeID"] not in without
        }
        told = [without.get(node["NodeID"]) or _waited(ray, asked[node["NodeID"]], seconds) for node in nodes]
    checks = tuple(_check(node, answer) for node, answer in zip(nodes, told, strict=True))
    return ClusterCheck(
        address, checks, tuple("" if isinstance(answer, str) else answer[1] for answer in told)
    )


def _begun(ray: Any, node: Node, options: TargetOptions, request: CheckRequest, written_as: str) -> Any:
    task = ray.remote(check_node).options(scheduling_strategy=at_node(node), num_cpus=0, max_retries=0)
    return task.remote(options, request, written_as, language())


def _waited(ray: Any, asked: Any, seconds: float) -> Any:
    """Return what a node answers: its document and its report, or a sentence."""
    try:
        return ray.get(asked, timeout=seconds)
    except ray.exceptions.RayError as error:
        return reason_of(error)


def _check(node: Node, answer: tuple[Mapping[str, Any], str] | str) -> NodeCheck:
    head = (node["NodeID"][:8], node["NodeManagerHostname"])
    if isinstance(answer, str):
        return NodeCheck(*head, "unknown", (answer,))
    document = answer[0]
    bad = [f for f in document["findings"] if f["status"] in _REPORTED]
    problems = tuple(f"{f['id']}: {f['title']}" for f in bad)
    return NodeCheck(*head, document["summary"]["status"], problems, document)
