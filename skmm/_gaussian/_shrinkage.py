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

import numpy as np
from scipy import linalg

Array = np.ndarray
STRENGTHS = np.logspace(-3, 6, 73)


def best_strength(errors: Array) -> float:
    """Return the strength of least error; `errors` are those of `prediction_errors`."""
    return float(STRENGTHS[np.argmin(errors)])


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
    free = 1.0 - (gain @ values + 1.0) / n_rows  # the mean takes a degree of freedom as well
    usable = free > 1e-3
    return np.where(usable, np.maximum(left, 0.0) / np.where(usable, free, 1.0) ** 2, np.inf)


def shrinkage_of(strength: float, n_rows: float) -> float:
    """Return the c of so many pseudo-observations beside so many rows."""
    return strength / (n_rows + strength)
