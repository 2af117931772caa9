"""The likelihood of each modality: its name, its module, and the values that it supports."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import nn

from skmm._modalities import Modalities
from skmm._modalities._columns import ColumnStatistics
from skmm._modalities._stream import pieces
from skmm.nn import LIKELIHOODS, CategoricalLikelihood

Array = np.ndarray
OF_KIND = {
    "numeric": "gaussian",
    "image": "gaussian",
    "binary": "bernoulli",
    "count": "poisson",
    "categorical": "categorical",
    "tokens": "categorical",
}
CLASSES = ("categorical", "tokens")  # kinds whose values are numbers of classes
WHOLE = ("binary", "count")  # kinds whose values have been checked to be counts


def likelihood_names(
    kinds: Mapping[str, str], likelihoods: str | Mapping[str, str]
) -> dict[str, str]:
    """Return the likelihood of each modality; "auto" follows the kind."""
    given: Mapping[str, str] = {} if isinstance(likelihoods, str) else likelihoods
    if unknown := [name for name in given if name not in kinds]:
        raise ValueError(f"likelihoods names {unknown!r}, but the modalities are {tuple(kinds)!r}.")
    chosen = {}
    for name, kind in kinds.items():
        if (found := given.get(name, "auto")) == "auto":
            found = OF_KIND[kind]
        valid = [n for n in LIKELIHOODS if (n == "categorical") == (kind in CLASSES)]
        if found not in valid:
            raise ValueError(
                f"The likelihood of modality {name!r} must be one of {valid!r} or 'auto', "
                f"got {found!r}."
            )
        chosen[name] = found
    return chosen


def check_supports(
    X: Modalities, chosen: Mapping[str, str], columns: Mapping[str, ColumnStatistics]
) -> None:
    """Refuse values to which a likelihood gives no probability."""
    for name, likelihood in chosen.items():
        if likelihood == "bernoulli":
            known = columns[name]
            if known.low.min() < 0 or known.high.max() > 1:
                raise ValueError(
                    f"Modality {name!r} has values outside [0, 1]: not for 'bernoulli'."
                )
        elif likelihood == "poisson" and not _holds_counts(X, name):
            raise ValueError(f"Modality {name!r} has values that are no counts: not for 'poisson'.")


def likelihood_module(name: str, width: int, n_classes: int) -> nn.Module:
    """Return the likelihood of samples with so many columns."""
    return CategoricalLikelihood(width, n_classes) if n_classes else LIKELIHOODS[name](width)


def _holds_counts(X: Modalities, name: str) -> bool:
    return X.kinds[name] in WHOLE or all(map(_are_counts, pieces(X[name])))


def _are_counts(values: Array) -> bool:
    observed = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    return bool(((observed >= 0) & (observed == np.floor(observed))).all())
