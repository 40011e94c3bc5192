"""`parse --ray`: documents are read on the nodes of a Ray cluster.

A document is a task. Ray gives the task of a node that is lost to another one; every document that is over is one line
in documents.jsonl beside the results, so that the next run goes on where this one stopped.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from paddlevl_doctor.cluster.connect import alive, joined, nodes_without_doctor, on_every_node, reason_of
from paddlevl_doctor.cluster.ledger import ClusterDocument, Ledger
from paddlevl_doctor.cluster.node import DocumentTask, RunConfig, read_document
from paddlevl_doctor.cluster.storage import Found, RemotePath
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.messages import language, message, render
from paddlevl_doctor.parsing.evaluate.ground_truth import candidate_files, load_truth
from paddlevl_doctor.parsing.input.documents import free_name
from paddlevl_doctor.parsing.run.report import ParseRequest
from paddlevl_doctor.redaction import without_secrets
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.findings import Bar, ExitCode

if TYPE_CHECKING:
    from paddlevl_doctor.cluster.node import DocumentTask, RunConfig

_RETRIES = 5
"""Of a document whose node is lost."""
_WARM_MINUTES = 1.0
"""For which a node keeps its pipeline between two documents; they follow each other soon, and it takes memory."""
_GPUS = ("gpu", "cuda")


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
class Share:
    """What one document asks Ray for: processors, GPUs, and the devices as its task will see them."""

    cpus: int
    gpus: int
    device: str

    @classmethod
    def of(cls, request: ParseRequest, *, gpus: bool) -> Share:
        """Return as much as `--device` names; `auto` is a GPU where the cluster has `gpus` and the engine uses one."""
        if request.device == "auto":
            return cls(1, int(gpus and request.engine in ("auto", "native")), "auto")
        words = [word.strip().lower() for word in request.device.split(",")]
        numbered = [word for word in words if word.startswith(_GPUS)]
        others = [word for word in words if word not in numbered]
        # Ray says which GPUs these are: the task sees no others, and counts them from 0.
        seen = [f"gpu:{number}" for number in range(len(numbered))]
        return cls(max(1, others.count("cpu")), len(numbered), ",".join((*seen, *others)))

    def fits(self, node: Mapping[str, Any]) -> bool:
        """Say whether a node has so much."""
        has = node["Resources"]
        return bool(has.get("CPU", 0) >= self.cpus and has.get("GPU", 0) >= self.gpus)


def parse_on_ray(
    address: str, folder: str, options: TargetOptions, request: ParseRequest, bar: Bar, expect: str | None
) -> ClusterReport:
    """Read every document on whichever node is free, into a shared folder or a URL.

    `expect` is the place of the known text or texts. Raises UsageError and DoctorError before anything begins.
    """
    _refuse(request)
    started = time.monotonic()
    output = RemotePath.named(folder)
    ledger = Ledger.of(output) if request.resume else Ledger.new(output)
    jobs = jobs_of(request, output, expect, ledger)
    left = [job for job in jobs if not _is_done(job, ledger, request)]
    with joined(address) as ray, bar(message("stage-ray", count=len(left)), len(left)) as advance:
        nodes = alive(ray)
        share = Share.of(request, gpus=bool(ray.cluster_resources().get("GPU")))
        _require_capable_node(ray, nodes, share)
        ledger.tidy()
        for document in _read_all(ray, left, share, _run_config(output, options, request, share)):
            ledger.add(document)
            advance(1)
    ledger.tidy()
    documents = tuple(ledger.documents[job.called] for job in jobs)
    seconds = round(time.monotonic() - started, 2)
    return ClusterReport(address, len(nodes), output.url, len(jobs) - len(left), documents, seconds)


def _refuse(request: ParseRequest) -> None:
    """Refuse what makes no sense on many machines at once."""
    asked = {
        "ray-no-compare": bool(request.compare),
        "ray-no-fix": request.fix,
        "ray-no-selftest": request.engine == "selftest",
    }
    for key, is_asked in asked.items():
        if is_asked:
            raise UsageError(message(key))


# --- what is to be read -----------------------------------------------------------------------------------


def jobs_of(
    request: ParseRequest, output: RemotePath, expect: str | None, ledger: Ledger
) -> list[DocumentTask]:
    """Return the documents, each with a folder for its results that no other one has.

    One that has a line in the ledger keeps its folder. Raises UsageError where there is nothing to read, or to compare
    with.
    """
    if request.threshold is not None and expect is None:
        raise UsageError(message("threshold-alone"))
    found = _documents(request.inputs, output)
    truths = _truths(expect, found)
    taken = {document.results.casefold() for document in ledger.documents.values()}
    inside = (one.place.below(output) for one in found)
    taken |= {way.as_posix().casefold() for way in inside if way is not None}
    jobs = []
    for one, truth in zip(found, truths, strict=True):
        called = _display_name(one.place)
        known = ledger.documents.get(called)
        name = known.results if known else ""
        name = name or free_name(one.place.name, PurePosixPath(one.folder), taken)
        expected = truth.text.place if truth.text else None
        jobs.append(DocumentTask(one, called, name, _key(request, truth), expected, truth.missing))
    return jobs


def _documents(words: Sequence[str], output: RemotePath) -> list[Found]:
    """Return the documents in all that was named, each once; raises UsageError where there are none."""
    found: dict[str, Found] = {}
    for word in words:
        inside = RemotePath.named(word).documents(output)
        if not inside:
            raise UsageError(message("folder-empty", path=word))
        for one in inside:
            found.setdefault(one.place.url, one)
    return list(found.values())


@dataclass(frozen=True)
class _Truth:
    """The known text of a document, or where it was looked for in vain; neither where none was promised."""

    text: Found | None = None
    missing: str = ""


def _truths(expect: str | None, found: Sequence[Found]) -> list[_Truth]:
    """Return the known text of each document, looked for and read as on one machine; raises UsageError as there."""
    if expect is None:
        return [_Truth() for _ in found]
    place = RemotePath.named(expect)
    files = place.files()
    if PurePosixPath() in files:
        if len(found) > 1:
            raise UsageError(message("known-one-for-many", path=place.shown, count=len(found)))
        return [_Truth(_legible(files[PurePosixPath()]))]
    truths = [_truth(place, files, one) for one in found]
    if not any(truth.text for truth in truths):
        where = {"folder": place.shown, "count": len(found), "place": truths[0].missing}
        raise UsageError(message("known-none", **where))
    return truths


def _truth(place: RemotePath, files: Mapping[PurePosixPath, Found], document: Found) -> _Truth:
    """Return the known text of a document in a folder that mirrors that of the documents."""
    folder, name = PurePosixPath(document.folder), PurePosixPath(document.place.name)
    text_at = next((files[way] for way in candidate_files(folder, name) if way in files), None)
    if text_at is None:
        return _Truth(missing=place.inside((folder / f"{name.stem}.md").as_posix()).shown)
    return _Truth(_legible(text_at))


def _legible(found: Found) -> Found:
    """Return a known text; raises UsageError where it is none."""
    with tempfile.TemporaryDirectory(prefix="paddlevl-doctor-") as scratch:
        local = Path(scratch) / found.place.name
        found.place.fetch(local)
        try:
            load_truth(local)
        except UsageError as error:
            reason = render(error.message, language())
            raise UsageError(reason.replace(str(local), found.place.shown)) from error
    return found


def _display_name(place: RemotePath) -> str:
    """Return what a document is called in answers: its URL without credentials."""
    return place.url if place.url.startswith("file://") else without_secrets(place.url)


def _key(request: ParseRequest, known: _Truth) -> str:
    """Return in what way a document is read and judged; which engine does it is told apart from it."""
    server = (request.server_url, request.server_backend, request.server_model, request.server_prompt)
    truth = (known.text.place.url, known.text.version) if known.text else None
    how = (request.pipeline, request.pipeline_version, *server, request.witness, request.threshold, truth)
    return hashlib.sha256(repr(how).encode()).hexdigest()[:16]


def _is_done(job: DocumentTask, ledger: Ledger, request: ParseRequest) -> bool:
    document = ledger.documents.get(job.called)
    engine = request.require or request.engine
    return document is not None and document.counts(job.found.version, job.key, engine)


# --- the cluster ------------------------------------------------------------------------------------------


def _require_capable_node(ray: Any, nodes: Sequence[Mapping[str, Any]], share: Share) -> None:
    """Raise DoctorError where no node has what a document needs, and where one that has it lacks the doctor."""
    usable = [node for node in nodes if share.fits(node)]
    if not usable:
        raise DoctorError(message("ray-too-small", cpus=share.cpus, gpus=share.gpus))
    without = nodes_without_doctor(ray, usable)
    if without:
        raise DoctorError("\n".join(render(one, language()) for one in without.values()))


def _run_config(output: RemotePath, options: TargetOptions, request: ParseRequest, share: Share) -> RunConfig:
    warm = request.keep_warm if request.keep_warm is not None else _WARM_MINUTES
    one = replace(request, keep_warm=warm, resume=False, device=share.device)
    return RunConfig(output, on_every_node(options), one, language(), share.cpus)


def _read_all(
    ray: Any, left: Sequence[DocumentTask], share: Share, errand: RunConfig
) -> Iterator[ClusterDocument]:
    """Yield documents as they are over."""
    task = ray.remote(read_document).options(max_retries=_RETRIES, num_cpus=share.cpus, num_gpus=share.gpus)
    waiting = {task.remote(job, errand): job for job in left}
    while waiting:
        (ready,), _ = ray.wait(list(waiting))
        job = waiting.pop(ready)
        try:
            yield ray.get(ready)
        except ray.exceptions.RayError as error:
            yield job.started(errand.request.engine).failed(reason_of(error))
