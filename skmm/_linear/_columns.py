"""Modalities of all kinds as the columns of a linear model, without gaps.

Numbers are standardised, labels become indicators, tokens the logarithms of how often each id
occurs. Each modality is divided by the root of its number of columns, so that all have the same say
whatever their width. What is missing is expected given the rest of the row, and a column for each
modality says where it was missing. The target takes no part: the inputs of training rows would
know it, those of new rows do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from skmm._gaussian._distribution import (
    Gaussian,
    TooManyColumnsError,
    Unshrunk,
    common_unit,
    complete_gaussian,
    fit_gaussian,
)
from skmm._gaussian._patterns import side_by_side
from skmm._modalities import Modalities, observed_rows
from skmm._modalities._columns import ColumnStatistics
from skmm._modalities._stream import Stream
from skmm._modalities._values import Array, is_sparse

PADDING = 0  # token id
# Of the indicators of what is missing: what is filled in says most, and of few rows a penalty that
# is right for it would leave indicators of full size free to fit noise.
MARK = 0.1


@dataclass(frozen=True)
class Encoded:
    """A modality as standardised columns (n, width), NaN where missing.

    Attributes
    ----------
    kind : str
    n_classes : int
        Number of labels or token ids, 0 for numbers.
    mean, unit : ndarray (d,)
        Of the columns before they are standardised; the unit of constants is 0: they are left out.
    low, high : ndarray (width,)
        Limits of standardised values, of which more is not known.
    missing : float
        Share of the training rows that lack it.
    """

    kind: str
    n_classes: int
    mean: Array
    unit: Array
    low: Array
    high: Array
    missing: float

    @classmethod
    def of(cls, X: Modalities, name: str, n_classes: int, weight: Array) -> Encoded:
        """Describe a modality of training rows."""
        kind, here = X.kinds[name], observed_rows(X, name)
        known = ColumnStatistics.of(_raw(X[name], kind, n_classes), here, weight)
        # Indicators keep their own proportions: a rare label is no larger than a frequent one.
        unit = common_unit(known.scale) if kind == "categorical" else known.scale
        low, high = (limit[known.varies] for limit in known.limits())
        if kind == "categorical":
            low, high = np.full_like(low, -np.inf), np.full_like(high, np.inf)
        missing = float(np.average(~here, weights=weight))
        return cls(kind, n_classes, known.mean, unit, low, high, missing)

    @property
    def width(self) -> int:
        """Number of columns that vary."""
        return len(self.low)

    def in_units(self, Z: Array) -> Array:
        """Return standardised columns (n, width) as they were (n, d), labels as probabilities."""
        found = np.tile(self.mean, (len(Z), 1))
        found[:, self.unit > 0] += Z * self.unit[self.unit > 0]
        if self.kind == "binary":
            return np.clip(found, 0.0, 1.0)
        if self.kind == "count":
            return np.maximum(found, 0.0)
        if self.kind == "categorical":
            found = np.maximum(found, 0.0)
            found /= found.sum(axis=1, keepdims=True)
        return found

    def columns(self, X: Modalities, name: str) -> Array:
        """Return the columns of a modality, which X may lack."""
        if name not in X:
            return np.full((len(X), self.width), np.nan)
        keep = self.unit > 0
        raw = _raw(X[name], self.kind, self.n_classes)[:, keep]
        found = np.clip((raw - self.mean[keep]) / self.unit[keep], self.low, self.high)
        found[~observed_rows(X, name)] = np.nan
        return found


@dataclass(frozen=True)
class Columns:
    """The columns of a linear model, as training rows say.

    Attributes
    ----------
    modalities : dict of str to Encoded
    distribution : Gaussian, Unshrunk or None
        Of the columns of all modalities side by side, by which gaps are filled; None where they are
        too many for it, and the means fill.
    """

    modalities: Mapping[str, Encoded]
    distribution: Gaussian | Unshrunk | None

    @cached_property
    def gaussian(self) -> Gaussian | None:
        """The distribution, shrunk when it is first needed."""
        found = self.distribution
        return found.shrunk() if isinstance(found, Unshrunk) else found

    @property
    def n_columns(self) -> int:
        """Width of the matrix."""
        return sum(one.width + (one.missing > 0) for one in self.modalities.values())

    def expected(self, X: Modalities, names: Sequence[str]) -> dict[str, Array]:
        """Return modalities (n, d) in their units, expected where rows lack them; labels (n, C).

        A modality is a number for each column, of labels the probability of each class.
        """
        Z = _side_by_side(self.modalities, X)
        blocks = dict(zip(self.modalities, self.blocks(), strict=True))
        wanted = [list(self.modalities).index(name) for name in names]
        gaussian = self.gaussian
        Z = np.nan_to_num(Z if gaussian is None else gaussian.complete(Z, wanted), copy=False)
        return {name: self.modalities[name].in_units(Z[:, blocks[name]]) for name in names}

    def blocks(self) -> list[slice]:
        """Return the columns of each modality in the matrix."""
        return side_by_side([one.width for one in self.modalities.values()])

    def seen(self, X: Modalities) -> Array:
        """Return which modalities rows have, bool (n, n_modalities)."""
        none = np.zeros(len(X), dtype=bool)
        return np.column_stack(
            [observed_rows(X, name) if name in X else none for name in self.modalities]
        )

    def matrix(self, X: Modalities) -> Array:
        """Return the columns (n, n_columns) of checked rows whose labels are numbers of classes.

        Indicators of what is missing come last. Modalities that X lacks are missing in every row.
        """
        Z = _side_by_side(self.modalities, X)
        if np.isnan(Z).any():
            Z = np.nan_to_num(Z if self.gaussian is None else self.gaussian.complete(Z), copy=False)
        for one, block in zip(self.modalities.values(), self.blocks(), strict=True):
            Z[:, block] = np.clip(Z[:, block], one.low, one.high) / np.sqrt(max(1, one.width))
        marks = [
            MARK * (~here - one.missing)
            for here, one in zip(self.seen(X).T, self.modalities.values(), strict=True)
            if one.missing > 0
        ]
        return np.column_stack([Z, *marks])


def fit_columns(
    X: Modalities, n_classes: Mapping[str, int], weight: Array | None = None
) -> Columns:
    """Learn the columns of a linear model from the modalities of training rows.

    Parameters
    ----------
    X : Modalities
        Checked; labels are numbers of classes.
    n_classes : dict of str to int
        Number of labels or token ids, of the modalities that have any.
    weight : ndarray of shape (n_samples,), default=None
        Of the rows; rows of weight 0 are left out.

    Returns
    -------
    columns : Columns
    """
    given = np.ones(len(X)) if weight is None else weight
    parts = {name: Encoded.of(X, name, n_classes.get(name, 0), given) for name in X.names}
    used, Z = given > 0, _side_by_side(parts, X)
    blocks = side_by_side([one.width for one in parts.values()])
    fit: Any = fit_gaussian if np.isnan(Z[used]).any() else complete_gaussian
    try:
        distribution = fit(Z[used], blocks, given[used]) if Z.shape[1] else None
    except TooManyColumnsError:
        distribution = None
    return Columns(parts, distribution)


def _side_by_side(modalities: Mapping[str, Encoded], X: Modalities) -> Array:
    return np.hstack([one.columns(X, name) for name, one in modalities.items()])


def _raw(value: Any, kind: str, n_classes: int) -> Array:
    """Return a modality as numbers (n, d)."""
    if kind == "categorical":
        return np.eye(n_classes)[np.asarray(value).ravel()]
    if kind == "tokens":
        return _log_counts(np.asarray(value), n_classes)
    if isinstance(value, Stream):  # of few rows: many come in parts
        value = np.concatenate([block for _, block in value.blocks()])
    dense = value.toarray() if is_sparse(value) else np.asarray(value)
    return dense.reshape(len(dense), -1).astype(np.float64, copy=False)


def _log_counts(ids: Array, n_ids: int) -> Array:
    """Return log(1 + how often each id occurs) (n, n_ids), without padding."""
    places = np.arange(len(ids))[:, None] * n_ids + ids
    kept = places[(ids != PADDING) & (ids < n_ids)]
    return np.log1p(np.bincount(kept, minlength=len(ids) * n_ids).reshape(len(ids), n_ids))
