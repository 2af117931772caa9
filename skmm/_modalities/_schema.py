"""What an estimator saw in fit, and the way back to the form and dtypes its data had."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skmm._modalities._container import Modalities
from skmm._modalities._frames import as_frame, level_columns, take_columns
from skmm._modalities._ids import Ids, ids_of, split_column
from skmm._modalities._kinds import as_table, default_kind, open_cells
from skmm._modalities._polars import as_given, as_pandas, as_polars, is_polars
from skmm._modalities._values import (
    PANDAS,
    Array,
    Value,
    as_value,
    dtypes_of,
    flat_array,
    is_sparse,
)

NAMED, FRAME, COLUMNS, PLAIN = 1, 2, 3, 4  # the four forms of input


@dataclass(frozen=True)
class Spec:
    """One modality as fit saw it: the shape of a sample, its kind, its pandas labels."""

    shape: tuple[int, ...]
    kind: str
    columns: pd.Index | None = None
    is_series: bool = False
    series_name: Hashable = None
    dtypes: tuple[Any, ...] = ()  # of pandas columns, if any is none of NumPy's numbers

    @classmethod
    def of(cls, value: Any, kind: str) -> Spec:
        """Describe a value."""
        shape = tuple(value.shape[1:])
        if isinstance(value, pd.DataFrame):
            return cls(shape, kind, columns=value.columns, dtypes=special_dtypes(value))
        if isinstance(value, pd.Series):
            name, dtypes = value.name, special_dtypes(value)
            return cls(shape, kind, is_series=True, series_name=name, dtypes=dtypes)
        return cls(shape, kind)

    @property
    def width(self) -> int:
        """Number of columns when flattened."""
        return int(np.prod(self.shape, dtype=int))

    def names(self, modality: str) -> list[Any]:
        """Return the names of the columns, which are counted where they had none."""
        if self.columns is not None:
            return list(self.columns)
        if len(self.shape) == 0:
            return [modality if self.series_name is None else self.series_name]
        return [f"{modality}__{j}" for j in range(self.width)]

    def restore(self, array: Array) -> Value:
        """Return an array (n_samples, width) in the shape and type of the modality."""
        array = np.asarray(array).reshape(-1, *self.shape)
        if self.columns is not None and self.dtypes:
            return with_dtypes(array, self.dtypes, self.columns)
        if self.columns is not None:
            return pd.DataFrame(array, columns=self.columns)
        if self.is_series:
            dtype = self.dtypes[0] if self.dtypes else array.dtype
            return as_series(array, dtype, name=self.series_name)
        return array


@dataclass(frozen=True)
class Schema:
    """What fit saw: form 1-4, the modalities, and where they lie in a DataFrame or array."""

    form: int
    specs: dict[str, Spec]
    n_columns: int
    columns_in: pd.Index | None = None
    numbers: dict[str, Array] = field(default_factory=dict)
    is_polars: bool = False  # X itself, a flat frame
    id_column: str | None = None  # where frames of polars have their ids

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the modalities, in the order of fit."""
        return tuple(self.specs)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one sample, per modality."""
        return {name: spec.shape for name, spec in self.specs.items()}

    @property
    def kinds(self) -> dict[str, str]:
        """Kind, per modality."""
        return {name: spec.kind for name, spec in self.specs.items()}

    @property
    def columns(self) -> dict[str, pd.Index | None]:
        """Column names of a DataFrame, None for everything else, per modality."""
        return {name: spec.columns for name, spec in self.specs.items()}

    @property
    def widths(self) -> dict[str, int]:
        """Number of columns when flattened, per modality."""
        return {name: spec.width for name, spec in self.specs.items()}

    def restore_one(self, name: str, array: Array, ids: Ids | None = None) -> Value:
        """Return (n_samples, width) in the shape that this modality had in fit."""
        value = self.specs[name].restore(array)
        return value if ids is None else ids.put_on(value)

    def restore(self, parts: Mapping[str, Array], ids: Ids | None = None) -> Any:
        """Return the parts, each (n_samples, width), in the form that X had in fit."""
        restored = {
            name: self.restore_one(name, parts[name], ids) for name in self.names if name in parts
        }
        if self.form == NAMED:
            out = Modalities(restored, kinds=self.kinds_of(restored))
            return out if ids is None else out._with_ids(ids)
        if self.form == FRAME:
            return _columns_in_order(restored, self.numbers, self.columns_in)
        if self.form == COLUMNS:
            restored = {"X": self._restore_columns(parts)}
            restored["X"] = restored["X"] if ids is None else ids.put_on(restored["X"])
        if self.is_polars:
            restored["X"] = as_polars(restored["X"])
        return tuple(restored.values()) if len(restored) > 1 else next(iter(restored.values()))

    def fill(self, X: Any, y: Any, parts: Mapping[str, Array]) -> Any:
        """Return X as it came, its missing parts taken from `parts`, each (n_samples, width).

        Masked rows, absent modalities and NaN entries are filled; all else is untouched.
        With two modalities in form 4 a tuple (X, y) comes back.
        """
        filled = self._fill(as_pandas(X), as_pandas(y), parts)
        if isinstance(filled, tuple):
            return as_given(filled[0], X), as_given(filled[1], y)
        return as_given(filled, X)

    def _fill(self, X: Any, y: Any, parts: Mapping[str, Array]) -> Any:
        if isinstance(X, Modalities | Mapping):
            return self._fill_named(X if isinstance(X, Modalities) else Modalities(X), parts)
        if isinstance(X, pd.DataFrame) and X.columns.nlevels == 2:
            return self._fill_frame(X, parts)
        if self.form == COLUMNS:
            return self._fill_columns(X, parts)
        filled = _fill_value(open_cells("X", as_value("X", X)), parts.get("X"))
        if "y" not in self.specs:
            return filled
        if y is None:
            return filled, self.restore_one("y", parts["y"], ids_of(X))
        return filled, _fill_value(open_cells("y", as_value("y", y)), parts.get("y"))

    def split_ids(self, Z: Any) -> tuple[Any, Ids | None]:
        """Return codes, without the column of ids that polars results have, and the ids."""
        if self.id_column is not None and is_polars(Z) and self.id_column in Z.columns:
            return split_column(Z, self.id_column)
        return Z, ids_of(Z)

    def kinds_of(self, values: Mapping[str, Value]) -> dict[str, str]:
        """Return the kinds of fit where the dtype allows them (means of 0/1 are numbers)."""
        kinds = {}
        for name in (name for name in self.names if name in values):
            kind = self.specs[name].kind
            is_kept = kind not in ("binary", "count", "tokens") or _is_discrete(values[name])
            kinds[name] = kind if is_kept else default_kind(values[name])
        return kinds

    def _restore_columns(self, parts: Mapping[str, Array]) -> Array | pd.DataFrame:
        used = {name: np.asarray(parts[name]) for name in self.names if name in parts}
        if self.columns_in is not None:
            blocks = [self._columns_of(name, self.restore_one(name, a)) for name, a in used.items()]
            wide = pd.concat(blocks, axis=1).reindex(columns=range(self.n_columns))
            return wide.set_axis(self.columns_in, axis=1)
        dtype = np.result_type(np.float32, *used.values())
        n_samples = len(next(iter(used.values())))
        out = np.full((n_samples, self.n_columns), np.nan, dtype=dtype)
        for name, array in used.items():
            out[:, self.numbers[name]] = array
        return out

    def _columns_of(self, name: str, value: Value) -> pd.DataFrame:
        """Return a modality as the columns that it was in X."""
        return as_table(name, value, len(self.numbers[name])).set_axis(self.numbers[name], axis=1)

    def _fill_named(self, X: Modalities, parts: Mapping[str, Array]) -> Modalities:
        values, mask = dict(X._values), dict(zip(X.names, X._mask.T, strict=True))
        for name in (name for name in self.names if name in parts):
            if name in values:
                values[name] = _fill_value(values[name], parts[name], mask[name])
            else:
                values[name] = self.restore_one(name, parts[name])
            mask[name] = np.zeros(len(X), dtype=bool)
        kinds = {**X._kinds, **self.kinds_of(values)}
        return Modalities(values, kinds=kinds, missing=mask)._with_ids(X._ids)

    def _fill_frame(self, X: pd.DataFrame, parts: Mapping[str, Array]) -> pd.DataFrame:
        filled = self._fill_named(Modalities.from_frame(X), parts)
        numbers = level_columns(X.columns)
        values = dict(filled._values)
        present = _columns_in_order({n: values.pop(n) for n in numbers}, numbers, X.columns)
        added = {name: as_frame(name, value).set_axis(X.index) for name, value in values.items()}
        return pd.concat([present, *([pd.concat(added, axis=1)] if added else [])], axis=1)

    def _fill_columns(self, X: Any, parts: Mapping[str, Array]) -> Array | pd.DataFrame:
        X = as_value("X", X)
        dtype = np.result_type(X, np.float32) if isinstance(X, np.ndarray) else None
        out = X.copy() if dtype is None else np.array(X, dtype=dtype)
        for name, numbers in self.numbers.items():
            block = open_cells(name, take_columns(X, numbers))
            filled: Any = _fill_value(block, parts.get(name))
            if filled is block:
                continue
            if isinstance(out, pd.DataFrame):
                filled = as_table(name, filled, len(numbers))
                for j, number in enumerate(numbers):
                    out.isetitem(number, filled.iloc[:, j])
            else:
                out[:, numbers] = filled
        return out


def special_dtypes(value: Any) -> tuple[Any, ...]:
    """Return the dtypes of pandas columns, or none if NumPy's arrays say as much."""
    dtypes = dtypes_of(value)
    plain = all(isinstance(t, np.dtype) and t.kind != "O" for t in dtypes)
    return () if plain else tuple(dtypes)


