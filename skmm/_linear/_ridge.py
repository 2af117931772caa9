"""Ridge regression of numbers, its penalties chosen by closed-form leave-one-out.

With the eigenvalues l of the centred Gram matrix and the rows U of its eigenvectors, the fit of a
row at penalty k has the leverage h = sum U² l / (l + k), and 1 / n for the mean. Its error when it
is left out is its residual over 1 - h. Penalties are chosen within the rows that a fit sees: models
whose outputs are out-of-fold know nothing of the rows held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skmm._linalg import psd_eigh
from skmm._linear._columns import Columns
from skmm._linear._model import Fold, LinearFit, LinearModel, check_weight, pooled, usable
from skmm._modalities._values import Array

# Multiples of the sum of the eigenvalues, from hardly any penalty to nothing but the mean.
PENALTIES = np.logspace(-6, 2, 17)
COMMON = 0.5  # share of the errors of all targets in the choice for one
EXACT = 1e-9  # share of a row that its own fit leaves free, where it interpolates


def fit_ridge(
    columns: Columns,
    Z: Array,
    target: Array,
    splits: Sequence[Fold] = (),
    weight: Array | None = None,
) -> LinearFit:
    """Fit a ridge regression, each target with the penalty of least leave-one-out error.

    Parameters
    ----------
    columns : Columns
        Of which the model makes its matrix.
    Z : ndarray of shape (n, p)
        The matrix of the training rows.
    target : ndarray of shape (n, q)
        Standardised numbers.
    splits : sequence of pairs of ndarray
        Training and held-out rows, of the out-of-fold outputs.
    weight : ndarray of shape (n,), default=None
        Of the rows; those of weight 0 are predicted alone.

    Returns
    -------
    fit : LinearFit
        Outputs are expected numbers.
    """
    weight = check_weight(weight, len(Z))
    held_out = []
    for train, valid in usable(splits, weight):
        part = Ridge.of(Z[train], target[train], weight[train])
        held_out.append((valid, part.outputs(Z[valid])))
    used = weight > 0
    whole = Ridge.of(Z[used], target[used], weight[used])
    left_out = np.full(target.shape, np.nan)
    left_out[used] = whole.left_out
    oof = pooled(held_out, *target.shape)
    return LinearFit(LinearModel(columns, *whole.coefficients()), oof, whole.penalties, left_out)


@dataclass(frozen=True)
class Ridge:
    """A ridge regression of some rows.

    Attributes
    ----------
    axes : ndarray (p, r)
        Directions, as orthonormal columns.
    along : ndarray (r, q)
        Coefficients.
    mean, level : ndarray (p,), (q,)
        Means of the columns and of the targets.
    penalties : ndarray (q,)
    left_out : ndarray (n, q)
        Outputs for each row of the model of the others.
    """

    axes: Array
    along: Array
    mean: Array
    level: Array
    penalties: Array
    left_out: Array

    @classmethod
    def of(cls, Z: Array, target: Array, weight: Array) -> Ridge:
        """Fit rows of weights above 0."""
        mean, level = (np.average(a, axis=0, weights=weight) for a in (Z, target))
        root = np.sqrt(weight)[:, None]
        A, Y = (Z - mean) * root, (target - level) * root
        spectrum = Spectrum.of(A)
        along = spectrum.rows.T @ Y  # (r, q)
        lever = weight / weight.sum()

        def left_out(penalty: float, chosen: Any = slice(None)) -> Array:
            gain = spectrum.values / (spectrum.values + penalty)
            residuals = Y[:, chosen] - spectrum.rows @ (gain[:, None] * along[:, chosen])
            free = 1.0 - spectrum.rows**2 @ gain - lever
            return residuals / np.maximum(free, EXACT)[:, None]

        grid = PENALTIES * (spectrum.values.sum() or 1.0)
        best = best_penalties(np.array([(left_out(k) ** 2).sum(axis=0) for k in grid]))
        residuals = np.empty_like(Y)
        for k in np.unique(best):
            residuals[:, best == k] = left_out(grid[k], best == k)
        penalties = grid[best]
        size = np.sqrt(spectrum.values)[:, None]
        found = size * along / (spectrum.values[:, None] + penalties)
        left = target - residuals / root
        return cls(spectrum.axes, found, mean, level, penalties, left)

    def outputs(self, Z: Array) -> Array:
        """Return the outputs (n, q) of rows."""
        return self.level + ((Z - self.mean) @ self.axes) @ self.along

    def coefficients(self) -> tuple[Array, Array]:
        """Return coefficients (p, q) and intercept (q,)."""
        found = self.axes @ self.along
        return found, self.level - self.mean @ found


def best_penalties(errors: Array) -> Array:
    """Return which penalty (q,) each target takes, by errors (n_penalties, q) of all.

    A target is judged half by its own errors, half by those of all targets together, each relative
    to that of the strongest penalty, nearly the mean's: few rows cannot tell what one column needs.
    """
    worst = errors[-1]
    relative = errors / np.where(worst > 0, worst, 1.0)
    judged = (1.0 - COMMON) * relative + COMMON * relative.mean(axis=1, keepdims=True)
    return np.argmin(judged, axis=0)


class Spectrum(NamedTuple):
    """A matrix U diag(root of values) V' of rank r."""

    values: Array  # (r,)
    rows: Array  # U (n, r)
    axes: Array  # V (p, r)

    @classmethod
    def of(cls, A: Array) -> Spectrum:
        """Decompose a matrix (n, p) by the smaller of its Gram matrices."""
        if A.shape[0] > A.shape[1]:
            values, axes = psd_eigh(A.T @ A)
            return cls(values, A @ axes / np.sqrt(values), axes)
        values, rows = psd_eigh(A @ A.T)
        return cls(values, rows, A.T @ rows / np.sqrt(values))
