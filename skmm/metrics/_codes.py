"""The codes of each modality that a fitted estimator gives."""

from typing import Any

import numpy as np

from skmm._modalities._output import arrays_only
from skmm._modalities._schema import PLAIN

Array = np.ndarray


def takes_two_arrays(estimator: Any) -> bool:
    """Return whether `fit` took X and y as two modalities, so that y holds no labels."""
    return getattr(getattr(estimator, "_schema", None), "form", None) == PLAIN


def codes_by_modality(estimator: Any, X: Any, y: Any) -> dict[str, Array]:
    """Return what `transform_each` gives; y counts only where it is a modality."""
    second = (y,) if takes_two_arrays(estimator) and y is not None else ()
    with arrays_only():
        codes: dict[str, Array] = estimator.transform_each(X, *second)
    return codes


def aligned_codes(estimator: Any, X: Any, y: Any) -> dict[str, Array]:
    """Return the codes of two modalities or more, or raise."""
    if not hasattr(estimator, "transform_each"):
        raise TypeError(
            f"{type(estimator).__name__} has no transform_each: alignment is scored on an "
            "estimator that gives each modality's codes, such as CCA, or a pipeline ending in one."
        )
    codes = codes_by_modality(estimator, X, y)
    if len(codes) < 2:
        raise ValueError(f"Alignment needs two modalities or more, got {list(codes)}.")
    return codes
