"""A reading survives its way through JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddlevl_doctor.parsing.model import Block, Page, Reading, reading_from_dict, reading_to_dict

NUMBERS = st.integers(0, 10_000)
BLOCKS = st.builds(Block, st.text(), st.text(), st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS))
SECONDS = st.floats(0, 1e6)
PAGES = st.builds(Page, NUMBERS, NUMBERS, NUMBERS, st.lists(BLOCKS, max_size=3).map(tuple), SECONDS)
READINGS = st.builds(
    Reading,
    st.text(),
    st.text(),
    st.lists(PAGES, max_size=3).map(tuple),
    st.dictionaries(st.text(), SECONDS, max_size=3),
    NUMBERS,
    st.none() | NUMBERS,
    st.lists(st.text(), max_size=2).map(tuple),
)


@given(READINGS)
def test_what_is_written_as_json_is_read_back_the_same(reading):
    assert reading_from_dict(json.loads(json.dumps(reading_to_dict(reading)))) == reading


@pytest.mark.parametrize("broken", [{}, {"engine": "x", "device": "cpu", "pages": [1], "stages": {}}])
def test_anything_else_is_refused(broken):
    with pytest.raises((KeyError, TypeError, ValueError)):
        reading_from_dict(broken)
