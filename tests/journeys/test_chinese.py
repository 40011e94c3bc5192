"""`--lang zh`: no English sentence in what `check`, `fix` and `parse` write, wherever it was noticed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import documents
from bundles import golden, names
from doctor import Answer, doctor
from environments import environment, python_in
from native_desk import lay_out
from paddlevl_doctor.facts.recording import save

SENTENCE = re.compile(r"(?<![\w./@=:-])[A-Za-z][A-Za-z']*(?: (?:\d+|[A-Za-z][A-Za-z']*))+(?![\w/@=-])")
WORD = re.compile(r"[A-Za-z][A-Za-z']+")
"""Of a sentence, three in a row; a word with a digit, a dot, a hyphen or a slash is a name."""
CODE = re.compile(r"`[^`]*`|<style>.*?</style>|<svg.*?</svg>|<[^>]*>|https?://\S+", re.DOTALL)
COMMAND = re.compile(r"^\s*(?:运行|\$)[:：]?.*$|^\s*(?:uv|paddlevl-doctor) .*$", re.MULTILINE)
"""What is typed as it stands."""
OTHERS = frozenset(
    [
        "links",
        "commands",
        "diff",
        "excerpt",
        "schema",
        "facts",
        "id",
        "requires",
        "params",
        "subjects",
        "blocks",
    ]
)
"""Fields of JSON documents whose words are not the doctor's."""
DIFF = re.compile(r"^ {2,3}[-+@ ].*$", re.MULTILINE)
"""Lines of a patch or of what was read."""
NAMES = ("NVIDIA GPU Computing Toolkit", "NVIDIA GeForce RTX")
OF_OTHER_PROGRAMS = (
    "cannot open shared object file",
    "File is not a zip file",
    "JSON is malformed",
    "Failed to load document",
    "Data format error",
)
"""What the loader, zipfile, msgspec and PDFium say."""


def sentences(words: str) -> list[str]:
    for name in (*NAMES, *OF_OTHER_PROGRAMS):
        words = words.replace(name, "·")
    found = SENTENCE.findall(COMMAND.sub("", CODE.sub("·", words)))
    return [said for said in found if len(WORD.findall(said)) > 2]


def texts(value: object) -> Iterator[str]:
    """The texts of a JSON document that the doctor words, without ids and parameters beside them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)
    elif isinstance(value, dict):
        for name, part in value.items():
            if name not in OTHERS and not name.endswith(("_message", "_messages")):
                yield from texts(part)
        if isinstance(value.get("facts"), dict):
            yield from texts(value["facts"].get("target_problem"))


def english(answer: Answer) -> list[str]:
    """The English sentences on stdout and stderr; a JSON document is looked at field by field."""
    if answer.stdout.startswith("{"):
        found = [sentence for text in texts(json.loads(answer.stdout)) for sentence in sentences(text)]
        return found + sentences(answer.stderr)
    return sentences(DIFF.sub("", answer.stdout)) + sentences(answer.stderr)


def both_ways(*words: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> list[str]:
    """What a command says in English when it is asked in Chinese, for people and for programs."""
    shown = doctor(*words, "--lang", "zh", "-v", cwd=cwd, env=env)
    written = doctor(*words, "--lang", "zh", "--format", "json", cwd=cwd, env=env)
    assert re.search("[\u4e00-\u9fff]", shown.stdout + shown.stderr), shown
    return english(shown) + english(written)


def test_the_diagnosis_of_many_machines_has_no_english_sentence(tmp_path: Path) -> None:
    found = {}
    for name in names():
        save(tmp_path / f"{name}.zip", golden(name).recording, lambda value: value)
        found[name] = both_ways("check", "--replay", f"{name}.zip", cwd=tmp_path)

    assert {name: said for name, said in found.items() if said} == {}


def interpreter(folder: Path, script: str) -> Path:
    """A program that is called as a Python and is none."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_an_interpreter_that_does_not_answer_is_described_in_chinese(tmp_path: Path) -> None:
    for script in ("exit 3", "echo no json", "kill -9 $$", "echo '{}'"):
        python = interpreter(tmp_path, script)
        for command in (("check",), ("fix",)):
            assert both_ways(*command, "--python", python, cwd=tmp_path) == [], script
    assert both_ways("check", "--python", tmp_path / "absent", cwd=tmp_path) == []


def test_an_environment_to_be_made_and_a_broken_one_are_described_and_repaired_in_chinese(
    tmp_path: Path,
) -> None:
    for words in (("check",), ("fix",)):
        assert both_ways(*words, cwd=tmp_path) == []
        assert both_ways(*words, "--python", python_in(environment("broken")), cwd=tmp_path) == []


def test_pages_of_every_kind_are_read_and_judged_in_chinese(tmp_path: Path) -> None:
    pages = tmp_path / "in"
    pages.mkdir()
    documents.page("").save(pages / "blank.png")
    documents.animated(pages / "animated.gif")
    documents.turned_by_exif(pages / "turned.jpg")
    documents.page("LARGE", (6000, 6000)).save(pages / "large.png")
    whole = documents.pdf(pages / "two.pdf", [documents.page("ONE"), documents.page("", (400, 300))])
    documents.encrypted(pages / "locked.pdf", whole)
    documents.damaged(pages / "damaged.pdf", whole)
    documents.without_pages(pages / "empty.pdf")
    (tmp_path / "known").mkdir()
    (tmp_path / "known" / "two.md").write_text("Something else.\n", encoding="utf-8")
    read = ("parse", "in", "--engine", "reader", "--expect", "known")

    assert both_ways(*read, cwd=tmp_path) == []
    assert sentences((tmp_path / "output" / "report.html").read_text(encoding="utf-8")) == []


def test_a_deep_examination_is_described_in_chinese(tmp_path: Path) -> None:
    for name in ("broken", "bfloat16-on-a-cpu"):
        python = python_in(environment(name))
        assert both_ways("check", "--deep", "--integrity", "--python", python, cwd=tmp_path) == [], name


def test_the_native_workers_report_in_chinese(tmp_path: Path) -> None:
    env = lay_out(tmp_path)
    (tmp_path / "other.md").write_text("这一页上写着完全不同的内容。\n", encoding="utf-8")
    native = ("parse", "page.png", "--engine", "native", "--venv", environment("set-2025-11"))
    assert both_ways(*native, "--expect", "other.md", cwd=tmp_path, env=env) == []
    weights = tmp_path / "models" / "official_models" / "PaddleOCR-VL" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    assert both_ways(*native, "--output", "again", cwd=tmp_path, env=env) == []
    assert both_ways(*native[:2], *native[4:], "--output", "reader", cwd=tmp_path, env=env) == []


def test_wrong_use_is_refused_in_chinese(tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("words")
    for words in (
        ("parse", "absent.png"),
        ("parse", "page.txt"),
        ("parse", "page.txt", "--engine", "native"),
        ("check", "--only", "nothing"),
        ("check", "--replay", "page.txt"),
        ("fix", "--set", "nothing"),
        ("fix", "--apply", "page.txt"),
        ("undo",),
    ):
        assert both_ways(*words, cwd=tmp_path) == [], words
