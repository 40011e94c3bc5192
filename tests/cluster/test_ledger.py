"""documents.jsonl: what it says is still said after a kill, and counts only for the same question."""

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
# Adds lines for ever, and says of each that it is written.
WRITER = """
import sys
from paddlevl_doctor.cluster.ledger import ClusterDocument, Ledger
from paddlevl_doctor.cluster.storage import Place
ledger = Ledger.of(Place(sys.argv[1]))
ledger.tidy()
number = len(ledger.documents)
while True:
    ledger.add(ClusterDocument(f"{number}.png", "v" * 5000, passed=True))
    print(number, flush=True)
    number += 1
"""


def test_a_kill_at_any_moment_takes_no_line_that_was_written(tmp_path: Path) -> None:
    said = -1
    for least in (3, 10, 25):
        argv = [sys.executable, "-c", WRITER, str(tmp_path)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            while said < least:
                said = int(run.stdout.readline())
            run.send_signal(signal.SIGKILL)
        found = Ledger.of(RemotePath(str(tmp_path))).documents
        assert list(found)[: said + 1] == [f"{number}.png" for number in range(said + 1)]


def test_a_line_that_broke_off_and_one_that_is_none_are_left_out_and_tidied_away(tmp_path: Path) -> None:
    path = tmp_path / "documents.jsonl"
    ledger = Ledger.new(RemotePath(str(tmp_path)))
    ledger.tidy()
    ledger.add(replace(READ, passed=False))
    ledger.add(READ)
    path.write_text(
        path.read_text() + '[1]\n{"input": "x"}\n{"input": 1, "version": "2"}\n{"input": "file:///'
    )
    found = Ledger.of(RemotePath(str(tmp_path)))
    found.tidy()

    assert found.documents == {READ.input: READ}
    assert len(path.read_text().splitlines()) == 1


def test_a_line_has_no_password_and_the_next_run_knows_the_document_by_it(tmp_path: Path) -> None:
    url = "ftp://me:secret@host/out/1.png"
    said = f"{url}/1.md could not be written"
    document = replace(
        READ,
        input="file:///in/password=1234/1.png",
        results="password=1234/1.png",
        outputs=(f"{url}/1.md",),
        reasons=(said,),
        summary=said,
        reason=said,
        incidents=(said,),
    )
    ledger = Ledger.new(RemotePath(str(tmp_path)))
    ledger.tidy()
    ledger.add(document)
    (found,) = Ledger.of(RemotePath(str(tmp_path))).documents.values()

    assert "secret" not in (tmp_path / "documents.jsonl").read_text()
    assert (found.input, found.results) == (document.input, document.results)
    assert found.incidents == ("ftp://***@host/out/1.png/1.md could not be written",)
    assert found.outputs == ("ftp://***@host/out/1.png/1.md",)
    assert found.counts(document.version, document.key, "native")


def test_a_line_of_a_later_version_is_understood(tmp_path: Path) -> None:
    (tmp_path / "documents.jsonl").write_text('{"input": "x", "version": "1", "colour": ["blue"]}\n')

    assert Ledger.of(RemotePath(str(tmp_path))).documents == {"x": ClusterDocument("x", "1")}


@pytest.mark.parametrize(
    ("document", "engine", "counts"),
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
def test_a_reading_counts_for_the_same_document_read_and_judged_in_the_same_way(
    document: ClusterDocument, engine: str, counts: bool
) -> None:
    assert document.counts("10 1.5", "key", engine) is counts
