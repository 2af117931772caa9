"""Which rows are held out in fit: one part of them, or each in its turn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length

from skmm._random import seed_of

Array = np.ndarray
FEWEST_ROWS = 4  # that are divided into folds of two rows or more


class Split(NamedTuple):
    """The rows that a fit trains on, and those that it holds out; None holds out none."""

    train: Array
    valid: Array | None = None


class Rows(NamedTuple):
    """Properties of the n rows of a fit by which they are divided.

    `usable` are the numbers of those that have weight, `labels` the classes (n, n_tasks) of all,
    `y` the target and `groups` the groups as they were passed.
    """

    n: int
    usable: Array
    labels: Array | None = None
    y: Any = None
    groups: Any = None


def fold_splits(cv: Any, rows: Rows, rng: np.random.RandomState) -> list[Split]:
    """Return the splits of `cv`: a number of folds, a splitter, or pairs of row numbers."""
    if isinstance(cv, int | np.integer):
        return _folds(int(cv), rows, rng)
    X, usable = np.zeros((rows.n, 1)), np.zeros(rows.n, dtype=bool)
    usable[rows.usable] = True
    numbers, splits = np.arange(rows.n), []
    for pair in cv.split(X, rows.y, rows.groups) if hasattr(cv, "split") else cv:
        train, valid = (numbers[_rows_of(part)] for part in pair)
        train, valid = train[usable[train]], valid[usable[valid]]
        if not (len(train) and len(valid)):
            raise ValueError(
                f"cv={cv!r} leaves a part of a split without rows of weight above 0: use fewer "
                "splits, or cv=None."
            )
        if np.isin(valid, train).any():
            raise ValueError(f"cv={cv!r} holds out rows of its own training part.")
        splits.append(Split(train, valid))
    if not splits:
        raise ValueError(f"cv={cv!r} has no split.")
    return splits


def group_split(rows: Rows, fraction: float, rng: np.random.RandomState) -> Split:
    """Hold out about a share of the rows once, groups kept together."""
    n_groups = len(np.unique(np.asarray(rows.groups)[rows.usable]))
    if n_groups < 2:
        raise ValueError(
            "All rows are of one group, and none can be held out: leave groups out, or use "
            "early_stopping=False."
        )
    return _group_folds(min(max(2, round(1.0 / fraction)), n_groups), rows, rng)[0]


def automatic_folds(rows: Rows, n_folds: int, most_rows: int) -> int | None:
    """Return how many folds of usually so many cv="auto" takes, None where it holds out a part.

    That is of more rows than `most_rows`, and of too few rows or groups to divide.
    """
    n_rows = len(rows.usable)
    n_folds = min(n_folds, n_rows // 2)
    if rows.groups is not None:
        n_folds = min(n_folds, len(np.unique(np.asarray(rows.groups)[rows.usable])))
    return n_folds if n_folds > 1 and FEWEST_ROWS <= n_rows <= most_rows else None


def held_out_mask(splits: Sequence[Split], n_rows: int) -> Array:
    """Return which rows each split holds out, (n_splits, n_rows)."""
    found = np.zeros((len(splits), n_rows), dtype=bool)
    for held_out, split in zip(found, splits, strict=True):
        held_out[[] if split.valid is None else split.valid] = True
    return found


def _folds(n_folds: int, rows: Rows, rng: np.random.RandomState) -> list[Split]:
    """Divide rows into folds, stratified by labels, groups kept together."""
    if n_folds < 2 or n_folds > len(rows.usable):
        raise ValueError(
            f"cv={n_folds} cannot divide {len(rows.usable)} rows: it must be 2 or more, and no "
            "more than there are rows."
        )
    if rows.groups is not None:
        return _group_folds(n_folds, rows, rng)
    order = rng.permutation(rows.usable)
    folds = np.arange(len(order)) % n_folds
    if rows.labels is not None:
        order = order[np.lexsort(rows.labels[order].T)]  # rows of a class are dealt out in turn
        folds = np.where(_is_only_one(rows.labels[order]), -1, folds)
    held = [np.sort(order[folds == k]) for k in range(n_folds)]
    splits = [Split(np.setdiff1d(rows.usable, valid), valid) for valid in held if len(valid)]
    return splits or [Split(rows.usable)]


def _group_folds(n_folds: int, rows: Rows, rng: np.random.RandomState) -> list[Split]:
    check_consistent_length(np.empty(rows.n), rows.groups)
    groups, seed = np.asarray(rows.groups)[rows.usable], seed_of(rng) % 2**32
    X = np.zeros((len(groups), 1))
    labels = None if rows.labels is None else rows.labels[rows.usable]
    if labels is not None and labels.shape[1] == 1 and _fewest(labels) >= n_folds:
        stratified = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        pairs = stratified.split(X, labels[:, 0], groups)
    else:
        pairs = GroupKFold(n_folds, shuffle=True, random_state=seed).split(X, groups=groups)
    return [Split(rows.usable[train], rows.usable[valid]) for train, valid in pairs]


def _fewest(labels: Array) -> int:
    """Return the number of rows of the rarest class."""
    return int(np.unique(labels, return_counts=True)[1].min())


def _is_only_one(labels: Array) -> Array:
    """Return which rows (n,) are the only one of a class of any task."""
    alone = np.zeros(len(labels), dtype=bool)
    for column in labels.T:
        _, numbers, counts = np.unique(column, return_inverse=True, return_counts=True)
        alone |= counts[numbers] == 1
    return alone


def _rows_of(part: Any) -> Array:
    """Return one side of a split as it indexes rows."""
    rows = np.asarray(check_array(part, ensure_2d=False, dtype=None, ensure_min_samples=0))
    return rows if len(rows) else rows.astype(int)


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
