"""The Gaussian model that a fitted CCA stands for.

Modality m is normal with mean mu_m and covariance R_m, the training covariance S_m shrunk by c_m,
and depends on the others through its projections u_m = W_m' (x_m - mu_m) alone. The projections
are jointly normal with covariance C, whose blocks on the diagonal are W_m' R_m W_m and off it
``sqrt((1 - c_m)(1 - c_n)) W_m' S_mn W_n``: the covariance of all columns together, shrunk as each
modality is. For two modalities this is the probabilistic reading of Bach & Jordan (2005):
``C_mn = diag(rho)`` and a latent z of unit variance with ``E[u_m | z] = sqrt(rho) z``.

With shrinkage 0 the conditional means are least squares regressions through the projections, with
shrinkage c they are ridge regressions with penalty ``c t / (1 - c)``.

References
----------
F. Bach and M. Jordan, "A probabilistic interpretation of canonical correlation analysis",
Technical Report 688, University of California, Berkeley (2005).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skmm._cca._covariance import Covariance, draw_normal
from skmm._linalg import psd_eigh, psd_pinv

Array = np.ndarray


@dataclass(frozen=True)
class Margin:
    """The normal distribution of one modality, in its standardised columns.

    Constant columns keep their value: they have no variance in the model either.
    """

    covariance: Covariance
    shrinkage: float
    mean_variance: float
    scales: Array
    varying: Array

    def sample(self, n_samples: int, rng: np.random.RandomState) -> Array:
        """Draw (n_samples, d) centred rows in the original units."""
        rows = self.covariance.draw(n_samples, rng) * np.sqrt(1.0 - self.shrinkage)
        if self.shrinkage > 0:
            noise = rng.standard_normal(rows.shape) * self.varying
            rows += np.sqrt(self.shrinkage * self.mean_variance) * noise
        return rows * np.where(self.varying, self.scales, 0.0)

    def log_density(self, x: Array) -> Array:
        """Return the log-density (n,) of centred rows in the original units.

        Where S is singular and nothing is shrunk it is the density within the range of S.
        """
        x = x / np.where(self.varying, self.scales, np.inf)
        values = self.covariance.values
        floor = self.shrinkage * self.mean_variance
        shrunk = (1.0 - self.shrinkage) * values + floor
        # R = (1 - c) S + c t I: along the eigenvectors of S its eigenvalues are `shrunk` (r,), in
        # the rest of the space they are all c t, so that the squared length outside is enough.
        inside = self.covariance.coordinates(x)  # (n, r)
        distance = np.sum(inside**2 / shrunk, axis=1)
        n_free, log_det = len(values), float(np.sum(np.log(shrunk)))
        if floor > 0:
            outside = np.maximum(np.sum(x**2, axis=1) - np.sum(inside**2, axis=1), 0.0)
            distance += outside / floor
            n_columns = int(self.varying.sum())
            log_det += (n_columns - n_free) * np.log(floor)
            n_free = n_columns
        log_det += 2 * float(np.sum(np.log(self.scales)))  # from standardised to original units
        return -0.5 * (distance + log_det + n_free * np.log(2 * np.pi))


@dataclass(frozen=True)
class CanonicalGaussian:
    """Conditional means, draws and likelihood; modalities are numbered, all centred.

    Parameters
    ----------
    weights : list of ndarray (d_m, k)
        Original units.
    loadings : list of ndarray (d_m, k)
        Covariance of the columns with their own projections in the model, R W.
    joint : ndarray (M k, M k)
        C of the module's text.
    margins : sequence of Margin
    """

    weights: list[Array]
    loadings: list[Array]
    joint: Array
    margins: Sequence[Margin]

    @property
    def _size(self) -> int:
        return self.weights[0].shape[1]

    def _columns(self, which: Sequence[int]) -> Array:
        """Return the positions of the projections of these modalities in the joint."""
        return np.concatenate([np.arange(m * self._size, (m + 1) * self._size) for m in which])

    def _block(self, rows: Sequence[int], columns: Sequence[int]) -> Array:
        return self.joint[np.ix_(self._columns(rows), self._columns(columns))]

    def regression(self, to: Sequence[int], given: Sequence[int]) -> Array:
        """Return B with E[u_to | u_given] = u_given @ B."""
        return psd_pinv(self._block(given, given)) @ self._block(given, to)

    def decode(self, m: int, codes: Array) -> Array:
        """Return E[x_m - mu_m | u_m] of codes (n, k)."""
        return codes @ (psd_pinv(self._block([m], [m])) @ self.loadings[m].T)

    def latent_scale(self) -> Array:
        """Return s (k,) with E[z | all] = s * (mean of the projections).

        With equal correlations rho between the M unit-variance projections of a component, the
        one latent variable behind them has this posterior mean; a component whose projections do
        not agree on average has none (s = 0).
        """
        n_modalities, k = len(self.weights), self._size
        variance = np.diag(self.joint).reshape(n_modalities, k)
        deviation = np.sqrt(np.where(variance > 0, variance, np.inf))
        pairs = [
            np.diag(self._block([i], [j])) / (deviation[i] * deviation[j])
            for j in range(n_modalities)
            for i in range(j)
        ]
        rho = np.clip(np.mean(pairs, axis=0), 0.0, 1.0)
        size = np.sqrt(np.mean(variance, axis=0))
        s = n_modalities * np.sqrt(rho) / (1.0 + (n_modalities - 1) * rho)
        return s / np.where(size > 0, size, np.inf)

    def posterior_mean(self, codes: Array, given: Sequence[int]) -> Array:
        """Return E[z | u_given] (n, k) of codes (n, len(given) k)."""
        every = range(len(self.weights))
        expected = codes @ self.regression(every, given)
        mean = expected.reshape(len(codes), len(every), self._size).mean(axis=1)
        return mean * self.latent_scale()

    def sample_codes(
        self, n_samples: int, rng: np.random.RandomState, to: Sequence[int],
        given: Sequence[int] = (), codes: Array | None = None,
    ) -> Array:  # fmt: skip
        """Draw the projections of `to`, (n_samples, len(to) k), given those of `given`."""
        # Conditional normal: mean u_given B, covariance C_tt - C_tg B with B = C_gg^+ C_gt.
        covariance, mean = self._block(to, to), 0.0
        if len(given):
            B = self.regression(to, given)
            covariance, mean = covariance - self._block(to, given) @ B, codes @ B
        return mean + draw_normal(n_samples, *psd_eigh(covariance), rng)

    def sample_rows(self, m: int, codes: Array, rng: np.random.RandomState) -> Array:
        """Draw centred rows of modality m whose projections are `codes`."""
        free = self.margins[m].sample(len(codes), rng)
        # What a modality has beside its projections does not depend on the other modalities: a
        # free draw is right but for its projections, which are replaced by the wanted ones.
        return free + self.decode(m, codes - free @ self.weights[m])

    def log_density(self, rows: Sequence[Array], given: Sequence[int]) -> Array:
        """Return the joint log-density (n,) of the centred rows of the modalities `given`."""
        # Modalities depend on each other through projections alone, so that
        # p(x_1, ..., x_M) = p(u_1, ..., u_M) * product of p(x_m) / p(u_m).
        codes = [x @ self.weights[m] for x, m in zip(rows, given, strict=True)]
        total = _normal_log_density(np.hstack(codes), self._block(given, given))
        for x, u, m in zip(rows, codes, given, strict=True):
            total += self.margins[m].log_density(x)
            total -= _normal_log_density(u, self._block([m], [m]))
        return total


def _normal_log_density(x: Array, covariance: Array) -> Array:
    """Return the log-density of centred rows, within the range of the covariance."""
    values, vectors = psd_eigh(covariance)
    inside = x @ vectors
    log_det = np.sum(np.log(values)) + len(values) * np.log(2 * np.pi)
    return -0.5 * (np.sum(inside**2 / values, axis=1) + log_det)
