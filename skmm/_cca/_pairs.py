"""Pearson's correlations of the training projections, on the rows that have both of a pair.

Where something is missing they differ from those of the solution, which are of complete rows as
their distribution expects them. Projections are centred around the means of each modality and have
about unit variance, so that plain sums cost no digits.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from skmm._cca._model import Model
from skmm._linalg import CONSTANT, row_chunks
from skmm._modalities import Modalities, missing_mask

Array = np.ndarray


@dataclass
class PairSums:
    """Weighted sums over the rows that have both modalities i and j.

    Attributes
    ----------
    counts : ndarray (M, M)
    sums, squares : ndarray (M, M, k)
        Of the projections of i, and of their squares.
    products : ndarray (M, M, k)
        Of the projections of both.
    """

    counts: Array
    sums: Array
    squares: Array
    products: Array

    @classmethod
    def empty(cls, n_modalities: int, k: int) -> Self:
        """Start with no row."""
        shape = (n_modalities, n_modalities)
        return cls(np.zeros(shape), *(np.zeros((*shape, k)) for _ in range(3)))

    @classmethod
    def of_rows(cls, model: Model, X: Modalities, weight: Array | None) -> Self:
        """Project the rows of X, some at a time."""
        total = cls.empty(len(X.names), model.n_components)
        for rows in row_chunks(len(X), sum(X[name].shape[1] for name in X.names)):
            part = X[rows]
            total._add(model, part, np.ones(len(part)) if weight is None else weight[rows])
        return total

    def _add(self, model: Model, X: Modalities, weight: Array) -> None:
        there = ~missing_mask(X)
        U = np.stack([np.where(h[:, None], u, 0.0)
                      for h, u in zip(there.T, model.codes(X).values(), strict=True)])  # fmt: skip
        weighted = there * weight[:, None]
        self.counts += weighted.T @ there
        self.sums += np.einsum("rj,irk->ijk", weighted, U)
        self.squares += np.einsum("rj,irk->ijk", weighted, U**2)
        self.products += np.einsum("irk,jrk->ijk", U * weight[:, None], U)

    def correlations(self, shared: Array) -> Array:
        """Return the correlations (k, M, M).

        They are NaN where fewer than two rows have both (`shared` counts them), and 0 where a
        modality has no part in a component.
        """
        # Each pair has its own rows, hence its own means and variances of either modality:
        # [i, j] holds those of i on the rows that also have j.
        counts = np.where(self.counts > 0, self.counts, 1.0)[..., None]  # (M, M, 1)
        mean = self.sums / counts
        variance = np.maximum(self.squares / counts - mean**2, 0.0)
        deviation = np.sqrt(np.where(variance > CONSTANT**2, variance, np.inf))
        covariance = self.products / counts - mean * mean.swapaxes(0, 1)
        found = np.clip(covariance / (deviation * deviation.swapaxes(0, 1)), -1.0, 1.0)
        found[shared < 2] = np.nan
        return np.ascontiguousarray(np.moveaxis(found, -1, 0))
