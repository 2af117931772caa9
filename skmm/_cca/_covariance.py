"""The covariance S of the standardised columns of a modality, in whichever form a route has it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg

from skmm._linalg import psd_eigh

Array = np.ndarray
EPS = np.finfo(np.float64).eps
# Eigenvalues of a covariance below this, relative to the largest, are rounding: linear dependence.
# Between this and `WELL_CONDITIONED` a covariance cannot tell, and "auto" goes back to the rows.
DEPENDENT = 1e-14


class Covariance(ABC):
    """What the Gaussian model needs of S (d, d), whose rank is r."""

    @property
    @abstractmethod
    def values(self) -> Array:
        """Eigenvalues (r,) of S on its range."""

    @abstractmethod
    def coordinates(self, x: Array) -> Array:
        """Return coordinates (n, r) of rows (n, d) along the eigenvectors of S."""

    @abstractmethod
    def draw(self, n_samples: int, rng: np.random.RandomState) -> Array:
        """Draw centred normal rows (n_samples, d) of covariance S."""


class SpectralCovariance(Covariance):
    """S by its eigenvalues and eigenvectors (d, r)."""

    @property
    @abstractmethod
    def spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues and eigenvectors of S on its range."""

    @property
    def values(self) -> Array:
        """Eigenvalues (r,) of S on its range."""
        return self.spectrum[0]

    def coordinates(self, x: Array) -> Array:
        """Return coordinates (n, r) of rows (n, d) along the eigenvectors of S."""
        return x @ self.spectrum[1]

    def draw(self, n_samples: int, rng: np.random.RandomState) -> Array:
        """Draw centred normal rows (n_samples, d) of covariance S."""
        return draw_normal(n_samples, *self.spectrum, rng)


@dataclass(frozen=True)
class MatrixCovariance(SpectralCovariance):
    """S itself."""

    matrix: Array  # (d, d)

    @cached_property
    def spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues and eigenvectors of S on its range, computed when first needed."""
        return psd_eigh(self.matrix)


@dataclass(frozen=True)
class FactorCovariance(SpectralCovariance):
    """F with S = F'F. Its singular values have digits that those of S have lost."""

    factor: Array  # (any, d)

    @cached_property
    def spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues and eigenvectors of S on its range, computed when first needed."""
        _, values, right = linalg.svd(self.factor, full_matrices=False, check_finite=False)
        keep = values > 4 * EPS * max(self.factor.shape) * values.max(initial=0.0)
        return values[keep] ** 2, right[keep].T


def draw_normal(n_samples: int, values: Array, vectors: Array, rng: np.random.RandomState) -> Array:
    """Draw centred normal rows by the symmetric root of their covariance.

    The symmetric root does not depend on the basis of an eigenspace, which rounding chooses.
    """
    free = rng.standard_normal((n_samples, len(vectors)))
    return ((free @ vectors) * np.sqrt(values)) @ vectors.T
