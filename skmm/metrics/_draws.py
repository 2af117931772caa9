"""What the metrics of conditional samples accept: targets, and draws of them for every row."""

from collections.abc import Iterator, Sequence
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from skmm._modalities._chunks import SMALL, row_chunks
from skmm.metrics._check import check_choice, check_numbers, check_size

Array = np.ndarray
OF_ANY_RANK = {
    "ensure_2d": False,
    "allow_nd": True,
    "ensure_min_samples": 0,
    "ensure_min_features": 0,
}
AVERAGES = ("uniform_average", "raw_values")


def check_rows(values: ArrayLike, name: str, *, at_least: int = 1) -> Array:
    """Return a finite floating array of any rank with enough rows and at least one value in each.

    Unlike codes, targets and samples have no missing rows.
    """
    array = check_numbers(values, name, **OF_ANY_RANK)
    if array.ndim == 0:
        raise ValueError(f"{name} is a scalar, {values!r}; rows are on axis 0.")
    if len(array) < at_least or array.size == 0:
        raise ValueError(
            f"{name} has shape {array.shape}; {at_least} or more rows with a value are needed."
        )
    check_size({name: array})
    return array


def check_targets(values: ArrayLike, name: str, *, at_least: int = 1) -> Array:
    """Return rows (n, d) in double precision: 1-D is one column, N-D is flattened."""
    array = check_rows(values, name, at_least=at_least)
    return array.reshape(len(array), -1).astype(np.float64, copy=False)


def check_draws(y_true: ArrayLike, samples: ArrayLike) -> tuple[Array, Array]:
    """Return targets (n, d) and two or more draws (m, n, d) of each."""
    targets, draws = check_rows(y_true, "y_true"), check_rows(samples, "samples")
    row, one_column = targets.shape[1:], (len(targets), 1)
    same = draws.shape[1:] == targets.shape
    if not same and not (draws.ndim > 1 and {row, draws.shape[2:]} == {(), (1,)}):
        raise ValueError(
            f"samples has shape {draws.shape} and y_true {targets.shape}: samples must be of "
            "shape (n_draws, *y_true.shape)."
        )
    if draws.shape[1] != len(targets):
        raise ValueError(
            f"samples has {draws.shape[1]} rows on axis 1 and y_true has {len(targets)}: "
            "samples[:, i] must be draws of y_true[i]."
        )
    if len(draws) < 2:
        raise ValueError(f"samples has {len(draws)} draw of each row; 2 or more are needed.")
    flat = one_column if not row else (len(targets), int(np.prod(row)))
    return targets.reshape(flat).astype(np.float64, copy=False), draws.reshape(-1, *flat)


def check_pair(first: ArrayLike, second: ArrayLike, names: tuple[str, str]) -> tuple[Array, Array]:
    """Return two samples (n, d) and (m, d) of one space, with two rows or more each."""
    a, b = (check_rows(v, n, at_least=2) for v, n in zip((first, second), names, strict=True))
    if a.shape[1:] != b.shape[1:] and {a.shape[1:], b.shape[1:]} != {(), (1,)}:
        raise ValueError(
            f"{names[0]} has rows of shape {a.shape[1:]} and {names[1]} of shape {b.shape[1:]}: "
            "samples are compared in one common space."
        )
    return check_targets(a, names[0]), check_targets(b, names[1])


def check_positive(value: object, name: str, *, below: float = np.inf) -> float:
    """Return a number above 0, and below a bound."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < below:
        raise ValueError(f"{name} must be a number in (0, {below:g}), got {value!r}.")
    return float(value)


def row_batches(draws: Array) -> Iterator[tuple[slice, Array]]:
    """Yield slices of rows, and their draws in double precision."""
    m, n, d = draws.shape
    for rows in row_chunks(n, m * d, SMALL):
        yield rows, draws[:, rows].astype(np.float64, copy=False)


def over_columns(values: Array, multioutput: str) -> float | Array:
    """Return the scores of the columns, or their mean."""
    return values if multioutput == "raw_values" else float(values.mean())


def check_multioutput(multioutput: str, valid: Sequence[str] = AVERAGES) -> None:
    """Refuse other ways to treat columns."""
    check_choice("multioutput", multioutput, valid)
