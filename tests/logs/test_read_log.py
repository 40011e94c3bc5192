"""Any log can be opened and read: encodings, pieces, and what is no log at all."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from paddlevl_doctor.logs.read_log import chunks, encoding_of, open_log
from paddlevl_doctor.values.errors import UsageError

TEXT = "first line\r\n第二行 second\nthird without an end"

MARK = {"utf-16": 2, "utf-8-sig": 3, "utf-8": 1}
"""Bytes by which a form is told."""

MEASURE = """
import resource, sys
from paddlevl_doctor.logs.read_log import chunks
from paddlevl_doctor.knowledge.failures import load_all
from paddlevl_doctor.logs.recognise import recognise

class Endless:
    def __init__(self, line, size):
        self.line, self.left = line, size
    def read(self, size):
        size = min(size, self.left)
        self.left -= size
        return (self.line * (size // len(self.line) + 1))[:size]

LINES = {
    "text": b"2025-11-23 10:00:00 INFO page 7 of 9 was read, 12 blocks\\n" * 50 + b"ERROR: page 8\\n",
    "one line": b"x",
    "zeros": b"\\0",
    "failures": b"ok, and the next page\\n" * 20 + b"ImportError: libGL.so.1: cannot open shared object file: x\\n",
}
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
recognise(chunks(Endless(LINES["text"], 1 << 20)), load_all())
before = peak()
found = recognise(chunks(Endless(LINES[sys.argv[1]], 64 << 20)), load_all())
assert found.size == 64 << 20, found.size
print((peak() - before) // 1024)
"""


def whole(data: bytes, size: int = 1 << 20) -> bytes:
    return b"".join(chunks(io.BytesIO(data), size))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-8"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 1 << 20])
def test_unicode_is_read_whatever_its_form_and_however_it_is_cut(encoding: str, size: int) -> None:
    data = TEXT.encode(encoding)
    read = whole(data, size)
    # Without a mark it takes some text to tell; and the mark itself must arrive in one piece.
    told = len(data) <= size if encoding in ("utf-16-le", "utf-16-be") else size >= MARK[encoding]
    assert (read.decode() == TEXT) if told else read


def test_big_endian_with_a_mark_is_read() -> None:
    assert whole(b"\xfe\xff" + TEXT.encode("utf-16-be")).decode() == TEXT


@pytest.mark.parametrize("data", [b"", b"\x00" * 99, b"\xff\xfe", b"\xff\xfea", bytes(range(256)) * 40])
@pytest.mark.parametrize("size", [1, 5, 4096])
def test_garbage_is_passed_on_without_an_exception(data: bytes, size: int) -> None:
    assert isinstance(whole(data, size), bytes)


def test_gbk_and_mixed_text_are_passed_on_as_they_are() -> None:
    data = "识别失败\n".encode("gbk") + "识别失败\n".encode() + b"\xff\xffx"
    assert (encoding_of(data), whole(data)) == (("utf-8", 0), data)


def test_pieces_end_at_a_line_break_where_there_is_one() -> None:
    data = b"aaaa\nbbbb\ncccccccccccccccccccccccccc\nd"
    pieces = list(chunks(io.BytesIO(data), 8))
    assert b"".join(pieces) == data
    assert [piece for piece in pieces[:-1] if not piece.endswith(b"\n") and b"\n" in piece] == []


def test_a_file_is_read_from_its_path(tmp_path: Path) -> None:
    path = tmp_path / "日志.txt"
    path.write_bytes(b"x")
    with open_log(str(path)) as stream:
        assert stream.read() == b"x"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.txt", "There is no file"),
        ("folder", "is a folder"),
        ("a\0b", "cannot be read"),
        ("x/y" * 2000, "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match=words) as caught, open_log(str(tmp_path) + "/" + name):
        pass
    assert caught.value.exit_code == 2


def test_a_terminal_is_asked_to_paste(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(io.BytesIO(b"pasted")))
    with open_log(None) as stream:
        assert stream.read() == b"pasted"
    assert (
        capsys.readouterr().err
        == "Paste the log or the traceback, then press Ctrl-D at the start of a line.\n"
    )


def test_a_process_without_standard_input_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="no standard input"), open_log("-"):
        pass


@pytest.mark.parametrize("kind", ["text", "one line", "zeros", "failures"])
def test_memory_stays_flat_over_64_megabytes(kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, kind], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) < 60
