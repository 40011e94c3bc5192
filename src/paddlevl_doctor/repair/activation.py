"""The environment variables that PaddleOCR-VL should be started with, and the lines that set them. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from paddlevl_doctor.facts.model import Facts
from paddlevl_doctor.facts.settings import WSL_LIBRARIES
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.messages import text

FILES = {"sh": "paddlevl-env.sh", "powershell": "paddlevl-env.ps1"}
"""What the activation file of an environment is called, by the shell that reads it."""


@dataclass(frozen=True)
class Variable:
    """One setting. `prepends` puts the value before what a list of folders has already; `reason` is for people."""

    name: str
    value: str
    reason: str
    prepends: bool = False


def variables_of(facts: Facts, package: str | None, paddlex: str | None) -> Iterator[Variable]:
    """Yield what helps on this machine with this paddle distribution (None: none) and version of paddlex."""
    from paddlevl_doctor.parsing.native import cached_versions  # noqa: PLC0415 - start-up time

    if facts.host.wsl and facts.gpus.reason == "library-not-on-path":
        yield Variable("LD_LIBRARY_PATH", WSL_LIBRARIES, text("env-wsl"), prepends=True)
    if package == "paddlepaddle-gpu":
        yield Variable("FLAGS_allocator_strategy", "naive_best_fit", text("env-allocator"))
    # The name is read from 3.3.11 on (failures.md: misprinted-source-check-env).
    reads_it = numbers(paddlex or "0") >= (3, 3, 11)
    if reads_it and cached_versions(facts.cache):
        yield Variable("PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK", "True", text("env-source-check"))


def _sh(variable: Variable) -> str:
    value = shlex.quote(variable.value)
    if variable.prepends:
        return f'export {variable.name}={value}"${{{variable.name}:+:${variable.name}}}"'
    return f"export {variable.name}={value}"


def _powershell(variable: Variable) -> str:
    value = "'" + variable.value.replace("'", "''") + "'"
    if variable.prepends:
        return (
            f"$env:{variable.name} = {value} + $(if ($env:{variable.name}) {{ ';' + $env:{variable.name} }})"
        )
    return f"$env:{variable.name} = {value}"


def _notebook(variable: Variable) -> str:
    if variable.prepends:
        old = f"os.environ.get({variable.name!r})"
        return f"os.environ[{variable.name!r}] = ':'.join(filter(None, ({variable.value!r}, {old})))"
    return f"os.environ[{variable.name!r}] = {variable.value!r}"


SHELLS: dict[str, Callable[[Variable], str]] = {"sh": _sh, "powershell": _powershell, "notebook": _notebook}


def script(found: tuple[Variable, ...], shell: str) -> str:
    """Return lines that set the variables in a shell (sh, powershell) or in a notebook cell, each with its reason."""
    lines = ["import os"] if shell == "notebook" and found else []
    for variable in found:
        lines += [f"# {variable.reason}", SHELLS[shell](variable)]
    return "".join(f"{line}\n" for line in lines or [f"# {text('env-nothing')}"])
