"""The counts of tests/benchmarks/structure.py on a package that is small enough to count by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.structure import Structure, imports_between, imports_up, read_package, rows, structure_of

ROOT = Path(__file__).parents[1]

FILES = {
    "__init__.py": '"""A package."""\n',
    # One private function with one caller and one with two; one calls itself, which does not count.
    "values/__init__.py": "",
    "values/names.py": """\
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paddlevl_doctor.checks.gpu import check


class Names:
    def first(self, check: "check") -> str:
        return self._shared(1) + _once()

    def last(self) -> str:
        return self._shared(2)

    def _shared(self, n: int) -> str:
        return "" if n == 0 else self._shared(n - 1)


def _once() -> str:
    return "# noqa: a text is no comment"
""",
    # An import up, which is one half of a circle; the other half stands in a function and is relative.
    "checks/__init__.py": "",
    "checks/gpu.py": """\
from paddlevl_doctor.report import console
from paddlevl_doctor.values.names import Names


def check() -> str:
    return console.show(Names())  # type: ignore[arg-type]  # noqa: F821
""",
    "report/__init__.py": "",
    "report/console.py": """\
def show(names: object) -> str:
    def inner() -> None:
        import json

    from ..checks.gpu import check

    return str(names)
""",
    # Probes stand apart: their imports inside functions do not count, imports of them do.
    "probes/__init__.py": "",
    "probes/inventory.py": "def main() -> None:\n    import json\n",
    "cli.py": "from paddlevl_doctor.probes import inventory\n\ninventory.main()  # pragma: no cover\n",
    "extra.py": "import paddlevl_doctor.cli\n",
}
CIRCLE = ("paddlevl_doctor.checks.gpu", "paddlevl_doctor.report.console")
UP = (
    "paddlevl_doctor.checks.gpu -> paddlevl_doctor.report.console",
    "paddlevl_doctor.cli -> paddlevl_doctor.probes.inventory",
)


def checkout(folder: Path) -> Path:
    for name, text in FILES.items():
        path = folder / "src" / "paddlevl_doctor" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_everything_that_the_table_shows_is_counted(tmp_path: Path) -> None:
    assert structure_of(checkout(tmp_path)) == Structure(
        modules=11,
        lines=39,
        median_length=2,
        long_length=7,
        private=2,
        one_caller=1,
        imports_in_functions=2,
        suppressions=3,
        imports_up=UP,
        arrows_up=("checks -> report", "cli -> probes"),
        circles=(CIRCLE,),
        circles_at_import=(),
        without_room=("extra",),
    )


def test_each_import_between_modules_is_found_once(tmp_path: Path) -> None:
    imports = imports_between(read_package(checkout(tmp_path)))
    assert {str(one): one.in_function for one in imports} == {
        "paddlevl_doctor.checks.gpu -> paddlevl_doctor.report.console": False,
        "paddlevl_doctor.checks.gpu -> paddlevl_doctor.values.names": False,
        "paddlevl_doctor.cli -> paddlevl_doctor.probes.inventory": False,
        "paddlevl_doctor.extra -> paddlevl_doctor.cli": False,
        "paddlevl_doctor.report.console -> paddlevl_doctor.checks.gpu": True,
    }
    assert tuple(map(str, imports_up(imports))) == UP


def test_the_table_says_the_counts(tmp_path: Path) -> None:
    assert [(what, figure) for what, figure, _ in rows(structure_of(checkout(tmp_path)), {})] == [
        ("modules", "11"),
        ("lines", "39"),
        ("function length, median", "2"),
        ("function length, 90th percentile", "7"),
        ("private functions (2) with one caller", "50 %"),
        ("imports inside functions outside probes", "2"),
        ("suppressions", "3"),
        ("imports up", "2"),
        ("imports up, arrows between rooms", "2"),
        ("circles", "1"),
        ("circles without imports inside functions", "0"),
    ]


def test_the_rooms_keep_their_contract() -> None:
    """Import-linter reads the contracts in pyproject.toml: layers, and checks without input and output."""
    linted = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout


def test_no_two_modules_import_each_other() -> None:
    """Imports inside functions count, too, which import-linter does not ask for modules of one room."""
    structure = structure_of(ROOT)
    assert (structure.imports_up, structure.circles, structure.without_room) == ((), (), ())
