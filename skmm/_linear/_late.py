"""Linear models of single modalities, and the mean of what they predict.

Where modalities are missing, the others are weighed anew: nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skmm._linear._columns import Columns
from skmm._linear._logistic import Task
from skmm._linear._model import LinearFit, LinearModel
from skmm._linear._pool import by_task, late_outputs, modality_weights, targets_by_task
from skmm._modalities._values import Array


@dataclass(frozen=True)
class LateModel:
    """Outputs of the modalities that a row has, on weighted average.

    Attributes
    ----------
    columns : Columns
    parts : tuple of LinearModel
        Of each modality's block of the columns.
    tasks : tuple of Task
    weights : tuple of ndarray (n_modalities,)
        Of each task.
    """

    columns: Columns
    parts: tuple[LinearModel, ...]
    tasks: tuple[Task, ...]
    weights: tuple[Array, ...]

    def outputs_of(self, Z: Array, seen: Array) -> Array:
        """Return the outputs (n, q) of rows of the matrix of columns that have some modalities."""
        blocks = self.columns.blocks()
        each = [part.outputs_of(Z[:, b]) for part, b in zip(self.parts, blocks, strict=True)]
        return self.averaged(np.stack(each), seen)

    def averaged(self, each: Array, seen: Array) -> Array:
        """Return the outputs (n, q), from those of each modality (n_modalities, n, q)."""
        found = [
            late_outputs(task.kind, part, seen, weights)
            for task, part, weights in zip(
                self.tasks, by_task(self.tasks, each), self.weights, strict=True
            )
        ]
        return np.concatenate(found, axis=1)


class LateFit(NamedTuple):
    """The model of all rows, and the out-of-fold outputs (n_modalities, n, q) of each modality."""

    model: LateModel
    each: Array
    seen: Array  # bool (n, n_modalities)

    @property
    def oof(self) -> Array:
        """Out-of-fold outputs (n, q)."""
        return self.model.averaged(self.each, self.seen)


def fit_late(
    columns: Columns,
    Z: Array,
    seen: Array,
    target: Array,
    tasks: Sequence[Task],
    fit: Callable[[Array, Array], LinearFit],
    weight: Array,
) -> LateFit:
    """Fit a model of each modality, on the rows that have it, and their weights out of fold.

    Parameters
    ----------
    columns : Columns
        That make the matrix.
    Z : ndarray of shape (n, p)
        The matrix of the training rows.
    seen : ndarray of bool, shape (n, n_modalities)
        Which modalities rows have.
    target : ndarray of shape (n, n_targets)
        Classes, labels or standardised numbers.
    tasks : sequence of Task
        What the columns of the target are.
    fit : callable
        From some columns of the matrix and weights of rows to the fit of a linear model.
    weight : ndarray of shape (n,)
        Of the rows.

    Returns
    -------
    fit : LateFit
    """
    fits = []
    for block, here in zip(columns.blocks(), seen.T, strict=True):
        own = weight * here
        fits.append(fit(Z[:, block], own if own.any() else weight))
    each = np.stack([one.oof for one in fits])
    known = seen & np.isfinite(each).all(axis=2).T
    each = np.where(known.T[:, :, None], each, 0.0)
    rows = known.any(axis=1) & (weight > 0)
    weights = tuple(
        modality_weights(task.kind, y[rows], part[:, rows], known[rows], weight[rows])
        for task, y, part in zip(
            tasks, targets_by_task(tasks, target), by_task(tasks, each), strict=True
        )
    )
    parts = tuple(one.model for one in fits)
    return LateFit(LateModel(columns, parts, tuple(tasks), weights), each, known)
