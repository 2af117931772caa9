"""Intervals of held-out canonical correlations."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from sklearn.base import clone
from sklearn.model_selection import ShuffleSplit
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _num_samples

from skmm.inspection._codes import as_sliceable, codes_of, component_correlations, take

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class CorrelationIntervals:
    """Held-out canonical correlations with intervals.

    Attributes
    ----------
    estimates : ndarray of shape (n_components,)
        Mean held-out correlation over the splits.
    low, high : ndarray of shape (n_components,)
        Limits of the interval.
    standard_errors : ndarray of shape (n_components,)
        Of Fisher's z of the estimates.
    train : ndarray of shape (n_components,)
        Mean training correlation over the splits.
    splits : ndarray of shape (n_splits, n_components)
        Held-out correlation of each split.
    n_train : int
        Number of training rows in each split.
    confidence_level : float
        Nominal coverage.
    """

    estimates: Array
    low: Array
    high: Array
    standard_errors: Array
    train: Array
    splits: Array
    n_train: int
    confidence_level: float


def correlation_intervals(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    n_splits: int = 20,
    test_size: float = 0.2,
    n_blocks: int = 10,
    confidence_level: float = 0.95,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> CorrelationIntervals:
    """Estimate held-out canonical correlations, with intervals from repeated splits.

    What is estimated is the correlation that component k reaches on new rows when the estimator
    is fitted to `n_train` rows, in expectation over such training sets. It is below the
    population correlation, which no interval of held-out correlations covers when rows are few,
    and grows with the number of rows.

    Splits of the same rows are dependent, so that their scatter says little about the error of
    their mean. The standard error is that of a jackknife: the mean over the same splits is taken
    again with each of `n_blocks` blocks of rows left out. It errs on the wide side when few rows
    make components unstable.

    Parameters
    ----------
    estimator : estimator with transform_each, or Pipeline that ends in one
        It is cloned.
    X : Modalities, dict, DataFrame or array-like
        The data, in any form that the estimator takes.
    y : array-like, default=None
        The second modality if `X` is one.
    n_splits : int, default=20
        Number of random splits.
    test_size : float, default=0.2
        Share of the rows that are held out.
    n_blocks : int, default=10
        Number of blocks of the jackknife; the estimator is fitted
        ``n_splits * (n_blocks + 1)`` times.
    confidence_level : float, default=0.95
        Nominal coverage of each interval.
    n_jobs : int, default=None
        Number of joblib jobs; does not change the result of deterministic estimators.
    random_state : int, RandomState instance or None, default=None
        Seed of the splits and blocks.

    Returns
    -------
    result : CorrelationIntervals

    Raises
    ------
    ValueError
        If there are too few rows to hold out and to leave out blocks, or if a parameter is out of
        range.
    TypeError
        If the estimator has no ``transform_each``.

    References
    ----------
    C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine Learning 52 (2003),
    on why the variance over splits has to be corrected.

    J. Shao and D. Tu, "The Jackknife and Bootstrap" (1995), section 2.3, on groups of rows.

    Examples
    --------
    >>> from skmm import CCA
    >>> from skmm.datasets import load_digits_halves
    >>> from skmm.inspection import correlation_intervals
    >>> X, _ = load_digits_halves(return_X_y=True)
    >>> result = correlation_intervals(
    ...     CCA(n_components=2), X[:500], n_splits=5, random_state=0
    ... )
    >>> bool((result.low < result.estimates).all() and (result.estimates < result.train).all())
    True
    """
    X = as_sliceable(X)
    n_samples = _num_samples(X)
    rng = check_random_state(random_state)
    splitter = ShuffleSplit(n_splits, test_size=test_size, random_state=rng)
    splits = list(splitter.split(np.arange(n_samples)))
    _check(n_samples, len(splits[0][1]), n_blocks, confidence_level)
    blocks = rng.permutation(n_samples) % n_blocks
    parts = Parallel(n_jobs=n_jobs)(
        delayed(_split)(estimator, X, y, train, test, blocks, n_blocks) for train, test in splits
    )
    k = min(part.shape[1] for part in parts)
    correlations = np.array([part[:, :k] for part in parts])  # (splits, 1 + blocks + 1, k)
    means = correlations.mean(axis=0)
    z = np.arctanh(np.clip(means[1:], -1 + 1e-12, 1 - 1e-12))
    error = np.sqrt((n_blocks - 1) * z[1:].var(axis=0))
    margin = stats.t.ppf(0.5 + confidence_level / 2, n_blocks - 1) * error
    return CorrelationIntervals(
        estimates=means[1],
        low=np.tanh(z[0] - margin),
        high=np.tanh(z[0] + margin),
        standard_errors=error,
        train=means[0],
        splits=correlations[:, 1],
        n_train=len(splits[0][0]),
        confidence_level=confidence_level,
    )


def _split(
    estimator: Any, X: Any, y: Any, train: Array, test: Array, blocks: Array, n_blocks: int
) -> Array:
    """Return rows of correlations: training, held out, and held out without each block."""
    in_train, held_out = _heldout(estimator, X, y, train, test)
    rows = [in_train, held_out]
    for g in range(n_blocks):
        rows.append(
            _heldout(estimator, X, y, train[blocks[train] != g], test[blocks[test] != g])[1]
        )
    k = min(map(len, rows))
    return np.array([row[:k] for row in rows])


def _heldout(estimator: Any, X: Any, y: Any, train: Array, test: Array) -> tuple[Array, Array]:
    X_train, y_train = take(X, y, train)
    model = clone(estimator).fit(X_train, y_train)
    seen = component_correlations(codes_of(model, X_train, y_train))
    return seen, component_correlations(codes_of(model, *take(X, y, test)))


def _check(n_samples: int, n_test: int, n_blocks: int, confidence_level: float) -> None:
    if not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level must be between 0 and 1, got {confidence_level!r}")
    if not 2 <= n_blocks <= n_samples:
        raise ValueError(f"n_blocks must be in 2..{n_samples} (rows), got {n_blocks!r}")
    if n_test - -(-n_samples // n_blocks) < 3:
        raise ValueError(
            f"{n_test} held-out rows are too few when blocks of {-(-n_samples // n_blocks)} rows "
            "are left out: use more rows, a larger test_size or more blocks"
        )
