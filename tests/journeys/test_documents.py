"""`parse` on files, PDFs and folders, as a user runs it: every document gives a result or one clear sentence."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

import documents
from doctor import doctor, start_doctor
from paddlevl_doctor.commands.parse import ASSETS
from waiting import until

pytestmark = pytest.mark.xdist_group("reader")
READ = ("--engine", "reader", "--format", "json")


def test_a_folder_of_documents_that_hurt_is_read_to_its_end(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    good = documents.pdf(folder / "two pages.pdf", [documents.page("FIRST"), documents.page("SECOND")])
    documents.encrypted(folder / "locked.pdf", good)
    documents.damaged(folder / "torn.pdf", good)
    documents.without_pages(folder / "none.pdf")
    documents.cmyk(folder / "print.jpg")
    documents.sixteen_bits(folder / "deep.png")
    documents.transparent(folder / "alpha.png")
    documents.animated(folder / "film.gif")
    documents.turned_by_exif(folder / "camera.jpg")
    documents.page("中文").save(folder / "第一页 😀.png")
    documents.page("").save(folder / "blank.png")
    (folder / "empty.png").touch()
    (folder / "notes.txt").write_text("no document")
    answer = doctor("parse", "in", *READ, cwd=tmp_path)
    found = {Path(d["input"]).name: d for d in answer.document["documents"]}
    words = {
        name: json.loads((tmp_path / d["outputs"][1]).read_text("utf-8"))["pages"]
        for name, d in found.items()
        if d["outputs"]
    }

    assert answer.code == 1
    assert {name: d["verdict"]["passed"] for name, d in found.items()} == {
        "two pages.pdf": True, "locked.pdf": False, "torn.pdf": False, "none.pdf": False, "print.jpg": True,
        "deep.png": True, "alpha.png": True, "film.gif": True, "camera.jpg": True, "第一页 😀.png": True,
        "blank.png": True, "empty.png": False,
    }  # fmt: skip
    assert {
        name: [" ".join(block["text"] for block in page["blocks"]) for page in pages]
        for name, pages in words.items()
        if name != "第一页 😀.png"
    } == {
        "two pages.pdf": ["FIRST", "SECOND"], "print.jpg": ["CMYK"], "deep.png": ["DEEP"], "alpha.png": ["ALPHA"],
        "film.gif": ["FIRST"], "camera.jpg": ["EXIF"], "blank.png": [""],
    }  # fmt: skip
    assert [d["failed"][0].removeprefix(str(folder)) for d in found.values() if d["failed"]] == [
        "/empty.png is empty (0 bytes). Check whether its download or copy was interrupted.",
        "/locked.pdf needs a password. Save a copy without one.",
        "/none.pdf is a PDF without pages.",
        found["torn.pdf"]["failed"][0].removeprefix(str(folder)),
    ]
    assert answer.document["verdict"]["summary"] == (
        "Of 12 documents, 1 passed, 4 failed, 7 were not evaluated."
    )


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_single_document_that_cannot_be_opened_is_one_sentence(lang: str, tmp_path: Path) -> None:
    good = documents.pdf(tmp_path / "good.pdf", [documents.page()])
    documents.encrypted(tmp_path / "locked.pdf", good)
    answer = doctor("parse", "locked.pdf", "--lang", lang, cwd=tmp_path)

    assert (answer.code, answer.stdout, len(answer.stderr.splitlines())) == (2, "", 1)
    assert "locked.pdf" in answer.stderr
    assert not (tmp_path / "output").exists()


def each(processes: list[psutil.Process], sign: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(sign)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_was_ended_goes_on_with_resume_and_reads_no_page_twice(
    how: signal.Signals, tmp_path: Path
) -> None:
    documents.pdf(tmp_path / "long.pdf", [documents.page(f"NUMBER {n}") for n in range(21, 33)])
    run = start_doctor("parse", "long.pdf", "--engine", "reader", cwd=tmp_path)
    until((tmp_path / "output/long.pages/0003/page.json").exists, every=0.002)
    children = psutil.Process(run.pid).children(recursive=True)
    each(children, signal.SIGSTOP)  # else it may have read all pages before the signal comes
    run.send_signal(how)
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(timeout=2)
    each(children, signal.SIGCONT)
    _, said = run.communicate(timeout=60)
    kept = {p.parent.name: p.stat().st_mtime_ns for p in (tmp_path / "output").rglob("page.json")}
    answer = doctor("parse", "long.pdf", "--resume", *READ, cwd=tmp_path)
    (document,) = answer.document["documents"]

    assert 3 <= len(kept) < 12
    assert (document["pages"], document["resumed"]) == (12, len(kept))
    pages = json.loads((tmp_path / "output/long.json").read_text())["pages"]
    assert [page["blocks"][0]["text"] for page in pages] == [f"NUMBER {n}" for n in range(21, 33)]
    for name, time_ns in kept.items():
        assert (tmp_path / f"output/long.pages/{name}/page.json").stat().st_mtime_ns == time_ns
    if how is signal.SIGINT:
        assert run.returncode == 130
        assert said.strip().endswith("Run the same command with --resume to read the rest.")
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []


def test_a_document_that_changed_is_read_anew_whatever_resume_says(tmp_path: Path) -> None:
    documents.page("BEFORE").save(tmp_path / "page.png")
    assert doctor("parse", "page.png", *READ, cwd=tmp_path).code == 0
    documents.page("AFTER").save(tmp_path / "page.png")
    answer = doctor("parse", "page.png", "--resume", *READ, cwd=tmp_path)

    assert [b["text"] for b in answer.document["pages"][0]["blocks"]] == ["AFTER"]
    assert answer.document["documents"][0]["resumed"] == 0


def test_the_same_run_twice_leaves_the_same_files(tmp_path: Path) -> None:
    documents.page("TWICE").save(tmp_path / "page.png")
    files, codes = [], []
    for _ in range(2):
        codes.append(doctor("parse", "page.png", *READ, cwd=tmp_path).code)
        files.append(sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()))

    assert (codes, files[0]) == ([0, 0], files[1])
    assert "output/page.md" in files[0]


def test_a_stand_in_does_not_count_where_native_is_required(tmp_path: Path) -> None:
    env = {"HTTPS_PROXY": "http://127.0.0.1:9", "VIRTUAL_ENV": ""}
    answer = doctor("parse", "demo.png", "--require", "native", cwd=tmp_path, env=env)

    assert (answer.code, answer.stdout) == (1, "")
    assert answer.stderr.startswith("The native engine cannot run: ")


def test_a_threshold_that_is_not_reached_fails_and_shows_the_difference(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes((ASSETS / "demo.png").read_bytes())
    (tmp_path / "page.md").write_text("# How a Machine Reads a Page\n\nAnd nothing else.\n")
    answer = doctor("parse", "page.png", "--engine", "reader", "--expect", "page.md", cwd=tmp_path)

    assert answer.code == 1
    assert "Failed: similarity to the ground truth" in answer.stdout
    assert "\n  -And nothing else.\n" in answer.stdout


def test_known_texts_mirror_the_documents_and_one_that_is_missing_fails_the_run(tmp_path: Path) -> None:
    for folder, words in (("a", "ALPHA"), ("b", "BETA")):
        (tmp_path / "in" / folder).mkdir(parents=True)
        documents.page(words).save(tmp_path / "in" / folder / "1.png")
        (tmp_path / "truths" / folder).mkdir(parents=True)
    (tmp_path / "truths" / "a" / "1.md").write_text("ALPHA\n")
    words = ("parse", "in", "--engine", "reader", "--expect", "truths", "--format", "github")
    answer = doctor(*words, cwd=tmp_path, env={"GITHUB_WORKSPACE": str(tmp_path)})

    assert (answer.code, answer.stdout) == (
        1,
        "::error file=in/b/1.png::No ground truth: truths/b/1.md (or .json, .txt) does not exist. "
        "Add it, or leave the document out.\n",
    )


def test_an_input_is_read_from_a_folder_that_is_also_the_one_for_results(tmp_path: Path) -> None:
    documents.page("HERE").save(tmp_path / "page.png")
    first = doctor("parse", ".", "--output", ".", *READ, cwd=tmp_path)
    again = doctor("parse", ".", "--output", "results", *READ, cwd=tmp_path)

    assert [len(a.document["documents"]) for a in (first, again)] == [1, 1]
    assert (tmp_path / "page.md").exists()
