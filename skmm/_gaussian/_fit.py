"""The normal distribution that rows with gaps are likeliest from, and its shrinkage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from skmm._gaussian._em import Prior, patterns, step
from skmm._gaussian._normal import DenseNormal, shrunk
from skmm._gaussian._patterns import side_by_side
from skmm._gaussian._shrinkage import (
    FIRST,
    STRENGTHS,
    best_shrinkages,
    column_errors,
    prediction_errors,
)

Array = np.ndarray
ROUGH, FINE = 1e-3, 1e-5  # tolerances of the first estimate, and of the next ones
MANY = 50  # rows per column, with which no shrinkage does harm
LEAST = 1e-4  # shrinkage where rows are too few for a likelihood that has a maximum
NEGLIGIBLE = 1e-6  # shrinkage for nothing but columns that depend on others
ENOUGH = 0.5  # share of rows with all of a modality, of those with some, that judge it together
MOST_JUDGED = 20  # columns that are judged one by one otherwise
CLOSE = 0.5  # difference of logarithms below which two shrinkages do the same


@dataclass(frozen=True)
class Estimate:
    """The outcome of EM, in standardised columns.

    Attributes
    ----------
    mean : ndarray (d,)
    covariance : ndarray (d, d)
        S, of which the shrunk estimate is ``(1 - shrinkage) S + shrinkage I``: the covariance that
        complete rows have on average, given what is observed of them.
    shrinkage : float
    objectives : tuple of float
        Penalised log-likelihood at the start of each step.
    converged : bool
    """

    mean: Array
    covariance: Array
    shrinkage: float
    objectives: tuple[float, ...] = ()
    converged: bool = False


def fit_normal(
    rows: Array,
    blocks: Sequence[slice],
    *,
    shrinkage: float = 0.0,
    weights: Array | None = None,
    start: Estimate | None = None,
    max_iter: int = 100,
    tol: float = FINE,
) -> Estimate:
    """Return the likeliest mean and covariance of rows with gaps.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Standardised columns, NaN where an entry is missing.
    blocks : sequence of slice
        The columns of each modality.
    shrinkage : float, default=0
        Share of the identity in the covariance: that of an inverse Wishart prior. At least LEAST
        where a modality has no more rows than there are columns: the likelihood may be unbounded.
    weights : ndarray of shape (n,), default=None
    start : Estimate, default=None
        Where to begin; the mean 0 and the identity by default.
    max_iter : int, default=100
    tol : float, default=1e-5
        Steps end when one adds less to the penalised log-likelihood per observed entry.
    """
    weights = np.ones(len(rows)) if weights is None else weights
    if _fewest(rows[weights > 0], blocks) <= rows.shape[1]:
        shrinkage = max(shrinkage, LEAST)
    found = patterns(rows, blocks, weights)
    prior = Prior.of(shrinkage, sum(pattern.weight for pattern in found))
    least = tol * sum(pattern.n_entries for pattern in found)
    d = rows.shape[1]
    estimate = start or Estimate(np.zeros(d), np.eye(d), shrinkage)
    estimate = replace(estimate, shrinkage=shrinkage, objectives=(), converged=False)
    while len(estimate.objectives) < max_iter and not estimate.converged:
        S = shrunk(estimate.covariance, shrinkage)
        mean, scatter, objective = step(found, estimate.mean, S, prior)
        objectives = (*estimate.objectives, objective)
        gain = np.inf if len(objectives) == 1 else objective - objectives[-2]
        estimate = Estimate(mean, scatter, shrinkage, objectives, bool(gain < least))
    return estimate


def _fewest(rows: Array, blocks: Sequence[slice]) -> int:
    """Return in how many rows the rarest modality is."""
    counts = [int((~np.isnan(rows[:, b]).all(axis=1)).sum()) for b in blocks if b.stop > b.start]
    return min(counts, default=0)


@dataclass(frozen=True)
class Shrunk:
    """An estimate, and the shrinkage with which each modality is predicted best."""

    estimate: Estimate
    shrinkages: tuple[float, ...]


def fit_and_shrink(
    rows: Array, blocks: Sequence[slice], weights: Array | None = None, *, rotated: bool = False
) -> Shrunk:
    """Return the estimate whose shrinkage predicts modalities best, and that of each modality.

    A first estimate completes the inputs of each modality from each other; the choice is made on
    these, and again on the inputs as the next estimate completes them if it was another one. A
    modality that is never seen with another has no choice of its own; where none has, the columns
    choose, each predicted from all others, unless they are `rotated`: coordinates, not columns.
    """
    weights = np.ones(len(rows)) if weights is None else weights
    estimate = fit_normal(rows, blocks, shrinkage=FIRST, weights=weights, tol=ROUGH)
    joint, each = _best_shrinkages(rows, blocks, weights, estimate, rotated)
    estimate = fit_normal(rows, blocks, shrinkage=joint, weights=weights, start=estimate)
    if len(rows) > MANY * rows.shape[1]:
        return Shrunk(estimate, each)
    again, each = _best_shrinkages(rows, blocks, weights, estimate, rotated)
    if abs(np.log(again / joint)) > CLOSE:
        estimate = fit_normal(rows, blocks, shrinkage=again, weights=weights, start=estimate)
    return Shrunk(estimate, each)


def _best_shrinkages(
    rows: Array, blocks: Sequence[slice], weights: Array, estimate: Estimate, rotated: bool
) -> tuple[float, tuple[float, ...]]:
    """Return the shrinkage with which modalities are predicted best, all and each."""
    weight = float(weights[~np.isnan(rows).all(axis=1)].sum())
    errors = [_errors(rows, blocks, weights, estimate, m) for m in range(len(blocks))]
    total = np.sum(errors, axis=0)
    if not total.any() and not rotated:
        total = column_errors(estimate.covariance, weight)
    return best_shrinkages(errors, weight, total)


def _errors(
    rows: Array, blocks: Sequence[slice], weights: Array, estimate: Estimate, target: int
) -> Array:
    """Return the errors of predicting a modality from the others, of each of STRENGTHS.

    What rows lack of the others is completed without the help of the modality that is predicted:
    with it, inputs would know their target. All are 0 where no rows can tell.
    """
    columns = np.zeros(rows.shape[1], dtype=bool)
    columns[blocks[target]] = True
    usable = (weights > 0) & ~np.isnan(rows[:, ~columns]).all(axis=1)
    X, Y, w = rows[usable][:, ~columns], rows[usable][:, columns], weights[usable]
    S = estimate.covariance[np.ix_(~columns, ~columns)]
    X -= estimate.mean[~columns]
    others = side_by_side([b.stop - b.start for m, b in enumerate(blocks) if m != target])
    X = DenseNormal(S, others).complete(X, estimate.shrinkage)
    errors = np.zeros(len(STRENGTHS))
    judged = _judged(~np.isnan(Y))
    for known, chosen in judged:
        found = _of_rows(X[known], Y[known][:, chosen], w[known])
        errors += found * (Y.shape[1] / (len(judged) * len(chosen)))
    return errors


def _judged(seen: Array) -> list[tuple[Array, Array]]:
    """Return rows (n,) and columns of a target (n, q) that are judged together.

    Those are the rows that have all of it; where too few do, single columns on the rows they have.
    """
    whole, some = np.asarray(seen.all(axis=1)), seen.any(axis=1)
    if whole.sum() >= ENOUGH * some.sum():
        return [(whole, np.arange(seen.shape[1]))] if whole.any() and seen.shape[1] else []
    columns = np.unique(np.linspace(0, seen.shape[1] - 1, MOST_JUDGED).astype(int))
    return [(seen[:, j], np.array([j])) for j in columns if seen[:, j].any()]


def _of_rows(X: Array, Y: Array, weights: Array) -> Array:
    """Return the errors of predicting Y from completed X; both are copies and written to."""
    share = weights / weights.sum()
    for part in (X, Y):
        part -= share @ part
        part *= np.sqrt(share)[:, None]
    square, n_rows = float((Y**2).sum()), float(weights.sum())
    errors = prediction_errors(X.T @ X, X.T @ Y, square, n_rows)
    return errors if np.isfinite(errors).any() else np.zeros_like(errors)
