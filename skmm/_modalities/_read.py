"""Reading the four forms of input, and comparing them with fit."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
from pandas.api.types import infer_dtype
from scipy.sparse import issparse
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from skmm._modalities._container import Modalities
from skmm._modalities._foreign import refuse_foreign
from skmm._modalities._frames import level_columns, resolve_selectors, take_columns
from skmm._modalities._ids import ids_of, refuse_other_target
from skmm._modalities._kinds import check_kind, has_cells, open_cells, refuse_cells, refuse_mixed
from skmm._modalities._polars import as_pandas
from skmm._modalities._schema import COLUMNS, FRAME, NAMED, PLAIN, Schema, Spec
from skmm._modalities._values import (
    FLOATS,
    PANDAS,
    Array,
    Value,
    as_array,
    dtypes_of,
    flat_array,
    is_lazy,
)

LOST_NAMES = (
    "y is taken as the second modality; were modality names lost? "
    "Use PerModality or modalities= to keep them."
)


def read_modalities(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    reset: bool,
    min_modalities: int = 1,
    min_samples: int = 1,
    accept_sparse: bool = True,
    convert: bool = False,
) -> Modalities:
    """Read X in any form and compare it with fit; values stay as they came.

    Parameters and attributes set are those of `check_modalities`. With `convert` an array
    in form 4 becomes a floating one, by scikit-learn's checks.
    """
    if not reset:
        check_is_fitted(estimator, "_schema")
    if _is_named(X):
        X, schema = _read_named(estimator, X, reset)
    else:
        accepted = "csr" if accept_sparse else False
        checks: dict[str, Any] = {"ensure_min_samples": min_samples, "accept_sparse": accepted}
        takes_y = min_modalities == 2 if reset else "y" in estimator._schema.specs
        X, schema = _read_flat(estimator, X, y, reset, takes_y, checks, convert)
    n_samples, n_modalities = X._mask.shape
    if n_samples < min_samples:
        raise ValueError(_requires_samples(estimator, n_samples, min_samples))
    if not reset:
        return _compare(estimator, X)
    if n_modalities < min_modalities:
        raise ValueError(_requires_modalities(estimator, X, min_modalities))
    estimator._schema = replace(schema, id_column=X._ids.column)
    estimator.modality_names_in_ = schema.names
    return X


def _form(estimator: Any) -> int:
    return estimator._schema.form


def _names_columns(estimator: Any, reset: bool) -> bool:
    if reset:
        return getattr(estimator, "modalities", None) is not None
    return _form(estimator) != PLAIN


def _is_named(X: object) -> bool:
    """Whether X brings the names of its modalities: forms 1 and 2 (a dok matrix is a dict)."""
    if isinstance(X, pd.DataFrame):
        return X.columns.nlevels > 1
    return isinstance(X, Modalities) or (isinstance(X, Mapping) and not issparse(X))


def _read_named(estimator: Any, X: Any, reset: bool) -> tuple[Modalities, Schema]:
    """Forms 1 and 2."""
    numbers, columns_in = {}, None
    if isinstance(X, pd.DataFrame):
        numbers, columns_in = level_columns(X.columns), X.columns
        X = Modalities.from_frame(X)
    elif not isinstance(X, Modalities):
        X = Modalities(X)
    X = _select(estimator, X, reset)
    specs = {name: Spec.of(value, X._kinds[name]) for name, value in X._values.items()}
    width = sum(s.width for s in specs.values()) if columns_in is None else len(columns_in)
    if reset:
        estimator.n_features_in_ = width
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
    form = NAMED if columns_in is None else FRAME
    return X, Schema(form, specs, width, columns_in, numbers)


def _select(estimator: Any, X: Modalities, reset: bool) -> Modalities:
    """Take the subset that `modalities=` names, or in the order of fit what it knew."""
    wanted = getattr(estimator, "modalities", None)
    if reset:
        if isinstance(wanted, Mapping):
            raise ValueError(
                "modalities= as a dict selects columns of a flat array or DataFrame, but X has "
                f"named modalities {list(X.names)}. Pass a list of names, or None for all."
            )
        return X if wanted is None else X.select(wanted)
    known = estimator._schema.names
    unknown = [name for name in X.names if name not in known]
    present = [name for name in known if name in X]
    if (unknown and (wanted is None or isinstance(wanted, Mapping))) or not present:
        raise ValueError(
            f"X has unknown modalities {unknown}; {class_name(estimator)} was fitted with "
            f"{list(known)}."
        )
    return X.select(present)


def _read_flat(
    estimator: Any,
    X: Any,
    y: Any,
    reset: bool,
    takes_y: bool,
    checks: dict[str, Any],
    convert: bool,
) -> tuple[Modalities, Schema]:
    """Forms 3 and 4."""
    flat, y = as_pandas(X), as_pandas(y) if takes_y else None
    if _names_columns(estimator, reset):
        found, schema = _read_columns(estimator, flat, reset, checks)
    else:
        found, schema = _read_plain(estimator, flat, y, reset, checks, convert)
        if reset and takes_y and y is None:
            raise ValueError(_requires_y(estimator))
    return found, replace(schema, is_polars=flat is not X)


def _read_columns(
    estimator: Any, X: Any, reset: bool, params: dict[str, Any]
) -> tuple[Modalities, Schema]:
    """Form 3: columns of a flat array or DataFrame."""
    refuse_foreign("X", X)
    if not reset and _form(estimator) != COLUMNS:
        raise ValueError(
            f"{class_name(estimator)} was fitted with modalities {list(estimator._schema.names)}, "
            f"but X is a {type(X).__name__} without modality names. Pass it as in fit."
        )
    selectors: Any = getattr(estimator, "modalities", None)
    if reset and not isinstance(selectors, Mapping):
        raise ValueError(
            f"modalities={selectors!r} names modalities, but X is a flat {type(X).__name__}. "
            "Pass Modalities, or modalities={name: columns}."
        )
    columns_in = X.columns if isinstance(X, pd.DataFrame) else None
    X = _validate_flat(estimator, X, reset, params)
    numbers = resolve_selectors(X, selectors) if reset else estimator._schema.numbers
    X = Modalities({name: take_columns(X, columns) for name, columns in numbers.items()})
    specs = {name: Spec.of(value, X._kinds[name]) for name, value in X._values.items()}
    return X, Schema(COLUMNS, specs, estimator.n_features_in_, columns_in, numbers)


def _validate_flat(estimator: Any, X: Any, reset: bool, params: dict[str, Any]) -> Any:
    """Apply scikit-learn's checks of shape and names; DataFrames keep their columns' dtypes."""
    _refuse_nd(estimator, X)
    if isinstance(X, pd.DataFrame):
        return _validate(estimator, X, reset, skip_check_array=True)
    return _validate(estimator, X, reset, dtype=None, **params)


def _validate(estimator: Any, X: Any, reset: bool, **params: Any) -> Any:
    """Apply scikit-learn's checks; say which columns changed places."""
    try:
        return validate_data(estimator, X, reset=reset, ensure_all_finite=False, **params)
    except RuntimeError as error:  # of a tensor with a gradient
        raise TypeError(
            f"X is a {type(X).__name__} that cannot be made an array: {error}"
        ) from error
    except ValueError as error:
        if "must be in the same order" not in str(error):
            raise
        difference = _first_difference(X.columns, estimator.feature_names_in_)
        raise ValueError(f"{str(error).rstrip()} {difference}") from error


