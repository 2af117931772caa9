"""How well hidden modalities are recovered."""

from numbers import Real
from typing import Any

import numpy as np

from skmm._modalities import Modalities, check_modalities, missing_mask
from skmm._random import Seed, check_random_state
from skmm.metrics._regression import r2_of_varying, varied_in_fit

Array = np.ndarray
NUMBERS = ("numeric", "binary", "count", "image")


def over_imputation_score(
    estimator: Any, X: Any, y: Any = None, *, fraction: float = 0.3, random_state: Seed = None
) -> dict[str, float]:
    """Hide observed modalities at random, impute them, and compare with the observed values.

    Parameters
    ----------
    estimator : estimator
        Fitted, with `impute`.
    X : Modalities, dict, DataFrame or array-like
        Held-out rows. What is missing stays missing and is not judged; rows without any modality
        are left out.
    y : array-like, default=None
        The second modality, if it was in `fit`; ignored otherwise.
    fraction : float, default=0.3
        Probability with which an observed modality is hidden; each row keeps one.
    random_state : int, RandomState instance or None, default=None
        Seeds the choice of hidden modalities.

    Returns
    -------
    scores : dict of str to float
        For numeric modalities the variance-weighted R² relative to the training means (`means_`
        of the estimator, else those of these rows), over the columns that varied in its `fit`; for
        labels the accuracy, for token ids that of all positions, padding included. A modality of
        which nothing was hidden, or that is constant in training, is left out.

    Raises
    ------
    TypeError
        If the estimator has no `impute`.
    ValueError
        If `fraction` is not in (0, 1), or nothing could be hidden.

    See Also
    --------
    get_scorer : "over_imputation" is the mean of these scores, "cross_reconstruction" hides one
        modality at a time.

    References
    ----------
    J. Honaker, G. King and M. Blackwell, "Amelia II: a program for missing data", Journal of
    Statistical Software 45 (2011), section 5.2 (overimputing).

    Examples
    --------
    >>> from skmm import CCA
    >>> from skmm.datasets import load_digits_halves
    >>> from skmm.metrics import over_imputation_score
    >>> X = load_digits_halves().data
    >>> cca = CCA(10, shrinkage=0.1).fit(X[:1000])
    >>> scores = over_imputation_score(cca, X[1000:], random_state=0)
    >>> sorted(scores)
    ['left', 'right']
    """
    if not hasattr(estimator, "impute"):
        raise TypeError(f"{type(estimator).__name__} has no impute: nothing can be recovered.")
    if not (isinstance(fraction, Real) and 0 < fraction < 1):
        raise ValueError(f"fraction must be in (0, 1), got {fraction!r}.")
    checked = check_modalities(
        estimator, X, y, reset=False, allow_partial=True, allow_empty_rows=True
    )
    # An empty row cannot be imputed or judged.
    checked = checked[~missing_mask(checked).all(axis=1)]
    hidden = _hidden(~missing_mask(checked), fraction, check_random_state(random_state))
    if not hidden.any():
        raise ValueError("Nothing was hidden: give rows with two modalities or more.")
    mask = dict(zip(checked.names, (missing_mask(checked) | hidden).T, strict=True))
    holes = Modalities(checked, missing=mask)
    filled = estimator.impute(holes)
    found = {name: rows for name, rows in zip(checked.names, hidden.T, strict=True) if rows.any()}
    kept = [name for name in found if not _is_constant(estimator, checked, name)]
    return {
        name: _score(checked, filled[name], name, found[name], estimator) for name in kept or found
    }


def _is_constant(estimator: Any, X: Modalities, name: str) -> bool:
    return X.kinds[name] in NUMBERS and not varied_in_fit(estimator, name, X[name]).any()


def _score(X: Modalities, filled: Any, name: str, rows: Array, estimator: Any) -> float:
    """Return how well one modality was recovered in the rows in which it was hidden."""
    true, guess = (np.asarray(part)[rows] for part in (X[name], filled))
    guess = guess.reshape(true.shape)
    if X.kinds[name] not in NUMBERS:
        return float(np.mean(true == guess))
    means = getattr(estimator, "means_", {})
    mean = means[name] if name in means else np.nanmean(np.asarray(X[name], dtype=float), axis=0)
    return r2_of_varying(name, true, guess, mean, varied_in_fit(estimator, name, true))


def _hidden(observed: Array, fraction: float, rng: np.random.RandomState) -> Array:
    """Return which modalities to hide (n_samples, n_modalities); a row keeps its largest draw."""
    draws = np.where(observed, rng.uniform(size=observed.shape), -1.0)
    stays = draws == draws.max(axis=1, keepdims=True)
    return observed & ~stays & (draws < fraction)
