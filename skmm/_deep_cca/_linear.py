"""Linear CCA, which a network has to beat."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np

from skmm._cca import CCA
from skmm._cca._incomplete import Estimated, estimate, has_gaps
from skmm._cca._moments import Moments
from skmm._cca._solution import rows_of
from skmm._cca._whitening import MomentRoute
from skmm._deep._split import Rows, Split, fold_splits
from skmm._deep_cca._held_out import MIN_VALIDATION, HeldOut, total
from skmm._modalities import Modalities, missing_mask, observed_rows, with_values
from skmm._modalities._stream import is_streamed, row_slices
from skmm._modalities._values import hide_rows

Array = np.ndarray
Codes = dict[str, Array]
SHRINKAGES = (0.0, 1e-3, 0.01, 0.1, 0.3, 0.6, 0.9)
KINDS = ("numeric", "binary", "count", "image")
LIMIT = 6000  # of rows or columns, the fewer: decompositions take the cube of it
MIN_FOLD = 4  # rows: fewer have no correlation to speak of
FEW = 300  # rows, up to which more folds choose the shrinkage
N_REPEATS = 2  # of these folds
N_VALUES = 2**24  # at most, of held-out rows that stay on disk otherwise


def is_cheap(X: Modalities) -> bool:
    """Whether all modalities are numbers, and few enough for a linear CCA in passing."""
    width = max(int(np.prod(value.shape[1:])) for value in X.values())
    least = width if is_streamed(X) else min(len(X), width)
    return set(X.kinds.values()) <= set(KINDS) and least <= LIMIT


class Tuned(NamedTuple):
    """Linear CCA with the shrinkage that is best on held-out rows, fitted to those of splits."""

    n_components: int
    shrinkage: float | str
    each: list[CCA]


def tuned_linear(
    X: Modalities, n_components: int, splits: Sequence[Split], seed: int
) -> Tuned | None:
    """Fit CCA to the training rows of splits, with the shrinkage that is best on held-out rows.

    Of few rows random folds choose as well, and alone where hardly any are held out. Without rows
    to choose by the shrinkage is analytic.
    """
    if is_streamed(X):
        return _tuned_by_moments(X, n_components, splits[0])
    X = flat(X)
    if splits[0].valid is None:
        return Tuned(n_components, "auto", [])
    own = [_Rows(X[split.train]) for split in splits]
    tried = [(rows, X[split.valid]) for rows, split in zip(own, splits, strict=True)]
    if sum(len(rest) for _, rest in tried) < MIN_VALIDATION:
        tried = _random_folds(X, seed)
    elif len(X) <= FEW:
        tried += _random_folds(X, seed)
    shrinkages = _candidates(X, min((_n_shared(rows.X) for rows, _ in tried), default=0))
    scores = {c: _score(tried, n_components, c) for c in shrinkages if tried}
    known = {c: score for c, score in scores.items() if not np.isnan(score)}
    best = max(known, key=known.__getitem__, default="auto")
    return Tuned(n_components, best, [rows.fit(n_components, best) for rows in own])


def _random_folds(X: Modalities, seed: int) -> list[tuple[_Rows, Modalities]]:
    """Return training and held-out rows of folds, of which each lacks modalities as the others."""
    n_folds, pattern = min(5, len(X) // MIN_FOLD), patterns(X)
    if n_folds < 2:
        return []
    rows, rng = Rows(len(X), np.arange(len(X)), pattern), np.random.RandomState(seed % 2**32)
    splits = [split for _ in range(N_REPEATS) for split in fold_splits(n_folds, rows, rng)]
    return [(_Rows(X[s.train]), X[s.valid]) for s in splits if s.valid is not None]


def patterns(X: Modalities) -> Array:
    """Return the numbers (n, 1) of which modalities each row has."""
    return np.unique(missing_mask(X), axis=0, return_inverse=True)[1].reshape(-1, 1)


def _score(tried: Sequence[tuple[_Rows, Modalities]], n_components: int, shrinkage: float) -> float:
    return total([_along(rows.fit(n_components, shrinkage), rest) for rows, rest in tried])


def _along(linear: CCA, X: Modalities) -> HeldOut:
    return HeldOut(np.arange(len(X)), linear._model.along_axes(linear._model.codes(X)))


def _n_shared(X: Modalities) -> int:
    """Return how many rows have both of that pair of modalities which fewest have."""
    there = ~missing_mask(X)
    n_both = there.T.astype(int) @ there
    return int(n_both[n_both > 0].min(initial=len(X)))


def _candidates(X: Modalities, n_rows: int) -> list[float]:
    """Return the shrinkages to choose from when fitting to so many rows with both of a pair."""
    widths = sorted(value.shape[1] for value in X.values())
    # With more columns than rows every correlation is 1 without shrinkage, whatever the data.
    crowded = sum(widths[-2:]) >= n_rows - 1
    return [c for c in SHRINKAGES if c > 0 or not crowded]


def refit(linear: Tuned, X: Modalities) -> CCA:
    """Fit a tuned CCA on all rows."""
    if is_streamed(X):
        moments = _moments(X, np.arange(len(X)))
        found = moments and _by_moments(moments, linear.each[0].n_components, linear.shrinkage)
        return found or linear.each[0]
    return _Rows(flat(X)).fit(linear.n_components, linear.shrinkage)


def project(linear: CCA, X: Modalities) -> Codes:
    """Return the projections of each modality, NaN where it is missing."""
    slices = row_slices(X) if is_streamed(X) else [slice(None)]
    parts = [_projected(linear, flat(X[rows])) for rows in slices]
    return {name: np.concatenate([part[name] for part in parts]) for name in X.names}


def _projected(linear: CCA, X: Modalities) -> Codes:
    codes = linear._model.codes(X)
    return {name: code.astype(X[name].dtype, copy=False) for name, code in codes.items()}


def _tuned_by_moments(X: Modalities, n_components: int, split: Split) -> Tuned | None:
    """Tune on data that stay where they are: by their moments, read once, and held-out rows."""
    width, valid = sum(int(np.prod(value.shape[1:])) for value in X.values()), split.valid
    if valid is None or (moments := _moments(X, split.train)) is None:
        return None
    some = np.linspace(0, len(valid) - 1, min(len(valid), max(1000, N_VALUES // width)))
    held_out = flat(X[valid[some.astype(np.int64)]])
    found = [_by_moments(moments, n_components, shrinkage) for shrinkage in SHRINKAGES]
    solved = {c: cca for c, cca in zip(SHRINKAGES, found, strict=True) if cca}
    if not solved:
        return None
    best = max(solved, key=lambda c: total([_along(solved[c], held_out)]))
    return Tuned(n_components, best, [solved[best]])


def _moments(X: Modalities, rows: Array) -> CCA | None:
    """Return a CCA with the moments of the complete ones of some rows; None if they are few."""
    chosen = np.zeros(len(X), dtype=bool)
    chosen[rows] = True
    chosen &= ~missing_mask(X).any(axis=1)
    if chosen.sum() < MIN_VALIDATION:
        return None
    parts = [part for part in row_slices(X) if chosen[part].any()]
    chunks = (flat(X[part])[np.flatnonzero(chosen[part])] for part in parts)
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


def flat(X: Modalities) -> Modalities:
    """Return 2-D floating modalities, NaN in missing rows."""
    values: dict[str, Any] = {}
    for name, value in X.items():
        array: Any = np.asarray(value).reshape(len(X), -1)
        if array.dtype.kind != "f":
            array = hide_rows(array.astype(np.float64), ~observed_rows(X, name))
        values[name] = array
    return with_values(X, values, kinds=dict.fromkeys(X.names, "numeric"))
