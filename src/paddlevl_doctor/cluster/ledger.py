"""documents.jsonl: one durable line with the result of each document that a Ray cluster has read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import msgspec

from paddlevl_doctor.cluster.storage import RemotePath
from paddlevl_doctor.parsing.run.report import Judgement
from paddlevl_doctor.redaction import scrubbed
from paddlevl_doctor.system.files import json_bytes
from paddlevl_doctor.values.findings import as_dict

NAME = "documents.jsonl"


@dataclass(frozen=True)
class ClusterDocument:
    """The result of one document; `version` changes when the file at `input` changes."""

    input: str
    version: str
    node: str = ""
    passed: bool = False
    pages: int = 0
    """Number of pages that were read."""
    seconds: float = 0.0
    engine: str = ""
    """The engine that read the document."""
    device: str = ""
    summary: str = ""
    reasons: tuple[str, ...] = ()
    requested_engine: str = ""
    reason: str = ""
    """Why the engine differs from `requested_engine`."""
    judged: bool = True
    similarity: float | None = None
    threshold: float | None = None
    outputs: tuple[str, ...] = ()
    """Paths or URLs of the results."""
    incidents: tuple[str, ...] = ()
    key: str = ""
    """Hash of the options that affect the result, such as the pipeline and the ground truth."""
    results: str = ""
    """Folder of the results, relative to the output."""

    def verdict(self) -> Judgement:
        """Return the verdict in the form of `parse` without --ray."""
        numbers = (self.similarity, self.threshold, None)
        return Judgement(self.passed, *numbers, self.reasons, self.summary, self.judged)

    def as_failed(self, reason: str, seconds: float = 0.0) -> ClusterDocument:
        """Return this record as that of a document that could not be read."""
        return replace(self, summary=reason, reasons=(reason,), seconds=seconds)

    def is_reusable(self, version: str, key: str, engine: str) -> bool:
        """Return whether the result of an earlier run is still valid for this file version, key and requested engine.

        With `auto`, the result of another engine than the native one is valid only if `auto` was requested then, too.
        """
        valid_for_auto = engine == "auto" and (self.requested_engine == "auto" or self.engine == "native")
        same_engine = self.engine == engine or valid_for_auto
        return self.passed and same_engine and (self.version, self.key) == (version, key)


@dataclass
class Ledger:
    """The file documents.jsonl in a folder or at a URL, and the last record of each document in it."""

    path: RemotePath
    documents: dict[str, ClusterDocument] = field(default_factory=dict)

    @classmethod
    def empty(cls, output: RemotePath) -> Ledger:
        """Return a ledger without records; the file is not read."""
        return cls(output.child(NAME))

    @classmethod
    def load(cls, output: RemotePath) -> Ledger:
        """Read the ledger of an output folder; incomplete lines are skipped. Raises DoctorError if it is unreadable."""
        path = output.child(NAME)
        documents = filter(None, map(_parse_line, path.read_text().splitlines()))
        return cls(path, {document.input: document for document in documents})

    def add(self, document: ClusterDocument) -> None:
        """Append the record of a document to the file. Raises DoctorError if it cannot be written."""
        self.path.append_text(_line(document))
        self.documents[document.input] = document

    def compact(self) -> None:
        """Rewrite the file with one line per document; call it before the first `add`. Raises DoctorError."""
        self.path.write_text("".join(map(_line, self.documents.values())))


def _line(document: ClusterDocument) -> str:
    """Return the JSON line of a document without credentials, except in the fields that the next run compares."""
    compared = {name: getattr(document, name) for name in ("input", "version", "key", "results")}
    text = json.dumps({**scrubbed(as_dict(document)), **compared}, ensure_ascii=False)
    return json_bytes(text).decode() + "\n"


def _parse_line(line: str) -> ClusterDocument | None:
    """Return the record in a line, or None if it is incomplete; unknown fields of later versions are ignored."""
    try:
        return msgspec.json.decode(line, type=ClusterDocument)
    except msgspec.MsgspecError:
        return None
