"""Prints the structure of the package in one table, by fixed definitions, so that two checkouts can be compared.

    python tests/benchmarks/structure.py [--root DIR] [--static] [--list]

`--root` names another checkout, `--static` leaves the runs out, `--list` also prints the imports up and the circles.
Nothing is asserted here; the aims stand beside the figures. The definitions:

- modules, lines: the `.py` files below src/paddlevl_doctor, probes included, and all their lines.
- function length: lines from `def` to the last line of the body, decorators not included. A nested function counts as
  a function of its own and as lines of the function around it; lambdas do not count. The 90th percentile is the
  smallest length that at least 90 % of the functions do not exceed.
- private function: a `def` at module or class level whose name begins with one underscore. It has one caller if its
  name occurs exactly once in its module outside its own body, as a name that is read or as an attribute.
- imports inside functions: import statements in the body of a `def`, of any package, outside probes/.
- suppressions: `noqa`, `type: ignore` and `pragma: no cover` in comments.
- imports between modules: import statements at any depth that name a module of the package, each pair of modules once.
  A block `if TYPE_CHECKING:` does not count in any row on imports. Imports by `importlib` are not seen.
- imports up: those from a room to one that stands after it in ROOMS, and those into or out of probes. The arrows are
  the pairs of rooms that they connect.
- circles: groups of two or more modules that import each other, directly or through others.
- runs: what runs in the command's own process and all its threads, in the second of two runs, each in an empty folder:
  in how many modules functions ran, how many functions (`def`; bodies of modules and classes, lambdas and
  comprehensions do not count), and the most of them on one stack. A healthy environment has the versions of the set
  `current` and what the patches change; a new one is planned for an empty folder. Workers and probes are processes of
  their own and do not count. Threads that wait for a time can change the figures by a few.
"""

from __future__ import annotations

import argparse
import ast
import io
import math
import re
import statistics
import sys
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from recorded_runs import PACKAGE, Run, runs_of

ROOMS = (
    # From the ground up; a room is a module or a folder of the package. After the bar: names of commit 1f3c636.
    "data_files frozen url_logins",
    "messages invocation redaction shells",
    "values | errors",
    "system | system_child system_fake system_files system_http system_processes",
    "knowledge",
    "logs",
    "facts",
    "checks",
    "patching",
    "packages",
    "fix | repair",
    "serve",
    "parsing",
    "commands",
    "report",
    "cluster",
    "cli __main__ | options",
)
APART = "probes"
NO_ROOM = "__init__"
AIMS = {
    "check of a healthy environment": "35",
    "fix, plan for a healthy environment": "50",
    "fix, plan for a new environment": "50",
    "parse of one page": "80",
}
_LEVEL = {name: level for level, row in enumerate(ROOMS) for name in row.replace("|", "").split()}
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_FOR_TYPES = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
_SUPPRESSION = re.compile(r"\bnoqa\b|\btype:\s*ignore\b|\bpragma:\s*no cover\b")


@dataclass(frozen=True)
class Module:
    """One file of the package, and every node of it with the functions around the node."""

    name: str
    path: Path
    source: str
    nodes: tuple[tuple[ast.AST, tuple[ast.AST, ...]], ...]

    @property
    def room(self) -> str:
        """The module or folder directly below the package that this belongs to."""
        return self.name.split(".")[1] if "." in self.name else NO_ROOM


@dataclass(frozen=True)
class Import:
    """One module of the package imports another."""

    importer: Module
    imported: Module
    in_function: bool

    def __str__(self) -> str:
        return f"{self.importer.name} -> {self.imported.name}"


@dataclass(frozen=True)
class Structure:
    """What can be counted without running the package."""

    modules: int
    lines: int
    median_length: float
    long_length: int
    """The 90th percentile."""
    private: int
    one_caller: int
    imports_in_functions: int
    suppressions: int
    imports_up: tuple[str, ...]
    arrows_up: tuple[str, ...]
    circles: tuple[tuple[str, ...], ...]
    circles_at_import: tuple[tuple[str, ...], ...]
    """Those that remain if imports inside functions are left out."""
    without_room: tuple[str, ...]


def read_package(root: Path) -> dict[str, Module]:
    """Parse every file of the package in a checkout; the keys are dotted names."""
    paths = sorted((root / "src" / PACKAGE).rglob("*.py"))
    return {module.name: module for module in (_read(root / "src", path) for path in paths)}


def _read(source: Path, path: Path) -> Module:
    parts = path.relative_to(source).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    text = path.read_text(encoding="utf-8")
    return Module(name, path, text, tuple(_walk(ast.parse(text))))


def _walk(node: ast.AST, inside: tuple[ast.AST, ...] = ()) -> Iterator[tuple[ast.AST, tuple[ast.AST, ...]]]:
    """Yield every node but those of blocks for type checkers."""
    yield node, inside
    left_out = node.body if isinstance(node, ast.If) and ast.unparse(node.test) in _FOR_TYPES else []
    deeper = (*inside, node) if isinstance(node, _FUNCTION) else inside
    for child in ast.iter_child_nodes(node):
        if child not in left_out:
            yield from _walk(child, deeper)


