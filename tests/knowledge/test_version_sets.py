"""Our short cut for version ranges says what `packaging` says, of every version and every range."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from paddlevl_doctor.knowledge.version_sets import fits

NUMBERS = st.lists(st.integers(0, 12), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
VERSIONS = st.one_of(
    NUMBERS,
    st.builds(
        "{}{}".format, NUMBERS, st.sampled_from(["rc1", ".dev0", ".post1", "+paddlevl.1", "a2", "+cu126"])
    ),
)
CLAUSES = st.one_of(
    st.builds("{}{}".format, st.sampled_from([">=", "<=", "<", ">", "==", "!="]), NUMBERS),
    st.builds("{}{}".format, st.sampled_from([">=", "<", "=="]), VERSIONS),
    st.builds("=={}.*".format, NUMBERS),
    st.builds("~={}.0".format, NUMBERS),
)
SPECIFIERS = st.lists(CLAUSES, max_size=3).map(", ".join)


@given(VERSIONS, SPECIFIERS)
@settings(max_examples=1500, deadline=None)
def test_it_agrees_with_packaging(version: str, specifier: str) -> None:
    try:
        expected = SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidSpecifier:  # an operator that does not take such a version
        with pytest.raises(InvalidSpecifier):
            fits(version, specifier)
        return
    assert fits(version, specifier) == expected


def test_what_is_no_specifier_is_refused_and_what_is_no_version_fulfils_none() -> None:
    with pytest.raises(InvalidSpecifier):
        fits("1.0", "about 1")
    assert not fits("one", ">=1")


def test_a_quick_check_never_loads_the_slow_part_of_packaging() -> None:
    program = "import sys, paddlevl_doctor.checks; print('packaging.specifiers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
