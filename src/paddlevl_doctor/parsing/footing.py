"""On which rung of the ladder pages begin: what helped is kept for the following ones and for the next run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paddlevl_doctor.parsing.ladder import Rung
from paddlevl_doctor.parsing.remembered import Memory

_IN_A_ROW = 2
"""Pages that only a rung that does not last could read: then the following ones begin there."""
_THEN_TRIED = 20
"""Pages read from such a rung, which costs quality or speed; the next one begins above it again."""


@dataclass
class Footing:
    """Where one engine begins. `memory` is where that is kept; None where nothing is."""

    ladder: Sequence[Rung]
    memory: Memory | None = None
    step: int = 0
    """The rung that the next page begins with."""
    remembered: str = ""
    """The name of the rung that an earlier run has left; empty where it left none."""
    _usual: int = 0
    """The last lasting rung that helped."""
    _alone: int = 0
    """The rung that does not last and read the last pages, and how many in a row those were."""
    _row: int = 0
    _pages: int = 0
    """Read since pages begin on a rung that does not last."""

    def __post_init__(self) -> None:
        """Begin where the last run got to."""
        known = self.memory.rung() if self.memory else None
        names = [rung.name for rung in self.ladder]
        if known in names:
            self.step, self.remembered = names.index(known), known
            self._usual = self.step if self.ladder[self.step].lasting else 0
            self._alone, self._row = self.step, _IN_A_ROW

    def stood(self, step: int, pages: int = 1) -> None:
        """Note that a rung has read some pages, and begin there where it is not the page that needed it."""
        if self.ladder[step].lasting:
            self._stood_for_good(step)
        else:
            self._stood_alone(step, pages)

    def _stood_for_good(self, step: int) -> None:
        self._row = 0
        if self.ladder[step].name != "again":
            self.step = self._usual = step
        self._remember(self._usual)

    def _stood_alone(self, step: int, pages: int) -> None:
        self._row = self._row + 1 if step == self._alone else 1
        self._pages = self._pages + pages if step == self.step else 0
        self._alone = step
        if self._pages >= _THEN_TRIED:
            self.step = self._usual
        elif self._row >= _IN_A_ROW:
            self.step = step
            self._remember(step)

    def _remember(self, step: int) -> None:
        name = self.ladder[step].name if step else ""
        if self.memory is not None and name != self.remembered:
            self.memory.keep(name or None, lasting=self.ladder[step].lasting)
        self.remembered = name
