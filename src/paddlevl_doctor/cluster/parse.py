"""`parse --ray`: read documents on the nodes of a Ray cluster.

Each document is a Ray task. If a node is lost, Ray runs its task on another node. Each finished document becomes a line
in documents.jsonl beside the results, so that the next run with --resume skips it.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from paddlevl_doctor.cluster import connect
from paddlevl_doctor.cluster.ledger import ClusterDocument, Ledger
from paddlevl_doctor.cluster.node import DocumentTask, RunConfig, read_document
from paddlevl_doctor.cluster.storage import RemoteFile, RemotePath
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.messages import language, message, render
from paddlevl_doctor.parsing.evaluate.ground_truth import candidate_files, load_truth
from paddlevl_doctor.parsing.input.documents import unique_result_name
from paddlevl_doctor.parsing.run.report import ParseRequest
from paddlevl_doctor.redaction import map_texts, without_secrets
from paddlevl_doctor.values.errors import DoctorError, UsageError
from paddlevl_doctor.values.findings import Bar, ExitCode

if TYPE_CHECKING:
    from paddlevl_doctor.cluster.node import DocumentTask, RunConfig

_RETRIES = 5
"""How often Ray retries a document whose node was lost."""
_WARM_MINUTES = 1.0
"""How long a node keeps its pipeline loaded between two documents; it is short because that takes memory."""
_GPUS = ("gpu", "cuda")


@dataclass(frozen=True)
class ClusterReport:
    """The result of `parse --ray`."""

    address: str
    nodes: int
    output: str
    resumed: int
    documents: tuple[ClusterDocument, ...]
    seconds: float

    def exit_code(self) -> ExitCode:
        """Return 0 if every document passed, else 1."""
        return ExitCode.OK if all(d.passed for d in self.documents) else ExitCode.PROBLEMS


@dataclass(frozen=True)
class ResourceRequest:
    """The processor cores and GPUs that a document requests from Ray, and the devices as its task sees them."""

    cpus: int
    gpus: int
    device: str

    @classmethod
    def of(cls, request: ParseRequest, *, gpus: bool) -> ResourceRequest:
        """Return the resources for `--device`; `auto` is one GPU if the cluster has `gpus` and the engine uses GPUs."""
        if request.device == "auto":
            return cls(1, int(gpus and request.engine in ("auto", "native")), "auto")
        devices = [device.strip().lower() for device in request.device.split(",")]
        gpu_devices = [device for device in devices if device.startswith(_GPUS)]
        others = [device for device in devices if device not in gpu_devices]
        # Ray chooses the GPUs and hides all others from the task, which numbers its own from 0.
        renumbered = [f"gpu:{number}" for number in range(len(gpu_devices))]
        return cls(max(1, others.count("cpu")), len(gpu_devices), ",".join((*renumbered, *others)))

    def fits(self, node: Mapping[str, Any]) -> bool:
        """Return whether a node has these resources."""
        available = node["Resources"]
        return bool(available.get("CPU", 0) >= self.cpus and available.get("GPU", 0) >= self.gpus)


def parse_on_ray(
    address: str, folder: str, options: TargetOptions, request: ParseRequest, bar: Bar, expect: str | None
) -> ClusterReport:
    """Read every document on a free node and write the results to `folder`, a shared folder or a URL.

    `expect` is the path or URL of the ground truth or of a folder of them. Raises UsageError for unusable options or
    inputs, and DoctorError if the cluster or the output cannot be used.
    """
    _reject_unsupported(request)
    started = time.monotonic()
    output = RemotePath.from_argument(folder)
    ledger = Ledger.load(output) if request.resume else Ledger.empty(output)
    tasks = document_tasks(request, output, expect, ledger)
    remaining = [task for task in tasks if not _is_done(task, ledger, request)]
    title = message("stage-ray", count=len(remaining))
    with connect.connected(address) as ray, bar(title, len(remaining)) as advance:
        nodes = connect.alive_nodes(ray)
        resources = ResourceRequest.of(request, gpus=bool(ray.cluster_resources().get("GPU")))
        _require_capable_node(ray, nodes, resources)
        ledger.compact()
        config = _run_config(output, options, request, resources)
        for document in _read_all(ray, remaining, resources, config):
            ledger.add(document)
            advance(1)
    ledger.compact()
    documents = tuple(ledger.documents[task.display_name] for task in tasks)
    seconds = round(time.monotonic() - started, 2)
    return ClusterReport(address, len(nodes), output.url, len(tasks) - len(remaining), documents, seconds)


def _reject_unsupported(request: ParseRequest) -> None:
    """Raise UsageError for an option that --ray does not support."""
    unsupported = {
        "ray-no-compare": bool(request.compare),
        "ray-no-fix": request.fix,
        "ray-no-selftest": request.engine == "selftest",
    }
    for message_id, is_requested in unsupported.items():
        if is_requested:
            raise UsageError(message(message_id))


# --- the documents ----------------------------------------------------------------------------------------


def document_tasks(
    request: ParseRequest, output: RemotePath, expect: str | None, ledger: Ledger
) -> list[DocumentTask]:
    """Return a task for each document, with a folder for its results that no other document has.

    A document in the ledger keeps its folder. Raises UsageError if there is no document, or no ground truth although
    `expect` or --threshold requires one.
    """
    if request.threshold is not None and expect is None:
        raise UsageError(message("threshold-alone"))
    found = _documents(request.inputs, output)
    truths = _truths(expect, found)
    taken = {document.results.casefold() for document in ledger.documents.values()}
    inside_output = (document.path.relative_to(output) for document in found)
    taken |= {path.as_posix().casefold() for path in inside_output if path is not None}
    tasks = []
    for document, truth in zip(found, truths, strict=True):
        name = _display_name(document.path)
        former = ledger.documents.get(name)
        results = former.results if former else ""
        results = results or unique_result_name(document.path.name, PurePosixPath(document.folder), taken)
        expected = truth.text.path if truth.text else None
        tasks.append(DocumentTask(document, name, results, _key(request, truth), expected, truth.missing))
    return tasks


def _documents(inputs: Sequence[str], output: RemotePath) -> list[RemoteFile]:
    """Return the documents of all inputs without duplicates. Raises UsageError for an input without documents."""
    by_url: dict[str, RemoteFile] = {}
    for path in inputs:
        documents = RemotePath.from_argument(path).documents(output)
        if not documents:
            raise UsageError(message("folder-empty", path=path))
        for document in documents:
            by_url.setdefault(document.path.url, document)
    return list(by_url.values())


@dataclass(frozen=True)
class _Truth:
    """The ground truth of a document, or the path at which none was found; both are empty without --expect."""

    text: RemoteFile | None = None
    missing: str = ""


def _truths(expect: str | None, documents: Sequence[RemoteFile]) -> list[_Truth]:
    """Return the ground truth of each document, found and validated as without --ray. Raises UsageError as there."""
    if expect is None:
        return [_Truth() for _ in documents]
    folder = RemotePath.from_argument(expect)
    files = folder.files()
    if PurePosixPath() in files:
        if len(documents) > 1:
            raise UsageError(message("known-one-for-many", path=folder.display_name, count=len(documents)))
        return [_Truth(_validated(files[PurePosixPath()]))]
    truths = [_truth(folder, files, document) for document in documents]
    if not any(truth.text for truth in truths):
        where = {"folder": folder.display_name, "count": len(documents), "place": truths[0].missing}
        raise UsageError(message("known-none", **where))
    return truths


def _truth(truths: RemotePath, files: Mapping[PurePosixPath, RemoteFile], document: RemoteFile) -> _Truth:
    """Return the ground truth of a document in a folder that mirrors the folder of the documents."""
    folder, name = PurePosixPath(document.folder), PurePosixPath(document.path.name)
    truth = next((files[path] for path in candidate_files(folder, name) if path in files), None)
    if truth is None:
        return _Truth(missing=truths.child((folder / f"{name.stem}.md").as_posix()).display_name)
    return _Truth(_validated(truth))


def _validated(truth: RemoteFile) -> RemoteFile:
    """Return a ground truth; raises UsageError if the file is not one."""
    with tempfile.TemporaryDirectory(prefix="paddlevl-doctor-") as scratch:
        local = Path(scratch) / truth.path.name
        truth.path.download(local)
        try:
            load_truth(local)
        except UsageError as error:
            name = truth.path.display_name
            raise UsageError(map_texts(error.message, lambda text: text.replace(str(local), name))) from error
    return truth


def _display_name(path: RemotePath) -> str:
    """Return the name of a document in results and messages: its URL without credentials."""
    return path.url if path.url.startswith("file://") else without_secrets(path.url)


def _key(request: ParseRequest, truth: _Truth) -> str:
    """Return a hash of the options that affect the result. The engine is compared separately."""
    server = (request.server_url, request.server_backend, request.server_model, request.server_prompt)
    text = (truth.text.path.url, truth.text.version) if truth.text else None
    options = (request.pipeline, request.pipeline_version, *server, request.witness, request.threshold, text)
    return hashlib.sha256(repr(options).encode()).hexdigest()[:16]


def _is_done(task: DocumentTask, ledger: Ledger, request: ParseRequest) -> bool:
    document = ledger.documents.get(task.display_name)
    engine = request.require or request.engine
    return document is not None and document.is_reusable(task.source.version, task.key, engine)


# --- the cluster ------------------------------------------------------------------------------------------


def _require_capable_node(ray: Any, nodes: Sequence[Mapping[str, Any]], resources: ResourceRequest) -> None:
    """Raise DoctorError if no node has the resources, or if a node with the resources lacks the doctor."""
    usable = [node for node in nodes if resources.fits(node)]
    if not usable:
        raise DoctorError(message("ray-too-small", cpus=resources.cpus, gpus=resources.gpus))
    without = connect.nodes_without_doctor(ray, usable)
    if without:
        raise DoctorError("\n".join(render(one, language()) for one in without.values()))


def _run_config(
    output: RemotePath, options: TargetOptions, request: ParseRequest, resources: ResourceRequest
) -> RunConfig:
    warm = request.keep_warm if request.keep_warm is not None else _WARM_MINUTES
    document_request = replace(request, keep_warm=warm, resume=False, device=resources.device)
    return RunConfig(
        output, connect.with_absolute_paths(options), document_request, language(), resources.cpus
    )


def _read_all(
    ray: Any, remaining: Sequence[DocumentTask], resources: ResourceRequest, config: RunConfig
) -> Iterator[ClusterDocument]:
    """Yield each document when its task has finished."""
    limits = {"max_retries": _RETRIES, "num_cpus": resources.cpus, "num_gpus": resources.gpus}
    read = ray.remote(read_document).options(**limits)
    waiting = {read.remote(task, config): task for task in remaining}
    while waiting:
        (ready,), _ = ray.wait(list(waiting))
        task = waiting.pop(ready)
        try:
            yield ray.get(ready)
        except ray.exceptions.RayError as error:
            yield task.started(config.request.engine).as_failed(connect.reason_of(error))
