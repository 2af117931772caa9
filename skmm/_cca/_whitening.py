"""Routes from rows to whitened coordinates; they differ in cost and in digits, not in result.

In the standardised columns of modality m let S be the covariance and R = (1 - c) S + c t I its
shrunk form, t = trace(S) / d. A route finds K with ``K.T @ R @ K = I`` on the range of S, and the
cross-covariances ``T = K_i.T @ S_ij @ K_j`` of the whitened coordinates. All that follows (which
directions agree?) happens in these small matrices.

- `MomentRoute`: covariances and their Cholesky factors; squares the condition number.
- `RootRoute`: singular values of the rows themselves; exact for ill-conditioned data.
- `GramRoute`: the n x n form, for more columns than rows.
- `IterativeRoute`: leading directions alone, for many rows and many sparse columns.

Dense rows need no fourth: the smaller of d x d and n x n never exceeds the data themselves.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
from scipy import linalg
from scipy.linalg import blas
from scipy.linalg.lapack import dpocon

from skmm._cca._moments import Moments
from skmm._cca._rows import Rows
from skmm._gaussian._wide import Axes
from skmm._linalg import ledoit_wolf, product, psd_eigh
from skmm._modalities._columns import varies

Array = np.ndarray
TINY = np.finfo(np.float64).tiny

# Eigenvalues of a covariance below this, relative to the largest, are rounding: linear dependence.
# Between this and `WELL_CONDITIONED` a covariance cannot tell, and "auto" goes back to the rows.
DEPENDENT = 1e-14
# Canonical correlations from covariances carry an error of about eps * cond(S). From this
# reciprocal condition on they agree with the textbook solution to 1e-8 with a margin.
WELL_CONDITIONED = 1e-7


class IllConditionedError(Exception):
    """The route would lose digits on these data."""


class GapsError(Exception):
    """The rows lack entries, which routes cannot read."""


class Route(ABC):
    """What a route finds, numbered by modality.

    Attributes
    ----------
    means, scales : list of ndarray (d_m,)
        Of the original columns; `scales` are those by which the columns were divided.
    deviations : list of ndarray (d_m,)
        Standard deviations of the original columns; infinity for those that are constant.
    weight : float
        Of all rows.
    n_rows : int
        Number of rows of positive weight.
    inexact : list of int
        Modalities that are too ill-conditioned for the digits of this route.
    varying : list of ndarray (d_m,) of bool
        Columns that are not constant. A constant one has no part in anything.
    shrinkages, mean_variances : list of float
        c and t.
    ranks : list of int
        Numbers r_m of whitened coordinates.
    whitened_covariances : list of ndarray (r_m, r_m) or (r_m,), or None
        ``K.T @ S @ K``, or its diagonal; None is the identity, where nothing is shrunk.
    cross : dict of (i, j) to ndarray (r_i, r_j), i < j
        T of the module's text.
    """

    def __init__(self, scale: bool, n_rows: int) -> None:
        self._divided = scale  # by wish, not only for the sake of the digits
        self.n_rows = n_rows
        self.means: list[Array] = []
        self.scales: list[Array] = []
        self.deviations: list[Array] = []
        self.varying: list[Array] = []
        self.weight = 0.0
        self.inexact: list[int] = []
        self.shrinkages: list[float] = []
        self.mean_variances: list[float] = []
        self.ranks: list[int] = []
        self.whitened_covariances: list[Array | None] = []
        self.cross: dict[tuple[int, int], Array] = {}
        self._spectra: list[Array] = []

    @abstractmethod
    def project(self, directions: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Carry directions (r_m, k) back to the standardised columns.

        Returns the weights (d_m, k) of each modality, and the covariance (d_m, M k) of its columns
        with the projections of all.
        """

    @abstractmethod
    def axes(self, m: int) -> Axes | None:
        """Return the axes of a modality on which S lives, of its columns that vary; None for all.

        A route's directions are carried back before.
        """

    def core(self) -> Array:
        """Return S of all modalities side by side, along the axes."""
        edges = np.cumsum([0, *self.ranks])
        blocks = [slice(a, b) for a, b in pairwise(edges.tolist())]
        roots = [np.sqrt(self._shrunk(m, values)) for m, values in enumerate(self._spectra)]
        S = np.diag(np.concatenate(self._spectra))
        for (i, j), T in self.cross.items():
            S[blocks[i], blocks[j]] = roots[i][:, None] * T * roots[j]
            S[blocks[j], blocks[i]] = S[blocks[i], blocks[j]].T
        return S

    def apply_covariances(self, directions: Sequence[Array]) -> list[Array]:
        """Return K' S K @ directions of each modality."""
        found = []
        for inner, v in zip(self.whitened_covariances, directions, strict=True):
            if inner is None:
                found.append(v)
            else:
                found.append(inner[:, None] * v if inner.ndim == 1 else inner @ v)
        return found

    def projection_covariance(self, directions: Sequence[Array]) -> Array:
        """Return the covariance (M k, M k) of the projections of all on the training rows."""
        k, every = directions[0].shape[1], range(len(directions))
        codes = np.zeros((len(directions) * k,) * 2)
        blocks = [slice(m * k, (m + 1) * k) for m in every]
        pairs = [(m, n, self.joint(m, n)) for m in every for n in range(m)]
        for m, image in enumerate(self.apply_covariances(directions)):
            codes[blocks[m], blocks[m]] = product(directions[m].T, image)
        for m, n, T in pairs:
            block = product(directions[m].T, product(T, directions[n]))
            codes[blocks[m], blocks[n]], codes[blocks[n], blocks[m]] = block, block.T
        return codes

    def joint(self, i: int, j: int) -> Array:
        """Return T for any order of i and j."""
        return self.cross[i, j] if i < j else self.cross[j, i].T

    def _standardise(
        self, means: Sequence[Array], variances: Sequence[Array], divide: Sequence[bool]
    ) -> list[Array]:
        """Settle means and scales; return divisors (d_m,) that turn constants into zeros.

        A mean that is NaN tells of gaps without a pass over the rows of its own.
        """
        if any(np.isnan(mean).any() for mean in means):
            raise GapsError
        deviations = [np.sqrt(np.maximum(variance, 0.0)) for variance in variances]
        self.means = list(means)
        self.varying = [varies(*columns) for columns in zip(means, deviations, strict=True)]
        known = list(zip(self.varying, deviations, divide, strict=True))
        self.deviations = [np.where(varying, s, np.inf) for varying, s, _ in known]
        self.scales = [np.where(varying & divided, s, 1.0) for varying, s, divided in known]
        parts = zip(self.varying, self.scales, strict=True)
        return [np.where(varying, s, np.inf) for varying, s in parts]

    def _shrink(
        self,
        shrinkages: Sequence[float | str],
        traces: Sequence[float],
        squares: Sequence[float],
        fourth_moments: Sequence[float] | None,
        weight: float,
    ) -> None:
        """Settle c and t of each modality.

        They follow from the trace of S, the sum of its squared entries, the mean fourth power of
        the norm of its rows, which only "auto" needs, and the number of rows.
        """
        if "auto" in shrinkages and fourth_moments is None:
            raise ValueError("shrinkage='auto' needs all rows at once: give numbers instead.")
        fourth = fourth_moments or [np.nan] * len(traces)
        widths = [max(1, int(varying.sum())) for varying in self.varying]
        known = list(zip(traces, squares, widths, strict=True))
        self.weight = weight
        self.mean_variances = [trace / width for trace, _, width in known]
        self.shrinkages = [
            ledoit_wolf(*one[:2], moment, one[2], weight) if c == "auto" else float(c)
            for c, moment, one in zip(shrinkages, fourth, known, strict=True)
        ]

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
        return (1.0 - self.shrinkages[m]) * spectrum + self.shrinkages[m] * self.mean_variances[m]


