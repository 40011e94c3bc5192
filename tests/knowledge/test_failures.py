"""The catalogue of known failures: every entry is whole, and every signature names its failure."""

from __future__ import annotations

import ast
import contextlib
import functools
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from paddlevl_doctor.data_files import read_toml_once
from paddlevl_doctor.knowledge import failures
from paddlevl_doctor.knowledge.failures import (
    FIELDS,
    LANGUAGES,
    Failure,
    Field,
    Kind,
    Proof,
    Weight,
    all_ids,
    load_all,
    load_failure,
    placeholders_of,
    read_failure,
)
from paddlevl_doctor.knowledge.tables import KnowledgeError
from paddlevl_doctor.logs.recognise import match

if sys.version_info >= (3, 11):
    from re import _constants as ops  # type: ignore[attr-defined]
    from re import _parser as parser  # type: ignore[attr-defined]
else:
    import sre_constants as ops
    import sre_parse as parser

ROOT = Path(__file__).parents[2]
SAMPLES = Path(__file__).parent / "samples"
HEALTHY = Path(__file__).parent / "healthy.txt"
"""What healthy machines print: recorded up to the self-test, from nvidia-smi on made up after such output."""
SYSTEMS = ("linux", "windows", "macos", None)
LITERAL_RUN = 5
"""Characters in a row that every alternative of a signature needs; shorter words occur in healthy logs."""
OTHERS_TOO = {
    # "No space left on device"; only the line before speaks of shared memory.
    ("illegal-memory-or-shm", 0): {"disk-space"},
    # The same exception follows the warnings about an old and about a new GPU.
    ("p100-and-other-unbuilt-arch", 2): {"blackwell-arch-mismatch"},
    # The same words; the system decides.
    ("gpu-wheel-cpu-device-fused-kernel", 0): {"windows-fused-rms-norm-kernel"},
    ("windows-fused-rms-norm-kernel", 0): {"gpu-wheel-cpu-device-fused-kernel"},
}
"""What a sample (by its number in the file) names besides its own entry."""
_REPEATS = tuple(
    getattr(ops, name) for name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") if hasattr(ops, name)
)
_WITHOUT_WIDTH = (ops.AT, ops.ASSERT, ops.ASSERT_NOT)
CODE = r"`([^`]*)`"
HAN = re.compile(r"[\u4e00-\u9fff]")
VALID = """\
id = "one"
evidence = "source"
untested = "no reason"
placeholders = ["version"]
links = ["https://example.org/1"]
signatures = ["boom"]
looks_at = { en = "it", zh = "它" }
[title]
short = { en = "s", zh = "短" }
ok = { en = "fine", zh = "好" }
bad = { en = "bad {version}", zh = "坏 {version}" }
[cause]
en = "because"
zh = "因为"
[remedy]
en = "do"
zh = "做"
[cure]
kind = "packages"
requirements = ["a>=1"]
"""


def samples_of(failure_id: str) -> list[str]:
    """Return the log texts that name a failure; a line of equals signs divides several in one file."""
    return (SAMPLES / f"{failure_id}.txt").read_text(encoding="utf-8").split("\n=====\n")


def numbered_samples() -> list[tuple[str, int, str]]:
    """Return every sample with the id of its failure and its number in the file."""
    return [(name, n, sample) for name in with_signatures() for n, sample in enumerate(samples_of(name))]


