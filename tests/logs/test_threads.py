"""Real threads, named as a person who read them would: nothing missed, and nothing invented."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import tomli

from paddlevl_doctor.knowledge.failures import load_all, load_failure
from paddlevl_doctor.logs.recognise import match

THREADS: list[dict[str, Any]] = tomli.loads(
    Path(__file__).with_name("threads.toml").read_text(encoding="utf-8")
)["thread"]
HARMLESS = "harmless"
FOUND_AT_LEAST = 0.95
"""Of the failures that readers saw; a thread may be a miss, with the reason, and never a false name."""


def named(text: str) -> set[str]:
    return {found.id for found in match(text, load_all()) if found.failure.weight != HARMLESS}


def test_a_thread_is_named_as_its_readers_would() -> None:
    wrong = []
    for thread in THREADS:
        found, expected = named(thread["text"]), set() if "missed" in thread else set(thread["names"])
        wrong += [] if found == expected else [(thread["url"], found, expected)]
    assert wrong == []


def test_of_what_readers_saw_hardly_anything_is_missed() -> None:
    seen = Counter("missed" in thread for thread in THREADS if thread["names"])
    assert seen[False] / seen.total() >= FOUND_AT_LEAST


def test_every_thread_is_there_once_and_names_entries_that_exist() -> None:
    urls = [thread["url"] for thread in THREADS]
    assert len(set(urls)) == len(urls)
    for thread in THREADS:
        assert all(load_failure(name).signatures for name in thread["names"]), thread["url"]
        assert thread.get("missed", "because") and not ("missed" in thread and not thread["names"])


def test_there_are_enough_threads_of_both_kinds() -> None:
    kinds = Counter(bool(thread["names"]) for thread in THREADS)
    assert kinds[True] >= 120
    assert kinds[False] >= 80
