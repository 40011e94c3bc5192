"""The spinner and the progress bars that `progress` shows on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

from rich import progress
from rich.console import Console
from rich.text import Text as Styled

from paddlevl_doctor.messages import Text, render
from paddlevl_doctor.redaction import printable
from paddlevl_doctor.values.findings import Advance


class _Terminal:
    """A stream that loses what cannot be written: progress on a closed terminal must not end a command."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        with suppress(OSError):
            self._stream.flush()


def _console() -> Console:
    return Console(file=cast("IO[str]", _Terminal(sys.stderr)), highlight=False)


@contextmanager
def spinner(title: str) -> Iterator[None]:
    """Show a spinner while the block runs, then a line with the title and the seconds."""
    console, started = _console(), time.monotonic()
    with console.status(Styled(title)):
        yield
    seconds = time.monotonic() - started
    console.print(Styled.assemble(("✓ ", "green"), title, (f"  {seconds:.1f} s", "dim")))


@contextmanager
def shown(
    columns: Sequence[progress.ProgressColumn], title: Text, total: int | None, lang: str
) -> Iterator[Advance]:
    """Show a progress bar while the block runs, and give the object that advances it."""
    with progress.Progress(*columns, console=_console(), transient=True) as bars:
        task = bars.add_task(printable(render(title, lang)), total=total, rate="", now="")
        yield _Bar(bars, task, lang)


def byte_columns() -> tuple[progress.ProgressColumn, ...]:
    """Return the columns of a download: title, bar, bytes, rate and the time left."""
    return (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )


def count_columns() -> tuple[progress.ProgressColumn, ...]:
    """Return the columns of counted work: spinner, title, bar, count, rate, times and the current item."""
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


class _Bar(Advance):
    """Advances a progress bar, from any thread."""

    def __init__(self, bars: progress.Progress, task: progress.TaskID, lang: str) -> None:
        self.bars, self.task, self.lang, self.done = bars, task, lang, 0
        self.started = time.monotonic()

    def __call__(self, done: int) -> None:
        """Advance by the number of finished parts, and show the rate per minute."""
        self.done += done
        minutes = max(time.monotonic() - self.started, 0.001) / 60
        self.bars.update(self.task, advance=done, rate=f"{self.done / minutes:.1f}/min")

    def say(self, words: Text) -> None:
        """Show the current item."""
        self.bars.update(self.task, now=printable(render(words, self.lang)))
