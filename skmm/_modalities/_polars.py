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
    if len(given.shape) == 1:
        return frame.to_series(0)
    same = [c for c in given.columns if c in frame.columns]
    return frame.with_columns(_with_categories(frame[c], given[c]) for c in same)


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
    holes = column.isna()  # asked of the column, since entries may be arrays
    return pl.Series(name, [None if hole else e for e, hole in zip(column, holes, strict=True)])


def _with_categories(series: Any, given: Any) -> Any:
    """Return labels with the categories that they had, if these hold them all."""
    if type(given.dtype).__name__ not in ("Enum", "Categorical"):
        return series
    categorical = series.cast(given.dtype, strict=False)
    return categorical if categorical.null_count() == series.null_count() else series
