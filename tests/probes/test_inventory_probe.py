"""The inventory probe: which records of an environment are whole, on old and new Pythons."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from environments import interpreter
from paddlevl_doctor.facts.target import INVENTORY


def record(site: Path, name: str, **files: str) -> None:
    """Lay out a .dist-info folder with these files in it."""
    folder = site / name
    folder.mkdir()
    for file, content in files.items():
        (folder / file).write_text(content, encoding="utf-8")


def look(site: Path, version: str = "3.11") -> dict[str, Any]:
    """Run the probe with one folder on sys.path besides the interpreter's own."""
    argv = [interpreter(version), "-S", "-X", "utf8", INVENTORY]
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize(
    ("release", "asked"), [("5.15.153.1-microsoft-standard-WSL2", True), ("6.1.0", False)]
)
def test_under_wsl_the_drivers_library_is_asked_for_by_the_name_that_paddle_uses(
    release: str, asked: bool
) -> None:
    kernel = f"os.uname = lambda: types.SimpleNamespace(release={release!r})"
    run = f"import os, runpy, types; {kernel}; runpy.run_path({str(INVENTORY)!r}, run_name='__main__')"
    done = subprocess.run([interpreter("3.11"), "-S", "-c", run], capture_output=True, text=True, check=True)
    assert ("libcuda.so" in json.loads(done.stdout)["missing_libraries"]) is asked


@pytest.mark.parametrize("version", ["3.8", "3.11", "3.13"])
def test_what_an_interrupted_installer_leaves_is_told(version: str, tmp_path: Path) -> None:
    whole = {"METADATA": "Name: x\n", "RECORD": "", "INSTALLER": "uv"}
    record(tmp_path, "paddlex-3.7.2.dist-info", **whole)
    record(tmp_path, "paddlex-3.7.1.dist-info", METADATA="Name: paddlex\n", INSTALLER="uv")
    record(tmp_path, "paddleocr-3.7.0.dist-info", RECORD="", INSTALLER="pip\n")
    record(tmp_path, "~umpy-2.3.5.dist-info", **whole)
    (tmp_path / "~umpy").mkdir()
    answer = look(tmp_path, version)
    found = [(d["name"], d["version"], d["has_record"], d["has_metadata"]) for d in answer["distributions"]]
    assert found == [
        ("paddleocr", "3.7.0", True, False),
        ("paddlex", "3.7.2", True, True),
        ("paddlex", "3.7.1", False, True),
    ]
    assert answer["leftovers"] == ["~umpy", "~umpy-2.3.5.dist-info"]


@pytest.mark.parametrize(
    ("installer", "known"), [("debian", True), ("conda\n", True), ("pip", False), ("uv", False), ("", False)]
)
def test_other_installers_keep_their_records_elsewhere(installer: str, known: bool, tmp_path: Path) -> None:
    record(tmp_path, "numpy-2.2.4.dist-info", METADATA="Name: numpy\n", INSTALLER=installer)
    assert [d["has_record"] for d in look(tmp_path)["distributions"]] == [known]


def test_the_requirements_of_the_stack_are_read_and_no_others(tmp_path: Path) -> None:
    lines = "Name: x\nRequires-Dist: nvidia-nccl-cu12==2.27.5\n\nRequires-Dist: of the description\n"
    record(tmp_path, "torch-2.9.0.dist-info", METADATA=lines, RECORD="")
    record(tmp_path, "scipy-1.16.0.dist-info", METADATA=lines, RECORD="")
    assert {d["name"]: d["requires"] for d in look(tmp_path)["distributions"]} == {
        "scipy": [],
        "torch": ["nvidia-nccl-cu12==2.27.5"],
    }


