"""Outputs of several predictors as one: the networks of the folds, and the linear model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.linalg import orthogonal_procrustes
from scipy.special import log_expit, log_softmax, logsumexp

from skmm._linear._blend import mixed_logits, share_of_classes, share_of_numbers
from skmm.nn._prediction import Task

Array = np.ndarray


def averaged(tasks: Sequence[Task], outputs: Array) -> Array:
    """Return the mean (n, width) of outputs (k, n, width): of numbers, or of probabilities."""
    if len(outputs) == 1:
        return outputs[0]
    means = []
    for task, part in zip(tasks, _of_tasks(tasks, outputs), strict=True):
        if task.kind == "numbers":
            means.append(part.mean(axis=0))
        elif task.kind == "classes":
            means.append(logsumexp(log_softmax(part, axis=2), axis=0) - np.log(len(part)))
        else:
            yes, no = (logsumexp(log_expit(sign * part), axis=0) for sign in (1, -1))
            means.append(yes - no)
    return np.concatenate(means, axis=1)


def network_shares(
    tasks: Sequence[Task], target: Array, linear: Array, network: Array, weight: Array
) -> list[Array]:
    """Return the share of the network in each task, of numbers in each column.

    Parameters
    ----------
    tasks : sequence of Task
        The meaning of the outputs.
    target : ndarray of shape (n, n_targets)
        Of held-out rows.
    linear, network : ndarray of shape (n, width)
        Outputs of both.
    weight : ndarray of shape (n,)
        Of the rows.
    """
    counts = [1 if task.kind == "classes" else task.width for task in tasks]
    targets = np.split(target, np.cumsum(counts)[:-1], axis=1)
    found = []
    for task, y, a, b in zip(
        tasks, targets, _of_tasks(tasks, linear), _of_tasks(tasks, network), strict=True
    ):
        if task.kind == "numbers":
            found.append(share_of_numbers(y, a, b, weight))
        else:
            found.append(np.array([share_of_classes(task.kind, y, a, b, weight)]))
    return found


def blended(tasks: Sequence[Task], linear: Array, network: Array, shares: Sequence[Array]) -> Array:
    """Return outputs (n, width) of the mixture; exactly the linear ones where the share is 0."""
    parts = []
    for task, share, a, b in zip(
        tasks, shares, _of_tasks(tasks, linear), _of_tasks(tasks, network), strict=True
    ):
        if task.kind == "numbers":
            parts.append(np.where(share > 0, a + share.astype(a.dtype) * (b - a), a))
        else:
            parts.append(mixed_logits(task.kind, a, b, float(share[0])))
    return np.concatenate(parts, axis=1)


def rotations(representations: Sequence[Array]) -> list[Array | None]:
    """Return the rotations (k, k) that bring representations (n, k) nearest to the first one's.

    Networks that start from different weights say the same in other coordinates: their mean would
    be of nothing.
    """
    first = representations[0]
    return [None, *(orthogonal_procrustes(other, first)[0] for other in representations[1:])]


def _of_tasks(tasks: Sequence[Task], outputs: Any) -> list[Array]:
    return np.split(outputs, np.cumsum([task.width for task in tasks])[:-1], axis=-1)
