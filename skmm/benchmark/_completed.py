"""The strong cheap rivals where modalities are missing: a normal model, and a kernel on it."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy import linalg
from scipy.spatial.distance import pdist
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skmm._random import check_random_state
from skmm.compose import GaussianImputer

Array = np.ndarray
MOST_ROWS = 2000
WIDTHS = (0.3, 1.0, 3.0)  # of the kernel, in median distances between rows
PENALTIES = np.logspace(-5, 2, 22)


class GaussianModel(GaussianImputer):
    """The normal distribution by which `GaussianImputer` fills, as it predicts and draws."""

    def translate(self, X: Any, to: str) -> Any:
        """Return the expectation of a modality given the others of `X`."""
        return self.transform(self._without(X, to))[to]

    def sample(self, n_samples: int = 1, *, given: Any, random_state: Any = None) -> list[Any]:
        """Return `given` with what is missing drawn, so many times."""
        rng, X = check_random_state(random_state), self._check(given, reset=False)
        rows = self._rows(X)
        draws = (self._gaussian.draw_given(rows, rng) for _ in range(n_samples))
        return [self._schema.fill(given, None, self._by_modality(drawn)) for drawn in draws]

    def _without(self, X: Any, name: str) -> Any:
        return X.select([other for other in X.names if other != name])


class RBFRidge(RegressorMixin, BaseEstimator):
    """Kernel ridge regression whose width and penalty have the least leave-one-out error.

    Of more than MOST_ROWS rows so many are drawn. The error is closed: that of the fit to all rows,
    divided by 1 less the row's leverage, of which 1 / n is the mean's.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=0
        Draws the rows.
    """

    def __init__(self, *, random_state: Any = 0) -> None:
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Choose width and penalty; rows whose target is NaN are left out."""
        X, y = validate_data(self, X), np.asarray(y, dtype=float)
        known = np.flatnonzero(np.isfinite(y.reshape(len(y), -1)).all(axis=1))
        if len(known) > MOST_ROWS:
            known = check_random_state(self.random_state).permutation(known)[:MOST_ROWS]
        self._rows, self._mean = X[known], y[known].mean(axis=0)
        distances = pdist(self._rows)
        apart = distances[distances > 0]  # rows that lack all inputs are alike
        median = float(np.median(apart)) if len(apart) else 1.0
        fits = [self._fit(median * width, y[known] - self._mean) for width in WIDTHS]
        self.error_, self.penalty_, self.width_, self._dual = min(fits, key=lambda found: found[0])
        self._level = rbf(self._rows, self._rows, self.width_).mean(axis=0)
        return self

    def predict(self, X: Any) -> Array:
        """Return the predicted targets."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        kernel = rbf(X, self._rows, self.width_)
        return self._mean + (kernel - self._level) @ self._dual

    def _fit(self, width: float, y: Array) -> tuple[float, float, float, Array]:
        """Return the least leave-one-out error, its penalty, the width and dual weights."""
        kernel = rbf(self._rows, self._rows, width)
        kernel -= kernel.mean(axis=0)
        kernel -= kernel.mean(axis=1, keepdims=True)
        values, vectors = linalg.eigh(kernel)
        values, along = np.maximum(values, 0.0), vectors.T @ y
        errors = [loo_error(values, vectors, along, y, penalty) for penalty in PENALTIES]
        best = PENALTIES[int(np.argmin(errors))]
        dual = (vectors / (values + best)) @ along
        return min(errors), best, width, dual - dual.mean(axis=0)


def rbf(X: Array, Y: Array, width: float) -> Array:
    """Return exp(-d² / (2 width²)) of all pairs of rows."""
    squares = (X**2).sum(axis=1)[:, None] + (Y**2).sum(axis=1) - 2.0 * X @ Y.T
    return np.exp(-np.maximum(squares, 0.0) / (2.0 * width**2))


def loo_error(values: Array, vectors: Array, along: Array, y: Array, penalty: float) -> float:
    """Return the mean squared leave-one-out error of centred kernel ridge regression.

    Parameters
    ----------
    values, vectors : ndarray of shape (n,), (n, n)
        Eigenvalues and eigenvectors of the centred kernel.
    along : ndarray of shape (n, ...)
        ``vectors.T @ y``.
    y : ndarray of shape (n, ...)
        Centred target.
    penalty : float
        What is added to the eigenvalues.
    """
    gain = values / (values + penalty)
    left = y - (vectors * gain) @ along
    free = 1.0 - (vectors**2) @ gain - 1.0 / len(y)  # the mean takes its share, too
    return float(np.mean((left.T / np.maximum(free, 1e-9)) ** 2))
