"""Which index an installation takes: uv's own settings stand before pip's, and the plan names all that is followed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from broken_server import broken_server
from doctor import doctor
from fake_system import FakeSystem
from paddlevl_doctor.commands.matrix import MatrixRequest, matrix
from paddlevl_doctor.packages.indexes import IndexChoice, choose_index, pip_indexes
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.packages.uv import command, index_options
from paddlevl_doctor.system.machine import RealSystem
from wheels import index, wheel
from wording import worded

PIP = "http://user:word@pip/simple"
DEFAULT = '[[index]]\nurl = "http://uv/simple"\ndefault = true\n'
FURTHER = '[[index]]\nname = "more"\nurl = "http://more/simple"\n'
OF_A_PROJECT = DEFAULT.replace("[[index]]", "[[tool.uv.index]]")
NO_UV = '[project]\nname = "x"\nversion = "1"\n'


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without settings, but for pip.conf with an index; the present folder is `a/b`."""
    for name in [name for name in os.environ if name.startswith(("UV_", "PIP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home/.config"))
    (tmp_path / "a/b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a/b")
    put(tmp_path, {"home/.config/pip/pip.conf": f"[global]\nindex-url = {PIP}\n"})


def put(folder: Path, files: Mapping[str, str]) -> None:
    for name, words in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(words, encoding="utf-8")


def chosen() -> IndexChoice:
    return choose_index(RealSystem(), Request(), "3")


UVS_OWN = {
    "pyproject": {"a/b/pyproject.toml": OF_A_PROJECT},
    "pyproject-above": {"a/pyproject.toml": OF_A_PROJECT, "a/b/pyproject.toml": NO_UV},
    "pyproject-old-key": {"a/b/pyproject.toml": '[tool.uv]\nindex-url = "http://uv/simple"\n'},
    "pyproject-pip": {"a/b/pyproject.toml": '[tool.uv.pip]\nindex-url = "http://uv/simple"\n'},
    "uv-toml": {"a/uv.toml": DEFAULT},
    "user": {"home/.config/uv/uv.toml": DEFAULT},
}


@pytest.mark.parametrize("case", UVS_OWN)
def test_an_index_that_uv_is_set_to_is_left_to_uv_and_shown(case: str, tmp_path: Path) -> None:
    put(tmp_path, UVS_OWN[case])
    found = chosen()
    assert (found.request.index, found.request.extra_indexes) == (None, ())
    assert worded(found.notes) == (
        f"uv also uses: {tmp_path / next(iter(UVS_OWN[case]))} (http://uv/simple)",
    )


NOT_UVS = {
    "no-table": {"a/b/pyproject.toml": NO_UV},
    "no-toml": {"a/b/pyproject.toml": "[tool.uv"},
    "no-table-at-all": {"a/b/pyproject.toml": "tool = 1\n"},
    "no-lists": {"a/b/pyproject.toml": 'tool.uv = {index = "http://uv/simple", pip = 1}\n'},
    "hidden-by-a-nearer-one": {"a/b/uv.toml": 'link-mode = "copy"\n', "a/uv.toml": DEFAULT},
    "for-named-packages-only": {"a/b/pyproject.toml": OF_A_PROJECT.replace("default", "explicit")},
    "hidden-by-uv-toml": {"a/b/uv.toml": "", "a/b/pyproject.toml": OF_A_PROJECT},
}


@pytest.mark.parametrize("case", NOT_UVS)
def test_what_uv_does_not_read_as_its_index_leaves_pips(case: str, tmp_path: Path) -> None:
    put(tmp_path, NOT_UVS[case])
    found = chosen()
    assert found.request.index == PIP
    assert str(found.notes[0]) == "the index from pip's configuration is used: http://***@pip/simple"


def test_a_named_file_replaces_all_others_and_none_may_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, {"a/b/pyproject.toml": OF_A_PROJECT, "named.toml": FURTHER, "plain.toml": ""})
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    assert chosen().request.index == PIP
    assert str(chosen().notes[1]) == "uv also uses: UV_NO_CONFIG=1"
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "named.toml"))
    assert chosen().request.index is None
    assert f"{tmp_path}/named.toml (http://more/simple)" in str(chosen().notes[0])
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "plain.toml"))
    assert chosen().request.index == PIP


def test_pips_further_indexes_are_searched_and_shown_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "[install]\nextra-index-url =\n  http://one:word@one/simple\n  http://two/simple\n"
    put(tmp_path, {"extra.conf": words})
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "extra.conf"))
    found = chosen()
    extra = ("http://one:word@one/simple", "http://two/simple")
    # A file that is named and there stands for the user's, as for pip.
    assert (found.request.index, found.request.extra_indexes) == (None, extra)
    monkeypatch.setenv("PIP_INDEX_URL", PIP)
    assert "http://***@pip/simple, http://***@one/simple, http://two/simple" in str(chosen().notes[0])
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://three/simple")
    assert chosen().request.extra_indexes == ("http://three/simple",)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert (chosen().request.index, chosen().request.extra_indexes) == (None, ("http://three/simple",))


def of_pip(owner: str, section: str = "global") -> bytes:
    return f"[{section}]\nindex-url = http://{owner}/simple\n".encode()


