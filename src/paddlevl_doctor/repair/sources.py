"""Where packages come from: --mirror, else pip's configuration where uv has none; and what uv will follow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from paddlevl_doctor.errors import UsageError
from paddlevl_doctor.messages import text
from paddlevl_doctor.repair.plan import Request
from paddlevl_doctor.repair.uv_config import UvConfig, uv_configs
from paddlevl_doctor.report.privacy import without_secrets
from paddlevl_doctor.system import System
from paddlevl_doctor.values import Plan, Step

if TYPE_CHECKING:
    from paddlevl_doctor.facts.rates import Measured

TIMEOUT = 8.0
"""Seconds for all mirrors together."""
AUTO = "auto"
_UV = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
_SHOWN = (
    *_UV,
    "UV_LINK_MODE",
    "UV_SYSTEM_PYTHON",
    "UV_CACHE_DIR",
    "UV_OFFLINE",
    "UV_HTTP_TIMEOUT",
    "UV_CONFIG_FILE",
    "UV_NO_CONFIG",
)
_WHEEL = r"paddlepaddle-{version}-cp\d+-cp\d+-[\w.]+\.whl"


@dataclass(frozen=True)
class Sources:
    """The index that was chosen, what was measured for it, and the settings that uv follows besides."""

    request: Request
    mirrors: tuple[Measured, ...] = ()
    notes: tuple[str, ...] = ()

    def shown_in(self, plan: Plan) -> Plan:
        """Return the plan with the notes among the reasons of what is installed."""
        return replace(plan, steps=tuple(self._with_notes(step) for step in plan.steps))

    def _with_notes(self, step: Step) -> Step:
        if step.kind != "install-packages" or not self.notes:
            return step
        reasons = [*step.arguments.get("reasons", ()), *self.notes]
        return replace(step, arguments={**step.arguments, "reasons": reasons})


def known_mirrors() -> dict[str, str]:
    """Return the mirrors of matrix/mirrors.toml, URL by name."""
    from paddlevl_doctor.knowledge.matrix import load_mirrors  # noqa: PLC0415 - start-up time

    return {row.name: row.url for row in load_mirrors()}


def sources(
    system: System, request: Request, paddle: str, timeout: float = TIMEOUT, prefix: str | None = None
) -> Sources:
    """Choose the index for a request; `paddle` is the version of the CPU wheel that mirrors are measured with.

    `prefix` is the environment to install into, where there is one: it may have settings of pip's.
    Raises UsageError for a mirror that has no such name. With `auto` and no mirror that has the wheel, the index
    stays the default one.
    """
    if request.wheelhouse is not None:
        return Sources(request)
    configs = uv_configs(system)
    settings = _settings(system, configs)
    if request.index == AUTO:
        named = (system.env.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"))
        own = next(filter(None, named), None) or next((c.default for c in configs if c.default), None)
        return _fastest(own, request, paddle, timeout, settings)
    if request.index is not None:
        return Sources(replace(request, index=_named(request.index)), (), settings)
    if any(system.env.get(name) for name in _UV[:3]) or any(config.indexes for config in configs):
        return Sources(request, (), settings)
    return _of_pip(system, request, settings, prefix)


def _named(mirror: str) -> str:
    if "://" in mirror:
        return mirror
    mirrors = known_mirrors()
    if mirror not in mirrors:
        raise UsageError(text("unknown-mirror", name=mirror, names=", ".join((AUTO, *mirrors))))
    return mirrors[mirror]


def _fastest(
    own: str | None, request: Request, paddle: str, timeout: float, settings: tuple[str, ...]
) -> Sources:
    from paddlevl_doctor.facts.mirrors import measure  # noqa: PLC0415 - start-up time
    from paddlevl_doctor.knowledge.downloads import smallest_wheel  # noqa: PLC0415 - as above

    candidates = {**({text("own-index"): own} if own else {}), **known_mirrors()}
    wheel = re.compile(_WHEEL.format(version=re.escape(paddle)))
    measured = measure(candidates, wheel, timeout, smallest_wheel("cpu") // 2)
    best = measured[0] if measured[0].bytes_per_second else None
    numbers = text("mirrors-measured", numbers="; ".join(map(str, measured)))
    notes = (numbers, *settings) if best else (numbers, text("mirrors-without"), *settings)
    return Sources(replace(request, index=best.url if best else None), measured, notes)


def _settings(system: System, configs: Sequence[UvConfig]) -> tuple[str, ...]:
    env = system.env
    shown = [f"{name}={without_secrets(env[name])}" for name in _SHOWN if env.get(name)]
    shown += map(str, configs)
    return (text("uv-follows", settings=", ".join(shown)),) if shown else ()


def _of_pip(system: System, request: Request, settings: tuple[str, ...], prefix: str | None) -> Sources:
    """Take what pip's configuration names, all of it as pip does: the newest that fits from any of the indexes."""
    from paddlevl_doctor.repair.pip_config import pip_indexes  # noqa: PLC0415 - start-up time

    found = pip_indexes(system, prefix)
    urls = (*((found.index,) if found.index else ()), *found.extra)
    if not urls:
        return Sources(request, (), settings)
    note = text("index-of-pip", url=", ".join(map(without_secrets, urls)))
    return Sources(replace(request, index=found.index, extra_indexes=found.extra), (), (note, *settings))
