"""The two patches on real installations: the symptom before, its absence after, and the former file on undo."""

from __future__ import annotations

import subprocess
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from doctor import doctor, fingerprint
from environments import fresh_copy, python_in, variables
from paddlevl_doctor.checks.base import Context
from paddlevl_doctor.checks.deep import judge
from paddlevl_doctor.commands.diagnose import TargetOptions, examine
from paddlevl_doctor.facts.run_probes import run_probe
from paddlevl_doctor.fix import journal
from paddlevl_doctor.fix.lock import locked
from paddlevl_doctor.fix.transaction import apply_plan
from paddlevl_doctor.fix.undo import undo
from paddlevl_doctor.knowledge.failures import load_all
from paddlevl_doctor.logs.recognise import match
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.facts import DeepFacts, ProbeResult
from paddlevl_doctor.values.findings import Finding, Status
from paddlevl_doctor.values.plan import ApplyPatch, Plan
from probes.golden import GOLDEN

SETS = ("set-2025-11", "current-311")
MISSING_KERNEL = (
    "Exception from the 'vlm' worker: (NotFound) The kernel `fused_rms_norm_ext` is not registered."
)
PREPROCESSOR = ["PP-LCNet_x1_0_doc_ori", "UVDoc"]
LAYOUT = {
    "set-2025-11": ["PP-DocBlockLayout", "PP-DocLayout_plus-L", "PP-Chart2Table"],
    "current-311": ["PP-DocBlockLayout", "PP-DocLayout_plus-L"],
}


def ask(venv: Path, probe: str, *args: str) -> ProbeResult:
    result = run_probe(RealSystem(), str(python_in(venv)), probe, args, 300, variables(venv))
    assert result.data is not None, result.detail
    return result


def self_test(result: ProbeResult, context: Context) -> Finding:
    findings = judge(DeepFacts({"selftest cpu": result}), context)
    return next(found for found in findings if found.id == "self-test")


def look(venv: Path) -> dict[str, Any]:
    """Ask the probe of the document preprocessor; return what does not depend on the machine."""
    data = ask(venv, "doc_preprocessor").data or {}
    return {key: value for key, value in data.items() if key not in ("seconds", "rss_peak_mb", "versions")}


@pytest.mark.parametrize("name", SETS)
def test_pp_structure_v3_obeys_its_switch_after_the_patch_and_not_before(name: str, tmp_path: Path) -> None:
    venv = fresh_copy(name, tmp_path / ".venv")
    former = fingerprint(venv)
    layout = LAYOUT[name]
    assert look(venv) == {
        "probe": "doc_preprocessor",
        "error": None,
        "created_when_off": True,
        "created_when_on": True,
        "default_of_predict": True,
        "models": PREPROCESSOR + layout,
        "wrapper": {
            "default": {"created": True, "models": PREPROCESSOR + layout},
            "off": {"created": True, "models": layout},
        },
    }

    cure = doctor("fix", "--apply", "--only", "use-doc-preprocessor", "--format", "json", cwd=tmp_path)
    assert cure.code == 0, cure.stderr
    assert [outcome["step"] for outcome in cure.document["outcome"]] == ["patch-doc-preprocessor-defaults"]
    after = look(venv)
    assert (after["created_when_off"], after["created_when_on"]) == (False, True)
    assert (after["default_of_predict"], after["models"]) == (False, layout)

    assert doctor("undo", cwd=tmp_path).code == 0
    assert fingerprint(venv) == former


@pytest.mark.parametrize("name", SETS)
def test_the_fused_kernel_kills_the_self_test_until_the_patch_is_applied(name: str, tmp_path: Path) -> None:
    venv = fresh_copy(name, tmp_path / ".venv")
    former = fingerprint(venv)
    context = examine(RealSystem(), TargetOptions(venv=str(venv))).context

    result = ask(venv, "selftest", "--simulate-fused-gate")
    document = result.data or {}
    assert (document["ok"], document["drill"], document["parts"]) == (False, "fused-gate", [])
    assert document["error"]["message"].startswith(MISSING_KERNEL)
    died = self_test(result, context)
    # The gate is simulated: the known failure on a CPU ends with 3.3.6, so it is not blamed for this one.
    assert died.status is Status.ERROR
    words = died.evidence[0].value
    assert "The kernel `fused_rms_norm_ext` is not registered" in words
    assert [found.id for found in match(words, load_all())] == ["gpu-wheel-cpu-device-fused-kernel"]

    step = ApplyPatch(id="patch", summary="the patch", patch="fuse-rms-norm")
    with locked(venv):
        applied = apply_plan(RealSystem(), Plan((step,)), venv, python_in(venv), lambda _: nullcontext())
    assert [outcome.status for outcome in applied.outcomes] == ["applied"]
    lived = ask(venv, "selftest", "--simulate-fused-gate")
    document = lived.data or {}
    assert (document["ok"], document["drill"], document["error"]) == (True, "fused-gate", None)
    assert document["parts"][1]["got"] == GOLDEN
    assert self_test(lived, context).status is Status.OK

    with locked(venv):
        undo(RealSystem(), journal.Transaction(venv, applied.number), yes=False)
    assert fingerprint(venv) == former


def test_a_file_that_nobody_published_is_left_alone_and_an_edit_survives_undo(tmp_path: Path) -> None:
    venv = fresh_copy("current-311", tmp_path / ".venv")
    (path,) = venv.glob("lib/*/site-packages/paddlex/inference/pipelines/layout_parsing/pipeline_v2.py")
    assert doctor("fix", "--apply", "--only", "use-doc-preprocessor", cwd=tmp_path).code == 0
    edited = path.read_bytes() + b"# my own line\n"
    path.write_bytes(edited)

    refused = doctor("undo", cwd=tmp_path)
    assert (refused.code, refused.stdout) == (1, "")
    assert "pipeline_v2.py" in refused.stderr
    assert path.read_bytes() == edited

    seen = doctor("check", "--only", "use-doc-preprocessor", "--format", "json", cwd=tmp_path).document
    assert [(f["status"], f["evidence"][0]["value"]) for f in seen["findings"]] == [("note", "altered")]


def test_an_upgrade_that_takes_a_patch_away_is_noticed(tmp_path: Path) -> None:
    venv = fresh_copy("current-311", tmp_path / ".venv")
    assert doctor("fix", "--apply", cwd=tmp_path).code == 0
    found = doctor("check", "--format", "json", cwd=tmp_path)
    assert found.statuses("patch-lost", "use-doc-preprocessor") == dict.fromkeys(
        ("patch-lost", "use-doc-preprocessor"), "ok"
    )
    uv = (find_uv_bin(), "pip", "install", "-q", "--python", str(python_in(venv)), "--no-deps")
    subprocess.run([*uv, "--reinstall-package", "paddlex", "paddlex==3.7.2"], check=True)
    lost = doctor("check", "--format", "json", cwd=tmp_path)
    assert lost.statuses("patch-lost", "use-doc-preprocessor") == {
        "patch-lost": "note",
        "use-doc-preprocessor": "warning",
    }
    assert doctor("fix", "--apply", cwd=tmp_path).code == 0
    assert doctor("check", "--format", "json", cwd=tmp_path).problems() == {}
    assert doctor("undo", "--to", "0", "--yes", cwd=tmp_path).code == 0
    assert doctor("check", "--format", "json", cwd=tmp_path).statuses("patch-lost") == {
        "patch-lost": "skipped"
    }
