"""Where packages come from: --mirror, else pip's configuration where uv has none; and what uv will follow."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevl_doctor.errors import UsageError
from paddlevl_doctor.messages import text
from paddlevl_doctor.repair.plan import Request
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


def sources(system: System, request: Request, paddle: str, timeout: float = TIMEOUT) -> Sources:
    """Choose the index for a request; `paddle` is the version of the CPU wheel that mirrors are measured with.

    Raises UsageError for a mirror that has no such name. With `auto` and no mirror that has the wheel, the index
    stays the default one.
    """
    settings = _settings(system)
    if request.wheelhouse is not None:
        return Sources(request)
    if request.index == AUTO:
        return _fastest(system, request, paddle, timeout, settings)
    if request.index is not None:
        return Sources(replace(request, index=_named(request.index)), (), settings)
    index = _index_of_pip(system)
    if index is None or _uv_has_its_own(system):
        return Sources(request, (), settings)
    note = text("index-of-pip", url=without_secrets(index))
    return Sources(replace(request, index=index), (), (note, *settings))


def _named(mirror: str) -> str:
    if "://" in mirror:
        return mirror
    mirrors = known_mirrors()
    if mirror not in mirrors:
        raise UsageError(text("unknown-mirror", name=mirror, names=", ".join((AUTO, *mirrors))))
    return mirrors[mirror]


def _fastest(
    system: System, request: Request, paddle: str, timeout: float, settings: tuple[str, ...]
) -> Sources:
    from paddlevl_doctor.facts.mirrors import measure  # noqa: PLC0415 - start-up time
    from paddlevl_doctor.knowledge.downloads import smallest_wheel  # noqa: PLC0415 - as above

    candidates = known_mirrors()
    if own := system.env.get("UV_DEFAULT_INDEX"):
        candidates = {"UV_DEFAULT_INDEX": own, **candidates}
    wheel = re.compile(_WHEEL.format(version=re.escape(paddle)))
    measured = measure(candidates, wheel, timeout, smallest_wheel("cpu") // 2)
    best = measured[0] if measured[0].bytes_per_second else None
    numbers = text("mirrors-measured", numbers="; ".join(map(str, measured)))
    return Sources(replace(request, index=best.url if best else None), measured, (numbers, *settings))


def _settings(system: System) -> tuple[str, ...]:
    env = system.env
    shown = [f"{name}={without_secrets(env[name])}" for name in _SHOWN if env.get(name)]
    shown += [str(path) for path in _config_files(system) if system.exists(path)]
    return (text("uv-follows", settings=", ".join(shown)),) if shown else ()


def _config_files(system: System) -> tuple[Path, ...]:
    """Return where uv looks for settings of its own (docs.astral.sh/uv/concepts/configuration-files)."""
    home, env = system.home(), system.env
    user = Path(env.get("APPDATA") or env.get("XDG_CONFIG_HOME") or home / ".config")
    project = [folder / "uv.toml" for folder in (system.cwd(), *system.cwd().parents)]
    return (*project, user / "uv" / "uv.toml", Path("/etc/uv/uv.toml"))


def _uv_has_its_own(system: System) -> bool:
    if any(system.env.get(name) for name in _UV[:3]):
        return True
    words = (system.read_text(path) or "" for path in _config_files(system))
    return any(re.search(r"^\s*(index-url|\[\[index\]\])", text_, re.MULTILINE) for text_ in words)


def _index_of_pip(system: System) -> str | None:
    """Return pip's index-url, which uv does not read: the variable before the files (pip's own order)."""
    if system.env.get("PIP_INDEX_URL"):
        return system.env["PIP_INDEX_URL"]
    home, env = system.home(), system.env
    named = [Path(env["PIP_CONFIG_FILE"])] if env.get("PIP_CONFIG_FILE") else []
    windows = [Path(env["APPDATA"], "pip", "pip.ini")] if env.get("APPDATA") else []
    usual = [home / ".config/pip/pip.conf", home / ".pip/pip.conf", Path("/etc/pip.conf")]
    found = (_index_in(system.read_text(path)) for path in (*named, *windows, *usual))
    return next((url for url in found if url), None)


def _index_in(words: str | None) -> str | None:
    if words is None:
        return None
    import configparser  # noqa: PLC0415 - hardly anybody has such a file

    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(words)
    except configparser.Error:
        return None
    return parser.get("install", "index-url", fallback=None) or parser.get(
        "global", "index-url", fallback=None
    )
