"""What a modality's values are: numbers, 0/1, counts, labels, token ids or images, or cells.

Cells of a column that are arrays or lists are stacked; labels are scalars; all else is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import (
    infer_dtype,
    is_bool_dtype,
    is_numeric_dtype,
    is_object_dtype,
    is_scalar,
)

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
    take_rows,
)

KINDS = ("numeric", "binary", "count", "categorical", "tokens", "image")

ENCODE = "use 'categorical' or encode it with PerModality."
_NUMBER_OBJECTS = {
    "integer", "floating", "mixed-integer-float", "boolean", "decimal", "empty",
}  # fmt: skip
_DATES = {"datetime64", "datetime", "date", "timedelta64", "timedelta", "time", "period"}


def default_kind(value: Value) -> str:
    """Return the kind that follows from dtype and rank alone, so that no fold changes it."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":  # most values
        return "image" if value.ndim == 4 else "numeric"
    if not is_number(value):
        return "categorical"
    whole = all(_is_whole(t) for t in dtypes_of(value))
    if value.ndim == 1 and whole:
        return "categorical"
    if value.ndim == 2 and all(is_bool_dtype(t) for t in dtypes_of(value)):
        return "binary"
    return "image" if value.ndim == 4 else "numeric"


def is_number(value: Value) -> bool:
    """Whether every column has a numeric dtype or holds objects that are numbers."""
    if isinstance(value, pd.DataFrame):
        by_dtype = {t: _is_numeric(t) or is_object_dtype(t) for t in set(value.dtypes)}
        objects = [j for j, t in enumerate(value.dtypes) if is_object_dtype(t)]
        return all(by_dtype.values()) and (not objects or _hold_numbers(value.iloc[:, objects]))
    if is_object_dtype(value.dtype):
        return _hold_numbers(value)
    return _is_numeric(value.dtype)


def split_columns(value: Value) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Return the dtypes of the columns that hold numbers, and of those that do not."""
    if is_lazy(value) or is_sparse(value) or value.ndim != 2:
        return {}, {}
    frame = value if isinstance(value, pd.DataFrame) else pd.DataFrame(np.asarray(value))
    columns = [frame.iloc[:, j] for j in range(frame.shape[1])]
    split: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})
    for column in columns:
        split[0 if is_number(column) else 1][column.name] = column.dtype
    return split


def refuse_mixed(name: str, value: Value) -> None:
    """Raise ValueError if some columns are numbers and others are not."""
    numbers, others = split_columns(value)
    if numbers and others:
        raise ValueError(
            f"Modality {name!r} mixes columns of numbers, {_listed(numbers)}, and of labels, "
            f"{_listed(others)}. Make two modalities of them, or encode the labels: "
            f"PerModality({{{name!r}: make_column_transformer((OneHotEncoder(sparse_output=False), "
            f"{list(others)[:5]}), remainder='passthrough')}})."
        )


def check_kind(name: str, value: Value, kind: str, missing: NDArray[np.bool_]) -> None:
    """Raise ValueError unless the observed rows of `value` can be of this kind."""
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"Modality {name!r} has an unknown kind {kind!r}; valid: {KINDS}.")
    problem = _problem(value, kind, missing)
    if problem:
        raise ValueError(f"Modality {name!r} cannot be of kind {kind!r}: {problem}")


def has_cells(value: Any) -> bool:
    """Whether the value is a single column of objects, the first of which is an array or a list.

    Missing cells are passed over.
    """
    if isinstance(value, np.ndarray) and value.dtype != object:
        return False  # most values: no need to look closer
    if is_lazy(value) or is_sparse(value) or n_columns(value) != 1 or not _holds_objects(value):
        return False
    cells = _column(value)
    here = np.flatnonzero(~missing_rows(cells))
    return bool(len(here)) and _is_array(cells[here[0]])


def stack_cells(value: Value) -> Any:
    """Return cells that are numbers of one shape as an array; vectors in a Series as a DataFrame.

    A row without a cell becomes NaN, or 0 where the numbers are no floats. Everything else is
    returned as it is.
    """
    if not has_cells(value):
        return value
    cells = _column(value)
    missing = missing_rows(cells)
    try:
        stacked = np.stack([np.asarray(cell) for cell in cells[~missing]])
    except (ValueError, TypeError, RuntimeError):  # shapes that differ, or cells that are no arrays
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


def _listed(columns: dict[Any, Any]) -> str:
    """Return the names of columns for a message, of many the first."""
    return f"{list(columns)[:5]}".replace("]", ", ...]" if len(columns) > 5 else "]")


def _problem(value: Value, kind: str, missing: NDArray[np.bool_]) -> str:
    if kind == "categorical":
        if n_columns(value) == 1 or not is_number(value):
            return ""
        return f"labels are 1-D or in one column, got shape {value.shape}."
    if not is_number(value):
        return _not_numbers(value)
    if kind == "image" and value.ndim != 4:
        return f"images are N x C x H x W, got shape {value.shape}."
    if kind == "tokens" and not (value.ndim == 2 and all(_is_int(t) for t in dtypes_of(value))):
        return f"token ids are 2-D integers, got shape {value.shape}, dtype {_dtype_name(value)}."
    if kind in ("binary", "count", "tokens") and not is_lazy(value):  # else when it is read
        numbers = _observed_numbers(value, missing)
        if kind == "binary" and not np.all((numbers == 0) | (numbers == 1)):
            return "its values must be 0 or 1."
        if not np.all((numbers >= 0) & (numbers == np.floor(numbers))):
            return "its values must be non-negative whole numbers."
    return ""


def _not_numbers(value: Value) -> str:
    if has_cells(value):
        return f"its cells are arrays of several shapes. {ONE_SHAPE}"
    numbers, others = split_columns(value)
    if not numbers:
        return f"it holds no numbers; {ENCODE}"
    return f"its columns {_listed(others)} hold no numbers; {ENCODE}"


def _observed_numbers(value: Value, missing: NDArray[np.bool_]) -> Array:
    """Return the finite-or-infinite numbers of the rows that are there, without NaN."""
    if is_sparse(value):
        numbers: Any = value.data
    else:
        numbers = take_rows(value, ~missing) if missing.any() else value
        if isinstance(numbers, PANDAS) or numbers.dtype == object:
            numbers = pd.DataFrame(numbers).to_numpy(dtype=float, na_value=np.nan)
    if numbers.dtype.kind == "b":
        return numbers.view(np.uint8)
    return numbers[~np.isnan(numbers)] if numbers.dtype.kind == "f" else numbers


def _hold_numbers(value: Any) -> bool:
    columns = np.asarray(value, dtype=object).ravel()
    return infer_dtype(columns, skipna=True) in _NUMBER_OBJECTS


def _is_numeric(dtype: Any) -> bool:
    return is_numeric_dtype(dtype) or is_bool_dtype(dtype)  # of Arrow only the second knows truth


def _is_int(dtype: Any) -> bool:
    return getattr(dtype, "kind", "O") in "iu"


def _is_whole(dtype: Any) -> bool:
    return _is_int(dtype) or is_bool_dtype(dtype)


def _dtype_name(value: Value) -> str:
    return "/".join(sorted({str(t) for t in dtypes_of(value)}))


def _is_array(cell: Any) -> bool:
    """Whether a cell is an array or a list."""
    return isinstance(cell, list | tuple) or getattr(cell, "shape", ()) != ()


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
