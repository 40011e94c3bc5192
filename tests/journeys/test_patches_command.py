"""`patches` on real environments: what there is, what each file is to it, and a wheel with patches in it."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from uv import find_uv_bin

from doctor import Answer, doctor, fingerprint
from environments import environment, fresh_copy, python_in
from paddlevl_doctor import __version__
from printed import run_printed
from small_stack import copy_paddlex, site_of, small_stack

PIPELINE = "paddlex/inference/pipelines/layout_parsing/pipeline_v2.py"
PATCH = "doc-preprocessor-defaults"


def states(folder: Path, python: Path) -> dict[str, str]:
    document = doctor("patches", "status", "--python", python, "--format", "json", cwd=folder).document
    return {row["path"]: row["state"] for row in document["status"]}


def replace(path: Path, data: bytes) -> None:
    """Put new bytes in place of a file without writing into what it may share with others."""
    path.with_name("new").write_bytes(data)
    path.with_name("new").replace(path)


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    return fresh_copy("set-2025-11", tmp_path / ".venv")


def test_every_patch_is_listed_and_shown_with_its_change(tmp_path: Path) -> None:
    rows = doctor("patches", "list", "--format", "json", cwd=tmp_path).document["patches"]
    assert PATCH in [row["id"] for row in rows]
    for row in rows:
        shown = doctor("patches", "show", row["id"], cwd=tmp_path)
        assert (shown.code, row["id"] in shown.stdout, "+++" in shown.stdout) == (0, True, True)


def test_an_unknown_patch_is_a_sentence_that_names_those_there_are(tmp_path: Path) -> None:
    answer = doctor("patches", "show", "magic", cwd=tmp_path)
    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr.startswith("There is no patch magic.")
    assert PATCH in answer.stderr


def test_status_tells_published_patched_altered_missing_and_other_versions_apart(
    venv: Path, tmp_path: Path
) -> None:
    python = python_in(venv)
    site = next(venv.glob("lib/*/site-packages"))
    assert states(tmp_path, python)[PIPELINE] == "pristine"

    assert doctor("fix", "--apply", cwd=tmp_path).code == 0
    assert states(tmp_path, python)[PIPELINE] == "patched"

    replace(site / PIPELINE, b"# mine\n")
    assert states(tmp_path, python)[PIPELINE] == "altered"
    (site / PIPELINE).unlink()
    assert states(tmp_path, python)[PIPELINE] == "missing"


def test_a_published_file_of_another_version_is_not_taken_for_pristine(venv: Path, tmp_path: Path) -> None:
    site = next(venv.glob("lib/*/site-packages"))
    newer = next(environment("current-311").glob("lib/*/site-packages")) / PIPELINE
    replace(site / PIPELINE, newer.read_bytes())
    assert states(tmp_path, python_in(venv))[PIPELINE] == "altered"


def test_a_patched_wheel_is_the_same_bytes_every_time_and_takes_the_place_of_the_published_one(
    venv: Path, tmp_path: Path
) -> None:
    python = python_in(venv)
    first = doctor("patches", "build", "--output", "a", "--format", "json", cwd=tmp_path).document
    assert doctor("fix", "--apply", "--only", "use-doc-preprocessor", cwd=tmp_path).code == 0
    second = doctor("patches", "build", "--output", "b", "--format", "json", cwd=tmp_path).document
    wheels = [tmp_path / document["wheel"] for document in (first, second)]
    assert [wheel.name for wheel in wheels] == ["paddlex-3.3.6+paddlevl.1-py3-none-any.whl"] * 2
    assert wheels[0].read_bytes() == wheels[1].read_bytes(), (
        "patched in place or not: the same source, the same wheel"
    )
    assert doctor("undo", cwd=tmp_path).code == 0

    before = fingerprint(venv)
    uv = (find_uv_bin(), "pip", "install", "-q", "--python", str(python), "--no-deps")
    subprocess.run([*uv, str(wheels[0])], check=True)
    assert states(tmp_path, python)[PIPELINE] == "patched"
    healthy = doctor("check", "--format", "json", cwd=tmp_path)
    assert (healthy.code, healthy.problems()) == (0, {})
    subprocess.run([*uv, "paddlex==3.3.6"], check=True)
    assert states(tmp_path, python)[PIPELINE] == "patched", "the patched wheel fulfils ==3.3.6"

    subprocess.run([*uv, "--reinstall-package", "paddlex", "paddlex==3.3.6"], check=True)
    after = fingerprint(venv)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert {path for path in changed if "REQUESTED" not in path and "uv_cache.json" not in path} == set()


@pytest.mark.usefixtures("venv")
def test_the_wheel_keeps_what_its_record_promises(tmp_path: Path) -> None:
    wheel = tmp_path / doctor("patches", "build", "--format", "json", cwd=tmp_path).document["wheel"]
    subprocess.run([find_uv_bin(), "venv", "-q", str(tmp_path / "empty")], check=True)
    install = [
        find_uv_bin(),
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--python",
        str(tmp_path / "empty"),
        str(wheel),
    ]
    subprocess.run(install, check=True)
    with zipfile.ZipFile(wheel) as archive:
        record = archive.read("paddlex-3.3.6+paddlevl.1.dist-info/RECORD").decode()
        assert len(record.splitlines()) == len(archive.namelist())
        digest = hashlib.sha256(archive.read(PIPELINE)).hexdigest()
    assert digest == "7651ca3873f2a24e0de7ee2a2897687c093adc612cc748ba7bd462623758a35f"


def test_a_changed_source_makes_no_wheel(venv: Path, tmp_path: Path) -> None:
    site = next(venv.glob("lib/*/site-packages"))
    replace(site / "paddlex/version.py", b"altered = True\n")
    answer = doctor("patches", "build", "--output", "out", cwd=tmp_path)
    assert (answer.code, answer.stdout) == (2, "")
    assert "paddlex/version.py differs from the published paddlex 3.3.6" in answer.stderr
    assert not list(tmp_path.glob("out/*"))
    shutil.rmtree(venv)
    answer = doctor("patches", "status", cwd=tmp_path)
    assert (answer.code, "There is no environment to inspect." in answer.stderr) == (2, True)


# --- the printed command --------------------------------------------------------------------------------


def uv_on_path(folder: Path) -> dict[str, str]:
    """Return a PATH whose only uv is in this folder."""
    folder.mkdir()
    (folder / "uv").symlink_to(find_uv_bin())
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def without_uv(_: Path) -> dict[str, str]:
    """Return a PATH without uv."""
    folders = os.environ["PATH"].split(os.pathsep)
    return {"PATH": os.pathsep.join(one for one in folders if not Path(one, "uv").exists())}


@pytest.mark.parametrize("path", [uv_on_path, without_uv])
@pytest.mark.parametrize("words", [(), ("--venv", ".venv"), ("--python", ".venv/bin/python")])
def test_the_printed_command_installs_the_wheel_into_the_target_and_nowhere_else(
    words: tuple[str, ...],
    path: Callable[[Path], dict[str, str]],
    small: Path,
    tmp_path: Path,
) -> None:
    env = path(tmp_path / "programs")
    built = doctor("patches", "build", "--output", "wheels", *words, cwd=tmp_path, env=env)
    command = built.stdout.rpartition("Install it with: `")[2].rpartition("`")[0]
    uv = ["uv"] if path is uv_on_path else [sys.executable, "-m", "uv"]
    given = shlex.split(command)
    assert given[: len(uv) + 5] == [*uv, "pip", "install", "--python", str(python_in(small)), "--no-deps"]

    other = small_stack(tmp_path / "other")
    before = fingerprint(other)
    done = run_printed(command, tmp_path, {**env, "VIRTUAL_ENV": str(other)})
    assert done.code == 0, done.stderr
    assert set(states(tmp_path, python_in(small)).values()) >= {"patched"}
    assert fingerprint(other) == before


def test_the_command_that_restores_a_published_file_names_the_target(small: Path, tmp_path: Path) -> None:
    replace(site_of(small) / PIPELINE, b"altered = True\n")
    answer = doctor("patches", "build", cwd=tmp_path, env=without_uv(tmp_path))
    options = f"--python {python_in(small)} --reinstall-package paddlex paddlex==3.7.2"
    assert f"`{sys.executable} -m uv pip install {options}`" in answer.stderr


# --- strict -----------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return a small environment with the files that patches change."""
    versions = {"paddlepaddle": "3.2.2", "paddleocr": "3.7.0", "safetensors": "0.7.0", "numpy": "2.3.5"}
    venv = small_stack(tmp_path / ".venv", {**versions, "setuptools": "80.9.0"})
    copy_paddlex(site_of(venv))
    return venv


