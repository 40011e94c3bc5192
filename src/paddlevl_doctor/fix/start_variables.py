"""The environment variables that PaddleOCR-VL should be started with, and the lines that set them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from paddlevl_doctor.facts.host import WSL_LIBRARIES, hidden_driver
from paddlevl_doctor.facts.model_versions import cached_versions
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.knowledge.visible_gpus import find_visible_gpus
from paddlevl_doctor.knowledge.wheel_choice import loads_eagerly
from paddlevl_doctor.messages import Text, language, message, render, text
from paddlevl_doctor.shells import POWERSHELL, SH, literal, quoted
from paddlevl_doctor.values.facts import Facts

FILES = {SH: "paddlevl-env.sh", POWERSHELL: "paddlevl-env.ps1"}
"""What the activation file of an environment is called, by the shell that reads it."""


@dataclass(frozen=True)
class Variable:
    """One setting. `prepends` puts the value before what a list of folders has already; `reason` is for people."""

    name: str
    value: str
    reason: Text
    prepends: bool = False


def variables_of(facts: Facts, package: str | None, paddlex: str | None) -> Iterator[Variable]:
    """Yield what helps on this machine with this paddle distribution (None: none) and version of paddlex."""
    if hidden_driver(facts):
        yield Variable("LD_LIBRARY_PATH", WSL_LIBRARIES, message("env-wsl"), prepends=True)
    if package == "paddlepaddle-gpu" and _loads_eagerly(facts):
        yield Variable("CUDA_MODULE_LOADING", "EAGER", message("env-eager"))
    if package == "paddlepaddle-gpu":
        yield Variable("FLAGS_allocator_strategy", "naive_best_fit", message("env-allocator"))
    # The name is read from 3.3.11 on (failures.md: misprinted-source-check-env).
    reads_it = numbers(paddlex or "0") >= (3, 3, 11)
    if reads_it and cached_versions(facts.cache):
        yield Variable("PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK", "True", message("env-source-check"))


def _loads_eagerly(facts: Facts) -> bool:
    if not facts.host.wsl:
        return False

    return loads_eagerly(facts.host, find_visible_gpus(facts.gpus, facts.settings).devices)


def _sh(variable: Variable) -> str:
    value = quoted(variable.value, SH)
    if variable.prepends:
        return f'export {variable.name}={value}"${{{variable.name}:+:${variable.name}}}"'
    return f"export {variable.name}={value}"


def _powershell(variable: Variable) -> str:
    name, value = f"$env:{variable.name}", literal(variable.value)
    if variable.prepends:
        return f"{name} = {value} + $(if ({name}) {{ [IO.Path]::PathSeparator + {name} }})"
    return f"{name} = {value}"


def _notebook(variable: Variable) -> str:
    if variable.prepends:
        old = f"os.environ.get({variable.name!r})"
        return f"os.environ[{variable.name!r}] = ':'.join(filter(None, ({variable.value!r}, {old})))"
    return f"os.environ[{variable.name!r}] = {variable.value!r}"


SHELLS: dict[str, Callable[[Variable], str]] = {SH: _sh, POWERSHELL: _powershell, "notebook": _notebook}


def script(found: tuple[Variable, ...], shell: str) -> str:
    """Return lines that set the variables in a shell (sh, powershell) or in a notebook cell, each with its reason."""
    lines = ["import os"] if shell == "notebook" and found else []
    for variable in found:
        lines += [f"# {render(variable.reason, language())}", SHELLS[shell](variable)]
    return "".join(f"{line}\n" for line in lines or [f"# {text('env-nothing')}"])


def content_of(found: tuple[Variable, ...], shell: str) -> str:
    """Return the content of an activation file; Windows PowerShell 5 takes a file without a mark for ANSI text."""
    return ("\ufeff" if shell == POWERSHELL else "") + script(found, shell)
