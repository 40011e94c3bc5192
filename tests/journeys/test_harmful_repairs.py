"""A repair that makes a real environment worse is rolled back or refused, and the user's files stay.

These are the cheapest cases of `tests/benchmarks/harmful_cures.py`, which runs all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harmful_repairs import CASES, Bench, Case

pytestmark = pytest.mark.xdist_group("harmful-repairs")
HERE = {
    "numpy raises at import": "the stack cannot be imported afterwards: ImportError: broken build",
    "a module that no import reads was cut": "differ from their RECORD: numpy: numpy/f2py/rules.py",
    "a dependency that no index has": "numpy-core-helper was not found",
    "numpy overwrites a module of paddlex": "lib/python3.11/site-packages/paddlex/inference/utils/benchmark.py",
    "numpy deletes a module of paddlex when it is imported": "paddlex/inference/utils/benchmark.py",
    "bin/python is replaced": "must not use the reserved name `python`",
}
"""The names of the cases, and what the doctor must say."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    yield Bench(tmp_path_factory.mktemp("repairs"))


@pytest.mark.parametrize("case", [c for c in CASES if c.name in HERE], ids=lambda case: case.name)
def test_a_repair_that_harms_is_rolled_back_and_keeps_the_users_files(case: Case, bench: Bench) -> None:
    result = bench.run(case)
    assert result.code in (1, 4), result.reason
    assert result.differences == {}
    assert result.lost == ()
    assert HERE[case.name] in result.reason