@functools.cache
def functions_in(path: Path) -> set[str]:
    """Return the names of a file's test functions; what stands in a comment or a text is none."""
    return {
        node.name
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def literal_run(items: Iterable[Any], begun: int = 0) -> int:
    """Return how many literal characters in a row no text can do without that matches; `begun` stand before."""
    longest = run = begun
    for op, value in items:
        if op in _WITHOUT_WIDTH:
            continue
        inside = 0
        if op is ops.LITERAL:
            run += 1
        elif op is ops.SUBPATTERN:
            inside, run = literal_run(value[-1], run), 0
        elif op is ops.BRANCH:
            inside, run = min(literal_run(branch, run) for branch in value[1]), 0
        else:
            inside, run = (literal_run(value[2]) if op in _REPEATS and value[0] else 0), 0
        longest = max(longest, run, inside)
    return longest


def repeats(items: Iterable[Any], within: bool = False) -> Iterator[str]:
    """Name what makes a search slow: a repetition within a repetition, and one of any text without an end."""
    for op, value in items:
        if op is ops.BRANCH:
            for branch in value[1]:
                yield from repeats(branch, within)
        elif op is ops.SUBPATTERN:
            yield from repeats(value[-1], within)
        elif op in _REPEATS:
            least, most, inner = value
            if within and most > least:
                yield "a repetition within a repetition"
            if most is ops.MAXREPEAT and any(is_any(*item) for item in inner):
                yield "any text without an end"
            yield from repeats(inner, within or most > 1)


def is_any(op: object, value: Any) -> bool:
    """Say whether an item matches nearly every character."""
    if op is ops.IN:
        return bool(value[0][0] is ops.NEGATE or (ops.CATEGORY, ops.CATEGORY_NOT_SPACE) in value)
    return op in (ops.ANY, ops.NOT_LITERAL)


def with_signatures() -> list[str]:
    return [failure.id for failure in load_all() if failure.signatures]


def system_of(failure: Failure) -> str:
    return failure.applies.systems[0] if failure.applies.systems else "linux"


def entry(folder: Path, change: tuple[str, str] = ("", "")) -> Path:
    assert change[0] in VALID
    path = folder / "one.toml"
    path.write_text(VALID.replace(*change) if change[0] else VALID, encoding="utf-8")
    return path


def test_every_entry_is_valid_and_named_like_its_file() -> None:
    assert [load_failure(failure_id).id for failure_id in all_ids()] == list(all_ids())


def test_every_text_exists_in_both_languages_with_the_same_placeholders() -> None:
    wrong = [
        (failure.id, name, fault)
        for failure in load_all()
        for name in FIELDS
        for fault in faults_of_translation(failure.texts[name])
    ]
    assert wrong == []


def faults_of_translation(texts: Mapping[str, str]) -> list[str]:
    """Return what is wrong between the languages of one text."""
    if tuple(texts) != LANGUAGES:
        return [f"its languages are {tuple(texts)}"]
    english, chinese = texts["en"], texts["zh"]
    is_right = {
        "has no Chinese in it": HAN.search(chinese) is not None,
        "has Chinese in the English": HAN.search(english) is None,
        "has other placeholders": placeholders_of(english) == placeholders_of(chinese),
        "has other commands": set(re.findall(CODE, english)) == set(re.findall(CODE, chinese)),
    }
    return [fault for fault, right in is_right.items() if not right]


def test_every_announced_placeholder_is_used_and_every_text_can_be_filled_in() -> None:
    unused, open_texts = [], []
    for failure in load_all():
        values = {name: f"<{name}>" for name in failure.placeholders}
        filled = [failure.text(name, lang, **values) for name in FIELDS for lang in LANGUAGES]
        unused += [(failure.id, value) for value in values.values() if not any(value in x for x in filled)]
        open_texts += [(failure.id, text) for text in filled if "{" in text or "}" in text]
    assert (unused, open_texts) == ([], [])


def test_every_title_is_one_line_without_a_full_stop() -> None:
    titles = [
        (failure.id, failure.texts[name][lang])
        for failure in load_all()
        for name in ("title.short", "title.ok", "title.bad", "looks_at")
        for lang in LANGUAGES
    ]
    wrong = [
        (failure_id, title)
        for failure_id, title in titles
        if "\n" in title or title.endswith((".", "。")) or len(title) > 110
    ]
    assert wrong == []


def test_every_link_is_https_and_occurs_once() -> None:
    links = {failure.id: failure.links for failure in load_all()}
    bad = [
        link for found in links.values() for link in found if not re.fullmatch(r"https://[\w.-]+/\S+", link)
    ]
    repeated_or_many = [name for name, found in links.items() if not len(set(found)) == len(found) <= 4]
    assert (bad, repeated_or_many) == ([], [])


def test_every_requirement_and_version_range_can_be_parsed() -> None:
    without, wrong = [], []
    for failure in load_all():
        requirements = [str(Requirement(item)) for item in failure.cure.requirements]
        without += [failure.id] if failure.cure.kind == "packages" and not requirements else []
        wrong += [
            (failure.id, name, specifier)
            for name, specifier in failure.applies.specifiers.items()
            if name != Requirement(name).name.lower() or len(SpecifierSet(specifier)) == 0
        ]
    assert (without, wrong) == ([], [])


def test_what_is_called_reproduced_names_a_test_that_exists() -> None:
    named = [failure.reproduced_by for failure in load_all() if failure.reproduced_by is not None]
    wrong = [one for one in named if not is_a_test(one)]
    assert (bool(named), wrong) == (True, [])


def is_a_test(named: str) -> bool:
    """Say whether PATH::NAME is a test function below `tests/`."""
    path, _, name = named.partition("::")
    return path.startswith("tests/") and (ROOT / path).is_file() and name in functions_in(ROOT / path)


def test_every_entry_has_either_a_test_or_the_reason_why_there_is_none() -> None:
    wrong = [
        failure.id
        for failure in load_all()
        if (failure.reproduced_by is None) is not (failure.untested is not None)
        or (failure.evidence == "reproduced") is not (failure.reproduced_by is not None)
    ]
    assert wrong == []


def test_no_remedy_contains_a_command_that_deletes() -> None:
    texts = [text for failure in load_all() for text in failure.texts["remedy"].values()]
    commands = [c for text in texts for c in re.findall(CODE, text)]
    deleting = [c for c in commands if re.search(r"\b(rm|del|rmdir|uninstall|clean|purge|prune)\b", c)]
    assert (bool(commands), deleting) == (True, [])


def test_the_samples_belong_to_the_entries_with_signatures() -> None:
    assert {path.stem for path in SAMPLES.glob("*.txt")} == {*with_signatures(), "healthy"}


def test_a_sample_is_named_as_its_failure() -> None:
    wrong = []
    for failure_id, number, sample in numbered_samples():
        found = match(sample, load_all(), system=system_of(load_failure(failure_id)))
        root = [(one.id, one.root_cause) for one in found[:1]]
        wrong += [(failure_id, number, root)] if root != [(failure_id, True)] else []
    assert wrong == []


def test_every_signature_is_shown_by_a_sample() -> None:
    texts = {failure_id: "\n".join(samples_of(failure_id)) for failure_id in with_signatures()}
    signatures = [(name, source) for name in texts for source in load_failure(name).signatures]
    assert [(name, source) for name, source in signatures if not re.search(source, texts[name])] == []


def test_healthy_output_holds_harmless_lines_only() -> None:
    found = match(samples_of("healthy")[0], load_all())
    assert [(one.id, one.failure.weight) for one in found] == [("noise-that-is-not-an-error", "harmless")]


def test_a_page_of_healthy_output_holds_harmless_lines_only() -> None:
    for system in SYSTEMS:
        found = match(HEALTHY.read_text(encoding="utf-8"), load_all(), system=system)
        assert {one.id for one in found} == {"noise-that-is-not-an-error"}


def test_a_sample_is_named_as_no_other_failure() -> None:
    wrong = []
    for failure_id, number, sample in numbered_samples():
        named = {one.id for system in SYSTEMS for one in match(sample, load_all(), system=system)}
        is_right = named == {failure_id} | OTHERS_TOO.get((failure_id, number), set())
        wrong += [] if is_right else [(failure_id, number, named)]
    assert wrong == []


def test_every_signature_needs_a_run_of_characters_and_every_gap_has_an_end() -> None:
    sources = [source for failure in load_all() for source in failure.signatures]
    parsed = {source: parser.parse(source).data for source in sources}
    assert parsed
    assert [source for source, tree in parsed.items() if literal_run(tree) < LITERAL_RUN] == []
    assert {source: slow for source, tree in parsed.items() if (slow := list(repeats(tree)))} == {}


@pytest.mark.parametrize(
    ("source", "run", "slow"),
    [
        ("abcde", 5, []),
        ("abcd[e]?", 4, []),
        ("abcd|abcdefg", 4, []),
        ("status 1|state 22", 8, []),
        (r"x(?:left|right) side", 5, []),
        (r"(?:abcdef)?gh", 2, []),
        (r"(?:abcdef){2}", 6, []),
        (r"abcde[^\n]*f", 5, ["any text without an end"]),
        (r"abcde.*f", 5, ["any text without an end"]),
        (r"abcde\S+f", 5, ["any text without an end"]),
        (r"abcde[^\n]{0,200}f\d+", 5, []),
        (r"abcde(?:f+)+", 5, ["a repetition within a repetition"]),
        (r"abcde(?:f{0,9},){0,9}", 5, ["a repetition within a repetition"]),
    ],
)
def test_the_rule_for_signatures_refuses_what_it_is_for(source: str, run: int, slow: list[str]) -> None:
    tree = parser.parse(source).data
    assert (literal_run(tree), list(repeats(tree))) == (run, slow)


def test_a_harmless_line_is_never_the_root_cause_beside_anything_else() -> None:
    noise = samples_of("noise-that-is-not-an-error")[0] + "\n"
    wrong = []
    for failure in (load_failure(name) for name in with_signatures()):
        if failure.weight != "harmless":
            found = match(noise + samples_of(failure.id)[0], load_all(), system=system_of(failure))
            first = [(one.id, one.root_cause) for one in found[:1]]
            last = [(one.failure.weight, one.root_cause) for one in found[1:]][-1:]
            is_right = (first, last) == ([(failure.id, True)], [("harmless", False)])
            wrong += [] if is_right else [(failure.id, first, last)]
    assert wrong == []


def test_a_match_says_where_it_was_found_and_shows_the_line_without_colours() -> None:
    text = "one\ntwo\n\x1b[31m  safetensors_rust.SafetensorError: framework paddle is invalid\x1b[0m\r\nfour"
    (found,) = match(text, load_all())
    assert (found.line, found.excerpt) == (3, "safetensors_rust.SafetensorError: framework paddle is invalid")


def test_of_an_endless_line_only_the_telling_part_is_shown() -> None:
    text = "x" * 5000 + "framework paddle is invalid".join(("SafetensorError: ", "y" * 5000))
    (found,) = match(text, load_all())
    assert found.excerpt.startswith("SafetensorError: framework paddle is invalidyyy")
    assert len(found.excerpt) == 240


def test_the_first_of_two_exceptions_is_the_root_cause() -> None:
    text = "\n".join(samples_of("libgl-missing") + samples_of("safetensors-framework-paddle"))
    found = match(text, load_all())
    assert [(f.id, f.root_cause) for f in found] == [
        ("libgl-missing", True),
        ("safetensors-framework-paddle", False),
    ]


@pytest.mark.parametrize("echo", ["pdx-reinit-masks-cause", "queue-deadlock-on-error"])
@pytest.mark.parametrize("other", ["libgl-missing", "model-hoster-unreachable", "numpy-2-4-scalar"])
def test_the_echo_of_another_failure_is_never_the_root_cause(echo: str, other: str) -> None:
    text = samples_of(echo)[0] + samples_of(other)[0]
    assert [f.id for f in match(text, load_all())] == [other, echo]


def test_a_warning_that_comes_first_yields_to_the_exception() -> None:
    text = samples_of("model-hoster-unreachable")[0] + samples_of("numpy-2-4-scalar")[0]
    assert [f.id for f in match(text, load_all())] == ["numpy-2-4-scalar", "model-hoster-unreachable"]


@pytest.mark.parametrize(
    ("system", "named"),
    [
        ("windows", "windows-fused-rms-norm-kernel"),
        ("linux", "gpu-wheel-cpu-device-fused-kernel"),
        (None, "gpu-wheel-cpu-device-fused-kernel"),
    ],
)
def test_a_shared_signature_is_decided_by_the_system_alone(system: str | None, named: str) -> None:
    text = samples_of("gpu-wheel-cpu-device-fused-kernel")[0]
    assert [f.id for f in match(text, load_all(), system=system)] == [named]


def test_another_kernel_that_is_not_registered_is_not_blamed_on_the_fused_one() -> None:
    text = samples_of("windows-fused-rms-norm-kernel")[0].replace("`fused_rms_norm_ext`", "`conv2d`")
    assert match(text, load_all(), system="windows") == ()


def test_a_signature_that_is_no_regular_expression_names_its_file(tmp_path: Path) -> None:
    broken = read_failure(entry(tmp_path, ('["boom"]', '["boom("]')))
    with pytest.raises(KnowledgeError, match=r"one\.toml: signatures: "):
        match("boom", [broken])


def test_a_value_with_braces_is_shown_as_it_is(tmp_path: Path) -> None:
    failure = read_failure(entry(tmp_path))
    assert failure.text("title.bad", "en", version="{version} {0} \\1") == "bad {version} {0} \\1"


def test_a_placeholder_without_a_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"one\.toml: title\.bad\.zh: no value for version"):
        read_failure(entry(tmp_path)).text("title.bad", "zh", versions="1")


