"""What a killed installer leaves behind, on real installations: named, cleared, reinstalled, and taken back."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from base64 import urlsafe_b64decode
from hashlib import sha256
from pathlib import Path

import pytest
from uv import find_uv_bin

from doctor import doctor, fingerprint
from environments import environment, fresh_copy

EDIT = b"\n# an edit in place\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return the site-packages folder of an environment that a test may break."""
    return next(fresh_copy("current-311", tmp_path / ".venv").glob("lib/*/site-packages"))


def is_as_recorded(site: Path, record: Path) -> bool:
    """Say whether every file that a RECORD knows the hash of has it."""
    rows = [row for row in csv.reader(record.open(encoding="utf-8")) if row[1]]
    wanted = {path: urlsafe_b64decode(digest.partition("=")[2] + "==") for path, digest, _ in rows}
    return all(sha256((site / path).read_bytes()).digest() == digest for path, digest in wanted.items())


def infos(site: Path) -> list[str]:
    return sorted(
        path.name for path in site.iterdir() if "addle" in path.name and path.suffix == ".dist-info"
    )


def test_damaged_records_and_leftovers_are_cured_in_one_step_and_come_back_on_undo(
    site: Path, tmp_path: Path
) -> None:
    healthy = infos(site)
    older = next((environment("set-2025-11")).glob("lib/*/site-packages/paddleocr-3.3.1.dist-info"))
    shutil.copytree(older, site / older.name)
    (site / "paddlex-3.7.2.dist-info/RECORD").unlink()
    (site / "safetensors-0.8.0.dist-info/METADATA").unlink(missing_ok=True)
    (site / "~addlex").mkdir()
    (site / "~addlex/left.py").write_text("half = True\n", encoding="utf-8")
    broken = fingerprint(tmp_path / ".venv")

    found = doctor("check", "--only", "half-installed-dist", "--format", "json", cwd=tmp_path)
    (finding,) = found.document["findings"]
    assert (finding["status"], finding["subjects"]) == (
        "error",
        ["paddleocr", "paddlex", "safetensors", "~addlex"],
    )

    cure = doctor("fix", "--apply", "--only", "half-installed-dist", "--format", "json", cwd=tmp_path)
    assert cure.code == 0, cure.stderr
    assert [(step["step"], step["status"]) for step in cure.document["outcome"]] == [
        ("clear-leftovers", "applied"),
        ("install-packages", "applied"),
    ]
    assert infos(site) == healthy
    assert not list(site.glob("~*"))
    assert is_as_recorded(site, site / "paddlex-3.7.2.dist-info/RECORD")
    assert is_as_recorded(site, site / "paddleocr-3.7.0.dist-info/RECORD")

    assert doctor("undo", cwd=tmp_path).code == 0
    assert fingerprint(tmp_path / ".venv") == broken


def test_a_patch_that_was_there_is_there_after_the_package_was_installed_again(
    site: Path, tmp_path: Path
) -> None:
    assert doctor("fix", "--apply", "--only", "queue-deadlock-on-error", cwd=tmp_path).code == 0
    (site / "paddlex-3.7.2.dist-info/RECORD").unlink()
    assert doctor("fix", "--apply", cwd=tmp_path).code == 0
    seen = doctor("check", "--format", "json", cwd=tmp_path)
    assert (seen.problems(), seen.statuses("patch-lost")) == ({}, {"patch-lost": "ok"})


def test_a_missing_file_is_brought_back_where_the_deep_look_is_asked_for(site: Path, tmp_path: Path) -> None:
    missing = site / "paddlex/inference/models/doc_vlm/processors/common.py"
    former = missing.read_bytes()
    missing.unlink()
    plan = doctor("fix", "--only", "half-installed-dist", "--format", "json", cwd=tmp_path)
    (install, *_) = plan.document["plan"]["steps"]
    assert install["diff"] == "~ paddlex 3.7.2 (reinstalled)"
    doctor("fix", "--apply", "--only", "half-installed-dist", cwd=tmp_path)
    assert missing.read_bytes() == former


def test_a_contaminated_cache_is_refreshed_and_other_environments_are_named_not_healed(
    site: Path, tmp_path: Path
) -> None:
    """uv's default on most file systems, with a cache of this test's own."""
    cache = {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_LINK_MODE": "hardlink"}
    other = tmp_path / "other"
    uv(cache, "venv", "-q", "--python", sys.executable, other)
    for venv in (site.parents[2], other):
        uv(cache, "pip", "install", "-q", "--no-deps", "--reinstall-package", "paddlex", "--python", venv,
           "--link-mode=hardlink", "paddlex==3.7.2")  # fmt: skip
    edited = site / "paddlex/utils/deps.py"
    (also,) = other.glob("lib/*/site-packages/paddlex/utils/deps.py")
    assert not edited.samefile(also), "the second installation was asked for a fresh download"
    linked = also.with_name("linked")
    linked.hardlink_to(edited)
    linked.replace(also)
    published = edited.read_bytes()
    with edited.open("ab") as file:
        file.write(EDIT)

    words = ("--only", "uv-cache-contamination", "--format", "json")
    cure = doctor("fix", "--apply", *words, cwd=tmp_path, env=cache)
    assert cure.document["outcome"][0]["step"] == "install-packages", cure.stderr
    recheck = {f["id"]: f["status"] for f in cure.document["recheck"]["findings"]}
    assert recheck["uv-cache-contamination"] == "ok"
    assert (edited.read_bytes(), also.read_bytes()) == (published, published + EDIT)

    fresh = tmp_path / "fresh"
    uv(cache, "venv", "-q", "--python", sys.executable, fresh)
    uv(cache, "pip", "install", "-q", "--no-deps", "--offline", "--python", fresh, "paddlex==3.7.2")
    (copy,) = fresh.glob("lib/*/site-packages/paddlex/utils/deps.py")
    assert copy.read_bytes() == published


def uv(env: dict[str, str], *words: str | Path) -> None:
    subprocess.run([find_uv_bin(), *map(str, words)], check=True, env={**os.environ, **env})
