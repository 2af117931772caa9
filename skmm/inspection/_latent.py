"""The codes of the samples, and projections of them to the plane."""

from typing import Any

import numpy as np
from sklearn.base import clone

from skmm._modalities._output import arrays_only
from skmm.metrics._codes import codes_by_modality

Array = np.ndarray


def check_projection(projection: Any) -> None:
    """Raise TypeError unless the projection is "components" or a transformer."""
    is_name = isinstance(projection, str) and projection == "components"
    if not is_name and (isinstance(projection, type) or not hasattr(projection, "fit_transform")):
        raise TypeError(
            f"projection={projection!r} must be 'components' or an instance with fit_transform, "
            "such as PCA(2)."
        )


def encoded(model: Any, X: Any, y: Any, modality: str | None) -> dict[str, Array]:
    """Return the codes (n, k) of one modality, of each, or under "" the joint codes."""
    if modality is None:
        if not hasattr(model, "transform"):
            raise TypeError(f"{type(model).__name__} has no transform: it gives no codes to draw.")
        with arrays_only():
            found = {"": model.transform(X)}
    else:
        found = _encoded_each(model, X, y, modality)
    codes = {name: np.asarray(Z, dtype=np.float64) for name, Z in found.items()}
    for Z in codes.values():
        if Z.ndim != 2:
            raise ValueError(f"Codes must be (n_samples, n_components), got shape {Z.shape}.")
    return codes


def projected(codes: dict[str, Array], projection: Any) -> dict[str, Array]:
    """Project the codes by a clone that is fitted on all of them at once."""
    stacked = np.concatenate(list(codes.values()))
    known = ~np.isnan(stacked).any(axis=1)
    if not known.any():
        raise ValueError(f"None of the {len(stacked)} rows has a code: nothing to draw.")
    found = np.asarray(clone(projection, safe=False).fit_transform(stacked[known]))
    if found.ndim != 2 or len(found) != known.sum() or found.shape[1] < 2:
        raise ValueError(
            f"projection={projection!r} gives shape {found.shape} for {known.sum()} rows, but a "
            "picture needs two columns for each."
        )
    placed = np.full((len(stacked), found.shape[1]), np.nan)
    placed[known] = found
    ends = np.cumsum([len(Z) for Z in codes.values()])[:-1]
    return dict(zip(codes, np.split(placed, ends), strict=True))


def _encoded_each(model: Any, X: Any, y: Any, modality: str) -> dict[str, Array]:
    if not hasattr(model, "transform_each"):
        raise TypeError(
            f"{type(model).__name__} has no transform_each: it gives no codes of modality="
            f"{modality!r}. Use modality=None to draw the joint codes of transform."
        )
    found = codes_by_modality(model, X, y)
    if modality == "each":
        return found
    if modality not in found:
        raise ValueError(f"modality={modality!r} is not 'each' or one of X: {list(found)}.")
    return {modality: found[modality]}
