"""The estimator at the end of pipelines and searches, its codes, and names of its data."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmm._modalities import Modalities
from skmm.compose._steps import last_step, last_step_and_input
from skmm.metrics._codes import aligned_codes

Array = np.ndarray


def fitted_step(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the estimator at the end of fitted pipelines and searches, and X as it sees it."""
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
    return {name: code.astype(np.float64) for name, code in aligned_codes(model, X, y).items()}


def sliceable(X: Any) -> Any:
    """Return X, a plain dict as Modalities, so that it has rows."""
    return Modalities(X) if isinstance(X, Mapping) else X


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
