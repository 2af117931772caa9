"""Which entries are observed: rows fall into few patterns, and columns into few groups."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from skmm._modalities._chunks import LARGE, row_chunks

Array = np.ndarray


@dataclass(frozen=True)
class Gaps:
    """Rows of one pattern have the same columns; columns of one group are seen in the same rows.

    Attributes
    ----------
    pattern : ndarray of int (n,)
        Number of each row's pattern.
    group : ndarray of int (d,)
        Number of each column's group, whose columns have the same label.
    seen : ndarray of bool (P, G)
        Which patterns have which groups.
    """

    pattern: Array
    group: Array
    seen: Array

    @classmethod
    def of(cls, observed: Array, labels: Array | None = None) -> Self:
        """Find patterns and groups of observed entries (n, d), with one label for each column."""
        first_row, pattern = _distinct(observed)
        bits = observed[first_row].T  # (d, P)
        if labels is not None:
            bits = np.hstack([labels[:, None] == np.unique(labels), bits])
        first_column, group = _distinct(bits)
        return cls(pattern, group, observed[np.ix_(first_row, first_column)])

    @property
    def n_patterns(self) -> int:
        """Number of patterns P."""
        return len(self.seen)

    @property
    def n_groups(self) -> int:
        """Number of groups G."""
        return self.seen.shape[1]

    def rows(self) -> list[Array]:
        """Return the rows of each pattern."""
        return members(self.pattern, self.n_patterns)

    def columns(self) -> list[Array]:
        """Return the columns of each group."""
        return members(self.group, self.n_groups)

    def per_row(self, values: Array) -> Array:
        """Add values (G, ...) over the groups that each row has, (n, ...)."""
        flat = values.reshape(len(values), -1)
        return (self.seen @ flat)[self.pattern].reshape(-1, *values.shape[1:])

    def precisions(self, parts: Array) -> Iterator[tuple[slice, Array]]:
        """Yield patterns, and I + the sum of parts (G, k, k) over the groups that each has."""
        k = parts.shape[1]
        for chunk in row_chunks(self.n_patterns, k * k, LARGE):
            summed = self.seen[chunk].astype(float) @ parts.reshape(len(parts), -1)
            yield chunk, np.eye(k) + summed.reshape(-1, k, k)

    def per_group(self, values: Array) -> Array:
        """Add values (P, ...) over the patterns that have each group, (G, ...)."""
        flat = values.reshape(len(values), -1)
        return (self.seen.T @ flat).reshape(-1, *values.shape[1:])


def members(numbers: Array, n: int) -> list[Array]:
    """Return the positions of each of the numbers below n."""
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.cumsum(np.bincount(numbers, minlength=n))[:-1])


def _distinct(bits: Array) -> tuple[Array, Array]:
    """Return the first of each kind of row, and the number of each row's kind."""
    if bits.all():
        return np.zeros(1, dtype=int), np.zeros(len(bits), dtype=int)
    packed = np.packbits(bits, axis=1)
    _, first, number = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    return first, number.reshape(-1)
