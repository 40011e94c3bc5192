"""A page that was read survives its way to the disk and back, and anything else that lies there is no page."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevl_doctor.parsing.run.page_store import PageRead, PageStore
from paddlevl_doctor.values.pages import Block, Page

NUMBERS = st.integers(0, 10_000)
BLOCKS = st.builds(Block, st.text(), st.text(), st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS))
SECONDS = st.floats(0, 1e6)
PAGES = st.builds(Page, st.just(0), NUMBERS, NUMBERS, st.lists(BLOCKS, max_size=3).map(tuple), SECONDS)
READ = st.builds(
    PageRead,
    PAGES,
    st.dictionaries(st.text(), st.text(), max_size=2),
    st.text(),
    st.text(),
    st.none() | NUMBERS,
    st.lists(st.text(), max_size=2).map(tuple),
    st.booleans(),
    st.sampled_from([0, 90, 180, 270]),
)


@settings(max_examples=30)
@given(READ)
def test_what_is_kept_is_found_again_the_same(read: PageRead) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = PageStore(Path(folder), "key")
        store.save(read)

        assert store.load(0) == read


@pytest.mark.parametrize(
    "broken", [[], {}, {"key": "key"}, {"key": "key", "page": 1}, {"key": "key", "page": {"blocks": [1]}}]
)
def test_anything_else_is_no_page(broken: Any, tmp_path: Path) -> None:
    (tmp_path / "0001").mkdir()
    (tmp_path / "0001" / "page.json").write_text(json.dumps(broken))

    assert PageStore(tmp_path, "key").load(0) is None
