"""A fitted linear model of columns, and what it says of the rows that its parts did not see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from skmm._gaussian._wide import DenseAxes
from skmm._linear._columns import Columns
from skmm._modalities import Modalities
from skmm._modalities._values import Array


class Fold(Protocol):
    """Row numbers that a fit trains on, and those that it holds out; None holds out none."""

    @property
    def train(self) -> Array:
        """Training rows."""

    @property
    def valid(self) -> Array | None:
        """Held-out rows."""


@dataclass(frozen=True)
class Floor:
    """Classes that the training rows lack, and the probability that each of them is given."""

    block: slice  # outputs of the task
    absent: Array  # bool (width,)
    share: float

    def at(self, start: int) -> Floor:
        """Return the floor of a task whose outputs begin there."""
        return Floor(slice(start, start + len(self.absent)), self.absent, self.share)

    def put(self, outputs: Array) -> None:
        """Write the logits of absent classes into outputs (n, n_outputs)."""
        part = outputs[:, self.block]
        known = np.logaddexp.reduce(part[:, ~self.absent], axis=1, keepdims=True)
        left = 1.0 - self.share * self.absent.sum()
        part[:, self.absent] = known + np.log(self.share / left)


@dataclass(frozen=True)
class LinearModel:
    """Outputs that are linear in the columns of modalities: expected numbers, or logits.

    Attributes
    ----------
    columns : Columns
    coefficients : ndarray (p, q)
    intercept : ndarray (q,)
    floors : tuple of Floor
        Of tasks with classes that no training row has.
    """

    columns: Columns
    coefficients: Array
    intercept: Array
    floors: tuple[Floor, ...] = ()

    def outputs(self, X: Modalities) -> Array:
        """Return the outputs (n, q) of checked rows whose labels are numbers of classes."""
        return self.outputs_of(self.columns.matrix(X))

    def outputs_of(self, Z: Array) -> Array:
        """Return the outputs (n, q) of rows of the matrix of columns (n, p)."""
        found = Z @ self.coefficients + self.intercept
        for floor in self.floors:
            floor.put(found)
        return found


@dataclass(frozen=True)
class LinearFit:
    """A linear model of all rows, and outputs for rows by models that did not see them.

    Attributes
    ----------
    model : LinearModel
    oof : ndarray (n, q)
        Out-of-fold outputs: the mean over the folds that hold out a row, NaN where none does.
    penalties : ndarray
        Of the model of all rows: C of each task of classes, or the penalty of each number.
    left_out : ndarray (n, q) or None
        Leave-one-out outputs of numbers, NaN in rows of weight 0.
    """

    model: LinearModel
    oof: Array
    penalties: Array
    left_out: Array | None = None


class Rotated(NamedTuple):
    """Rows in the span of training rows: fits with squared penalties are the same there."""

    rows: Array  # (n, r)
    axes: Array | None  # (p, r), None where there are more rows than columns
    mean: Array  # (p,)

    @classmethod
    def of(cls, Z: Array, weight: Array) -> Rotated:
        """Rotate rows (n, p) to the span of those of weight above 0, about their mean."""
        used = Z[weight > 0]
        mean = used.mean(axis=0)
        if len(used) > Z.shape[1]:
            return cls(Z, None, mean)
        axes = DenseAxes.spanning(used - mean).matrix
        return cls((Z - mean) @ axes, axes, mean)

    def back(self, coefficients: Array, intercept: Array) -> tuple[Array, Array]:
        """Return coefficients (p, q) and intercept of the columns, from those of the rows here."""
        if self.axes is None:
            return coefficients, intercept
        found = self.axes @ coefficients
        return found, intercept - self.mean @ found


def usable(splits: Sequence[Fold], weight: Array) -> Iterator[tuple[Array, Array]]:
    """Yield training rows of weight above 0, and held-out rows, of each split that has both."""
    for split in splits:
        train = split.train[weight[split.train] > 0]
        if len(train) and split.valid is not None and len(split.valid):
            yield train, split.valid


def pooled(found: Sequence[tuple[Array, Array]], n_rows: int, n_outputs: int) -> Array:
    """Return the mean of outputs of rows (rows, outputs) by row (n_rows, n_outputs), or NaN."""
    total, count = np.zeros((n_rows, n_outputs)), np.zeros((n_rows, 1))
    for rows, outputs in found:
        np.add.at(total, rows, outputs)
        np.add.at(count, rows, 1.0)
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)


def check_weight(weight: Array | None, n_rows: int) -> Array:
    """Return weights (n_rows,) whose mean over the rows that have any is 1."""
    if weight is None:
        return np.ones(n_rows)
    return weight / weight[weight > 0].mean()
