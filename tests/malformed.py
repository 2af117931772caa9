"""Malformed input: what is refused in words, and mutations of valid input for every public method.

`test_bad_input.py` says what must become of them.

A trial is drawn from a seed and its number alone, so that each can be repeated by itself. What it
may end in: a result, or a ValueError or TypeError that skmm, scikit-learn's validation or skorch
raises in so many words; and a method that fails leaves its estimator as it was.
"""

import array
import contextlib
import copy
import io
import linecache
import math
import os
import signal
import tempfile
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pandas as pd
import polars as pl
import sklearn
import skorch
import torch
from contract_cases import arrays, complete
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

import skmm
from skmm import (
    CCA,
    ConditionalGAN,
    DeepCCA,
    GroupFactorAnalysis,
    Modalities,
    MultimodalAutoencoder,
    MultimodalClassifier,
    MultimodalRegressor,
    MultimodalVAE,
    metrics,
)
from skmm.baselines import MarginalSampler, NeighborsSampler, RidgeSampler
from skmm.compose import ConcatModalities, GaussianImputer, PerModality, SelectModality
from skmm.preprocessing import ImageScaler, LogMel, Tokenizer

N = 12
SECONDS = 20
Rng = np.random.Generator
Parts = dict[str, Any]

# Malformed values of one array


def _entry(value: float, where: Any = (3, 1)) -> Callable[[Any], Any]:
    def put(a: Any) -> Any:
        out = np.array(a, dtype=float)
        out[where if out.ndim == 2 else where[0]] = value
        return out

    return put


def _objects(*entries: Any) -> Callable[[Any], Any]:
    def put(a: Any) -> Any:
        out = np.array(a, dtype=object)
        out.ravel()[: len(entries)] = np.fromiter(entries, dtype=object, count=len(entries))
        return out

    return put


def _frame(a: Any) -> pd.DataFrame:
    return pd.DataFrame(np.reshape(a, (len(a), -1))).add_prefix("c")


def _memmap(a: Any, *, deleted: bool) -> Any:
    folder = tempfile.mkdtemp(prefix="skmm-tests-")
    path = Path(folder) / "a.npy"
    np.save(path, a)
    out = np.load(path, mmap_mode="r")
    if deleted:
        path.unlink()
    return out


def _masked(a: Any) -> Any:
    return np.ma.masked_greater(a, 0.5)


def _with_columns(columns: Callable[[int], Any]) -> Callable[[Any], Any]:
    def rename(a: Any) -> Any:
        frame = _frame(a)
        return frame.set_axis(columns(frame.shape[1]), axis=1)

    return rename


def _with_index(index: Any) -> Callable[[Any], Any]:
    return lambda a: _frame(a).set_axis(index(len(a)), axis=0)


def _first_column(dtype: Any, values: Callable[[int], Any]) -> Callable[[Any], Any]:
    def replace(a: Any) -> Any:
        frame = _frame(a)
        frame["c0"] = pd.Series(values(len(frame)), dtype=dtype)
        return frame

    return replace


