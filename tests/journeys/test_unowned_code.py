"""Code in site-packages that no package owns, what pip left there, and files that were altered."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from doctor import Answer, doctor
from environments import environment, fresh_copy

pytestmark = pytest.mark.xdist_group("current-311")

NOTES = ("unowned-code", "pip-leftovers", "altered-files")
FUSED = "paddlex/inference/models/doc_vlm/modeling/paddleocr_vl/_config.py"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return the site-packages folder of an environment that a test may change."""
    return next(fresh_copy("cured-current-311", tmp_path / ".venv").glob("lib/*/site-packages"))


def evidence(answer: Answer, name: str) -> dict[str, str]:
    """Return the evidence of a finding: what was seen, by its source."""
    (finding,) = (f for f in answer.document["findings"] if f["id"] == name)
    return {one["source"]: one["value"] for one in finding["evidence"]} if finding["status"] == "note" else {}


# --- forty injected files ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Injected:
    """A file that somebody puts into site-packages; `named` is the path that must be named, else its own."""

    path: str
    content: bytes = b"x = 1\n"
    named: str | None = None
    at_start: bool = False
    make: Callable[[Path], None] | None = None


def link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def unlisted_bytes(name: bytes) -> str:
    return os.fsdecode(name)


ELF = b"\x7fELF" + b"\0" * 60
QUICK = (
    Injected("zz_stray.pth", b"import os\n", at_start=True),
    Injected("paths_only.pth", b"/srv/elsewhere\n"),
    Injected(".hidden.pth", b"import sys\n", at_start=True),
    Injected("tab.pth", b"import\tsys\n", at_start=True),
    Injected("with_mark.pth", b"\xef\xbb\xbf# comment\nimport sys\n", at_start=True),
    Injected("distutils-precedence2.pth", b"import os\n", at_start=True),
    Injected("_virtualenv.pth", b"import _virtualenv; import os\n", at_start=True),
    Injected("easy-install.pth", b"/srv/elsewhere\nimport os\n", at_start=True),
    Injected("beside.py"),
    Injected(".hidden.py"),
    Injected("numpy.py"),
    Injected("sitecustomize.py", at_start=True),
    Injected("usercustomize.py", at_start=True),
    Injected("native.so", ELF),
    Injected("native.cpython-311-x86_64-linux-gnu.so", ELF),
    Injected("windows.pyd", b"MZ"),
    Injected("sourceless.pyc", b"\0" * 16),
    Injected("package/__init__.py", named="package"),
    Injected("without_init/deep/er/module.py", named="without_init"),
    Injected("日本語.py"),
    Injected(unlisted_bytes(b"latin\xe9.py")),
    Injected("two\nlines.py"),
    Injected("\x1b[31mred\x1b[0m.py"),
    Injected("a, \"quoted\" 'name'.py"),
    Injected("linked.py", make=link_to("six.py")),
    Injected("linked_package", make=link_to("yaml")),
    Injected("legacy.egg-link", b"/srv/another\n.\n"),
)
EVERY_FILE = (
    Injected("numpy/evil.py"),
    Injected("numpy/linalg/native.so", ELF),
    Injected("numpy/libhelper.so.1.2", ELF),
    Injected("paddlex/__pycache__/module.py"),
    Injected("paddlex/compiled.pyc", b"\0" * 16),
    Injected("google/namespace_module.py"),
    Injected("paddleocr-3.7.0.dist-info/module.py"),
    Injected("paddlex/a/b/c/d/e/module.py", named="paddlex/a/"),
    Injected("x.py/module.py", named="x.py/"),
    Injected(".hidden/module.py", named=".hidden/"),
    Injected("not-a-name/module.py", named="not-a-name/"),
    Injected(unlisted_bytes(b"yaml/\xff.py")),
    Injected("yaml/\x1b]0;title\x07.py"),
    Injected("yaml/two\nlines.py"),
    Injected("yaml/linked.py", make=link_to("loader.py")),
    Injected("yaml/linked_package", make=link_to("../networkx/utils"), named="yaml/linked_package/"),
    Injected("yaml/dangling.py", make=link_to("nothing.py")),
)
FORMATS = ("markdown", "html", "junit", "github")
SILENT = (
    "notes.txt",
    "__pycache__/gone.cpython-311.pyc",
    "paddlex/weights.pth",
    "data/table.csv",
    "numpy/a.json",
)
"""What is no code: Python does not load bytecode whose source is gone, and reads .pth files only at the top."""


def inject(site: Path, one: Injected) -> None:
    path = site / one.path
    path.parent.mkdir(parents=True, exist_ok=True)
    if one.make is not None:
        one.make(path)
    else:
        path.write_bytes(one.content)


def test_code_that_no_package_owns_is_named_with_its_path(site: Path, tmp_path: Path) -> None:
    assert len(QUICK) + len(EVERY_FILE) >= 40
    for one in (*QUICK, *EVERY_FILE, *map(Injected, SILENT)):
        inject(site, one)
    quick = doctor("check", "--format", "json", cwd=tmp_path)
    assert (quick.code, quick.problems()) == (0, {})
    named = {f"{site}/{one.named or one.path}": one.at_start for one in QUICK}
    seen = evidence(quick, "unowned-code")
    assert {path: "every start" in words for path, words in seen.items()} == named

    whole = doctor("check", "--integrity", "--format", "json", cwd=tmp_path)
    assert (whole.code, whole.problems()) == (0, {})
    assert set(evidence(whole, "unowned-code")) == {
        *named,
        *(f"{site}/{one.named or one.path}" for one in EVERY_FILE),
    }
    for words in (("--integrity", "-v"), ("-v", "--lang", "zh"), *(("--format", name) for name in FORMATS)):
        shown = doctor("check", *words, cwd=tmp_path)
        assert (shown.code, set("\x1b\x07") & set(shown.stdout)) == (0, set())


