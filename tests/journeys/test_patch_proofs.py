"""Every patch proves itself in the target: its own proof sees the symptom before, and not after."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

import pytest

from doctor import doctor, fingerprint
from environments import fresh_copy, python_in
from paddlevl_doctor.commands.diagnose import TargetOptions, examine
from paddlevl_doctor.fix.journal import Transaction
from paddlevl_doctor.fix.lock import locked
from paddlevl_doctor.fix.transaction import ApplyFailedError, apply_plan
from paddlevl_doctor.fix.undo import undo
from paddlevl_doctor.knowledge.patches import load_patches
from paddlevl_doctor.patching.proof import Proof, prove
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.plan import ApplyPatch, Plan

ALL = [patch.id for patch in load_patches()]
STRUCTURE = "paddlex/inference/pipelines/layout_parsing/pipeline_v2.py"
# What an image-building tool or a colleague may have put there: the published source under the patched file's name.
HOOK = """
import importlib.machinery

def get_data(loader, path, read=importlib.machinery.SourceFileLoader.get_data):
    data = read(loader, path)
    return data.replace(b'unwarping", False', b'unwarping", True') if path.endswith("pipeline_v2.py") else data

importlib.machinery.SourceFileLoader.get_data = get_data
"""


def proofs(venv: Path) -> dict[str, Proof]:
    target = examine(RealSystem(), TargetOptions(venv=str(venv))).facts.target
    assert target is not None
    return {patch: prove(RealSystem(), patch, target) for patch in ALL}


def apply(venv: Path, patches: Iterable[str]) -> tuple[int, list[tuple[str, str]]]:
    steps = tuple(ApplyPatch(id=f"patch-{p}", summary=p, patch=p) for p in patches)
    with locked(venv):
        applied = apply_plan(RealSystem(), Plan(steps), venv, python_in(venv), lambda _: nullcontext())
    return applied.number, [(outcome.status, str(outcome.message)) for outcome in applied.outcomes]


@pytest.mark.parametrize("name", ["set-2025-11", "current-311"])
def test_each_proof_sees_the_symptom_before_its_patch_and_not_after_it(name: str, tmp_path: Path) -> None:
    venv = fresh_copy(name, tmp_path / ".venv")
    former = fingerprint(venv)
    before = proofs(venv)
    assert {patch: proof.cured for patch, proof in before.items()} == dict.fromkeys(ALL, False)

    number, outcomes = apply(venv, ALL)
    after = proofs(venv)
    assert {patch: proof.cured for patch, proof in after.items()} == dict.fromkeys(ALL, True)
    assert outcomes == [("applied", f"verified in the target: {proof.saw}") for proof in after.values()]
    assert not set(before.values()) & set(after.values()), "each says what it saw, and that differs"

    with locked(venv):
        undo(RealSystem(), Transaction(venv, number), yes=False)
    assert fingerprint(venv) == former


def test_a_patch_that_does_not_help_is_taken_back(tmp_path: Path) -> None:
    venv = fresh_copy("current-311", tmp_path / ".venv")
    (site,) = venv.glob("lib/*/site-packages")
    (site / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    former = fingerprint(venv)
    failed = doctor("fix", "--apply", "--only", "use-doc-preprocessor", "--format", "json", cwd=tmp_path)
    assert failed.code == 4
    assert "has no effect: use_doc_preprocessor false: created True; true: created True" in failed.stderr
    assert fingerprint(venv) == former


def test_patches_that_follow_one_another_are_proved_together_and_the_one_that_does_not_help_is_named(
    tmp_path: Path,
) -> None:
    venv = fresh_copy("current-311", tmp_path / ".venv")
    (site,) = venv.glob("lib/*/site-packages")
    (site / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    former = fingerprint(venv)
    with pytest.raises(ApplyFailedError, match=r"rolled back: doc-preprocessor-defaults\. Reason") as failed:
        apply(venv, ["queue-threads-end", "doc-preprocessor-defaults", "image-channel-order"])
    assert [(one.step, one.status) for one in failed.value.outcomes] == [
        ("patch-queue-threads-end", "rolled-back"),
        ("patch-image-channel-order", "rolled-back"),
        ("patch-doc-preprocessor-defaults", "failed"),
    ]
    assert fingerprint(venv) == former


def test_a_proof_that_cannot_run_says_so_and_the_patch_stays(tmp_path: Path) -> None:
    venv = fresh_copy("current-311", tmp_path / ".venv")
    (pillow,) = venv.glob("lib/*/site-packages/PIL/__init__.py")
    pillow.unlink()
    ((status, message),) = apply(venv, ["image-channel-order"])[1]
    assert status == "applied"
    assert message.startswith("The patch is applied, but its test could not run in the target: ")
    assert "PIL" in message
