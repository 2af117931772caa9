"""Cells of a column: arrays and lists are stacked, labels are scalars, all else is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype, is_object_dtype, is_scalar

from skmm._modalities._foreign import described
from skmm._modalities._frames import as_frame
from skmm._modalities._values import (
    ONE_SHAPE,
    PANDAS,
    Array,
    Value,
    dtypes_of,
    flat_array,
    is_lazy,
    is_sparse,
    missing_rows,
    n_columns,
)

_DATES = {"datetime64", "datetime", "date", "timedelta64", "timedelta", "time", "period"}


def has_cells(value: Any) -> bool:
    """Whether the first cell that is there of a single column of objects is an array or a list."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return False  # most values: no need to look closer
    if is_lazy(value) or is_sparse(value) or n_columns(value) != 1 or not _holds_objects(value):
        return False
    cells = _column(value)
    here = np.flatnonzero(~missing_rows(cells))
    return bool(len(here)) and _is_array(cells[here[0]])


def _is_array(cell: Any) -> bool:
    """Whether a cell is an array or a list."""
    return isinstance(cell, list | tuple) or getattr(cell, "shape", ()) != ()


def stack_cells(value: Value) -> Any:
    """Return cells that are numbers of one shape as an array, vectors of pandas as a DataFrame.

    A row without a cell becomes NaN, or 0 where the numbers are no floats. Everything else is
    returned as it is.
    """
    if not has_cells(value):
        return value
    cells = _column(value)
    missing = missing_rows(cells)
    try:
        stacked = np.stack([np.asarray(cell) for cell in cells[~missing]])
    except (ValueError, TypeError, RuntimeError):  # not of one shape, or what is no array
        return value
    if stacked.dtype.kind not in "biuf" or 0 in stacked.shape:
        return value
    out = np.zeros((len(cells), *stacked.shape[1:]), dtype=stacked.dtype)
    out[~missing] = stacked
    if out.dtype.kind == "f":
        out[missing] = np.nan
    return (
        pd.DataFrame(out, index=value.index) if isinstance(value, PANDAS) and out.ndim == 2 else out
    )


def open_cells(name: str, value: Any) -> Any:
    """Return cells as numbers where no mask goes with them: NaN for a row without one."""
    if not isinstance(value, np.ndarray | pd.DataFrame | pd.Series) or not has_cells(value):
        return value
    out, missing = stack_cells(value), missing_rows(value)
    if out is value:
        refuse_cells(name, value)
    if missing.any():
        out = out.astype(np.float64)
        out[missing] = np.nan
    return out


def as_table(name: str, value: Any, n_columns: int) -> pd.DataFrame:
    """Return a modality as a DataFrame of so many columns: of one, if it was one of cells."""
    frame = as_frame(name, value)
    if frame.shape[1] == n_columns:
        return frame
    cells = np.fromiter(np.asarray(value), dtype=object, count=len(frame))
    return pd.DataFrame({name: cells}, index=frame.index)


def refuse_cells(name: str, value: Any) -> None:
    """Raise unless the cells of columns that are no numbers can be labels."""
    if is_lazy(value) or is_sparse(value):
        return
    frame = pd.DataFrame(value if value.ndim < 3 else flat_array(value))
    alone = frame.shape[1] == 1
    for label, column in frame.items():
        cells = np.asarray(column)
        if cells.dtype.kind not in "OmM":
            continue
        what = f"Modality {name!r}" if alone else f"Modality {name!r}, column {label!r},"
        if infer_dtype(cells, skipna=True) in _DATES:
            raise TypeError(f"{what} holds dates or durations: make numbers of them.")
        if strange := [cell for cell in cells if not is_scalar(cell)]:
            _refuse(what, strange, alone=alone)


def _refuse(what: str, cells: list[Any], *, alone: bool) -> None:
    if not _is_array(cells[0]):
        raise TypeError(
            f"{what} has a cell that is {described(cells[0])}, but labels are texts or numbers. In "
            "PerModality, ImageScaler and LogMel read images, sounds and their paths, "
            "DictVectorizer and MultiLabelBinarizer make columns of dicts and sets."
        )
    shapes = ", ".join(str(shape) for shape in [*dict.fromkeys(map(_shape, cells))][:3])
    got = f"{type(cells[0]).__name__}s of shapes {shapes}"
    if not alone:
        raise ValueError(f"{what} has cells that are {got}: make it a modality of its own.")
    raise ValueError(
        f"{what} has cells that are {got}; they are stacked where they are numbers of one shape. "
        f"{ONE_SHAPE}"
    )


def _shape(cell: Any) -> tuple[int, ...]:
    return tuple(getattr(cell, "shape", (len(cell),) if _is_array(cell) else ()))


def _holds_objects(value: Any) -> bool:
    return all(is_object_dtype(t) or isinstance(t, pd.ArrowDtype) for t in dtypes_of(value))


def _column(value: Any) -> Array:
    """Return the only column as objects."""
    return np.asarray(value, dtype=object).reshape(-1)
