"""How well modalities are reconstructed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skmm.metrics._check import check_same_names, named_values

Array = np.ndarray


def r2_per_modality(
    true: Mapping[str, ArrayLike],
    predicted: Mapping[str, ArrayLike],
    *,
    baseline: Mapping[str, ArrayLike],
) -> dict[str, float]:
    """Compute the variance-weighted R² of each modality relative to given (training) means.

    Parameters
    ----------
    true : dict of str to array-like (n_samples, ...), or Modalities
        What was observed, of any numeric shape. Missing rows and single NaN entries are left out.
    predicted : dict of str to array-like (n_samples, ...), or Modalities
        Predictions of the same modalities, of the same shapes.
    baseline : dict of str to array-like (...)
        What one would predict without a model: the mean of the *training* rows, for every
        modality of `true`; others are ignored.

    Returns
    -------
    r2 : dict of str to float
        ``1 - sum (true - predicted)² / sum (true - baseline)²`` over all entries of a modality,
        so that its columns weigh by their variance. 1 is best; 0 is no better than the training
        mean. A modality that does not differ from its baseline gets 1 if it is predicted exactly
        and 0 if not, as in scikit-learn.

    Raises
    ------
    ValueError
        If names or shapes differ, a prediction is not finite, or a modality has no observed
        entry.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.metrics import r2_per_modality
    >>> true = {"sound": np.array([[1.0, 2.0], [3.0, 6.0], [np.nan, np.nan]])}
    >>> predicted = {"sound": np.array([[1.0, 2.0], [3.0, 5.0], [0.0, 0.0]])}
    >>> r2_per_modality(true, predicted, baseline={"sound": [2.0, 4.0]})
    {'sound': 0.9}
    """
    truth, guess = named_values(true, "true"), named_values(predicted, "predicted")
    check_same_names(truth, guess, "true and predicted")
    means = named_values(baseline, "baseline")
    if lacking := [name for name in truth if name not in means]:
        raise ValueError(f"baseline lacks the modalities {lacking}; it has {list(means)}.")
    missing = getattr(true, "missing", None)
    return {
        name: _r2(name, value, guess[name], means[name], None if missing is None else missing[name])
        for name, value in truth.items()
    }


def varied_in_fit(estimator: Any, name: str, true: Array) -> Array:
    """Return which columns (width,) of a modality varied in fit, all if the estimator is silent."""
    known = getattr(estimator, "_varies", None)
    return np.ones(np.size(true[:1]), dtype=bool) if known is None else known(name)


def r2_of_varying(name: str, true: Array, predicted: Array, mean: Array, varies: Array) -> float:
    """Return R² of a modality over the columns that varied in fit; over all if none did."""
    kept = varies if varies.any() else ~varies
    true, predicted, mean = (
        np.reshape(part, (-1, len(kept)))[:, kept] for part in (true, predicted, mean)
    )
    return r2_per_modality({name: true}, {name: predicted}, baseline={name: mean[0]})[name]


def _r2(name: str, true: Any, predicted: Any, mean: Any, missing: Any) -> float:
    true, predicted = _flat(name, "true", true), _flat(name, "predicted", predicted)
    mean = _flat(name, "baseline", [mean])
    if true.shape != predicted.shape or true.shape[1] != mean.shape[1]:
        raise ValueError(
            f"Modality {name!r} has different shapes, flattened: {true.shape} in true, "
            f"{predicted.shape} in predicted, {mean.shape[1:]} in baseline."
        )
    observed = ~np.isnan(true)
    if missing is not None:
        observed &= ~np.asarray(missing)[:, None]
    if not observed.any():
        raise ValueError(f"Modality {name!r} has no observed entry in true.")
    for argument, values in (
        ("predicted", predicted),
        ("baseline", np.broadcast_to(mean, true.shape)),
    ):
        if not np.isfinite(values[observed]).all():
            raise ValueError(
                f"Modality {name!r} is NaN or infinite in {argument} where it is observed."
            )
    error = np.sum(np.square(true - predicted, where=observed, out=np.zeros_like(true)))
    total = np.sum(np.square(true - mean, where=observed, out=np.zeros_like(true)))
    return float(1.0 - error / total) if total > 0 else float(error == 0)


def _flat(name: str, argument: str, values: Any) -> Array:
    try:
        if np.iscomplexobj(given := np.asarray(values)):
            raise ValueError("they are complex")
        array = given.astype(np.float64, copy=False)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"Modality {name!r} in {argument} cannot be made numbers: {error}. R² is for numeric "
            "modalities."
        ) from error
    if array.ndim == 0:
        raise ValueError(f"Modality {name!r} in {argument} is a scalar; rows are on axis 0.")
    if array.size == 0:
        raise ValueError(f"Modality {name!r} in {argument} is empty, of shape {array.shape}.")
    if np.isinf(array).any():
        raise ValueError(f"Modality {name!r} in {argument} contains infinity.")
    return array.reshape(len(array), -1)
