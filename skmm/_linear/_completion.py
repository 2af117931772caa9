"""Inputs without gaps: what is missing as it is to be expected given the rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from skmm._linear._columns import Columns
from skmm._modalities import Modalities, missing_mask
from skmm._modalities._values import Array

FILLED = ("numeric", "binary", "count")


def completed(X: Modalities, columns: Columns, shapes: Mapping[str, tuple[int, ...]]) -> Modalities:
    """Return rows whose missing numbers are their linear expectations given the rest of the row.

    Parameters
    ----------
    X : Modalities
        Checked rows, whose labels are numbers of classes. Single entries may be NaN.
    columns : Columns
        Of training rows, which say what is to be expected.
    shapes : dict of str to tuple
        Shape of a sample of each modality; those that X lacks are added.

    Returns
    -------
    X : Modalities
        In the original units. Which modalities were missing stays known, although their numbers
        are there now. Labels, tokens and images stay missing. X itself where it has no gap.
    """
    numbers = [name for name, one in columns.modalities.items() if one.kind in FILLED]
    raw = {name: _raw(X, name, shapes[name]) for name in numbers}
    lacking = [name for name, value in raw.items() if np.isnan(value).any()]
    if not lacking:
        return X
    values = dict(X.items())
    for name, flat in columns.expected(X, lacking).items():
        value = raw[name]
        filled = np.where(np.isnan(value), flat.reshape(value.shape), value)
        values[name] = filled.astype(value.dtype, copy=False)
    absent = [name for name in numbers if name not in X]
    kinds = X.kinds | {name: columns.modalities[name].kind for name in absent}
    mask = np.hstack([missing_mask(X), np.ones((len(X), len(absent)), dtype=bool)])
    return Modalities._make(values, kinds, mask, X._ids)


def _raw(X: Modalities, name: str, shape: tuple[int, ...]) -> Array:
    """Return a modality of numbers, NaN where missing."""
    return np.asarray(X[name]) if name in X else np.full((len(X), *shape), np.nan)


def unknown(columns: Columns, lacking: Collection[str]) -> Array:
    """Return rows (m, p) whose squares sum to the covariance of what a row without these lacks.

    Parameters
    ----------
    columns : Columns
        Of training rows.
    lacking : collection of str
        The modalities that are missing; of the others all is known.

    Returns
    -------
    rows : ndarray of shape (m, p)
        In the units of the matrix of columns, 0 in those that say what is missing. Without a
        distribution of the columns, by which gaps are filled, there are none.
    """
    parts = columns.modalities
    if columns.gaussian is None or not lacking:
        return np.zeros((0, columns.n_columns))
    blocks = columns.blocks()
    rows = columns.gaussian.typical_rows()
    hidden = rows.copy()
    for name, block in zip(parts, blocks, strict=True):
        if name in lacking:
            hidden[:, block] = np.nan
    left = (rows - columns.gaussian.complete(hidden)) / np.sqrt(len(rows))
    for one, block in zip(parts.values(), blocks, strict=True):
        left[:, block] /= np.sqrt(max(1, one.width))
    return np.hstack([left, np.zeros((len(left), columns.n_columns - left.shape[1]))])
