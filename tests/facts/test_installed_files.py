"""Every file of an environment against RECORD: whatever a RECORD or a file is, the answer is a value."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from checks_machines import machine
from paddlevl_doctor.checks.file_findings import judge_files
from paddlevl_doctor.facts.installed_files import compare
from paddlevl_doctor.messages import render
from paddlevl_doctor.values.facts import Distribution, ProbeResult, Target
from paddlevl_doctor.values.findings import no_bar


def digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def install(site: Path, name: str, files: dict[str, bytes], record: bytes | None = None) -> Distribution:
    """Install a distribution, with a RECORD of its own making or one that is given."""
    for path, data in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(data)
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    rows = "".join(f"{path},{digest(data)},{len(data)}\n" for path, data in files.items())
    (info / "RECORD").write_bytes(rows.encode() if record is None else record)
    return Distribution(name, "1.0", str(info), True)


def target(*distributions: Distribution) -> Target:
    healthy = machine().target
    assert healthy is not None
    return replace(healthy, distributions=distributions)


def looked(*distributions: Distribution) -> list[dict[str, object]]:
    data = compare(target(*distributions), 2, no_bar, "title").data
    assert data is not None
    return list(data["distributions"])


def test_missing_and_altered_files_are_told_of_every_distribution(tmp_path: Path) -> None:
    one = install(tmp_path, "one", {f"one/{n:03d}.py": b"x" * n * 7 for n in range(300)})
    two = install(tmp_path, "two", {"two/big.so": b"y" * 3_000_000})
    (tmp_path / "one/007.py").unlink()
    (tmp_path / "one/250.py").write_bytes(b"mine")
    big = bytearray(b"y" * 3_000_000)
    big[-1] ^= 1
    (tmp_path / "two/big.so").write_bytes(big)
    (tmp_path / "another").hardlink_to(tmp_path / "two/big.so")
    sha = hashlib.sha256(b"mine").hexdigest()
    assert [(d["name"], d["files"], d["missing"], d["altered"]) for d in looked(one, two)] == [
        ("one", 300, ["one/007.py"], [{"path": "one/250.py", "sha256": sha, "links": 1, "error": None}]),
        (
            "two",
            1,
            [],
            [{"path": "two/big.so", "sha256": hashlib.sha256(big).hexdigest(), "links": 2, "error": None}],
        ),
    ]


def test_odd_lines_are_read_as_what_they_are(tmp_path: Path) -> None:
    odd = {'a, "quoted" name.py': b"1", "späß/日本.py": b"2"}
    for name, data in odd.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    lines = (
        f'"a, ""quoted"" name.py",{digest(b"1")},1',
        f"späß\\日本.py,{digest(b'2')},1",
        f"../../bin/script,{digest(b'3')},1",
        f"/etc/passwd,{digest(b'4')},1",
        f"C:\\Windows\\x.py,{digest(b'5')},1",
        f"inside/../../outside.py,{digest(b'6')},1",
        "without-a-hash.pyc,,",
        "md5.py,md5=abc,1",
        "short",
        "",
    )
    record = "\r\n".join(lines).encode() + b"\nnot-utf-8-\xff.py," + digest(b"7").encode() + b",1\n"
    (found,) = looked(install(tmp_path, "odd", {}, record))
    assert (found["files"], found["altered"]) == (3, [])
    assert found["missing"] == ["not-utf-8-\udcff.py"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no fifos")
def test_what_is_no_file_or_cannot_be_read_is_altered_and_stops_nobody(tmp_path: Path) -> None:
    files = {"odd/fifo.py": b"1", "odd/folder.py": b"2", "odd/link.py": b"3", "odd/loop.py": b"4"}
    distribution = install(tmp_path, "odd", files)
    for name in files:
        (tmp_path / name).unlink()
    os.mkfifo(tmp_path / "odd/fifo.py")
    (tmp_path / "odd/folder.py").mkdir()
    (tmp_path / "elsewhere.py").write_bytes(b"3")
    (tmp_path / "odd/link.py").symlink_to(tmp_path / "elsewhere.py")
    (tmp_path / "odd/loop.py").symlink_to("loop.py")
    (found,) = looked(distribution)
    assert found["missing"] == []
    altered = found["altered"]
    assert isinstance(altered, list)
    assert [(item["path"], item["error"]) for item in altered] == [
        ("odd/fifo.py", "no regular file"),
        ("odd/folder.py", "no regular file"),
        ("odd/loop.py", "Too many levels of symbolic links"),
    ]


def test_a_record_that_cannot_be_read_is_unknown_and_not_right(tmp_path: Path) -> None:
    whole = install(tmp_path, "whole", {"whole.py": b"1"})
    torn = install(tmp_path, "torn", {}, b"a\x00b.py,sha256=x,1\n" * 2)
    folder = tmp_path / "folder-1.0.dist-info"
    (folder / "RECORD").mkdir(parents=True)
    result = compare(
        target(whole, torn, Distribution("folder", "1.0", str(folder), True)), 2, no_bar, "title"
    )
    findings = {f.id: f for f in judge_files(result, machine())}
    finding = findings["half-installed-dist"]
    assert finding.status.value == "unknown"
    assert "folder: Is a directory" in [e.value for e in finding.evidence]


def test_the_bar_is_told_of_every_file_and_ctrl_c_ends_the_look(tmp_path: Path) -> None:
    distribution = install(tmp_path, "one", {f"one/{n}.py": b"x" for n in range(1000)})
    told: list[int] = []

    @contextlib.contextmanager
    def bar(_title: str, total: int) -> Iterator[Callable[[int], None]]:
        told.append(total)
        yield told.append

    compare(target(distribution), 2, bar, "title")
    assert (told[0], sum(told[1:])) == (1000, 1000)

    @contextlib.contextmanager
    def interrupted(_title: str, _total: int) -> Iterator[Callable[[int], None]]:
        def stop(_done: int) -> None:
            raise KeyboardInterrupt

        yield stop

    with pytest.raises(KeyboardInterrupt):
        compare(target(distribution), 2, interrupted, "title")


def test_a_look_that_found_nothing_wrong_says_how_much_it_saw(tmp_path: Path) -> None:
    looked_at = replace(target(install(tmp_path, "one", {"one.py": b"x"})), unowned_code=())
    result: ProbeResult = compare(looked_at, 1, no_bar, "title")
    facts = replace(machine(), target=looked_at)
    found = judge_files(result, facts)
    assert [(f.id, f.status.value, render(f.evidence[0].value, "en")) for f in found] == [
        ("half-installed-dist", "ok", "1 files"),
        ("uv-cache-contamination", "ok", "1 files"),
        ("altered-files", "ok", "1 files"),
        ("overlapping-dists", "ok", "1 files"),
        ("unowned-code", "ok", "none"),
    ]


def test_a_file_that_another_distribution_overwrote_is_neither_altered_nor_missing(tmp_path: Path) -> None:
    paddle = install(
        tmp_path, "paddlepaddle", {"paddle/__init__.py": b"right", "paddle/own.py": b"own", "LICENSE": b"1"}
    )
    foreign = install(tmp_path, "paddle", {"paddle/__init__.py": b"foreign", "LICENSE": b"2"})
    found = looked(paddle, foreign)
    assert [(d["name"], d["missing"], d["altered"], d["overlaps"]) for d in found] == [
        (
            "paddlepaddle",
            [],
            [],
            [{"path": "LICENSE", "by": ["paddle"]}, {"path": "paddle/__init__.py", "by": ["paddle"]}],
        ),
        ("paddle", [], [], []),
    ]
    facts = replace(machine(), target=target(paddle, foreign))
    result = compare(target(paddle, foreign), 1, no_bar, "title")
    found_by_id = {f.id: f for f in judge_files(result, facts)}
    overlap = found_by_id["overlapping-dists"]
    assert (overlap.status.value, overlap.subjects, [e.source for e in overlap.evidence]) == (
        "error",
        ("paddlepaddle", "paddle"),
        ["paddle/__init__.py"],
    )
    assert found_by_id["half-installed-dist"].status.value == "ok"


def test_a_site_packages_folder_behind_a_link_is_the_same_folder(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    distribution = install(link, "one", {"one/a.py": b"x"})
    (real / "one/stray.py").touch()
    looked_at = replace(target(distribution), unowned_code=(), site_folders=(str(real),))
    data = compare(looked_at, 1, no_bar, "title").data
    assert data is not None
    assert data["unowned"] == [f"{real}/one/stray.py"]
