"""What a modality's values are: numbers, 0/1, counts, labels, token ids or images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import infer_dtype, is_bool_dtype, is_numeric_dtype, is_object_dtype

from skmm._modalities._cells import has_cells
from skmm._modalities._values import (
    ONE_SHAPE,
    PANDAS,
    Array,
    Value,
    dtypes_of,
    is_lazy,
    is_sparse,
    n_columns,
    take_rows,
)

KINDS = ("numeric", "binary", "count", "categorical", "tokens", "image")

ENCODE = "use 'categorical' or encode it with PerModality."
_NUMBER_OBJECTS = {
    "integer", "floating", "mixed-integer-float", "boolean", "decimal", "empty",
}  # fmt: skip


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


def _listed(columns: dict[Any, Any]) -> str:
    """Return the names of columns for a message, of many the first."""
    return f"{list(columns)[:5]}".replace("]", ", ...]" if len(columns) > 5 else "]")


def check_kind(name: str, value: Value, kind: str, missing: NDArray[np.bool_]) -> None:
    """Raise ValueError unless the observed rows of `value` can be of this kind."""
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"Modality {name!r} has an unknown kind {kind!r}; valid: {KINDS}.")
    problem = _problem(value, kind, missing)
    if problem:
        raise ValueError(f"Modality {name!r} cannot be of kind {kind!r}: {problem}")


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
