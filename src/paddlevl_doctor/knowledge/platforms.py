"""The machines that `matrix --for NAME` describes (matrix/platforms.toml)."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from paddlevl_doctor.facts.model import Host
from paddlevl_doctor.knowledge.tables import Fact, load_rows


@dataclass(frozen=True, kw_only=True)
class Platform(Fact):
    """A kind of machine, and the GPUs that it has unless others are named."""

    name: str
    system: str
    machine: str
    wsl: int | None = None
    musl: bool = False
    notebook: str | None = None
    gpus: tuple[str, ...] = ()

    def host(self, machine: str | None = None) -> Host:
        """Return such a machine, with another processor architecture where one is named."""
        return Host(
            self.system,
            "",
            machine or self.machine,
            wsl=self.wsl,
            notebook=self.notebook,
            musl=self.musl,
        )


@functools.cache
def load_platforms() -> dict[str, Platform]:
    """Return the platforms by name."""
    return {row.name: row for row in load_rows("platforms", "platform", Platform)}
