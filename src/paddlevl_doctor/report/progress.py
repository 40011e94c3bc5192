"""Shows on stderr what is going on: a spinner with the elapsed time on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Progress:
    """Announces stages. On a terminal each leaves one line with its duration; nested stages share the spinner."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled and sys.stderr.isatty()
        self.depth = 0

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Show `title` while the block runs."""
        if not self.enabled or self.depth:
            yield
            return
        from rich.console import Console  # noqa: PLC0415 - only terminals need it
        from rich.text import Text  # noqa: PLC0415

        console, started = Console(stderr=True, highlight=False), time.monotonic()
        self.depth += 1
        try:
            with console.status(Text(title)):
                yield
            seconds = time.monotonic() - started
            console.print(Text.assemble(("✓ ", "green"), title, (f"  {seconds:.1f} s", "dim")))
        finally:
            self.depth -= 1

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show how much of `total` is done, with the time left; the function that is given takes what was added."""
        if not self.enabled or self.depth:
            yield lambda _done: None
            return
        from rich.console import Console  # noqa: PLC0415 - only terminals need it
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
        from rich.progress import Progress as Bars  # noqa: PLC0415

        words = TextColumn("{task.description}", markup=False)
        columns = (words, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bars(*columns, console=Console(stderr=True, highlight=False), transient=True) as bars:
            task = bars.add_task(title, total=total)
            yield lambda done: bars.advance(task, done)
