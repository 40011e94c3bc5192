"""Two distributions bring paddle, and one of them comes for several CUDA lines: which one has to go first. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from paddlevl_doctor.checks.model import Context
from paddlevl_doctor.messages import text
from paddlevl_doctor.repair.cuda_line import PACKAGE, line_of
from paddlevl_doctor.values import Step

_PADDLES = ("paddlepaddle", PACKAGE)


def removal_steps(context: Context, python: str, cured: Iterable[str], wanted: Sequence[str]) -> list[Step]:
    """Remove the paddle distribution that the wanted one would collide with: both own the folder paddle/.

    `python` is the target's interpreter, `cured` what the plan cures, `wanted` what it installs.
    """
    target = context.facts.target
    chosen = next((n for r in wanted for n in _PADDLES if re.match(rf"{n}(?![\w-])", r)), None)
    if target is None or chosen is None:
        return []
    both = all(target.version_of(name) for name in _PADDLES)
    doomed = [n for n in _PADDLES if target.version_of(n) and (both or n != chosen)]
    if not doomed:
        return []
    names = " ".join(f"{n} {target.version_of(n)}" for n in doomed)
    return [
        Step(
            id="remove-packages",
            kind="remove-packages",
            summary=text("step-remove", names=names),
            resolves=tuple(i for i in cured if i == "both-paddle-dists"),
            commands=(("uv", "pip", "uninstall", "--python", python, *doomed),),
            diff="\n".join(f"- {n} {target.version_of(n)}" for n in doomed),
            precondition=text("step-remove-before", names=names),
            undo=text("step-packages-undo"),
            arguments={"names": doomed, "versions": [target.version_of(n) for n in doomed]},
        )
    ]


def of_other_line(context: Context, kinds: Iterable[str]) -> tuple[str, ...]:
    """Name paddlepaddle-gpu where a cure is to bring it for another CUDA line than the installed one.

    `kinds` are those of the cures. The wheels of all lines have the same version, so that an installer, unless it is
    told to install it again, takes the wrong one for the right one.
    """
    target, asked = context.facts.target, {"paddle", "reinstall-paddle"} & set(kinds)
    if not asked or target is None or target.paddle is None or target.version_of(PACKAGE) is None:
        return ()
    installed = line_of(target.paddle.cuda)
    return (
        (PACKAGE,) if context.wheel.package == PACKAGE and installed not in (None, context.wheel.tag) else ()
    )
