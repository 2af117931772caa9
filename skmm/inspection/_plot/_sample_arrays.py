"""The arrays of a display of samples, checked and brought to one shape."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skmm._parameters import is_integer
from skmm.inspection._fitted import flat_name

Array = np.ndarray


def check_samples(samples: ArrayLike) -> Array:
    """Return the draws with the shape (n_samples, n_conditions, ...), a column at least."""
    found = np.asarray(samples, dtype=np.float64)
    if not 2 <= found.ndim <= 5 or not found.size:
        raise ValueError(
            "samples must be (n_samples, n_conditions) with up to three more dimensions and none "
            f"of them empty, got shape {found.shape}."
        )
    if not np.isfinite(found).all():
        raise ValueError("samples must be finite, but hold NaN or inf.")
    return found[..., None] if found.ndim == 2 else found


def check_truth(y_true: ArrayLike, samples: Array) -> Array:
    """Return the truth with the shape (n_true, n_conditions, ...)."""
    found, rest = np.asarray(y_true, dtype=np.float64), samples.shape[1:]
    if np.isinf(found).any():
        raise ValueError("y_true must be finite or NaN, but holds inf.")
    column = (rest[0],) if rest[1:] == (1,) else rest  # of one column, 1-D is as good
    if found.shape in (rest, column):
        return found.reshape(1, *rest)
    if found.ndim > 1 and len(found) and found.shape[1:] in (rest, column):
        return found.reshape(len(found), *rest)
    raise ValueError(
        f"y_true must have the shape of one draw, {rest}, or several of them, got {found.shape}."
    )


def check_conditions(conditions: ArrayLike | None, n_conditions: int) -> Array:
    """Return a name or number per condition."""
    names = np.arange(n_conditions) if conditions is None else np.asarray(conditions)
    if names.shape != (n_conditions,):
        raise ValueError(
            f"conditions must be one name or number for each of {n_conditions}, got shape "
            f"{names.shape}."
        )
    return names if conditions is not None else np.array([f"row {i}" for i in names])


def names_of(y_true: Any) -> list[str] | None:
    """Return the names that the truth has for its columns, or None."""
    if hasattr(y_true, "columns"):
        return [flat_name(column) for column in y_true.columns]
    name = getattr(y_true, "name", None)
    return None if name in (None, "") else [flat_name(name)]


def check_names(names: Sequence[str] | None, width: int) -> list[str]:
    """Return a name per column."""
    if names is None:
        return ["target"] if width == 1 else [f"column {j}" for j in range(width)]
    if len(names) != width:
        raise ValueError(f"column_names must be one for each of {width} columns, got {names!r}.")
    return [str(name) for name in names]


def check_columns(columns: Sequence[int | str] | None, names: Sequence[str]) -> list[int]:
    """Return one or two columns that exist, by number."""
    width = len(names)
    found = list(range(min(width, 2))) if columns is None else list(columns)
    numbers = [names.index(c) if isinstance(c, str) and c in names else c for c in found]
    known = [int(c) for c in numbers if is_integer(c, 0) and int(c) < width]
    if len(known) < len(found) or len(found) not in (1, 2) or len(set(known)) < len(found):
        raise ValueError(
            f"columns={columns!r} must be one column or two different ones, from 0 to {width - 1}, "
            f"or of {list(names)}."
        )
    return known
