"""The data of a fit and the approximate posterior: what the updates of `_variational` change."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy import linalg
from scipy.special import digamma, gammaln

from skmm._group_factor_analysis._gaps import Gaps, Members
from skmm._linalg import dominant_signs

Array = np.ndarray
RANK = 1e-10  # of the largest variance: smaller ones are rounding
A0 = 1e-3  # shape and rate of the prior of alpha


@dataclass(frozen=True)
class Data:
    """Standardised rows, 0 where nothing is observed, and what every step needs of them.

    Attributes
    ----------
    values : ndarray (n, d)
    gaps : Gaps
        Its groups do not reach over modalities.
    weight : ndarray (n,)
    modality : ndarray of int (d,)
        Number of each column's modality, of which there are `n_modalities`.
    tied : bool
        Whether the columns of a modality have one noise variance.
    relevance : bool
        Whether loadings have a distribution, or are point estimates.
    """

    values: Array
    gaps: Gaps
    weight: Array
    modality: Array
    n_modalities: int
    tied: bool
    relevance: bool

    @cached_property
    def total(self) -> float:
        """Sum of the weights."""
        return float(self.weight.sum())

    @cached_property
    def rows(self) -> Members:
        """Rows of each pattern."""
        return self.gaps.rows()

    @cached_property
    def columns(self) -> Members:
        """Columns of each group."""
        return self.gaps.columns()

    @cached_property
    def columns_of(self) -> list[Members]:
        """Columns of each group, one modality after the other."""
        return [self.columns.of_sets(self.modality_of_group == m) for m in range(self.n_modalities)]

    @cached_property
    def pattern_weight(self) -> Array:
        """Sum of the weights of each pattern's rows (P,)."""
        return np.bincount(self.gaps.pattern, self.weight, self.gaps.n_patterns)

    @cached_property
    def group_weight(self) -> Array:
        """Sum of the weights of the rows that have each group (G,)."""
        return self.gaps.per_group(self.pattern_weight)

    @cached_property
    def counts(self) -> Array:
        """Sum of the weights of the rows that have each column (d,)."""
        return self.group_weight[self.gaps.group]

    @cached_property
    def sums(self) -> Array:
        """Weighted sum of each column (d,)."""
        return self.weight @ self.values

    @cached_property
    def squares(self) -> Array:
        """Weighted sum of squares of each column (d,)."""
        return np.einsum("i,ij,ij->j", self.weight, self.values, self.values)

    @cached_property
    def sizes(self) -> Array:
        """Number of columns of each modality (M,)."""
        return np.bincount(self.modality, minlength=self.n_modalities)

    @cached_property
    def modality_of_group(self) -> Array:
        """Number of each group's modality (G,)."""
        found = np.empty(self.gaps.n_groups, dtype=int)
        found[self.gaps.group] = self.modality
        return found

    def start(self, axes: Array) -> "State":
        """Return principal components of unit variance as z, and loadings of 0."""
        Z, k = self.values @ axes * np.sqrt(self.total), axes.shape[1]  # (n, k)
        outer = self.rows.products(Z, self.weight[:, None] * Z)
        codes = self.codes(Z, self.gaps.per_group(outer), outer.sum(axis=0), 0.0)
        d, n_groups = len(self.modality), self.gaps.n_groups
        active = np.ones((self.n_modalities, k), dtype=bool)
        relevance = Relevance.start(active, self.sizes)
        nothing, noise = np.zeros(d), np.full(d, 0.5)
        return State(codes, Loadings.none(d, n_groups, k), nothing, noise, relevance, -np.inf)

    def codes(self, Z: Array, moments: Array, total: Array, log_det: float) -> "Codes":
        """Return q(Z) with the sums over rows that its means (n, k) enter."""
        scaled = self.weight[:, None] * Z
        sums = self.rows.sums(scaled)
        cross = self.values.T @ scaled
        return Codes(Z, moments, total, self.gaps.per_group(sums), sums.sum(axis=0), cross, log_det)

    def axes(self, k: int) -> Array:
        """Return V (d, k), with V' X' S X V = I, of the leading principal components.

        Where there are fewer the last ones are 0.
        """
        variance, vectors = principal(np.sqrt(self.weight)[:, None] * self.values, k)
        kept = variance > RANK * max(variance[0], np.finfo(np.float64).tiny)
        return vectors / np.where(kept, np.sqrt(np.where(kept, variance, 1.0)), np.inf)


def condensed(data: Data) -> Data:
    """Return fewer rows with the same weights, sums and second moments in each pattern.

    No more of the rows enters a step. A pattern of more than 2 (d + 1) rows gets d + 1 of equal
    weight: their mean, plus the root of their covariance times orthogonal contrasts.
    """
    values, weights, patterns = [], [], []
    for sets, batches in data.rows.batches:
        for p, rows in zip(sets, batches, strict=True):
            seen = np.flatnonzero(data.gaps.seen[p, data.gaps.group])
            X, s, m = data.values[rows], data.weight[rows], len(seen) + 1
            if len(rows) > 2 * m:
                mean = s @ X[:, seen] / s.sum()
                left = X[:, seen] - mean
                variance, vectors = linalg.eigh((left.T * s) @ left / s.sum())
                root = vectors * np.sqrt(np.maximum(variance, 0.0) * m)
                X, s = np.zeros((m, X.shape[1])), np.full(m, s.sum() / m)
                X[:, seen] = mean + linalg.helmert(m).T @ root.T
            values.append(X)
            weights.append(s)
            patterns.append(np.full(len(X), p))
    gaps = replace(data.gaps, pattern=np.concatenate(patterns))
    return replace(data, values=np.vstack(values), gaps=gaps, weight=np.concatenate(weights))


