"""First and second moments of the modalities of rows, which can be added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.linalg import blas

Array = np.ndarray


@dataclass
class Moments:
    """Counts, sums and products of modalities, over the rows that have both of a pair.

    Every pair uses all rows that have both, so that with missing modalities the covariances of
    different pairs come from different rows. Each is unbiased if rows are missing at random, but
    together they need not form a positive semi-definite matrix.

    Sums are of x - shift, where the shift is about the mean, so that offsets cost no digits.
    Products are kept as BLAS leaves them: Fortran-ordered, of a block with itself only the lower
    triangle. `gaps` is None unless Pearson's correlations of single pairs will be asked for.
    """

    shifts: list[Array]
    counts: Array  # (M, M): sum of weights of the rows that have both
    sums: list[Array]  # (d_m, M): column j sums over the rows that have m and j
    products: dict[tuple[int, int], Array]  # i <= j
    shared: Array  # (M, M): number of rows with weight that have both
    gaps: dict[tuple[int, int], Array] | None = None  # products of i where j is missing

    @classmethod
    def around(cls, shifts: Sequence[Array], *, pairs: bool = False) -> Moments:
        """Start empty, with given shifts."""
        n_blocks, widths = len(shifts), [len(shift) for shift in shifts]
        return cls(
            list(shifts),
            np.zeros((n_blocks, n_blocks)),
            [np.zeros((width, n_blocks)) for width in widths],
            {
                (i, j): np.zeros((widths[i], widths[j]), order="F")
                for j in range(n_blocks)
                for i in range(j + 1)
            },
            np.zeros((n_blocks, n_blocks), dtype=np.int64),
            {} if pairs else None,
        )

    def add(self, other: Moments) -> Moments:
        """Add moments around the same shifts."""
        self.counts += other.counts
        self.shared += other.shared
        for total, part in zip(self.sums, other.sums, strict=True):
            total += part
        for pair, product in other.products.items():
            self.products[pair] += product
        for pair, product in (other.gaps or {}).items():
            self.gap(*pair)[...] += product
        return self

    def copy(self) -> Moments:
        """Return moments that can be updated without changing these."""
        return Moments(
            [shift.copy() for shift in self.shifts],
            self.counts.copy(),
            [total.copy() for total in self.sums],
            {pair: np.array(product, order="F") for pair, product in self.products.items()},
            self.shared.copy(),
            None if self.gaps is None else {k: v.copy(order="F") for k, v in self.gaps.items()},
        )

    def gap(self, i: int, j: int) -> Array:
        """Return the products (d_i, d_i) over the rows that have i and lack j, to be added to."""
        gaps, width = cast(dict[tuple[int, int], Array], self.gaps), len(self.shifts[i])
        if (i, j) not in gaps:
            gaps[i, j] = np.zeros((width, width), order="F")
        return gaps[i, j]

    def centred_sum(self, i: int, j: int) -> Array:
        """Return the sum (d_i,) of x - mean over the rows that have i and j."""
        return self.sums[i][:, j] - self.counts[i, j] * self._mean(i)

    def scatter(self, i: int, j: int) -> Array:
        """Return the products (d_i, d_i) of x - mean over the rows that have i and j."""
        lower = self.products[i, i] - (self.gaps or {}).get((i, j), 0.0)
        whole = np.tril(lower) + np.tril(lower, -1).T
        a, s = self._mean(i), self.sums[i][:, j]
        return whole - np.outer(a, s) - np.outer(self.centred_sum(i, j), a)

    def co_scatter(self, i: int, j: int) -> Array:
        """Return the products (d_i, d_j) of x - mean and y - mean over the rows that have both."""
        if i == j:
            return self.scatter(i, i)
        whole = self.products[i, j] if i < j else self.products[j, i].T
        s = self.sums[j][:, i]
        return whole - np.outer(self._mean(i), s) - np.outer(self.centred_sum(i, j), self._mean(j))

    def means(self) -> list[Array]:
        """Mean (d_m,) of each block over the rows that have it."""
        return [shift + self._mean(m) for m, shift in enumerate(self.shifts)]

    def covariances(self, overwrite: bool = False) -> dict[tuple[int, int], Array]:
        """Return the covariance (d_i, d_j) of each pair i <= j, around each block's own mean.

        With `overwrite` they take the place of the products, and the moments are spent.
        """
        result = {}
        for (i, j), product in self.products.items():
            S = product if overwrite else product.copy(order="F")
            count = max(self.counts[i, j], np.finfo(np.float64).tiny)
            a, b = self._mean(i), self._mean(j)
            # sum (x - a)(y - b)' = sum xy' - a (sum y)' - (sum x) b' + count a b'
            left = np.stack([a, self.sums[i][:, j] - self.counts[i, j] * a], axis=1)
            right = np.stack([self.sums[j][:, i], b], axis=1)
            blas.dgemm(-1.0, left, right, 1.0, S, trans_b=True, overwrite_c=True)
            S /= count
            if i == j:
                lower = np.tril(S)
                np.add(lower, np.tril(S, -1).T, out=S)
            result[i, j] = S
        return result

    def _mean(self, m: int) -> Array:
        """Mean of x - shift."""
        return self.sums[m][:, m] / self.counts[m, m]
