"""First and second moments of the modalities of rows, which can be added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas

Array = np.ndarray


@dataclass
class Moments:
    """Number, sums and products of complete rows.

    Sums are of x - shift, where the shift is about the mean, so that offsets cost no digits.
    Products are kept as BLAS leaves them: Fortran-ordered, of a block with itself only the lower
    triangle.
    """

    shifts: list[Array]
    weight: float  # of all rows
    n_rows: int  # with weight
    sums: list[Array]  # (d_m,)
    products: dict[tuple[int, int], Array]  # i <= j

    @classmethod
    def around(cls, shifts: Sequence[Array]) -> Moments:
        """Start empty, with given shifts."""
        widths = [len(shift) for shift in shifts]
        products = {
            (i, j): np.zeros((widths[i], widths[j]), order="F")
            for j in range(len(widths))
            for i in range(j + 1)
        }
        return cls(list(shifts), 0.0, 0, [np.zeros(width) for width in widths], products)

    def add(self, other: Moments) -> Moments:
        """Add moments around the same shifts."""
        self.weight += other.weight
        self.n_rows += other.n_rows
        for total, part in zip(self.sums, other.sums, strict=True):
            total += part
        for pair, product in other.products.items():
            self.products[pair] += product
        return self

    def copy(self) -> Moments:
        """Return moments that can be updated without changing these."""
        return Moments(
            [shift.copy() for shift in self.shifts],
            self.weight,
            self.n_rows,
            [total.copy() for total in self.sums],
            {pair: np.array(product, order="F") for pair, product in self.products.items()},
        )

    def means(self) -> list[Array]:
        """Mean (d_m,) of each block."""
        return [
            shift + total / self.weight for shift, total in zip(self.shifts, self.sums, strict=True)
        ]

    def covariances(self, overwrite: bool = False) -> dict[tuple[int, int], Array]:
        """Return the covariance (d_i, d_j) of each pair i <= j.

        With `overwrite` they take the place of the products, and the moments are spent.
        """
        result = {}
        for (i, j), product in self.products.items():
            S = product if overwrite else product.copy(order="F")
            S /= self.weight
            a, b = self.sums[i] / self.weight, self.sums[j] / self.weight
            blas.dger(-1.0, a, b, a=S, overwrite_a=True)
            if i == j:
                lower = np.tril(S)
                np.add(lower, np.tril(S, -1).T, out=S)
            result[i, j] = S
        return result
