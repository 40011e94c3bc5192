"""What a file can be to a patch besides published and patched: of an older release of the patch, of another version."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from doctor import doctor
from environments import environment, fresh_copy, python_in
from paddlevl_doctor.commands.patches import patches_status
from paddlevl_doctor.fix.journal import Transaction
from paddlevl_doctor.fix.lock import locked
from paddlevl_doctor.fix.transaction import ApplyFailedError, apply_plan
from paddlevl_doctor.fix.undo import undo
from paddlevl_doctor.knowledge import patches as knowledge
from paddlevl_doctor.patching.file_patcher import sha256_of
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.plan import ApplyPatch, Plan

PATCH = "doc-preprocessor-defaults"
FILE = "paddlex/inference/pipelines/layout_parsing/pipeline_v2.py"
OLD = 'or config.get("use_doc_unwarping", True)'
FORMER = 'or config.get("use_doc_unwarping", None)  # of an older release'


def replace(path: Path, data: bytes) -> None:
    """Put new bytes in place of a file without writing into what it may share with others."""
    path.with_name("new").write_bytes(data)
    path.with_name("new").replace(path)


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    return fresh_copy("current-311", tmp_path / ".venv")


@pytest.fixture
def site(venv: Path) -> Path:
    return next(venv.glob("lib/*/site-packages"))


@pytest.fixture
def older(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[bytes]:
    """Return what an older release of the patch made, known to a patches folder of this test's own."""
    published = (site / FILE).read_bytes()
    made = published.replace(OLD.encode(), FORMER.encode())
    folder = tmp_path / "patches"
    shutil.copytree(knowledge.data_folder("patches"), folder)
    toml = folder / PATCH / "patch.toml"
    former = f"""
[[file.former]]
[[file.former.replace]]
old = '{OLD}'
new = '{FORMER}'
[[file.former.original]]
versions = ["3.7.2"]
sha256 = "{sha256_of(published)}"
patched_sha256 = "{sha256_of(made)}"
"""
    toml.write_text(toml.read_text(encoding="utf-8") + former, encoding="utf-8")
    monkeypatch.setattr(knowledge, "data_folder", lambda _name: folder)
    knowledge.load_patches.cache_clear()
    replace(site / FILE, made)
    yield made
    knowledge.load_patches.cache_clear()


def state(venv: Path) -> str:
    status = patches_status(RealSystem(), None, str(venv))
    return next(file.state for file in status if file.patch == PATCH)


def apply(venv: Path) -> int:
    step = ApplyPatch(id="patch", summary="the patch", patch=PATCH)
    with locked(venv):
        return apply_plan(RealSystem(), Plan((step,)), venv, python_in(venv), lambda _: nullcontext()).number


def test_an_older_patch_of_ours_becomes_the_present_one_and_comes_back_on_undo(
    venv: Path, site: Path, older: bytes
) -> None:
    assert state(venv) == "older"
    assert [one.problem for one in patches_status(RealSystem(), None, str(venv)) if one.patch == PATCH] == [
        "other-release"
    ]
    number = apply(venv)
    assert state(venv) == "patched"
    assert FORMER.encode() not in (site / FILE).read_bytes()
    with locked(venv):
        undo(RealSystem(), Transaction(venv, number), yes=False)
    assert (state(venv), (site / FILE).read_bytes()) == ("older", older)


def test_an_edited_older_patch_is_somebody_elses_file(venv: Path, site: Path, older: bytes) -> None:
    edited = older + b"# mine\n"
    replace(site / FILE, edited)
    assert state(venv) == "altered"
    with pytest.raises(ApplyFailedError):
        apply(venv)
    assert (site / FILE).read_bytes() == edited


def test_a_published_file_that_is_not_this_versions_own_is_left_alone(site: Path, tmp_path: Path) -> None:
    other = next(environment("set-2025-11").glob("lib/*/site-packages")) / FILE
    replace(site / FILE, other.read_bytes())
    refused = doctor("fix", "--apply", "--only", "use-doc-preprocessor", "--format", "json", cwd=tmp_path)
    assert refused.document["plan"]["steps"] == [], "refused in the plan, not in the middle of the repair"
    (skipped,) = [one for one in refused.document["skipped"] if one["finding"] == "use-doc-preprocessor"]
    assert "its patch does not fit the installed files" in skipped["reason"]
    with pytest.raises(ApplyFailedError, match="it does not match the RECORD of the installed paddlex"):
        apply(tmp_path / ".venv")
    assert (site / FILE).read_bytes() == other.read_bytes()


@pytest.mark.parametrize("upstream", ["cured", "moved on without a cure"])
def test_of_a_newer_version_the_proof_tells_whether_the_patch_is_needed(
    upstream: str, site: Path, tmp_path: Path
) -> None:
    """The next release is played by this one under another number."""
    info = site / "paddlex-3.7.2.dist-info"
    metadata = (info / "METADATA").read_text(encoding="utf-8").replace("Version: 3.7.2", "Version: 3.9.0", 1)
    replace(info / "METADATA", metadata.encode())
    info.rename(site / "paddlex-3.9.0.dist-info")
    published = (site / FILE).read_bytes()
    cured = published.replace(b'orientation_classify", True)', b'orientation_classify", False)')
    cured = cured.replace(OLD.encode(), OLD.replace("True", "False").encode())
    replace(site / FILE, (cured if upstream == "cured" else published) + b"# another release\n")

    rows = doctor("patches", "status", "--format", "json", cwd=tmp_path).document["status"]
    row = next(row for row in rows if row["patch"] == PATCH)
    created = upstream != "cured"
    assert (row["state"], row["needed"], row["saw"]) == (
        "other-version",
        created,
        f"use_doc_preprocessor false: created {created}; true: created True",
    )
    assert row["problem"] == ("other-release" if created else "unneeded")
    answer = doctor("patches", "status", "--strict", cwd=tmp_path)
    assert answer.code == 1
    shown = answer.stdout
    words = "still needed" if created else "no longer needed"
    assert words in " ".join(shown.split())
    plan = doctor("fix", "--only", "use-doc-preprocessor", "--format", "json", cwd=tmp_path).document
    assert plan["plan"]["steps"] == []
    reasons = {skipped["finding"]: skipped["reason"] for skipped in plan["skipped"]}
    assert "patches status`" in reasons["use-doc-preprocessor"]
