"""One document on a node of a cluster: messages name the remote files, not the temporary ones of the node."""

from __future__ import annotations

from pathlib import Path

import pytest

import documents
from paddlevl_doctor.cluster import node
from paddlevl_doctor.cluster.node import DocumentTask, RunConfig, read_document
from paddlevl_doctor.cluster.storage import RemoteFile, RemotePath
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.messages import message
from paddlevl_doctor.parsing.run.report import Judgement, ParseReport, ParseRequest
from paddlevl_doctor.values.errors import DoctorError


def config(folder: Path, url: str = "") -> RunConfig:
    request = ParseRequest((), Path("out"), engine="reader", threshold=0.9)
    return RunConfig(RemotePath(url or str(folder / "out")), TargetOptions(), request, "en", 1)


def task(folder: Path, **known: object) -> DocumentTask:
    path = folder / "in" / "1.png"
    path.parent.mkdir()
    documents.page("SHEET 21").save(path)
    return DocumentTask(RemoteFile(RemotePath(str(path)), "1"), path.as_uri(), "a/1.png", "key", **known)  # type: ignore[arg-type]


def test_a_document_without_its_ground_truth_is_read_and_fails_with_the_expected_path(
    tmp_path: Path,
) -> None:
    document = read_document(task(tmp_path, missing="/truths/a/1.md"), config(tmp_path))

    assert (document.passed, document.pages) == (False, 1)
    assert document.reasons == (
        "No ground truth: /truths/a/1.md (or .json, .txt) does not exist. Add it, or leave the document out.",
    )
    assert "SHEET 21" in (tmp_path / "out/a/1.png/1.md").read_text("utf-8")


def test_a_document_is_compared_with_its_ground_truth(tmp_path: Path) -> None:
    (tmp_path / "known.md").write_text("SHEET 21\n")
    document = read_document(
        task(tmp_path, expected=RemotePath(str(tmp_path / "known.md"))), config(tmp_path)
    )

    assert (document.passed, document.similarity, document.threshold) == (True, 1.0, 0.9)


def test_incidents_name_the_remote_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(_system: object, _options: object, request: ParseRequest, *_: object) -> ParseReport:
        kept = request.output / "incidents" / "1.txt"
        kept.parent.mkdir(parents=True)
        kept.write_text("stacks")
        incident = message(
            "cannot-write",
            option="--output",
            path=kept,
            reason=DoctorError(f"{kept.name} of {request.inputs[0]}"),
        )
        return ParseReport(
            request.inputs[0], "native", "cpu", "native", "", (), (), Judgement(True), {}, {}, (incident,)
        )

    monkeypatch.setattr(node, "parse", parse)
    document = read_document(task(tmp_path), config(tmp_path))
    kept = tmp_path / "out/a/1.png/incidents/1.txt"

    incident = message(
        "cannot-write", option="--output", path=kept, reason=f"1.txt of {(tmp_path / 'in/1.png').as_uri()}"
    )
    assert document.incidents == (str(incident),)
    assert kept.read_text() == "stacks"


def test_an_error_names_the_document_as_the_user_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(_system: object, _options: object, request: ParseRequest, *_: object) -> ParseReport:
        raise DoctorError(f"{request.inputs[0]} cannot be read for {request.output}")

    monkeypatch.setattr(node, "parse", parse)
    document = read_document(task(tmp_path), config(tmp_path, "memory://u:secret@store"))

    assert (
        document.summary
        == f"{(tmp_path / 'in/1.png').as_uri()} cannot be read for memory://***@store/a/1.png"
    )