def strict(folder: Path, *words: str) -> Answer:
    return doctor("patches", "status", "--strict", *words, cwd=folder)


def problems(folder: Path) -> dict[str, str]:
    rows = strict(folder, "--format", "json").document["status"]
    return {row["patch"]: row["problem"] for row in rows if row["problem"]}


def test_strict_fails_where_an_applied_patch_is_lost(small: Path, tmp_path: Path) -> None:
    published = (site_of(small) / PIPELINE).read_bytes()
    assert (strict(tmp_path).code, problems(tmp_path)) == (0, {})
    assert doctor("fix", "--apply", "--only", "use-doc-preprocessor", cwd=tmp_path).code == 0
    assert (strict(tmp_path).code, problems(tmp_path)) == (0, {})

    replace(site_of(small) / PIPELINE, published)
    answer = strict(tmp_path)
    assert (answer.code, problems(tmp_path)) == (1, {PATCH: "lost"})
    shown = " ".join(answer.stdout.split())
    assert "as published: the patch was applied here and is no longer in place" in shown
    assert doctor("patches", "status", cwd=tmp_path).code == 0, "without --strict it is only shown"


def test_strict_fails_where_a_patch_is_for_another_release(small: Path, tmp_path: Path) -> None:
    (info,) = site_of(small).glob("paddlex-*.dist-info")
    info.rename(info.with_name("paddlex-9.9.9.dist-info"))
    replace(site_of(small) / PIPELINE, b"# of another release\n")
    answer = strict(tmp_path)
    assert (answer.code, problems(tmp_path)) == (1, {PATCH: "other-release"})
    assert "the patch is for other releases" in " ".join(answer.stdout.split())


