"""Modalities from and to DataFrames: joining, column levels, column selectors."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils._indexing import _get_column_indices

from skmm._modalities._ids import Ids, is_in, looks_alike, split_column
from skmm._modalities._polars import as_pandas, is_polars
from skmm._modalities._values import PANDAS, Array, Value, flat_array, is_sparse
from skmm.exceptions import IndexMismatchWarning


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
    if isinstance(value, PANDAS):
        return pd.DataFrame(value)
    return pd.DataFrame(flat_array(np.asarray(value)))


def join_frames(
    frames: Mapping[str, Any], how: str, column: str | None
) -> tuple[dict[str, Any], dict[str, NDArray[np.bool_]], Ids]:
    """Return the aligned frames, which rows each of them lacks, and the ids."""
    if not isinstance(frames, Mapping) or not frames:
        raise TypeError(f"Expected a dict from modality to DataFrame, got {frames!r}.")
    frames = {name: _indexed(name, frame, column) for name, frame in frames.items()}
    index = _joint_index({name: frame.index for name, frame in frames.items()}, how)
    values, missing = {}, {}
    for name, frame in frames.items():
        if not len(frame):
            raise ValueError(f"Modality {name!r} has no rows.")
        rows = frame.index.get_indexer(index)
        # Absent rows borrow row 0 and are declared missing: an integer column stays integer.
        values[name] = frame.iloc[np.maximum(rows, 0)].set_axis(index, axis=0)
        missing[name] = rows < 0
    return values, missing, replace(Ids.of(index), column=column)


def _indexed(name: str, frame: Any, column: str | None) -> Any:
    """Return a frame of pandas with a unique index, that of a polars frame from its column."""
    if is_polars(frame) and column is not None:
        if column not in getattr(frame, "columns", ()):
            raise ValueError(f"Modality {name!r} has no column {column!r}, which index= names.")
        frame, ids = split_column(frame, column)
        frame = as_pandas(frame).set_axis(ids.index, axis=0)
    frame = as_pandas(frame)
    if not isinstance(frame, PANDAS):
        raise TypeError(f"Modality {name!r} is a {type(frame).__name__}, not a DataFrame.")
    if not frame.index.is_unique:
        raise ValueError(f"Modality {name!r} has duplicates in its index; make it unique.")
    return frame


def _joint_index(indexes: Mapping[str, pd.Index], how: str) -> pd.Index:
    if not isinstance(how, str) or how not in ("outer", "inner", "left"):
        raise ValueError(f"how={how!r} is unknown; valid: 'outer', 'inner', 'left'.")
    first, *others = indexes
    _check_shared(indexes, how)
    joint = indexes[first]
    for index in (indexes[name] for name in others):
        if how == "outer":
            joint = joint.append(index[~is_in(index, joint)])
        elif how == "inner":
            joint = joint[is_in(joint, index)]
    if not len(joint):
        raise ValueError(f"The modalities share no sample (how={how!r}); check their indexes.")
    return joint


def _check_shared(indexes: Mapping[str, pd.Index], how: str) -> None:
    """Refuse labels that are those of others but for their type; warn where none is shared."""
    known = list(indexes)[:1] if how == "left" else list(indexes)
    alone = []
    for name, index in indexes.items():
        rest = {other: indexes[other] for other in known if other != name}
        if not rest or any(is_in(index, labels).any() for labels in rest.values()):
            continue
        alone.append(name)
        for other, labels in rest.items():
            if problem := looks_alike(labels, index):
                raise ValueError(
                    f"Modalities {other!r} and {name!r} share no sample, having {problem}."
                )
    if alone and how != "inner":  # of which nothing would be left
        others = "the first" if how == "left" else "any other"
        warnings.warn(
            f"Modalities {alone} share no sample with {others}: check their indexes.",
            IndexMismatchWarning,
            stacklevel=5,
        )


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
