"""The step that writes the activation file of an environment. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from paddlevl_doctor.checks.model import Context
from paddlevl_doctor.knowledge.failures import load_failure
from paddlevl_doctor.messages import text
from paddlevl_doctor.repair.activation import FILES, content_of, script, variables_of
from paddlevl_doctor.shells import shell_of
from paddlevl_doctor.values import Finding, Step


def activation_steps(
    context: Context, prefix: str, curable: Sequence[Finding], paddlex: str | None, *, installs: bool
) -> list[Step]:
    """Return the step where a finding asks for it, or where packages are installed and there is something to set.

    `paddlex` is the version that will be there. An interpreter without an environment has no place for the file.
    """
    target = context.facts.target
    asking = tuple(f.id for f in curable if load_failure(f.id).cure.kind == "environment")
    package = context.wheel.package if installs else _installed(context)
    wanted = variables_of(context.facts, package, paddlex)
    found = tuple(v for v in wanted if v.prepends or v.name not in context.facts.settings)
    if not found or not (asking or installs) or (target is not None and not target.is_virtual):
        return []
    shell = shell_of(context.facts.host.system)
    path = str(PurePath(prefix) / FILES[shell])
    return [
        Step(
            id="set-environment",
            kind="set-environment",
            summary=text("step-environment", path=path),
            resolves=asking,
            diff="\n".join(f"+{line}" for line in script(found, shell).splitlines()),
            precondition=text("step-write-before"),
            undo=text("step-write-undo"),
            arguments={"path": path, "content": content_of(found, shell)},
        )
    ]


def _installed(context: Context) -> str | None:
    target = context.facts.target
    names = ("paddlepaddle-gpu", "paddlepaddle")
    return next((name for name in names if target and target.version_of(name)), None)
