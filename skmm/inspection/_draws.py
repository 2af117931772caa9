"""Draws of a conditional model, and the values and names of its target."""

from typing import Any

import numpy as np

from skmm.inspection._fitted import names_of_fit
from skmm.inspection._variance_explained import observed_numbers, read_modalities

Array = np.ndarray


def draws_given(
    model: Any, X: Any, n_samples: int, random_state: int | np.random.RandomState | None
) -> Array:
    """Return the draws of the model for the rows of X."""
    if not hasattr(model, "sample"):
        raise TypeError(f"{type(model).__name__} has no sample: it draws nothing from conditions.")
    found = model.sample(n_samples, given=X, random_state=random_state)
    if not isinstance(found, np.ndarray):
        raise TypeError(
            f"{type(model).__name__}.sample(given=X) gives {type(found).__name__}, but must give "
            "an array (n_samples, n_rows, ...): pass the draws of one modality to from_samples."
        )
    return found


def observed_target(model: Any, X: Any) -> Array | None:
    """Return the target that lies in X, or None."""
    name = getattr(model, "target", None)
    if name is None:
        return None
    found = read_modalities(model, X)
    return observed_numbers(found, name) if name in found.names else None


def target_columns(model: Any) -> list[str] | None:
    """Return the names that the columns of the target had in fit, or None."""
    schema, name = getattr(model, "_schema", None), getattr(model, "_target", None)
    if schema is None or name is None:
        return None
    found = names_of_fit(schema, [name]).get(name)
    return None if found == ["y"] else found
