"""One modality into the shape that a transformer takes, and its result back into place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import get_tags

from skmm._modalities._frames import as_frame
from skmm._modalities._values import (
    PANDAS,
    Value,
    as_value,
    flat_array,
    hide_rows,
    n_columns,
    take_rows,
)

Mask = NDArray[np.bool_]


def takes_text(transformer: Any) -> bool:
    """Whether the (first) transformer wants a 1-D sequence, as CountVectorizer does."""
    if isinstance(transformer, Pipeline):
        return takes_text(transformer.steps[0][1])
    if isinstance(transformer, FeatureUnion):
        return takes_text(transformer.transformer_list[0][1])
    if not hasattr(transformer, "__sklearn_tags__"):
        return False
    return not get_tags(transformer).input_tags.two_d_array


def as_input(value: Any, transformer: Any) -> Any:
    """Return 1-D text or a 2-D table, whichever the transformer takes."""
    if takes_text(transformer):
        if value.ndim == 2 and value.shape[1] == 1 and not hasattr(value, "toarray"):
            return value.iloc[:, 0] if isinstance(value, PANDAS) else value[:, 0]
        return value
    if isinstance(value, np.ndarray):
        return flat_array(value)
    return as_frame("", value) if isinstance(value, PANDAS) else value


def place(name: str, out: Any, before: Value, observed: Mask) -> Value:
    """Return transformed rows at their places, neutral elsewhere, in the shape they had."""
    value: Any = as_value(name, out)
    n_rows = observed.sum() or 1
    if value.shape[0] != n_rows:
        raise ValueError(
            f"The transformer of modality {name!r} returned {value.shape[0]} rows for {n_rows}."
        )
    is_flat = isinstance(value, np.ndarray) and value.ndim == 2 and len(before.shape) > 2
    if is_flat and value.shape[1] == n_columns(before):
        value = value.reshape(-1, *before.shape[1:])
    if observed.all():
        return value
    value = take_rows(value, np.maximum(np.cumsum(observed) - 1, 0))
    return hide_rows(value, ~observed)
