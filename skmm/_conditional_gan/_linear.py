"""The linear model of a conditional distribution: regression, and normal residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtri, softmax

from skmm._linear._columns import Columns
from skmm._linear._completion import unknown
from skmm._linear._logistic import fit_logistic
from skmm._linear._model import Fold, LinearModel
from skmm._linear._residuals import ResidualNormal, residual_normal
from skmm._linear._ridge import fit_ridge
from skmm._modalities import Modalities, missing_mask
from skmm._modalities._columns import ColumnStatistics
from skmm.nn._prediction import Task

Array = np.ndarray
TASKS = {"categorical": "classes", "binary": "labels"}  # of kinds that are drawn by probabilities
FEWEST_COMPLETE = 20  # rows whose residuals say what is not known of a row without gaps


@dataclass(frozen=True)
class LinearSampler:
    """Ridge regression with normal residuals, or logistic regression whose classes are drawn.

    Attributes
    ----------
    model : LinearModel
        Of standardised numbers, or of logits.
    kind : str
        Of the target.
    mean, scale : ndarray (width,)
        Of numbers in the original units; the scale of constant columns is 0.
    residuals : ResidualNormal or None
        Of standardised numbers.
    knows_gaps : bool
        Whether residuals are those of rows with gaps too. Else they are wider in such rows by what
        the missing conditions would have told.
    """

    model: LinearModel
    kind: str
    mean: Array
    scale: Array
    residuals: ResidualNormal | None
    knows_gaps: bool

    def expected(self, X: Modalities) -> Array:
        """Return expectations (n, width) for checked conditions, probabilities of labels."""
        return self.in_units(self.model.outputs(X))

    def in_units(self, outputs: Array) -> Array:
        """Return outputs of the model as expectations in the original units."""
        if self.kind == "categorical":
            return softmax(outputs, axis=1)
        if self.kind == "binary":
            return expit(outputs)
        values = self.mean + self.scale * outputs
        return values.clip(min=0) if self.kind == "count" else values

    def draw(
        self, X: Modalities, expected: Array, n_draws: int, rng: np.random.RandomState
    ) -> Array:
        """Return draws (n, n_draws, width) about expectations of checked conditions."""
        shape = (n_draws, *expected.shape)
        if self.residuals is None:
            return of_probabilities(self.kind, expected, rng.uniform(size=shape)).swapaxes(0, 1)
        noise = self.residuals.draw(np.zeros(expected.shape), rng, n_draws)
        for rows, lacking in self._gaps(X):
            factor = unknown(self.model.columns, lacking) @ self.model.coefficients
            noise[:, rows] += rng.standard_normal((n_draws, len(rows), len(factor))) @ factor
        return self._possible(expected + self.scale * noise).swapaxes(0, 1)

    def noise(self, n_draws: int, rng: np.random.RandomState) -> Array:
        """Return numbers (n_draws, width) for `draw_again`; zeros of labels."""
        if self.residuals is None:
            return np.zeros((n_draws, len(self.mean)))
        return self.residuals.draw(np.zeros((1, len(self.mean))), rng, n_draws)[:, 0]

    def draw_again(self, X: Modalities, expected: Array, normal: Array) -> Array:
        """Return draws (n, n_draws, width) that differ from expectations alike in all rows.

        Of labels they are the probabilities. Each column of the numbers `normal` (n_draws, width)
        only says in which order draws come: they lie at the quantiles, and have the right mean.
        """
        if self.residuals is None:
            return np.repeat(expected[:, None], len(normal), axis=1)
        ranks = normal.argsort(axis=0).argsort(axis=0)
        scores = ndtri((ranks + 0.5) / max(1, len(normal)))  # (n_draws, width)
        deviation = np.tile(self.residuals.scale, (len(expected), 1))
        for rows, lacking in self._gaps(X):
            factor = unknown(self.model.columns, lacking) @ self.model.coefficients
            deviation[rows] = np.sqrt(deviation[rows] ** 2 + np.square(factor).sum(axis=0))
        return self._possible(expected[:, None] + (self.scale * deviation)[:, None] * scores)

    def _gaps(self, X: Modalities) -> list[tuple[Array, list[str]]]:
        """Return the rows of each pattern of missing conditions that draws are wider for."""
        return [] if self.knows_gaps else patterns(X, list(self.model.columns.modalities))

    def _possible(self, draws: Array) -> Array:
        return draws.round().clip(min=0) if self.kind == "count" else draws


def patterns(X: Modalities, names: Sequence[str]) -> list[tuple[Array, list[str]]]:
    """Return the rows of each pattern of missing modalities, and what they lack."""
    missing = np.ones((len(X), len(names)), dtype=bool)
    here = [j for j, name in enumerate(names) if name in X]
    missing[:, here] = missing_mask(X.select([names[j] for j in here]))
    if not missing.any():
        return []
    found, place = np.unique(missing, axis=0, return_inverse=True)
    return [
        (
            np.flatnonzero(place.ravel() == k),
            [name for name, lacking in zip(names, lacks, strict=True) if lacking],
        )
        for k, lacks in enumerate(found)
        if lacks.any()
    ]


def of_probabilities(kind: str, p: Array, uniform: Array) -> Array:
    """Return classes as indicators, or bits, drawn with probabilities by uniform numbers."""
    if kind == "binary":
        return (uniform < p).astype(np.float64)
    # -log u is exponential; the class of the largest p / e is a draw with probabilities p.
    with np.errstate(divide="ignore"):
        return np.eye(p.shape[-1])[np.argmax(p / -np.log(uniform), axis=-1)]


def fit_sampler(
    X: Modalities,
    columns: Columns,
    target: Array,
    kind: str,
    statistics: ColumnStatistics,
    splits: Sequence[Fold],
) -> tuple[LinearSampler, Array]:
    """Fit the tuned linear model of a conditional distribution.

    Parameters
    ----------
    X : Modalities
        Checked conditions.
    columns : Columns
        Of their matrix.
    target : ndarray of shape (n, width)
        Labels as indicators.
    kind : str
        Of the target.
    statistics : ColumnStatistics
        Of the target.
    splits : sequence of pairs of ndarray
        Training and held-out rows.

    Returns
    -------
    sampler : LinearSampler
    oof : ndarray of shape (n, width)
        Out-of-fold expectations, NaN in rows that no split holds out.
    """
    Z, mean, scale = columns.matrix(X), statistics.mean.ravel(), statistics.scale.ravel()
    complete = ~missing_mask(X).any(axis=1)
    knows_gaps = complete.sum() < FEWEST_COMPLETE
    if kind in TASKS:
        y = target.argmax(axis=1)[:, None] if kind == "categorical" else target
        task = Task("target", TASKS[kind], target.shape[1])
        fit = fit_logistic(columns, Z, y, [task], splits)
        residuals = None
    else:
        scaled = (target - mean) / statistics.divisor.ravel()
        fit = fit_ridge(columns, Z, scaled, splits)
        left: Array = scaled - np.asarray(fit.left_out)
        residuals = residual_normal(left if knows_gaps else left[complete])
    sampler = LinearSampler(fit.model, kind, mean, scale, residuals, knows_gaps)
    return sampler, sampler.in_units(fit.oof)