def _read_plain(
    estimator: Any, X: Any, y: Any, reset: bool, params: dict[str, Any], convert: bool
) -> tuple[Modalities, Schema]:
    """Form 4: X alone, or X and y."""
    refuse_foreign("X", X)
    _refuse_dates("X", X)
    X = open_cells("X", X)
    _refuse_nd(estimator, X)
    if isinstance(X, pd.DataFrame):
        refuse_mixed("X", X)
    given, columns_in = X, X.columns if isinstance(X, pd.DataFrame) else None
    refuse_other_target(X, y)
    ids = ids_of({"X": X, "y": y})
    if convert:
        X = _validate(estimator, X, reset, dtype=FLOATS, **params)
    else:
        X = _validate_flat(estimator, X, reset, params)
    values = {"X": X}  # an array now, so the ids were taken before
    if y is not None:
        values["y"], y_spec = _read_y(estimator, X, y)
    out = Modalities(values)
    out = out if ids is None else out._with_ids(ids)
    kind = out._kinds["X"]
    specs = {"X": Spec(X.shape[1:], kind) if columns_in is None else Spec.of(given, kind)}
    if y is not None:
        specs["y"] = y_spec
    return out, Schema(PLAIN, specs, X.shape[1], columns_in)


def _read_y(estimator: Any, X: Any, y: Any) -> tuple[Array, Spec]:
    """Return y as a second modality of numbers."""
    refuse_foreign("y", y)
    _refuse_dates("y", y)
    y = open_cells("y", y)
    if isinstance(y, pd.DataFrame):
        refuse_mixed("y", y)
    raw = y if isinstance(y, PANDAS) else as_array("y", y)
    if raw.ndim == 1 and _is_label(raw):
        warnings.warn(LOST_NAMES, UserWarning, stacklevel=2)
    try:
        y = check_array(y, dtype=FLOATS, ensure_2d=False, ensure_all_finite=False, input_name="y")
    except ValueError as error:
        raise ValueError(
            f"Modality 'y': {error}. With a plain X, y is the second modality and must be numbers; "
            "encode it, or name the modalities (modalities=) if it is a label."
        ) from error
    check_consistent_length(X, y)
    return flat_array(y), Spec.of(raw, "numeric")