def test_without_a_machine_an_ellipsis_stands_for_the_values(tmp_path: Path) -> None:
    failure = read_failure(entry(tmp_path))
    assert failure.general("title.bad", "en") == "bad …"
    assert failure.general("title.bad", "en", version="{version}") == "bad {version}"


@pytest.mark.parametrize(
    ("before", "after", "field", "problem"),
    [
        ('id = "one"', 'id = "two"', "id", "is not the name of the file"),
        ('evidence = "source"', "", "evidence", f"one of {', '.join(get_args(Proof))} is expected"),
        ('evidence = "source"', 'evidence = "seen"', "evidence", "one of .* is expected"),
        (
            'evidence = "source"',
            'evidence = "reproduced"',
            "reproduced_by",
            "belongs to the evidence reproduced",
        ),
        ('untested = "no reason"', "", "untested", "says why there is no test"),
        (
            'evidence = "source"',
            'evidence = "reproduced"\nreproduced_by = "tests/a.py::test_b"',
            "untested",
            "belongs to every other evidence",
        ),
        (
            'evidence = "source"',
            'evidence = "source"\nreproduced_by = "tests/a.py::test_b"',
            "reproduced_by",
            "belongs to the evidence reproduced",
        ),
        (
            'evidence = "source"',
            'evidence = "source"\nweight = "x"',
            "weight",
            f"one of {', '.join(get_args(Weight))}",
        ),
        ('evidence = "source"', 'evidence = "source"\nnote = "x"', "note", "unknown field"),
        ('["https://example.org/1"]', '"https://example.org/1"', "links", "a list of texts is expected"),
        ('["boom"]', '["boom", "boom"]', "signatures", "a text occurs twice"),
        ('["boom"]', "[1]", "signatures", "a list of texts is expected"),
        ('zh = "它"', 'de = "es"', "looks_at.zh", "is missing"),
        ('zh = "因为"', 'zh = " "', "cause.zh", "a text is expected"),
        ('zh = "坏 {version}"', 'zh = "坏"', "title.bad", "different placeholders"),
        ('["version"]', "[]", "title.bad", "not announced"),
        (
            'ok = { en = "fine", zh = "好" }',
            'ok = { en = "{version}", zh = "{version}" }',
            "title.ok",
            "not allowed",
        ),
        ("[title]", "[title]\nlong = 1", "title.long", "unknown field"),
        ('kind = "packages"', 'kind = "magic"', "cure.kind", f"one of {', '.join(get_args(Kind))}"),
        ('requirements = ["a>=1"]', "", "cure.requirements", "belongs to the kind packages"),
        ('kind = "packages"', 'kind = "manual"', "cure.requirements", "belongs to the kind packages"),
        ("[cure]", '[cure]\npatch = "p"', "cure.patch", "belongs to the kind patch"),
        ("[cure]", '[applies]\nsystems = ["win"]\n[cure]', "applies.systems", "only linux, windows, macos"),
        ("[cure]", "[applies]\nspecifiers = { a = 1 }\n[cure]", "applies.specifiers", "a table of texts"),
        ("[cure]", "applies = 1\n[cure]", "remedy.applies", "unknown field"),
    ],
)
def test_a_faulty_entry_is_refused_with_its_file_and_field(
    tmp_path: Path, before: str, after: str, field: str, problem: str
) -> None:
    path = entry(tmp_path, (before, after))
    with pytest.raises(KnowledgeError) as caught:
        read_failure(path)
    assert (caught.value.file, caught.value.field) == (str(path), field)
    assert re.search(problem, caught.value.problem)


