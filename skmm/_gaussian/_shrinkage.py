"""How much to shrink a covariance so that each modality is best predicted from the others.

In (1 - c) S + c I the expectation of a modality given the others is ridge regression on the
standardised columns, with penalty ``rho = c / (1 - c)`` on moments divided by n. Its generalised
cross-validation, the leave-one-out error with the mean leverage in place of each row's, follows for
every c from moments and one eigendecomposition.

G. H. Golub, M. Heath and G. Wahba, "Generalized cross-validation as a method for choosing a good
ridge parameter", Technometrics 21 (1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

Array = np.ndarray
PENALTIES = np.logspace(-6, 2, 65)
SHRINKAGES = PENALTIES / (1.0 + PENALTIES)


@dataclass(frozen=True)
class Shrinkages:
    """Shrinkage for predicting each modality, and one for all of them together."""

    of: tuple[float, ...]
    joint: float


def choose(errors: Sequence[Array]) -> Shrinkages:
    """Return the shrinkages of least error; `errors` are those of `prediction_errors` each."""
    each = tuple(float(SHRINKAGES[np.argmin(error)]) for error in errors)
    return Shrinkages(each, float(SHRINKAGES[np.argmin(np.sum(errors, axis=0))]))


def prediction_errors(
    inputs: Array, across: Array, square: float, n_rows: float, known: Array | None = None
) -> Array:
    """Return the generalised cross-validation error of each of SHRINKAGES.

    Parameters
    ----------
    inputs : ndarray of shape (p, p)
        Covariance of the inputs on the n rows that have the target.
    across : ndarray of shape (p, q)
        Covariance of the inputs with the target.
    square : float
        Sum of the target's variances.
    n_rows : float
    known : ndarray of shape (p, p), default=None
        Covariance of what is known of the inputs, where they were completed.
    """
    values, vectors = linalg.eigh(inputs, check_finite=False)
    values = np.maximum(values, 0.0)
    along = ((vectors.T @ across) ** 2).sum(axis=1)  # (p,)
    gain = 1.0 / (values + PENALTIES[:, None])  # (65, p)
    left = square - 2.0 * gain @ along + (gain**2) @ (values * along)
    # The mean takes a degree of freedom as well.
    mine = values if known is None else np.einsum("ij,ij->j", vectors, known @ vectors)
    free = 1.0 - ((gain @ mine) + 1.0) / n_rows
    usable = free > 1e-3
    return np.where(usable, np.maximum(left, 0.0) / np.where(usable, free, 1.0) ** 2, np.inf)
