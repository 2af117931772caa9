"""Incomplete rows by pattern: which columns they have, and the few further entries they lack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from skmm._modalities._chunks import row_chunks

Array = np.ndarray
MOST_SLICES = 64  # of a block that is moved slice by slice
MOST_GAPS = 0.25  # of the columns of its modalities: a row that lacks more is a pattern of its own


@dataclass(frozen=True)
class Gaps:
    """Rows of a group that each lack the same number of further entries."""

    rows: Array  # (m,) into the rows of the group
    columns: Array  # (m, k) into the columns of the group

    def parts(self) -> Iterator[Gaps]:
        """Yield the rows some at a time, of which matrices (k, k) fit into memory."""
        n_rows, k = self.columns.shape
        for part in row_chunks(n_rows, k * k):
            yield Gaps(self.rows[part], self.columns[part])


@dataclass(frozen=True)
class Group:
    """Rows that have the same columns but for a few entries.

    Attributes
    ----------
    rows : ndarray of int (m,)
        Into the rows of the matrix.
    observed, missing : ndarray of int (p,), (d - p,)
        Columns.
    gaps : tuple of Gaps
        Further entries that rows lack, by how many a row lacks.
    """

    rows: Array
    observed: Array
    missing: Array
    gaps: tuple[Gaps, ...]

    def only(self, kept: Array) -> Group:
        """Return the group without rows (m,) that have no gaps."""
        place = np.cumsum(kept) - 1
        gaps = tuple(Gaps(place[gap.rows], gap.columns) for gap in self.gaps)
        return Group(self.rows[kept], self.observed, self.missing, gaps)


def groups(values: Array, blocks: Sequence[slice]) -> Iterator[Group]:
    """Yield the rows of a matrix by the modalities that they have.

    Parameters
    ----------
    values : ndarray of shape (n, d)
        NaN where an entry is missing.
    blocks : sequence of slice
        The columns of each modality. A modality of which a row has nothing belongs to the pattern;
        other gaps are the row's own, unless they are many.
    """
    seen = ~np.isnan(values)
    has = np.zeros_like(seen)
    for block in blocks:
        has[:, block] = seen[:, block].any(axis=1, keepdims=True)
    lacking = (has & ~seen).sum(axis=1)
    many = lacking > MOST_GAPS * has.sum(axis=1)
    has[many] = seen[many]
    for mask, rows in _alike(has):
        observed = np.flatnonzero(mask)
        gaps = _gaps(~seen[np.ix_(rows, observed)])
        yield Group(rows, observed, np.flatnonzero(~mask), gaps)


def side_by_side(widths: Sequence[int]) -> list[slice]:
    """Return the columns of modalities of these widths."""
    ends = np.cumsum([0, *widths]).tolist()
    return [slice(a, b) for a, b in pairwise(ends)]


def block_at(matrix: Array, rows: Array, columns: Array) -> Array:
    """Return ``matrix[np.ix_(rows, columns)]``, by slices where most numbers follow each other."""
    found = np.empty((len(rows), len(columns)))
    for part, place in _slices(rows, columns):
        found[part] = matrix[place]
    return found


def add_at(matrix: Array, rows: Array, columns: Array, block: Array) -> None:
    """Add to ``matrix[np.ix_(rows, columns)]``, by slices where most numbers follow each other."""
    for part, place in _slices(rows, columns):
        matrix[place] += block[part]


def _slices(rows: Array, columns: Array) -> Iterator[tuple[Any, Any]]:
    """Yield parts of a block, and their places in the matrix; fancy indexing is slower."""
    here, there = _runs(rows), _runs(columns)
    if len(here) * len(there) > MOST_SLICES:
        yield slice(None), np.ix_(rows, columns)
        return
    for i, k in here:
        for j, m in there:
            yield (i, j), (k, m)


def _runs(numbers: Array) -> list[tuple[slice, slice]]:
    """Return where consecutive numbers stand, and the slices that they make."""
    cuts = [0, *(np.flatnonzero(np.diff(numbers) != 1) + 1).tolist(), len(numbers)]
    return [
        (slice(a, b), slice(int(numbers[a]), int(numbers[a]) + b - a))
        for a, b in pairwise(cuts)
        if b > a
    ]


def _alike(masks: Array) -> Iterator[tuple[Array, Array]]:
    """Yield each mask (d,), and which rows have it; the order does not depend on that of rows."""
    if not masks.size:
        return
    packed = np.packbits(masks, axis=1)
    content, width = packed.tobytes(), packed.shape[1]
    keys = [content[start : start + width] for start in range(0, len(content), width)]
    rows_of: dict[bytes, list[int]] = {}
    for row, key in enumerate(keys):  # by hashing; np.unique would sort all rows
        rows_of.setdefault(key, []).append(row)
    for key in sorted(rows_of):
        yield masks[rows_of[key][0]], np.array(rows_of[key])


def _gaps(lacks: Array) -> tuple[Gaps, ...]:
    sizes, found = lacks.sum(axis=1), []
    for size in np.unique(sizes[sizes > 0]):
        rows = np.flatnonzero(sizes == size)
        columns = np.nonzero(lacks[rows])[1].reshape(len(rows), size)
        found.append(Gaps(rows, columns))
    return tuple(found)
