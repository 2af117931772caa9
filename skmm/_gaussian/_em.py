"""Expectation-maximisation of the mean and covariance of all columns, from rows that lack some.

A. P. Dempster, N. M. Laird and D. B. Rubin, "Maximum likelihood from incomplete data via the EM
algorithm", Journal of the Royal Statistical Society B 39 (1977).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import linalg

from skmm._gaussian._conditional import LOG_2_PI, Conditional
from skmm._gaussian._patterns import Group, add_at, block_at, groups

Array = np.ndarray


@dataclass(frozen=True)
class Pattern:
    """A group of rows, of which a step reads few.

    The moments of complete rows are gathered once, so that a step does not depend on how many they
    are. Rows with gaps are read, and those of a group that has fewer rows than columns.
    """

    group: Group  # of the rows that a step reads
    rows: Array  # (m, p), NaN in gaps
    weights: Array  # (m,)
    summed: float  # weight of the rows that a step does not read
    total: Array  # (p,) their weighted sum
    scatter: Array  # (p, p) their weighted cross-products

    @property
    def weight(self) -> float:
        """Weight of all rows."""
        return self.summed + float(self.weights.sum())

    @property
    def n_entries(self) -> float:
        """Number of observed entries, each as often as its row weighs."""
        gaps = self.group.gaps
        lacking = sum(self.weights[gap.rows].sum() * gap.columns.shape[1] for gap in gaps)
        return self.weight * len(self.group.observed) - float(lacking)

    def moments(self, center: Array) -> tuple[Array, Array]:
        """Return sum and cross-products about a centre of the rows that a step does not read."""
        if not self.summed:
            return np.zeros_like(center), np.zeros((len(center),) * 2)
        cross = np.outer(self.total, center)
        about = self.scatter - cross - cross.T + self.summed * np.outer(center, center)
        return self.total - self.summed * center, about


def patterns(values: Array, blocks: Sequence[slice], weights: Array) -> list[Pattern]:
    """Return the rows of a matrix (n, d) by pattern; those of no weight or entry are left out."""
    kept = (weights > 0) & ~np.isnan(values).all(axis=1)
    values, weights = values[kept], weights[kept]
    return [_pattern(group, values, weights) for group in groups(values, blocks)]


def _pattern(group: Group, values: Array, weights: Array) -> Pattern:
    rows, weights = values[np.ix_(group.rows, group.observed)], weights[group.rows]
    read = np.isnan(rows).any(axis=1)
    if (~read).sum() < len(group.observed):  # then their products cost more than they do
        read[:] = True
    summed, theirs = rows[~read], weights[~read, None]
    weighted = theirs * summed
    return Pattern(
        group.only(read), rows[read], weights[read],
        float(theirs.sum()), weighted.sum(axis=0), weighted.T @ summed,
    )  # fmt: skip


@dataclass(frozen=True)
class Prior:
    """As if `weight` rows more had been seen, of mean squares 1 and without covariance.

    The density is that of an inverse Wishart distribution of the covariance, up to a constant:
    ``-weight / 2 (log|S| + trace(S⁻¹))``.
    """

    weight: float

    @classmethod
    def of(cls, shrinkage: float, weight: float) -> Prior:
        """Return the prior that shrinks the covariance of complete rows by so much."""
        return cls(weight * shrinkage / (1.0 - shrinkage))

    def log_density(self, covariance: Array) -> float:
        """Return the log-density, up to a constant."""
        if self.weight == 0:
            return 0.0
        factor = linalg.cholesky(covariance, lower=True, check_finite=False)
        inverse = linalg.solve_triangular(factor, np.eye(len(factor)), lower=True)
        log_det = 2.0 * float(np.log(np.diag(factor)).sum())
        return -self.weight / 2 * (log_det + float((inverse**2).sum()))


class Step(NamedTuple):
    """The next estimate, and the penalised log-likelihood of the one before."""

    mean: Array
    scatter: Array  # (d, d) expected cross-products about the mean, over the weight of the rows
    objective: float


def step(found: Sequence[Pattern], mean: Array, covariance: Array, prior: Prior) -> Step:
    """Return the expected mean and covariance of the rows if they were complete.

    Shrunk by the prior, ``(weight S + prior.weight I) / (weight + prior.weight)``, they maximise
    the expected penalised likelihood of complete rows, so that the penalised likelihood of the
    observed entries never falls.
    """
    d = len(mean)
    total, scatter = np.zeros(d), np.zeros((d, d))  # about the present mean
    weight, objective = 0.0, prior.log_density(covariance)
    for pattern in found:
        objective += _add_expected(pattern, mean, covariance, total, scatter)
        weight += pattern.weight
    shift = total / weight
    return Step(mean + shift, scatter / weight - np.outer(shift, shift), objective)


def _add_expected(
    pattern: Pattern, mean: Array, covariance: Array, total: Array, scatter: Array
) -> float:
    """Add what a pattern's rows are expected to be to the sums; return their log-likelihood."""
    group, weights = pattern.group, pattern.weights
    seen, rest = group.observed, group.missing
    given = Conditional.of(group, covariance)
    first, second = pattern.moments(mean[seen])  # of the rows that are not read
    log_dets, quadratic = pattern.weight * given.log_det, 0.0
    if pattern.summed:
        quadratic = float(np.einsum("ij,ij->", given.precision, second))
    filled = given.fill(np.nan_to_num(pattern.rows - mean[seen]), weights, second)
    log_dets += float(weights @ filled.log_dets)
    solved = given.whiten(filled.rows)  # (p, m)
    quadratic += float((solved**2).sum(axis=0) @ weights)

    fitted = solved.T @ given.half  # of the columns M, (m, d - p)
    weighted = weights[:, None] * filled.rows
    across = weighted.T @ fitted  # (p, d - p)
    beyond = (weights[:, None] * fitted).T @ fitted  # (d - p, d - p)
    expected = weights @ fitted
    if pattern.summed or group.gaps:
        ahead = second @ given.slope
        across, beyond = across + ahead, beyond + given.slope.T @ ahead
        expected = expected + first @ given.slope
    left = block_at(covariance, rest, rest) - given.half.T @ given.half
    add_at(scatter, seen, seen, second + weighted.T @ filled.rows)
    if len(rest):
        add_at(scatter, seen, rest, across)
        add_at(scatter, rest, seen, across.T)
        add_at(scatter, rest, rest, beyond + pattern.weight * left)
    total[seen] += first + weighted.sum(axis=0)
    total[rest] += expected
    return -0.5 * (pattern.n_entries * LOG_2_PI + log_dets + quadratic)
