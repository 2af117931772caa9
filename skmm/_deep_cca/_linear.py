"""The linear solution: where training starts, and what it has to beat."""

from __future__ import annotations

import copy
import warnings
from typing import Any, cast

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold

from skmm._cca import CCA
from skmm._cca._moments import Moments
from skmm._cca._whitening import MomentRoute
from skmm._modalities import Modalities, missing_mask, with_values
from skmm._modalities._output import arrays_only
from skmm._modalities._stream import is_streamed, row_slices

Array = np.ndarray
Codes = dict[str, Array]
SHRINKAGES = (0.0, 1e-3, 0.01, 0.1, 0.3, 0.6, 0.9)
KINDS = ("numeric", "binary", "count", "image")
LIMIT = 6000  # of rows or columns, whichever are fewer: what the decompositions grow with
MIN_VALIDATION = 20  # rows, from which on two methods can be compared
MIN_FOLD = 4  # rows, of which correlations make sense at all
N_VALUES = 2**24  # of held-out rows that data in files are judged by
N_COMPARED = 10_000  # validation rows with the same modalities, at most, to compare two methods on
N_RESAMPLES = 100
STANDARD_ERRORS = 2.0  # by which a network has to be better to be preferred


def is_cheap(X: Modalities) -> bool:
    """Whether all modalities are numbers, and few enough for a linear CCA in passing."""
    width = max(int(np.prod(value.shape[1:])) for value in X.values())
    least = width if is_streamed(X) else min(len(X), width)
    return set(X.kinds.values()) <= set(KINDS) and least <= LIMIT


def tuned_linear(
    X: Modalities, n_components: int, train: Array, valid: Array, seed: int
) -> CCA | None:
    """Fit CCA on training rows, with the shrinkage that is best on validation rows.

    Where these are too few to choose by, the folds of a cross-validation over all rows choose.
    """
    if is_streamed(X):
        return _tuned_by_moments(X, n_components, train, valid)
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
    if is_streamed(X):
        moments = _moments(X, np.arange(len(X)))
        return _by_moments(moments, linear.n_components, linear.shrinkage) or linear
    return clone(linear).fit(_flat(X))


def project(linear: CCA, X: Modalities) -> dict[str, Array]:
    """Return the projections of each modality."""
    with arrays_only():
        if not is_streamed(X):
            return linear.transform_each(_flat(X))
        parts = [linear.transform_each(_flat(X[rows])) for rows in row_slices(X)]
    return {name: np.concatenate([part[name] for part in parts]) for name in X.names}


def _tuned_by_moments(X: Modalities, n_components: int, train: Array, valid: Array) -> CCA | None:
    """Tune on data that stay where they are: by their moments, read once, and held-out rows."""
    width = sum(int(np.prod(value.shape[1:])) for value in X.values())
    some = np.linspace(0, len(valid) - 1, min(len(valid), max(1000, N_VALUES // width)))
    held_out, moments = _flat(X[valid[some.astype(np.int64)]]), _moments(X, train)
    found = [_by_moments(moments, n_components, shrinkage) for shrinkage in SHRINKAGES]
    return max((cca for cca in found if cca), key=lambda cca: cca.score(held_out), default=None)


def _moments(X: Modalities, rows: Array) -> CCA:
    """Return a CCA with the moments of some rows."""
    chosen = np.zeros(len(X), dtype=bool)
    chosen[rows] = True
    parts = [part for part in row_slices(X) if chosen[part].any()]
    # The first part has to have all modalities.
    parts.sort(key=lambda part: bool(missing_mask(X)[part][chosen[part]].all(axis=0).any()))
    chunks = (_flat(X[part])[np.flatnonzero(chosen[part])] for part in parts)
    return CCA(shrinkage=0.5).partial_fit(chunks)


def _by_moments(moments: CCA, n_components: Any, shrinkage: Any) -> CCA | None:
    """Solve with another shrinkage; None if that would cost too many digits."""
    cca = copy.copy(moments).set_params(n_components=n_components, shrinkage=shrinkage)
    known = cast(Moments, cca._moments)
    route = MomentRoute(known, cca._shrinkages(), cca.scale)
    if route.inexact:
        return None
    if n_components is not None and n_components > min(route.ranks):
        cca.set_params(n_components=None)
    return cca._solve(route, known.shared, cca.n_components)


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
    return with_values(X, values, kinds=dict.fromkeys(X.names, "numeric"))


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
    groups = _compared(first, valid)
    valid = np.concatenate(groups)
    closings = [close(_rows(codes, train)) for codes in (first, second)]
    held_out = [_rows(codes, valid) for codes in (first, second)]

    def gain(weight: Array | None) -> float:
        scores = [
            closing.score(codes, sample_weight=weight)
            for closing, codes in zip(closings, held_out, strict=True)
        ]
        return scores[0] - scores[1]

    def resampled() -> Array:
        # Within each group, so that pairs of modalities never are without rows.
        sizes = [len(group) for group in groups]
        return np.concatenate([rng.multinomial(n, np.full(n, 1 / n)) for n in sizes])

    error = float(np.std([gain(resampled()) for _ in range(N_RESAMPLES)]))
    found = gain(None)
    if not np.isfinite(found + error):  # a comparison with NaN would decide without a word
        warnings.warn(
            f"The network's gain over linear CCA on the validation rows is {found:.3g}, with a "
            f"standard error of {error:.3g}: no comparison, so that linear CCA is kept. Use "
            "early_stopping=False for the network in any case.",
            stacklevel=5,
        )
        return False
    return found > STANDARD_ERRORS * error


def _compared(codes: Codes, valid: Array) -> list[Array]:
    """Return the validation rows to compare on, or some, by which modalities they have."""
    here = np.stack([~np.isnan(code[valid, 0]) for code in codes.values()], axis=1)
    patterns, pattern = np.unique(here, axis=0, return_inverse=True)
    groups = [valid[pattern.ravel() == k] for k in range(len(patterns))]
    return [
        group[np.linspace(0, len(group) - 1, min(len(group), N_COMPARED)).astype(np.int64)]
        for group in groups
    ]


def _rows(codes: Codes, rows: Array) -> Codes:
    return {name: code[rows] for name, code in codes.items()}


def close(codes: Codes, fusion: str = "mean") -> CCA:
    """Fit the closing linear CCA on codes, which may be NaN in rows of a missing modality."""
    n_rows, n_columns = next(iter(codes.values())).shape
    crowded = 2 * n_columns > n_rows - 2
    cca = CCA(shrinkage=1e-4 if crowded else 0.0, fusion=fusion)
    return cca.set_output(transform="default").fit(codes)  # arrays, whatever is set globally