def test_what_tools_write_without_a_record_is_no_note(site: Path, tmp_path: Path) -> None:
    patches = '"""Patches that are applied at runtime to the virtual environment."""\n'
    project = tmp_path / "project"
    project.mkdir()
    for name, words in {
        "_virtualenv.pth": "import _virtualenv",
        "_virtualenv.py": patches,
        "easy-install.pth": f"{project}\n./legacy.egg\n",
        "project.egg-link": f"{project}\n.",
        "legacy.egg": "",
        "README.txt": "",
        ".lock": "",
    }.items():
        (site / name).write_text(words)
    old = site / "oldstyle-1.0-py3.11.egg-info"
    old.mkdir()
    (old / "top_level.txt").write_text("old_module\n")
    (old / "installed-files.txt").write_text("../old_package/__init__.py\n../old_package/a/b.py\n")
    (site / "old_module.py").write_text("")
    (site / "old_package/a").mkdir(parents=True)
    for file in ("__init__.py", "a/b.py"):
        (site / "old_package" / file).write_text("")
    meta = tmp_path / ".venv" / "conda-meta"
    meta.mkdir()
    listed = ("by_conda.py", "conda_package/__init__.py", "numpy/by_conda.py")
    rows = ", ".join(f'"lib/{site.parent.name}/site-packages/{name}"' for name in listed)
    (meta / "package-1.0-0.json").write_text(f'{{"files": [{rows}]}}')
    for name in listed:
        inject(site, Injected(name))
    for look in ((), ("--integrity",)):
        found = doctor("check", *look, "--format", "json", cwd=tmp_path)
        assert found.statuses("unowned-code") == {"unowned-code": "ok"}


def test_a_sitecustomize_on_pythonpath_is_named(tmp_path: Path) -> None:
    venv = environment("cured-current-311")
    (tmp_path / "sitecustomize.py").write_text("")
    env = {"PYTHONPATH": str(tmp_path)}
    found = doctor("check", "--venv", venv, "--format", "json", cwd=tmp_path, env=env)
    (path,) = evidence(found, "unowned-code")
    assert path == str(tmp_path / "sitecustomize.py")


# --- altered files ----------------------------------------------------------------------------------------


def replace(path: Path, data: bytes) -> None:
    """Write a file that may be shared with uv's cache."""
    copy = path.with_name("copy")
    copy.write_bytes(data)
    copy.replace(path)


def test_altered_files_that_decide_and_those_at_the_top_are_named(site: Path, tmp_path: Path) -> None:
    top, deciding = site / "six.py", site / "paddleocr/__init__.py"
    pth = site / "distutils-precedence.pth"
    replace(top, top.read_bytes().replace(b"True", b"1234", 1))  # of the same size
    replace(deciding, deciding.read_bytes() + b"\n# edited\n")
    replace(pth, b"import os\n")
    found = doctor("check", "--format", "json", cwd=tmp_path)
    assert (found.code, found.problems()) == (0, {})
    (finding,) = (f for f in found.document["findings"] if f["id"] == "altered-files")
    values = {one["value"] for one in finding["evidence"]}
    assert {f"altered: {path}" for path in (top, deciding, pth)} <= values


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no sed")
def test_the_edit_that_posts_recommend_is_recognised_as_what_it_is(tmp_path: Path) -> None:
    site = next(fresh_copy("current-311", tmp_path / ".venv").glob("lib/*/site-packages"))
    sed = ("sed", "-i", "s/fuse_rms_norm = True/fuse_rms_norm = False/", str(site / FUSED))
    subprocess.run(sed, check=True)
    words = f"edited by hand, with the effect of a patch of paddlevl-doctor: {FUSED}"
    for look in ((), ("--integrity",), ("--deep",)):
        found = doctor("check", *look, "--format", "json", cwd=tmp_path)
        (finding,) = (f for f in found.document["findings"] if f["id"] == "altered-files")
        assert finding["status"] == "note"
        assert words in {one["value"] for one in finding["evidence"]}
    status = doctor("patches", "status", "--format", "json", cwd=tmp_path).document["status"]
    assert {row["state"] for row in status if row["patch"] == "fuse-rms-norm"} == {"edited"}


# --- what pip left ----------------------------------------------------------------------------------------


def test_what_pip_left_behind_is_a_note(site: Path, tmp_path: Path) -> None:
    for name in ("~addlex", "~ertifi-2026.1.dist-info"):
        (site / name).mkdir()
    (site / "~addlex" / "module.py").write_text("x = 1\n")
    for look in ((), ("--integrity",)):
        found = doctor("check", *look, "--format", "json", cwd=tmp_path)
        assert (found.code, found.problems()) == (0, {})
        assert found.statuses(*NOTES[:2]) == {"unowned-code": "ok", "pip-leftovers": "note"}
    plan = doctor("fix", "--format", "json", cwd=tmp_path).document["plan"]["steps"]
    assert {step["kind"] for step in plan} <= {"apply-patch", "link-pipelines"}
