"""`parse` from the request to the report, in this process: documents that vanish, runs that are ended and go on."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

import documents
from paddlevl_doctor.commands.diagnose import TargetOptions
from paddlevl_doctor.commands.parse import parse
from paddlevl_doctor.parsing.run.report import ParseReport, ParseRequest
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import UsageError
from paddlevl_doctor.values.findings import Advance, Bar, Stage, no_bar
from vlm_server import VlmServer

pytestmark = pytest.mark.xdist_group("reader")


def quiet(_title: str) -> nullcontext[None]:
    return nullcontext()


def read(folder: Path, *names: str, stage: Stage = quiet, bar: Bar = no_bar, **how: object) -> ParseReport:
    inputs = tuple(str(folder / name) for name in names)
    request = replace(ParseRequest(inputs, folder / "output", engine="reader"), **how)  # type: ignore[arg-type]
    return parse(RealSystem(), TargetOptions(None, None, None), request, stage, bar)


def pages(folder: Path, count: int) -> None:
    documents.pdf(folder / "long.pdf", [documents.page(f"NUMBER {n}") for n in range(count)])


def test_a_document_that_vanishes_before_it_is_read_is_reported_and_the_others_are_read(
    tmp_path: Path,
) -> None:
    for name in ("gone.png", "here.png"):
        documents.page("HERE").save(tmp_path / name)

    @contextmanager
    def vanishing(_title: str) -> Iterator[None]:
        (tmp_path / "gone.png").unlink(missing_ok=True)
        yield

    report = read(tmp_path, "gone.png", "here.png", stage=vanishing)
    gone = (f"There is no file {tmp_path}/gone.png.",)
    assert [(tuple(map(str, document.failed)), document.pages) for document in report.documents] == [
        (gone, 0),
        ((), 1),
    ]

    documents.page("HERE").save(tmp_path / "gone.png")
    with pytest.raises(UsageError, match=r"There is no file .*gone\.png"):
        read(tmp_path, "gone.png", stage=vanishing)


def test_a_run_that_is_ended_says_how_many_of_all_pages_are_there(tmp_path: Path) -> None:
    pages(tmp_path, 4)
    totals = []

    class Ends(Advance):
        over = 0

        def __call__(self, _done: int) -> None:
            self.over += 1
            if self.over == 1:
                os.kill(os.getpid(), signal.SIGINT)  # the main thread is to hear it

    @contextmanager
    def bar(_title: str, total: int) -> Iterator[Advance]:
        totals.append(total)
        yield Ends()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for least in (1, 2):
            with pytest.raises(KeyboardInterrupt) as caught:
                read(tmp_path, "long.pdf", bar=bar, resume=True)
            words = str(caught.value).split()
            assert (int(words[2]) >= least, words[3:6]) == (True, ["of", "4", "pages,"])
    finally:
        signal.signal(signal.SIGINT, before)
    assert totals[0] == 4 > totals[1]


def test_the_witness_looks_at_all_pages_of_a_run_that_went_on(tmp_path: Path) -> None:
    pages(tmp_path, 3)
    with VlmServer("other").open() as server:
        how = {"engine": "server", "server_url": server.url}
        read(tmp_path, "long.pdf", **how, witness="none")
        shutil.rmtree(tmp_path / "output/long.pages/0002")
        (document,) = read(tmp_path, "long.pdf", **how, resume=True).documents

    assert (document.resumed, document.witnessed) == (2, 3)


def test_a_comparison_has_the_same_documents_for_all_engines_whatever_the_first_one_left(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("bad.png", "good.png"):
        documents.page("GOOD").save(folder / name)
    how = {"compare": ("server", "reader"), "output": folder / "out", "require": "server"}
    with VlmServer("other", faults=["400", "400"]).open() as server:
        report = read(tmp_path, "in", **how, server_url=server.url)
    compared = [[document.name for document in engine.documents] for engine in report.compared]

    assert (folder / "out/server/bad.pages/0001/page.jpg").is_file()
    assert compared == [["bad.png", "good.png"]] * 2
    assert [d.similarity for d in report.compared[0].documents] == [None, 1.0]
    assert [reason for reason in report.verdict.reasons if "required" in str(reason)] == []


def test_known_texts_and_files_of_the_user_are_not_replaced_in_any_folder_of_results(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    documents.page("HERE").save(tmp_path / "docs/1.png")
    (tmp_path / "docs/1.md").write_text("HERE\n")
    (tmp_path / "native").mkdir()
    (tmp_path / "native/1.md").write_text("Mine.\n")
    docs = tmp_path / "docs"

    with pytest.raises(UsageError, match=r"would replace .*/docs/1\.md, which is an input of this run"):
        read(tmp_path, "docs", expect=docs, output=docs)
    with pytest.raises(UsageError, match=r"would replace .*/native/1\.md, which was not written by `parse`"):
        read(tmp_path, "docs", compare=("reader", "native"), output=tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["1.md", "1.md", "1.png", "docs", "native"]

    proved = read(tmp_path, "docs/1.png", expect=docs, output=tmp_path / "results")
    again = read(tmp_path, "docs/1.png", expect=docs, output=tmp_path / "results")
    assert (proved.verdict.similarity, again.verdict) == (1.0, proved.verdict)
