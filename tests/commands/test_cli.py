"""The command line itself: help in two ways, and a mistyped word gets the nearest one that exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor import doctor


@pytest.mark.parametrize("words", [(), ("check",), ("pipelines", "list")], ids=" ".join)
def test_h_is_short_for_help_on_every_command(words: tuple[str, ...], tmp_path: Path) -> None:
    short, long = doctor(*words, "-h", cwd=tmp_path), doctor(*words, "--help", cwd=tmp_path)
    assert (short.code, short.stderr) == (0, "")
    assert short.stdout.startswith(" ".join(("Usage: python -m paddlevl_doctor", *words)))
    assert short == long


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (("chek",), "No such command 'chek'. Did you mean 'check'?"),
        (("check", "--onyl", "x"), "No such option: --onyl (Possible options: --only)"),
    ],
    ids=["command", "option"],
)
def test_a_mistyped_word_gets_the_nearest_one(
    words: tuple[str, ...], suggestion: str, tmp_path: Path
) -> None:
    answer = doctor(*words, cwd=tmp_path)
    assert (answer.code, answer.stdout) == (2, "")
    assert suggestion in answer.stderr
