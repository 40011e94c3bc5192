"""Real threads, named as a person who read them would: nothing missed, and nothing invented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli

from paddlevl_doctor.knowledge.failures import load_all, match

THREADS: list[dict[str, Any]] = tomli.loads(
    Path(__file__).with_name("threads.toml").read_text(encoding="utf-8")
)["thread"]
HARMLESS = "harmless"


def named(text: str) -> set[str]:
    return {found.id for found in match(text, load_all()) if found.failure.weight != HARMLESS}


@pytest.mark.parametrize("thread", THREADS, ids=[thread["url"].partition(".com/")[2] for thread in THREADS])
def test_a_thread_is_named_as_its_readers_would(thread: dict[str, Any]) -> None:
    assert named(thread["text"]) == set(thread["names"])


def test_every_thread_is_there_once() -> None:
    urls = [thread["url"] for thread in THREADS]
    assert len(set(urls)) == len(urls)
