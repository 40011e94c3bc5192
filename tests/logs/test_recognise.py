"""What happens to a log on its way to the doctor must not hide a failure, and must not invent one."""

from __future__ import annotations

import functools
import io
import itertools
import json
import random
import re
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevl_doctor.knowledge.failures import Failure, load_all, load_failure, read_failure
from paddlevl_doctor.knowledge.tables import KnowledgeError
from paddlevl_doctor.logs.normalise import split_prefix, strip_escapes, strip_to_visible_ascii
from paddlevl_doctor.logs.read_log import chunks
from paddlevl_doctor.logs.recognise import COUNTED, Recognised, match, recognise
from paddlevl_doctor.logs.signatures import SHORTEST, bounded, loosened, signature_of

SAMPLES = Path(__file__).parents[1] / "knowledge" / "samples"
GARBAGE = random.Random(1).randbytes(5000)  # noqa: S311 - no secret
NOISE = "2025-11-23 10:00:{:02},123 INFO 第 {} 页 page of report: 12 blocks, mean 0.98, error_rate 0.01\n"


def samples() -> list[tuple[str, int, str]]:
    """Every text of every sample, with its failure's id."""
    known = {failure.id for failure in load_all()}
    return [
        (path.stem, number, text)
        for path in sorted(SAMPLES.glob("*.txt"))
        if path.stem in known
        for number, text in enumerate(path.read_text(encoding="utf-8").split("\n=====\n"))
    ]


def system_of(failure: Failure) -> str:
    return failure.applies.systems[0] if failure.applies.systems else "linux"


def read(data: bytes, system: str | None = None, size: int = 1 << 20) -> Recognised:
    return recognise(chunks(io.BytesIO(data), size), load_all(), system=system)


