"""One modality's values: an array, a CSR matrix, or a pandas object with samples on axis 0."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeGuard

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from skmm._modalities._chunks import row_chunks
from skmm._modalities._foreign import described, refuse_foreign, remedy
from skmm._modalities._polars import as_pandas

Array: TypeAlias = NDArray[Any]
Sparse: TypeAlias = sp.csr_matrix | sp.csr_array
Value: TypeAlias = Array | pd.DataFrame | pd.Series | Sparse

FLOATS = (np.float64, np.float32)
PANDAS: tuple[Any, ...] = (pd.DataFrame, pd.Series)  # Any: the stubs know too little
DENSE: tuple[Any, ...] = (np.ndarray, *PANDAS)
TAKES = (
    "Pass an array, a sparse matrix, a Series or DataFrame of pandas or polars with samples on "
    "axis 0."
)
ONE_SHAPE = (
    "Bring samples of several shapes to one: token ids as skmm.preprocessing.Tokenizer does with "
    "texts, images by ImageScaler and sounds by LogMel, in PerModality."
)
NEUTRAL = {"f": np.nan, "i": 0, "u": 0, "b": False, "O": None, "U": "", "S": b""}


# Narrowed to Any: the stubs of SciPy know only part of what is done with these.
def is_sparse(value: object) -> TypeGuard[Any]:
    """Whether `value` is a SciPy sparse matrix or array."""
    return sp.issparse(value)


def is_lazy(value: object) -> TypeGuard[Any]:
    """Whether `value` is an array that is read in chunks when asked, as of dask, zarr or h5py."""
    return not isinstance(value, np.ndarray) and all(
        hasattr(value, name) for name in ("chunks", "dtype", "shape", "__getitem__")
    )


def as_value(name: str, value: object) -> Value:
    """Return `value` in one of the stored types; arrays become read-only views, not copies."""
    out = _convert(name, value)
    if len(out.shape) == 0:
        raise ValueError(f"Modality {name!r} is a scalar, {value!r}: samples must be on axis 0.")
    if 0 in out.shape[1:]:
        raise ValueError(
            f"Modality {name!r} is empty: shape {out.shape} has no columns. Leave it out."
        )
    return out


def as_array(what: str, value: object) -> Array:
    """Return an array, or say of what none can be made."""
    refuse_foreign(what, value, "")
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # the last is what tensors raise
        hint = f" {ONE_SHAPE}" if isinstance(value, list | tuple) else ""
        raise ValueError(f"{what} cannot be made an array: {error}{hint}") from error


def dtypes_of(value: Any) -> list[Any]:
    """Return the dtype of each column of a DataFrame, of other values the only one."""
    return list(value.dtypes) if isinstance(value, pd.DataFrame) else [value.dtype]


def n_columns(value: Any) -> int:
    """Return the width of the flattened modality; a 1-D one has one column."""
    return int(np.prod(value.shape[1:], dtype=int))


def n_bytes(value: Any) -> int:
    """Return the bytes of the values; what is lazy has none yet."""
    if is_lazy(value):
        return 0
    if is_sparse(value):
        return int(value.data.nbytes + value.indices.nbytes + value.indptr.nbytes)
    if isinstance(value, PANDAS):
        return int(np.sum(value.memory_usage(index=False)))
    return int(value.nbytes)


def take_rows(value: Value, rows: Array | slice) -> Value:
    """Slice by position; a slice of an array is a view."""
    if isinstance(value, PANDAS):
        return value.iloc[rows]
    return read_only(value[rows])


def read_only(value: Value) -> Value:
    """Return a view that cannot be written to; what is not an ndarray comes back as it is."""
    if isinstance(value, np.ndarray):
        value = value.view()
        value.flags.writeable = False
    return value


def missing_rows(value: Value) -> NDArray[np.bool_]:
    """Return which rows are NaN or None throughout."""
    if not isinstance(value, DENSE):
        if is_sparse(value):
            return _missing_sparse_rows(value)
        return np.zeros(value.shape[0], dtype=bool)  # of lazy arrays nobody knows before reading
    if value.ndim == 1:
        return np.array(_is_nan(value))
    # The first column decides which rows need a closer look, so complete data are read once.
    rows = np.array(_is_nan(_first_column(value)))
    if not rows.any():
        return rows
    for part in _parts(rows, n_columns(value)):
        rows[part] = _is_nan(take_rows(value, part)).reshape(len(part), -1).all(axis=1)
    return rows


def missing_entries(value: Any) -> NDArray[np.bool_]:
    """Return which entries of dense values are NaN or None, (n_samples, n_columns)."""
    return flat_array(_is_nan(value))


def hide_rows(value: Value, rows: NDArray[np.bool_]) -> Value:
    """Return `value` with neutral content (NaN, 0, "", None, False, no entry) in `rows`.

    What is already neutral is returned as it is, so that nothing is copied in vain.
    """
    if not rows.any() or is_lazy(value):  # what is lazy is hidden when it is read
        return value
    if is_sparse(value):
        return _hide_sparse_rows(value, rows)
    if isinstance(value, PANDAS):
        hidden = _hide_frame_rows(pd.DataFrame(value), rows)
        return hidden if value.ndim == 2 else hidden.iloc[:, 0].rename(value.name)
    return _hide_array_rows(np.asarray(value), rows)


def flat_array(value: Array) -> Array:
    """Return a 2-D view of an array: (n_samples, n_columns)."""
    return value if value.ndim == 2 else value.reshape(len(value), -1)


def _convert(name: str, value: Any) -> Value:
    if type(value) is not np.ndarray:  # arrays are what they should be already
        value = as_pandas(value)
        if isinstance(value, PANDAS):
            _check_columns(name, value)
            return value.copy(deep=False)
        if is_lazy(value):
            _check_dtype(name, value.dtype)
            return value
        if is_sparse(value) and value.ndim == 2:
            _check_dtype(name, value.dtype)
            return value.tocsr()
        if not (isinstance(value, list | tuple) or hasattr(value, "__array__")):
            raise TypeError(f"Modality {name!r} is {described(value)}. {remedy(value)}{TAKES}")
        value = as_array(f"Modality {name!r}", value)
    _check_dtype(name, value.dtype)
    return read_only(value.astype(object) if value.dtype.kind == "T" else value)


def _check_columns(name: str, value: Any) -> None:
    if isinstance(value, pd.DataFrame) and value.columns.nlevels > 1:
        raise ValueError(
            f"Modality {name!r} has {value.columns.nlevels} column levels; a modality has one. "
            "Use Modalities.from_frame for a DataFrame of several modalities."
        )
    for dtype in dtypes_of(value):
        if isinstance(dtype, np.dtype) and dtype.kind == "c":
            _check_dtype(name, dtype)


def _check_dtype(name: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind == "c":
        raise ValueError(f"Complex data not supported: modality {name!r} has dtype {dtype}.")
    if dtype.kind not in NEUTRAL and dtype.kind != "T":
        raise TypeError(
            f"Modality {name!r} has dtype {dtype}; convert it to numbers, strings or categories."
        )


def _parts(rows: NDArray[np.bool_], width: int) -> list[Array]:
    """Return the positions of these rows, some at a time."""
    numbers = np.flatnonzero(rows)
    return [numbers[chunk] for chunk in row_chunks(len(numbers), width)]


def _is_nan(value: Any) -> NDArray[np.bool_]:
    return np.asarray(pd.isna(value))


def _first_column(value: Any) -> Any:
    if isinstance(value, PANDAS):
        return value.iloc[:, 0]
    return value[(slice(None), *[0] * (value.ndim - 1))]


def _missing_sparse_rows(value: Any) -> NDArray[np.bool_]:
    nan = np.isnan(value.data) if value.dtype.kind == "f" else np.zeros(value.nnz, dtype=bool)
    row_of_entry = np.repeat(np.arange(value.shape[0]), np.diff(value.indptr))
    return np.bincount(row_of_entry[nan], minlength=value.shape[0]) == value.shape[1]


def _hide_sparse_rows(value: Any, rows: NDArray[np.bool_]) -> Any:
    n_entries = np.diff(value.indptr)
    if not n_entries[rows].any():
        return value
    kept = np.repeat(~rows, n_entries)
    indptr = np.concatenate([[0], np.cumsum(np.where(rows, 0, n_entries))])
    return type(value)((value.data[kept], value.indices[kept], indptr), shape=value.shape)


def _hide_frame_rows(value: pd.DataFrame, rows: NDArray[np.bool_]) -> pd.DataFrame:
    kinds = np.array([t.kind if isinstance(t, np.dtype) else "O" for t in value.dtypes])
    whole, truth = np.isin(kinds, ["i", "u"]), kinds == "b"
    hidden = value.iloc[rows]
    zero = ~hidden.loc[:, whole | truth].to_numpy().any()
    if zero and hidden.loc[:, ~(whole | truth)].isna().to_numpy().all():
        return value
    out = value.copy()
    for columns, neutral in ((whole, 0), (truth, False), (~(whole | truth), np.nan)):
        if columns.any():
            out.iloc[np.flatnonzero(rows), np.flatnonzero(columns)] = neutral
    return out


def _hide_array_rows(value: Array, rows: NDArray[np.bool_]) -> Array:
    neutral = NEUTRAL[value.dtype.kind]
    nan = value.dtype.kind in "fO"
    hidden = (value[part] for part in _parts(rows, n_columns(value)))
    if all(np.all(pd.isna(part) if nan else part == neutral) for part in hidden):
        return value
    out = value.copy(order="K")
    out[rows] = neutral
    out.flags.writeable = False
    return out
