"""Bootstrap intervals of loadings."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import linalg, stats
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _num_samples

from skmm.inspection._codes import (
    as_sliceable,
    codes_of,
    columns_of,
    feature_names_of,
    structure_correlations,
    take,
)

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class LoadingIntervals:
    """Loadings with intervals, per modality.

    Attributes
    ----------
    loadings : dict of str to ndarray (d, n_components)
        Correlation of each column with its modality's own projections, on all rows.
    low, high : dict of str to ndarray (d, n_components)
        Limits of the interval.
    feature_names : dict of str to list of str
        Names of the columns.
    confidence_level : float
        Nominal coverage.
    n_bootstraps : int
        Number of bootstrap samples.
    """

    loadings: dict[str, Array]
    low: dict[str, Array]
    high: dict[str, Array]
    feature_names: dict[str, list[str]]
    confidence_level: float
    n_bootstraps: int


def loading_intervals(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    n_bootstraps: int = 200,
    match: Literal["rotation", "signs"] = "rotation",
    confidence_level: float = 0.95,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> LoadingIntervals:
    """Compute bootstrap intervals of the loadings, matched to those of all rows.

    A loading is the correlation of a column with its modality's own projection (a structure
    correlation). The components of a bootstrap sample come with other signs, in another order and
    rotated among each other where correlations are close; they are matched to the reference, the
    solution on all rows, before their scatter is taken. Intervals are symmetric in Fisher's z.

    Parameters
    ----------
    estimator : estimator with transform_each, or Pipeline that ends in one
        It is cloned.
    X : Modalities, dict, DataFrame or array-like
        The data, in any form that the estimator takes.
    y : array-like, default=None
        The second modality if `X` is one.
    n_bootstraps : int, default=200
        Number of bootstrap samples.
    match : {"rotation", "signs"}, default="rotation"
        ``"rotation"`` turns all components together by an orthogonal Procrustes rotation: what is
        covered are the population loadings in the orientation of the reference. ``"signs"`` only
        reorders and flips them: what is covered are the loadings of the single components, which
        needs canonical correlations that lie well apart.
    confidence_level : float, default=0.95
        Nominal coverage of each interval.
    n_jobs : int, default=None
        Number of joblib jobs; does not change the result of deterministic estimators.
    random_state : int, RandomState instance or None, default=None
        Seed of the bootstrap.

    Returns
    -------
    result : LoadingIntervals

    Raises
    ------
    ValueError
        If a parameter is out of range.
    TypeError
        If the estimator has no ``transform_each``.

    References
    ----------
    P. H. Schönemann, "A generalized solution of the orthogonal Procrustes problem", Psychometrika
    31 (1966).

    L. Milan and J. Whittaker, "Application of the parametric bootstrap to models that incorporate
    a singular value decomposition", Applied Statistics 44 (1995), on matching.

    Examples
    --------
    >>> from skmm import CCA
    >>> from skmm.datasets import make_shared_latent
    >>> from skmm.inspection import loading_intervals
    >>> X = make_shared_latent(n_samples=200, random_state=0).data
    >>> result = loading_intervals(CCA(n_components=2), X, n_bootstraps=50, random_state=0)
    >>> name = X.names[0]
    >>> bool((result.low[name] <= result.loadings[name]).all())
    True
    """
    _check(n_bootstraps, match, confidence_level)
    X = as_sliceable(X)
    n_samples = _num_samples(X)
    model = clone(estimator).fit(X, y)
    reference = structure_correlations(columns_of(model, X, y), codes_of(model, X, y))
    target = np.vstack(list(reference.values()))
    fixed = _fix_n_components(clone(estimator), target.shape[1])
    rng = check_random_state(random_state)
    rows = [rng.randint(n_samples, size=n_samples) for _ in range(n_bootstraps)]
    draws = Parallel(n_jobs=n_jobs)(
        delayed(_bootstrap)(fixed, X, y, r, target, match == "rotation") for r in rows
    )
    z = np.arctanh(np.clip(target, -1 + 1e-12, 1 - 1e-12))
    scatter = np.arctanh(np.clip(draws, -1 + 1e-12, 1 - 1e-12)).std(axis=0, ddof=1)
    margin = stats.norm.ppf(0.5 + confidence_level / 2) * scatter
    edges = np.cumsum([len(part) for part in reference.values()])[:-1]
    return LoadingIntervals(
        loadings=reference,
        low=dict(zip(reference, np.split(np.tanh(z - margin), edges), strict=True)),
        high=dict(zip(reference, np.split(np.tanh(z + margin), edges), strict=True)),
        feature_names=feature_names_of(model),
        confidence_level=confidence_level,
        n_bootstraps=n_bootstraps,
    )


def _bootstrap(estimator: Any, X: Any, y: Any, rows: Array, target: Array, rotate: bool) -> Array:
    X, y = take(X, y, rows)
    model = clone(estimator).fit(X, y)
    parts = structure_correlations(columns_of(model, X, y), codes_of(model, X, y))
    return matched(np.vstack(list(parts.values())), target, rotate=rotate)


def matched(loadings: Array, target: Array, *, rotate: bool) -> Array:
    """Turn loadings (d, k) to a target (d, k): by a rotation, or by order and signs only."""
    overlap = loadings.T @ target
    if rotate:
        left, _, right = linalg.svd(overlap)
        return loadings @ (left @ right)
    order, place = linear_sum_assignment(-np.abs(overlap))
    result = np.empty_like(target)
    result[:, place] = loadings[:, order] * np.where(overlap[order, place] < 0, -1.0, 1.0)
    return result


def _fix_n_components(estimator: Any, n_components: int) -> Any:
    """Let the bootstrap samples have as many components as the reference."""
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    last.set_params(n_components=n_components)
    return estimator


def _check(n_bootstraps: int, match: str, confidence_level: float) -> None:
    if n_bootstraps < 2:
        raise ValueError(f"n_bootstraps must be at least 2, got {n_bootstraps!r}")
    if match not in ("rotation", "signs"):
        raise ValueError(f"match must be 'rotation' or 'signs', got {match!r}")
    if not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level must be between 0 and 1, got {confidence_level!r}")