def test_the_pattern_entry_itself_is_accepted(tmp_path: Path) -> None:
    failure = read_failure(entry(tmp_path))
    assert (failure.cure.requirements, failure.weight, failure.applies.systems) == (("a>=1",), "cause", ())


def test_a_missing_file_and_a_file_that_is_no_toml_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("id = ", encoding="utf-8")
    for name in ("broken", "absent"):
        with pytest.raises(KnowledgeError, match=rf"{name}\.toml: "):
            read_failure(tmp_path / f"{name}.toml")


def test_loading_one_failure_reads_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failures").mkdir()
    shutil.copy(ROOT / "matrix" / "failures" / "libgl-missing.toml", tmp_path / "failures")
    (tmp_path / "failures" / "zzz.toml").write_text("not toml", encoding="utf-8")
    monkeypatch.setattr(failures, "_folder", lambda: tmp_path / "failures")
    assert load_failure.__wrapped__("libgl-missing").id == "libgl-missing"


_LISTENERS: list[list[str]] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _LISTENERS:
        _LISTENERS[-1].append(str(arguments[0]))


@functools.cache
def _listen() -> None:
    """Begin to listen, once: nobody can take that back. Without listeners nothing is done."""
    sys.addaudithook(_hear)


@contextlib.contextmanager
def opened() -> Iterator[list[str]]:
    """Give the names of the files that this process opens while the block runs."""
    _listen()
    heard: list[str] = []
    _LISTENERS.append(heard)
    try:
        yield heard
    finally:
        _LISTENERS.pop()


def test_a_failure_costs_one_file_and_is_kept() -> None:
    load_failure.__wrapped__("setuptools-missing")  # so that the modules for it are there
    load_failure.cache_clear()
    read_toml_once.cache_clear()
    with opened() as files:
        first = load_failure("libgl-missing")
    with opened() as files_again:
        again = load_failure("libgl-missing")

    assert [Path(name).name for name in files] == ["libgl-missing.toml"]
    assert (files_again, again is first) == ([], True)


def test_a_text_is_chosen_by_its_field() -> None:
    names: tuple[Field, ...] = ("title.short", "title.ok")
    failure = load_failure("setuptools-missing")
    assert [failure.text(name, "en") for name in names] == [
        "PaddlePaddle needs setuptools but does not always declare it",
        "setuptools is installed",
    ]