def labels_of(value: Any) -> Array:
    """Return one column of labels as an array; nullable ones keep their type, with 0 for NA."""
    dtype: Any = (special_dtypes(value) if isinstance(value, PANDAS) else ())[:1]
    if not dtype or dtype[0].kind not in "iub" or isinstance(dtype[0], pd.SparseDtype):
        return np.asarray(value)
    kind: Any = {"i": np.int64, "u": np.uint64, "b": np.bool_}[dtype[0].kind]
    return np.asarray(value.to_numpy(dtype=kind, na_value=kind(0)))


def with_dtypes(array: Array, dtypes: Sequence[Any], columns: Any) -> pd.DataFrame:
    """Return an array (n_samples, n_columns) as a DataFrame with these dtypes, as `as_series`."""
    series = {j: as_series(array[:, j], dtype) for j, dtype in enumerate(dtypes)}
    return pd.DataFrame(series).set_axis(columns, axis=1)


def as_series(values: Array, dtype: Any, **labels: Any) -> pd.Series:
    """Return values in a dtype of pandas, or in the nearest that holds them.

    Where floats stand for whole numbers or truth values, they stay floats, nullable ones
    (``"Float64"``) if the dtype was nullable.
    """
    if isinstance(dtype, pd.CategoricalDtype):
        return pd.Series(_as_categories(values, dtype), **labels)
    if isinstance(dtype, np.dtype | pd.SparseDtype):
        is_text = dtype.kind == "O" and values.dtype.kind in "OUS"
        return pd.Series(values, dtype=object if is_text else None, **labels)
    if values.dtype.kind == "f" and dtype.kind in "iub":
        dtype = "double[pyarrow]" if isinstance(dtype, pd.ArrowDtype) else "Float64"
    return pd.Series(values, dtype=dtype, **labels)


