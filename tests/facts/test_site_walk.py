"""A walk through site-packages: folders that cannot be listed, and what is not judged."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from test_installed_files import install

from checks_machines import machine
from paddlevl_doctor.checks.file_findings import judge_files
from paddlevl_doctor.facts import site_walk
from paddlevl_doctor.facts.installed_files import compare
from paddlevl_doctor.facts.site_walk import walk
from paddlevl_doctor.values.findings import no_bar


def put(site: Path, *paths: str) -> None:
    for path in paths:
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text("")


def test_files_beside_listed_ones_are_named_and_folders_without_any_only_once(tmp_path: Path) -> None:
    put(
        tmp_path,
        "a/__init__.py",
        "a/b/c.py",
        "a/b/new.py",
        "a/d/e/f.py",
        "a/d/e/g.py",
        "a/data/x.json",
        "top.py",
    )
    put(tmp_path, "~a/old.py", ".paddlevl-doctor/kept.py", "a/__pycache__/new.cpython-311.pyc", "a/new.pyc")
    found = walk(str(tmp_path), {"a/__init__.py": "", "a/b/c.py": "x"}, 2**63)
    assert found.unowned == ("a/b/new.py", "a/d/", "a/new.pyc")
    assert (list(found.states), found.unread) == (["a/b/c.py"], ())


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal is imitated, because root can list every folder."""
    put(tmp_path, "a/__init__.py", "a/b/c.py")
    scandir = os.scandir

    def refuse(path: str) -> Iterator[os.DirEntry[str]]:
        if str(path).rstrip("/").endswith("a/b"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(site_walk, "_BY_DESCRIPTOR", False)
    monkeypatch.setattr(os, "scandir", refuse)
    assert walk(str(tmp_path), {"a/__init__.py": "", "a/b/c.py": "x"}, 2**63).unread == ("a/b/",)


def test_a_folder_that_is_gone_while_it_is_looked_at_makes_the_finding_unknown(tmp_path: Path) -> None:
    distribution = install(tmp_path, "one", {"one.py": b"x"})
    healthy = machine().target
    assert healthy is not None
    missing = tmp_path / "gone"
    target = replace(
        healthy, distributions=(distribution,), site_folders=(str(tmp_path), str(missing)), unowned_code=()
    )
    result = compare(target, 1, no_bar, "title")
    findings = {f.id: f for f in judge_files(result, replace(machine(), target=target))}
    assert findings["unowned-code"].status.value == "unknown"
    assert str(missing) in str(findings["unowned-code"].evidence[0].value)


def test_links_in_circles_and_links_to_nothing_end_the_walk(tmp_path: Path) -> None:
    put(tmp_path, "a/__init__.py")
    (tmp_path / "a/circle").symlink_to(".")
    (tmp_path / "a/nothing").symlink_to("no-such-folder")
    (tmp_path / "a/loop.py").symlink_to("loop.py")
    found = walk(str(tmp_path), {"a/__init__.py": "", "a/loop.py": "x"}, 2**63)
    assert found.unowned == ("a/circle/",)
    assert found.states == {}
