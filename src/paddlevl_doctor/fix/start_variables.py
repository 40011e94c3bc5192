"""The environment variables for PaddleOCR-VL, and scripts that set them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from paddlevl_doctor.facts.host import WSL_LIBRARIES, hidden_driver
from paddlevl_doctor.facts.model_versions import cached_versions
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.knowledge.tables import numbers
from paddlevl_doctor.knowledge.visible_gpus import find_visible_gpus
from paddlevl_doctor.knowledge.wheel_choice import loads_eagerly
from paddlevl_doctor.messages import Text, language, message, render, text
from paddlevl_doctor.shells import POWERSHELL, SH, literal, quoted
from paddlevl_doctor.values.facts import Facts

FILES = {SH: "paddlevl-env.sh", POWERSHELL: "paddlevl-env.ps1"}
"""The name of the script in an environment, by shell."""


@dataclass(frozen=True)
class Variable:
    """One variable. With `prepends` the value goes before the folders that the variable has; `reason` is a comment."""

    name: str
    value: str
    reason: Text
    prepends: bool = False


def variables_of(facts: Facts, package: str | None, paddlex: str | None) -> Iterator[Variable]:
    """Yield the variables for this machine, paddle distribution and paddlex version; None for one that is missing."""
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


def script(variables: tuple[Variable, ...], shell: str) -> str:
    """Return the lines for a shell (sh, powershell) or a notebook cell, each variable with its reason."""
    lines = ["import os"] if shell == "notebook" and variables else []
    for variable in variables:
        lines += [f"# {render(variable.reason, language())}", SHELLS[shell](variable)]
    return "".join(f"{line}\n" for line in lines or [f"# {text('env-nothing')}"])


def content_of(variables: tuple[Variable, ...], shell: str) -> str:
    """Return the content of the script file; Windows PowerShell 5 reads a file without a BOM as ANSI text."""
    return ("\ufeff" if shell == POWERSHELL else "") + script(variables, shell)
