"""The Gaussian of a factor model: codes given what rows have, expectations, draws, likelihood.

Columns are x = mu + W z + e with z ~ N(0, I) and independent e of variance psi, so that their
covariance is W W' + diag(psi). Given the columns o that a row has, z is normal with precision
``L = I + W_o' diag(1 / psi_o) W_o`` and mean ``L^-1 W_o' diag(1 / psi_o) (x_o - mu_o)``. One L
serves all rows that have the same columns, and the density follows from it without any matrix of
the columns' size (Woodbury)::

    log|C_o| = log|L| + sum log psi_o,
    (x - mu)' C_o^-1 (x - mu) = sum (x - mu)^2 / psi - h' L^-1 h,
    h = W_o' diag(1 / psi_o) (x_o - mu_o).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from skmm._group_factor_analysis._gaps import Gaps

Array = np.ndarray


@dataclass(frozen=True)
class Given:
    """Rows that have the same columns, and what these say of z.

    Attributes
    ----------
    rows : ndarray of int (r,)
    root : ndarray (k, k)
        Lower Cholesky factor of L.
    information : ndarray (r, k)
        h.
    """

    rows: Array
    root: Array
    information: Array

    def mean(self) -> Array:
        """Return E[z] (r, k)."""
        return linalg.cho_solve((self.root, True), self.information.T).T

    def draws(self, n_draws: int, rng: np.random.RandomState) -> Array:
        """Draw z several times (n_draws, r, k)."""
        noise = rng.standard_normal((n_draws, *self.information.shape))
        flat = noise.reshape(-1, noise.shape[2]).T
        turned = linalg.solve_triangular(self.root, flat, lower=True, trans="T").T
        return self.mean() + turned.reshape(noise.shape)

    def explained(self) -> Array:
        """Return h' L^-1 h (r,)."""
        return np.sum(
            linalg.solve_triangular(self.root, self.information.T, lower=True) ** 2, axis=0
        )

    def log_det(self) -> float:
        """Return log|L|."""
        return 2.0 * float(np.log(np.diag(self.root)).sum())


@dataclass(frozen=True)
class FactorGaussian:
    """Loadings W (d, k) and noise variances psi (d,) of centred columns that all vary."""

    loadings: Array
    noise: Array

    def given(self, x: Array) -> Iterator[Given]:
        """Yield what rows (n, d), NaN where nothing is observed, say of z; patterns one by one."""
        observed = ~np.isnan(x)
        gaps, x = Gaps.of(observed), np.where(observed, x, 0.0)
        scaled = self.loadings / self.noise[:, None]
        information = x @ scaled
        parts = gaps.columns().products(self.loadings, scaled)
        for patterns, rows in gaps.rows().within(scaled.shape[1]):
            for L, here in zip(gaps.precisions(parts, patterns), rows, strict=True):
                yield Given(here, linalg.cholesky(L, lower=True), information[here])

    def weights(self) -> Array:
        """Return V (d, k) with which E[z] of a row that has everything is x V."""
        scaled = self.loadings / self.noise[:, None]
        L = np.eye(scaled.shape[1]) + self.loadings.T @ scaled
        return linalg.solve(L, scaled.T, assume_a="pos").T

    def posterior_mean(self, x: Array) -> Array:
        """Return E[z] of each row (n, k)."""
        found = np.empty((len(x), self.loadings.shape[1]))
        for given in self.given(x):
            found[given.rows] = given.mean()
        return found

    def posterior_draws(self, x: Array, n_draws: int, rng: np.random.RandomState) -> Array:
        """Draw z of each row several times (n_draws, n, k)."""
        found = np.empty((n_draws, len(x), self.loadings.shape[1]))
        for given in self.given(x):
            found[:, given.rows] = given.draws(n_draws, rng)
        return found

    def decode(self, Z: Array, part: slice, rng: np.random.RandomState | None = None) -> Array:
        """Return the columns of a part that go with codes (n, d); with `rng` their noise, too."""
        found = Z @ self.loadings[part].T
        if rng is not None:
            found += np.sqrt(self.noise[part]) * rng.standard_normal(found.shape)
        return found

    def log_density(self, x: Array) -> Array:
        """Return the log-density of what each row has (n,)."""
        observed = ~np.isnan(x)
        distance = np.sum(np.where(observed, x, 0.0) ** 2 / self.noise, axis=1)
        log_det = observed @ np.log(2.0 * np.pi * self.noise)
        for given in self.given(x):
            distance[given.rows] -= given.explained()
            log_det[given.rows] += given.log_det()
        return -0.5 * (np.maximum(distance, 0.0) + log_det)
