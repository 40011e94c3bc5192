"""What a plan is made from. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from paddlevl_doctor.checks.base import Context
from paddlevl_doctor.frozen import dataclass
from paddlevl_doctor.packages.request import Request
from paddlevl_doctor.values.facts import Target
from paddlevl_doctor.values.findings import Finding


@dataclass(frozen=True)
class Site:
    """The environment that the steps work on."""

    prefix: str
    python: str
    exists: bool


@dataclass(frozen=True)
class PlanInput:
    """Facts and knowledge, the findings about them, the environment to change, and the user's options."""

    context: Context
    findings: Sequence[Finding]
    site: Site
    request: Request

    @property
    def target(self) -> Target | None:
        """The installed environment, None if the plan creates it."""
        return self.context.facts.target

    def installed(self, name: str) -> str | None:
        """Return the installed version of a distribution, None without one."""
        return self.target.version_of(name) if self.target else None
