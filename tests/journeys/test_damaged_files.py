"""Files of the stack that are empty or cut: named by what they break, installed again, and taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor import doctor, fingerprint
from environments import fresh_copy

UNPATCHED = {"use-doc-preprocessor": "warning"}
ONLY = ("--only", "half-installed-dist")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return the site-packages folder of an environment that a test may break."""
    return next(fresh_copy("current-311", tmp_path / ".venv").glob("lib/*/site-packages"))


def put(path: Path, data: bytes) -> None:
    """Replace a file, which is shared with uv's cache."""
    copy = path.with_name("copy")
    copy.write_bytes(data)
    copy.replace(path)


def test_an_empty_file_that_an_import_error_points_at_is_the_cause(site: Path, tmp_path: Path) -> None:
    put(site / "paddlex/utils/deps.py", b"")
    broken = fingerprint(tmp_path / ".venv")
    found = doctor("check", "--deep", "--format", "json", cwd=tmp_path)
    assert found.problems() == {**UNPATCHED, "half-installed-dist": "error"}
    by_id = {f["id"]: f for f in found.document["findings"]}
    assert by_id["half-installed-dist"]["subjects"] == ["paddlex"]
    assert by_id["import-stack"]["blocked_by"] == "half-installed-dist"
    assert not [f["title"] for f in by_id.values() if "…" in f["title"]]

    assert doctor("fix", "--apply", *ONLY, cwd=tmp_path).code == 0
    assert doctor("check", "--deep", "--format", "json", cwd=tmp_path).problems() == UNPATCHED
    assert doctor("undo", cwd=tmp_path).code == 0
    assert fingerprint(tmp_path / ".venv") == broken


def test_a_library_that_is_cut_short_is_an_error_of_the_quick_check(site: Path, tmp_path: Path) -> None:
    library = site / "paddle/base/libpaddle.so"
    put(library, library.read_bytes()[: 100 << 20])
    for look in ((), ("--deep",)):
        found = doctor("check", *look, "--format", "json", cwd=tmp_path)
        assert found.problems() == {**UNPATCHED, "half-installed-dist": "error"}
    assert doctor("fix", "--apply", cwd=tmp_path).code == 0
    assert doctor("check", "--deep", "--format", "json", cwd=tmp_path).problems() == {}


def test_a_module_or_a_folder_of_a_package_that_is_gone_is_an_error_of_the_quick_check(
    site: Path, tmp_path: Path
) -> None:
    (inner,) = (path.relative_to(site) for path in site.glob("numpy/_core/_multiarray_umath.*.so"))
    unneeded = next(site.glob("numpy/_core/_multiarray_tests.*.so")).relative_to(site)
    parts = (inner, unneeded, "numpy/linalg/__init__.py", "paddle/nn/functional", "paddle/libs/libdnnl.so.3")
    gone = ("typing_extensions.py", "yaml", "numpy.libs", "opencv_contrib_python.libs", *parts)
    for name in gone:
        (tmp_path / "gone" / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).rename(tmp_path / "gone" / name)
    for name in ("tests", "somebodys"):  # what nobody needs, and a package that the stack does not require
        info = site / f"{name}_package-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-package\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"{name}/__init__.py,,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n")
    found = doctor("check", "--format", "json", cwd=tmp_path)
    assert found.problems() == {**UNPATCHED, "half-installed-dist": "error"}
    (finding,) = [f for f in found.document["findings"] if f["id"] == "half-installed-dist"]
    assert {e["source"]: e["value"] for e in finding["evidence"]} == {
        "numpy": f"missing: numpy.libs, numpy/_core/{inner.name}, numpy/linalg/__init__.py",
        "opencv-contrib-python": "missing: opencv_contrib_python.libs",
        "paddlepaddle": "missing: paddle/libs/libdnnl.so.3, paddle/nn/functional",
        "pyyaml": "missing: yaml",
        "typing-extensions": "missing: typing_extensions.py",
    }
    assert doctor("fix", "--apply", *ONLY, cwd=tmp_path).code == 0
    assert doctor("check", "--format", "json", cwd=tmp_path).problems() == UNPATCHED
    assert all((site / name).exists() for name in gone)


def test_what_the_comparison_of_every_file_names_is_installed_again(site: Path, tmp_path: Path) -> None:
    (site / "httpx/_client.py").unlink()
    (site / "networkx/convert.py").unlink()
    found = doctor("check", "--integrity", "--format", "json", cwd=tmp_path)
    assert found.problems() == {**UNPATCHED, "half-installed-dist": "error"}
    assert doctor("fix", "--apply", *ONLY, cwd=tmp_path).code == 0
    assert doctor("check", "--integrity", "--format", "json", cwd=tmp_path).problems() == UNPATCHED
