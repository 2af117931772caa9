"""Arguments of metrics, checked: matrices of codes, single or named, with missing rows."""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array, column_or_1d

from skmm._modalities import Modalities
from skmm._modalities._check import LARGEST

Array = np.ndarray
Scores = Mapping[str, ArrayLike] | Sequence[ArrayLike]


def check_numbers(values: ArrayLike, name: str, **options: Any) -> Array:
    """Return a floating array, checked by scikit-learn."""
    dtypes = [np.float64, np.float32]
    # Its first pass adds inf and -inf, or numbers whose sum is too large.
    with np.errstate(invalid="ignore", over="ignore"):
        try:
            array: Array = check_array(
                values, dtype=dtypes, input_name=name, estimator="this metric", **options
            )
        except RuntimeError as error:  # of a tensor with a gradient
            raise TypeError(f"{name} cannot be made an array: {error}") from error
    return array


def check_codes(codes: ArrayLike, name: str) -> Array:
    """Return a floating (n, k) array whose rows are finite or NaN throughout."""
    array = check_numbers(codes, name, ensure_all_finite="allow-nan")
    partial = np.isnan(array).any(axis=1) & ~np.isnan(array).all(axis=1)
    if partial.any():
        raise ValueError(
            f"{name} contains NaN in {int(partial.sum())} rows that are not NaN throughout. A row "
            "is there or missing as a whole: drop or impute these rows."
        )
    return array


def present_rows(codes: Array) -> Array:
    """Return which rows are there."""
    return ~np.isnan(codes[:, 0])


def paired_codes(
    a: ArrayLike, b: ArrayLike, names: tuple[str, str] = ("a", "b"), *, same_width: bool = False
) -> tuple[Array, Array]:
    """Return the rows that both have, two or more of them."""
    a, b = check_codes(a, names[0]), check_codes(b, names[1])
    if len(a) != len(b):
        raise ValueError(
            f"{names[0]} has {len(a)} rows and {names[1]} has {len(b)}: row i of each must "
            "describe the same sample."
        )
    if same_width:
        check_same_width(a, b, names)
    both = present_rows(a) & present_rows(b)
    if both.sum() < 2:
        raise ValueError(
            f"{names[0]} and {names[1]} have {int(both.sum())} rows in common that are not "
            "missing; 2 or more are needed."
        )
    return a[both], b[both]


def check_same_width(a: Array, b: Array, names: tuple[str, str]) -> None:
    """Refuse codes that do not lie in one space."""
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"{names[0]} has {a.shape[1]} columns and {names[1]} has {b.shape[1]}: codes are "
            "compared in one common space. Project both to the same number of components."
        )


def check_labels(labels: ArrayLike, codes: Array, name: str) -> Array:
    """Return labels (n,), one for each row of the codes."""
    try:
        values: Array = column_or_1d(labels)
    except RuntimeError as error:  # of a tensor with a gradient
        raise TypeError(f"{name} cannot be made an array: {error}") from error
    if values.dtype.kind == "V":
        raise TypeError(f"{name} has dtype {values.dtype}, which holds no labels.")
    try:
        np.unique(values)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must hold labels of one type: {error}") from error
    if len(values) != len(codes):
        raise ValueError(
            f"{name} has {len(values)} entries, but there are {len(codes)} rows of codes."
        )
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise ValueError(f"{name} contains NaN: drop the rows without a label.")
    return values


def check_size(arrays: Mapping[str, Array]) -> None:
    """Refuse numbers whose squares overflow."""
    for name, array in arrays.items():
        largest = np.nanmax(np.abs(array), initial=0.0)
        if float(largest) > LARGEST:
            raise ValueError(f"{name} has values up to {largest:g}, too large to square: rescale.")


def named_values(values: Any, argument: str) -> dict[str, Any]:
    """Return the values by modality."""
    if not isinstance(values, Mapping | Modalities):
        raise TypeError(
            f"{argument} must be Modalities or a dict from modality to array, got {values!r}."
        )
    return dict(values.items())


def check_flag(argument: str, value: object) -> None:
    """Raise TypeError unless a value is true or false."""
    if not isinstance(value, Integral | np.bool_):
        raise TypeError(f"{argument} must be True or False, got {value!r}.")


def check_choice(argument: str, value: object, valid: Sequence[str]) -> None:
    """Raise ValueError unless a value is one of the valid names."""
    if not isinstance(value, str) or value not in valid:
        raise ValueError(f"{argument}={value!r} is unknown; it must be one of {list(valid)}.")


def named_scores(scores: Scores, argument: str) -> dict[str, Array]:
    """Return two or more modalities' codes by name; those of a sequence are numbered."""
    items = _items(scores, argument)
    if len(items) < 2:
        raise ValueError(
            f"{argument} has {len(items)} modalities ({list(items)}); 2 or more are needed."
        )
    codes = {name: check_codes(value, f"{argument}[{name!r}]") for name, value in items.items()}
    lengths = {name: len(value) for name, value in codes.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"The modalities of {argument} differ in their numbers of rows: {lengths}. Row i of "
            "each must describe the same sample."
        )
    return codes


def check_same_names(first: Mapping[str, Any], second: Mapping[str, Any], arguments: str) -> None:
    """Refuse different sets of modalities."""
    if set(first) != set(second):
        raise ValueError(
            f"{arguments} must have the same modalities, got {list(first)} and {list(second)}."
        )


def _items(scores: Any, argument: str) -> dict[str, ArrayLike]:
    if getattr(scores, "ndim", None) == 2:
        raise TypeError(
            f"{argument} is one {type(scores).__name__} of shape {scores.shape}; pass a dict from "
            "modality to codes, or a sequence of arrays, one per modality."
        )
    if isinstance(scores, Mapping | Modalities):
        return dict(scores.items())
    no_sequence = isinstance(scores, str | bytes) or getattr(scores, "ndim", 1) == 0
    if no_sequence or not isinstance(scores, Iterable):
        raise TypeError(
            f"{argument} must be a dict from modality to codes, or a sequence of arrays, got "
            f"{scores!r}."
        )
    return {str(number): value for number, value in enumerate(scores)}
