"""Outputs of several predictors as one: the networks of the folds, and the linear models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import orthogonal_procrustes

from skmm._linear._late import LateFit, LateModel
from skmm._linear._model import LinearFit, LinearModel
from skmm._linear._pool import by_task, in_logs, pool_weights, pooled, targets_by_task
from skmm._modalities import Modalities
from skmm._modalities._stream import is_streamed, row_slices
from skmm.nn._prediction import Task

Array = np.ndarray
# Weights that are expected of the linear model, of single modalities, and of the networks.
EXPECTED = {2: (0.5, 0.5), 3: (0.5, 0.25, 0.25)}


@dataclass(frozen=True)
class LinearFits:
    """The fit of the linear model of all modalities, and that of each; None of only one."""

    joint: LinearFit
    late: LateFit | None

    def oof(self, rows: Array) -> list[Array]:
        """Return the out-of-fold outputs of both."""
        found = [self.joint.oof[rows]]
        return found if self.late is None else [*found, self.late.oof[rows]]

    @property
    def models(self) -> LinearParts:
        """Return both models."""
        return LinearParts(self.joint.model, None if self.late is None else self.late.model)


@dataclass(frozen=True)
class LinearParts:
    """The linear model of all modalities, and that of single ones; None of only one."""

    joint: LinearModel
    late: LateModel | None

    def outputs(self, X: Modalities) -> list[Array]:
        """Return the outputs of both for checked rows, which are read in parts if need be."""
        if not is_streamed(X):
            return self._outputs(X)
        parts = [self._outputs(X[rows]) for rows in row_slices(X)]
        return [np.concatenate(found) for found in zip(*parts, strict=True)]

    def _outputs(self, X: Modalities) -> list[Array]:
        Z = self.joint.columns.matrix(X)
        found = [self.joint.outputs_of(Z)]
        if self.late is not None:
            found.append(self.late.outputs_of(Z, self.joint.columns.seen(X)))
        return found


def averaged(tasks: Sequence[Task], outputs: Array) -> Array:
    """Return the mean (n, width) of outputs (k, n, width): of numbers, or of logarithms."""
    if len(outputs) == 1:
        return outputs[0]
    parts = zip(tasks, by_task(tasks, outputs), strict=True)
    return np.concatenate([in_logs(task.kind, part).mean(axis=0) for task, part in parts], axis=1)


def blend_weights(
    tasks: Sequence[Task], target: Array, parts: Sequence[Array], weight: Array
) -> list[Array]:
    """Return the weights (m, 1) of outputs in each task, (m, width) of numbers.

    Parameters
    ----------
    tasks : sequence of Task
        The meaning of the outputs.
    target : ndarray of shape (n, n_targets)
        Of held-out rows.
    parts : sequence of m ndarray of shape (n, width)
        Outputs of the linear models, and of the networks.
    weight : ndarray of shape (n,)
        Of the rows.
    """
    expected = EXPECTED[len(parts)]
    targets, outputs = targets_by_task(tasks, target), by_task(tasks, np.stack(parts))
    return [
        pool_weights(task.kind, y, found, expected, weight)
        for task, y, found in zip(tasks, targets, outputs, strict=True)
    ]


def blended(
    tasks: Sequence[Task], parts: Sequence[Array | None], weights: Sequence[Array]
) -> Array:
    """Return the outputs (n, width) of the pool; those of weight 0 everywhere may be None."""
    split = [[None] * len(tasks) if part is None else by_task(tasks, part) for part in parts]
    found = [
        pooled(task.kind, own, weight)
        for task, own, weight in zip(tasks, zip(*split, strict=True), weights, strict=True)
    ]
    return np.concatenate(found, axis=1)


def linear_share(weights: Array) -> Array:
    """Return the share of the linear models in the sums of weights (m, width)."""
    total = weights.sum(axis=0)
    return np.divide(total - weights[-1], total, out=np.ones_like(total), where=total > 0)


def rotations(representations: Sequence[Array]) -> list[Array | None]:
    """Return the rotations (k, k) that bring representations (n, k) nearest to the first one's.

    Networks that start from different weights say the same in other coordinates: their mean would
    be of nothing.
    """
    first = representations[0]
    return [None, *(orthogonal_procrustes(other, first)[0] for other in representations[1:])]
