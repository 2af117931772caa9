"""The normal distribution of the columns of all modalities, in their units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from skmm._gaussian._fit import NEGLIGIBLE, Estimate, fit_and_shrink, fit_normal
from skmm._gaussian._normal import DenseNormal, Normal
from skmm._gaussian._patterns import side_by_side
from skmm._gaussian._shrinkage import best_shrinkages, prediction_errors
from skmm._gaussian._wide import DenseAxes, WideNormal
from skmm._linalg import covariance
from skmm._modalities._columns import ColumnStatistics

Array = np.ndarray
# More make steps of minutes and matrices of gigabytes. Modalities with fewer rows than columns and
# no single gaps count by their rows.
MOST_COLUMNS = 5000


class TooManyColumnsError(ValueError):
    """A covariance of all columns would be too large."""


@dataclass(frozen=True)
class Gaussian:
    """Rows (n, d) of all modalities side by side, NaN where an entry is missing.

    Constant columns have the value that they had in training, and no density.

    Attributes
    ----------
    mean, scale : ndarray (d,)
        By which columns are standardised; the scale of constant columns is 0.
    blocks : sequence of slice
        The columns of each modality.
    normal : Normal
        Of the standardised columns that vary.
    shrinkage : float
        Of the joint distribution.
    shrinkages : sequence of float
        With which each modality is predicted.
    """

    mean: Array
    scale: Array
    blocks: Sequence[slice]
    normal: Normal
    shrinkage: float
    shrinkages: Sequence[float]

    def complete(self, rows: Array, wanted: Sequence[int] | None = None) -> Array:
        """Return rows with what is missing of the modalities `wanted` (all) filled in.

        It is the expectation given what a row has, with the shrinkage of each modality.
        """
        Z, found = self._standardised(rows), rows.copy()
        wanted = range(len(self.blocks)) if wanted is None else wanted
        lacking = [m for m in wanted if np.isnan(rows[:, self.blocks[m]]).any()]
        for shrinkage in sorted({self.shrinkages[m] for m in lacking}):
            filled = self._in_units(self.normal.complete(Z, shrinkage))
            for m in lacking:
                if self.shrinkages[m] == shrinkage:
                    part = rows[:, self.blocks[m]]
                    found[:, self.blocks[m]] = np.where(
                        np.isnan(part), filled[:, self.blocks[m]], part
                    )
        return found

    def log_density(self, rows: Array) -> Array:
        """Return the log-density (n,) of what rows have."""
        log_scales = np.log(self.scale[self._varying])
        Z = self._standardised(rows)
        return self.normal.log_density(Z, self.shrinkage) - ~np.isnan(Z) @ log_scales

    def typical_rows(self) -> Array:
        """Return complete rows whose mean and covariance are exactly those of S, unshrunk.

        Modalities that are given along axes have S within these alone.
        """
        return self._in_units(self.normal.typical_rows())

    def covariance_along(self, directions: Array) -> Array:
        """Return the covariance (m, m) of rows times directions (d, m)."""
        keep = self._varying
        return self.normal.along(self.scale[keep, None] * directions[keep], self.shrinkage)

    def draw(self, n_samples: int, rng: np.random.RandomState) -> Array:
        """Draw rows (n_samples, d)."""
        return self._in_units(self._noise(n_samples, rng))

    def draw_given(self, rows: Array, rng: np.random.RandomState) -> Array:
        """Return rows with what is missing drawn given what they have."""
        # A draw of everything is right but for its expectation given the observed entries: it is
        # moved by the difference of two expectations (Matheron's rule).
        free = self._noise(len(rows), rng)
        Z = self._standardised(rows)
        expected = self.normal.complete(np.where(np.isnan(Z), np.nan, free), self.shrinkage)
        noise = self._in_units(free - expected) - self._in_units(np.zeros_like(free))
        return np.where(np.isnan(rows), self.complete(rows) + noise, rows)

    @property
    def _varying(self) -> Array:
        return self.scale > 0

    def _noise(self, n_samples: int, rng: np.random.RandomState) -> Array:
        """Draw standardised rows of the columns that vary."""
        noise = rng.standard_normal((n_samples, int(self._varying.sum())))
        return self.normal.mix(noise, self.shrinkage)

    def _standardised(self, rows: Array) -> Array:
        keep = self._varying
        return (rows[:, keep] - self.mean[keep]) / self.scale[keep]

    def _in_units(self, Z: Array) -> Array:
        found = np.tile(self.mean, (len(Z), 1))
        found[:, self._varying] += Z * self.scale[self._varying]
        return found


@dataclass(frozen=True)
class Unshrunk:
    """A normal distribution of complete rows whose shrinkage is found when it is first needed.

    Attributes are those of `Gaussian`; `n_rows` is the weight of the rows.
    """

    mean: Array
    scale: Array
    blocks: Sequence[slice]
    normal: Normal
    n_rows: float

    def shrunk(self) -> Gaussian:
        """Return the distribution with the shrinkages that predict modalities best."""
        errors = [self._errors(m) for m in range(len(self.blocks))]
        joint, each = best_shrinkages(errors, self.n_rows)
        return Gaussian(self.mean, self.scale, self.blocks, self.normal, joint, each)

    def _errors(self, target: int) -> Array:
        S, block = self.normal.core.covariance, self.normal.core.blocks[target]
        inputs = np.ones(len(S), dtype=bool)
        inputs[block] = False
        square = float(np.trace(S[block, block]))
        return prediction_errors(S[np.ix_(inputs, inputs)], S[inputs, block], square, self.n_rows)


def fit_gaussian(
    rows: Array,
    blocks: Sequence[slice],
    weights: Array | None = None,
    *,
    scale: bool = True,
) -> Gaussian:
    """Return the likeliest normal distribution of rows with gaps, shrunk for prediction.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        NaN where an entry is missing; every column has an entry.
    blocks : sequence of slice
        The columns of each modality.
    weights : ndarray of shape (n,), default=None
        Of the rows.
    scale : bool, default=True
        Whether columns are shrunk towards equal correlations with all others, each in units of its
        deviation, or, if false, each modality in one unit.
    """
    columns = ColumnStatistics.of(rows, weight=weights)
    keep, units = columns.varies, columns.scale
    if not scale:
        units = np.concatenate([common_unit(units[block]) for block in blocks])
    Z = (rows[:, keep] - columns.mean[keep]) / units[keep]
    inner = side_by_side([int(keep[block].sum()) for block in blocks])
    axes, parts, own = _coordinates(Z, inner, weights)
    wide = any(Q is not None for Q in axes)
    fitted = fit_and_shrink(np.hstack(parts), own, weights, rotated=wide)
    estimate = fitted.estimate
    core = DenseNormal(estimate.covariance, own)
    normal: Normal = core
    shift = [estimate.mean[b] for b in own]
    if wide:
        spare = [_spare_of_lacking(Z[:, b], Z, weights, estimate.shrinkage) for b in inner]
        normal = WideNormal(core, axes, spare, inner)
        shift = [s if Q is None else Q.expand(s) for s, Q in zip(shift, axes, strict=True)]
    mean = columns.mean.copy()
    mean[keep] += units[keep] * np.concatenate(shift)
    return Gaussian(mean, units, tuple(blocks), normal, estimate.shrinkage, fitted.shrinkages)


def complete_gaussian(
    rows: Array, blocks: Sequence[slice], weights: Array | None = None
) -> Unshrunk:
    """Return the normal distribution of rows without gaps, as `fit_gaussian`, not yet shrunk."""
    columns = ColumnStatistics.of(rows, weight=weights)
    keep, weights = columns.varies, np.ones(len(rows)) if weights is None else weights
    Z = (rows[:, keep] - columns.mean[keep]) / columns.scale[keep]
    inner = side_by_side([int(keep[block].sum()) for block in blocks])
    axes, parts, own = _coordinates(Z, inner, weights)
    core = DenseNormal(covariance(np.hstack(parts), sample_weight=weights), own)
    wide = any(Q is not None for Q in axes)
    normal = WideNormal(core, axes, [0.0] * len(axes), inner) if wide else core
    return Unshrunk(columns.mean, columns.scale, tuple(blocks), normal, float(weights.sum()))


def without_prior(gaussian: Gaussian, rows: Array, weights: Array | None = None) -> Gaussian:
    """Return the likeliest distribution of rows, begun at another, if there are enough of them.

    That is if more rows have all modalities than there are columns. What is missing is expected
    with the prior, towards no correlation with what is not. A prior that predicts well so hides
    what modalities have in common in directions of little variance.
    """
    there = [~np.isnan(rows[:, block]).all(axis=1) for block in gaussian.blocks]
    complete = np.all(there, axis=0) if weights is None else np.all(there, axis=0) & (weights > 0)
    normal, keep = gaussian.normal, gaussian.scale > 0
    if not isinstance(normal, DenseNormal) or complete.sum() <= keep.sum():
        return gaussian
    # Each column in its own deviation, or even a negligible prior would outweigh small units.
    mean, scale = gaussian.mean.copy(), ColumnStatistics.of(rows, weight=weights).scale
    Z = (rows[:, keep] - mean[keep]) / scale[keep]
    deviations = np.sqrt(np.diag(normal.covariance))
    correlation = normal.covariance / np.outer(deviations, deviations)
    start = Estimate(np.zeros(Z.shape[1]), correlation, NEGLIGIBLE)
    found = fit_normal(Z, normal.blocks, shrinkage=NEGLIGIBLE, weights=weights, start=start)
    mean[keep] += scale[keep] * found.mean
    return replace(
        gaussian, mean=mean, scale=scale, normal=DenseNormal(found.covariance, normal.blocks)
    )


def common_unit(deviations: Array) -> Array:
    """Return for all columns of a modality the root of their mean variance, 0 for constants."""
    varies = deviations > 0
    return np.where(varies, np.sqrt(np.sum(deviations**2) / max(1, varies.sum())), 0.0)


def _coordinates(
    Z: Array, blocks: Sequence[slice], weights: Array | None
) -> tuple[list[DenseAxes | None], list[Array], list[slice]]:
    """Return the axes of modalities, standardised rows along them, and their places there."""
    axes = [_axes(Z[:, block], weights) for block in blocks]
    parts = [
        Z[:, b] if Q is None else Q.coordinates(Z[:, b]) for b, Q in zip(blocks, axes, strict=True)
    ]
    own = side_by_side([part.shape[1] for part in parts])
    if own[-1].stop > MOST_COLUMNS:
        raise TooManyColumnsError(
            f"A covariance of {own[-1].stop} columns with single gaps is too large (at most "
            f"{MOST_COLUMNS}): use GroupFactorAnalysis, which needs none, or fill the single gaps "
            "first, so that a modality is missing in whole rows only."
        )
    return axes, parts, own


def _axes(part: Array, weights: Array | None) -> DenseAxes | None:
    """Return the axes of a modality that has fewer rows than columns, and no single gaps."""
    missing = np.isnan(part)
    usable = ~missing.all(axis=1) if weights is None else ~missing.all(axis=1) & (weights > 0)
    if usable.sum() >= part.shape[1] or missing[usable].any():
        return None
    return DenseAxes.spanning(part[usable])


def _spare_of_lacking(part: Array, rows: Array, weights: Array | None, shrinkage: float) -> float:
    """Return the variance in S of a modality outside its axes, which rows that lack it have.

    Of the fixed point ``a = (1 - c) s + c`` with ``s`` the share of rows that lack it times a.
    """
    weights = np.ones(len(rows)) if weights is None else weights
    lacks = np.isnan(part).all(axis=1) & ~np.isnan(rows).all(axis=1)
    share = float(weights[lacks].sum() / weights[~np.isnan(rows).all(axis=1)].sum())
    return share * shrinkage / (1.0 - (1.0 - shrinkage) * share)