@functools.cache
def noise(size: int) -> str:
    line = len(NOISE)
    return "".join(NOISE.format(n % 60, n) for n in range(size // line))


def coloured(text: str) -> str:
    return re.sub(r"(\w+)", "\x1b[1;31m\\1\x1b[0m", text)


def hard_wrapped(width: int) -> Callable[[str], str]:
    def wrap(text: str) -> str:
        return "\n".join(
            line[i : i + width] for line in text.split("\n") for i in range(0, max(1, len(line)), width)
        )

    return wrap


def word_wrapped(text: str) -> str:
    return "\n".join(textwrap.fill(line, 80, break_on_hyphens=False) for line in text.split("\n"))


def boxed(text: str) -> str:
    lines = hard_wrapped(76)(text).split("\n")
    return "\n".join(["╭" + "─" * 78 + "╮", *(f"│ {line:76} │" for line in lines), "╰" + "─" * 78 + "╯"])


def interleaved(text: str) -> str:
    lines = [f"[rank0]: {line}" for line in text.split("\n")]
    other = [f"[rank1]: step {n} of 1000, loss 0.{n}" for n in range(len(lines))]
    return "\n".join(line for pair in zip(lines, other, strict=True) for line in pair)


def composed(text: str) -> str:
    return "\n".join(f"ocr-1    | {line}\ndb-1     | checkpoint complete" for line in text.split("\n"))


def ray(text: str) -> str:
    lines = [f"(OCR pid=123) {line}" for line in text.split("\n")]
    return "\n".join(f"{line}\n(OCR pid=456) working" for line in lines)


def timed(text: str) -> str:
    return "\n".join(
        f"2025-11-23T10:00:{n % 60:02}.123456Z stderr F {line}" for n, line in enumerate(text.split("\n"))
    )


DISGUISES: dict[str, Callable[[str], bytes]] = {
    "none": str.encode,
    "carriage returns": lambda t: t.replace("\n", "\r\n").encode(),
    "colours": lambda t: coloured(t).encode(),
    "colours without escapes": lambda t: coloured(t).replace("\x1b", "").encode(),
    "wrapped at 80": lambda t: hard_wrapped(80)(t).encode(),
    "wrapped at 100": lambda t: hard_wrapped(100)(t).encode(),
    "wrapped at words": lambda t: word_wrapped(t).encode(),
    "boxed": lambda t: boxed(t).encode(),
    "quoted": lambda t: "\n".join(f"> {line}" for line in t.split("\n")).encode(),
    "quoted twice": lambda t: "\n".join(f">> {line}" for line in t.split("\n")).encode(),
    "quoted and wrapped": lambda t: "\n".join(f"> {x}" for x in hard_wrapped(78)(t).split("\n")).encode(),
    "json": lambda t: json.dumps({"level": "error", "log": t + "\n", "stream": "stderr"}).encode(),
    "json in json": lambda t: json.dumps({"log": json.dumps({"msg": t})}).encode(),
    "repr": lambda t: repr(t).encode(),
    "curly quotes": lambda t: t.replace("'", "’").encode(),
    "html": lambda t: t.replace("'", "&#39;").replace('"', "&quot;").encode(),
    "interleaved": lambda t: interleaved(t).encode(),
    "docker compose": lambda t: composed(t).encode(),
    "ray": lambda t: ray(t).encode(),
    "timestamps": lambda t: timed(t).encode(),
    "utf-16 with mark": lambda t: t.encode("utf-16"),
    "utf-16 without mark": lambda t: t.encode("utf-16-le"),
    "utf-16 big-endian": lambda t: t.encode("utf-16-be"),
    "utf-8 with mark": lambda t: t.encode("utf-8-sig"),
    "gbk": lambda t: ("识别失败，请检查：\n" + t).encode("gbk", "replace"),
    "mojibake": lambda t: ("识别失败：\n" + t).encode().decode("latin-1").encode(),
    "in noise": lambda t: (noise(1 << 20) + t + "\n" + noise(1 << 20)).encode(),
    "in garbage": lambda t: GARBAGE + b"\n" + t.encode() + b"\n" + bytes(3000),
}


def root_of(found: Recognised) -> tuple[str, ...]:
    return tuple(seen.failure.id for seen in found.seen[:1])


@pytest.mark.parametrize("disguise", DISGUISES)
def test_every_sample_is_named_in_every_disguise(disguise: str) -> None:
    wrong = []
    for name, number, text in samples():
        found = root_of(read(DISGUISES[disguise](text), system_of(load_failure(name))))
        if found != (name,):
            wrong.append((name, number, found))
    assert wrong == []


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_healthy_log_names_nothing_in_any_disguise(disguise: str) -> None:
    healthy = (SAMPLES / "healthy.txt").read_text(encoding="utf-8")
    found = read(DISGUISES[disguise](healthy))
    assert ([one for one in found.seen if one.failure.weight != "harmless"], found.unknown) == ([], ())


@given(sample=st.sampled_from(samples()), shift=st.integers(0, 400), size=st.sampled_from([1 << 17, 100_003]))
@settings(max_examples=40, deadline=None)
def test_a_failure_at_the_border_of_chunks_is_named_once_and_with_its_line(
    sample: tuple[str, int, str], shift: int, size: int
) -> None:
    name, _, text = sample
    before = noise(size - shift)
    alone, whole = read(text.encode(), system_of(load_failure(name))), before + "x" * 5 + "\n" + text
    found = read(whole.encode(), system_of(load_failure(name)), size)
    lines = before.count("\n") + 1
    assert [(s.failure.id, s.place.line, s.place.excerpt, s.count) for s in found.seen] == [
        (s.failure.id, s.place.line + lines, s.place.excerpt, s.count) for s in alone.seen
    ]
    assert [(u.line, u.words) for u in found.unknown] == [(u.line + lines, u.words) for u in alone.unknown]


@given(data=st.binary(max_size=3000), size=st.integers(1, 700))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_without_an_exception_and_counted(data: bytes, size: int) -> None:
    assert isinstance(read(data, None, size), Recognised)


@given(text=st.text(max_size=300), size=st.integers(1, 50))
@settings(max_examples=150, deadline=None)
def test_chunks_change_neither_the_lines_nor_what_is_found(text: str, size: int) -> None:
    data = f"{text}\nImportError: libGL.so.1: cannot open shared object file: x\n".encode("utf-8", "replace")
    whole, parts = read(data), read(data, None, size)
    assert (parts.seen, parts.unknown, parts.lines) == (whole.seen, whole.unknown, whole.lines)


@given(
    text=st.lists(
        st.sampled_from([t for _, _, t in samples() if "kernel_factory" not in t]), min_size=1, max_size=4
    )
)
@settings(max_examples=40, deadline=None)
def test_a_stream_and_a_short_text_are_judged_alike(text: list[str]) -> None:
    whole = "\n".join(text)
    stream = read(whole.encode(), "linux")
    assert {s.failure.id for s in stream.seen} >= {m.id for m in match(whole, load_all(), system="linux")}


def test_occurrences_are_counted_and_the_first_line_is_kept() -> None:
    found = read(("ok\n" + "ImportError: libGL.so.1: cannot open shared object file: x\nok\n" * 7).encode())
    assert [(s.failure.id, s.place.line, s.count) for s in found.seen] == [("libgl-missing", 2, 7)]


def test_counting_ends_where_a_log_repeats_itself_for_days() -> None:
    line = b"ImportError: libGL.so.1: cannot open shared object file: No such file\n"
    assert [s.count for s in read(line * (COUNTED + 500)).seen] == [COUNTED]


# --- unknown errors

TRACE = """\
Traceback (most recent call last):
  File "/srv/app.py", line {line}, in run
    page = read(path)
           ^^^^^^^^^^
{error}
"""


ERRORS = (
    *("ValueError: bad page", "paddlex.errors.Oops: it broke"),
    *("KeyError: 'boxes'", "queue.Empty", "AssertionError"),
)


def test_an_error_that_nobody_knows_is_listed_as_unknown() -> None:
    wrong = []
    for disguise, error in itertools.product(DISGUISES.keys() - {"curly quotes"}, ERRORS):
        found = read(DISGUISES[disguise]("start\n" + TRACE.format(line=3, error=error) + "end"))
        is_right = (found.seen, [u.words for u in found.unknown]) == ((), [error])
        wrong += [] if is_right else [(disguise, error, found)]
    assert wrong == []


def test_a_traceback_stays_unknown_when_a_known_failure_is_elsewhere() -> None:
    known = (SAMPLES / "libgl-missing.txt").read_text(encoding="utf-8")
    found = read((known + "\n" + TRACE.format(line=3, error="ValueError: bad page")).encode())
    assert [s.failure.id for s in found.seen] == ["libgl-missing"]
    assert [(u.line, u.words) for u in found.unknown] == [(known.count("\n") + 6, "ValueError: bad page")]


def test_a_known_failure_explains_the_whole_chain_that_it_began() -> None:
    link = "\nDuring handling of the above exception, another exception occurred:\n\n"
    first = TRACE.format(
        line=1, error="ImportError: libGL.so.1: cannot open shared object file: No such file"
    )
    second = TRACE.format(
        line=2, error="RuntimeError: PDX has already been initialized. Reinitialization is not supported."
    )
    third = TRACE.format(line=3, error="RuntimeError: the service did not start")
    found = read((first + link + second + link + third).encode())
    assert [(s.failure.id, s.after) for s in found.seen] == [
        ("libgl-missing", None),
        ("pdx-reinit-masks-cause", None),
    ]
    assert found.unknown == ()


def test_an_unknown_exception_that_an_echo_hides_is_what_is_listed() -> None:
    link = "\nDuring handling of the above exception, another exception occurred:\n\n"
    first = TRACE.format(line=1, error="ImportError: something new is missing")
    second = TRACE.format(
        line=2, error="RuntimeError: PDX has already been initialized. Reinitialization is not supported."
    )
    found = read((first + link + second).encode())
    assert [s.failure.id for s in found.seen] == ["pdx-reinit-masks-cause"]
    assert [(u.line, u.words) for u in found.unknown] == [(5, "ImportError: something new is missing")]


def test_of_two_failures_in_one_chain_the_later_follows_from_the_first() -> None:
    link = "\nThe above exception was the direct cause of the following exception:\n\n"
    first = TRACE.format(line=1, error="ModuleNotFoundError: No module named 'setuptools'")
    second = TRACE.format(
        line=2, error="ImportError: libGL.so.1: cannot open shared object file: No such file"
    )
    found = read((first + link + second).encode())
    assert [(s.failure.id, s.after) for s in found.seen] == [
        ("setuptools-missing", None),
        ("libgl-missing", "setuptools-missing"),
    ]


def test_two_interleaved_tracebacks_keep_their_own_last_lines() -> None:
    left = TRACE.format(line=1, error="ValueError: left").splitlines()
    right = TRACE.format(line=2, error="KeyError: 'right'").splitlines()
    pairs = zip(left, right, strict=True)
    text = "".join(f"[rank0]: {a}\n[rank1]: {b}\n" for a, b in pairs)
    assert [(u.line, u.words) for u in read(text.encode()).unknown] == [
        (9, "ValueError: left"),
        (10, "KeyError: 'right'"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "Segmentation fault (core dumped)",
        "Fatal Python error: Aborted",
        "ERROR: Failed building wheel for something",
        "2025-11-23 10:00:00,123 - worker - ERROR - page 3 was lost",
        "FatalError: `Segmentation fault` is detected by the operating system.",
        "error: subprocess-exited-with-error",
        "ValueError: pasted alone",
    ],
)
def test_a_single_line_that_says_error_is_unknown(line: str) -> None:
    assert [(u.line, u.count) for u in read(f"ok\n{line}\nok\n{line}\n".encode()).unknown] == [(2, 2)]


@pytest.mark.parametrize(
    "line",
    [
        "error_rate=0.1 errors: 0",
        "def f(): raise ValueError('x')",
        "INFO handling of Error: see docs",
        "use --on-error=stop",
        "except ValueError: pass",
    ],
)
def test_a_line_that_only_mentions_errors_is_none(line: str) -> None:
    assert read(f"ok\n{line}\nok\n".encode()).unknown == ()


def test_at_most_five_distinct_unknown_errors_are_kept_and_numbers_make_no_difference() -> None:
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]
    text = "".join(TRACE.format(line=n, error=f"ValueError: {w} at 0x7f{n}") for w in words for n in range(9))
    found = read(text.encode())
    assert [(u.words, u.count) for u in found.unknown] == [
        (f"ValueError: {word} at 0x7f0", 9) for word in words[:5]
    ]


# --- the parts


def test_every_signature_has_words_to_look_for_and_the_squeezed_samples_have_them() -> None:
    texts = {
        name: strip_to_visible_ascii(strip_escapes((SAMPLES / f"{name}.txt").read_bytes()))
        for name, _, _ in samples()
    }
    for failure in load_all():
        for source in failure.signatures:
            signature = signature_of(failure.id, source)
            assert min(map(len, signature.anchors)) >= SHORTEST
            if failure.id in texts:
                assert any(anchor in texts[failure.id] for anchor in signature.anchors), source


@pytest.mark.parametrize(
    ("source", "anchors", "other_literals", "may_span_lines"),
    [
        ("No module named 'paddle'(?!\\w)", {b"Nomodulenamedpaddle"}, set(), False),
        ("(?:left|right) sides", {b"sides"}, set(), False),
        ("(?:lefty|righty) a", {b"lefty", b"righty"}, {b"a"}, False),
        ("long words[^\\n]*then", {b"longwords"}, {b"then"}, True),
        ("(?i)Out Of Memory", {b"outofmemory"}, set(), False),
        ("(?:abcd)+", {b"abcd"}, set(), False),
    ],
)
def test_the_required_literals_of_a_signature(
    source: str, anchors: set[bytes], other_literals: set[bytes], may_span_lines: bool
) -> None:
    signature = signature_of("one", source)
    assert (signature.anchors, signature.other_literals, signature.may_span_lines) == (
        anchors,
        other_literals,
        may_span_lines,
    )


@pytest.mark.parametrize("source", ["a*", "[a-z]+", "(?:ab|abcdef)"])
def test_a_signature_without_words_is_refused(source: str) -> None:
    with pytest.raises(KnowledgeError, match=r"one\.toml: signatures: no word to look for"):
        signature_of("one", source)


def test_blanks_become_optional_everywhere_but_where_the_text_before_is_asked() -> None:
    assert loosened(r"a b\s+c[ x] d ?(?<!e \) f)\ g {2}h") == r"a\s*b\s*c[ x]\s*d\s*(?<!e \) f)\s*g\s*h"


def test_what_may_be_anything_has_an_end() -> None:
    assert bounded(r"a[^\n]*b.+?c\.*[x*]") == r"a[^\n]{0,500}b.{1,500}?c\.*[x*]"


def test_upper_and_lower_case_do_not_matter_where_a_signature_says_so(tmp_path: Path) -> None:
    entry = (Path(__file__).parents[2] / "matrix/failures/libgl-missing.toml").read_text(encoding="utf-8")
    path = tmp_path / "libgl-missing.toml"
    path.write_text(
        re.sub(r"signatures = \[.*\]", "signatures = ['(?i)cuda out of memory']", entry), encoding="utf-8"
    )
    failure = read_failure(path)
    assert [m.id for m in match("torch.OutOfMemoryError: CUDA Out of Memory.", [failure])] == [
        "libgl-missing"
    ]


@pytest.mark.parametrize(
    ("line", "prefix", "text"),
    [
        ("[rank0]:   File", "[rank0]:", "  File"),
        ("(worker pid=12) x", "(worker pid=12)", "x"),
        ("ocr-1  | x", "ocr-1  |", "x"),
        ("2025-11-01 10:00:01,123 - x", "", "x"),
        ("> > x", "> >", "x"),
        ("│ x", "│", "x"),
        ("    a | b", "", "    a | b"),
        ("[Errno 28] No space", "", "[Errno 28] No space"),
        ("[WinError 126] No", "", "[WinError 126] No"),
        ("ImportError: x", "", "ImportError: x"),
    ],
)
def test_the_prefix_of_a_line_is_split_off(line: str, prefix: str, text: str) -> None:
    assert split_prefix(line) == (prefix, text)


def test_no_signature_takes_long_on_text_that_almost_matches() -> None:
    """A window is bounded, so the worst of them is too: text made of a signature's own words, and no match."""
    slow = []
    for failure in load_all():
        for source in failure.signatures:
            signature = signature_of(failure.id, source)
            words = b" ".join((*sorted(signature.anchors), *sorted(signature.other_literals)))
            bait = (words + b" ") * (6000 // (len(words) + 1)) + b"\n" + words * 20
            started = time.thread_time()  # whatever else the machine does meanwhile
            read(bait)
            if time.thread_time() - started > 2:  # seconds; some milliseconds are usual
                slow.append(source)
    assert slow == []
