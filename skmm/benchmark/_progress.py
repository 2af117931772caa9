"""Progress for those who want it: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Protocol, TextIO

from skmm.benchmark._extras import require

N_LINES = 10  # of a log


class Advance(Protocol):
    def __call__(self, label: str) -> None: ...


@contextmanager
def progress_bar(total: int, verbose: int) -> Iterator[Advance]:
    """Show on the error stream how far a run is and how long it will take, if that is wanted."""
    if not verbose or not total:
        yield lambda label: None
    elif not sys.stderr.isatty():
        yield ProgressLines(total, sys.stderr)
    else:
        with _bar(total) as advance:
            yield advance


class ProgressLines:
    """A line at every tenth of the way, for an error stream that is a file or a pipe."""

    def __init__(
        self, total: int, stream: TextIO, clock: Callable[[], float] = perf_counter
    ) -> None:
        self.total, self.stream, self.clock = total, stream, clock
        self.start, self.done = clock(), 0

    def __call__(self, label: str) -> None:
        """Count one cell; the label says which."""
        before, self.done = self.done, self.done + 1
        if N_LINES * before // self.total == N_LINES * self.done // self.total:
            return
        seconds = self.clock() - self.start
        left = seconds / self.done * (self.total - self.done)
        text = f"{self.done} of {self.total} cells in {duration(seconds)}"
        text += f", about {duration(left)} left" if left else ""
        print(f"{text} ({label})", file=self.stream, flush=True)


def duration(seconds: float) -> str:
    """Return a time in the units that people use for so long a time."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def _bar(total: int) -> Iterator[Advance]:
    console = require("rich.console").Console(stderr=True)
    bars = require("rich.progress")
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=console, transient=True) as bar:
        job = bar.add_task("starting", total=total)
        yield lambda label: bar.update(job, advance=1, description=label)
