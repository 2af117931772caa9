"""Gaps for experiments: which modalities or entries go missing, by chance."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from sklearn.utils.multiclass import type_of_target

from skmm._modalities._values import DENSE, PANDAS, Array, Value, as_array, missing_entries
from skmm._random import check_random_state

Mask = NDArray[np.bool_]
Rng = np.random.RandomState | np.random.Generator
MECHANISMS = ("random", "labels", "monotone", "entries")
NUMBERS = ("numeric", "binary", "count")
LEAN = 0.8  # of the widest possible difference between classes


def drawn_gaps(before: Mask, chance: Array, rng: Rng, *, at_once: bool = False) -> Mask:
    """Return what is missing: what was before, and each place with its chance.

    `chance` is broadcast to the shape of `before`, (n_samples, n_places). With `at_once` a row
    draws a single number, so that with chances that rise a row loses all places after its first.
    Rows that lose all they had get one of it back.
    """
    n_samples, n_places = before.shape
    mask = before | (rng.uniform(size=(n_samples, 1 if at_once else n_places)) < chance)
    n_before = np.where(mask.all(axis=1), (~before).sum(axis=1), 0)
    for n in np.unique(n_before[n_before > 0]):
        rows = np.flatnonzero(n_before == n)
        places = np.nonzero(~before[rows])[1].reshape(-1, n)
        mask[rows, places[np.arange(len(rows)), _integers(rng, n, len(rows))]] = False
    return mask


def missing_rows_drawn(before: Mask, share: float, mechanism: str, y: Any, rng: Rng) -> Mask:
    """Return which rows lack which modality, by a mechanism that takes whole rows."""
    n_samples, n_modalities = before.shape
    if n_modalities < 2:
        raise ValueError(
            "X has one modality: none can be missing without emptying rows. Take "
            "mechanism='entries', or with_missing(name, rows)."
        )
    chance: Any = share
    if mechanism == "labels":
        chance = _chance_by_class(_class_numbers(y, n_samples), n_modalities, share)
    elif mechanism == "monotone":
        chance = _chance_of_drop_out(n_modalities, share)
    return drawn_gaps(before, chance, rng, at_once=mechanism == "monotone")


def values_with_gaps(
    values: Mapping[str, Value], kinds: Mapping[str, str], mask: Mask, share: float, rng: Rng
) -> dict[str, Value]:
    """Return values of numbers in which single entries are NaN."""
    taken = [n for n, v in values.items() if kinds[n] in NUMBERS and isinstance(v, DENSE)]
    if not taken:
        raise ValueError(
            "mechanism='entries' takes entries of numeric, binary and count modalities that are "
            f"not sparse, and X has none: its kinds are {dict(kinds)}."
        )
    # What cannot lose entries is one place that is never taken, so that such rows are not empty.
    before = {
        n: missing_entries(v) | rows[:, None] if n in taken else rows[:, None]
        for (n, v), rows in zip(values.items(), mask.T, strict=True)
    }
    widths = [part.shape[1] for part in before.values()]
    if sum(widths) < 2:
        raise ValueError("X has a single column: no entry can be missing without emptying its row.")
    chance = np.repeat([share if n in taken else 0.0 for n in values], widths)
    gaps = drawn_gaps(np.hstack(list(before.values())), chance, rng)
    parts = dict(zip(values, np.split(gaps, np.cumsum(widths)[:-1], axis=1), strict=True))
    return {n: _hide_entries(v, parts[n]) if n in taken else v for n, v in values.items()}


def check_gaps(share: Any, mechanism: Any, random_state: Any) -> Rng:
    """Refuse arguments without meaning; return the generator."""
    if not isinstance(mechanism, str) or mechanism not in MECHANISMS:
        raise ValueError(f"mechanism must be one of {MECHANISMS}, got {mechanism!r}.")
    if not isinstance(share, Real) or isinstance(share, bool) or not 0 <= float(share) < 1:
        raise ValueError(f"share must be a number in [0, 1), got {share!r}.")
    if isinstance(random_state, np.random.Generator):
        return random_state
    return check_random_state(random_state)


def _integers(rng: Rng, high: int, size: int) -> Array:
    if isinstance(rng, np.random.Generator):
        return rng.integers(high, size=size)
    return rng.randint(high, size=size)


def _chance_by_class(classes: Array, n_modalities: int, share: float) -> Array:
    """Return chances (n_samples, n_modalities): high where class + modality is even, else low."""
    even = (classes[:, None] + np.arange(n_modalities)) % 2 == 0
    return np.asarray(share + np.where(even, 1, -1) * LEAN * min(share, 1 - share))


def _chance_of_drop_out(n_modalities: int, share: float) -> Array:
    """Return chances 1 - (1 - h)^j (n_modalities,) whose mean is the share: h is that of a step."""
    steps = np.arange(n_modalities)
    if share > steps[-1] / n_modalities:
        raise ValueError(
            f"mechanism='monotone' keeps the first of {n_modalities} modalities in all rows, so "
            f"that share is at most {steps[-1] / n_modalities:.3g}, got {share!r}."
        )
    n_lost = min(share * n_modalities, float(steps[-1]))  # by a row, in the mean
    step = brentq(lambda h: (1 - (1 - h) ** steps).sum() - n_lost, 0.0, 1.0)
    return np.asarray(1 - (1 - step) ** steps)


def _class_numbers(y: Any, n_samples: int) -> Array:
    """Return the number of each row's class, in the order of the sorted classes."""
    if y is None:
        raise ValueError("mechanism='labels' needs the labels: pass y=.")
    labels = as_array("y", y)
    if labels.shape != (n_samples,):
        raise ValueError(f"y must be {n_samples} labels, one per row, got shape {labels.shape}.")
    if type_of_target(labels, input_name="y") not in ("binary", "multiclass"):
        raise ValueError("mechanism='labels' takes classes; y holds numbers that are none.")
    return np.unique(labels, return_inverse=True)[1]


def _hide_entries(value: Any, gaps: Mask) -> Value:
    """Return a copy that is NaN at these places (n_samples, n_columns); all numbers are floats."""
    if isinstance(value, pd.Series):
        return _hide_in_column(value, gaps[:, 0])
    if isinstance(value, PANDAS):
        columns = {j: _hide_in_column(value.iloc[:, j], gap) for j, gap in enumerate(gaps.T)}
        return pd.DataFrame(columns).set_axis(value.columns, axis=1)
    out = np.array(value, dtype=np.float64 if value.dtype.kind in "biu" else None)
    out[gaps.reshape(out.shape)] = np.nan
    return out


def _hide_in_column(column: pd.Series, gaps: Mask) -> pd.Series:
    whole = isinstance(column.dtype, np.dtype) and column.dtype.kind in "biu"
    return (column.astype(np.float64) if whole else column).mask(gaps)