def test_what_the_stack_requires_is_followed_without_extras_that_nothing_asks_for(tmp_path: Path) -> None:
    def metadata(*lines: str) -> str:
        return "".join(f"Requires-Dist: {line}\n" for line in lines) + "\nRequires-Dist: of-the-description\n"

    of_paddle = ("Foo.Bar[fast] (>=1.0)", 'unused; extra == "dev"')
    record(tmp_path, "paddlepaddle-3.2.2.dist-info", METADATA=metadata(*of_paddle), RECORD="")
    of_foo = ('plain; python_version < "3.9"', 'quick>=2; extra == "fast"', "slow; extra == 'other'")
    record(tmp_path, "foo_bar-1.1.dist-info", METADATA=metadata(*of_foo), RECORD="")
    record(tmp_path, "quick-1.0.dist-info", METADATA=metadata("foo-bar[fast]"), RECORD="")
    record(tmp_path, "slow-1.0.dist-info", METADATA=metadata("plain"), RECORD="")
    found = {d["name"]: sorted(d["requires"]) for d in look(tmp_path, "3.8")["distributions"]}
    assert found == {
        "paddlepaddle": sorted(of_paddle),
        "foo-bar": sorted(of_foo[:2]),
        "quick": ["foo-bar[fast]"],
        "slow": [],
    }


# --- code without an owner --------------------------------------------------------------------------------


def unowned(folder: Path, version: str = "3.11", **env: str) -> dict[str, Any]:
    """Run the probe in a new environment whose site-packages is `folder`, a link; return what concerns owners."""
    venv = folder.parent / f"venv-{version}"
    subprocess.run([interpreter(version), "-m", "venv", "--without-pip", venv], check=True)
    (site,) = (venv / "lib").glob("*/site-packages")
    site.rmdir()
    site.symlink_to(folder)
    argv = [venv / "bin" / "python", "-X", "utf8", INVENTORY]
    done = subprocess.run(argv, env={**os.environ, **env}, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def names_of(answer: dict[str, Any]) -> list[str]:
    return [Path(one["path"]).name for one in answer["unowned_code"]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    site = tmp_path / "packages"
    site.mkdir()
    return site


@pytest.mark.parametrize("version", ["3.8", "3.11", "3.13"])
def test_names_are_found_in_every_form_of_record(version: str, folder: Path) -> None:
    lines = (
        "b/x.py,,",
        "a/y.py,,",
        "b/z.py,,",
        '"c, d.py",,',
        "e\\f.py,,",
        "g.py,sha256=abc,3\r",
        "../../../bin/h,,",
    )
    record(folder, "one-1.0.dist-info", RECORD="\n".join(("one-1.0.dist-info/RECORD,,", *lines)))
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "x.py").touch()
    for name in ("c, d.py", "g.py", "h.py", "one.py"):
        (folder / name).touch()
    answer = unowned(folder, version, PYTHONSAFEPATH="1")
    assert names_of(answer) == ["h.py", "one.py"]
    assert answer["site_folders"] == [str(folder)]
    assert [(one["distribution"], one["sha256"], one["size"]) for one in answer["single_files"]] == [
        ("one", "abc", 3)
    ]


def test_a_distribution_without_a_list_of_files_owns_what_has_its_name(folder: Path) -> None:
    record(folder, "some_thing-1.0.dist-info", METADATA="", INSTALLER="conda")
    record(folder, "other-1.0.dist-info", METADATA="", **{"top_level.txt": "module\npackage\n"})
    (folder / "single-1.0-py3.11.egg-info").write_text("Name: single\n")
    for name in ("some_thing.py", "module.py", "single.py", "stray.py"):
        (folder / name).touch()
    (folder / "package").mkdir()
    (folder / "package" / "x.py").touch()
    assert names_of(unowned(folder)) == ["stray.py"]


def test_a_record_that_cannot_be_read_is_told_and_nothing_is_guessed(folder: Path) -> None:
    (folder / "one-1.0.dist-info" / "RECORD").mkdir(parents=True)
    (folder / "one.py").touch()
    answer = unowned(folder)
    assert answer["unowned_code"] is None
    assert "RECORD" in answer["ownership_problem"]


def test_a_file_that_two_distributions_describe_differently_is_not_compared(folder: Path) -> None:
    record(folder, "one-1.0.dist-info", RECORD="six.py,sha256=abc,3\n")
    record(folder, "two-1.0.dist-info", RECORD="six.py,sha256=abd,3\n")
    (folder / "six.py").touch()
    answer = unowned(folder)
    assert (names_of(answer), answer["single_files"]) == ([], [])
