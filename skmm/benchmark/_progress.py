"""A progress bar for those who want one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from skmm.benchmark._extras import require


class Advance(Protocol):
    def __call__(self, label: str) -> None: ...


@contextmanager
def progress_bar(total: int, verbose: int) -> Iterator[Advance]:
    """Show a progress bar on the error stream, if it is wanted."""
    if not verbose:
        yield lambda label: None
        return
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
