"""Linear CCA, which a network has to beat, and which closes a fit on the network's codes."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold

from skmm._base import warn_caller
from skmm._cca import CCA
from skmm._cca._incomplete import Estimated, estimate, has_gaps
from skmm._cca._model import total_correlation
from skmm._cca._moments import Moments
from skmm._cca._solution import rows_of
from skmm._cca._whitening import MomentRoute
from skmm._deep._split import Split
from skmm._modalities import Modalities, missing_mask, observed_rows, with_values
from skmm._modalities._check import LARGEST
from skmm._modalities._stream import is_streamed, row_slices
from skmm._modalities._values import hide_rows

Array = np.ndarray
Codes = dict[str, Array]
SHRINKAGES = (0.0, 1e-3, 0.01, 0.1, 0.3, 0.6, 0.9)
KINDS = ("numeric", "binary", "count", "image")
LIMIT = 6000  # of rows or columns, the fewer: decompositions take the cube of it
MIN_VALIDATION = 20  # rows at least, to compare two methods
MIN_FOLD = 4  # rows: fewer have no correlation to speak of
N_VALUES = 2**24  # at most, of held-out rows that stay on disk otherwise
N_COMPARED = 10_000  # validation rows with the same modalities, at most, to compare two methods on
N_RESAMPLES = 100
STANDARD_ERRORS = 2.0  # by which a network has to be better to be preferred


def is_cheap(X: Modalities) -> bool:
    """Whether all modalities are numbers, and few enough for a linear CCA in passing."""
    width = max(int(np.prod(value.shape[1:])) for value in X.values())
    least = width if is_streamed(X) else min(len(X), width)
    return set(X.kinds.values()) <= set(KINDS) and least <= LIMIT


def tuned_linear(X: Modalities, n_components: int, split: Split, seed: int) -> CCA | None:
    """Fit CCA on training rows, with the shrinkage that is best on validation rows.

    Where these are too few to choose by, the folds of a cross-validation over all rows choose.
    """
    train, valid = split.train, cast(Array, split.valid)
    if is_streamed(X):
        return _tuned_by_moments(X, n_components, train, valid)
    X = _flat(X)
    if len(valid) >= MIN_VALIDATION:
        shrinkages, held_out = _candidates(X, len(train)), X[valid]
        rows = _Rows(X[train])
        fitted = (rows.fit(n_components, c) for c in shrinkages)
        return max(fitted, key=lambda cca: cca._model.total_correlation(held_out))
    n_folds = min(5, len(X) // MIN_FOLD)
    if n_folds < 2:
        return _Rows(X[train]).fit(n_components, "auto")
    splits = list(KFold(n_folds, shuffle=True, random_state=seed).split(X))
    folds = [(_Rows(X[rows]), X[rest]) for rows, rest in splits]
    scores = {
        c: np.mean([_score(rows, rest, n_components, c) for rows, rest in folds])
        for c in _candidates(X, len(splits[0][0]))
    }
    return _Rows(X[train]).fit(n_components, max(scores, key=scores.__getitem__))


def _candidates(X: Modalities, n_rows: int) -> list[float]:
    """Return the shrinkages to choose from when fitting to so many rows."""
    widths = sorted(value.shape[1] for value in X.values())
    # With more columns than rows every correlation is 1 without shrinkage, whatever the data.
    crowded = sum(widths[-2:]) >= n_rows - 1
    return [c for c in SHRINKAGES if c > 0 or not crowded]


def _score(rows: _Rows, rest: Modalities, n_components: int, shrinkage: float) -> float:
    return rows.fit(n_components, shrinkage)._model.total_correlation(rest)


def refit(linear: CCA, X: Modalities) -> CCA:
    """Fit a tuned CCA on all rows."""
    if is_streamed(X):
        moments = _moments(X, np.arange(len(X)))
        found = moments and _by_moments(moments, linear.n_components, linear.shrinkage)
        return found or linear
    return clone(linear)._fit_checked(_flat(X))


def project(linear: CCA, X: Modalities) -> Codes:
    """Return the projections of each modality, NaN where it is missing."""
    slices = row_slices(X) if is_streamed(X) else [slice(None)]
    parts = [_projected(linear, _flat(X[rows])) for rows in slices]
    return {name: np.concatenate([part[name] for part in parts]) for name in X.names}


def _projected(linear: CCA, X: Modalities) -> Codes:
    codes = linear._model.codes(X)
    return {name: code.astype(X[name].dtype, copy=False) for name, code in codes.items()}


def _tuned_by_moments(X: Modalities, n_components: int, train: Array, valid: Array) -> CCA | None:
    """Tune on data that stay where they are: by their moments, read once, and held-out rows."""
    width = sum(int(np.prod(value.shape[1:])) for value in X.values())
    some = np.linspace(0, len(valid) - 1, min(len(valid), max(1000, N_VALUES // width)))
    held_out, moments = _flat(X[valid[some.astype(np.int64)]]), _moments(X, train)
    if moments is None:
        return None
    found = [_by_moments(moments, n_components, shrinkage) for shrinkage in SHRINKAGES]
    solved = (cca for cca in found if cca)
    return max(solved, key=lambda cca: cca._model.total_correlation(held_out), default=None)


def _moments(X: Modalities, rows: Array) -> CCA | None:
    """Return a CCA with the moments of the complete ones of some rows; None if they are few."""
    chosen = np.zeros(len(X), dtype=bool)
    chosen[rows] = True
    chosen &= ~missing_mask(X).any(axis=1)
    if chosen.sum() < MIN_VALIDATION:
        return None
    parts = [part for part in row_slices(X) if chosen[part].any()]
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
    shared = np.full((len(route.ranks),) * 2, known.n_rows)
    return cca._solve(route, shared, cca.n_components)


@dataclass
class _Rows:
    """Training rows, whose gaps are estimated once for all shrinkages."""

    X: Modalities

    @cached_property
    def known(self) -> Estimated | None:
        """The distribution of rows with gaps."""
        return estimate(self.X, rows_of(self.X), scale=True) if has_gaps(self.X) else None

    def fit(self, n_components: int, shrinkage: float | str) -> CCA:
        """Fit CCA with as many of these components as the ranks allow."""
        cca, X = CCA(n_components, shrinkage=shrinkage), self.X
        if n_components > min(*(value.shape[1] for value in X.values()), len(X) - 1):
            return cca.set_params(n_components=None)._fit_checked(X, self.known)
        try:
            return cca._fit_checked(X, self.known)
        except ValueError:  # the ranks are smaller than the shapes say, or there is a true fault
            return cca.set_params(n_components=None)._fit_checked(X, self.known)


def _flat(X: Modalities) -> Modalities:
    """Return 2-D floating modalities, NaN in missing rows."""
    values: dict[str, Any] = {}
    for name, value in X.items():
        array: Any = np.asarray(value).reshape(len(X), -1)
        if array.dtype.kind != "f":
            array = hide_rows(array.astype(np.float64), ~observed_rows(X, name))
        values[name] = array
    return with_values(X, values, kinds=dict.fromkeys(X.names, "numeric"))


def is_surely_better(first: Codes, second: Codes, split: Split, seed: int) -> bool:
    """Return whether the first codes surely have the larger total correlation, held out.

    The network's epoch was chosen on the same validation rows, which flatters it, and on few rows
    the difference of two total correlations is mostly noise. So the gain must exceed two standard
    errors: were both methods equally good, chance would exceed that in about 2 % of fits. The
    total correlation is a sum of correlations along fitted axes, for which no formula of the
    standard error is at hand; a bootstrap over the validation rows gives it. Both methods are
    scored on the same resampled rows, so that what makes rows easy for both cancels.

    Parameters
    ----------
    first, second : dict of str to ndarray (n, k)
        Codes by either method, of all rows.
    split : Split
        The rows that fit the axes and those that are held out.
    seed : int
        Of the bootstrap.
    """
    train, valid = split.train, cast(Array, split.valid)
    if len(valid) < MIN_VALIDATION:
        warn_caller(
            f"{len(valid)} validation rows are too few to tell whether the network is better than "
            "linear CCA, which is kept. Use a larger validation_fraction, or early_stopping=False "
            "for the network in any case."
        )
        return False
    rng = np.random.default_rng(seed)
    groups = _compared(first, valid)
    rows = np.concatenate(groups)
    along = [close(_rows(codes, train))._model.along_axes(Modalities(_rows(codes, rows)))
             for codes in (first, second)]  # fmt: skip

    def gain(weight: Array | None = None) -> float:
        better, worse = (total_correlation(pairs, weight) for pairs in along)
        return better - worse

    found = gain()
    error = float(np.std([gain(_resampled(groups, rng)) for _ in range(N_RESAMPLES)]))
    if not np.isfinite(found + error):  # a comparison with NaN would decide without a word
        warn_caller(
            f"The network's gain over linear CCA on the validation rows is {found:.3g}, with a "
            f"standard error of {error:.3g}: no comparison, so that linear CCA is kept. Use "
            "early_stopping=False for the network in any case."
        )
        return False
    return found > STANDARD_ERRORS * error


def _resampled(groups: list[Array], rng: np.random.Generator) -> Array:
    """Return how often a bootstrap sample has each row, (n,).

    Rows are drawn within groups that have the same modalities: drawn from all, a rare pair of
    modalities could be left without rows, and without a correlation.
    """
    sizes = [len(group) for group in groups]
    return np.concatenate([rng.multinomial(n, np.full(n, 1 / n)) for n in sizes]).astype(np.float64)


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


def check_codes(codes: Codes, X: Modalities) -> None:
    """Refuse codes that a linear CCA cannot take."""
    for name, code in codes.items():
        size = float(np.abs(code[observed_rows(X, name)]).max())
        if not size <= LARGEST:  # NaN neither
            raise ValueError(
                f"The network's codes of modality {name!r} are not finite, or beyond {LARGEST:g}: "
                "use a smaller lr, or precision='float64'."
            )


def close(codes: Codes, fusion: str = "mean") -> CCA:
    """Fit the closing linear CCA to finite codes, whose rows are NaN where a modality is missing.

    With nearly as many columns as rows a little shrinkage keeps its covariances invertible.
    """
    n_rows, n_columns = next(iter(codes.values())).shape
    crowded = 2 * n_columns > n_rows - 2
    cca = CCA(shrinkage=1e-4 if crowded else 0.0, fusion=fusion)
    # Arrays, whatever is set globally.
    return cca.set_output(transform="default")._fit_checked(Modalities(codes))