HOME = Path("/home/u")
# platform: where pip looks, the weakest first
RANKED = {
    "linux": (
        "/etc/xdg/pip/pip.conf",
        "/etc/pip.conf",
        "/home/u/.pip/pip.conf",
        "/home/u/.config/pip/pip.conf",
        "/venv/pip.conf",
    ),
    "darwin": (
        "/Library/Application Support/pip/pip.conf",
        "/home/u/.pip/pip.conf",
        "/home/u/.config/pip/pip.conf",
        "/home/u/Library/Application Support/pip/pip.conf",
        "/venv/pip.conf",
    ),
    "win32": (
        "C:/ProgramData/pip/pip.ini",
        "/home/u/pip/pip.ini",
        "C:/Users/u/AppData/Roaming/pip/pip.ini",
        "/venv/pip.ini",
    ),
}
OF_WINDOWS = {"PROGRAMDATA": "C:/ProgramData", "APPDATA": "C:/Users/u/AppData/Roaming"}


@pytest.mark.parametrize("platform", RANKED)
def test_pips_files_are_found_where_pip_looks_and_the_nearest_counts(platform: str) -> None:
    env = OF_WINDOWS if platform == "win32" else {}
    files: dict[str, bytes] = {}
    for number, path in enumerate(RANKED[platform]):
        files[path] = of_pip(str(number))
        system = FakeSystem(platform=platform, env=env, files=files, user_home=HOME)
        assert pip_indexes(system, "/venv").index == f"http://{number}/simple", path


def test_what_any_file_says_of_installing_stands_before_what_a_nearer_one_says_of_everything() -> None:
    files = {"/etc/pip.conf": of_pip("installing", "install"), "/venv/pip.conf": of_pip("all")}
    assert pip_indexes(FakeSystem(files=files, user_home=HOME), "/venv").index == "http://installing/simple"


def test_the_environment_that_is_treated_may_have_a_file_of_pips(tmp_path: Path) -> None:
    put(tmp_path, {"venv/pip.conf": of_pip("venv").decode()})
    found = choose_index(RealSystem(), Request(), "3", prefix=str(tmp_path / "venv"))
    assert found.request.index == "http://venv/simple"


def test_uv_finds_the_newest_on_whichever_index_as_pip_does(tmp_path: Path) -> None:
    """The further index has an empty page for a name that it does not know, as Paddle's has."""
    old, new, other = wheel("thing", "1.0"), wheel("thing", "2.0"), wheel("other", "1.0")
    (tmp_path / "wanted.in").write_text("thing\nother\n", encoding="utf-8")
    further = {**index(old), "simple/other/": b"<!DOCTYPE html><html><body></body></html>"}
    with broken_server(index(new, other)) as default, broken_server(further) as extra:
        words = index_options(default.url("simple"), (extra.url("simple"),))
        argv = command(("uv", "pip", "compile", "--no-header", "--no-annotate", "-q", *words, "wanted.in"))
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.split() == ["other==1.0", "thing==2.0"], done.stderr


def test_auto_measures_the_index_that_uv_is_set_to_beside_the_mirrors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paddlevl_doctor.packages.indexes.known_mirrors", dict)
    with broken_server({}) as server:
        put(tmp_path, {"a/b/uv.toml": DEFAULT.replace("http://uv/simple", server.url("simple"))})
        found = choose_index(RealSystem(), Request(index="auto"), "3", timeout=5)
    assert [str(one) for one in found.mirrors] == ["the index configured for uv: HTTP 404"]
    assert str(found.notes[1]) == "no mirror has the wheel, so the default index is used"


def test_auto_measures_the_index_of_uvs_older_variable_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paddlevl_doctor.packages.indexes.known_mirrors", dict)
    with broken_server({}) as server:
        monkeypatch.setenv("UV_INDEX_URL", server.url("simple"))
        found = choose_index(RealSystem(), Request(index="auto"), "3", timeout=5)
    assert [str(one) for one in found.mirrors] == ["the index configured for uv: HTTP 404"]


def test_matrix_tells_what_was_measured_and_that_no_mirror_has_the_wheel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("paddlevl_doctor.packages.indexes.known_mirrors", dict)
    with broken_server({}) as server:
        monkeypatch.setenv("UV_DEFAULT_INDEX", server.url("simple"))
        answer = matrix(RealSystem(), MatrixRequest("linux", mirror="auto"))
    assert (answer.mirror, answer.fix[-2:]) == (None, ("--mirror", "auto"))
    assert worded(answer.notes[:2]) == (
        "mirrors, measured now: the index configured for uv: HTTP 404",
        "no mirror has the wheel, so the default index is used",
    )


def test_the_plan_leaves_a_projects_index_to_uv_and_hands_pips_on(tmp_path: Path) -> None:
    env = {"PIP_INDEX_URL": PIP, "PIP_EXTRA_INDEX_URL": "http://extra/simple", "UV_DEFAULT_INDEX": ""}
    put(tmp_path, {"own/pyproject.toml": OF_A_PROJECT, "pip/.keep": ""})
    own, pip = (doctor("fix", "--format", "json", cwd=tmp_path / name, env=env) for name in ("own", "pip"))
    (left,) = [s for s in own.document["plan"]["steps"] if s["kind"] == "install-packages"]
    (taken,) = [s for s in pip.document["plan"]["steps"] if s["kind"] == "install-packages"]
    assert "--default-index" not in left["commands"][0]
    assert f"{tmp_path}/own/pyproject.toml (http://uv/simple)" in left["arguments"]["reasons"][-1]
    words = " ".join(taken["commands"][0])
    assert "--default-index http://***@pip/simple --index http://extra/simple --index-strategy" in words
