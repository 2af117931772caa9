"""Checking what a Modalities is made of and asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skmm._modalities._foreign import described, remedy
from skmm._modalities._values import Value, as_value

Mask: TypeAlias = NDArray[np.bool_]


def check_mapping(mapping: Any) -> dict[str, Any]:
    if isinstance(mapping, pd.DataFrame):
        raise TypeError("Got a DataFrame; use Modalities.from_frame, or a dict of DataFrames.")
    if not callable(getattr(mapping, "keys", None)) or isinstance(mapping, type):
        raise TypeError(
            f"Modalities takes a dict from name to values, got {described(mapping)}. "
            f"{remedy(mapping)}".rstrip()
        )
    for name in mapping.keys():  # noqa: SIM118 (Modalities do not iterate)
        if not isinstance(name, str) or not name:
            raise TypeError(f"Names of modalities are non-empty strings, got {name!r}.")
    if not mapping.keys():
        raise ValueError("Modalities needs at least one modality, got an empty dict.")
    return dict(mapping.items())


def check_values(named: Mapping[str, Any]) -> dict[str, Value]:
    values = {name: as_value(name, value) for name, value in named.items()}
    lengths = {name: value.shape[0] for name, value in values.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"Modalities have different numbers of samples (rows): {lengths}. Drop the rows that "
            "do not correspond, or align DataFrames on their index with Modalities.join."
        )
    return values


def check_missing(missing: Any, names: tuple[str, ...], n_samples: int) -> Mask:
    if isinstance(missing, pd.DataFrame | Mapping):
        columns: dict[Any, Any] = {name: missing[name] for name in missing}
        check_names(columns, names, "missing=")
        mask = np.zeros((n_samples, len(names)), dtype=bool)
        for name, column in columns.items():
            mask[:, names.index(name)] = as_mask(column, (n_samples,), f"missing={{{name!r}: ...}}")
        return mask
    return as_mask(missing, (n_samples, len(names)), "missing=")


def as_mask(mask: ArrayLike, shape: tuple[int, ...], what: str) -> Mask:
    array = np.asarray(mask)
    if array.dtype != bool or array.shape != shape:
        raise ValueError(
            f"{what} must be boolean of shape {shape}, got {array.dtype} of shape {array.shape}."
        )
    return array


def as_mapping(given: Any, what: str) -> dict[Any, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"{what} takes a dict from the name of a modality, got {given!r}.")
    return dict(given)


def check_names(given: Mapping[str, Any], names: Any, what: str) -> None:
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(f"{what} names unknown modalities {unknown}; there are {list(names)}.")


def as_names(names: str | Sequence[str], known: Mapping[str, Any]) -> list[str]:
    if not isinstance(names, Iterable) or getattr(names, "ndim", 1) == 0:
        raise TypeError(f"Expected names out of {list(known)}, got {names!r}.")
    names = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in names if not isinstance(name, str) or name not in known]
    if unknown or not names or len(set(names)) < len(names):
        raise ValueError(f"Expected distinct names out of {list(known)}, got {names}.")
    return names


def check_rows(key: Any, n_samples: int) -> NDArray[np.intp] | slice:
    """Return row numbers; a boolean mask becomes its positions."""
    if isinstance(key, slice):
        return key
    rows = np.asarray(None if isinstance(key, tuple) else key)
    if rows.size == 0:
        rows = rows.astype(np.intp)
    if rows.ndim != 1 or rows.dtype.kind not in "iub":
        raise TypeError(
            f"Rows are selected by integers (one row: X[[i]]), a boolean mask or a slice, got "
            f"{key!r}; modalities by X.select([...]). ColumnTransformer needs a flat array: put it "
            "before PerModality(..., modalities={name: columns})."
        )
    if rows.dtype != bool:
        return rows
    if len(rows) != n_samples:
        raise IndexError(f"The boolean mask has {len(rows)} entries for {n_samples} samples.")
    return np.flatnonzero(rows)
