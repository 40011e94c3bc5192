"""Shows on stderr what is going on: a spinner with the elapsed time on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from paddlevl_doctor.messages import Text as Words
from paddlevl_doctor.messages import render
from paddlevl_doctor.redaction import printable
from paddlevl_doctor.values.findings import Advance

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import ProgressColumn, TaskID


class Progress:
    """Announces stages. On a terminal each leaves one line with its duration; nested stages share the spinner."""

    def __init__(self, *, enabled: bool, lang: str) -> None:
        self.enabled = enabled and sys.stderr.isatty()
        self.depth, self.lang = 0, lang

    @contextmanager
    def stage(self, title: Words) -> Iterator[None]:
        """Show `title` while the block runs."""
        if not self.enabled or self.depth:
            yield
            return
        from rich.console import Console  # noqa: PLC0415 - only terminals need it
        from rich.text import Text  # noqa: PLC0415

        console, started, shown = (
            Console(stderr=True, highlight=False),
            time.monotonic(),
            printable(render(title, self.lang)),
        )
        self.depth += 1
        try:
            with console.status(Text(shown)):
                yield
            seconds = time.monotonic() - started
            console.print(Text.assemble(("✓ ", "green"), shown, (f"  {seconds:.1f} s", "dim")))
        finally:
            self.depth -= 1

    @contextmanager
    def bytes(self, title: Words, total: int) -> Iterator[Advance]:
        """Show how much of `total` bytes is here, the rate and the time left; 0 stands for a total nobody knows."""
        if not self.enabled or self.depth:
            yield Advance()
            return
        from rich.console import Console  # noqa: PLC0415 - only terminals need it
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
        from rich.progress import Progress as Bars  # noqa: PLC0415
        from rich.progress import TransferSpeedColumn as Speed  # noqa: PLC0415

        words = TextColumn("{task.description}", markup=False)
        columns = (words, BarColumn(), DownloadColumn(), Speed(), TimeRemainingColumn())
        with Bars(*columns, console=Console(stderr=True, highlight=False), transient=True) as bars:
            task = bars.add_task(printable(render(title, self.lang)), total=total or None, rate="", now="")
            yield _Shown(bars, task, self.lang)

    @contextmanager
    def bar(self, title: Words, total: int) -> Iterator[Advance]:
        """Show how much of `total` is done, at what rate, and the time left."""
        if not self.enabled or self.depth:
            yield Advance()
            return
        from rich.console import Console  # noqa: PLC0415 - only terminals need it
        from rich.progress import Progress as Bars  # noqa: PLC0415

        with Bars(*_columns(), console=Console(stderr=True, highlight=False), transient=True) as bars:
            task = bars.add_task(printable(render(title, self.lang)), total=total, rate="", now="")
            yield _Shown(bars, task, self.lang)


def _columns() -> tuple[ProgressColumn, ...]:
    from rich import progress  # noqa: PLC0415 - only terminals need it

    return (
        progress.SpinnerColumn(),
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]}", style="dim"),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[now]}", markup=False, style="dim"),
    )


class _Shown(Advance):
    """Tells a bar; may be called in any thread."""

    def __init__(self, bars: Bars, task: TaskID, lang: str) -> None:
        self.bars, self.task, self.lang, self.done = bars, task, lang, 0
        self.started = time.monotonic()

    def __call__(self, done: int) -> None:
        """Show the parts that were done, and how many that is a minute."""
        self.done += done
        minutes = max(time.monotonic() - self.started, 0.001) / 60
        self.bars.update(self.task, advance=done, rate=f"{self.done / minutes:.1f}/min")

    def say(self, words: Words) -> None:
        """Show what is being done now."""
        self.bars.update(self.task, now=printable(render(words, self.lang)))
