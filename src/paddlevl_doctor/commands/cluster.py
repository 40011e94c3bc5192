"""`parse --ray` and `check --ray`: the same commands on the nodes of a Ray cluster.

A document is a task. Ray gives the task of a node that is lost to another one; every document that is over is one line
in documents.jsonl beside the results, so that the next run goes on where this one stopped.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from paddlevl_doctor.commands.examine import TargetOptions
from paddlevl_doctor.errors import DoctorError, UsageError
from paddlevl_doctor.messages import language, set_language, text
from paddlevl_doctor.parsing.outcome import ParseRequest
from paddlevl_doctor.parsing.places import Place
from paddlevl_doctor.values import Bar, ExitCode, as_dict

LINES = "documents.jsonl"
_RETRIES = 5
"""Of a document whose node is lost."""
_WARM_MINUTES = 5.0
"""For which a node keeps its pipeline between two documents."""


@dataclass(frozen=True)
class ClusterDocument:
    """What became of one document; `version` tells it from another one at the same place, `asked` how it was read."""

    input: str
    version: str
    node: str
    passed: bool
    pages: int
    seconds: float
    engine: str = ""
    device: str = ""
    summary: str = ""
    reasons: tuple[str, ...] = ()
    asked: str = ""


@dataclass(frozen=True)
class ClusterReport:
    """The whole answer of `parse --ray`."""

    address: str
    nodes: int
    output: str
    resumed: int
    documents: tuple[ClusterDocument, ...]
    seconds: float

    def exit_code(self) -> ExitCode:
        """0 when every document was read well enough."""
        return ExitCode.OK if all(d.passed for d in self.documents) else ExitCode.PROBLEMS


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
    """The whole answer of `check --ray`."""

    address: str
    nodes: tuple[NodeCheck, ...]

    def exit_code(self) -> ExitCode:
        """3 where a node did not answer, 1 where something is wrong on one."""
        states = {node.status for node in self.nodes}
        if "unknown" in states:
            return ExitCode.NOT_LOOKED_AT
        return ExitCode.PROBLEMS if "error" in states else ExitCode.OK


def parse_on_ray(
    address: str, folder: str, options: TargetOptions, request: ParseRequest, bar: Bar
) -> ClusterReport:
    """Read every document on whichever node is free, into a shared folder or a URL.

    Raises UsageError and DoctorError before anything begins.
    """
    started = time.monotonic()
    output = Place(_absolute(folder))
    wanted = [found for word in request.inputs for found in Place(_absolute(word)).documents()]
    if not wanted:
        raise UsageError(text("folder-empty", path=", ".join(request.inputs)))
    asked = _asked(request)
    known = _known(output) if request.resume else {}
    over = {key for key, document in known.items() if document.asked == asked}
    left = [(place, version) for place, version in wanted if (place.url, version) not in over]
    done = dict(known)
    with _joined(address) as ray, bar(text("stage-ray", count=len(left)), len(left)) as advance:
        nodes = len(_alive(ray))
        for document in _read_all(ray, left, output, options, request):
            done[document.input, document.version] = replace(document, asked=asked)
            output.inside(LINES).write("".join(_line(one) for one in done.values()))
            advance(1)
    documents = tuple(done[place.url, version] for place, version in wanted)
    seconds = round(time.monotonic() - started, 2)
    return ClusterReport(address, nodes, output.url, len(wanted) - len(left), documents, seconds)


def _absolute(word: str) -> str:
    return word if "://" in word else str(Path(word).absolute())


def _asked(request: ParseRequest) -> str:
    """Return what decides the text, as far as it was asked for; the nodes have their own versions."""
    how = (request.engine, request.pipeline, request.pipeline_version)
    return " ".join(filter(None, (*how, request.server_model, request.server_prompt)))


def _known(output: Place) -> dict[tuple[str, str], ClusterDocument]:
    """Return what an earlier run has read well enough; a line that is no whole one is left out."""
    found = {}
    for line in output.inside(LINES).words().splitlines():
        try:
            entry = json.loads(line)
            document = ClusterDocument(**{**entry, "reasons": tuple(entry["reasons"])})
        except (ValueError, TypeError, KeyError):
            continue
        if document.passed:
            found[document.input, document.version] = document
    return found


def _line(document: ClusterDocument) -> str:
    return json.dumps(as_dict(document), ensure_ascii=False) + "\n"


@contextlib.contextmanager
def _joined(address: str) -> Iterator[Any]:
    """Give ray, connected to the cluster; what it prints in its threads is no part of the answer on stdout."""
    try:
        import ray  # noqa: PLC0415 - an extra of its own
    except ImportError as error:
        raise UsageError(text("ray-missing")) from error
    _knock(address)
    with contextlib.redirect_stdout(sys.stderr):
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            detail = " ".join(str(error).split())[:200]
            raise DoctorError(text("ray-unreachable", address=address, detail=detail)) from error
        try:
            yield ray
        finally:
            ray.shutdown()


def _knock(address: str) -> None:
    """See whether anybody listens at an address with a port: where nobody does, Ray ends this very process."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        detail = error.strerror or type(error).__name__
        raise DoctorError(text("ray-unreachable", address=address, detail=detail)) from error


