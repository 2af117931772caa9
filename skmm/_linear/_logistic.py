"""Logistic regression of classes and labels, its penalty chosen by folds.

The model of all rows is scikit-learn's LogisticRegression with this C, on the matrix of columns.
Where rows are fewer than columns they are rotated to the axes of their span, which leaves the
minimum where it is. Weights have the mean 1, so that C does not depend on their size.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from skmm._linear._columns import Columns
from skmm._linear._model import (
    Floor,
    Fold,
    LinearFit,
    LinearModel,
    Rotated,
    check_weight,
    pooled,
    usable,
)
from skmm._modalities._values import Array

PENALTIES = np.logspace(-3, 4, 8)  # C; those beside the best are tried as well
FINER = 10**0.5
USUAL = 1.0  # C where no fold can choose one
ROUGH, EXACT = 1e-5, 1e-8  # tolerances on the path, and of the model of all rows
MOST_STEPS = 10_000
FEW = 200  # coefficients, for which Newton's steps are quicker
HALVES = np.array([-0.5, 0.5])
Held = list[tuple[Array, Array]]  # held-out rows, and their outputs


class Task(Protocol):
    """The meaning of some outputs: kind "classes" or "labels", and how many there are."""

    @property
    def kind(self) -> str:
        """Whether they exclude each other: "classes", or "labels"."""

    @property
    def width(self) -> int:
        """Number of classes or labels."""


class Solution(NamedTuple):
    """Coefficients (r, k) and intercept (k,) of outputs."""

    coefficients: Array
    intercept: Array


def fit_logistic(
    columns: Columns,
    Z: Array,
    target: Array,
    tasks: Sequence[Task],
    splits: Sequence[Fold] = (),
    weight: Array | None = None,
    penalties: Sequence[float] | None = None,
) -> LinearFit:
    """Fit a logistic regression for each task, with the C of least out-of-fold log-loss.

    Parameters
    ----------
    columns : Columns
        Of which the model makes its matrix.
    Z : ndarray of shape (n, p)
        The matrix of the training rows.
    target : ndarray of shape (n, n_targets)
        The class of each task of classes, 0 or 1 of each label, side by side.
    tasks : sequence of Task
        What the columns of the target are.
    splits : sequence of pairs of ndarray
        Training and held-out rows; without any, C is 1.
    weight : ndarray of shape (n,), default=None
        Of the rows; those of weight 0 are predicted alone.
    penalties : sequence of float, default=None
        C of each task where it is known; the model of all rows is then as rough as those of the
        folds.

    Returns
    -------
    fit : LinearFit
        Outputs are logits. Those of two classes are half the log-odds, with both signs. A class
        that the training rows of a fit lack has the probability 1 / (n + K) there, with n rows and
        K classes.
    """
    weight = check_weight(weight, len(Z))
    rotated = Rotated.of(Z, weight)
    targets = np.split(target, np.cumsum([_n_targets(task) for task in tasks])[:-1], axis=1)
    folds = list(usable(splits, weight))
    known = [None] * len(tasks) if penalties is None else penalties
    found = [
        _fit_task(rotated.rows, y, task, folds, weight, C)
        for y, task, C in zip(targets, tasks, known, strict=True)
    ]
    solutions = [fit.solution for fit in found]
    coefficients, intercept = rotated.back(
        np.hstack([s.coefficients for s in solutions]),
        np.concatenate([s.intercept for s in solutions]),
    )
    floors, start = [], 0
    for fit, task in zip(found, tasks, strict=True):
        if fit.floor is not None:
            floors.append(fit.floor.at(start))
        start += task.width
    model = LinearModel(columns, coefficients, intercept, tuple(floors))
    return LinearFit(model, np.hstack([f.oof for f in found]), np.array([f.C for f in found]))


class _TaskFit(NamedTuple):
    solution: Solution
    floor: Floor | None
    oof: Array
    C: float


class _Part(NamedTuple):
    """A regression of scikit-learn, what it predicts, and the outputs (k,) that it gives."""

    regression: LogisticRegression
    y: Array
    outputs: Array


@dataclass(frozen=True)
class _Rows:
    """The regressions of some rows; each starts from its solution before."""

    Z: Array
    weight: Array
    parts: tuple[_Part, ...]
    rest: Array  # (width,) outputs that do not depend on rows
    floor: Floor | None = None

    @classmethod
    def of(cls, Z: Array, y: Array, task: Task, weight: Array, tol: float) -> _Rows:
        """Leave out classes that do not occur, and labels that are constant."""

        def part(target: Array, outputs: Array) -> _Part:
            size = Z.shape[1] * (1 if len(outputs) <= 2 else len(outputs))
            model = LogisticRegression(
                tol=tol,
                max_iter=MOST_STEPS,
                warm_start=True,
                solver="newton-cholesky" if size <= FEW else "lbfgs",
            )
            return _Part(model, target, outputs)

        rest = np.zeros(task.width)
        if task.kind == "classes":
            classes = np.unique(y[:, 0]).astype(int)
            parts = (part(y[:, 0], classes),) if len(classes) > 1 else ()
            absent = ~np.isin(np.arange(task.width), classes)
            floor = Floor(slice(0, task.width), absent, 1.0 / (len(y) + task.width))
            return cls(Z, weight, parts, rest, floor if absent.any() else None)
        varies = y.min(axis=0) < y.max(axis=0)
        rest[~varies] = np.log(len(y) + 1.0) * (2.0 * y[0, ~varies] - 1.0)
        labels = np.flatnonzero(varies)
        return cls(Z, weight, tuple(part(y[:, j], labels[labels == j]) for j in labels), rest)

    def solve(self, C: float) -> Solution:
        """Return coefficients and intercept of all outputs."""
        coefficients = np.zeros((self.Z.shape[1], len(self.rest)))
        intercept = self.rest.copy()
        for model, y, outputs in self.parts:
            with warnings.catch_warnings():  # a C so weak that it does not converge is not chosen
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.set_params(C=C).fit(self.Z, y, self.weight)
            own, level = model.coef_.T, model.intercept_
            if len(outputs) == 2:
                own, level = own * HALVES, level * HALVES
            coefficients[:, outputs], intercept[outputs] = own, level
        return Solution(coefficients, intercept)

    def outputs(self, solution: Solution, Z: Array) -> Array:
        """Return the outputs (n, width) of rows."""
        found = Z @ solution.coefficients + solution.intercept
        if self.floor is not None:
            self.floor.put(found)
        return found


def _fit_task(
    Z: Array,
    y: Array,
    task: Task,
    folds: Sequence[tuple[Array, Array]],
    weight: Array,
    known: float | None,
) -> _TaskFit:
    """Choose C on the log-loss of all held-out rows together, and fit all rows with it."""
    parts = [_Rows.of(Z[train], y[train], task, weight[train], ROUGH) for train, _ in folds]

    def judge(C: float) -> tuple[float, Held]:
        found, losses = [], []
        for part, (_, valid) in zip(parts, folds, strict=True):
            outputs = part.outputs(part.solve(C), Z[valid])
            found.append((valid, outputs))
            losses.append(weight[valid] @ row_losses(task.kind, outputs, y[valid]))
        return float(np.sum(losses)), found

    C, held_out = known or USUAL, Held()
    if folds:
        C, held_out = search(judge) if known is None else (known, judge(known)[1])
    used = weight > 0
    whole = _Rows.of(Z[used], y[used], task, weight[used], EXACT if known is None else ROUGH)
    return _TaskFit(whole.solve(C), whole.floor, pooled(held_out, len(Z), task.width), C)


def search(judge: Callable[[float], tuple[float, Held]]) -> tuple[float, Held]:
    """Return the C of least loss, and what belongs to it.

    From strong penalties to weak ones, until losses fall no more; then on both sides of the best.
    """
    found: dict[float, tuple[float, Held]] = {}
    best = 0.0
    for C in PENALTIES.tolist():
        found[C] = judge(C)
        if best and found[C][0] >= found[best][0]:
            break
        best = C
    for C in (best * FINER, best / FINER):  # the solution nearest to the last one first
        found[C] = judge(C)
    best = min(found, key=lambda C: found[C][0])
    return best, found[best][1]


def row_losses(kind: str, outputs: Array, y: Array) -> Array:
    """Return the log-loss (n,) of each row: of its class, or the mean over labels."""
    if kind == "classes":
        logs = outputs - logsumexp(outputs, axis=1, keepdims=True)
        return -np.take_along_axis(logs, y.astype(int), axis=1)[:, 0]
    return np.mean(np.logaddexp(0.0, outputs) - y * outputs, axis=1)


def _n_targets(task: Task) -> int:
    return 1 if task.kind == "classes" else task.width
