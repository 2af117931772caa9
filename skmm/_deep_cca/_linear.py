"""The linear solution: where training starts, and what it has to beat."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold

from skmm._cca import CCA
from skmm._modalities import Modalities

Array = np.ndarray
Codes = dict[str, Array]
SHRINKAGES = (0.0, 1e-3, 0.01, 0.1, 0.3, 0.6, 0.9)
KINDS = ("numeric", "binary", "count", "image")
LIMIT = 6000  # of rows or columns, whichever are fewer: what the decompositions grow with
MIN_VALIDATION = 20  # rows, from which on two methods can be compared
MIN_FOLD = 4  # rows, of which correlations make sense at all
N_RESAMPLES = 100
STANDARD_ERRORS = 2.0  # by which a network has to be better to be preferred


def is_cheap(X: Modalities) -> bool:
    """Whether all modalities are numbers, and few enough for a linear CCA in passing."""
    widths = [int(np.prod(value.shape[1:])) for value in X.values()]
    return set(X.kinds.values()) <= set(KINDS) and min(len(X), max(widths)) <= LIMIT


def tuned_linear(X: Modalities, n_components: int, train: Array, valid: Array, seed: int) -> CCA:
    """Fit CCA on training rows, with the shrinkage that is best on validation rows.

    Where these are too few to choose by, the folds of a cross-validation over all rows choose.
    """
    X = _flat(X)
    splits = [(train, valid)]
    if len(valid) < MIN_VALIDATION:
        n_folds = min(5, len(X) // MIN_FOLD)
        if n_folds < 2:
            return _fit(X[train], n_components, "auto")
        splits = list(KFold(n_folds, shuffle=True, random_state=seed).split(X))
    columns = sorted(value.shape[1] for value in X.values())
    crowded = sum(columns[-2:]) >= len(splits[0][0]) - 1  # without shrinkage correlations are 1
    scores = {
        c: np.mean([_fit(X[rows], n_components, c).score(X[rest]) for rows, rest in splits])
        for c in SHRINKAGES
        if c > 0 or not crowded
    }
    return _fit(X[train], n_components, max(scores, key=scores.__getitem__))


def refit(linear: CCA, X: Modalities) -> CCA:
    """Fit a tuned CCA on all rows."""
    return clone(linear).fit(_flat(X))


def project(linear: CCA, X: Modalities) -> dict[str, Array]:
    """Return the projections of each modality."""
    return linear.transform_each(_flat(X))


def _fit(X: Modalities, n_components: int, shrinkage: float | str) -> CCA:
    """Fit CCA with as many of these components as the ranks allow."""
    cca = CCA(n_components, shrinkage=shrinkage)
    if n_components > min(*(value.shape[1] for value in X.values()), len(X) - 1):
        return cca.set_params(n_components=None).fit(X)
    try:
        return cca.fit(X)
    except ValueError:  # the ranks are smaller than the shapes say, or there is a true fault
        return cca.set_params(n_components=None).fit(X)


def _flat(X: Modalities) -> Modalities:
    """Return 2-D floating modalities."""
    values: dict[str, Any] = {}
    for name, value in X.items():
        array = np.asarray(value).reshape(len(X), -1)
        values[name] = array if array.dtype.kind == "f" else array.astype(np.float64)
    return Modalities._make(values, dict.fromkeys(X.names, "numeric"), X._mask)


def is_surely_better(first: Codes, second: Codes, train: Array, valid: Array, seed: int) -> bool:
    """Return whether the first codes surely have the larger total correlation, held out.

    The gain has to exceed some standard errors of a bootstrap over the validation rows, so that
    noise on few rows does not prefer a network that was chosen by them.

    Parameters
    ----------
    first, second : dict of str to ndarray (n, k)
        Codes by either method, of all rows.
    train, valid : ndarray of int
        The rows that fit the axes and those that are held out.
    seed : int
        Of the bootstrap.
    """
    if len(valid) < MIN_VALIDATION:
        warnings.warn(
            f"{len(valid)} validation rows are too few to tell whether the network is better than "
            "linear CCA, which is kept. Use a larger validation_fraction, or early_stopping=False "
            "for the network in any case.",
            stacklevel=5,
        )
        return False
    rng = np.random.default_rng(seed)
    closings = [close(_rows(codes, train)) for codes in (first, second)]
    held_out = [_rows(codes, valid) for codes in (first, second)]

    def gain(weight: Array | None) -> float:
        scores = [
            closing.score(codes, sample_weight=weight)
            for closing, codes in zip(closings, held_out, strict=True)
        ]
        return scores[0] - scores[1]

    even = np.full(len(valid), 1 / len(valid))
    draws = [gain(rng.multinomial(len(valid), even)) for _ in range(N_RESAMPLES)]
    return gain(None) > STANDARD_ERRORS * float(np.std(draws))


def _rows(codes: Codes, rows: Array) -> Codes:
    return {name: code[rows] for name, code in codes.items()}


def close(codes: Codes, fusion: str = "mean") -> CCA:
    """Fit the closing linear CCA on codes, which may be NaN in rows of a missing modality."""
    n_rows, n_columns = next(iter(codes.values())).shape
    crowded = 2 * n_columns > n_rows - 2
    cca = CCA(shrinkage=1e-4 if crowded else 0.0, fusion=fusion)
    return cca.set_output(transform="default").fit(codes)  # arrays, whatever is set globally
