"""Labels of modalities as numbers of classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from skmm._modalities import Modalities

Array = np.ndarray


def find_categories(X: Modalities) -> dict[str, Array]:
    """Return the classes of each modality of labels."""
    return {
        name: _classes(name, X[name][~mask])
        for name, mask in zip(X.names, X._mask.T, strict=True)
        if X.kinds[name] == "categorical"
    }


def number_labels(X: Modalities, categories: Mapping[str, Array]) -> Modalities:
    """Return checked data with labels as numbers of their classes, and columns for 1-D numbers."""
    values = {}
    for name, mask in zip(X.names, X._mask.T, strict=True):
        value = X[name]
        if name in categories:
            value = _numbers(name, value, ~mask, categories[name])
        elif value.ndim == 1:
            value = value[:, None]
        values[name] = value
    return Modalities._make(values, X.kinds, X._mask, X._ids)


def _classes(name: str, value: Array) -> Array:
    if value.dtype.kind in "mM":
        raise TypeError(f"Modality {name!r} holds dates or durations: make numbers of them.")
    try:
        return np.unique(value)
    except TypeError as error:
        raise TypeError(f"Modality {name!r} mixes labels of several types: {error}") from error


def _numbers(name: str, value: Array, observed: Array, categories: Array) -> Array:
    """Return labels as numbers of their classes, 0 where missing."""
    found = value[observed]
    numbers = np.zeros(len(value), dtype=np.int64)
    try:
        known = np.isin(found, categories)
    except (TypeError, ValueError) as error:
        raise TypeError(f"Modality {name!r} holds what are no labels: {error}") from error
    if not known.all():
        unknown = sorted({str(label) for label in found[~known]})[:5]
        raise ValueError(
            f"Modality {name!r} has labels that were not in fit: {unknown}; known are "
            f"{list(categories)[:10]}. Mark such rows as missing."
        )
    numbers[observed] = np.searchsorted(categories, found)
    return numbers
