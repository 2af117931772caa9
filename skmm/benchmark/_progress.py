"""Progress for those who want it: a bar on a terminal, ten lines in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO

from tqdm import tqdm

N_LINES = 10  # of a log
LINE = "{n_fmt} of {total_fmt} cells in {elapsed}, about {remaining} left ({desc})"


@contextmanager
def progress_bar(total: int, verbose: int) -> Iterator[Callable[[str], None]]:
    """Show on the error stream how far a run is and how long it will take, if that is wanted.

    The function that is yielded counts one cell, and is given its label.
    """
    log = not sys.stderr.isatty()
    options = {"file": StringIO(), "bar_format": LINE} if log else {"file": sys.stderr}
    with tqdm(
        total=total, disable=not (verbose and total), leave=False, smoothing=0, **options
    ) as bar:

        def advance(label: str) -> None:
            bar.set_description_str(label, refresh=False)
            bar.update()
            if log and N_LINES * bar.n // total > N_LINES * (bar.n - 1) // total:
                print(bar, file=sys.stderr, flush=True)

        yield (lambda label: None) if bar.disable else advance
