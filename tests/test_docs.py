"""The pages for contributors agree with the code: every link leads to a file, every function that is named exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "paddlevl_doctor"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
FUNCTION = re.compile(r"\]\((\.\./src/[^)]+\.py)\):\s+`(\w+)`")
"""A link to a module, a colon, and the name of something that the module defines."""


def names_in(module: Path) -> set[str]:
    """Everything that a module defines at its top level."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    targets = (
        t
        for node in tree.body
        for t in ([node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", []))
    )
    defined = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    return defined | {target.id for target in targets if isinstance(target, ast.Name)}


def test_every_link_of_a_page_leads_to_a_file() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    dead = [
        (page.name, link)
        for page in pages
        for link in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]
    assert dead == []


def test_every_function_that_the_architecture_names_is_where_it_says() -> None:
    named = FUNCTION.findall(ARCHITECTURE.read_text(encoding="utf-8"))
    assert len(named) > 10
    assert [(m, name) for m, name in named if name not in names_in(ARCHITECTURE.parent / m)] == []


def test_every_room_is_described_and_a_walk_opens_twelve_files_at_most() -> None:
    page = ARCHITECTURE.read_text(encoding="utf-8")
    rooms = {p.stem for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    described = set(re.findall(r"\[(\w+)\]\(\.\./src/paddlevl_doctor/\w+(?:/|\.py)\)", page))
    walks = re.findall(r"^## One .*?(?=^## )", page, re.MULTILINE | re.DOTALL)
    assert rooms - described - {"__init__", "__main__"} == set()
    assert [len(set(LINK.findall(walk))) <= 12 for walk in walks] == [True, True, True]
