"""Real environments that are broken in a known way, built anew for a test that changes them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uv

from environments import environment, fresh_copy, python_in


@dataclass(frozen=True)
class Broken:
    """An environment of `environments.SPECS`, and what is done to it afterwards; `is_quick`: a test runs its cures."""

    spec: str
    damage: Callable[[Path], None] | None = None
    is_quick: bool = False

    def build(self, venv: Path) -> None:
        """Build the environment in a new folder."""
        fresh_copy(self.spec, venv)
        if self.damage is not None:
            self.damage(venv)


def _pip(venv: Path, *words: str) -> None:
    argv = [uv.find_uv_bin(), "pip", words[0], "-q", "--python", str(python_in(venv)), *words[1:]]
    subprocess.run(argv, check=True)


def _site(venv: Path) -> Path:
    return next(venv.glob("lib/*/site-packages"))


def _remove(pattern: str) -> Callable[[Path], None]:
    def damage(venv: Path) -> None:
        for path in _site(venv).glob(pattern):
            path.unlink()

    return damage


def _uninstall(*names: str) -> Callable[[Path], None]:
    return lambda venv: _pip(venv, "uninstall", *names)


def _install(*requirements: str) -> Callable[[Path], None]:
    return lambda venv: _pip(venv, "install", *requirements)


def _leave_a_folder(venv: Path) -> None:
    (_site(venv) / "~addlex").mkdir()


def _copy_older_record(venv: Path) -> None:
    """Leave the records of two versions of one distribution, as an installer that was killed does."""
    older = next(_site(environment("set-2025-11")).glob("paddleocr-*.dist-info"))
    shutil.copytree(older, _site(venv) / older.name)


BROKEN = {
    "old versions": Broken("broken"),
    "numpy 2.4": Broken("numpy-2-4"),
    "a type that a CPU lacks": Broken("bfloat16-on-a-cpu"),
    "the older set": Broken("set-2025-11"),
    "unpatched": Broken("current-311"),
    "a lost record": Broken("current-311", _remove("paddlex-*.dist-info/RECORD"), is_quick=True),
    "a lost file": Broken("current-311", _remove("paddlex/inference/models/doc_vlm/processors/common.py")),
    "a leftover of pip": Broken("current-311", _leave_a_folder),
    "two versions": Broken("current-311", _copy_older_record),
    "no setuptools": Broken("current-311", _uninstall("setuptools"), is_quick=True),
    "no paddle": Broken("current-311", _uninstall("paddlepaddle")),
    "no paddleocr": Broken("current-311", _uninstall("paddleocr")),
    "a missing extra": Broken("current-311", _uninstall("ftfy", "lxml")),
    "langchain 1": Broken("set-2025-11", _install("langchain>=1"), is_quick=True),
    "paddle 3.3.1": Broken("current-311", _install("--no-deps", "paddlepaddle==3.3.1")),
    "paddle 3.0.0": Broken("current-311", _install("--no-deps", "paddlepaddle==3.0.0")),
    "an old aistudio-sdk": Broken("current-311", _install("--no-deps", "aistudio-sdk==0.2.6")),
    "an old paddleocr": Broken("current-311", _install("--no-deps", "paddleocr==3.2.0", "paddlex==3.2.1")),
    "an old paddlex": Broken("set-2025-11", _install("--no-deps", "paddlex==3.3.4")),
    "nothing installed": Broken("current-311", _uninstall("paddlepaddle", "paddleocr", "paddlex")),
}