def fill_columns(value: pd.DataFrame, part: Array, missing: NDArray[np.bool_]) -> pd.DataFrame:
    """Return `value` with NaN entries and missing rows taken from `part`, as `as_series`.

    A nullable column of truth values stays one, and gets the more probable ones.
    """
    columns = {j: _filled(value.iloc[:, j], part[:, j], missing) for j in range(value.shape[1])}
    return pd.DataFrame(columns, index=value.index).set_axis(value.columns, axis=1)


def _filled(column: pd.Series, part: Array, missing: NDArray[np.bool_]) -> pd.Series:
    holes = np.flatnonzero(column.isna().to_numpy() | missing)
    if not len(holes):
        return column
    dtype: Any = column.dtype
    part = part[holes]
    if not isinstance(dtype, np.dtype) and dtype.kind == "b" and part.dtype.kind == "f":
        part = part > 0.5
    found = as_series(part, dtype)
    target: Any = found.dtype
    if isinstance(dtype, np.dtype):
        target = dtype if dtype.kind in "fO" else np.result_type(dtype, target)
    if isinstance(dtype, pd.SparseDtype):
        column = column.astype(dtype.subtype)
    out = column.astype(target).copy()
    out.iloc[holes] = found.astype(target).array
    return out


def _as_categories(values: Array, dtype: pd.CategoricalDtype) -> Any:
    """Return labels as categories, to which those are added that it lacks."""
    new = [label for label in dict.fromkeys(values) if label not in dtype.categories]
    if new and values.dtype.kind == "f":
        return values  # numbers between categories that are numbers
    categories = dtype.categories.append(pd.Index(new)) if new else dtype.categories
    return pd.Categorical(values, dtype=pd.CategoricalDtype(categories, dtype.ordered))