def _requires_y(estimator: Any) -> str:
    return (
        f"This {class_name(estimator)} estimator requires y to be passed, but the target y is "
        "None. With a plain X, y is the second modality; else pass Modalities or modalities=."
    )


def _is_label(y: Any) -> bool:
    return infer_dtype(y, skipna=True) not in ("floating", "mixed-integer-float", "decimal")


def _refuse_dates(what: str, value: Any) -> None:
    """Raise TypeError for dates, which scikit-learn would take for numbers of nanoseconds."""
    dtypes = dtypes_of(value) if hasattr(value, "dtype") or isinstance(value, PANDAS) else []
    if any(dtype.kind in ("m", "M") for dtype in dtypes):
        raise TypeError(f"{what} holds dates or durations: make numbers of them.")


def _refuse_nd(estimator: Any, X: Any) -> None:
    if is_lazy(X):
        raise TypeError(
            f"X is a {type(X).__name__}, which {class_name(estimator)} would have to read whole. "
            "Name it, {'X': X}, or read it yourself."
        )
    ndim = getattr(X, "ndim", 0)
    if isinstance(ndim, int) and ndim > 2:
        raise ValueError(
            f"Found array with dim {ndim}, while dim <= 2 is required by {class_name(estimator)}. "
            "Wrap it: Modalities({'image': X})."
        )
    if isinstance(X, list | tuple) and any(getattr(a, "ndim", 0) > 1 for a in X):
        raise TypeError(
            f"{class_name(estimator)} takes named modalities, not a {type(X).__name__} of "
            f"{len(X)} arrays: pass Modalities({{'image': a, 'text': b}}) or a dict."
        )


def _compare(estimator: Any, X: Modalities) -> Modalities:
    """Compare shapes and column names with fit and take over its kinds."""
    schema = estimator._schema
    for j, name in enumerate(X.names):
        spec, value = schema.specs[name], X._values[name]
        shape = tuple(value.shape[1:])
        if has_cells(value) and shape != spec.shape:
            refuse_cells(name, value)
        # One number per row is a vector, or a matrix of one column: both are the same.
        if shape != spec.shape and not {shape, spec.shape} <= {(), (1,)}:
            raise ValueError(
                f"Modality {name!r} has samples of shape {shape}, but {class_name(estimator)} was "
                f"fitted with {spec.shape}."
            )
        _compare_columns(estimator, name, value, spec)
        # Kinds are those of fit: the values of a few rows must not decide anew.
        if X._kinds[name] != spec.kind:
            check_kind(name, value, spec.kind, X._mask[:, j])
    kinds = {name: schema.kinds[name] for name in X.names}
    return Modalities._make(X._values, kinds, X._mask, X._ids)


def _compare_columns(estimator: Any, name: str, value: Value, spec: Spec) -> None:
    if spec.columns is None or not isinstance(value, pd.DataFrame):
        return
    if not all(isinstance(c, str) for c in (*spec.columns, *value.columns)):
        return
    if list(value.columns) != list(spec.columns):
        new = [c for c in value.columns if c not in spec.columns][:5]
        lost = [c for c in spec.columns if c not in value.columns][:5]
        problem = f"unseen {new}, absent {lost}."
        if not new and not lost:
            problem = f"they are in another order. {_first_difference(value.columns, spec.columns)}"
        raise ValueError(
            f"The column names of modality {name!r} should match those of fit "
            f"({class_name(estimator)}): {problem}"
        )


def _first_difference(given: Any, known: Any) -> str:
    """Return a sentence that names the first column that is not where it was in fit."""
    place = next(i for i, (a, b) in enumerate(zip(given, known, strict=True)) if a != b)
    return (
        f"Column {place} is {given[place]!r}, in fit it was {known[place]!r}: give them in the "
        "order of fit."
    )


def _requires_samples(estimator: Any, n_samples: int, min_samples: int) -> str:
    return (
        f"Found Modalities with {n_samples} sample(s) (n_samples={n_samples}) while a minimum of "
        f"{min_samples} is required by {class_name(estimator)}."
    )


def _requires_modalities(estimator: Any, X: Modalities, min_modalities: int) -> str:
    return (
        f"{class_name(estimator)} needs at least {min_modalities} modalities, got "
        f"{list(X.names)}. If a step before made one array of them, name their columns: "
        "modalities={name: columns}."
    )


def class_name(estimator: Any) -> str:
    return type(estimator).__name__