def _alive(ray: Any) -> list[Mapping[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _read_all(
    ray: Any,
    left: Sequence[tuple[Place, str]],
    output: Place,
    options: TargetOptions,
    request: ParseRequest,
) -> Any:
    """Yield documents as they are over."""
    share = {"num_gpus": 1} if ray.cluster_resources().get("GPU") else {"num_cpus": 1}
    task = ray.remote(_read_one).options(max_retries=_RETRIES, **share)
    kept = request.keep_warm if request.keep_warm is not None else _WARM_MINUTES
    one = replace(request, keep_warm=kept, resume=False)
    waiting = {
        task.remote(place, version, output, options, one, language()): (place, version)
        for place, version in left
    }
    while waiting:
        (ready,), _ = ray.wait(list(waiting))
        place, version = waiting.pop(ready)
        try:
            yield ray.get(ready)
        except ray.exceptions.RayError as error:
            reason = " ".join(str(error).split())[:300]
            yield ClusterDocument(place.url, version, "", False, 0, 0.0, summary=reason, reasons=(reason,))


def _read_one(
    place: Place, version: str, output: Place, options: TargetOptions, request: ParseRequest, lang: str
) -> ClusterDocument:
    """Read one document on the node that this runs on; what fails is its outcome."""
    import platform  # noqa: PLC0415 - runs elsewhere

    set_language(lang)
    node, started = platform.node(), time.monotonic()
    try:
        report = _parsed(place, output, options, request)
    except DoctorError as error:
        seconds = round(time.monotonic() - started, 2)
        reason = error.message
        return ClusterDocument(place.url, version, node, False, 0, seconds, summary=reason, reasons=(reason,))
    seconds = round(time.monotonic() - started, 2)
    verdict, pages = report.verdict, len(report.pages)
    head = (place.url, version, node, verdict.passed, pages, seconds, report.engine, report.device)
    return ClusterDocument(*head, verdict.summary, verdict.reasons)


def _parsed(place: Place, output: Place, options: TargetOptions, request: ParseRequest) -> Any:
    """Fetch, read and put the results where they belong."""
    from paddlevl_doctor.commands.parse import parse  # noqa: PLC0415 - runs elsewhere
    from paddlevl_doctor.report.run_page import write_page  # noqa: PLC0415 - as above
    from paddlevl_doctor.system import RealSystem  # noqa: PLC0415 - as above
    from paddlevl_doctor.values import no_bar  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory(prefix="paddlevl-doctor-") as scratch:
        local, results = Path(scratch) / "in" / place.name, Path(scratch) / "out"
        local.parent.mkdir()
        place.fetch(local)
        one = replace(request, inputs=(str(local),), output=results)
        report = parse(RealSystem(), options, one, lambda _title: contextlib.nullcontext(), no_bar)
        if report.story is not None:
            write_page(report.story, results)
        output.inside(place.name).put(results)
        return report


def check_on_ray(address: str, options: TargetOptions) -> ClusterCheck:
    """Look at every node of a cluster; raises UsageError and DoctorError where there is none."""
    with _joined(address) as ray:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415 - an extra

        asked = {}
        for node in _alive(ray):
            place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task = ray.remote(_check_one).options(scheduling_strategy=place, num_cpus=0, max_retries=0)
            asked[node["NodeID"]] = (node["NodeManagerHostname"], task.remote(options, language()))
        nodes = tuple(_answer(ray, node, *told) for node, told in sorted(asked.items()))
    return ClusterCheck(address, nodes)


def _answer(ray: Any, node: str, name: str, told: Any) -> NodeCheck:
    try:
        document = ray.get(told, timeout=120)
    except ray.exceptions.RayError as error:
        return NodeCheck(node[:8], name, "unknown", (" ".join(str(error).split())[:200],))
    bad = [f for f in document["findings"] if f["status"] in ("error", "unknown")]
    problems = tuple(f"{f['id']}: {f['title']}" for f in bad)
    return NodeCheck(node[:8], name, document["summary"]["status"], problems, document)


def _check_one(options: TargetOptions, lang: str) -> Mapping[str, Any]:
    from paddlevl_doctor.commands.check import CheckRequest, check  # noqa: PLC0415 - runs elsewhere
    from paddlevl_doctor.report.documents import check_document  # noqa: PLC0415 - as above
    from paddlevl_doctor.system import RealSystem  # noqa: PLC0415 - as above

    set_language(lang)
    quiet = lambda _title: contextlib.nullcontext()  # noqa: E731 - a value like any other
    return check_document(check(RealSystem(), options, quiet, CheckRequest()))