def principal(X: Array, k: int) -> tuple[Array, Array]:
    """Return the k largest eigenvalues of X'X and their eigenvectors (d, k), with fixed signs.

    Where there are fewer the last ones are 0.
    """
    n, d = X.shape
    wide, last = n < d, min(n, d) - 1
    found, vectors = linalg.eigh(X @ X.T if wide else X.T @ X, subset_by_index=[last + 1 - k, last])
    variance = np.maximum(found[::-1], 0.0)
    vectors = vectors[:, ::-1]
    if wide:
        kept = variance > RANK * max(variance[0], np.finfo(np.float64).tiny)
        vectors = X.T @ (vectors * kept / np.sqrt(np.where(kept, variance, 1.0)))
    return variance, vectors * dominant_signs([vectors])


@dataclass(frozen=True)
class Codes:
    """q(Z) and the sums over rows in which it enters the other updates.

    Attributes
    ----------
    mean : ndarray (n, k)
    moments, total : ndarray (G, k, k), (k, k)
        Sums of s E[z z'] over the rows of each group, and over all.
    sums, sum : ndarray (G, k), (k,)
        Sums of s E[z] likewise.
    cross : ndarray (d, k)
        Sums of s x E[z]'.
    log_det : float
        Weighted sum of the log-determinants of the covariances.
    """

    mean: Array
    moments: Array
    total: Array
    sums: Array
    sum: Array
    cross: Array
    log_det: float

    def of(self, kept: Array) -> "Codes":
        """Return the components that are kept; `log_det` is no longer right."""
        both = np.ix_(kept, kept)
        return Codes(
            self.mean[:, kept], self.moments[:, both[0], both[1]], self.total[both],
            self.sums[:, kept], self.sum[kept], self.cross[:, kept], self.log_det,
        )  # fmt: skip

    def turned(self, inverse: Array, log_det: float) -> "Codes":
        """Return the codes R^-1 z; `log_det` is what is added to that of all covariances."""
        turn = inverse.T
        return Codes(
            self.mean @ turn, inverse @ self.moments @ turn, inverse @ self.total @ turn,
            self.sums @ turn, self.sum @ turn, self.cross @ turn, self.log_det + log_det,
        )  # fmt: skip


@dataclass(frozen=True)
class Loadings:
    """q(W): means (d, k), covariances B_g diag(D_j) B_g' of column j in group g.

    `log_det` (d,) has the log-determinants over the loadings that are there.
    """

    mean: Array
    basis: Array  # B (G, k, k)
    dispersion: Array  # D (d, k)
    log_det: Array

    @classmethod
    def none(cls, d: int, n_groups: int, k: int) -> Self:
        """Return loadings of 0."""
        return cls(np.zeros((d, k)), np.zeros((n_groups, k, k)), np.ones((d, k)), np.zeros(d))

    def summed(self, columns: Members, weight: Array) -> Array:
        """Add E[w w'] over each group's columns, with weights (d,): (G, k, k)."""
        inside = columns.sums(weight[:, None] * self.dispersion)  # (G, k)
        found = columns.products(self.mean, weight[:, None] * self.mean)
        return found + (self.basis * inside[:, None, :]) @ self.basis.transpose(0, 2, 1)

    def variances(self, columns: Members) -> Array:
        """Return the variance of each loading (d, k)."""
        return columns.times(self.dispersion, (self.basis**2).transpose(0, 2, 1))


@dataclass(frozen=True)
class Relevance:
    """q(alpha) = Gamma(shape, rate), (M, k), for the modalities in which a component is active."""

    active: Array
    shape: Array
    rate: Array

    @classmethod
    def start(cls, active: Array, sizes: Array) -> Self:
        """Return a mean of 1."""
        shape = np.broadcast_to(A0 + sizes[:, None] / 2.0, active.shape)
        return cls(active, shape, shape)

    @property
    def mean(self) -> Array:
        """E[alpha]."""
        return self.shape / self.rate

    @property
    def log_mean(self) -> Array:
        """E[log alpha]."""
        return digamma(self.shape) - np.log(self.rate)

    def kl_divergence(self) -> Array:
        """Return the Kullback-Leibler divergence from the prior (M, k)."""
        a, b = self.shape, self.rate
        return (
            (a - A0) * digamma(a) - gammaln(a) + gammaln(A0)
            + A0 * (np.log(b) - np.log(A0)) + a * (A0 - b) / b
        )  # fmt: skip


@dataclass(frozen=True)
class State:
    """All that a step changes, and the bound after it."""

    codes: Codes
    loadings: Loadings
    offset: Array  # mu (d,)
    noise: Array  # 1 / tau (d,)
    relevance: Relevance
    bound: float

    @property
    def k(self) -> int:
        """Number of components."""
        return self.loadings.mean.shape[1]

    def without(self, off: Array) -> "State":
        """Return it with further (modality, component) pairs switched off (M, k).

        Components that are active nowhere are left out. The loadings are those of before: they
        are new after the next step, which begins with them, and so is the bound.
        """
        active, r = self.relevance.active & ~off, self.relevance
        kept = active.any(axis=0)
        d, n_groups = len(self.offset), len(self.loadings.basis)
        return replace(
            self,
            codes=self.codes.of(kept),
            loadings=Loadings.none(d, n_groups, int(kept.sum())),
            relevance=Relevance(active[:, kept], r.shape[:, kept], r.rate[:, kept]),
            bound=-np.inf,
        )