def structure_of(root: Path) -> Structure:
    """Count what can be counted without running the package."""
    modules = read_package(root)
    every, imports = modules.values(), imports_between(modules)
    lengths = sorted(length for module in every for length in _function_lengths(module))
    callers = [count for module in every for count in _private_references(module)]
    up = imports_up(imports)
    return Structure(
        modules=len(modules),
        lines=sum(len(module.source.splitlines()) for module in every),
        median_length=statistics.median(lengths),
        long_length=lengths[math.ceil(0.9 * len(lengths)) - 1],
        private=len(callers),
        one_caller=callers.count(1),
        imports_in_functions=sum(_imports_in_functions(m) for m in every if m.room != APART),
        suppressions=sum(_suppressions(module) for module in every),
        imports_up=tuple(str(one) for one in up),
        arrows_up=tuple(sorted({f"{one.importer.room} -> {one.imported.room}" for one in up})),
        circles=circles(imports),
        circles_at_import=circles(one for one in imports if not one.in_function),
        without_room=tuple(sorted({m.room for m in every} - {*_LEVEL, APART, NO_ROOM})),
    )


def _function_lengths(module: Module) -> Iterator[int]:
    for node, _ in module.nodes:
        if isinstance(node, _FUNCTION):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


def _private_references(module: Module) -> Iterator[int]:
    """Yield, for each private function, how often the rest of its module names it."""
    references = [(_name(node), inside) for node, inside in module.nodes if _name(node)]
    for node, inside in module.nodes:
        if isinstance(node, _FUNCTION) and not inside and re.match("_[^_]", node.name):
            yield sum(name == node.name and node not in around for name, around in references)


def _name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) else None


def _imports_in_functions(module: Module) -> int:
    return sum(
        bool(inside) and isinstance(node, ast.Import | ast.ImportFrom) for node, inside in module.nodes
    )


def _suppressions(module: Module) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(module.source).readline)
    return sum(len(_SUPPRESSION.findall(t.string)) for t in tokens if t.type == tokenize.COMMENT)


def imports_between(modules: Mapping[str, Module]) -> list[Import]:
    """Return the imports of modules of the package; one that stands at the top of a module hides one in a function."""
    found: dict[tuple[str, str], Import] = {}
    for module in modules.values():
        for node, inside in sorted(module.nodes, key=lambda pair: bool(pair[1])):
            for name in _imported_names(module, node, modules):
                found.setdefault((module.name, name), Import(module, modules[name], bool(inside)))
    return list(found.values())


def _imported_names(module: Module, node: ast.AST, modules: Mapping[str, Module]) -> list[str]:
    """Return the modules that a statement names; `from package import name` names a module if there is one."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names if alias.name in modules]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = _absolute(module, node)
    candidates = [(f"{base}.{alias.name}", base) for alias in node.names]
    found = (next((name for name in pair if name in modules), None) for pair in candidates)
    return [name for name in found if name]


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    kept = len(parts) + (module.path.name == "__init__.py") - node.level
    return ".".join([*parts[:kept], *([node.module] if node.module else [])])


def imports_up(imports: Iterable[Import]) -> list[Import]:
    """Return the imports that the order of the rooms forbids; rooms that are not in the list have no contract."""
    return [one for one in imports if _is_up(one.importer.room, one.imported.room)]


def _is_up(importer: str, imported: str) -> bool:
    if APART in (importer, imported):
        return importer != imported
    both_known = importer in _LEVEL and imported in _LEVEL
    return both_known and _LEVEL[imported] > _LEVEL[importer]


def circles(imports: Iterable[Import]) -> tuple[tuple[str, ...], ...]:
    """Return the groups of modules of which each reaches each other by imports, sorted."""
    targets: dict[str, set[str]] = {}
    for one in imports:
        targets.setdefault(one.importer.name, set()).add(one.imported.name)
    reached = {name: _reached(name, targets) for name in targets}
    groups = {tuple(sorted(b for b in reached[a] if a in reached.get(b, ()))) for a in reached}
    return tuple(sorted(group for group in groups if len(group) > 1))


def _reached(start: str, targets: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = targets.get(waiting.pop(), set()) - found
        found |= new
        waiting.extend(new)
    return found


def rows(counted: Structure, runs: Mapping[str, Run]) -> Iterator[tuple[str, str, str]]:
    """Yield what, figure and aim of each row."""
    percent = 100 * counted.one_caller / max(1, counted.private)
    yield "modules", f"{counted.modules}", "about 200"
    yield "lines", f"{counted.lines:,}", "< 32,000"
    yield "function length, median", f"{counted.median_length:g}", "8 to 12"
    yield "function length, 90th percentile", f"{counted.long_length}", "20 to 40"
    yield f"private functions ({counted.private:,}) with one caller", f"{percent:.0f} %", "<= 55 %"
    yield "imports inside functions outside probes", f"{counted.imports_in_functions}", "<= 60"
    yield "suppressions", f"{counted.suppressions}", "half of what it was"
    yield "imports up", f"{len(counted.imports_up)}", "0"
    yield "imports up, arrows between rooms", f"{len(counted.arrows_up)}", "0"
    yield "circles", f"{len(counted.circles)}", "0"
    yield "circles without imports inside functions", f"{len(counted.circles_at_import)}", "0"
    for what, run in runs.items():
        yield f"{what}: modules", f"{run.modules}", AIMS.get(what, "-")
        yield f"{what}: functions", f"{run.functions}", "-"
        yield f"{what}: frames deep", f"{run.depth}", "-"


def main() -> None:
    """Count, run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[2])
    parser.add_argument("--static", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    root = options.root.resolve()
    counted = structure_of(root)
    for what, figure, aim in rows(counted, {} if options.static else runs_of(root)):
        print(f"{what:58} {figure:>9}  (aim: {aim})")
    if counted.without_room:
        print(f"Without a room, so without a contract: {', '.join(counted.without_room)}")
    if options.list:
        print("\nImports up:", *counted.imports_up, sep="\n  ")
        print("\nCircles:", *map(" <-> ".join, counted.circles), sep="\n  ")


if __name__ == "__main__":
    main()