SPARSE = {
    fmt: partial(lambda fmt, a: sparse.coo_array(np.reshape(a, (len(a), -1))).asformat(fmt), fmt)
    for fmt in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")
}
VALUES: dict[str, Callable[[Any], Any]] = {
    # rows, columns and axes
    "fewer rows": lambda a: a[:-1],
    "more rows": lambda a: np.concatenate([a, a[:1]]),
    "no rows": lambda a: a[:0],
    "one row": lambda a: a[:1],
    "fewer columns": lambda a: np.reshape(a, (len(a), -1))[:, :-1],
    "more columns": lambda a: np.hstack([np.reshape(a, (len(a), -1))] * 2),
    "no columns": lambda a: np.reshape(a, (len(a), -1))[:, :0],
    "1-D": lambda a: np.reshape(a, (len(a), -1))[:, 0],
    "3-D": lambda a: np.asarray(a)[..., None],
    "4-D": lambda a: np.reshape(a, (len(a), -1, 1, 1)),
    "33 axes": lambda a: np.reshape(a, (len(a), -1) + (1,) * 31),
    "transposed": lambda a: np.asarray(a).T,
    "0-d": lambda a: np.array(3.0),
    # layouts that are in order
    "Fortran": lambda a: np.asfortranarray(a),
    "negative strides": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "broadcast": lambda a: np.broadcast_to(a[:1], np.shape(a)),
    "byte-swapped": lambda a: np.asarray(a).astype(np.asarray(a).dtype.newbyteorder()),
    "memmap": partial(_memmap, deleted=False),
    "deleted memmap": partial(_memmap, deleted=True),
    "np.matrix": lambda a: np.reshape(a, (len(a), -1)).view(np.matrix),
    "recarray": lambda a: np.reshape(a, (len(a), -1)).view(np.recarray),
    "masked": _masked,
    "nested lists": lambda a: np.asarray(a).tolist(),
    "nested tuples": lambda a: tuple(map(tuple, np.reshape(a, (len(a), -1)))),
    # numbers
    "infinity": _entry(np.inf),
    "minus infinity": _entry(-np.inf),
    "both infinities": lambda a: _entry(-np.inf, (4, 1))(_entry(np.inf)(a)),
    "NaN in a row": _entry(np.nan),
    "NaN row": _entry(np.nan, (3,)),
    "NaN column": lambda a: np.where(np.arange(np.shape(a)[-1]) == 0, np.nan, a),
    "all NaN": lambda a: np.full(np.shape(a), np.nan),
    "all but one row NaN": lambda a: np.where(
        np.arange(len(a)).reshape(-1, *[1] * (np.ndim(a) - 1)) > 0, np.nan, a
    ),
    "all zero": lambda a: np.zeros(np.shape(a)),
    "constant": lambda a: np.full(np.shape(a), 3.0),
    "largest": lambda a: np.full(np.shape(a), np.finfo(float).max),
    "largest, both signs": lambda a: np.sign(a) * np.finfo(float).max,
    "1e200": lambda a: np.asarray(a) * 1e200,
    "1e-200": lambda a: np.asarray(a) * 1e-200,
    "denormal": lambda a: np.asarray(a) * 1e-310,
    "one huge entry": _entry(1e300),
    "float16": lambda a: np.asarray(a).astype(np.float16),
    "float32": lambda a: np.asarray(a).astype(np.float32),
    "longdouble": lambda a: np.asarray(a).astype(np.longdouble),
    "complex": lambda a: np.asarray(a) * 1j,
    "int8": lambda a: np.zeros(np.shape(a), dtype=np.int8),
    "negative integers": lambda a: np.full(np.shape(a), -3),
    "large integers": lambda a: np.full(np.shape(a), 2**62),
    "largest uint64": lambda a: np.full(np.shape(a), 2**64 - 1, dtype=np.uint64),
    "bool": lambda a: np.asarray(a) > 0,
    # other types of entries
    "datetime": lambda a: np.zeros(np.shape(a), dtype="datetime64[ns]"),
    "timedelta": lambda a: np.zeros(np.shape(a), dtype="timedelta64[s]"),
    "structured": lambda a: np.zeros(np.shape(a), dtype=[("a", float), ("b", int)]),
    "void": lambda a: np.zeros(np.shape(a), dtype="V4"),
    "strings": lambda a: np.full(np.shape(a), "a"),
    "numbers as strings": lambda a: np.asarray(a).astype(str),
    "variable strings": lambda a: np.full(np.shape(a), "a", dtype=np.dtypes.StringDType()),
    "bytes": lambda a: np.full(np.shape(a), b"a"),
    "a string among numbers": _objects("a"),
    "None among numbers": _objects(None),
    "pd.NA among numbers": _objects(pd.NA),
    "NaT among numbers": _objects(pd.NaT),
    "lists among numbers": _objects([1.0], [2.0, 3.0]),
    "dicts among numbers": _objects({"a": 1}),
    "arrays among numbers": _objects(np.zeros(2), np.zeros(3)),
    "huge integer among numbers": _objects(2**70, -(2**70)),
    "huge decimal among numbers": _objects(Decimal("1e400")),
    "fraction among numbers": _objects(Fraction(1, 3)),
    "infinity among objects": _objects(np.inf),
    "complex among numbers": _objects(1j),
    "bool among objects": _objects(True, False),
    "functions": _objects(len),
    "numbers as objects": lambda a: np.asarray(a).astype(object),
    "Nones": lambda a: np.full(np.shape(a), None),
    "labels of several types": lambda a: np.array([1, "a", 2.5, b"c"] * len(a), object)[: len(a)],
    "unhashable labels": lambda a: np.fromiter(([i] for i in range(len(a))), object, len(a)),
    # what is no array
    "None": lambda a: None,
    "number": lambda a: 3.0,
    "string": lambda a: "text",
    "bytes object": lambda a: b"text",
    "set": lambda a: {1.0, 2.0},
    "dict": lambda a: {"a": a},
    "generator": lambda a: (row for row in a),
    "iterator": lambda a: iter(a),
    "object": lambda a: object(),
    "class": lambda a: np.ndarray,
    "function": lambda a: len,
    "Ellipsis": lambda a: ...,
    "range": lambda a: range(len(a)),
    "deque": lambda a: deque(a),
    "memoryview": lambda a: memoryview(np.ascontiguousarray(a)),
    "array.array": lambda a: array.array("d", np.ravel(a)),
    "path": lambda a: Path("a.npy"),
    "estimator": lambda a: StandardScaler(),
    "Modalities": lambda a: Modalities({"image": a}),
    "empty list": lambda a: [],
    "list of empty lists": lambda a: [[] for _ in a],
    "ragged lists": lambda a: [[0.0] * (1 + i % 3) for i in range(len(a))],
    "list with None": lambda a: [None, *list(a)[1:]],
    "list of strings": lambda a: ["word"] * len(a),
    "list of dicts": lambda a: [{"a": 1.0}] * len(a),
    "list of sets": lambda a: [{1.0}] * len(a),
    "list of arrays": lambda a: [np.zeros((2, 2)) for _ in a],
    "recursive list": lambda a: _recursive(),
    "scalar of NumPy": lambda a: np.float64(1.0),
    # sparse, pandas and others
    **{f"sparse {fmt}": function for fmt, function in SPARSE.items()},
    "csr_matrix": lambda a: sparse.csr_matrix(np.reshape(a, (len(a), -1))),
    "sparse with NaN": lambda a: sparse.csr_array(_entry(np.nan)(a)),
    "sparse with infinity": lambda a: sparse.csr_array(_entry(np.inf)(a)),
    "sparse, complex": lambda a: sparse.csr_array(np.reshape(a, (len(a), -1)) * 1j),
    "sparse, 1-D": lambda a: sparse.coo_array(np.zeros(len(a))),
    "sparse, no entries": lambda a: sparse.csr_array(np.reshape(a, (len(a), -1)).shape),
    "DataFrame": _frame,
    "DataFrame of one column": lambda a: _frame(a).iloc[:, :1],
    "DataFrame without columns": lambda a: _frame(a).iloc[:, :0],
    "DataFrame without rows": lambda a: _frame(a).iloc[:0],
    "DataFrame, same names": _with_columns(lambda k: ["c"] * k),
    "DataFrame, numbered names": _with_columns(range),
    "DataFrame, mixed names": _with_columns(lambda k: [0, *map(str, range(1, k))]),
    "DataFrame, None for names": _with_columns(lambda k: [None] * k),
    "DataFrame, two levels": _with_columns(lambda k: pd.MultiIndex.from_product([["m"], range(k)])),
    "DataFrame, three levels": _with_columns(
        lambda k: pd.MultiIndex.from_product([["l"], ["m"], range(k)])
    ),
    "DataFrame, index reversed": _with_index(lambda n: range(n)[::-1]),
    "DataFrame, index repeated": _with_index(lambda n: [0] * n),
    "DataFrame, index of NaN": _with_index(lambda n: [np.nan] * n),
    "DataFrame, index of strings": _with_index(lambda n: [f"s{i}" for i in range(n)]),
    "DataFrame, index of several types": _with_index(lambda n: [None, "a", *range(n - 2)]),
    "DataFrame, index of dates": _with_index(lambda n: pd.date_range("2020", periods=n)),
    "DataFrame, index of two levels": _with_index(
        lambda n: pd.MultiIndex.from_product([["l"], range(n)])
    ),
    "DataFrame, categories": _first_column("category", lambda n: ["a", "b"] * (n // 2)),
    "DataFrame, categories of numbers": _first_column("category", lambda n: [1, 2] * (n // 2)),
    "DataFrame, Int64": _first_column("Int64", range),
    "DataFrame, Int64 with NA": _first_column("Int64", lambda n: [pd.NA] * n),
    "DataFrame, boolean with NA": _first_column("boolean", lambda n: [True, pd.NA] * (n // 2)),
    "DataFrame, Float64 with NA": _first_column("Float64", lambda n: [pd.NA, 1.5] * (n // 2)),
    "DataFrame, string": _first_column("string", lambda n: ["a"] * n),
    "DataFrame, sparse": _first_column(pd.SparseDtype(float, 0.0), lambda n: [0.0] * n),
    "DataFrame, dates": _first_column("datetime64[ns]", lambda n: [pd.Timestamp(0)] * n),
    "DataFrame, dates with zone": _first_column(
        "datetime64[ns, UTC]", lambda n: [pd.Timestamp(0, tz="UTC")] * n
    ),
    "DataFrame, periods": _first_column("period[D]", lambda n: pd.period_range("2020", periods=n)),
    "DataFrame, intervals": _first_column(None, lambda n: pd.interval_range(0, n, periods=n)),
    "DataFrame, complex": _first_column(complex, lambda n: [1j] * n),
    "DataFrame, lists": _first_column(object, lambda n: [[1]] * n),
    "DataFrame, infinity": _first_column(float, lambda n: [np.inf] * n),
    "Series": lambda a: pd.Series(np.reshape(a, (len(a), -1))[:, 0]),
    "Series of lists": lambda a: pd.Series([[1, 2]] * len(a)),
    "Series of dates": lambda a: pd.Series(pd.date_range("2020", periods=len(a))),
    "Series of Int64 with NA": lambda a: pd.Series([1, pd.NA] * (len(a) // 2), dtype="Int64"),
    "Series of categories": lambda a: pd.Series(["a", None] * (len(a) // 2), dtype="category"),
    "Series of strings with NA": lambda a: pd.Series(["a", pd.NA] * (len(a) // 2), dtype="string"),
    "Index": lambda a: pd.RangeIndex(len(a)),
    "Categorical": lambda a: pd.Categorical(["a"] * len(a)),
    "GroupBy": lambda a: _frame(a).groupby("c0"),
    "polars": lambda a: pl.DataFrame(np.reshape(a, (len(a), -1))),
    "polars with strings": lambda a: pl.DataFrame({"a": ["x"] * len(a)}),
    "polars with gaps": lambda a: pl.DataFrame({"a": [1, None] * (len(a) // 2)}),
    "polars with lists": lambda a: pl.DataFrame({"a": [[1.0]] * len(a)}),
    "polars with dates": lambda a: pl.DataFrame({"a": pd.date_range("2020", periods=len(a))}),
    "polars, lazy": lambda a: pl.DataFrame(np.reshape(a, (len(a), -1))).lazy(),
    "polars Series": lambda a: pl.Series(np.reshape(a, (len(a), -1))[:, 0]),
    "tensor": lambda a: torch.as_tensor(np.asarray(a)),
    "tensor with gradient": lambda a: torch.as_tensor(np.asarray(a, dtype=float)).requires_grad_(),
    "tensor without data": lambda a: torch.zeros(np.shape(a), device="meta"),
    "tensor in bfloat16": lambda a: torch.zeros(np.shape(a), dtype=torch.bfloat16),
    "sparse tensor": lambda a: torch.as_tensor(np.asarray(a, dtype=float)).to_sparse(),
}


def _recursive() -> list[Any]:
    out: list[Any] = [0.0]
    out.append(out)
    return out


# Malformed sets of modalities


def _two_levels(parts: Parts) -> pd.DataFrame:
    return pd.concat({name: _frame(a) for name, a in parts.items()}, axis=1)


def _changed(parts: Parts, rename: Callable[[str], Any]) -> Parts:
    return {rename(name): a for name, a in parts.items()}


def _first(parts: Parts) -> str:
    return next(iter(parts))


def _wide(parts: Parts) -> Any:
    return np.hstack([np.reshape(a, (len(a), -1)) for a in parts.values()])


def _holes(parts: Parts) -> Modalities:
    X = Modalities(parts)
    return X.with_missing(_first(parts), [1, 2])


CONTAINERS: dict[str, Callable[[Parts], Any]] = {
    "no modality": lambda p: {},
    "a modality less": lambda p: dict(list(p.items())[1:]),
    "one modality": lambda p: {_first(p): p[_first(p)]},
    "a modality more": lambda p: {**p, "smell": p[_first(p)]},
    "only an unknown modality": lambda p: {"smell": p[_first(p)]},
    "other names": lambda p: _changed(p, lambda name: f"{name}s"),
    "another order": lambda p: dict(reversed(p.items())),
    "names of bytes": lambda p: _changed(p, str.encode),
    "numbers for names": lambda p: dict(enumerate(p.values())),
    "tuples for names": lambda p: _changed(p, lambda name: (name, 0)),
    "None for a name": lambda p: {**p, None: p[_first(p)]},
    "an empty name": lambda p: {**p, "": p[_first(p)]},
    "swapped": lambda p: dict(zip(p, reversed(p.values()), strict=True)),
    "the same modality twice": lambda p: {**p, _first(p): list(p.values())[-1]},
    "list of pairs": lambda p: list(p.items()),
    "list of arrays": lambda p: list(p.values()),
    "tuple of arrays": lambda p: tuple(p.values()),
    "names only": lambda p: set(p),
    "items": lambda p: p.items(),
    "dict in a dict": lambda p: {"all": p},
    "Modalities in a dict": lambda p: {"all": Modalities(p)},
    "dicts by row": lambda p: [{n: a[i] for n, a in p.items()} for i in range(N)],
    "mapping that is none": lambda p: _FalseMapping(),
    "None alone": lambda p: None,
    "a string alone": lambda p: "image",
    "a number alone": lambda p: 3,
    "an object alone": lambda p: object(),
    "a class alone": lambda p: Modalities,
    "an array alone": _wide,
    "a narrow array alone": lambda p: _wide(p)[:, :2],
    "1-D array alone": lambda p: _wide(p)[:, 0],
    "3-D array alone": lambda p: _wide(p)[:, None],
    "0-d array alone": lambda p: np.array(1.0),
    "array of objects alone": lambda p: np.array(list(p), dtype=object),
    "sparse alone": lambda p: sparse.csr_matrix(_wide(p)),
    "dok alone": lambda p: sparse.dok_array(_wide(p)),
    "tensor alone": lambda p: torch.as_tensor(_wide(p)),
    "nested lists alone": lambda p: _wide(p).tolist(),
    "flat DataFrame": lambda p: _frame(_wide(p)),
    "Series alone": lambda p: pd.Series(_wide(p)[:, 0]),
    "Series of arrays": lambda p: pd.Series(list(p.values()), index=list(p)),
    "polars alone": lambda p: pl.DataFrame(_wide(p)),
    "two levels": _two_levels,
    "two levels, numbers for names": lambda p: _two_levels(dict(enumerate(p.values()))),
    "two levels, other names": lambda p: _two_levels(_changed(p, lambda name: f"{name}s")),
    "two levels, a modality less": lambda p: _two_levels(dict(list(p.items())[1:])),
    "two levels, swapped": lambda p: _two_levels(p).swaplevel(axis=1),
    "two levels, no rows": lambda p: _two_levels(p).iloc[:0],
    "two levels, no columns": lambda p: _two_levels(p).iloc[:, :0],
    "two levels, a column twice": lambda p: _two_levels(p).iloc[:, [0, 0, *range(1, 9)]],
    "two levels, NaN for a name": lambda p: _two_levels(p).rename(
        columns={_first(p): np.nan}, level=0
    ),
    "two levels, transposed": lambda p: _two_levels(p).T,
    "three levels": lambda p: pd.concat({"all": _two_levels(p)}, axis=1),
    "Modalities": Modalities,
    "no row of Modalities": lambda p: Modalities(p)[:0],
    "a row of Modalities": lambda p: Modalities(p)[:1],
    "repeated rows": lambda p: Modalities(p)[[0] * N],
    "missing": _holes,
    "missing in every row": lambda p: Modalities(p).with_missing(_first(p)),
    "missing in all but one row": lambda p: Modalities(p).with_missing(_first(p), range(1, N)),
    "everything missing in a row": lambda p: Modalities(p).with_missing(list(p), [3]),
    "everything missing": lambda p: Modalities(p).with_missing(list(p)),
    "mask of a wrong shape": lambda p: Modalities(p, missing=np.zeros((N, 9), dtype=bool)),
    "mask of numbers": lambda p: Modalities(p, missing=np.zeros((N, len(p)))),
    "mask of an unknown modality": lambda p: Modalities(p, missing={"smell": [True] * N}),
    "mask that is none": lambda p: Modalities(p, missing="image"),
    "mask of objects": lambda p: Modalities(p, missing=[None] * N),
    "unknown kind": lambda p: Modalities(p, kinds={_first(p): "odour"}),
    "unhashable kind": lambda p: Modalities(p, kinds={_first(p): ["numeric"]}),
    "kind of an unknown modality": lambda p: Modalities(p, kinds={"smell": "numeric"}),
    "kinds that are none": lambda p: Modalities(p, kinds="numeric"),
    "kinds in a list": lambda p: Modalities(p, kinds=["numeric"] * len(p)),
    **{
        f"kind {kind}": partial(lambda kind, p: Modalities(p, kinds={_first(p): kind}), kind)
        for kind in ("binary", "count", "categorical", "tokens", "image")
    },
}


class _FalseMapping:
    """Has keys, but no values to them."""

    def keys(self) -> list[str]:
        return ["image", "text"]

    def items(self) -> list[tuple[str, None]]:
        return [("image", None), ("text", None)]


SELECTORS: dict[str, Any] = {
    "overlap": {"image": slice(0, 6), "text": slice(5, 9)},
    "nothing": {},
    "no column": {"image": slice(0, 5), "text": slice(5, 5)},
    "outside": {"image": slice(0, 5), "text": [99]},
    "outside, negative": {"image": slice(0, 5), "text": [-99]},
    "outside, mask": {"image": slice(0, 5), "text": [True] * 99},
    "outside, slice": {"image": slice(0, 5), "text": slice(50, 99)},
    "step 0": {"image": slice(0, 5), "text": slice(5, 9, 0)},
    "slice of fractions": {"image": slice(0.5, 5.5)},
    "None": {"image": None, "text": None},
    "number": {"image": 0, "text": 1},
    "fraction": {"image": 0.5},
    "NaN": {"image": [np.nan]},
    "names": {"image": ["c0"], "text": ["c1"]},
    "unknown names": {"image": ["smell"], "text": ["c1"]},
    "slice of names": {"image": slice("c0", "c2"), "text": slice("c3", "zz")},
    "mixed": {"image": [0, "c1"]},
    "nested": {"image": [[0, 1], [2, 3]]},
    "ragged": {"image": [[0], [1, 2]]},
    "2-D mask": {"image": np.ones((2, 2), dtype=bool)},
    "dict": {"image": {"a": 1}},
    "set": {"image": {0, 1}},
    "object": {"image": object()},
    "selector that returns None": {"image": lambda X: None},
    "numbers for names": {0: slice(0, 5), 1: slice(5, 9)},
    "empty name": {"": slice(0, 5), "text": slice(5, 9)},
    "list of unknown names": ["smell"],
    "list of nothing": [],
    "list of numbers": [0, 1],
    "list twice": ["image", "image"],
    "list of lists": [["image"], ["text"]],
    "list with None": ["image", None],
    "tuple": ("image", "text"),
    "string": "image",
    "number alone": 3,
    "set of names": {"image", "text"},
    "array of names": np.array(["image", "text"]),
}

# Malformed input that is refused in words


def with_modality(name, value):
    """Return the three modalities as a dict, one of them replaced."""
    return {**arrays(), name: value}


def with_entry(value, rows=3, columns=1):
    """Return the modality "text" with this value in one place."""
    text = arrays()["text"]
    text[rows, columns] = value
    return with_modality("text", text)


def two_levels(**changes):
    frame = complete().to_frame()
    return frame.rename(columns=changes, level=0)


class Container:
    """Rows and columns that NumPy would walk through without end, as those of AnnData."""

    shape = (60, 5)

    def __len__(self):
        return 60

    def __getitem__(self, rows):
        raise AssertionError("must not be asked for items")


class AnnData(Container):
    pass


MIXED = pd.DataFrame(arrays()["text"]).add_prefix("text").assign(text3=["a", "b"] * 30)
RAGGED = pd.Series([[1] * (1 + i % 3) for i in range(60)])

# What is wrong with X, and words that the error and its message must have ("a|b": one of both).
ANYWHERE = {
    "different row counts": (
        with_modality("text", np.ones((59, 4))),
        ["'text': 59", "'image': 60", "Modalities.join"],
    ),
    "partly NaN row": (with_entry(np.nan), ["'text'", "NaN", "1 row", "impute"]),
    "inf": (with_entry(np.inf), ["'text'", "infinity", "Drop|Replace|Clip|drop|replace|clip"]),
    "empty modality": (
        with_modality("text", np.ones((60, 0))),
        ["'text'", "(60, 0)", "Leave it out|Drop it|drop it"],
    ),
    "text": (
        with_modality("text", np.array([["a", "b", "c", "d"]] * 60)),
        ["'text'", "categorical|labels", "Encode|encode", "PerModality"],
    ),
    "objects": (
        with_modality("text", np.array([["a", 1, 2, 3]] * 60, dtype=object)),
        ["'text'", "categorical|labels", "Encode|encode", "PerModality"],
    ),
    "dates": (
        with_modality("text", pd.date_range("2020-01-01", periods=60).to_frame()),
        ["'text'"],
    ),
    "a column of dates": (
        with_modality("text", pd.Series(pd.date_range("2020", periods=60, tz="UTC"))),
        ["'text'"],
    ),
    "cells of several shapes": (with_modality("text", RAGGED), ["'text'", "(1,)", "Tokenizer"]),
    "lists of several shapes": (with_modality("text", list(RAGGED)), ["'text'", "Tokenizer"]),
    "numbers beside labels": (with_modality("text", MIXED), ["'text'", "['text3']", "PerModality"]),
    "numbers beside labels in two levels": (
        pd.concat(
            {name: pd.DataFrame(a) for name, a in with_modality("text", MIXED).items()}, axis=1
        ),
        ["'text'", "['text3']", "PerModality"],
    ),
    "a container": (Container(), ["a Container", "Modalities"]),
    "a known container": (AnnData(), ["an AnnData", "adata.to_df()"]),
    "a list of containers": ([AnnData(), AnnData()], ["an AnnData", "adata.to_df()"]),
    "a container for a modality": (
        with_modality("text", AnnData()),
        ["'text'", "an AnnData", "to_df"],
    ),
    "a generator": ((row for row in arrays()["text"]), ["a generator", "numpy.stack"]),
    "a generator for a modality": (with_modality("text", iter([1.0])), ["'text'", "numpy.stack"]),
    "a set": ({1.0, 2.0}, ["a set", "no order"]),
    "a class": (pd.DataFrame, ["the class DataFrame"]),
    "numbers for names in two levels": (
        complete().to_frame().rename(columns={"image": 0}, level=0),
        ["level", "0", "rename(columns=str, level=0)"],
    ),
    "complex numbers": (with_modality("text", np.ones((60, 4)) * 1j), ["'text'", "omplex"]),
    "sparse": (
        with_modality("text", sparse.csr_matrix(arrays()["text"])),
        ["TypeError", "Sparse", "'text'", "TruncatedSVD"],
    ),
    "a scalar": (with_modality("text", 3.0), ["'text'"]),
    "None for a modality": (with_modality("text", None), ["'text'", "None"]),
    "everything missing in a row": (
        complete().with_missing(["image", "text", "sound"], [7]),
        ["1 row", "missing", "rop"],
    ),
    "everything NaN in a row": (
        {name: np.where(np.arange(60)[:, None] == 7, np.nan, a) for name, a in arrays().items()},
        ["1 row", "missing", "rop"],
    ),
    "name that is no string": ({0: arrays()["text"], "image": arrays()["image"]}, ["0", "string"]),
    "no modalities": ({}, ["modality"]),
    "no rows": ({name: part[:0] for name, part in arrays().items()}, ["0 sample", "minimum of"]),
    "a string": ("image", ["image"]),
}
IN_FIT = {
    "one row": ({n: part[:1] for n, part in arrays().items()}, ["n_samples=1", "minimum of 2"]),
    "modality missing in every row": (
        complete().with_missing("text"),
        ["'text'", "missing", "every row", "Leave it out|Drop it|drop it|select"],
    ),
    "a 4-D array alone": (np.ones((60, 3, 4, 4)), ["dim 4", "Wrap", "Modalities"]),
    "channels last": (
        with_modality("image", np.ones((60, 8, 9, 3), dtype=np.uint8)),
        ["'image'", "(60, 8, 9, 3)", "moveaxis", "ImageScaler", "'numeric'"],
    ),
    "channels last in a lazy array": (
        with_modality("image", dask.array.ones((60, 8, 9, 1), chunks=(20, 8, 9, 1))),
        ["'image'", "(60, 8, 9, 1)", "moveaxis", "ImageScaler"],
    ),
    "cells that are no labels": (
        with_modality("text", pd.Series([{"a": 1}] * 60)),
        ["'text'", "a dict", "DictVectorizer"],
    ),
    "cells of texts": (
        with_modality("text", pd.Series([["a", "b"]] * 60)),
        ["'text'", "Tokenizer"],
    ),
    "cells beside numbers": (
        with_modality("text", pd.DataFrame({"u": range(60), "v": [[1.0, 2.0]] * 60})),
        ["'text'", "'v'", "modality of its own"],
    ),
}
AFTER_FIT = {
    "unknown modality": (
        {**arrays(), "smell": arrays()["text"]},
        ["unknown modalities ['smell']", "['image', 'text', 'sound']"],
    ),
    "only an unknown modality": (
        {"smell": arrays()["text"]},
        ["unknown modalities", "smell", "image"],
    ),
    "other width": (with_modality("text", np.ones((60, 3))), ["'text'", "(3,)", "(4,)"]),
    "fewer dimensions": (with_modality("text", arrays()["text"][:, 0]), ["'text'", "shape ()"]),
    "more dimensions": (with_modality("text", np.ones((60, 4, 1))), ["'text'", "(4, 1)", "(4,)"]),
    "unknown modality in a frame": (two_levels(text="smell"), ["smell", "text"]),
    "a 4-D array alone": (np.ones((60, 3, 4, 4)), ["modalities", "image", "fit"]),
    "None alone": (None, ["modalities", "image", "fit"]),
    "no modality names": (np.ones((60, 12)), ["without modality names", "image", "fit"]),
}
REFUSED_SELECTORS = {
    "overlap": (
        {"image": slice(0, 6), "text": slice(5, 9)},
        ["column 5 is selected by 'image' and by 'text'"],
    ),
    "empty slice": ({"image": slice(0, 5), "text": slice(5, 5)}, ["'text'", "no column"]),
    "empty list": ({"image": slice(0, 5), "text": []}, ["['text'] = [] selects no column"]),
    "empty mask": ({"image": slice(0, 5), "text": [False] * 12}, ["'text'", "no column"]),
    "outside": ({"image": slice(0, 5), "text": [12]}, ["['text'] = [12]: all features must be in"]),
    "names of an array": ({"image": slice(0, 5), "text": ["a", "b"]}, ["'text'", "dataframe"]),
    "slice outside": ({"image": slice(0, 1), "text": slice(12, 15)}, ["selects no column"]),
    "nothing": ({}, ["modalities", "selects nothing"]),
    "a list": (["image", "text"], ["modalities", "image"]),
}

# Indexes of "text" of which the others, called "0" to "59", say something else.
ROWS = [str(i) for i in range(60)]
OTHER_ROWS = {
    "another order": (ROWS[::-1], ["another order"]),
    "other labels": ([f"row {i}" for i in range(60)], ["no label in common", "'row 0'"]),
    "partly the same": ([str(i) for i in range(10, 70)], ["50 of 60"]),
    "another type": (range(1, 61), ["type only", "astype(str)"]),
}

# Values that a parameter or an argument seldom takes. Callables are left out: what they raise is
# their own; and so are numbers that say how long something may last.

ODD: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "-1": lambda: -1,
    "0": lambda: 0,
    "2": lambda: 2,
    "1.5": lambda: 1.5,
    "NaN": lambda: math.nan,
    "infinity": lambda: math.inf,
    "minus infinity": lambda: -math.inf,
    "1e-320": lambda: 1e-320,
    "1e300": lambda: 1e300,
    "empty string": lambda: "",
    "string": lambda: "odd",
    "string with zero": lambda: "\0",
    "bytes": lambda: b"odd",
    "True": lambda: True,
    "False": lambda: False,
    "empty list": list,
    "empty dict": dict,
    "empty tuple": tuple,
    "set": lambda: {1},
    "object": object,
    "list of numbers": lambda: [1, 2],
    "list of zero": lambda: [0],
    "list of -1": lambda: [-1],
    "list of a fraction": lambda: [2.5],
    "list of None": lambda: [None],
    "list of strings": lambda: ["odd"],
    "nested list": lambda: [[2], [3]],
    "tuple of a string": lambda: ("odd",),
    "dict of an unknown modality": lambda: {"smell": 1},
    "dict of a string": lambda: {"text": "odd"},
    "dict of None": lambda: {"text": None},
    "dict of NaN": lambda: {"text": math.nan},
    "dict of -1": lambda: {"text": -1},
    "dict of an object": lambda: {"text": object()},
    "dict of a list": lambda: {"text": [1]},
    "dict of a number": lambda: {0: 1},
    "integer of NumPy": lambda: np.int64(2),
    "negative integer of NumPy": lambda: np.int64(-3),
    "float of NumPy": lambda: np.float32(0.5),
    "NaN of NumPy": lambda: np.float64("nan"),
    "bool of NumPy": lambda: np.True_,
    "string of NumPy": lambda: np.str_("odd"),
    "array": lambda: np.array([1, 2]),
    "empty array": lambda: np.array([]),
    "0-d array": lambda: np.array(1),
    "array of strings": lambda: np.array(["a", "b"]),
    "complex": lambda: 1j,
    "decimal": lambda: Decimal("0.5"),
    "fraction": lambda: Fraction(1, 2),
    "NA": lambda: pd.NA,
    "NaT": lambda: np.datetime64("NaT"),
    "slice": lambda: slice(0, 5),
    "range": lambda: range(3),
    "generator": lambda: (i for i in range(3)),
    "DataFrame": lambda: pd.DataFrame({"a": [1]}),
    "Modalities": lambda: Modalities({"a": [[1.0]]}),
    "tensor": lambda: torch.ones(2),
}
HUGE = {"huge": lambda: 2**70, "huge, negative": lambda: -(2**70)}
LASTING = {
    "max_epochs", "n_critic", "n_components", "n_importance_samples", "noise_dim", "n_mels",
    "n_samples", "n_frames", "n_projections", "size", "n_fft", "max_length", "hop_length",
}  # fmt: skip


DEVICES = {
    f"device {name}": partial(str, name)
    for name in ("cuda:99", "meta", "mps", "cpu:7", "hpu", "xla")
}


def _pool(parameter: str) -> dict[str, Callable[[], Any]]:
    if parameter == "checkpoint_dir":  # what is no path is for the operating system to say
        return {name: value for name, value in ODD.items() if name != "string with zero"}
    if parameter == "compile":  # which takes its time
        return {
            name: value
            for name, value in ODD.items()
            if "True" not in name and name != "bool of NumPy"
        }
    if parameter == "device":
        return {**ODD, **DEVICES}
    return ODD if parameter in LASTING else {**ODD, **HUGE}


# Targets and weights: of predictors y, of others ignored


def _weights(n: int) -> dict[str, Any]:
    return {
        "weights, negative": -np.ones(n),
        "weights, NaN": np.full(n, np.nan),
        "weights, infinite": np.full(n, np.inf),
        "weights, zero": np.zeros(n),
        "weights, all but one zero": np.eye(n)[0],
        "weights, tiny": np.full(n, 1e-320),
        "weights, huge": np.full(n, 1e308),
        "weights, short": np.ones(n - 1),
        "weights, 2-D": np.ones((n, 2)),
        "weights, column": np.ones((n, 1)),
        "weights, strings": np.full(n, "a"),
        "weights, objects": np.full(n, None),
        "weights, complex": np.ones(n) * 1j,
        "weights, number": 2.0,
        "weights, string": "balanced",
        "weights, dict": {0: 1.0},
        "weights, set": {1.0},
        "weights, bool": np.arange(n) % 2 == 0,
        "weights, Series": pd.Series(np.ones(n)),
        "weights, list": [1] * n,
        "weights, ragged": [[1], [1, 2]] * (n // 2),
    }


# Estimators

TINY = {"hidden_layer_sizes": (4,), "max_epochs": 1, "early_stopping": False, "random_state": 0}
CODE = {"n_components": 2, **TINY}
PLAIN_PARTS, MIXED_PARTS = "numbers", "mixed"


@dataclass(frozen=True)
class Subject:
    """An estimator, what it is fitted on, and whether it is told a target."""

    name: str
    estimator: BaseEstimator
    data: str = PLAIN_PARTS
    target: str | None = None  # kind of y
    form_3: bool = True

    def parts(self, seed: int = 0) -> Parts:
        return _mixed(seed) if self.data == MIXED_PARTS else _numbers(seed)

    def y(self, seed: int = 0) -> Any:
        rng = np.random.default_rng(seed)
        if self.target == "classes":
            return np.arange(N) % 3
        return rng.standard_normal(N) if self.target == "numbers" else None


def _numbers(seed: int = 0) -> Parts:
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((N, 2))
    widths = {"image": 5, "text": 4, "sound": 3}
    return {
        name: z @ rng.standard_normal((2, k)) + rng.standard_normal((N, k))
        for name, k in widths.items()
    }


def _mixed(seed: int = 0) -> Parts:
    rng = np.random.default_rng(seed)
    return {
        "image": rng.random((N, 1, 4, 4)),
        "text": rng.standard_normal((N, 3)),
        "sound": np.array(["a", "b", "c"] * (N // 3), dtype=object),
    }


SUBJECTS = (
    Subject("CCA", CCA(random_state=0)),
    Subject("CCA", CCA(2, shrinkage="auto", fusion="posterior", random_state=0)),
    Subject("CCA", CCA(2, objective="sumcor", shrinkage=0.2, fusion="concat", random_state=0)),
    Subject("CCA", CCA("auto", solver="svd", random_state=0)),
    Subject("CCA", CCA(2, solver="randomized", scale=False, random_state=0)),
    Subject("CCA", CCA(2, solver="covariance", shrinkage=0.1, random_state=0)),
    Subject("GroupFactorAnalysis", GroupFactorAnalysis(max_iter=20)),
    Subject("GroupFactorAnalysis", GroupFactorAnalysis(2, noise="modality", max_iter=20)),
    Subject("DeepCCA", DeepCCA(objective="gcca", **CODE)),
    Subject("DeepCCA", DeepCCA(objective="ey", reconstruction_weight=1.0, **CODE)),
    Subject("MultimodalAutoencoder", MultimodalAutoencoder(**CODE)),
    Subject("MultimodalAutoencoder", MultimodalAutoencoder(**CODE), MIXED_PARTS),
    Subject("MultimodalVAE", MultimodalVAE(n_importance_samples=3, **CODE)),
    Subject("MultimodalVAE", MultimodalVAE(n_importance_samples=3, **CODE), MIXED_PARTS),
    Subject("ConditionalGAN", ConditionalGAN(target="text", **TINY)),
    Subject("ConditionalGAN", ConditionalGAN(target="sound", **TINY), MIXED_PARTS),
    Subject("MultimodalClassifier", MultimodalClassifier(**TINY), target="classes"),
    Subject("MultimodalClassifier", MultimodalClassifier(**TINY), MIXED_PARTS, "classes"),
    Subject("MultimodalRegressor", MultimodalRegressor(**TINY), target="numbers"),
    Subject("PerModality", PerModality(StandardScaler())),
    Subject("PerModality", PerModality({"image": PCA(2), "text": "drop"})),
    Subject("ConcatModalities", ConcatModalities(), form_3=False),
    Subject("ConcatModalities", ConcatModalities(add_indicator=True), form_3=False),
    Subject("GaussianImputer", GaussianImputer()),
    Subject("GaussianImputer", GaussianImputer(add_indicator=True)),
    Subject("SelectModality", SelectModality("text"), form_3=False),
    Subject("SelectModality", SelectModality("sound"), MIXED_PARTS, form_3=False),
    Subject("RidgeSampler", RidgeSampler(target="text", random_state=0)),
    Subject("NeighborsSampler", NeighborsSampler(2, target="text", random_state=0)),
    Subject("MarginalSampler", MarginalSampler(target="text", random_state=0)),
)
TAKE_X = (
    "fit", "fit_transform", "partial_fit", "transform", "transform_each", "score", "score_samples",
    "predict", "predict_proba", "decision_function", "impute", "translate", "translate_proba",
    "attention_weights",
)  # fmt: skip
FITS = ("fit", "fit_transform", "partial_fit")
TAKE_Y = (*FITS, "score")


# What can be drawn: a trial is a label, what to call, and whose state is not to change


@dataclass(frozen=True)
class Trial:
    """A call with malformed input."""

    subject: str
    kind: str
    call: Callable[[], Any]
    estimator: Any = None
    probe: Callable[[], Any] | None = None


def draw(seed: int, number: int) -> Trial:
    """Return a trial, the same for the same seed and number."""
    rng = np.random.default_rng([seed, number])
    make = _pick(rng, [_of_data] * 11 + [_of_parameters] * 4 + [_of_arguments] * 3
                 + [_of_metrics] * 4 + [_of_preprocessing] * 2 + [_of_container] * 2)  # fmt: skip
    return make(rng)


def _pick(rng: Rng, options: Any) -> Any:
    options = list(options)
    return options[rng.integers(len(options))]


def _of_data(rng: Rng) -> Trial:
    """Malform the data of a method of an estimator."""
    subject = _pick(rng, SUBJECTS)
    model = _model(subject, fitted=rng.random() < 0.8)
    method = _pick(rng, [name for name in TAKE_X if hasattr(model, name)])
    kind, make_X, params = _malformed_data(rng, subject, method in FITS)
    y, weight = subject.y(), {}
    if method in TAKE_Y and rng.random() < 0.15:
        what, y_make = _pick(rng, VALUES.items())
        kind = f"y: {what}"
        valid = np.asarray(y if y is not None else _numbers(1)["text"])
        make_X, y = (lambda: subject.parts()), partial(y_make, valid)
    has_weight = method in ("fit", "partial_fit") and subject.name in (
        "CCA", "GaussianImputer", "GroupFactorAnalysis", "MultimodalClassifier",
        "MultimodalRegressor",
    )  # fmt: skip
    if has_weight and rng.random() < 0.3:
        kind, value = _pick(rng, _weights(N).items())
        make_X, weight = (lambda: subject.parts()), {"sample_weight": value}
    model.set_params(**params)

    def call() -> Any:
        extra: tuple[Any, ...] = ()
        if method.startswith("translate"):
            extra = ("text",)
        elif callable(y) or (method in TAKE_Y and subject.target is not None):
            extra = (y() if callable(y) else y,)
        return getattr(model, method)(make_X(), *extra, **weight)

    return Trial(f"{subject.name}.{method}", kind, call, model, _probe(subject, model))


def _malformed_data(
    rng: Rng, subject: Subject, in_fit: bool
) -> tuple[str, Callable[[], Any], dict[str, Any]]:
    """Return a name, the data, and parameters that say how to read them."""
    parts = subject.parts()
    form = rng.choice(["one value", "two values", "container", "selectors", "array", "pandas"],
                      p=[0.45, 0.05, 0.25, 0.1, 0.1, 0.05])  # fmt: skip
    if form in ("one value", "two values"):
        names = rng.permutation(list(parts))[: 1 + (form == "two values")]
        chosen = {str(name): _pick(rng, VALUES.items()) for name in names}
        wrap = _pick(rng, [dict, Modalities])
        kind = " and ".join(what for what, _ in chosen.values())
        return kind, lambda: wrap({**parts, **{n: f(parts[n]) for n, (_, f) in chosen.items()}}), {}
    if form == "container":
        kind, container = _pick(rng, CONTAINERS.items())
        return kind, lambda: container(parts), {}
    if form == "selectors" and subject.form_3 and in_fit:
        kind, selectors = _pick(rng, SELECTORS.items())
        make = _pick(rng, [_wide, lambda p: _frame(_wide(p)), dict])
        return f"selectors: {kind}", lambda: make(_numbers()), {"modalities": selectors}
    if form == "array" and subject.form_3 and in_fit:
        kind, value = _pick(rng, VALUES.items())
        selectors = {"image": slice(0, 5), "text": slice(5, 9)}
        return f"array: {kind}", lambda: value(_wide(_numbers())), {"modalities": selectors}
    kind, value = _pick(rng, VALUES.items())
    return f"alone: {kind}", lambda: value(_wide(parts) if subject.data == PLAIN_PARTS else
                                           parts["text"]), {}  # fmt: skip


def _of_parameters(rng: Rng) -> Trial:
    """Give a parameter an odd value, then fit."""
    subject = _pick(rng, [s for s in SUBJECTS if s.estimator.get_params(deep=False)])
    model = _model(subject, fitted=rng.random() < 0.5)
    parameter = _pick(rng, model.get_params(deep=False))
    kind, value = _pick(rng, _pool(parameter).items())
    model.set_params(**{parameter: value()})
    y = () if subject.target is None else (subject.y(),)

    def call() -> Any:
        return model.fit(subject.parts(), *y)

    return Trial(f"{subject.name}({parameter}=)", f"parameter: {kind}", call, model, None)


def _of_arguments(rng: Rng) -> Trial:
    """Give another argument than the data an odd value."""
    subject = _pick(rng, SUBJECTS)
    model = _model(subject, fitted=rng.random() < 0.9)
    X = subject.parts()
    able = {
        "translate": lambda value: model.translate(X, value),
        "translate_proba": lambda value: model.translate_proba(X, value),
        "sample": lambda value: model.sample(value),
        "sample(given=)": lambda value: model.sample(2, given=value),
        "sample(random_state=)": lambda value: model.sample(2, given=X, random_state=value),
        "predict(statistic=)": lambda value: model.predict(X, statistic=value),
        "inverse_transform": lambda value: model.inverse_transform(value),
        "get_feature_names_out": lambda value: model.get_feature_names_out(value),
        "set_params": lambda value: clone(model).set_params(odd=value),
        "set_output": lambda value: clone(model).set_output(transform=value),
    }
    if not (subject.name.endswith("Sampler") or subject.name == "ConditionalGAN"):
        del able["predict(statistic=)"]
    what = _pick(rng, [name for name in able if hasattr(model, name.partition("(")[0])])
    lasts = "n_samples" if what == "sample" else ""
    kind, value = _pick(rng, _pool(lasts).items())
    if what in ("inverse_transform", "sample(given=)") and rng.random() < 0.7:
        kind, change = _pick(rng, VALUES.items())
        valid = np.random.default_rng(0).standard_normal((N, 2))
        value = partial(change, valid)
    return Trial(
        f"{subject.name}.{what}", f"argument: {kind}", lambda: able[what](value()), model, None
    )


_POINTS = np.random.default_rng(0).standard_normal((N, 3))
_DRAWS = np.random.default_rng(1).standard_normal((4, N, 3))
_CODES = {"a": _POINTS, "b": _POINTS + 0.1}
_CLASSES = np.arange(N) % 3
METRICS: dict[str, tuple[dict[str, Any], ...]] = {
    "canonical_correlations": ({"a": _POINTS, "b": _POINTS[:, :2]},),
    "coverage_per_group": ({"y_true": _POINTS, "samples": _DRAWS, "groups": _CLASSES,
                            "level": 0.9, "multioutput": "raw_values"},),
    "crps": ({"y_true": _POINTS, "samples": _DRAWS, "multioutput": "raw_values"},),
    "density_coverage": ({"real": _POINTS, "generated": _POINTS, "n_neighbors": 2},),
    "energy_distance": ({"A": _POINTS, "B": _POINTS, "unbiased": True},),
    "energy_score": ({"y_true": _POINTS, "samples": _DRAWS, "scale": np.ones(3),
                      "per_row": True},),
    "energy_skill": ({"y_true": _POINTS, "samples": _DRAWS, "y_train": _POINTS,
                      "random_state": 0},),
    "foscttm": ({"a": _POINTS, "b": _POINTS, "similarity": "cosine"},),
    "get_scorer": ({"name": "foscttm"},),
    "interval_coverage": ({"y_true": _POINTS, "samples": _DRAWS, "level": 0.5,
                           "multioutput": "raw_values"},),
    "kernel_mmd": ({"A": _POINTS, "B": _POINTS, "gamma": "median"},),
    "label_transfer_accuracy": ({"train_codes": _POINTS, "train_labels": _CLASSES,
                                 "test_codes": _POINTS, "test_labels": _CLASSES,
                                 "n_neighbors": 2},),
    "mean_average_precision": ({"query_codes": _POINTS, "gallery_codes": _POINTS,
                                "query_labels": _CLASSES, "gallery_labels": _CLASSES,
                                "similarity": "cosine", "top_k": 2},),
    "mean_correlation": ({"train_scores": _CODES, "test_scores": _CODES},),
    "mean_reciprocal_rank": ({"a": _POINTS, "b": _POINTS, "direction": "mean",
                              "similarity": "cosine"},),
    "median_rank": ({"a": _POINTS, "b": _POINTS, "direction": "mean", "similarity": "cosine"},),
    "r2_per_modality": ({"true": _CODES, "predicted": _CODES,
                         "baseline": {"a": _POINTS, "b": _POINTS}},),
    "recall_at_k": ({"a": _POINTS, "b": _POINTS, "k": 2, "direction": "mean",
                     "similarity": "cosine"},),
    "retrieval_report": ({"a": _POINTS, "b": _POINTS, "k": [1, 2], "similarity": "cosine"},),
    "sliced_wasserstein": ({"A": _POINTS, "B": _POINTS, "n_projections": 4, "p": 2.0,
                            "random_state": 0},),
    "spread_error_ratio": ({"y_true": _POINTS, "samples": _DRAWS,
                            "multioutput": "raw_values"},),
    "total_correlation": ({"train_scores": _CODES, "test_scores": _CODES},),
    "variogram_score": ({"y_true": _POINTS, "samples": _DRAWS, "p": 0.5,
                         "weights": np.ones((3, 3)), "per_row": True},),
}  # fmt: skip


def _of_metrics(rng: Rng) -> Trial:
    """Malform an argument of a metric."""
    name, (arguments,) = _pick(rng, METRICS.items())
    argument = _pick(rng, arguments)
    valid = arguments[argument]
    if isinstance(valid, np.ndarray):
        kind, change = _pick(rng, VALUES.items())
        value: Callable[[], Any] = partial(change, valid)
    elif isinstance(valid, dict) and rng.random() < 0.6:
        kind, change = _pick(rng, VALUES.items())
        value = lambda: {**valid, "a": change(valid["a"])}  # noqa: E731
    elif isinstance(valid, dict):
        kind, change = _pick(rng, CONTAINERS.items())
        value = partial(change, valid)
    else:
        kind, value = _pick(rng, _pool(argument).items())
    return Trial(
        f"metrics.{name}({argument}=)",
        f"metric: {kind}",
        lambda: getattr(metrics, name)(**{**arguments, argument: value()}),
    )


_IMAGES = np.random.default_rng(0).random((4, 5, 6, 3))
_CLIPS = np.random.default_rng(0).standard_normal((4, 4000)).astype(np.float32)
_TEXTS = ["one two", "two three", "three", "one"]
PREPROCESSING = (
    (ImageScaler(), _IMAGES),
    (ImageScaler(size=(3, 3), mode="L"), list(_IMAGES)),
    (LogMel(sampling_rate=8000, n_mels=8), _CLIPS),
    (LogMel(sampling_rate=8000, n_mels=8, n_frames=3), list(_CLIPS)),
    (Tokenizer(), _TEXTS),
    (Tokenizer(max_length=2, analyzer="char"), np.array(_TEXTS, dtype=object)),
)


def _of_preprocessing(rng: Rng) -> Trial:
    """Malform samples, one of them, or a parameter of a transformer of skmm.preprocessing."""
    transformer, X = _pick(rng, PREPROCESSING)
    model = clone(transformer).fit(X) if rng.random() < 0.7 else clone(transformer)
    name = type(model).__name__
    draw = rng.random()
    if draw < 0.3:
        parameter = _pick(rng, model.get_params())
        kind, value = _pick(rng, _pool(parameter).items())
        model.set_params(**{parameter: value()})
        return Trial(f"{name}({parameter}=)", f"parameter: {kind}", lambda: model.fit(X), model)
    kind, change = _pick(rng, VALUES.items())
    method = _pick(rng, [m for m in ("fit", "fit_transform", "transform", "inverse_transform")
                         if hasattr(model, m)])  # fmt: skip
    if draw < 0.6 and isinstance(X, list):
        sample = np.asarray(X[1]) if name != "Tokenizer" else np.ones((N, 3))
        return Trial(
            f"{name}.{method}",
            f"sample: {kind}",
            lambda: getattr(model, method)([X[0], change(sample), *X[2:]]),
            model,
        )
    valid = np.asarray(X) if name != "Tokenizer" else np.ones((N, 3), dtype=int)
    return Trial(f"{name}.{method}", kind, lambda: getattr(model, method)(change(valid)), model)


def _of_container(rng: Rng) -> Trial:
    """Malform what `Modalities` is made of or asked for."""
    parts = _pick(rng, [_numbers, _mixed])()
    X, (kind, odd) = Modalities(parts), _pick(rng, {**ODD, **HUGE}.items())
    what_value, change = _pick(rng, VALUES.items())
    what_all, container = _pick(rng, CONTAINERS.items())
    name = _pick(rng, parts)
    frames = {n: _frame(a) if np.ndim(a) == 2 else pd.Series(np.ravel(a)[:N])
              for n, a in parts.items()}  # fmt: skip
    calls: dict[str, tuple[str, Callable[[], Any]]] = {
        "(value)": (what_value, lambda: Modalities({**parts, name: change(parts[name])})),
        "(mapping)": (what_all, lambda: Modalities(container(parts))),
        "(missing=)": (kind, lambda: Modalities(parts, missing=odd())),
        "(missing={...})": (kind, lambda: Modalities(parts, missing={name: odd()})),
        "(index=)": (kind, lambda: Modalities(parts, index=odd())),
        "(index=...)": (what_value, lambda: Modalities(parts, index=change(np.ones((N, 3))))),
        "(kinds=)": (kind, lambda: Modalities(parts, kinds=odd())),
        "(kinds={...})": (kind, lambda: Modalities(parts, kinds={name: odd()})),
        ".select": (kind, lambda: X.select(odd())),
        ".select([...])": (kind, lambda: X.select([name, odd()])),
        ".with_missing": (kind, lambda: X.with_missing(odd())),
        ".with_missing(rows=)": (kind, lambda: X.with_missing(name, odd())),
        ".with_gaps": (kind, lambda: X.with_gaps(odd())),
        ".with_gaps(mechanism=)": (kind, lambda: X.with_gaps(0.3, mechanism=odd())),
        ".with_gaps(y=)": (kind, lambda: X.with_gaps(0.3, mechanism="labels", y=odd())),
        ".with_gaps(random_state=)": (kind, lambda: X.with_gaps(0.3, random_state=odd())),
        "[...]": (kind, lambda: X[odd()]),
        ".join": (kind, lambda: Modalities.join(odd())),
        ".join({...})": (
            what_value, lambda: Modalities.join({**frames, name: change(parts[name])})
        ),
        ".join(kinds=)": (kind, lambda: Modalities.join(frames, kinds=odd())),
        ".join(index=)": (kind, lambda: Modalities.join(frames, index=odd())),
        ".join(how=)": (kind, lambda: Modalities.join(frames, how=odd())),
        ".from_frame": (what_all, lambda: Modalities.from_frame(container(parts))),
        ".from_frame(modalities=)": (
            kind, lambda: Modalities.from_frame(_two_levels(frames), odd())
        ),
        ".from_frame(flat)": (kind, lambda: Modalities.from_frame(frames[name], {name: odd()})),
        ".to_frame": (what_value, lambda: Modalities(
            {**parts, name: change(parts[name])}).to_frame()),
        "repr": (what_value, lambda: repr(Modalities({**parts, name: change(parts[name])}))),
    }  # fmt: skip
    what, (kind, call) = _pick(rng, calls.items())
    return Trial(f"Modalities{what}", f"container: {kind}", call)


@cache
def _fitted(subject: Subject) -> Any:
    y = () if subject.target is None else (subject.y(),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clone(subject.estimator).fit(subject.parts(), *y)


def _model(subject: Subject, *, fitted: bool) -> Any:
    """Return an estimator of its own, whose attributes are shared by all trials."""
    return copy.copy(_fitted(subject)) if fitted else clone(subject.estimator)


def _probe(subject: Subject, model: Any) -> Callable[[], Any] | None:
    """Return a question whose answer is not to change, if the model is fitted."""
    if not hasattr(model, "modality_names_in_"):
        return None
    return lambda: model.transform(subject.parts())


# Judging


@dataclass(frozen=True)
class Verdict:
    """How a trial ended; `defect` is empty if as it may."""

    outcome: str  # "accepted", or the exception's name
    defect: str = ""
    message: str = ""


def judge(trial: Trial) -> Verdict:
    """Carry out a trial."""
    before = None if trial.estimator is None else dict(vars(trial.estimator))
    answer = _bytes(trial.probe) if trial.probe and trial.subject.endswith(FITS) else None
    try:
        with _quietly(), _at_most(SECONDS):
            trial.call()
    except Exception as error:
        verdict = _verdict(trial, error)
        frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        fitted = trial.subject.endswith("fit_transform") and "transform" in frames
        if verdict.defect or trial.estimator is None or fitted:
            return verdict
        after = vars(trial.estimator)
        changed = [k for k in {*before, *after} if before.get(k, before) is not after.get(k, after)]
        if changed:
            return Verdict(verdict.outcome, f"left changed: {sorted(changed)}", str(error))
        if answer is not None and _bytes(trial.probe) != answer:
            return Verdict(verdict.outcome, "left with other answers", str(error))
        return verdict
    return Verdict("accepted")


def _verdict(trial: Trial, error: Exception) -> Verdict:
    name, message = type(error).__name__, str(error)
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if _is_of(frame, "skmm", "sklearn")]
    if not inside:
        return Verdict("not applicable")  # as the mutation itself fails
    if isinstance(error, RuntimeWarning) and _is_of(inside[-1], "sklearn"):
        return Verdict(name)  # scikit-learn's own transformers warn
    if isinstance(error, RuntimeError) and "sklearn/metrics/" in "".join(
        f.filename for f in inside
    ):
        return Verdict(name)  # its metrics do not take tensors that have a gradient
    where = f"{frames[-1].filename}:{frames[-1].lineno}: {message}"
    allowed: tuple[type[Exception], ...] = (ValueError, TypeError)
    if trial.subject == "Modalities[...]":
        allowed += (KeyError, IndexError)
    if trial.subject.startswith("ImageScaler"):
        allowed += (OSError,)  # of files that are not there
    if not isinstance(error, allowed):
        return Verdict(name, "other exception", where)
    if isinstance(error, OSError):
        return Verdict(name)
    if not message.strip():
        return Verdict(name, "no message", where)
    if not _is_deliberate(frames):
        return Verdict(name, "bare message", where)
    return Verdict(name, message=message)


FOLDERS = {p.__name__: os.path.dirname(p.__file__) + os.sep for p in (skmm, sklearn, skorch)}


def _is_of(frame: traceback.FrameSummary, *packages: str) -> bool:
    """Whether a statement is in one of the packages, wherever the checkout and they lie."""
    return any(frame.filename.startswith(FOLDERS[name]) for name in packages)


def _is_deliberate(frames: traceback.StackSummary) -> bool:
    """Whether a statement of skmm, scikit-learn or skorch raised, or scikit-learn's validation."""
    last = frames[-1]
    spoken = linecache.getline(last.filename, last.lineno or 0).lstrip().startswith("raise ")
    if spoken and _is_of(last, "skmm", "sklearn", "skorch"):
        return True
    inside = [frame for frame in frames if _is_of(frame, "skmm", "sklearn")]
    return any(f"sklearn/{name}/" in inside[-1].filename for name in ("utils", "metrics"))


def _bytes(probe: Callable[[], Any]) -> list[bytes]:
    with _quietly():
        value = probe()
    values = list(value.values()) if isinstance(value, Modalities) else [value]
    return [np.ascontiguousarray(np.asarray(v, dtype=str if v.dtype == object else None)).tobytes()
            for v in values]  # fmt: skip


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Print nothing; numerical warnings are errors, documented ones are in order."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RuntimeWarning)
        yield


@contextlib.contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
