"""Closeness of codes, in chunks of queries, with the margin within which two are tied."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from skmm._modalities._chunks import CACHE, row_chunks
from skmm.metrics._check import check_choice

Array = np.ndarray
SIMILARITIES = ("cosine", "correlation", "euclidean")
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Closeness:
    """Factors of the closeness: larger is closer, ``queries @ gallery.T``.

    ``query_sizes[i] + gallery_sizes[j]`` bounds the rounding error of entry (i, j). Two entries
    of a row that differ by no more than their bounds are tied.
    """

    queries: Array
    gallery: Array
    query_sizes: Array
    gallery_sizes: Array

    @classmethod
    def of(cls, queries: Array, gallery: Array, similarity: str) -> Self:
        """Prepare the comparison of the rows of two matrices of equal width."""
        check_choice("similarity", similarity, SIMILARITIES)
        queries, gallery = queries.astype(np.float64), gallery.astype(np.float64)
        rounding = (queries.shape[1] + 8) * EPS
        if similarity == "euclidean":
            # -|q - g|^2 but for |q|^2, which is the same for all candidates of a query.
            queries, gallery = _standardised(queries, gallery)
            q_squares, g_squares = np.sum(queries**2, axis=1), np.sum(gallery**2, axis=1)
            queries = np.column_stack([2 * queries, np.full(len(queries), -1.0)])
            gallery = np.column_stack([gallery, g_squares])
            return cls(queries, gallery, rounding * q_squares, rounding * g_squares)
        centre = similarity == "correlation"
        queries, gallery = _unit_rows(queries, centre), _unit_rows(gallery, centre)
        halves = [np.full(len(rows), rounding / 2) for rows in (queries, gallery)]
        return cls(queries, gallery, *halves)

    def chunks(self) -> Iterator[tuple[slice, Array, Array]]:
        """Yield slices of queries, their closeness to the gallery, and its error bounds."""
        for rows in row_chunks(len(self.queries), len(self.gallery), 2 * CACHE):
            bounds = self.query_sizes[rows, None] + self.gallery_sizes
            yield rows, self.queries[rows] @ self.gallery.T, bounds


def rivals(queries: Array, gallery: Array, similarity: str) -> tuple[Array, Array]:
    """Count for each query i the candidates closer than candidate i, and those tied with it.

    The match itself is not counted among the ties.
    """
    closer, tied = np.empty(len(queries), dtype=int), np.empty(len(queries), dtype=int)
    for rows, closeness, bounds in Closeness.of(queries, gallery, similarity).chunks():
        own = np.arange(len(closeness)), np.arange(rows.start, rows.stop)
        closeness -= closeness[own][:, None]
        bounds += bounds[own][:, None]
        closer[rows] = np.sum(closeness > bounds, axis=1)
        tied[rows] = np.sum(closeness >= -bounds, axis=1) - closer[rows] - 1
    return closer, tied


def _standardised(a: Array, b: Array) -> tuple[Array, Array]:
    """Move both to a common centre and scale: no digits are lost to offset or units."""
    centre = (a.mean(axis=0) + b.mean(axis=0)) / 2
    a, b = a - centre, b - centre
    size = max(np.abs(a).max(), np.abs(b).max())
    return (a / size, b / size) if size > 0 else (a, b)


def _unit_rows(a: Array, centre: bool) -> Array:
    """Return rows of unit length; zero rows (constant ones if centred) are similar to none."""
    size = np.abs(a).max(axis=1, keepdims=True)
    a = a / np.where(size > 0, size, 1.0)  # scaled first: squares cannot overflow
    if centre:
        a -= a.mean(axis=1, keepdims=True)
        a[np.abs(a).max(axis=1) <= 8 * EPS] = 0.0
    length = np.sqrt(np.sum(a**2, axis=1, keepdims=True))
    return a / np.where(length > 0, length, 1.0)