def test_strict_knows_the_patches_of_an_installed_patched_wheel(small: Path, tmp_path: Path) -> None:
    (info,) = site_of(small).glob("paddlex-*.dist-info")
    manifest = {"patches": [{"id": PATCH, "files": [PIPELINE]}]}
    (info / "paddlevl-doctor.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert (strict(tmp_path).code, problems(tmp_path)) == (1, {PATCH: "lost"})


# --- the bill of materials --------------------------------------------------------------------------------

_TEXT = {"type": "string", "minLength": 1}
_PURL = {"type": "string", "pattern": r"^pkg:pypi/[a-z0-9-]+@[^@]+$"}
_COMPONENT = {
    "type": "object",
    "required": ["type", "name", "version", "purl"],
    "properties": {
        "type": {"const": "library"},
        "bom-ref": _TEXT,
        "name": _TEXT,
        "version": _TEXT,
        "purl": _PURL,
        "pedigree": {"type": "object"},
    },
    "additionalProperties": False,
}
_PATCH = {
    "type": "object",
    "required": ["type", "diff", "resolves"],
    "properties": {
        "type": {"enum": ["unofficial", "monkey", "backport", "cherry-pick"]},
        "diff": {
            "type": "object",
            "required": ["text"],
            "properties": {
                "text": {
                    "type": "object",
                    "required": ["content"],
                    "properties": {"contentType": _TEXT, "content": _TEXT},
                    "additionalProperties": False,
                },
                "url": {"type": "string", "format": "iri-reference"},
            },
            "additionalProperties": False,
        },
        "resolves": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["type"],
                "properties": {
                    "type": {"enum": ["defect", "enhancement", "security"]},
                    **dict.fromkeys(("id", "name", "description"), _TEXT),
                    "references": {"type": "array", "items": {"type": "string", "format": "iri-reference"}},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
CYCLONEDX = {
    "type": "object",
    "required": ["bomFormat", "specVersion", "serialNumber", "version", "metadata"],
    "properties": {
        "bomFormat": {"const": "CycloneDX"},
        "specVersion": {"const": "1.6"},
        "serialNumber": {
            "type": "string",
            "pattern": r"^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        },
        "version": {"type": "integer", "minimum": 1},
        "metadata": {
            "type": "object",
            "required": ["tools", "component"],
            "properties": {"tools": {"type": "object", "required": ["components"]}, "component": _COMPONENT},
            "additionalProperties": False,
        },
        "dependencies": {"type": "array", "items": {"type": "object", "required": ["ref"]}},
    },
    "additionalProperties": False,
}
"""The parts of the JSON schema of CycloneDX 1.6 that the bill of materials uses."""


def test_a_patched_wheel_contains_a_bill_of_materials_with_its_patches(small: Path, tmp_path: Path) -> None:
    built = doctor("patches", "build", "--only", PATCH, "--format", "json", cwd=tmp_path).document
    info = "paddlex-3.7.2+paddlevl.1.dist-info"
    with zipfile.ZipFile(tmp_path / built["wheel"]) as archive:
        name = f"{info}/sboms/paddlevl-doctor.cdx.json"
        data = archive.read(name)
        assert name in [line.split(",")[0] for line in archive.read(f"{info}/RECORD").decode().splitlines()]
        patched = archive.read(PIPELINE)
    document: dict[str, Any] = json.loads(data)
    Draft7Validator(CYCLONEDX).validate(document)

    tool, component = document["metadata"]["tools"]["components"][0], document["metadata"]["component"]
    assert (tool["name"], tool["version"]) == ("paddlevl-doctor", __version__)
    assert component["purl"] == "pkg:pypi/paddlex@3.7.2%2Bpaddlevl.1"
    (ancestor,), (patch,) = component["pedigree"]["ancestors"], component["pedigree"]["patches"]
    Draft7Validator(_COMPONENT).validate(ancestor)
    Draft7Validator(_PATCH).validate(patch)
    assert ancestor["purl"] == "pkg:pypi/paddlex@3.7.2"
    assert patch["resolves"][0]["id"] == PATCH
    assert "https://github.com/PaddlePaddle/PaddleOCR/issues/16373" in patch["resolves"][0]["references"]

    published = tmp_path / "published"
    (published / PIPELINE).parent.mkdir(parents=True)
    shutil.copyfile(site_of(small) / PIPELINE, published / PIPELINE)
    diff = patch["diff"]["text"]["content"]
    subprocess.run(["git", "apply", "-"], cwd=published, input=diff.encode(), check=True)
    assert (published / PIPELINE).read_bytes() == patched