def _fill_value(value: Value, part: Array | None, missing: Array | None = None) -> Value:
    """Return `value` with missing rows and NaN entries taken from `part` (n_samples, width).

    A part of None says that nothing is missing.
    """
    if part is None:
        return value
    if is_sparse(value):
        return _fill_sparse(value, part, missing)
    flat = flat_array(np.asarray(value))
    holes = np.asarray(pd.isna(flat))
    if missing is not None:
        holes |= missing[:, None]
    if not holes.any():
        return value
    part = np.asarray(part).reshape(flat.shape)
    if isinstance(value, PANDAS) and special_dtypes(value):
        rows = np.zeros(len(flat), dtype=bool) if missing is None else missing
        frame = fill_columns(pd.DataFrame(value), part, rows)
        return frame if value.ndim == 2 else frame.iloc[:, 0].rename(value.name)
    dtype = flat.dtype if flat.dtype.kind == "f" else np.result_type(flat, part)
    out = np.where(holes, part, flat).astype(dtype, copy=False)
    filled = Spec.of(value, "").restore(out)
    return Ids(value.index).put_on(filled) if isinstance(value, PANDAS) else filled


def _fill_sparse(value: Any, part: Array, missing: Array | None) -> Value:
    """Return a sparse value with missing rows, which have no entries, taken from `part`."""
    if missing is None or not missing.any():
        return value
    rows, width = np.flatnonzero(missing), value.shape[1]
    indptr = np.concatenate([[0], np.cumsum(np.where(missing, width, 0))])
    columns = np.tile(np.arange(width), len(rows))
    filled = type(value)((part[rows].ravel(), columns, indptr), shape=value.shape)
    dtype = value.dtype if value.dtype.kind == "f" else filled.dtype
    return (value + filled).astype(dtype)


def _columns_in_order(
    values: Mapping[str, Any], numbers: Mapping[str, Array], columns: pd.Index | None
) -> pd.DataFrame:
    """Put modalities side by side, their columns in the order of the frame they came from."""
    order = np.concatenate([numbers[name] for name in values])
    tables = [as_table(name, value, len(numbers[name])) for name, value in values.items()]
    frame = pd.concat(tables, axis=1)
    frame = frame.iloc[:, np.argsort(order)]
    return frame if columns is None else frame.set_axis(columns[np.sort(order)], axis=1)


def _is_discrete(value: Any) -> bool:
    return all(getattr(dtype, "kind", "O") in "biu" for dtype in dtypes_of(value))
