"""The estimator behind a display, and what it makes of the data."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmm._modalities import Modalities
from skmm._parameters import is_integer
from skmm.compose._steps import last_step, last_step_and_input
from skmm.metrics._scorers import _codes

Array = np.ndarray


def fitted_step(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the estimator at the end of fitted pipelines and searches, and what X is there."""
    check_is_fitted(estimator)
    model, inner = last_step_and_input(estimator, X)
    check_is_fitted(model)
    return model, inner


def fitted_model(estimator: Any) -> Any:
    """Return the estimator at the end of fitted pipelines and searches."""
    check_is_fitted(estimator)
    model = last_step(estimator)
    check_is_fitted(model)
    return model


def codes_of(model: Any, X: Any, y: Any) -> dict[str, Array]:
    """Return the codes of two modalities or more, in float64."""
    return {name: code.astype(np.float64) for name, code in _codes(model, X, y).items()}


def sliceable(X: Any) -> Any:
    """Return X, a plain dict as Modalities, so that it has rows."""
    return Modalities(X) if isinstance(X, Mapping) else X


def check_component(name: str, component: Any, n_components: int) -> int:
    """Return the number of a component that exists."""
    if not is_integer(component, 0) or component >= n_components:
        raise ValueError(
            f"{name}={component!r} is not a component: there are {n_components}, "
            f"0 to {n_components - 1}."
        )
    return int(component)


def check_modality_names(wanted: Any, known: Sequence[str]) -> list[str]:
    """Return the names asked for, by default all."""
    if wanted is None:
        return list(known)
    if isinstance(wanted, str):
        raise ValueError(f"modalities={wanted!r} must be a list of names out of {list(known)}.")
    names = list(wanted)
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"modalities={wanted!r} names {unknown}, but there are {list(known)}.")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"modalities={wanted!r} must be different names out of {list(known)}.")
    return names


def names_of_fit(schema: Any, modalities: Sequence[str]) -> dict[str, list[str]]:
    """Return column names that fit saw; a modality of one number per row is its own name."""
    names = {}
    for name in modalities:
        if schema.columns[name] is not None:
            names[name] = [flat_name(column) for column in schema.columns[name]]
        elif schema.shapes[name] == ():
            names[name] = [name]
    return names


def flat_name(column: object) -> str:
    """Return the name of a column as one text."""
    return "/".join(map(str, column)) if isinstance(column, tuple) else str(column)
