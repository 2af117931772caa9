"""Which rows are held out in fit."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

Array = np.ndarray


class Split(NamedTuple):
    """The rows that a fit trains on, and those that it holds out; None holds out none."""

    train: Array
    valid: Array | None = None


def split_rows(
    rows: Array, fraction: float, rng: np.random.RandomState, labels: Array | None = None
) -> Split:
    """Split rows into training and validation rows, stratified by the labels of all rows."""
    n_samples = len(rows)
    n_valid = max(math.ceil(fraction * n_samples), min(4, n_samples // 2))
    if n_samples - n_valid < 2:
        raise ValueError(
            f"validation_fraction={fraction} leaves {n_samples - n_valid} of "
            f"n_samples={n_samples} to train on: a minimum of 2 is required."
        )
    valid = held_out_rows(n_samples, n_valid, rng, None if labels is None else labels[rows])
    return Split(np.delete(rows, valid), rows[valid])


def held_out_rows(
    n_samples: int, n_valid: int, rng: np.random.RandomState, labels: Array | None = None
) -> Array:
    """Return which rows validate, by random order or stratified by labels.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    n_valid : int
        How many of them are held out.
    rng : RandomState
        Of the choice.
    labels : ndarray of int (n_samples, n_tasks), default=None
        Every class of every task has its share of the held-out rows, and at least one of them if
        they are as many as the classes. One row of each class is never held out, if that leaves
        enough.

    Returns
    -------
    rows : ndarray of int (n_valid,)
        Sorted.
    """
    order = rng.permutation(n_samples)
    if labels is None:
        return np.sort(order[:n_valid])
    groups = _rarest_first(labels[order])
    free = np.ones(n_samples, dtype=bool)
    free[[rows[-1] for rows in groups]] = False
    if free.sum() < n_valid:
        return np.sort(order[:n_valid])
    chosen = np.zeros(n_samples, dtype=bool)
    for rows in groups:
        share = len(rows) * n_valid / n_samples
        wanted = max(1, round(share)) if len(groups) <= n_valid else int(share + rng.uniform())
        wanted = min(wanted - chosen[rows].sum(), n_valid - chosen.sum())
        chosen[rows[free[rows] & ~chosen[rows]][: max(0, wanted)]] = True
    rest = np.flatnonzero(free & ~chosen)
    chosen[rest[: n_valid - chosen.sum()]] = True
    return np.sort(order[chosen])


def _rarest_first(labels: Array) -> list[Array]:
    """Return the rows of each class of each column."""
    groups = []
    for column in labels.T:
        classes, numbers = np.unique(column, return_inverse=True)
        by_class = np.argsort(numbers, kind="stable")
        groups += np.split(by_class, np.cumsum(np.bincount(numbers))[:-1]) if len(classes) else []
    return sorted(groups, key=len)
