"""How paths, dtypes, pandas' labels and frames, and sparse matrices are stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from skmm.io._codec import DECODERS, Decoder, Memo, Stored, decode, encode, encoder


@encoder.register
def _(value: Path, memo: Memo) -> Stored:
    return Stored("path", str(value))


@encoder.register
def _(value: np.dtype, memo: Memo) -> Stored:
    return Stored("numpy dtype", value.str)


@encoder.register
def _(value: pd.api.extensions.ExtensionDtype, memo: Memo) -> Stored:
    if isinstance(value, pd.CategoricalDtype):
        content = {"categories": encode(value.categories, memo), "ordered": value.ordered}
        return Stored("categories", content)
    return Stored("pandas dtype", str(value))


@encoder.register
def _(value: pd.Timestamp, memo: Memo) -> Stored:
    return Stored("timestamp", value.isoformat())


@encoder.register(sparse.csr_array)
@encoder.register(sparse.csr_matrix)
@encoder.register(sparse.csc_array)
@encoder.register(sparse.csc_matrix)
def _(value: Any, memo: Memo) -> Stored:
    parts = {"data": value.data, "indices": value.indices, "indptr": value.indptr}
    return Stored("sparse", {"type": type(value).__name__, "shape": value.shape, **parts})


@encoder.register
def _(value: pd.Index, memo: Memo) -> Stored:
    if isinstance(value, pd.MultiIndex):
        levels = [encode(level, memo) for level in value.levels]
        return Stored("multiindex", {"levels": levels, "codes": [np.array(c) for c in value.codes]})
    return Stored("index", _labels(value, memo) | {"name": encode(value.name, memo)})


@encoder.register
def _(value: pd.Series, memo: Memo) -> Stored:
    index, name = encode(value.index, memo), encode(value.name, memo)
    return Stored("series", _labels(value, memo) | {"index": index, "name": name})


@encoder.register
def _(value: pd.DataFrame, memo: Memo) -> Stored:
    columns = [_labels(value.iloc[:, j], memo) for j in range(value.shape[1])]
    index, names = encode(value.index, memo), encode(value.columns, memo)
    return Stored("frame", {"columns": columns, "index": index, "names": names})


def _labels(value: pd.Index | pd.Series, memo: Memo) -> dict[str, Any]:
    """Return the values and dtype of an index or a column."""
    dtype: Any = value.dtype
    if not isinstance(dtype, np.dtype | pd.StringDtype):
        raise TypeError(
            f"{type(value).__name__} of dtype {str(dtype)!r} cannot be stored by skmm.io.dump: fit "
            "with columns of NumPy's dtypes or strings, or use joblib among those you trust."
        )
    is_plain = isinstance(dtype, np.dtype) and dtype.kind != "O"
    values = value.to_numpy() if is_plain else [encode(v, memo) for v in value]
    return {"values": values, "dtype": str(dtype)}


def _sparse(content: dict[str, Any], memo: Memo) -> Any:
    kinds = ("csr_array", "csr_matrix", "csc_array", "csc_matrix")
    if content["type"] not in kinds:
        raise ValueError(f"{content['type']!r} is no sparse format that is stored: {kinds}.")
    parts = tuple(content[name] for name in ("data", "indices", "indptr"))
    value = getattr(sparse, content["type"])(parts, shape=content["shape"])
    value.check_format(full_check=True)  # SciPy's compiled loops trust the indices
    return value


def _multiindex(content: dict[str, Any], memo: Memo) -> pd.MultiIndex:
    levels = [decode(level, memo) for level in content["levels"]]
    return pd.MultiIndex(levels, content["codes"], names=[level.name for level in levels])


def _index(content: dict[str, Any], memo: Memo) -> pd.Index:
    values, name = decode(content["values"], memo), decode(content["name"], memo)
    return pd.Index(values, dtype=content["dtype"], name=name, tupleize_cols=False)


def _series(content: dict[str, Any], memo: Memo) -> pd.Series:
    index, name = decode(content["index"], memo), decode(content["name"], memo)
    return _column(content, index, memo).rename(name)


def _frame(content: dict[str, Any], memo: Memo) -> pd.DataFrame:
    index = decode(content["index"], memo)
    columns = [_column(column, index, memo) for column in content["columns"]]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=index)
    return frame.set_axis(decode(content["names"], memo), axis=1)


def _column(content: dict[str, Any], index: pd.Index, memo: Memo) -> pd.Series:
    return pd.Series(decode(content["values"], memo), dtype=content["dtype"], index=index)


_KINDS: dict[str, Decoder] = {
    "path": lambda name, memo: Path(name),
    "timestamp": lambda text, memo: pd.Timestamp(text),
    "categories": lambda content, memo: pd.CategoricalDtype(
        decode(content["categories"], memo), content["ordered"]
    ),
    "pandas dtype": lambda name, memo: pd.api.types.pandas_dtype(name),
    "numpy dtype": lambda name, memo: np.dtype(name),
    "sparse": _sparse,
    "multiindex": _multiindex,
    "index": _index,
    "series": _series,
    "frame": _frame,
}
DECODERS |= _KINDS
