"""How much to shrink a covariance so that each modality is best predicted from the others.

In (1 - c) S + c I the expectation of a modality given the others is ridge regression on the
standardised columns, with the penalty ``c / (1 - c)`` on moments divided by the number n of rows.
Its generalised cross-validation, the leave-one-out error with the mean leverage in place of each
row's, follows for every penalty from moments and one eigendecomposition.

What is chosen is the number of pseudo-observations ``v = n c / (1 - c)``, the strength of the
prior. Where a modality misses in a share of the rows, its expectation by EM is the ridge regression
of the rows that have it with the same v (each step moves the covariances with it by that share
alone), so that v is judged on these rows and serves for all.

G. H. Golub, M. Heath and G. Wahba, "Generalized cross-validation as a method for choosing a good
ridge parameter", Technometrics 21 (1979).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import linalg

Array = np.ndarray
STRENGTHS = np.logspace(-3, 6, 73)
RANK = 1e-10  # of the largest eigenvalue
EXACT = 1e-4  # share of the target's variance below which a fit interpolates
FIRST = 0.3  # shrinkage that suits few rows, before one is chosen


def best_shrinkages(
    errors: Sequence[Array], n_rows: float, total: Array | None = None
) -> tuple[float, tuple[float, ...]]:
    """Return the shrinkage of least error for all modalities together, and for each.

    `errors` are those of `prediction_errors`, for each modality; their sum judges them together,
    or `total`. Where no row could judge (all are 0, or infinite) it is FIRST, or the joint one.
    """

    def best(error: Array, otherwise: float) -> float:
        if not error.any() or not np.isfinite(error).any():
            return otherwise
        strength = float(STRENGTHS[np.argmin(error)])
        return strength / (n_rows + strength)

    joint = best(np.sum(errors, axis=0) if total is None else total, FIRST)
    return joint, tuple(best(error, joint) for error in errors)


def prediction_errors(inputs: Array, across: Array, square: float, n_rows: float) -> Array:
    """Return the generalised cross-validation error (73,) of each of STRENGTHS.

    Parameters
    ----------
    inputs : ndarray of shape (p, p)
        Covariance of the inputs on the rows that have the target.
    across : ndarray of shape (p, q)
        Covariance of the inputs with the target.
    square : float
        Sum of the target's variances.
    n_rows : float
        Number of these rows.
    """
    values, vectors = linalg.eigh(inputs, check_finite=False)
    values = np.maximum(values, 0.0)
    along = ((vectors.T @ across) ** 2).sum(axis=1)  # (p,)
    penalties = STRENGTHS / n_rows
    gain = 1.0 / (values + penalties[:, None])  # (73, p)
    left = square - 2.0 * gain @ along + (gain**2) @ (values * along)
    # Rows that are repeated are no further witnesses: where a weak penalty fits the target exactly,
    # and not for want of columns, the rank tells how many rows there are.
    rank = int((values > RANK * values[-1:].max(initial=0.0)).sum())
    if left[0] <= EXACT * square and rank + 1 > n_rows / 10:
        n_rows = min(n_rows, rank + 1.0)
    free = 1.0 - (gain @ values + 1.0) / n_rows  # the mean takes a degree of freedom as well
    usable = free > 1e-3
    return np.where(usable, np.maximum(left, 0.0) / np.where(usable, free, 1.0) ** 2, np.inf)


def column_errors(covariance: Array, n_rows: float) -> Array:
    """Return the errors (73,) of predicting each column from all others, as `prediction_errors`.

    With P = (S + penalty)⁻¹ the residual of column j is (P x)_j / P_jj, and the inverse without
    column j is P less its j-th column times itself over P_jj: one decomposition of S is enough.
    """
    values, vectors = linalg.eigh(covariance, check_finite=False)
    values, penalties = np.maximum(values, 0.0), STRENGTHS[:, None] / n_rows
    gain, squares = 1.0 / (values + penalties), (vectors**2).T
    own, twice = gain @ squares, (gain**2) @ squares  # P_jj and (P P)_jj (73, d)
    left = ((gain**2 * values) @ squares) / own**2
    trace = gain.sum(axis=1, keepdims=True) - twice / own  # of the inverse without column j
    free = 1.0 - (len(values) - penalties * trace) / n_rows
    usable = free > 1e-3
    errors = np.where(usable, left / np.where(usable, free, 1.0) ** 2, np.inf)
    return np.asarray(errors.sum(axis=1))
