"""The normal distribution that rows with gaps are likeliest from, and its shrinkage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from skmm._gaussian._em import Prior, patterns, step
from skmm._gaussian._normal import DenseNormal, shrunk
from skmm._gaussian._shrinkage import STRENGTHS, best_strength, prediction_errors, shrinkage_of

Array = np.ndarray
FIRST = 0.3  # shrinkage with which inputs are completed before one is chosen
ROUGH, FINE = 1e-3, 1e-5  # tolerances of the first estimate, and of the next ones
MANY = 50  # rows per column, with which no shrinkage does harm
NEGLIGIBLE = 1e-6  # shrinkage for nothing but columns that depend on others
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
        Share of the identity in the covariance: that of an inverse Wishart prior.
    weights : ndarray of shape (n,), default=None
    start : Estimate, default=None
        Where to begin; the mean 0 and the identity by default.
    max_iter : int, default=100
    tol : float, default=1e-5
        Steps end when one adds less to the penalised log-likelihood per observed entry.
    """
    weights = np.ones(len(rows)) if weights is None else weights
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


@dataclass(frozen=True)
class Shrunk:
    """An estimate, and the shrinkage with which each modality is predicted best."""

    estimate: Estimate
    shrinkages: tuple[float, ...]


def fit_and_shrink(rows: Array, blocks: Sequence[slice], weights: Array | None = None) -> Shrunk:
    """Return the estimate whose shrinkage predicts modalities best, and that of each modality.

    A first estimate completes the inputs of each modality from each other; the choice is made on
    these, and again on the inputs as the next estimate completes them if it was another one.
    """
    weights = np.ones(len(rows)) if weights is None else weights
    estimate = fit_normal(rows, blocks, shrinkage=FIRST, weights=weights, tol=ROUGH)
    joint, each = _best_shrinkages(rows, blocks, weights, estimate)
    estimate = fit_normal(rows, blocks, shrinkage=joint, weights=weights, start=estimate)
    if len(rows) > MANY * rows.shape[1]:
        return Shrunk(estimate, each)
    again, each = _best_shrinkages(rows, blocks, weights, estimate)
    if abs(np.log(again / joint)) > CLOSE:
        estimate = fit_normal(rows, blocks, shrinkage=again, weights=weights, start=estimate)
    return Shrunk(estimate, each)


def _best_shrinkages(
    rows: Array, blocks: Sequence[slice], weights: Array, estimate: Estimate
) -> tuple[float, tuple[float, ...]]:
    """Return the shrinkage with which modalities are predicted best, all and each."""
    weight = float(weights[~np.isnan(rows).all(axis=1)].sum())
    errors = [_errors(rows, blocks, weights, estimate, m) for m in range(len(blocks))]

    def best(error: Array, otherwise: float) -> float:
        return shrinkage_of(best_strength(error), weight) if error.any() else otherwise

    joint = best(np.sum(errors, axis=0), FIRST)
    return joint, tuple(best(error, joint) for error in errors)


def _errors(
    rows: Array, blocks: Sequence[slice], weights: Array, estimate: Estimate, target: int
) -> Array:
    """Return the errors of predicting a modality from the others, of each of STRENGTHS.

    What rows lack of the others is completed without the help of the modality that is predicted:
    with it, inputs would know their target.
    """
    columns = np.zeros(rows.shape[1], dtype=bool)
    columns[blocks[target]] = True
    known = ~np.isnan(rows[:, columns]).any(axis=1) & ~np.isnan(rows[:, ~columns]).all(axis=1)
    known &= weights > 0
    X, Y, w = rows[known][:, ~columns], rows[known][:, columns], weights[known]
    if len(X) < 2:
        return np.zeros(len(STRENGTHS))  # nothing says how well it is predicted
    S = estimate.covariance[np.ix_(~columns, ~columns)]
    X -= estimate.mean[~columns]
    X = DenseNormal(S, _without(blocks, target)).complete(X, estimate.shrinkage)
    root = np.sqrt(w / w.sum())[:, None]
    for part in (X, Y):
        part -= (root[:, 0] ** 2) @ part
        part *= root
    return prediction_errors(X.T @ X, X.T @ Y, float((Y**2).sum()), float(w.sum()))


def _without(blocks: Sequence[slice], left: int) -> list[slice]:
    """Return the blocks but one, as slices of their columns side by side."""
    sizes = [block.stop - block.start for m, block in enumerate(blocks) if m != left]
    ends = np.cumsum([0, *sizes]).tolist()
    return [slice(a, b) for a, b in pairwise(ends)]
