"""Labels of modalities as numbers of classes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from skmm._modalities._container import Modalities, with_values

Array = np.ndarray
FEW = 20  # labels, of which nearly all may differ by chance


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
    return with_values(X, values)


def _classes(name: str, value: Array) -> Array:
    try:
        classes = np.unique(value)
    except TypeError as error:
        raise TypeError(f"Modality {name!r} mixes labels of several types: {error}") from error
    if len(value) >= FEW and len(classes) > len(value) / 2:
        _warn_of_many(name, len(classes), len(value), is_text=isinstance(classes[0], str | bytes))
    return classes


def _warn_of_many(name: str, n_classes: int, n_labels: int, *, is_text: bool) -> None:
    advice = (
        f"Free text? Use PerModality({{{name!r}: Tokenizer()}}), or TfidfVectorizer()."
        if is_text
        else f"Numbers? Declare kinds={{{name!r}: 'numeric'}}."
    )
    warnings.warn(
        f"Modality {name!r} has {n_classes} different labels in {n_labels} rows, more than half. "
        f"{advice}",
        UserWarning,
        stacklevel=2,
    )


def _numbers(name: str, value: Array, observed: Array, categories: Array) -> Array:
    """Return labels as numbers of their classes, 0 where missing."""
    found = value[observed]
    numbers = np.zeros(len(value), dtype=np.int64)
    try:
        known = np.isin(found, categories)
    except (TypeError, ValueError) as error:
        raise TypeError(f"Modality {name!r} holds cells that are not labels: {error}") from error
    if not known.all():
        unknown = sorted({str(label) for label in found[~known]})[:5]
        raise ValueError(
            f"Modality {name!r} has labels that were not in fit: {unknown}; known are "
            f"{list(categories)[:10]}. Mark such rows as missing."
        )
    numbers[observed] = np.searchsorted(categories, found)
    return numbers
