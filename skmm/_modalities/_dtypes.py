"""Columns in the dtype that they had, or the nearest that holds what they became."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skmm._modalities._values import PANDAS, Array, dtypes_of


def special_dtypes(value: Any) -> tuple[Any, ...]:
    """Return the dtypes of pandas columns, or none if NumPy's arrays say as much."""
    dtypes = dtypes_of(value)
    plain = all(isinstance(t, np.dtype) and t.kind != "O" for t in dtypes)
    return () if plain else tuple(dtypes)


def labels_of(value: Any) -> Array:
    """Return one column of labels as an array; nullable ones keep their type, with 0 for NA."""
    dtype: Any = (special_dtypes(value) if isinstance(value, PANDAS) else ())[:1]
    if not dtype or dtype[0].kind not in "iub" or isinstance(dtype[0], pd.SparseDtype):
        return np.asarray(value)
    kind: Any = {"i": np.int64, "u": np.uint64, "b": np.bool_}[dtype[0].kind]
    return np.asarray(value.to_numpy(dtype=kind, na_value=kind(0)))


def with_dtypes(array: Array, dtypes: Sequence[Any], columns: Any) -> pd.DataFrame:
    """Return an array (n_samples, n_columns) as a DataFrame with these dtypes, as `as_series`."""
    series = {j: as_series(array[:, j], dtype) for j, dtype in enumerate(dtypes)}
    return pd.DataFrame(series).set_axis(columns, axis=1)


def as_series(values: Array, dtype: Any, **labels: Any) -> pd.Series:
    """Return values in a dtype of pandas, or in the nearest that holds them.

    Where floats stand for whole numbers or truth values, they stay floats, nullable ones
    (``"Float64"``) if the dtype was nullable.
    """
    if isinstance(dtype, pd.CategoricalDtype):
        return pd.Series(_as_categories(values, dtype), **labels)
    if isinstance(dtype, np.dtype | pd.SparseDtype):
        is_text = dtype.kind == "O" and values.dtype.kind in "OUS"
        return pd.Series(values, dtype=object if is_text else None, **labels)
    if values.dtype.kind == "f" and dtype.kind in "iub":
        dtype = "double[pyarrow]" if isinstance(dtype, pd.ArrowDtype) else "Float64"
    return pd.Series(values, dtype=dtype, **labels)


def fill_columns(value: pd.DataFrame, part: Array, missing: NDArray[np.bool_]) -> pd.DataFrame:
    """Return `value` with NaN entries and missing rows taken from `part`, as `as_series`.

    A nullable column of truth values stays one, and gets the more probable ones.
    """
    columns = {j: _filled(value.iloc[:, j], part[:, j], missing) for j in range(value.shape[1])}
    return pd.DataFrame(columns, index=value.index).set_axis(value.columns, axis=1)


def _filled(column: pd.Series, part: Array, missing: NDArray[np.bool_]) -> pd.Series:
    holes = np.flatnonzero(column.isna().to_numpy() | missing)
    if not len(holes):
        return column
    dtype: Any = column.dtype
    part = part[holes]
    if not isinstance(dtype, np.dtype) and dtype.kind == "b" and part.dtype.kind == "f":
        part = part > 0.5
    found = as_series(part, dtype)
    target: Any = found.dtype
    if isinstance(dtype, np.dtype):
        target = dtype if dtype.kind in "fO" else np.result_type(dtype, target)
    if isinstance(dtype, pd.SparseDtype):
        column = column.astype(dtype.subtype)
    out = column.astype(target).copy()
    out.iloc[holes] = found.astype(target).array
    return out


def _as_categories(values: Array, dtype: pd.CategoricalDtype) -> Any:
    """Return labels as categories, to which those are added that it lacks."""
    new = [label for label in dict.fromkeys(values) if label not in dtype.categories]
    if new and values.dtype.kind == "f":
        return values  # numbers between categories that are numbers
    categories = dtype.categories.append(pd.Index(new)) if new else dtype.categories
    return pd.Categorical(values, dtype=pd.CategoricalDtype(categories, dtype.ordered))
