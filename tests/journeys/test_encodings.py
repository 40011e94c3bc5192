"""Terminals and pipes whose encoding is not UTF-8 get every answer: no character ends a command."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from doctor import environment
from small_stack import small_stack

ENCODINGS = ("ascii", "cp1252", "cp936", "latin-1")
LOG = "RuntimeError: (NotFound) 中文 é 😀 There are no kernels which are registered in the fused_rms_norm_ext operator"
PLAIN = {"✓": "+", "✗": "x", "·": ".", "…": "...", "→": ">", "×": "x"}
COMMANDS = (
    ("--help",),
    ("check", "-v", "--lang", "en"),
    *((*words, "--lang", "zh") for words in (("check", "-v"), ("fix",), ("explain", "log.txt"), ("matrix",))),
)


@dataclass(frozen=True)
class Run:
    """What a process wrote, as bytes."""

    code: int
    stdout: bytes
    stderr: bytes

    def text(self, encoding: str) -> str:
        """What stands on stdout, with every number that may change from run to run as 0."""
        return re.sub(r"\d+(\.\d+)?", "0", self.stdout.decode(encoding).replace("\r\n", "\n"))


def run(folder: Path, *words: str, encoding: str = "utf-8", **extra: str) -> Run:
    env = environment(folder, {"PYTHONIOENCODING": encoding, **extra})
    argv = [sys.executable, "-m", "paddlevl_doctor", *words]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, check=False, timeout=300)
    return Run(done.returncode, done.stdout, done.stderr)


def shown(words: str, encoding: str) -> str:
    """What a stream of this encoding should show of a text."""
    return "".join(_shown(character, encoding) for character in words)


def _shown(character: str, encoding: str) -> str:
    try:
        return character.encode(encoding).decode(encoding)
    except UnicodeEncodeError:
        return PLAIN.get(character) or json.dumps(character).strip('"')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("encodings")
    (made / "log.txt").write_text(LOG, encoding="utf-8")
    return made


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_answer_is_shown_in_every_encoding(words: tuple[str, ...], folder: Path) -> None:
    usual = run(folder, *words)
    assert usual.code in (0, 1), usual.stderr
    for encoding in ENCODINGS:
        answer = run(folder, *words, encoding=f"{encoding}:strict")
        assert (answer.code, answer.stderr) == (usual.code, b""), encoding
        wanted = re.sub(r"\d+(\.\d+)?", "0", shown(usual.stdout.decode(), encoding))
        assert answer.text(encoding) == wanted


def test_a_json_document_says_the_same_in_every_encoding(folder: Path) -> None:
    words = ("explain", "log.txt", "--lang", "zh", "--format", "json")
    usual = json.loads(run(folder, *words).stdout)
    assert "中文 é 😀" in json.dumps(usual, ensure_ascii=False)
    for encoding in ENCODINGS:
        answer = run(folder, *words, encoding=encoding)
        document = json.loads(answer.stdout.decode("ascii"))
        assert (answer.code, {**document, "seconds": 0}) == (1, {**usual, "seconds": 0})


def test_the_json_document_of_a_refusal_is_valid_in_every_encoding(folder: Path) -> None:
    words = ("check", "--venv", "不存在 é 😀", "--python", "x", "--format", "json", "--lang", "zh")
    usual = run(folder, *words)
    for encoding in ENCODINGS:
        answer = run(folder, *words, encoding=f"{encoding}:strict")
        assert (answer.code, json.loads(answer.stdout)) == (2, json.loads(usual.stdout))
        assert answer.stderr.decode(encoding) == shown(usual.stderr.decode(), encoding)


def test_junit_xml_is_valid_in_every_encoding(folder: Path) -> None:
    words = ("check", "--format", "junit", "--lang", "zh", "--only", "target-environment")
    titles = [_titles(run(folder, *words, encoding=encoding).stdout) for encoding in ("utf-8", *ENCODINGS)]
    assert titles[0]
    assert titles[1:] == titles[:1] * len(ENCODINGS)


def _titles(data: bytes) -> list[str]:
    return [words for element in ElementTree.fromstring(data).iter() if (words := element.get("message"))]  # noqa: S314 - our own


def test_a_file_is_written_in_utf_8_whatever_the_terminal_speaks(folder: Path) -> None:
    words = ("check", "--list", "--lang", "zh", "--output")
    written = []
    for encoding in ("utf-8", *ENCODINGS):
        answer = run(folder, *words, f"{encoding}.txt", encoding=f"{encoding}:strict")
        assert (answer.code, answer.stdout, answer.stderr) == (0, b"", b"")
        written.append((folder / f"{encoding}.txt").read_text(encoding="utf-8"))
    assert "✓" in written[0] or "检查" in written[0]
    assert written[1:] == written[:1] * len(ENCODINGS)


def test_a_locale_without_utf_8_is_enough_of_a_terminal(folder: Path) -> None:
    """A POSIX system whose locale is C, with Python's own way out of it turned off."""
    c_locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    for words in (("check", "-v"), ("check", "-v", "--lang", "zh"), ("fix", "--lang", "zh")):
        usual, answer = run(folder, *words), run(folder, *words, encoding="", **c_locale)
        assert (answer.code, answer.stderr) == (usual.code, b"")
        assert answer.stdout.isascii()


def test_the_target_and_the_workers_speak_utf_8_whatever_the_terminal_speaks(tmp_path: Path) -> None:
    small_stack(tmp_path / ".venv")
    read = run(tmp_path, "parse", "demo.png", "--engine", "reader", encoding="utf-16")
    assert read.code == 0, read.stderr.decode("utf-16")
    for encoding in ("utf-16", "utf-8-sig", "cp037"):
        run(tmp_path, "check", "--format", "json", "--output", "report.json", encoding=encoding)
        document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
        statuses = {finding["id"]: finding["status"] for finding in document["findings"]}
        assert statuses["target-environment"] == "ok", encoding


def test_a_document_is_read_where_nothing_can_show_its_name(tmp_path: Path) -> None:
    demo = run(tmp_path, "parse", "demo.png", "--engine", "reader", "--lang", "zh", encoding="cp1252:strict")
    assert (demo.code, demo.stderr) == (0, b""), demo
    missing = run(tmp_path, "parse", "缺 😀.png", encoding="ascii:strict")
    assert (missing.code, missing.stdout) == (2, b"")
    assert rb"\u7f3a \ud83d\ude00.png" in missing.stderr
    (page,) = (tmp_path / "output").glob("demo.md")
    shutil.copy(page, tmp_path / "已知.md")
    words = ("parse", "demo.png", "--engine", "reader", "--expect", "已知.md", "--format", "json")
    judged = run(tmp_path, *words, encoding="ascii:strict")
    assert (judged.code, json.loads(judged.stdout)["verdict"]["passed"]) == (0, True), judged.stderr


@pytest.mark.parametrize(
    ("redirected", "code", "said"),
    [
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        (">&- 2>&-", 0, ""),
        (">/dev/full", 2, "The result cannot be written to stdout: No space left on device.\n"),
    ],
)
def test_a_closed_stream_loses_only_its_output_and_a_full_disk_is_one_sentence(
    redirected: str, code: int, said: str, tmp_path: Path
) -> None:
    for words in ("matrix", "matrix --format json", "check --list", "check --list --format json"):
        command = f'exec "$0" -m paddlevl_doctor {words} --lang en {redirected}'
        argv = ["/bin/sh", "-c", command, sys.executable]
        env = environment(tmp_path)
        done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (code, said), words
