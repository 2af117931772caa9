"""Frames of polars, which become pandas' at the door and come back where a result is polars'."""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np
import pandas as pd


def is_polars(value: object) -> TypeGuard[Any]:
    """Whether `value` is a DataFrame or Series of polars."""
    kind = type(value)
    return kind.__module__.startswith("polars.") and kind.__name__ in ("DataFrame", "Series")


def as_pandas(value: Any) -> Any:
    """Return a frame or Series of polars as one of pandas; everything else as it is."""
    if not is_polars(value):
        return value
    if len(value.shape) == 1:
        return pd.Series(_column(value), name=value.name or None)
    columns = {column.name: _column(column) for column in value}
    return pd.DataFrame(columns, index=range(value.height), copy=False)


def as_polars(value: Any) -> Any:
    """Return a DataFrame or Series of pandas as a frame of polars."""
    import polars as pl

    frame = pd.DataFrame(value)
    return pl.DataFrame([_series(str(c), frame.iloc[:, j]) for j, c in enumerate(frame)])


def as_given(value: Any, given: Any) -> Any:
    """Return what is NumPy's or pandas' as polars' if what was given is."""
    if not is_polars(given):
        return value
    frame = as_polars(value)
    return frame if len(given.shape) == 2 else frame.to_series(0)


def _column(series: Any) -> Any:
    """Return what holds the column in pandas: its kind does not depend on whether it has nulls."""
    dtype = series.dtype
    if type(dtype).__name__ in ("Enum", "Categorical"):
        return pd.Categorical(series.to_list(), getattr(dtype, "categories", None))
    if series.null_count() and (dtype.is_integer() or str(dtype) == "Boolean"):
        return pd.array(series.to_list(), dtype=str(dtype).replace("Boolean", "boolean"))
    if dtype.is_nested():
        return pd.Series(series.to_list(), dtype=object)
    return series.to_numpy()


def _series(name: str, column: pd.Series) -> Any:
    import polars as pl

    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiub":
        return pl.Series(name, column.to_numpy())
    return pl.Series(name, [None if pd.isna(entry) else entry for entry in column])
