"""The real wheels of the set `current`, collected once and installed where there is no network at all."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import uv

from doctor import doctor, environment
from environments import interpreter, kept_bytecode
from paddlevl_doctor import __version__
from paddlevl_doctor.commands.export import Chosen, export
from paddlevl_doctor.facts.host import collect_host
from paddlevl_doctor.knowledge.version_sets import default_set
from paddlevl_doctor.knowledge.wheel_choice import choose_wheel
from paddlevl_doctor.packages.wheelhouse import Wheelhouse
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.facts import Gpus

pytestmark = pytest.mark.xdist_group("offline-install")
NAMESPACE = ("unshare", "--map-root-user", "--net")
NOWHERE = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"), "http://127.0.0.1:9")


def cut_off() -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Return what a command runs under so that it reaches nobody; where no namespace may be made, a dead proxy."""
    try:
        made = subprocess.run((*NAMESPACE, "true"), capture_output=True, check=False).returncode == 0
    except OSError:
        made = False
    return (NAMESPACE, {}) if made else ((), NOWHERE)


def chosen() -> Chosen:
    wanted, host = default_set(), collect_host(RealSystem())
    return Chosen(wanted, choose_wheel(host, Gpus(), "3.11", wanted), host, "3.11")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Wheelhouse:
    folder = tmp_path_factory.mktemp("wheels") / "house"
    notes = " ".join(map(str, export(RealSystem(), "wheelhouse", folder, chosen()).notes))
    assert ("newest compatible versions" in notes, "doctor itself" in notes) == (False, False)
    return Wheelhouse.check(folder)


def test_a_notebook_without_network_and_cache_installs_the_doctor_and_a_stack_that_reads(
    house: Wheelhouse, tmp_path: Path
) -> None:
    """Every cell, in a kernel that has pip and nothing else: the doctor comes from the house, too."""
    book, beside = export(RealSystem(), "notebook", tmp_path, chosen()).files
    beside.unlink()
    cells = [cell["source"] for cell in json.loads(book.read_text("utf-8"))["cells"] if "outputs" in cell]
    script = "\n".join(cells).replace('WHEELHOUSE = ""', f"WHEELHOUSE = {str(house.folder)!r}")
    (tmp_path / "cells.py").write_text(script, encoding="utf-8")
    subprocess.run((interpreter("3.11"), "-m", "venv", tmp_path / "kernel"), check=True, timeout=120)
    under, extra = cut_off()
    env = environment(tmp_path, {**extra, "UV_CACHE_DIR": str(tmp_path / "empty-cache")})
    argv = (*under, tmp_path / "kernel/bin/python", "cells.py")
    with kept_bytecode("current-3.11", tmp_path / "paddleocr-vl"):
        done = subprocess.run(
            argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=900
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "output" / "demo.md").read_text("utf-8")[:3000] in done.stdout

    options = ("--wheelhouse", house.folder, "--venv", "paddleocr-vl", "--format", "json")
    again = doctor("fix", "--apply", *options, cwd=tmp_path, env=env, under=under)
    assert (again.code, again.document["plan"]["steps"]) == (0, [])


def test_the_doctor_in_the_house_is_a_house_of_its_own(house: Wheelhouse) -> None:
    own = Wheelhouse.check(house.folder / "doctor")
    assert (own.set, own.machine, own.requirements) == (
        "paddlevl-doctor",
        house.machine,
        (f"paddlevl-doctor[reader]=={__version__}",),
    )
    assert {"paddlevl-doctor", "uv", "rapidocr", "onnxruntime"} <= {wheel.name for wheel in own.wheels}


def test_one_package_of_an_environment_is_cured_from_the_house(house: Wheelhouse, tmp_path: Path) -> None:
    under, extra = cut_off()
    env = {**extra, "UV_CACHE_DIR": str(tmp_path / "empty-cache")}
    options = ("--wheelhouse", house.folder, "--base-python", interpreter("3.11"), "--format", "json")
    with kept_bytecode("current-3.11", tmp_path / ".venv"):
        assert doctor("fix", "--apply", *options, cwd=tmp_path, env=env).code == 0
    remove = (uv.find_uv_bin(), "pip", "uninstall", "--python", tmp_path / ".venv", "paddlex")
    subprocess.run(remove, check=True, capture_output=True, timeout=60)
    cured = doctor("fix", "--apply", *options, cwd=tmp_path, env=env, under=under)
    assert cured.code == 0, cured.stderr
    (step,) = [s for s in cured.document["plan"]["steps"] if s["kind"] == "install-packages"]
    assert step["diff"] == "+ paddlex 3.7.2"


def test_pip_alone_installs_the_house_with_its_hashes(house: Wheelhouse, tmp_path: Path) -> None:
    subprocess.run((interpreter("3.11"), "-m", "venv", tmp_path / "plain"), check=True, timeout=120)
    under, _ = cut_off()
    pip = (str(tmp_path / "plain/bin/python"), "-m", "pip", "install", "--dry-run", "--no-index")
    named = ("--find-links", str(house.folder), "--require-hashes", "-r", str(house.requirements_file))
    done = subprocess.run((*under, *pip, *named), capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "paddlepaddle-3.2.2" in done.stdout
