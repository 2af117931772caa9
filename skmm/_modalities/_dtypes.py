"""Columns in the dtype that they had, or the nearest that holds what they became."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skmm._modalities._values import Array


def special_dtypes(value: Any) -> tuple[Any, ...]:
    """Return the dtypes of pandas columns, or none if NumPy's arrays say as much."""
    dtypes = [*value.dtypes] if isinstance(value, pd.DataFrame) else [value.dtype]
    plain = all(isinstance(t, np.dtype) and t.kind != "O" for t in dtypes)
    return () if plain else tuple(dtypes)


def with_dtypes(array: Array, dtypes: Sequence[Any], columns: Any) -> pd.DataFrame:
    """Return an array (n_samples, n_columns) as a DataFrame with these dtypes.

    Numbers that may be broken become floats, nullable ones (``"Float64"``) where the dtype was.
    """
    series = {j: cast(array[:, j], dtype) for j, dtype in enumerate(dtypes)}
    return pd.DataFrame(series).set_axis(columns, axis=1)


def fill_columns(value: pd.DataFrame, part: Array, missing: NDArray[np.bool_]) -> pd.DataFrame:
    """Return `value` with NaN entries and missing rows taken from `part`, in its dtypes.

    Whole numbers become floats as by `with_dtypes`; truth values become the more probable one.
    """
    columns = {j: _filled(value.iloc[:, j], part[:, j], missing) for j in range(value.shape[1])}
    return pd.DataFrame(columns, index=value.index).set_axis(value.columns, axis=1)


def cast(values: Array, dtype: Any) -> Any:
    """Return values in a dtype of pandas, or in the nearest that holds them."""
    if isinstance(dtype, pd.SparseDtype):
        dtype = dtype.subtype
    if isinstance(dtype, np.dtype):
        is_text = dtype.kind == "O" and values.dtype.kind in "OUS"
        return pd.Series(values, dtype=object).array if is_text else values
    if isinstance(dtype, pd.CategoricalDtype):
        return _as_categories(values, dtype)
    if values.dtype.kind == "f" and dtype.kind in "iub":
        dtype = _floating(dtype)
    return pd.array(values, dtype=dtype)


def _filled(column: pd.Series, part: Array, missing: NDArray[np.bool_]) -> pd.Series:
    holes = column.isna().to_numpy() | missing
    if not holes.any():
        return column
    dtype: Any = column.dtype
    part = part[holes]
    if dtype.kind == "b" and not isinstance(dtype, np.dtype) and part.dtype.kind == "f":
        part = part > 0.5
    found = cast(part, dtype)
    if isinstance(dtype, np.dtype) and dtype.kind in "iub":
        found = found.astype(np.result_type(dtype, found.dtype))
    out = column.astype(dtype if found.dtype.kind == dtype.kind == "f" else found.dtype)
    values = out.array.copy()
    values[holes] = found
    return pd.Series(values, index=column.index, name=column.name)


def _as_categories(values: Array, dtype: pd.CategoricalDtype) -> Any:
    """Return labels as categories, to which those are added that it lacks."""
    new = [label for label in dict.fromkeys(values) if label not in dtype.categories]
    if new and values.dtype.kind == "f":
        return values  # numbers between categories that are numbers
    categories = dtype.categories.append(pd.Index(new)) if new else dtype.categories
    return pd.Categorical(values, dtype=pd.CategoricalDtype(categories, dtype.ordered))


def _floating(dtype: Any) -> Any:
    """Return the nullable dtype of floats that goes with one of whole numbers or truth values."""
    return (
        pd.ArrowDtype.construct_from_string("double[pyarrow]")
        if isinstance(dtype, pd.ArrowDtype)
        else pd.Float64Dtype()
    )
