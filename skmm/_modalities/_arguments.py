"""Checking what a Modalities is made of, and what it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skmm._modalities._foreign import described, remedy
from skmm._modalities._ids import Ids, declared_ids, find_ids, refuse_other_missing
from skmm._modalities._kinds import check_kind, default_kind, stack_cells
from skmm._modalities._values import Value, as_value, hide_rows, missing_rows

Mask: TypeAlias = NDArray[np.bool_]


class Parts(NamedTuple):
    """What a Modalities is made of: values and kinds by name, the missing rows, the ids."""

    values: dict[str, Value]
    kinds: dict[str, str]
    mask: Mask  # (n_samples, n_modalities)
    ids: Ids


def read_parts(mapping: Any, missing: Any, kinds: Any, index: Any, before: Parts | None) -> Parts:
    """Check and convert what Modalities are made of, `before` if it is other Modalities."""
    named: Mapping[str, Any] = _as_dict(mapping)
    ids = None
    if index is not None:
        named, ids = declared_ids(named, index)
    given_kinds = {} if kinds is None else as_mapping(kinds, "kinds=")
    check_names(given_kinds, named, "kinds=")
    values = _as_values(named)
    mask = np.column_stack([missing_rows(value) for value in values.values()])
    ids = find_ids(values, len(mask), ids, before.ids if before else None)
    for j, (name, value) in enumerate(values.items()):
        if (stacked := stack_cells(value)) is not value:
            values[name] = stacked
            mask[:, j] |= missing_rows(stacked)
    if before is not None:
        mask |= before.mask
        given_kinds = {**before.kinds, **given_kinds}
    if missing is not None:
        refuse_other_missing(ids, missing)
        mask |= _as_mask_of_all(missing, tuple(values), len(mask))
    if mask.any():
        values = {n: hide_rows(v, mask[:, j]) for j, (n, v) in enumerate(values.items())}
    for j, (name, value) in enumerate(values.items()):
        if name in given_kinds:
            check_kind(name, value, given_kinds[name], mask[:, j])
    found = {n: given_kinds.get(n) or default_kind(v) for n, v in values.items()}
    return Parts(values, found, mask, ids)


def _as_dict(mapping: Any) -> dict[str, Any]:
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


def _as_values(named: Mapping[str, Any]) -> dict[str, Value]:
    values = {name: as_value(name, value) for name, value in named.items()}
    lengths = {name: value.shape[0] for name, value in values.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"Modalities have different numbers of samples (rows): {lengths}. Drop the rows that "
            "do not correspond, or align DataFrames on their index with Modalities.join."
        )
    return values


def _as_mask_of_all(missing: Any, names: tuple[str, ...], n_samples: int) -> Mask:
    if isinstance(missing, pd.DataFrame | Mapping):
        columns: dict[Any, Any] = {name: missing[name] for name in missing}
        check_names(columns, names, "missing=")
        mask = np.zeros((n_samples, len(names)), dtype=bool)
        for name, column in columns.items():
            mask[:, names.index(name)] = _as_mask(
                column, (n_samples,), f"missing={{{name!r}: ...}}"
            )
        return mask
    return _as_mask(missing, (n_samples, len(names)), "missing=")


def _as_mask(mask: ArrayLike, shape: tuple[int, ...], what: str) -> Mask:
    array = np.asarray(mask)
    if array.dtype != bool or array.shape != shape:
        raise ValueError(
            f"{what} must be boolean of shape {shape}, got {array.dtype} of shape {array.shape}."
        )
    return array


def as_mapping(given: Any, what: str) -> dict[Any, Any]:
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
