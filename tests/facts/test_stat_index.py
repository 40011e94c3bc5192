"""The index of files that were right: what is read again, what is not, and an index that cannot be used."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_installed_files import install

from checks_machines import machine
from paddlevl_doctor.facts import installed_files
from paddlevl_doctor.facts.installed_files import compare
from paddlevl_doctor.facts.stat_index import index_file
from paddlevl_doctor.values.facts import Distribution, Target
from paddlevl_doctor.values.findings import no_bar

FILES = {f"one/{n}.py": b"right" for n in range(5)}
pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows keeps no index")


class Look:
    """A site-packages folder, and a cache; `read` are the files that the last look has read."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site, self.cache = folder / "site", folder / "cache"
        self.site.mkdir()
        self.read: list[str] = []
        self.distribution: Distribution = install(self.site, "one", FILES)
        self.index = index_file(self.cache, str(self.site))
        digest = installed_files._digest
        monkeypatch.setattr(
            installed_files,
            "_digest",
            lambda path, buffer: (self.read.append(Path(path).name), digest(path, buffer))[1],
        )

    def settle(self, seconds: float = 10) -> None:
        """Let the files look older than they are: the clock of the look goes ahead."""
        self.ahead = int(seconds * 1e9)

    ahead = 0

    def __call__(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        healthy = machine().target
        assert healthy is not None
        target: Target = replace(healthy, distributions=(self.distribution,), site_folders=(str(self.site),))
        self.read.clear()
        real = time.time_ns
        with monkeypatch.context() as patch:
            patch.setattr(time, "time_ns", lambda: real() + self.ahead)
            data = compare(target, 1, no_bar, "title", self.cache).data
        assert data is not None
        return data["distributions"][0]  # type: ignore[no-any-return]


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    return Look(tmp_path, monkeypatch)


def names(*numbers: int) -> list[str]:
    return [f"{n}.py" for n in numbers]


def test_a_file_that_was_right_and_has_not_changed_is_not_read_again(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    look.settle()
    look(monkeypatch)
    assert sorted(look.read) == names(*range(5))
    assert stat.S_IMODE(look.index.stat().st_mode) == 0o600
    assert look(monkeypatch)["files"] == 5
    assert look.read == []


def test_a_file_that_changed_just_before_is_read_again(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """As git reads a file again that may have changed in the same moment as the index was written."""
    look(monkeypatch)
    look(monkeypatch)
    assert sorted(look.read) == names(*range(5))


CHANGES: dict[str, Callable[[Path], object]] = {
    "another content": lambda path: path.write_bytes(b"another content"),
    "the same size and time": lambda path: (
        path.write_bytes(b"wrong"),
        os.utime(path, ns=(path.parent.joinpath("0.py").stat().st_mtime_ns,) * 2),
    ),
    "another file in its place": lambda path: (
        path.with_name("new").write_bytes(b"wrong"),
        path.with_name("new").replace(path),
    ),
    "gone": Path.unlink,
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_file_that_changed_is_read_again(look: Look, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (look.site / "one").iterdir():
        os.utime(path, ns=(10**18, 10**18))
    look.settle()
    look(monkeypatch)
    CHANGES[how](look.site / "one/3.py")
    for _ in range(2):  # what is wrong is never remembered
        found = look(monkeypatch)
        assert look.read == names(3)
        wrong = [*found["missing"], *(item["path"] for item in found["altered"])]
        assert wrong == ["one/3.py"]


def test_another_hash_in_record_counts_and_not_the_index(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    look.settle()
    look(monkeypatch)
    record = Path(look.distribution.path, "RECORD")
    first, *rest = record.read_text().splitlines()
    name, digest, size = first.split(",")
    record.write_text("\n".join((f"{name},{digest[:-2]}AA,{size}", *rest)))
    found = look(monkeypatch)
    assert [item["path"] for item in found["altered"]] == ["one/0.py"]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def of_another_site(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"/site", b"/sitf", 1))


def of_another_format(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 0', 1))


def writable_by_others(path: Path) -> None:
    path.chmod(0o666)


def no_object(path: Path) -> None:
    head = path.read_bytes().split(b"\n")[0]
    path.write_bytes(head + b"\n[[[[")


def other_types(path: Path) -> None:
    head, _, body = path.read_bytes().partition(b"\n")
    path.write_bytes(head + b"\n" + json.dumps(dict.fromkeys(json.loads(body), 5)).encode())


def link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "damage",
    [truncate, of_another_site, of_another_format, writable_by_others, no_object, other_types, link, fifo],
)
def test_an_index_that_is_damaged_or_foreign_is_ignored_and_written_again(
    look: Look, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    look.settle()
    look(monkeypatch)
    damage(look.index)
    look(monkeypatch)
    assert sorted(look.read) == names(*range(5))
    look(monkeypatch)
    assert look.read == []
    assert stat.S_ISREG(look.index.lstat().st_mode)


def test_an_index_that_cannot_be_written_does_no_harm(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    look.settle()
    look.cache.write_text("a file in the place of the folder")
    assert look(monkeypatch)["files"] == 5


def test_the_index_of_an_environment_that_is_gone_is_removed(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    look.settle()
    look(monkeypatch)
    gone = look.index.with_name("0123456789abcdef.json")
    gone.write_text('{"format": 1, "site": "/no/such/folder"}\n{}')
    damaged = look.index.with_name("damaged.json")
    damaged.write_text("[")
    (look.site / "one/3.py").touch()
    look(monkeypatch)
    assert (gone.exists(), damaged.exists(), look.index.exists()) == (False, True, True)
