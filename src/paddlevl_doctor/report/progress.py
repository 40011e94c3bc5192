"""Shows the progress of a command on stderr if that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from paddlevl_doctor.messages import Text, render
from paddlevl_doctor.redaction import printable
from paddlevl_doctor.values.findings import Advance

if TYPE_CHECKING:
    from types import ModuleType


class Progress:
    """Shows stages and progress bars. A finished stage leaves a line with its duration; nested ones show nothing."""

    def __init__(self, *, enabled: bool, lang: str) -> None:
        self.enabled = enabled and sys.stderr.isatty()
        self.depth, self.lang = 0, lang

    @contextmanager
    def stage(self, title: Text) -> Iterator[None]:
        """Show the title and a spinner while the block runs."""
        if not self.enabled or self.depth:
            yield
            return
        self.depth += 1
        try:
            with _bars().spinner(printable(render(title, self.lang))):
                yield
        finally:
            self.depth -= 1

    @contextmanager
    def bytes(self, title: Text, total: int) -> Iterator[Advance]:
        """Show a bar for a download of `total` bytes with rate and remaining time; 0 means an unknown total."""
        if not self.enabled or self.depth:
            yield Advance()
            return
        bars = _bars()
        with bars.shown(bars.byte_columns(), title, total or None, self.lang) as advance:
            yield advance

    @contextmanager
    def bar(self, title: Text, total: int) -> Iterator[Advance]:
        """Show a bar for `total` items with rate and remaining time."""
        if not self.enabled or self.depth:
            yield Advance()
            return
        bars = _bars()
        with bars.shown(bars.count_columns(), title, total, self.lang) as advance:
            yield advance


def _bars() -> ModuleType:
    from paddlevl_doctor.report import bars  # noqa: PLC0415 - loads rich, which only terminals need

    return bars
