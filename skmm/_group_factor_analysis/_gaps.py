"""Which entries are observed: rows fall into few patterns, and columns into few groups."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from skmm._modalities._chunks import CACHE, SMALL, row_chunks

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

    def rows(self) -> "Members":
        """Return the rows of each pattern."""
        return Members.of(self.pattern, self.n_patterns)

    def columns(self) -> "Members":
        """Return the columns of each group."""
        return Members.of(self.group, self.n_groups)

    def per_row(self, values: Array) -> Array:
        """Add values (G, ...) over the groups that each row has, (n, ...)."""
        flat = values.reshape(len(values), -1)
        return (self.seen @ flat)[self.pattern].reshape(-1, *values.shape[1:])

    def precisions(self, parts: Array, patterns: Array) -> Array:
        """Return I + the sum of parts (G, k, k) over the groups that each of the patterns has."""
        k = parts.shape[1]
        summed = self.seen[patterns].astype(float) @ parts.reshape(len(parts), -1)
        return np.eye(k) + summed.reshape(-1, k, k)

    def per_group(self, values: Array) -> Array:
        """Add values (P, ...) over the patterns that have each group, (G, ...)."""
        flat = values.reshape(len(values), -1)
        return (self.seen.T @ flat).reshape(-1, *values.shape[1:])


@dataclass(frozen=True)
class Members:
    """Which rows belong to each pattern, or which columns to each group.

    Thousands of patterns with a row each would be thousands of calls, so that those with equally
    many members are computed together.

    Attributes
    ----------
    n : int
        Number of sets.
    batches : list of (ndarray (g,), ndarray (g, s))
        Sets that have s members, and these.
    """

    n: int
    batches: list[tuple[Array, Array]]

    @classmethod
    def of(cls, numbers: Array, n: int) -> Self:
        """Sort the sets by their size."""
        size, order = np.bincount(numbers, minlength=n), np.argsort(numbers, kind="stable")
        first, found = np.cumsum(size) - size, []
        for s in np.unique(size[size > 0]):
            these = np.flatnonzero(size == s)
            found.append((these, order[first[these, None] + np.arange(s)]))
        return cls(n, found)

    def of_sets(self, wanted: Array) -> Self:
        """Return some of the sets (n,) under the numbers that they have."""
        kept = [(these[wanted[these]], places[wanted[these]]) for these, places in self.batches]
        return replace(self, batches=kept)

    def within(self, k: int) -> Iterator[tuple[Array, Array]]:
        """Yield the batches, in chunks of which matrices (k, k) and rows of k stay in the cache."""
        for these, places in self.batches:
            for chunk in row_chunks(len(these), k * max(k, places.shape[1]), CACHE):
                yield these[chunk], places[chunk]

    def chunks(self, k: int) -> Iterator[tuple[Array, list[Array]]]:
        """Yield sets (g,) of which matrices (k, k) are computed at once, and their batches."""
        sets: list[Array] = []
        batches: list[Array] = []
        for these, places in self.within(k):
            sets.append(these)
            batches.append(places)
            if k * k * sum(map(len, sets)) > SMALL:
                yield np.concatenate(sets), batches
                sets, batches = [], []
        if sets:
            yield np.concatenate(sets), batches

    def sums(self, values: Array) -> Array:
        """Return the sums of values (N, k) over each set (n, k)."""
        found = np.zeros((self.n, values.shape[1]))
        for these, places in self.batches:
            found[these] = values[places].sum(axis=1)
        return found

    def products(self, left: Array, right: Array) -> Array:
        """Return the sums of outer products of rows (N, k) over each set (n, k, k)."""
        k = left.shape[1]
        found = np.zeros((self.n, k, k))
        for these, places in self.within(k):
            found[these] = left[places].transpose(0, 2, 1) @ right[places]
        return found

    def times(self, rows: Array, matrices: Array) -> Array:
        """Return rows (N, k), each times the matrix (n, k, k) of its set."""
        found = np.empty_like(rows)
        for these, places in self.within(rows.shape[1]):
            found[places] = rows[places] @ matrices[these]
        return found


def inverse_roots(positive: Array) -> tuple[Array, Array]:
    """Return B with B B' the inverses of matrices (g, k, k), and the log-determinants of these."""
    roots = np.linalg.cholesky(positive)
    log_det = -2.0 * np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
    return _inverse_of_lower(roots).transpose(0, 2, 1), log_det


def _inverse_of_lower(roots: Array) -> Array:
    """Return the inverses of lower triangles, block by block: LAPACK is slow on small ones."""
    k = roots.shape[1]
    if k == 1:
        return 1.0 / roots
    found, half = np.zeros_like(roots), k // 2
    found[:, :half, :half] = above = _inverse_of_lower(roots[:, :half, :half])
    found[:, half:, half:] = below = _inverse_of_lower(roots[:, half:, half:])
    found[:, half:, :half] = -below @ (roots[:, half:, :half] @ above)
    return found


def _distinct(bits: Array) -> tuple[Array, Array]:
    """Return the first of each kind of row, and the number of each row's kind."""
    if bits.all():
        return np.zeros(1, dtype=int), np.zeros(len(bits), dtype=int)
    packed = np.packbits(bits, axis=1)
    _, first, number = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    return first, number.reshape(-1)
