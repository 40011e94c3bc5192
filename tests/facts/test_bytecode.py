"""Where the probes' bytecode goes: never into the target, and not left behind for environments that are gone."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from checks_machines import machine
from paddlevl_doctor.facts.run_probes import probe_environment
from paddlevl_doctor.patching.proof import prove
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.facts import Target


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RealSystem:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    return RealSystem()


def target(prefix: Path) -> Target:
    site = prefix / "site"
    (site / "paddle").mkdir(parents=True)
    found = machine().target
    assert found is not None
    return replace(found, prefix=str(prefix), purelib=str(site), version="3.11.7")


def folders(tmp_path: Path) -> int:
    return len(list((tmp_path / "cache/paddlevl-doctor/bytecode").iterdir()))


def test_an_environment_without_bytecode_gets_a_folder_of_its_own_in_the_users_cache(
    system: RealSystem, tmp_path: Path
) -> None:
    environment = probe_environment(system, target(tmp_path / "a"))
    assert Path(environment["PYTHONPYCACHEPREFIX"]).is_relative_to(tmp_path / "cache")
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert environment == probe_environment(
        system, replace(target(tmp_path / "b"), prefix=str(tmp_path / "a"))
    )


def test_a_compiled_environment_is_used_as_it_is(system: RealSystem, tmp_path: Path) -> None:
    compiled = target(tmp_path / "a")
    cache = Path(compiled.purelib) / "paddle/__pycache__"
    cache.mkdir()
    (cache / "__init__.cpython-311.pyc").touch()
    environment = probe_environment(system, compiled)
    assert (environment.get("PYTHONPYCACHEPREFIX"), environment["PYTHONDONTWRITEBYTECODE"]) == (None, "1")


def test_the_bytecode_of_environments_that_are_gone_is_removed_one_a_look(
    system: RealSystem, tmp_path: Path
) -> None:
    gone = [target(tmp_path / name) for name in ("a", "b")]
    for one in gone:
        probe_environment(system, one)
    for one in gone:
        Path(one.prefix).rename(f"{one.prefix}-elsewhere")
    left = []
    for _ in range(3):
        probe_environment(system, replace(gone[0], prefix=str(tmp_path)))
        left.append(folders(tmp_path))
    assert left == [2, 1, 1]


def test_where_the_cache_cannot_be_written_nothing_is(system: RealSystem, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    environment = probe_environment(system, target(tmp_path / "a"))
    assert (environment.get("PYTHONPYCACHEPREFIX"), environment["PYTHONDONTWRITEBYTECODE"]) == (None, "1")


def test_the_users_own_choice_of_a_folder_stays(
    system: RealSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", "/mine")
    assert probe_environment(system, target(tmp_path / "a"))["PYTHONPYCACHEPREFIX"] == "/mine"


def test_the_proof_of_a_patch_leaves_its_bytecode_where_other_probes_did_and_else_nowhere(
    system: RealSystem, tmp_path: Path
) -> None:
    seen = replace(target(tmp_path / "a"), python=sys.executable)
    prove(system, "fuse-rms-norm", seen)
    assert list((tmp_path / "cache").rglob("*")) == []
    probe_environment(system, seen)
    prove(system, "fuse-rms-norm", seen)
    assert list((tmp_path / "cache").rglob("*.pyc")) != []
    assert list((tmp_path / "a").rglob("*.pyc")) == []
