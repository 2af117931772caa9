"""What inspection asks of a fitted model: the codes of each modality, and its columns."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing

from skmm._linalg import pearson
from skmm._modalities import Modalities, check_modalities

Array = np.ndarray


def as_sliceable(X: Any) -> Any:
    """Turn a plain dict of arrays into Modalities, which can be indexed by rows."""
    return Modalities(X) if isinstance(X, Mapping) else X


def take(X: Any, y: Any, rows: Array) -> tuple[Any, Any]:
    """Return these rows of X and y."""
    return _safe_indexing(X, rows), None if y is None else _safe_indexing(y, rows)


def last_step(model: Any, X: Any) -> tuple[Any, Any]:
    """Return the last step of a fitted pipeline and its input; other models as they are."""
    if isinstance(model, Pipeline):
        return model[-1], model[:-1].transform(X)
    return model, X


def codes_of(model: Any, X: Any, y: Any = None) -> dict[str, Array]:
    """Return the codes of each modality, NaN where it is missing.

    Raises
    ------
    TypeError
        If the model does not encode modalities one by one.
    """
    model, X = last_step(model, X)
    if not hasattr(model, "transform_each"):
        raise TypeError(
            f"{type(model).__name__} has no transform_each: pass an estimator such as CCA, or a "
            "pipeline that ends in one"
        )
    return model.transform_each(X) if y is None else model.transform_each(X, y)


def columns_of(model: Any, X: Any, y: Any = None) -> Modalities:
    """Return the modalities that the model encodes, flattened."""
    model, X = last_step(model, X)
    return check_modalities(model, X, y, reset=False, min_modalities=2, flatten=True)


def component_correlations(codes: dict[str, Array]) -> Array:
    """Return the correlation (k,) of each component, averaged over the pairs of modalities."""
    pairs = []
    for a, b in combinations(codes.values(), 2):
        both = np.isfinite(a[:, 0]) & np.isfinite(b[:, 0])
        pairs.append(pearson(a[both], b[both]))
    return np.mean(pairs, axis=0)


def structure_correlations(columns: Modalities, codes: dict[str, Array]) -> dict[str, Array]:
    """Return the correlations (d, k) of each modality's columns with its own codes."""
    result = {}
    for name, code in codes.items():
        present = np.isfinite(code[:, 0])
        a, b = _standardised(columns[name][present]), _standardised(code[present])
        result[name] = np.clip(a.T @ b / max(1, len(a)), -1.0, 1.0)
    return result


def feature_names_of(model: Any) -> dict[str, list[str]]:
    """Return the names of the columns in fit, or their positions."""
    model = model[-1] if isinstance(model, Pipeline) else model
    schema = model._schema
    return {
        name: [str(c) for c in _labels(schema.columns[name], schema.widths[name])]
        for name in schema.names
    }


def _labels(columns: Any, width: int) -> Any:
    return range(width) if columns is None else columns


def _standardised(a: Array) -> Array:
    a = np.asarray(a, dtype=np.float64)
    a = a - a.mean(axis=0)
    deviation = a.std(axis=0)
    return a / np.where(deviation > 0, deviation, np.inf)