class MomentRoute(Route):
    """Whitening by the Cholesky factors of the covariances.

    `rows` are needed for ``shrinkage="auto"`` alone; with `overwrite` the moments are spent.

    Raises
    ------
    IllConditionedError
        If `strict` and the covariances would cost digits. Otherwise directions below the
        precision of a covariance are dropped.
    """

    def __init__(
        self,
        moments: Moments,
        shrinkages: Sequence[float | str],
        scale: bool,
        rows: Rows | None = None,
        *,
        strict: bool = False,
        overwrite: bool = False,
    ) -> None:
        super().__init__(scale, moments.n_rows)
        every = range(len(moments.sums))
        means, S = moments.means(), moments.covariances(overwrite)
        divide = [scale or shrinkage == 0.0 for shrinkage in shrinkages]
        divisors = self._standardise(means, [np.diag(S[m, m]) for m in every], divide)
        for (i, j), block in S.items():
            block /= divisors[i][:, None]
            block /= divisors[j]
        fourth = None
        if rows is not None and "auto" in shrinkages:
            fourth = rows.fourth_moments(means, divisors)
        self._shrink(
            shrinkages,
            [float(np.trace(S[m, m])) for m in every],
            [float(np.einsum("ij,ij->", S[m, m], S[m, m])) for m in every],
            fourth,
            moments.weight,
        )
        self._covariances = S
        self._factors = [self._factor(m, strict) for m in every]
        self.ranks = [factor.shape[1] for factor, _ in self._factors]
        for i, j in combinations(every, 2):
            half = self._whiten(i, S[i, j])
            factor, triangular = self._factors[j]
            if triangular and self.varying[j].all():  # from the right, without a transpose
                self.cross[i, j] = blas.dtrsm(
                    1.0, factor, half, side=True, lower=True, trans_a=True
                )
            else:
                self.cross[i, j] = self._whiten(j, half.T).T

    def _factor(self, m: int, strict: bool) -> tuple[Array, bool]:
        """Return (L, True) with R = L L' on the varying columns, or (K, False); settle K'SK."""
        keep, c, S = self.varying[m], self.shrinkages[m], self._covariances[m, m]
        S = S if keep.all() else S[np.ix_(keep, keep)]
        L = _well_conditioned_factor(S)
        if L is None:
            return self._spectral_factor(m, S, strict), False
        if c == 0.0:
            self.whitened_covariances.append(None)
            return L, True
        R = (1.0 - c) * S
        R[np.diag_indices_from(R)] += c * self.mean_variances[m]
        L = linalg.cholesky(R, lower=True, check_finite=False)
        half = linalg.solve_triangular(L, S, lower=True, check_finite=False)
        self.whitened_covariances.append(
            linalg.solve_triangular(L, half.T, lower=True, check_finite=False)
        )
        return L, True

    def _spectral_factor(self, m: int, S: Array, strict: bool) -> Array:
        """Return K on the range of S."""
        values, vectors = psd_eigh(S, DEPENDENT) if len(S) else (np.empty(0), S)
        unclear = values < WELL_CONDITIONED * values.max(initial=0.0)
        if self.shrinkages[m] == 0.0 and unclear.any():
            if strict:
                raise IllConditionedError
            self.inexact.append(m)
        shrunk = self._shrunk(m, values)
        self.whitened_covariances.append(None if self.shrinkages[m] == 0.0 else values / shrunk)
        return vectors / np.sqrt(shrunk)

    def _whiten(self, m: int, block: Array) -> Array:
        """Return K' @ block; the rows of `block` are columns of the modality."""
        block = block if self.varying[m].all() else block[self.varying[m]]
        factor, triangular = self._factors[m]
        if not triangular:
            return product(factor.T, block)
        return blas.dtrsm(1.0, factor, block, lower=True)

    def project(self, directions: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Return K_m @ v_m, and S_mn @ W_n side by side."""
        every, weights = range(len(directions)), []
        for m, v in enumerate(directions):
            factor, triangular = self._factors[m]
            keep = self.varying[m]
            W = np.zeros((len(keep), v.shape[1]))
            if triangular:
                W[keep] = linalg.solve_triangular(
                    factor, v, lower=True, trans="T", check_finite=False
                )
            else:
                W[keep] = factor @ v
                span = np.zeros((len(keep), factor.shape[1]))
                span[keep] = factor
                W = self._least_norm(m, W, span)
            weights.append(W)
        S = self._covariances
        between = [
            np.hstack([product(S[i, j] if i <= j else S[j, i].T, weights[j]) for j in every])
            for i in every
        ]
        return weights, between

    def axes(self, m: int) -> None:
        """Return None: S is that of the columns."""

    def core(self) -> Array:
        """Return S of all columns that vary."""
        keep, S = np.concatenate(self.varying), self._covariances
        every = range(len(self.varying))
        whole = np.block([[S[i, j] if i <= j else S[j, i].T for j in every] for i in every])
        return whole if keep.all() else whole[np.ix_(keep, keep)]


def _well_conditioned_factor(S: Array) -> Array | None:
    """Return the Cholesky factor L of S = L L', or None if S is (nearly) singular."""
    if not len(S):
        return None
    norm = np.abs(S).sum(axis=0).max()
    try:
        L = linalg.cholesky(S, lower=True, check_finite=False)
    except linalg.LinAlgError:
        return None
    return L if dpocon(L, norm, uplo="L")[0] > WELL_CONDITIONED else None
