"""The total correlation of rows held out, and whether one method's surely is the larger one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from skmm._base import warn_caller
from skmm._cca._model import Along
from skmm._linalg import CONSTANT, pearson
from skmm._modalities import Modalities, missing_mask

Array = np.ndarray
MIN_VALIDATION = 20  # rows at least, to compare two methods
N_COMPARED = 10_000  # validation rows with the same modalities, at most, to compare two methods on
N_RESAMPLES = 100
STANDARD_ERRORS = 2.0  # by which a network has to be better to be preferred


class HeldOut(NamedTuple):
    """What a method gives for held-out rows (n,), for each pair of modalities along its axes."""

    rows: Array
    pairs: list[Along]


def total(folds: Sequence[HeldOut], weight: Array | None = None) -> float:
    """Return the sum over components of the correlations of held-out rows, the mean over pairs.

    Components of different folds are different ones. So each fold's codes are centred by
    themselves, but since axes give codes of one unit of variance, those of all folds together make
    one correlation: that of a few rows alone would be mostly noise.

    Parameters
    ----------
    folds : sequence of HeldOut
        Of each split.
    weight : ndarray, default=None
        Of all rows, which the numbers of rows refer to.

    Returns
    -------
    total : float
        NaN if no pair of modalities has two rows in a fold.
    """
    pairs = [_pooled(folds, pair, weight) for pair in range(len(folds[0].pairs))]
    known = [np.sum(pair) for pair in pairs if pair is not None]
    return float(np.mean(known)) if known else np.nan


def _pooled(folds: Sequence[HeldOut], pair: int, weight: Array | None) -> Array | None:
    """Return the correlations (k,) of a pair of modalities over all folds."""
    parts = []
    for fold in folds:
        both, a, b = fold.pairs[pair]
        w = np.ones(len(a)) if weight is None else weight[fold.rows[both]]
        kept = w > 0
        if np.count_nonzero(kept) > 1:
            parts.append((*(c[kept] - np.average(c[kept], 0, w[kept]) for c in (a, b)), w[kept]))
    if not parts:
        return None
    k = min(part[0].shape[1] for part in parts)  # training rows may differ in rank
    a, b = (np.concatenate([part[i][:, :k] for part in parts]) for i in (0, 1))
    return pearson(a, b, np.concatenate([part[2] for part in parts]), constant=CONSTANT)


def is_surely_better(
    first: Sequence[HeldOut], second: Sequence[HeldOut], X: Modalities, seed: int
) -> bool:
    """Return whether the first method surely has the larger total correlation, held out.

    The network's epoch was chosen on the same validation rows, which flatters it, and on few rows
    the difference of two total correlations is mostly noise. So the gain must exceed two standard
    errors: were both methods equally good, chance would exceed that in about 2 % of fits. The
    total correlation is a sum of correlations along fitted axes, for which no formula of the
    standard error is at hand; a bootstrap over the held-out rows gives it. Both methods are
    scored on the same resampled rows, so that what makes rows easy for both cancels.

    Parameters
    ----------
    first, second : sequence of HeldOut
        By either method, of each split.
    X : Modalities
        All rows.
    seed : int
        Of the bootstrap.
    """
    rng, groups = np.random.default_rng(seed), _groups(X, [fold.rows for fold in first])

    def gain(weight: Array | None = None) -> float:
        return total(first, weight) - total(second, weight)

    found = gain()
    error = float(np.std([gain(_resampled(groups, len(X), rng)) for _ in range(N_RESAMPLES)]))
    if not np.isfinite(found + error):  # a comparison with NaN would decide without a word
        warn_caller(
            f"The network's gain over linear CCA on the validation rows is {found:.3g}, with a "
            f"standard error of {error:.3g}: no comparison, so that linear CCA is kept. Use "
            "early_stopping=False for the network in any case."
        )
        return False
    return found > STANDARD_ERRORS * error


def can_compare(folds: Sequence[HeldOut]) -> bool:
    """Return whether enough rows with both of each pair are held out; warn if not."""
    n_rows = min(filter(None, map(len, _shared(folds))), default=0)
    if n_rows < MIN_VALIDATION:
        warn_caller(
            f"{n_rows} validation rows are too few to tell whether the network is better than "
            "linear CCA, which is kept. Use more rows that have both of a pair of modalities, a "
            "larger validation_fraction, or early_stopping=False for the network in any case."
        )
    return n_rows >= MIN_VALIDATION


def _shared(folds: Sequence[HeldOut]) -> list[set[int]]:
    """Return the held-out rows that have both of each pair of modalities."""
    n_pairs = len(folds[0].pairs) if folds else 0
    return [
        {row for fold in folds for row in fold.rows[fold.pairs[pair][0]].tolist()}
        for pair in range(n_pairs)
    ]


def _resampled(groups: Sequence[Array], n: int, rng: np.random.Generator) -> Array:
    """Return how often a bootstrap sample has each row, (n,).

    Rows are drawn within groups that have the same modalities: drawn from all, a rare pair of
    modalities could be left without rows, and without a correlation.
    """
    weight = np.zeros(n)
    for group in groups:
        weight[group] = rng.multinomial(len(group), np.full(len(group), 1 / len(group)))
    return weight


def compared(X: Modalities, valid: Array) -> Array:
    """Return the held-out rows to compare on, or some of those that have the same modalities."""
    return np.concatenate([
        group[np.linspace(0, len(group) - 1, min(len(group), N_COMPARED)).astype(np.int64)]
        for group in _groups(X, [valid])
    ])  # fmt: skip


def _groups(X: Modalities, rows: Sequence[Array]) -> list[Array]:
    """Return the rows of any split, by which modalities they have."""
    known = np.unique(np.concatenate(rows))
    _, pattern = np.unique(missing_mask(X)[known], axis=0, return_inverse=True)
    pattern = pattern.ravel()
    return [known[pattern == k] for k in range(pattern.max(initial=-1) + 1)]
