"""How many rows are processed at once: budgets of memory, one knob for all of them.

The knob is scikit-learn's `working_memory`. At its default, 1024 MiB, chunks have the sizes below;
with another value they grow or shrink in proportion. Results do not depend on it beyond rounding.
"""

from __future__ import annotations

from collections.abc import Iterator

from sklearn._config import get_config

USUAL_MEMORY = 1024  # MiB, the default of scikit-learn's `working_memory`

# Numbers in a chunk, in double precision:
CACHE = 2**18  # 2 MiB stay in a processor's cache from one operation to the next
SMALL = 2**20  # 8 MiB, for temporary results of pairs of rows
USUAL = 2**22  # 32 MiB, for copies of data
LARGE = 2**24  # 128 MiB, for what networks compute of many draws


def rows_within(budget: int, width: int, least: int = 1) -> int:
    """Return how many rows of so many numbers the budget holds, and at least `least`."""
    numbers = int(budget * get_config()["working_memory"] / USUAL_MEMORY)
    return max(least, numbers // max(1, width))


def slices_of(n_rows: int, size: int) -> Iterator[slice]:
    """Yield slices of so many rows, the last of what is left; none if there are no rows."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def row_chunks(n_rows: int, width: int, budget: int = USUAL, least: int = 1) -> Iterator[slice]:
    """Yield slices that cut rows of so many numbers into chunks within the budget."""
    return slices_of(n_rows, rows_within(budget, width, least))
