"""Modalities from and to DataFrames: joining, column levels, column selectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils._indexing import _get_column_indices

from skmm._modalities._values import Array, Value, flat_array, is_pandas, is_sparse


def resolve_selectors(X: Array | pd.DataFrame, selectors: Mapping[str, Any]) -> dict[str, Array]:
    """Return the column numbers of each modality; selectors are ColumnTransformer's."""
    columns = {name: _resolve(X, name, selector) for name, selector in selectors.items()}
    owner: dict[int, str] = {}
    for name, numbers in columns.items():
        if not len(numbers):
            raise ValueError(f"modalities[{name!r}] = {selectors[name]!r} selects no column.")
        for number in numbers:
            if number in owner:
                raise ValueError(
                    f"modalities= overlap: column {number} is selected by {owner[number]!r} and by "
                    f"{name!r}."
                )
            owner[number] = name
    if not columns:
        raise ValueError("modalities={} selects nothing; name at least one modality.")
    return columns


def take_columns(X: Any, columns: Array) -> Any:
    """Return these columns; neighbouring ones of an array as a view."""
    if isinstance(X, pd.DataFrame):
        return X.iloc[:, columns]
    first, last = columns[0], columns[-1]
    if np.array_equal(columns, np.arange(first, last + 1)):
        return X[:, first : last + 1]
    return X[:, columns]


def level_columns(columns: pd.Index) -> dict[str, Array]:
    """Return the column numbers of each modality of a two-level column index."""
    if columns.nlevels != 2:
        raise ValueError(
            "Expected a DataFrame with two column levels (modality, column), got "
            f"{columns.nlevels}; a flat one needs modalities={{name: columns}}."
        )
    codes, names = pd.factorize(columns.get_level_values(0))
    if strange := [name for name in names if not isinstance(name, str)]:
        raise TypeError(
            f"The first column level names the modalities, by strings, but has {strange[0]!r}. "
            "Use df.rename(columns=str, level=0)."
        )
    return {name: np.flatnonzero(codes == code) for code, name in enumerate(names)}


def frame_to_mapping(
    df: pd.DataFrame, modalities: Sequence[str] | Mapping[str, Any] | None
) -> dict[str, pd.DataFrame]:
    """Split a DataFrame by its first column level or by selectors."""
    if not isinstance(df, pd.DataFrame):
        raise TypeError(f"Expected a DataFrame, got {type(df).__name__}.")
    if isinstance(modalities, Mapping):
        numbers = resolve_selectors(df, modalities)
        return {name: df.iloc[:, columns] for name, columns in numbers.items()}
    numbers = level_columns(df.columns)
    is_list = isinstance(modalities, Iterable | None) and getattr(modalities, "ndim", 1) == 1
    if isinstance(modalities, str) or not is_list:
        raise TypeError(f"modalities= is a list of names out of {list(numbers)}: {modalities!r}.")
    names = list(numbers) if modalities is None else list(modalities)
    for name in names:
        if not isinstance(name, str) or name not in numbers:
            raise ValueError(f"Unknown modality {name!r}; the DataFrame has {list(numbers)}.")
    return {name: df.iloc[:, numbers[name]].droplevel(0, axis=1) for name in names}


def mapping_to_frame(
    values: Mapping[str, Value], mask: NDArray[np.bool_], index: pd.Index
) -> pd.DataFrame:
    """Join modalities into one DataFrame with two column levels."""
    parts = {}
    for j, (name, value) in enumerate(values.items()):
        part = as_frame(name, value).set_axis(index, axis=0)
        hidden = np.broadcast_to(mask[:, [j]], part.shape)
        parts[name] = part.mask(hidden) if mask[:, j].any() else part
    return pd.concat(parts, axis=1)


def as_frame(name: str, value: Value) -> pd.DataFrame:
    """Return one modality as a flat DataFrame."""
    if is_sparse(value):
        raise TypeError(f"Modality {name!r} is sparse; reduce it first (e.g. TruncatedSVD).")
    if is_pandas(value):
        return pd.DataFrame(value)
    return pd.DataFrame(flat_array(np.asarray(value)))


def join_frames(
    frames: Mapping[str, pd.DataFrame | pd.Series], how: str
) -> tuple[dict[str, Any], dict[str, NDArray[np.bool_]]]:
    """Return the aligned frames and which rows each of them lacks."""
    if not isinstance(frames, Mapping) or not frames:
        raise TypeError(f"Expected a dict from modality to DataFrame, got {frames!r}.")
    for name, frame in frames.items():
        if not isinstance(frame, pd.DataFrame | pd.Series):
            raise TypeError(f"Modality {name!r} is a {type(frame).__name__}, not a DataFrame.")
        if not frame.index.is_unique:
            raise ValueError(f"Modality {name!r} has duplicates in its index; make it unique.")
    index = _joint_index([frame.index for frame in frames.values()], how)
    values, missing = {}, {}
    for name, frame in frames.items():
        if not len(frame):
            raise ValueError(f"Modality {name!r} has no rows.")
        rows = frame.index.get_indexer(index)
        # Absent rows borrow row 0 and are declared missing: an integer column stays integer.
        values[name] = frame.iloc[np.maximum(rows, 0)].set_axis(index, axis=0)
        missing[name] = rows < 0
    return values, missing


def _joint_index(indexes: list[pd.Index], how: str) -> pd.Index:
    if not isinstance(how, str) or how not in ("outer", "inner", "left"):
        raise ValueError(f"how={how!r} is unknown; valid: 'outer', 'inner', 'left'.")
    joint = indexes[0]
    for index in indexes[1:]:
        if how == "outer":
            joint = joint.append(index[~index.isin(joint)])
        elif how == "inner":
            joint = joint[joint.isin(index)]
    if not len(joint):
        raise ValueError(f"The modalities share no sample (how={how!r}); check their indexes.")
    return joint


def _resolve(X: Any, name: str, selector: Any) -> Array:
    if callable(selector):
        selector = selector(X)
    try:
        numbers = np.asarray(_get_column_indices(X, selector), dtype=np.intp)
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"modalities[{name!r}] = {selector!r}: {error}") from error
    if numbers.ndim != 1:
        raise ValueError(f"modalities[{name!r}] = {selector!r} must be one-dimensional.")
    return numbers
