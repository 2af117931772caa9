"""Several outputs for the same rows as one, with weights that held-out rows choose.

Outputs are numbers, logits of classes, or log-odds of labels, and are added with weights that are
not negative: of classes the weighted geometric mean of probabilities, whose temperature is in the
sum of the weights. The loss of held-out rows is convex in the weights; the more rows there are, the
less it matters where the weights were expected.

References
----------
C. Genest and J. V. Zidek, "Combining probability distributions", Statistical Science 1 (1986).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import optimize
from scipy.linalg import solve_triangular
from scipy.special import expit, log_softmax, softmax

from skmm._linear._logistic import Task, row_losses
from skmm._modalities._values import Array

MOST = 5.0  # weight of one output
LEAST = 1e-6  # of one of those that are weighed anew in each row
STRENGTH_OF_PARTS = 20.0  # of what is expected of weights, in rows
STRENGTH_OF_MODALITIES = 5.0
Found = tuple[Array, Array]  # outputs (n, width), and their derivatives by each weight


def pool_weights(
    kind: str, truth: Array, parts: Array, towards: Sequence[float], weight: Array
) -> Array:
    """Return the weights of several outputs in their pool, of least loss with a penalty.

    The penalty is ``20 / n`` of their squared distance from `towards`.

    Parameters
    ----------
    kind : {"classes", "labels", "numbers"}
        What the outputs are.
    truth : ndarray of shape (n, 1) or (n, width)
        Classes; or 0 and 1, or standardised numbers.
    parts : ndarray of shape (m, n, width)
        Outputs for held-out rows.
    towards : sequence of m floats
        Weights that are expected.
    weight : ndarray of shape (n,)
        Of the rows.

    Returns
    -------
    weights : ndarray of shape (m, 1), of numbers (m, width)
    """
    logs, at = in_logs(kind, parts), np.asarray(towards, dtype=float)
    share, strength = _shares(weight, STRENGTH_OF_PARTS)
    if kind == "numbers":
        found = [
            _least_squares(part.T, y, share, at, strength)
            for part, y in zip(np.moveaxis(logs, 2, 0), truth.T, strict=True)
        ]
        return np.array([_alone(each) for each in found]).T

    def outputs(weights: Array) -> Found:
        return np.tensordot(weights, logs, 1), logs

    return _alone(_least_loss(kind, truth, outputs, share, at, strength, 0.0))[:, None]


def pooled(kind: str, parts: Sequence[Array | None], weights: Array) -> Array:
    """Return the pool (n, width) of outputs; those of weight 0 may be None."""
    used = [
        (weight, in_logs(kind, part))
        for weight, part in zip(weights, parts, strict=True)
        if part is not None and weight.any()
    ]
    return np.sum([weight.astype(part.dtype) * part for weight, part in used], axis=0)


def modality_weights(kind: str, truth: Array, parts: Array, seen: Array, weight: Array) -> Array:
    """Return the weights (m,) of outputs by single modalities in `late_outputs`.

    Parameters are those of `pool_weights`, and which rows have each modality (n, m).
    """
    logs, count = in_logs(kind, parts), len(parts)
    share, strength = _shares(weight, STRENGTH_OF_MODALITIES)

    def outputs(weights: Array) -> Found:
        mean, each = _mean_of_seen(logs, seen, weights)
        slopes = each[:, :, None] * (logs - mean) * weights.sum()
        return weights.sum() * mean, mean + slopes

    return _least_loss(kind, truth, outputs, share, np.full(count, 1.0 / count), strength, LEAST)


def late_outputs(kind: str, parts: Array, seen: Array, weights: Array) -> Array:
    """Return the weighted mean of outputs (m, n, width) by the modalities that a row has.

    It is multiplied by the sum of the weights, their temperature. Rows without any are 0.
    """
    return weights.sum() * _mean_of_seen(in_logs(kind, parts), seen, weights)[0]


def in_logs(kind: str, outputs: Array) -> Array:
    """Return outputs (..., width) as they are added: of classes logarithms of probabilities."""
    return log_softmax(outputs, axis=-1) if kind == "classes" else outputs


def by_task(tasks: Sequence[Task], outputs: Any) -> list[Array]:
    """Return the outputs (..., width) of each task."""
    return np.split(outputs, np.cumsum([task.width for task in tasks])[:-1], axis=-1)


def targets_by_task(tasks: Sequence[Task], target: Array) -> list[Array]:
    """Return the columns of the target (n, n_targets) of each task."""
    counts = [1 if task.kind == "classes" else task.width for task in tasks]
    return np.split(target, np.cumsum(counts)[:-1], axis=1)


def _mean_of_seen(logs: Array, seen: Array, weights: Array) -> tuple[Array, Array]:
    """Return the mean (n, width), and each modality's 1 / sum of the weights seen (m, n)."""
    total = seen @ weights
    each = (seen / np.where(total > 0, total, 1.0)[:, None]).T
    return np.einsum("mn,m,mnk->nk", each, weights, logs), each


def _shares(weight: Array, strength: float) -> tuple[Array, float]:
    """Return the shares of rows in a mean, and the strength for as many as they are worth."""
    share = weight / weight.sum()
    return share, strength * float((share**2).sum())


def _least_loss(
    kind: str,
    truth: Array,
    outputs: Callable[[Array], Found],
    share: Array,
    towards: Array,
    strength: float,
    least: float,
) -> Array:
    """Minimise the mean loss of rows with the penalty."""

    def loss(weights: Array) -> tuple[float, Array]:
        found, slopes = outputs(weights)
        values, steps = _losses(kind, found, truth)
        away = weights - towards
        slope = np.einsum("mnk,nk->m", slopes, share[:, None] * steps)
        value = float(share @ values + strength * away @ away)
        return value, slope + 2.0 * strength * away

    bounds = [(least, MOST)] * len(towards)
    return optimize.minimize(loss, towards, jac=True, method="L-BFGS-B", bounds=bounds).x


def _losses(kind: str, outputs: Array, truth: Array) -> Found:
    """Return the losses (n,) of rows, and their derivatives (n, width) by the outputs."""
    if kind == "numbers":
        left = outputs - truth
        return (left**2).mean(axis=1), 2.0 * left / left.shape[1]
    if kind == "classes":
        steps = softmax(outputs, axis=1)
        steps[np.arange(len(truth)), truth[:, 0].astype(int)] -= 1.0
    else:
        steps = (expit(outputs) - truth) / outputs.shape[1]
    return row_losses(kind, outputs, truth), steps


def _least_squares(A: Array, y: Array, share: Array, towards: Array, strength: float) -> Array:
    """Return the weights (m,), not negative, of the columns of A (n, m)."""
    gram = (A.T * share) @ A + strength * np.eye(len(towards))
    right = (A.T * share) @ y + strength * towards
    root = np.linalg.cholesky(gram)
    return optimize.nnls(root.T, solve_triangular(root, right, lower=True))[0]


def _alone(weights: Array) -> Array:
    """Return 1 for the first output if the others have no weight: it was fitted alone."""
    return np.eye(len(weights))[0] if not weights[1:].any() else weights
