"""Where a file is comes from the import system of the target; what is not in the target is refused in the plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from doctor import doctor, fingerprint
from paddlevl_doctor.knowledge.patches import find_patch
from small_stack import copy_paddlex, site_of, small_stack

WITHOUT_PADDLEX = {
    "paddlepaddle": "3.2.2",
    "paddleocr": "3.7.0",
    "safetensors": "0.7.0",
    "numpy": "2.3.5",
    "setuptools": "80.9.0",
}
FINDING = "use-doc-preprocessor"
PATCHED = find_patch("doc-preprocessor-defaults").files[0].path


@dataclass
class Case:
    """An environment whose paddlex is imported from `folder`, and the variables that it needs."""

    folder: Path
    origin: str
    env: dict[str, str] = field(default_factory=dict)


def user_site(venv: Path) -> Case:
    small_stack(venv, WITHOUT_PADDLEX, "--system-site-packages")
    base = venv.parent / "user"
    folder = base / "lib" / "python3.11" / "site-packages"
    folder.mkdir(parents=True)
    return Case(copy_paddlex(folder), "elsewhere", {"PYTHONUSERBASE": str(base)})


def path_variable(venv: Path) -> Case:
    small_stack(venv, WITHOUT_PADDLEX)
    copy_paddlex(site_of(venv))
    folder = venv.parent / "sources"
    folder.mkdir()
    return Case(copy_paddlex(folder, record=False), "shadowing", {"PYTHONPATH": str(folder)})


def editable_path(venv: Path) -> Case:
    """As setuptools makes it with `editable_mode=compat`: a .pth file with the folder of the sources."""
    small_stack(venv, WITHOUT_PADDLEX)
    folder = venv.parent / "checkout"
    folder.mkdir()
    copy_paddlex(folder, record=False)
    _editable_record(venv, folder)
    (site_of(venv) / "__editable__.paddlex.pth").write_text(f"{folder}\n", encoding="utf-8")
    return Case(folder, "elsewhere")


def editable_finder(venv: Path) -> Case:
    """As setuptools makes it by default: a finder that is appended to sys.meta_path."""
    case = editable_path(venv)
    site = site_of(venv)
    finder = f"""
import importlib.util, sys
class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        folder = {str(case.folder / "paddlex")!r}
        if name == "paddlex":
            return importlib.util.spec_from_file_location(name, folder + "/__init__.py")
sys.meta_path.append(Finder)
"""
    (site / "_paddlex_finder.py").write_text(finder, encoding="utf-8")
    (site / "__editable__.paddlex.pth").write_text("import _paddlex_finder\n", encoding="utf-8")
    return case


def _editable_record(venv: Path, folder: Path) -> None:
    info = site_of(venv) / "paddlex-3.7.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: paddlex\nVersion: 3.7.2\n", encoding="utf-8")
    origin = {"url": folder.as_uri(), "dir_info": {"editable": True}}
    (info / "direct_url.json").write_text(json.dumps(origin), encoding="utf-8")
    (info / "RECORD").write_text("__editable__.paddlex.pth,,\n", encoding="utf-8")


def namespace(venv: Path) -> Case:
    small_stack(venv, WITHOUT_PADDLEX)
    folder = copy_paddlex(site_of(venv))
    (folder / "paddlex" / "__init__.py").unlink()
    return Case(folder, "namespace")


@pytest.mark.parametrize(
    "build", [user_site, path_variable, editable_path, editable_finder, namespace], ids=lambda b: b.__name__
)
def test_a_paddlex_outside_of_the_target_is_examined_where_it_is_and_refused_in_the_plan(
    build: Callable[[Path], Case], tmp_path: Path
) -> None:
    project = tmp_path / "project"
    case = build(project / ".venv")
    before = fingerprint(tmp_path)
    check = doctor("check", "--format", "json", cwd=project, env=case.env)
    (paddlex,) = [d for d in check.document["facts"]["target"]["distributions"] if d["name"] == "paddlex"]
    assert (paddlex["imported_from"], paddlex["origin"]) == (str(case.folder), case.origin)
    assert check.statuses(FINDING) == {FINDING: "warning"}
    assert check.document["facts"]["pipelines"]["wanted"] == str(case.folder / "paddlex/configs/pipelines")

    fix = doctor("fix", "--apply", "--only", FINDING, "--format", "json", cwd=project, env=case.env)
    hidden = case.origin == "shadowing"  # an error of its own, which --only leaves
    assert (fix.code, fix.document["plan"]["steps"]) == (int(hidden), []), fix.stderr
    (skipped,) = [s for s in fix.document["skipped"] if s["finding"] == FINDING]
    assert f"but from {case.folder}, which is not changed" in skipped["reason"]
    link = doctor("fix", "--apply", "--only", "pipelines-link", "--format", "json", cwd=project, env=case.env)
    assert link.document["plan"]["steps"] == []
    assert fingerprint(tmp_path) == before

    changed = case.folder / PATCHED
    changed.write_bytes(b"# mine\n")
    status = doctor("patches", "status", "--format", "json", cwd=project, env=case.env).document["status"]
    assert {row["path"]: row["state"] for row in status}[PATCHED] == "altered"


def test_an_installation_that_would_not_be_imported_is_refused_before_the_first_change(
    tmp_path: Path,
) -> None:
    venv = small_stack(tmp_path / ".venv")
    shadow = tmp_path / "shadow" / "numpy"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").touch()
    before = fingerprint(tmp_path)
    env = {"PYTHONPATH": str(shadow.parent)}
    for words in (("fix",), ("fix", "--apply")):
        answer = doctor(*words, "--only", "numpy-2-4-scalar", cwd=tmp_path, env=env)
        assert (answer.code, answer.stdout) == (2, "")
        assert f"numpy is imported from {shadow.parent}, which comes before {venv}" in answer.stderr
    assert fingerprint(tmp_path) == before


def test_a_package_of_the_user_site_gives_way_to_one_in_the_target(tmp_path: Path) -> None:
    """The target's site-packages come first, so a change there helps; the other one does not matter."""
    project = tmp_path / "project"
    case = user_site(project / ".venv")
    (other,) = case.folder.glob("*.dist-info")
    (other / "INSTALLER").write_text("conda\n", encoding="utf-8")
    (case.folder / PATCHED).write_bytes(b"# another one\n")
    copy_paddlex(site_of(project / ".venv"))
    check = doctor("check", "--format", "json", cwd=project, env=case.env)
    found = [d for d in check.document["facts"]["target"]["distributions"] if d["name"] == "paddlex"]
    assert [(d["in_target"], d["origin"]) for d in found] == [(True, "target"), (False, "target")]
    plan = doctor("fix", "--only", FINDING, "--format", "json", cwd=project, env=case.env).document["plan"]
    assert [step["kind"] for step in plan["steps"]] == ["apply-patch"]
