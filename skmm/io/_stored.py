"""What skops cannot store, as what it can: containers, strings, numbers and arrays."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from skmm._base import BaseEstimator

Memo = dict[int, Any]
Decoder = Callable[[Any, Memo], Any]


class Stored:
    """Stands in a file for an object of some kind; never part of an estimator."""

    def __init__(self, kind: str, content: Any) -> None:
        self.kind = kind
        self.content = content


def encoded(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of an estimator in a form that skops can store."""
    if "torch" in sys.modules:  # what needs torch has imported it
        import skmm.io._networks  # noqa: F401
    return encode(state, {})


def decoded(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of an estimator from the form that skops can store."""
    return decode(state, {})


def encode(value: Any, memo: Memo) -> Any:
    """Return a value as it is stored; what occurs twice is one object again."""
    if id(value) not in memo:
        memo[id(value)] = (_encode(value, memo), value)  # kept, so that its id stays its own
    return memo[id(value)][0]


def decode(value: Any, memo: Memo) -> Any:
    """Return a value from how it is stored."""
    if isinstance(value, Stored):
        if id(value) not in memo:
            memo[id(value)] = _decoder(value.kind)(value.content, memo)
        return memo[id(value)]
    if type(value) in (dict, OrderedDict):
        return type(value)((key, decode(v, memo)) for key, v in value.items())
    if type(value) in (list, set):
        return type(value)(decode(v, memo) for v in value)
    if isinstance(value, tuple):
        return _tuple_like(value, [decode(v, memo) for v in value])
    return value


@singledispatch
def _encode(value: Any, memo: Memo) -> Any:
    kind = type(value)
    own = kind.__module__.partition(".")[0] == "skmm" and not isinstance(value, BaseEstimator)
    if not own or isinstance(value, Stored):
        return value  # for skops to store or to refuse
    return Stored("object", {"type": kind, "state": encode(value.__getstate__(), memo)})


@_encode.register
def _(value: dict, memo: Memo) -> Any:
    if type(value) not in (dict, OrderedDict):
        return value
    if all(type(key) is str for key in value):
        return type(value)((key, encode(v, memo)) for key, v in value.items())
    return Stored("dict", [(encode(key, memo), encode(v, memo)) for key, v in value.items()])


@_encode.register(list)
@_encode.register(set)
def _(value: Any, memo: Memo) -> Any:
    return type(value)(encode(v, memo) for v in value) if type(value) in (list, set) else value


@_encode.register
def _(value: tuple, memo: Memo) -> Any:
    return _tuple_like(value, [encode(v, memo) for v in value])


@_encode.register
def _(value: Path, memo: Memo) -> Stored:
    return Stored("path", str(value))


@_encode.register
def _(value: np.dtype, memo: Memo) -> Stored:
    return Stored("numpy dtype", value.str)


@_encode.register
def _(value: pd.api.extensions.ExtensionDtype, memo: Memo) -> Stored:
    if isinstance(value, pd.CategoricalDtype):
        content = {"categories": encode(value.categories, memo), "ordered": value.ordered}
        return Stored("categories", content)
    return Stored("pandas dtype", str(value))


@_encode.register
def _(value: pd.Timestamp, memo: Memo) -> Stored:
    return Stored("timestamp", value.isoformat())


@_encode.register(sparse.csr_array)
@_encode.register(sparse.csr_matrix)
@_encode.register(sparse.csc_array)
@_encode.register(sparse.csc_matrix)
def _(value: Any, memo: Memo) -> Stored:
    parts = {"data": value.data, "indices": value.indices, "indptr": value.indptr}
    return Stored("sparse", {"type": type(value).__name__, "shape": value.shape, **parts})


@_encode.register
def _(value: pd.Index, memo: Memo) -> Stored:
    if isinstance(value, pd.MultiIndex):
        levels = [encode(level, memo) for level in value.levels]
        return Stored("multiindex", {"levels": levels, "codes": [np.array(c) for c in value.codes]})
    return Stored("index", _labels(value, memo) | {"name": encode(value.name, memo)})


@_encode.register
def _(value: pd.Series, memo: Memo) -> Stored:
    index, name = encode(value.index, memo), encode(value.name, memo)
    return Stored("series", _labels(value, memo) | {"index": index, "name": name})


@_encode.register
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


def _object(content: dict[str, Any], memo: Memo) -> Any:
    kind, state = content["type"], decode(content["state"], memo)
    if not isinstance(kind, type) or kind.__module__.partition(".")[0] != "skmm":
        raise ValueError(f"{kind!r} stands where a class of skmm was expected.")
    instance: Any = object.__new__(kind)
    if hasattr(kind, "__setstate__"):
        instance.__setstate__(state)
    else:
        vars(instance).update(state)
    return instance


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


def _tuple_like(value: tuple, parts: list[Any]) -> tuple:
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


def _decoder(kind: str) -> Decoder:
    if kind not in DECODERS:
        import skmm.io._networks  # noqa: F401
    if kind not in DECODERS:
        raise ValueError(f"{kind!r} is no kind of stored object; they are {sorted(DECODERS)}.")
    return DECODERS[kind]


DECODERS: dict[str, Decoder] = {
    "dict": lambda pairs, memo: {decode(k, memo): decode(v, memo) for k, v in pairs},
    "object": _object,
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
