"""documents.jsonl: what became of every document of a cluster's runs, one line each, which no kill takes away."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import msgspec

from paddlevl_doctor.cluster.storage import RemotePath
from paddlevl_doctor.parsing.run.report import Judgement
from paddlevl_doctor.redaction import scrubbed
from paddlevl_doctor.values.findings import as_dict

NAME = "documents.jsonl"


@dataclass(frozen=True)
class ClusterDocument:
    """What became of one document; `version` tells it from another one at the same place."""

    input: str
    version: str
    node: str = ""
    passed: bool = False
    pages: int = 0
    """How many were read."""
    seconds: float = 0.0
    engine: str = ""
    """Which one really read."""
    device: str = ""
    summary: str = ""
    reasons: tuple[str, ...] = ()
    requested_engine: str = ""
    reason: str = ""
    """Why the engine differs from the one that was asked for."""
    judged: bool = True
    similarity: float | None = None
    threshold: float | None = None
    outputs: tuple[str, ...] = ()
    """Paths or URLs of what was written."""
    incidents: tuple[str, ...] = ()
    key: str = ""
    """In what way it was read and judged: another pipeline or known text gives another key."""
    results: str = ""
    """Folder of its results below the output."""

    def verdict(self) -> Judgement:
        """Return the verdict as `parse` gives it on this machine."""
        numbers = (self.similarity, self.threshold, None)
        return Judgement(self.passed, *numbers, self.reasons, self.summary, self.judged)

    def failed(self, reason: str, seconds: float = 0.0) -> ClusterDocument:
        """Return it as one that could not be read."""
        return replace(self, summary=reason, reasons=(reason,), seconds=seconds)

    def counts(self, version: str, key: str, engine: str) -> bool:
        """Say whether it need not be read again. A stand-in counts only where nothing but `auto` was asked for."""
        stood_in = engine == "auto" and (self.requested_engine == "auto" or self.engine == "native")
        suits = self.engine == engine or stood_in
        return self.passed and suits and (self.version, self.key) == (version, key)


@dataclass
class Ledger:
    """The lines in a folder or at a URL, and what they say: the last one of each document."""

    place: RemotePath
    documents: dict[str, ClusterDocument] = field(default_factory=dict)

    @classmethod
    def new(cls, output: RemotePath) -> Ledger:
        """Return one without any line."""
        return cls(output.inside(NAME))

    @classmethod
    def of(cls, output: RemotePath) -> Ledger:
        """Return what is written there; a line that is no whole one is left out. Raises DoctorError."""
        place = output.inside(NAME)
        found = filter(None, map(_document, place.words().splitlines()))
        return cls(place, {document.input: document for document in found})

    def add(self, document: ClusterDocument) -> None:
        """Write a document down; raises DoctorError."""
        self.place.append(_line(document))
        self.documents[document.input] = document

    def tidy(self) -> None:
        """Write one line for each document and nothing else; has to come before the first `add`. Raises DoctorError."""
        self.place.write("".join(map(_line, self.documents.values())))


def _line(document: ClusterDocument) -> str:
    """Return a line without credentials; what the next run looks for is in it as it is."""
    known = {name: getattr(document, name) for name in ("input", "version", "key", "results")}
    return json.dumps({**scrubbed(as_dict(document)), **known}, ensure_ascii=False) + "\n"


def _document(line: str) -> ClusterDocument | None:
    """Return what a line says; fields of later versions are left out."""
    try:
        return msgspec.json.decode(line, type=ClusterDocument)
    except msgspec.MsgspecError:
        return None
