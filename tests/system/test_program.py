"""The program is named as it was called, so that the same words start it again."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from paddlevl_doctor.system.program import Start, program_of

UVX = ("/home/ada/.local/bin/uv", "tool", "uvx", "--from", "dist/x.whl", "paddlevl-doctor", "check")
CACHE = "/home/ada/.cache/uv/archive-v0/abc"


def start(
    *argv: str,
    on_path: Sequence[str] = (),
    original: Sequence[str] = (),
    parents: Sequence[Sequence[str]] = (),
    prefix: str = "/srv/.doctor",
    source: str | None = None,
    lent: bool = False,
) -> Start:
    """Return the start of a process; `on_path` are paths of programs that PATH has."""
    known = {Path(path).name: path for path in on_path}
    return Start(
        argv=argv,
        original=tuple(original),
        prefix=prefix,
        lent=lent,
        by_uv=bool(parents),
        which=lambda name: name if "/" in name else known.get(name),
        which_outside=lambda name: None if lent else known.get(name),
        parents=lambda: [tuple(line) for line in parents],
        source=lambda: source,
    )


def test_a_path_stays_as_it_was_typed(tmp_path: Path) -> None:
    assert program_of(start(".doctor/bin/paddlevl-doctor", "check")) == (".doctor/bin/paddlevl-doctor",)
    assert program_of(start(r".doctor\Scripts\paddlevl-doctor")) == (r".doctor\Scripts\paddlevl-doctor",)
    other = tmp_path / "paddlevl-doctor"
    other.touch()
    called = start("/srv/.doctor/bin/paddlevl-doctor", on_path=(str(other),))
    assert program_of(called) == ("/srv/.doctor/bin/paddlevl-doctor",)
    assert program_of(start("paddlevl-doctor")) == ("paddlevl-doctor",)


def test_a_program_on_path_has_its_name(tmp_path: Path) -> None:
    there = tmp_path / "paddlevl-doctor"
    there.touch()
    assert program_of(start(str(there), on_path=(str(there),))) == ("paddlevl-doctor",)


def test_a_name_that_only_this_process_has_on_path_is_not_used(tmp_path: Path) -> None:
    there = tmp_path / "paddlevl-doctor"
    there.touch()
    assert program_of(start(str(there), on_path=(str(there),), lent=True)) == (str(there),)
    words = "python -m paddlevl_doctor"
    called = start(
        "/v/paddlevl_doctor/__main__.py", original=words.split(), on_path=("/v/python",), lent=True
    )
    assert program_of(called) == (sys.executable, "-m", "paddlevl_doctor")


def test_windows_finds_the_exe_that_the_script_does_not_name(tmp_path: Path) -> None:
    there = tmp_path / "paddlevl-doctor.exe"
    there.touch()
    called = dataclasses.replace(start(str(there.with_suffix(""))), which=lambda _: str(there))
    assert program_of(called) == ("paddlevl-doctor",)


@pytest.mark.parametrize(
    ("original", "words"),
    [
        ("/v/bin/python -m paddlevl_doctor check", "/v/bin/python -m paddlevl_doctor"),
        ("/v/bin/python -X utf8 -m paddlevl_doctor check", "/v/bin/python -X utf8 -m paddlevl_doctor"),
        ("python3 -m paddlevl_doctor check", "python3 -m paddlevl_doctor"),
    ],
)
def test_a_module_is_run_by_the_same_python(original: str, words: str) -> None:
    called = start(
        "/v/lib/paddlevl_doctor/__main__.py",
        "check",
        original=original.split(),
        on_path=("/usr/bin/python3",),
    )
    assert program_of(called) == tuple(words.split())


def test_uvx_is_named_as_it_was_typed() -> None:
    argv = (f"{CACHE}/bin/paddlevl-doctor", "check")
    called = start(*argv, prefix=CACHE, parents=(UVX,), on_path=("/home/ada/.local/bin/uvx",))
    assert program_of(called) == ("uvx", "--from", "dist/x.whl", "paddlevl-doctor")
    nested = (("python3", "-c", "x"), ("paddlevl-doctor.exe", "check"), UVX)
    called = start(*argv, prefix=CACHE, parents=nested, on_path=("/home/ada/.local/bin/uvx",))
    assert program_of(called) == ("uvx", "--from", "dist/x.whl", "paddlevl-doctor")
    hidden = ("/opt/uv/uv", "tool", "run", "--index", "https://u:p@host/simple", "paddlevl-doctor", "check")
    called = start(*argv, prefix=CACHE, parents=(hidden,))
    assert program_of(called) == (*hidden[:4], "https://host/simple", "paddlevl-doctor")


def test_uv_run_is_named_with_its_options() -> None:
    line = ("uv", "run", "--with", "paddlevl-doctor", "paddlevl-doctor", "check")
    called = start("/p/.venv/bin/paddlevl-doctor", "check", parents=(line,), on_path=("/usr/bin/uv",))
    assert program_of(called) == line[:-1]


def test_a_child_of_a_shell_that_uv_started_is_not_uvs() -> None:
    called = start(".doctor/bin/paddlevl-doctor", "check", parents=(("bash",), ("uv", "run", "bash")))
    assert program_of(called) == (".doctor/bin/paddlevl-doctor",)
    script = ("uv", "run", "./look.sh", "check")
    called = start(".doctor/bin/paddlevl-doctor", "check", parents=(("sh", *script[2:]), script))
    assert program_of(called) == (".doctor/bin/paddlevl-doctor",)


def test_a_path_in_uvs_cache_is_never_named() -> None:
    argv = (f"{CACHE}/bin/paddlevl-doctor", "check")
    assert program_of(start(*argv, prefix=CACHE)) == ("uvx", "paddlevl-doctor")
    called = start(*argv, prefix=CACHE, source="/srv/x.whl")
    assert program_of(called) == ("uvx", "--from", "/srv/x.whl", "paddlevl-doctor")


def test_a_program_that_uses_the_doctor_as_a_library_is_not_named() -> None:
    assert program_of(start("/usr/bin/pytest")) == ("paddlevl-doctor",)
    assert program_of(start("")) == ("paddlevl-doctor",)
