"""documents.jsonl: lines survive a kill, and a result is reused only for the same options."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from paddlevl_doctor.cluster.ledger import ClusterDocument, Ledger
from paddlevl_doctor.cluster.storage import RemotePath

READ = ClusterDocument(
    "file:///in/1.png",
    "10 1.5",
    "node",
    passed=True,
    pages=2,
    engine="native",
    similarity=0.99,
    requested_engine="auto",
    outputs=("/out/1.png/1.md",),
    key="key",
    results="1.png",
)
# Appends lines endlessly and prints the number of each line after it was written.
WRITER = """
import sys
from paddlevl_doctor.cluster.ledger import ClusterDocument, Ledger
from paddlevl_doctor.cluster.storage import RemotePath
ledger = Ledger.load(RemotePath(sys.argv[1]))
ledger.compact()
number = len(ledger.documents)
while True:
    ledger.add(ClusterDocument(f"{number}.png", "v" * 5000, passed=True))
    print(number, flush=True)
    number += 1
"""


def test_a_kill_loses_no_line_that_was_written(tmp_path: Path) -> None:
    written = -1
    for least in (3, 10, 25):
        argv = [sys.executable, "-c", WRITER, str(tmp_path)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            while written < least:
                written = int(run.stdout.readline())
            run.send_signal(signal.SIGKILL)
        found = Ledger.load(RemotePath(str(tmp_path))).documents
        assert list(found)[: written + 1] == [f"{number}.png" for number in range(written + 1)]


def test_incomplete_and_invalid_lines_are_skipped_and_removed_by_compact(tmp_path: Path) -> None:
    path = tmp_path / "documents.jsonl"
    ledger = Ledger.empty(RemotePath(str(tmp_path)))
    ledger.compact()
    ledger.add(replace(READ, passed=False))
    ledger.add(READ)
    path.write_text(
        path.read_text() + '[1]\n{"input": "x"}\n{"input": 1, "version": "2"}\n{"input": "file:///'
    )
    found = Ledger.load(RemotePath(str(tmp_path)))
    found.compact()

    assert found.documents == {READ.input: READ}
    assert len(path.read_text().splitlines()) == 1


def test_a_line_has_no_password_and_still_identifies_the_document(tmp_path: Path) -> None:
    url = "ftp://me:secret@host/out/1.png"
    text = f"{url}/1.md could not be written"
    document = replace(
        READ,
        input="file:///in/password=1234/1.png",
        results="password=1234/1.png",
        outputs=(f"{url}/1.md",),
        reasons=(text,),
        summary=text,
        reason=text,
        incidents=(text,),
    )
    ledger = Ledger.empty(RemotePath(str(tmp_path)))
    ledger.compact()
    ledger.add(document)
    (found,) = Ledger.load(RemotePath(str(tmp_path))).documents.values()

    assert "secret" not in (tmp_path / "documents.jsonl").read_text()
    assert (found.input, found.results) == (document.input, document.results)
    assert found.incidents == ("ftp://***@host/out/1.png/1.md could not be written",)
    assert found.outputs == ("ftp://***@host/out/1.png/1.md",)
    assert found.is_reusable(document.version, document.key, "native")


def test_unknown_fields_of_a_later_version_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "documents.jsonl").write_text('{"input": "x", "version": "1", "colour": ["blue"]}\n')

    assert Ledger.load(RemotePath(str(tmp_path))).documents == {"x": ClusterDocument("x", "1")}


@pytest.mark.parametrize(
    ("document", "engine", "reusable"),
    [
        (READ, "native", True),
        (READ, "auto", True),
        (READ, "reader", False),
        (replace(READ, engine="reader"), "native", False),
        (replace(READ, engine="reader"), "auto", True),
        (replace(READ, engine="reader"), "reader", True),
        (replace(READ, engine="reader", requested_engine="reader"), "auto", False),
        (replace(READ, engine="native", requested_engine="native"), "auto", True),
        (replace(READ, passed=False), "native", False),
        (replace(READ, version="11 2.5"), "native", False),
        (replace(READ, key="another"), "native", False),
    ],
)
def test_a_result_is_reusable_for_the_same_file_version_key_and_engine(
    document: ClusterDocument, engine: str, reusable: bool
) -> None:
    assert document.is_reusable("10 1.5", "key", engine) is reusable
