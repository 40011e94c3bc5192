"""Builds fresh environments in many ways and prints what `check --integrity` says of each.

No error, no warning, and no note about code that no package owns is right.

    python tests/benchmarks/healthy.py [part of a name ...]

An environment that the doctor did not make first gets its patches with `fix --apply`. It takes some minutes.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from uv import find_uv_bin

from doctor import Answer, doctor
from environments import environment, interpreter, python_in

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
Build = Callable[[Path], None]


def run(*argv: str | Path, cwd: Path, **env: str) -> None:
    """Run a program; raise with its output if it fails."""
    words = [str(word) for word in argv]
    done = subprocess.run(
        words, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{words}: {done.stdout}{done.stderr}")


def by_doctor(folder: Path, name: str, version: str) -> None:
    """Let the doctor create the environment."""
    words = ("fix", "--apply", "--set", name, "--base-python", interpreter(version))
    done = doctor(*words, cwd=folder)
    if done.code:
        raise RuntimeError(done.stderr)


def requirements(folder: Path, kept: str = "current-311") -> Path:
    """Write the exact versions of a kept environment."""
    argv = (find_uv_bin(), "pip", "freeze", "--python", str(python_in(environment(kept))))
    path = folder / "wanted.txt"
    path.write_text(subprocess.run(argv, capture_output=True, text=True, check=True).stdout, encoding="utf-8")
    return path


def by_pip(folder: Path) -> None:
    """Create the environment with venv and pip, which compiles it and writes bytecode into RECORD."""
    run(interpreter("3.11"), "-m", "venv", ".venv", cwd=folder)
    run(".venv/bin/python", "-m", "pip", "install", "-q", "--no-deps", "-r", requirements(folder), cwd=folder)


def by_uv(folder: Path, *words: str, mode: str = "hardlink", kept: str = "current-311") -> None:
    """Create the environment with uv, in a link mode."""
    uv = find_uv_bin()
    run(uv, "venv", "-q", *words, "--python", interpreter("3.11"), ".venv", cwd=folder)
    wanted = requirements(folder, kept)
    install = (uv, "pip", "install", "-q", "--python", ".venv/bin/python", "--no-deps", "-r", wanted)
    run(*install, cwd=folder, UV_LINK_MODE=mode)


PROJECT = """[project]
name = "mine"
version = "1"
requires-python = ">=3.11,<3.12"
dependencies = ["paddlepaddle==3.2.2", "paddleocr[doc-parser]==3.7.0", "paddlex==3.7.2", "setuptools", "numpy<2.4"]
"""
TOOLS = {
    "uv": ("", (find_uv_bin(), "sync", "-q")),
    "poetry": (
        "[tool.poetry]\npackage-mode = false\n",
        (find_uv_bin(), "tool", "run", "-q", "--from", "poetry==2.5.1", "poetry", "install"),
    ),
    "pdm": (
        "[tool.pdm]\ndistribution = false\n",
        (
            find_uv_bin(),
            "tool",
            "run",
            "-q",
            "--from",
            "pdm==2.29.4",
            "--with",
            "hishel<2",
            "pdm",
            "install",
            "-q",
        ),
    ),
}


def by_project(folder: Path, tool: str) -> None:
    """Create the environment of a project with its tool."""
    more, argv = TOOLS[tool]
    (folder / "pyproject.toml").write_text(f"{PROJECT}\n{more}", encoding="utf-8")
    system = ssl.get_default_verify_paths().openssl_cafile
    bundle = {"REQUESTS_CA_BUNDLE": system, "SSL_CERT_FILE": system} if Path(system).exists() else {}
    run(*argv, cwd=folder, POETRY_VIRTUALENVS_IN_PROJECT="true", UV_PYTHON=str(interpreter("3.11")), **bundle)


def beside_torch(folder: Path) -> None:
    """Create the environment with a torch beside the stack."""
    by_uv(folder, "--seed")
    run(".venv/bin/python", "-m", "pip", "install", "-q", "torch==2.13.0", cwd=folder)


ENVIRONMENTS: dict[str, Build] = {
    **{f"doctor, current, {v}": partial(by_doctor, name="current", version=v) for v in PYTHONS},
    **{f"doctor, 2025-11, {v}": partial(by_doctor, name="2025-11", version=v) for v in PYTHONS},
    **{f"uv, {mode}": partial(by_uv, mode=mode) for mode in ("hardlink", "copy", "symlink")},
    "uv, 2025-11": partial(by_uv, kept="set-2025-11"),
    "uv, --seed": lambda folder: by_uv(folder, "--seed"),
    "uv, --relocatable": lambda folder: by_uv(folder, "--relocatable"),
    "uv, --system-site-packages": lambda folder: by_uv(folder, "--system-site-packages"),
    "pip": by_pip,
    **{f"project of {tool}": partial(by_project, tool=tool) for tool in TOOLS},
    "torch beside it": beside_torch,
}


def notes(answer: Answer) -> dict[str, str]:
    """Return the notes that a fresh environment must not have."""
    ids = ("unowned-code", "pip-leftovers")
    return {name: status for name, status in answer.statuses(*ids).items() if status != "ok"}


def main(parts: list[str]) -> int:
    """Print a row for each environment; return 1 if one has an error or a warning."""
    wrong = unbuilt = 0
    chosen = [name for name in ENVIRONMENTS if not parts or any(part in name for part in parts)]
    print("| environment | errors, warnings, and code without an owner |\n| --- | --- |")
    for name in chosen:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "a folder, 文件")
            folder.mkdir()
            try:
                ENVIRONMENTS[name](folder)
            except RuntimeError as error:  # poetry and pdm, for example, cannot read an index in a folder
                print(f"| {name} | not built: {str(error).strip().splitlines()[-1]} |", flush=True)
                unbuilt += 1
                continue
            doctor("fix", "--apply", cwd=folder)
            answer = doctor("check", "--integrity", "--format", "json", cwd=folder)
            found = {**answer.problems(), **notes(answer)}
        wrong += bool(found)
        print(f"| {name} | {', '.join(found) or 'none'} |", flush=True)
    print(f"{len(chosen) - wrong - unbuilt} of {len(chosen)} without an error or a warning")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
