"""Columns that say what is missing: whole modalities of a row, and single entries of it.

The places of a modality that can be missing are numbered: 0 is the whole modality, 1 + j column j.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmm._modalities._values import Array, is_sparse

Mask = NDArray[np.bool_]
Places = NDArray[np.intp]


def missing_places(value: Any, missing: Mask) -> Places:
    """Return where a 2-D modality has gaps: whole rows, and columns of rows that have it."""
    return np.flatnonzero([missing.any(), *_columns_with_gaps(value, missing)])


def indicators(value: Any, missing: Mask, places: Places) -> Mask:
    """Return whether rows lack these places, bool (n_samples, n_places)."""
    columns = value[:, places[places > 0] - 1]
    gaps = np.isnan(columns.toarray() if is_sparse(columns) else columns)
    gaps[missing] = True
    return np.hstack([missing[:, None], gaps]) if 0 in places else gaps


def with_gaps_again(value: Array, marks: Mask, places: Places) -> Array:
    """Return a copy that is NaN where indicators say that it was missing."""
    lost = np.zeros((len(value), 1 + value.shape[1]), dtype=bool)
    lost[:, places] = marks
    return np.where(lost[:, :1] | lost[:, 1:], np.nan, value)


def _columns_with_gaps(value: Any, missing: Mask) -> Mask:
    if not is_sparse(value):
        return np.asarray((np.isnan(value) & ~missing[:, None]).any(axis=0))
    found = np.zeros(value.shape[1], dtype=bool)
    found[value.indices[np.isnan(value.data)]] = True
    return found
