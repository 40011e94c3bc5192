"""Requirements of the stack that are not met, on real environments: named from METADATA, cured, and taken back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from uv import find_uv_bin

from doctor import doctor, fingerprint
from environments import fresh_copy, python_in, variables

UNPATCHED = {"use-doc-preprocessor": "warning"}
ONLY = ("--only", "requirements-unmet", "--format", "json")


def pip(venv: Path, *words: str) -> None:
    argv = [find_uv_bin(), "pip", words[0], "-q", "--python", str(python_in(venv)), *words[1:]]
    subprocess.run(argv, check=True)


def imports(venv: Path, folder: Path) -> bool:
    """Return whether the stack can be imported."""
    argv = [str(python_in(venv)), "-c", "import paddle, paddleocr"]
    env = {**variables(venv), "PADDLE_PDX_CACHE_HOME": str(folder / "cache")}
    return subprocess.run(argv, env=env, capture_output=True, check=False, cwd=folder).returncode == 0


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ([("install", "--no-deps", "protobuf==3.19.6")], ["protobuf"]),
        (
            [
                ("uninstall", "opt_einsum", "networkx", "httpcore", "pydantic-core"),
                ("install", "--no-deps", "typing-extensions==4.0.0"),
            ],
            ["httpcore", "networkx", "opt-einsum", "pydantic-core", "typing-extensions"],
        ),
    ],
    ids=["an old protobuf", "directly and through others"],
)
def test_requirements_of_the_stack_that_break_imports_are_named_cured_and_taken_back(
    changes: list[tuple[str, ...]], names: list[str], tmp_path: Path
) -> None:
    venv = fresh_copy("current-311", tmp_path / ".venv")
    for words in changes:
        pip(venv, *words)
    assert not imports(venv, tmp_path)
    broken = fingerprint(venv)

    found = doctor("check", "--format", "json", cwd=tmp_path)
    assert (found.code, found.problems()) == (1, {**UNPATCHED, "requirements-unmet": "error"})
    (finding,) = [f for f in found.document["findings"] if f["id"] == "requirements-unmet"]
    assert sorted(finding["subjects"]) == names

    cure = doctor("fix", "--apply", *ONLY, cwd=tmp_path)
    assert cure.code == 0, cure.stderr
    assert [step["step"] for step in cure.document["outcome"]] == ["install-packages"]
    assert doctor("check", "--format", "json", cwd=tmp_path).problems() == UNPATCHED
    assert imports(venv, tmp_path)

    assert doctor("undo", cwd=tmp_path).code == 0
    assert fingerprint(venv) == broken


def test_a_version_that_is_too_new_is_a_warning_and_is_downgraded_only_on_request(tmp_path: Path) -> None:
    venv = fresh_copy("current-311", tmp_path / ".venv")
    pip(venv, "install", "--no-deps", "opt_einsum==3.4.0")
    assert imports(venv, tmp_path)

    found = doctor("check", "--format", "json", cwd=tmp_path)
    assert found.problems() == {**UNPATCHED, "requirements-unmet": "warning"}
    answer = doctor("fix", "--format", "json", cwd=tmp_path).document
    assert "install-packages" not in [step["id"] for step in answer["plan"]["steps"]]
    assert "requirements-unmet" in [skipped["finding"] for skipped in answer["skipped"]]

    (install,) = doctor("fix", *ONLY, cwd=tmp_path).document["plan"]["steps"]
    assert install["diff"] == "~ opt-einsum 3.4.0 -> 3.3.0"
