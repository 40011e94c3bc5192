"""The real wheels of the set `current`, collected once and installed where there is no network at all."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import uv

from doctor import doctor
from environments import interpreter
from paddlevl_doctor.facts.host import collect_host
from paddlevl_doctor.knowledge.sets import default_set, resolved_list
from paddlevl_doctor.repair.collect_wheels import Contents, export_wheelhouse
from paddlevl_doctor.repair.pylock import Machine
from paddlevl_doctor.repair.wheelhouse import Wheelhouse
from paddlevl_doctor.system import RealSystem

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


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Wheelhouse:
    chosen, host = default_set(), collect_host(RealSystem())
    machine = Machine(host.system, host.machine, "3.11", host.glibc)
    wanted = (f"paddlepaddle=={chosen.paddle_cpu}", *chosen.stack())
    contents = Contents(chosen.name, wanted, machine, resolved_list(chosen, host, "3.11"))
    return export_wheelhouse(RealSystem(), contents, tmp_path_factory.mktemp("wheels") / "house")


def test_a_machine_without_network_and_cache_gets_a_stack_that_reads(
    house: Wheelhouse, tmp_path: Path
) -> None:
    under, extra = cut_off()
    env = {**extra, "UV_CACHE_DIR": str(tmp_path / "empty-cache")}
    options = ("--wheelhouse", house.folder, "--base-python", interpreter("3.11"), "--format", "json")
    made = doctor("fix", "--apply", *options, cwd=tmp_path, env=env, under=under)
    assert made.code == 0, made.stderr
    assert {step["status"] for step in made.document["outcome"]} == {"applied"}

    deep = doctor("check", "--deep", "--format", "json", cwd=tmp_path, env=env, under=under)
    assert (deep.code, deep.statuses("self-test", "version-set")) == (
        0,
        {"self-test": "ok", "version-set": "ok"},
    )

    again = doctor("fix", "--apply", *options, cwd=tmp_path, env=env, under=under)
    assert (again.code, again.document["plan"]["steps"]) == (0, [])


def test_one_package_of_an_environment_is_cured_from_the_house(house: Wheelhouse, tmp_path: Path) -> None:
    under, extra = cut_off()
    env = {**extra, "UV_CACHE_DIR": str(tmp_path / "empty-cache")}
    options = ("--wheelhouse", house.folder, "--base-python", interpreter("3.11"), "--format", "json")
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
