"""Which sample a row is of: ids, and whether rows correspond."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_integer_dtype

from skmm._modalities._polars import as_pandas, is_polars
from skmm._modalities._values import PANDAS, Array, as_array
from skmm.exceptions import IndexMismatchWarning

REMEDY = "Align them with Modalities.join, or reset_index(drop=True) if rows already correspond."


@dataclass(frozen=True)
class Ids:
    """The ids of samples.

    Numbers of rows, as of arrays and of frames with a default index, are no names: they say nothing
    about which rows correspond. `column` is what the ids are called in frames of polars.
    """

    index: pd.Index
    named: bool = False
    column: str | None = None

    @classmethod
    def counting(cls, n_samples: int) -> Ids:
        """Return the numbers of so many rows."""
        return cls(pd.RangeIndex(n_samples))

    @classmethod
    def of(cls, index: pd.Index) -> Ids:
        """Take over an index, which names the samples unless it is a default one."""
        return cls(index, not is_default(index))

    def take(self, rows: Array | slice) -> Ids:
        """Return the ids of these rows."""
        return replace(self, index=self.index[rows])

    def put_on(self, value: Any) -> Any:
        """Return a value whose index, if it has one, is these ids."""
        return value.set_axis(self.index, axis=0) if isinstance(value, PANDAS) else value


def is_default(index: pd.Index) -> bool:
    """Whether an index only counts the rows: 0, 1, ..., n - 1."""
    return isinstance(index, pd.RangeIndex) and index.equals(pd.RangeIndex(len(index)))


def ids_of(X: Any) -> Ids | None:
    """Return the ids of data in any form, None where it has none; nothing is checked."""
    if isinstance(X, PANDAS):
        return Ids.of(X.index)
    if isinstance(X, Mapping):
        found = [Ids.of(value.index) for value in X.values() if isinstance(value, PANDAS)]
        return next((one for one in found if one.named), found[0] if found else None)
    ids = getattr(X, "_ids", None)
    return ids if isinstance(ids, Ids) else None


def find_ids(
    values: Mapping[str, Any], n_samples: int, declared: Ids | None, before: Ids | None
) -> Ids:
    """Return the ids that all agree upon, by default the numbers of the rows.

    `before` are those of the container that the values come from, which others may be put over.
    """
    found = {"index=": declared}
    if before is not None and declared is None:
        found = {"X": before}
    elif before is None:
        found |= {repr(name): ids_of(value) for name, value in values.items()}
    if declared is not None and len(declared.index) != n_samples:
        raise ValueError(f"index= has {len(declared.index)} ids for {n_samples} samples.")
    named = {name: ids for name, ids in found.items() if ids is not None and ids.named}
    return _agreed(named) if named else before or Ids.counting(n_samples)


def declared_ids(named: Mapping[str, Any], index: Any) -> tuple[Mapping[str, Any], Ids | None]:
    """Return values and the ids that `index` declares, if need be taken out of the values."""
    if index is None or isinstance(index, Ids):
        return named, index
    if not isinstance(index, str):
        return named, _passed(index)
    values, found = dict(named), {}
    for name, value in named.items():
        if is_polars(value) and index in getattr(value, "columns", ()):
            values[name], found[repr(name)] = split_column(value, index)
    if not found:
        raise ValueError(
            f"index={index!r} names a column of a polars DataFrame, but none has it. Of a pandas "
            f"DataFrame set_index({index!r}), else pass the ids themselves."
        )
    return values, _agreed(found)


def split_column(frame: Any, column: str) -> tuple[Any, Ids]:
    """Return a frame of polars without the column of its ids, and these."""
    if frame[column].null_count():
        raise ValueError(f"The column {column!r} of ids has gaps: drop these rows, or name them.")
    index = pd.Index(as_pandas(frame[column]), name=column)
    return frame.drop(column), Ids(index, True, column)


def refuse_other_rows(first_name: str, first: pd.Index, name: str, index: pd.Index) -> None:
    """Raise ValueError if two modalities have other labels, or the same in another order."""
    if problem := _difference(first, index):
        raise ValueError(f"Modalities {first_name} and {name} have {problem}. {REMEDY}")


def refuse_other_target(X: Any, y: Any) -> None:
    """Raise ValueError if y, as the second modality beside X, has the index of other rows."""
    ids, other = ids_of(X), ids_of(y)
    if ids and other and _may_be_others(ids, other):
        refuse_other_rows("'X'", ids.index, "'y'", other.index)


def refuse_other_missing(ids: Ids, missing: Any) -> None:
    """Raise ValueError if what says which rows lack a modality has the index of other rows."""
    parts = missing.values() if isinstance(missing, Mapping) else [missing]
    for part in parts:
        if (other := ids_of(part)) and _may_be_others(ids, other):
            refuse_other_rows("X", ids.index, "missing=", other.index)


def warn_of_other_rows(X: Any, *, of: str = "X", **beside: Any) -> None:
    """Warn if what goes with X has the index of other rows."""
    ids = ids_of(X)
    others = [
        name
        for name, value in beside.items()
        if ids and (other := ids_of(value)) and _may_be_others(ids, other)
        if not other.index.equals(ids.index)
    ]
    if others:  # in words that are always the same, so that many fits warn once
        warnings.warn(
            f"{others} and {of} have indexes that differ. Rows are taken to correspond as they "
            "are: reset_index(drop=True) if so, else use reindex.",
            IndexMismatchWarning,
            stacklevel=2,
        )


def _may_be_others(ids: Ids, other: Ids) -> bool:
    """Whether both name samples.

    Whole numbers beside names of another type are what cross-validation leaves of a default index,
    unless they are the same when written out.
    """
    if not (ids.named and other.named):
        return False
    if len(ids.index) != len(other.index):  # which is refused elsewhere
        return False
    alike = is_integer_dtype(ids.index) == is_integer_dtype(other.index)
    return alike or bool(looks_alike(ids.index, other.index))


def is_in(index: pd.Index, other: pd.Index) -> NDArray[np.bool_]:
    """Return which labels are in another index."""
    if index.nlevels != other.nlevels:  # pandas refuses to compare these
        return np.zeros(len(index), dtype=bool)
    return index.isin(other)


def looks_alike(first: pd.Index, index: pd.Index) -> str:
    """Return how labels differ that are the same when written out: numbers and strings."""
    flat = first.nlevels == index.nlevels == 1
    if flat and is_in(first.astype(str), index.astype(str)).any():
        return (
            f"labels that differ by type only: {_shown(first)} ({first.inferred_type}) and "
            f"{_shown(index)} ({index.inferred_type}); make them alike, e.g. by "
            "frame.index.astype(str)"
        )
    return ""


def _difference(first: pd.Index, index: pd.Index) -> str:
    """Return in words how the index of the same number of rows differs; nothing if it does not."""
    if index.equals(first):
        return ""
    if not (shared := int(is_in(index, first).sum())):
        return looks_alike(first, index) or f"no label in common: {_shown(first)}, {_shown(index)}"
    if shared == len(index) and is_in(first, index).all():
        return "the same index in another order"
    return f"indexes that differ: {shared} of {len(index)} labels are in both"


def _shown(index: pd.Index) -> str:
    return "[" + ", ".join(map(repr, index[:3].tolist())) + (", ...]" if len(index) > 3 else "]")


def _agreed(found: Mapping[str, Ids]) -> Ids:
    """Return the first ids, or raise ValueError if others differ."""
    (first_name, first), *others = found.items()
    for name, ids in others:
        refuse_other_rows(first_name, first.index, name, ids.index)
    return first


def _passed(index: Any) -> Ids:
    values = as_pandas(index)
    values = values if isinstance(values, pd.Index) else as_array("index=", values)
    if values.ndim != 1:
        raise ValueError(f"index= takes one id per sample, got shape {values.shape}.")
    return Ids.of(values if isinstance(values, pd.Index) else pd.Index(values))
