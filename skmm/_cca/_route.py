"""What every route from rows to whitened coordinates finds; see `_whitening`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg

from skmm._linalg import ledoit_wolf, oracle_approximating_shrinkage, psd_eigh
from skmm._modalities._columns import varies

Array = np.ndarray
EPS = np.finfo(np.float64).eps
TINY = np.finfo(np.float64).tiny

# Canonical correlations from covariances carry an error of about eps * cond(S). From this
# reciprocal condition on they agree with the textbook solution to 1e-8 with a margin.
WELL_CONDITIONED = 1e-7
# Eigenvalues of a covariance below this, relative to the largest, are rounding: linear dependence.
# Between the two bounds a covariance cannot tell, and "auto" goes back to the rows.
DEPENDENT = 1e-14


class IllConditionedError(Exception):
    """The route would lose digits on these data."""


class Spread:
    """The covariance S of a modality, in whichever form a route has it."""

    @property
    def values(self) -> Array:
        """Eigenvalues (r,) of S on its range."""
        raise NotImplementedError

    def into(self, x: Array) -> Array:
        """Return coordinates (n, r) of rows along the eigenvectors of S."""
        raise NotImplementedError

    def draw(self, n_samples: int, rng: np.random.RandomState) -> Array:
        """Draw centred normal rows (n_samples, d) of covariance S."""
        raise NotImplementedError


class ExplicitSpread(Spread):
    """S by its eigenvectors."""

    @property
    def spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues and eigenvectors of S on its range."""
        raise NotImplementedError

    @property
    def values(self) -> Array:
        """Eigenvalues (r,) of S on its range."""
        return self.spectrum[0]

    def into(self, x: Array) -> Array:
        """Return coordinates (n, r) of rows along the eigenvectors of S."""
        return x @ self.spectrum[1]

    def draw(self, n_samples: int, rng: np.random.RandomState) -> Array:
        """Draw centred normal rows (n_samples, d) of covariance S."""
        return draw_normal(n_samples, *self.spectrum, rng)


def draw_normal(n_samples: int, values: Array, vectors: Array, rng: np.random.RandomState) -> Array:
    """Draw centred normal rows, by the symmetric root: the basis of an eigenspace has no say."""
    free = rng.standard_normal((n_samples, len(vectors)))
    return ((free @ vectors) * np.sqrt(values)) @ vectors.T


@dataclass(frozen=True)
class CovarianceSpread(ExplicitSpread):
    """S itself."""

    covariance: Array

    @cached_property
    def spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues and eigenvectors of S on its range, found when first needed."""
        return psd_eigh(self.covariance)


@dataclass(frozen=True)
class RootSpread(ExplicitSpread):
    """F with S = F'F."""

    root: Array

    @cached_property
    def spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues and eigenvectors of S on its range, found when first needed."""
        _, values, right = linalg.svd(self.root, full_matrices=False, check_finite=False)
        keep = values > 4 * EPS * max(self.root.shape) * values.max(initial=0.0)
        return values[keep] ** 2, right[keep].T


class Route:
    """What a route finds, numbered by modality.

    Attributes
    ----------
    means, scales : list of ndarray (d_m,)
        Of the original columns; `scales` are those by which the columns were divided.
    deviations : list of ndarray (d_m,)
        Standard deviations of the original columns; infinity for those that are constant.
    damped : bool
        Whether pairs of modalities were read from different rows, so that they need not fit.
    inexact : list of int
        Modalities that are too ill-conditioned for the digits of this route.
    varying : list of ndarray (d_m,) of bool
        Columns that are not constant. A constant one has no part in anything.
    shrinkages, targets, optima : list of float
        c, t, and the analytic c that would be best for S as an estimate of the covariance.
    ranks : list of int
        Numbers r_m of whitened coordinates.
    inner : list of ndarray (r_m, r_m) or (r_m,), or None
        ``K.T @ S @ K``, or its diagonal; None is the identity, where nothing is shrunk.
    cross : dict of (i, j) to ndarray (r_i, r_j), i < j
        T of the module's text.
    """

    def __init__(self, scale: bool) -> None:
        self._divided = scale  # by wish, not only for the sake of the digits
        self.means: list[Array] = []
        self.scales: list[Array] = []
        self.deviations: list[Array] = []
        self.varying: list[Array] = []
        self.damped = False
        self.inexact: list[int] = []
        self.shrinkages: list[float] = []
        self.targets: list[float] = []
        self.optima: list[float] = []
        self.ranks: list[int] = []
        self.inner: list[Array | None] = []
        self.cross: dict[tuple[int, int], Array] = {}

    def project(self, directions: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Carry directions (r_m, k) back to the standardised columns.

        Returns the weights (d_m, k) of each modality, and the covariance (d_m, M k) of its columns
        with the projections of all.
        """
        raise NotImplementedError

    def spread(self, m: int) -> Spread:
        """Return S of a modality in whichever form the route has."""
        raise NotImplementedError

    def apply_inner(self, m: int, directions: Array) -> Array:
        """Return K' S K @ directions."""
        inner = self.inner[m]
        if inner is None:
            return directions
        return inner[:, None] * directions if inner.ndim == 1 else inner @ directions

    def joint(self, i: int, j: int) -> Array:
        """Return T for any order of i and j."""
        return self.cross[i, j] if i < j else self.cross[j, i].T

    def _standardise(self, mean: Array, variance: Array, divide: bool) -> Array:
        """Settle mean and scale of a modality; return divisors that turn constants into zeros."""
        deviation = np.sqrt(np.maximum(variance, 0.0))
        varying = varies(mean, deviation)
        self.means.append(mean)
        self.deviations.append(np.where(varying, deviation, np.inf))
        self.varying.append(varying)
        self.scales.append(np.where(varying, deviation, 1.0) if divide else np.ones_like(mean))
        return np.where(varying, self.scales[-1], np.inf)

    def _shrink(
        self,
        shrinkage: float | str,
        trace: float,
        squares: float,
        fourth_moment: float | None,
        count: float,
    ) -> None:
        """Settle c, t and the optimum of the next modality from trace and squares of S."""
        n_features = max(1, int(self.varying[len(self.shrinkages)].sum()))
        if shrinkage == "auto":
            if fourth_moment is None:
                raise ValueError("shrinkage='auto' needs all rows at once: give numbers instead.")
            shrinkage = ledoit_wolf(trace, squares, fourth_moment, n_features, count)
        self.shrinkages.append(float(shrinkage))
        self.targets.append(trace / n_features)
        self.optima.append(oracle_approximating_shrinkage(trace, squares, n_features, count))

    def _least_norm(self, m: int, weights: Array, span: Array) -> Array:
        """Return the weights of least norm in the original units that project alike.

        `span` are directions of the standardised columns that span the training rows. Something
        changes only where the columns were divided for the sake of the digits alone.
        """
        if self._divided or span.shape[1] == self.varying[m].sum():
            return weights
        s = self.scales[m][:, None]
        Q = linalg.qr(span * s, mode="economic", check_finite=False)[0]
        return s * (Q @ (Q.T @ (weights / s)))

    def _shrunk(self, m: int, spectrum: Array) -> Array:
        """Return the eigenvalues of R that go with those of S."""
        return (1.0 - self.shrinkages[m]) * spectrum + self.shrinkages[m] * self.targets[m]
