"""Reading samples that need not be rows of a table: texts, images, waveforms."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skmm._modalities._values import as_array

Array = NDArray[Any]


def read_samples(X: Any, who: str, what: str) -> Array | list[Any]:
    """Return an array of numbers as it is, and all else as a list of samples, none missing.

    `who` and `what` are for the messages: the transformer, and what its samples are.
    """
    value = _as_array_or_list(X, who, what)
    if len(value) == 0:
        raise ValueError(f"{who} got no {what}: X is empty.")
    if isinstance(value, list):
        missing = [i for i, sample in enumerate(value) if _is_missing(sample)]
        if missing:
            raise ValueError(
                f"{who} cannot read missing {what}: sample {missing[0]} is "
                f"{value[missing[0]]!r} ({len(missing)} in all). {MARK_MISSING}"
            )
    return value


MARK_MISSING = (
    "Drop such samples, or mark them as missing in Modalities: PerModality hands on only those "
    "that are there."
)


def _as_array_or_list(X: Any, who: str, what: str) -> Array | list[Any]:
    if isinstance(X, list | tuple):
        return list(X)
    if isinstance(X, str | bytes | os.PathLike) or not hasattr(X, "__array__"):
        raise TypeError(
            f"{who} takes a list, array or Series of {what}, got {_shortened(X)}. "
            "Put a single sample into a list."
        )
    is_frame = isinstance(X, pd.DataFrame)
    array = X.iloc[:, 0].to_numpy() if is_frame and X.shape[1] == 1 else as_array(f"X of {who}", X)
    if array.dtype.kind in "biuf" and array.ndim > 0:
        return array[:, None] if is_frame and array.ndim == 1 else array
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "OUST":
        raise TypeError(
            f"{who} takes one column of {what} or an array of numbers, got shape {array.shape} "
            f"and dtype {array.dtype}. Convert an array of objects to numbers with .astype."
        )
    return list(array)


def _is_missing(sample: Any) -> bool:
    return sample is None or sample is pd.NA or (isinstance(sample, float) and np.isnan(sample))


def _shortened(X: Any) -> str:
    text = repr(X)
    return text if len(text) <= 60 else f"{text[:57]}..."
