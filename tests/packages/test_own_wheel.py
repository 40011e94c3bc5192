"""The doctor's own wheel: from the sources of a development installation, else refused in one sentence.

That an installed doctor puts itself together again is in test_wheel.py, which has one.
"""

from __future__ import annotations

import json
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from paddlevl_doctor import __version__
from paddlevl_doctor.packages.collect_wheels import own_wheel
from paddlevl_doctor.system.machine import RealSystem
from paddlevl_doctor.values.errors import DoctorError

ROOT = Path(__file__).parents[2]
INFO = f"paddlevl_doctor-{__version__}.dist-info"


def installed(monkeypatch: pytest.MonkeyPatch, site: Path, direct_url: object | None = None) -> None:
    """Let the doctor be what a folder says, without a RECORD."""
    (site / INFO).mkdir(parents=True)
    (site / INFO / "METADATA").write_text(f"Name: paddlevl-doctor\nVersion: {__version__}\n", "utf-8")
    if direct_url is not None:
        (site / INFO / "direct_url.json").write_text(json.dumps(direct_url), "utf-8")
    found = metadata.PathDistribution(site / INFO)
    monkeypatch.setattr("importlib.metadata.distribution", lambda _: found)


def editable(folder: Path) -> object:
    return {"url": folder.as_uri(), "dir_info": {"editable": True}}


def test_a_development_installation_is_built_from_its_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, tmp_path / "site", editable(ROOT))
    (tmp_path / "out").mkdir()
    path = own_wheel(RealSystem(), tmp_path / "out")
    assert path.name == f"paddlevl_doctor-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(path) as archive:
        assert {"paddlevl_doctor/cli/check.py", "paddlevl_doctor/data/matrix/sets.toml"} <= set(
            archive.namelist()
        )


def test_sources_that_are_gone_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, tmp_path / "site", editable(tmp_path / "gone"))
    with pytest.raises(DoctorError, match=f"its sources are no longer in {tmp_path}/gone"):
        own_wheel(RealSystem(), tmp_path)


def test_an_installation_without_a_list_of_its_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, tmp_path / "site")
    with pytest.raises(DoctorError, match="the files of its own installation are not listed"):
        own_wheel(RealSystem(), tmp_path)
