"""Intervals of held-out correlations, by splits, and of loadings, by the bootstrap."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm
from sklearn.base import clone
from sklearn.model_selection import ShuffleSplit
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _num_samples

from skmm._random import check_random_state
from skmm.compose._steps import last_step
from skmm.inspection._checks import check_count, check_n_rows, check_share
from skmm.inspection._correlations import (
    held_out_correlations,
    loadings_by_modality,
    training_correlations,
    unfitted_choice,
)
from skmm.inspection._fitted import fitted_step, names_of_fit, sliceable
from skmm.metrics._paired import CorrectedMean

Array = np.ndarray


def correlation_intervals(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    n_repeats: int = 50,
    test_size: float = 0.5,
    confidence: float = 0.95,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame:
    """Compute confidence intervals of held-out canonical correlations, by repeated splits.

    Each repeat fits a clone on some rows and correlates its projections of the others.

    Parameters
    ----------
    estimator : CCA, Pipeline or search that ends in one
        Fitted or not: only clones of it are fitted. Also any other estimator with
        `transform_each`, `n_components_` and `canonical_correlations_`.
    X : Modalities, dict, DataFrame or array-like
        Two or more modalities in any of the forms of :func:`skmm.check_modalities`.
    y : array-like, default=None
        As in `fit`.
    n_repeats : int, default=50
        Number of random splits J, at least 2.
    test_size : float, default=0.5
        Share of the rows that are held out, in (0, 1). See Notes before choosing less.
    confidence : float, default=0.95
        Nominal probability, in (0, 1), that an interval contains its estimand.
    n_jobs : int, default=None
        Number of joblib jobs; does not change the result.
    random_state : int, RandomState instance or None, default=None
        Seeds the splits.

    Returns
    -------
    intervals : DataFrame of shape (n_components + 1, 4)
        Indexed by component, 0 to n_components - 1, then "total", the sum over the components.
        Columns: `estimate`, `lower`, `upper`, and `training`, the correlation in `X` of a clone
        fitted on all of `X`, for contrast.

    Raises
    ------
    TypeError
        If the estimator has no canonical correlations.
    ValueError
        If `confidence` or `test_size` is not in (0, 1), `n_repeats` is less than 2, or a part of
        the split has fewer than 3 rows.

    See Also
    --------
    CorrelationDisplay : Training and held-out correlations as a drawing.
    loading_intervals : Intervals of what the components consist of.

    Notes
    -----
    **Estimand.** The correlation, on new rows of the same population, of component k of this
    estimator fitted on ``n_train = n - ceil(test_size n)`` rows, in expectation over these
    training rows. With more than two modalities it is the mean over the pairs. Whatever `fit`
    chooses (a search, ``n_components="auto"``) each clone chooses anew; a component that a clone
    does not have counts 0, and the number of components is that of a fit to all rows.

    **What the intervals are not.** They are no intervals of the population canonical
    correlation, which is larger: it belongs to the best directions, not to estimated ones. An
    estimator fitted on all rows mostly has larger held-out correlations than one fitted on
    `n_train`. Each interval stands for itself: the level is not simultaneous over components.

    **Formula.** With mean m and variance s² (dividing by J - 1) of the J held-out correlations,
    n_test held-out rows, and t the quantile of Student's distribution with J - 1 degrees of
    freedom, the interval is m ± t √((1/J + n_test/n_train) s²), cut at -1 and 1 (for the total at
    minus and plus the number of components). The second term in the bracket is the correction of
    [1]_: repeats share rows, so that more of them do not add information. It supposes that two
    repeats correlate as much as the share of rows that they hold out. Where the directions vary
    much with the training rows (few rows per column), overlapping training sets correlate more
    than that, and a small `test_size` gives intervals that are too short; the default of one half
    does not. The price is an estimand of half the rows.

    A bootstrap of the training correlations has no such reading: they are too high, and
    repeated rows raise them further.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio (2003). Inference for the generalization error. Machine Learning
       52, section 3, corrected resampled t-test.

    Examples
    --------
    >>> from skmm import CCA
    >>> from skmm.datasets import make_shared_latent
    >>> from skmm.inspection import correlation_intervals
    >>> X = make_shared_latent(200, correlations=[0.9], random_state=0).data
    >>> table = correlation_intervals(CCA(n_components=2), X, random_state=0)
    >>> list(table.index)
    [0, 1, 'total']
    >>> (table["training"] > table["estimate"]).all()
    np.True_
    >>> (table["lower"] > 0).tolist()
    [True, False, True]
    """
    check_share("confidence", confidence)
    check_share("test_size", test_size)
    check_count("n_repeats", n_repeats)
    X = sliceable(X)
    splits = _splits(_num_samples(X), n_repeats, test_size, random_state)
    model, _ = fitted_step(clone(estimator).fit(X, y), X)
    training = training_correlations(model)
    held_out = held_out_correlations(estimator, X, y, splits, len(training), n_jobs)
    ratio = len(splits[0][1]) / len(splits[0][0])
    return _corrected_intervals(held_out, ratio, confidence, training)


def loading_intervals(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    n_bootstrap: int = 200,
    confidence: float = 0.95,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame:
    """Compute confidence intervals of loadings, by the bootstrap over rows.

    A loading is the correlation of a column with its own modality's projection. Each replicate
    fits a clone on rows drawn with replacement and gives its components the order and signs in
    which they agree best with those of the data.

    Parameters
    ----------
    estimator : CCA, Pipeline or search that ends in one
        Fitted or not: only clones of it are fitted. Also any other linear estimator with
        `transform_each` and `n_components_`.
    X : Modalities, dict, DataFrame or array-like
        Two or more modalities in any of the forms of :func:`skmm.check_modalities`. With a
        pipeline, the columns are those that its last step sees; their number must not depend on
        the rows.
    y : array-like, default=None
        As in `fit`.
    n_bootstrap : int, default=200
        Number of replicates, at least 2.
    confidence : float, default=0.95
        Nominal probability, in (0, 1), that an interval contains the population's loading.
    n_jobs : int, default=None
        Number of joblib jobs; does not change the result.
    random_state : int, RandomState instance or None, default=None
        Seeds the replicates.

    Returns
    -------
    intervals : DataFrame
        One row for each modality, column and component, with the columns `modality`, `feature`
        (the name of the column, ``name[j]`` if it has none), `component`, `estimate`, `lower`,
        `upper`. The bounds are NaN for a component that fewer than two replicates have.

    Raises
    ------
    ValueError
        If `confidence` is not in (0, 1), `n_bootstrap` is less than 2, `X` has fewer than 3 rows,
        or a replicate has other columns than the data.

    See Also
    --------
    LoadingsDisplay : The loadings as a drawing.
    correlation_intervals : Which components to believe.

    Notes
    -----
    **Estimand.** The loadings of the population, of components in the order of their population
    correlations; the sign of a component is arbitrary. They exist where the correlations of the
    components differ. Components of (nearly) equal correlation, or of none, are determined only
    up to rotation: intervals of their loadings mean nothing. With shrinkage the intervals are
    about the loadings of the shrunk solution, since the replicates share its bias. What a search
    or ``n_components="auto"`` chooses on all rows is kept in the replicates.

    **Formula.** With s the standard deviation of a loading's Fisher transforms artanh(l) over the
    replicates and q the normal quantile, the interval is tanh(artanh(l) ± q s). It has better
    coverage than percentiles and cannot leave [-1, 1].

    **Matching.** Order and signs are those of largest sum of absolute inner products with the
    loadings of the data, over all modalities. A rotation (Procrustes) would also undo turns
    within the space of the components, which are errors of the single loadings: its intervals
    are too short.

    About 63 % of the rows are distinct in a replicate: without shrinkage that number should
    exceed the total number of columns by far.

    References
    ----------
    .. [1] B. Efron, R. Tibshirani (1993). An Introduction to the Bootstrap. Chapman & Hall,
       chapters 12 and 13.

    Examples
    --------
    >>> from skmm import CCA
    >>> from skmm.datasets import make_shared_latent
    >>> from skmm.inspection import loading_intervals
    >>> X = make_shared_latent(
    ...     300, correlations=[0.9, 0.6], n_features={"rna": 4, "protein": 3}, random_state=0
    ... ).data
    >>> table = loading_intervals(CCA(n_components=2), X, n_bootstrap=50, random_state=0)
    >>> table.shape
    (14, 6)
    >>> table[["modality", "feature", "component"]].head(2)
      modality feature  component
    0      rna  rna[0]          0
    1      rna  rna[0]          1
    """
    check_share("confidence", confidence)
    check_count("n_bootstrap", n_bootstrap)
    X = sliceable(X)
    check_n_rows("the bootstrap", _num_samples(X))
    full = clone(estimator).fit(X, y)
    model, _ = fitted_step(full, X)
    reference = _stacked_loadings(full, X, y)
    unfitted = unfitted_choice(full, model)
    seeds = check_random_state(random_state).randint(2**31 - 1, size=n_bootstrap)
    replicates = Parallel(n_jobs=n_jobs)(
        delayed(_replicate)(clone(unfitted), X, y, seed, reference) for seed in seeds
    )
    lower, upper = _fisher_intervals(reference, np.array(replicates), confidence)
    return _long_table(_features(model), reference, lower, upper)


def _splits(
    n_rows: int, n_repeats: int, test_size: float, random_state: int | np.random.RandomState | None
) -> list[tuple[Array, Array]]:
    n_test = int(np.ceil(test_size * n_rows))
    for part, size in (("training", n_rows - n_test), ("held-out", n_test)):
        check_n_rows(f"The {part} part of {n_rows} rows with test_size={test_size!r}", size)
    seeds = check_random_state(random_state)
    splits = ShuffleSplit(n_splits=n_repeats, test_size=n_test, random_state=seeds)
    return list(splits.split(np.empty(n_rows)))


def _corrected_intervals(
    held_out: Array, test_to_train: float, confidence: float, training: Array
) -> pd.DataFrame:
    """Return the table from the held-out correlations (n_repeats, n_components)."""
    k = held_out.shape[1]
    values = np.column_stack([held_out, held_out.sum(axis=1)])
    corrected = CorrectedMean.of(values, test_to_train)
    lower, upper = corrected.interval(confidence)
    bound = np.append(np.ones(k), k)
    columns = {
        "estimate": corrected.mean,
        "lower": np.maximum(lower, -bound),
        "upper": np.minimum(upper, bound),
        "training": np.append(training, training.sum()),
    }
    return pd.DataFrame(columns, index=pd.Index([*range(k), "total"], name="component"))


def _stacked_loadings(fitted: Any, X: Any, y: Any) -> Array:
    """Return the loadings (columns of all modalities, n_components)."""
    model, inner = fitted_step(fitted, X)
    return np.vstack(list(loadings_by_modality(model, inner, y).values()))


def _replicate(estimator: Any, X: Any, y: Any, seed: int, reference: Array) -> Array:
    """Return the matched loadings of one bootstrap sample; NaN for components it lacks."""
    n_rows = _num_samples(X)
    rows = np.random.RandomState(seed).randint(n_rows, size=n_rows)
    X, y = _safe_indexing(X, rows), None if y is None else _safe_indexing(y, rows)
    loadings = _stacked_loadings(_fit_at_any_rank(estimator, X, y), X, y)
    if len(loadings) != len(reference):
        raise ValueError(
            f"A replicate has {len(loadings)} columns, the data have {len(reference)}: leave out "
            "pipeline steps that choose columns by the rows."
        )
    return _match(loadings, reference)


def _fit_at_any_rank(estimator: Any, X: Any, y: Any) -> Any:
    """Fit; repeated rows may have a lower rank, and with it fewer components than asked for."""
    try:
        return estimator.fit(X, y)
    except ValueError:
        last = last_step(estimator)
        if getattr(last, "n_components", None) is None:
            raise
        last.set_params(n_components=None)
        return estimator.fit(X, y)


def _match(loadings: Array, reference: Array) -> Array:
    """Give the components the order and signs that agree best with the reference."""
    products = loadings.T @ reference
    own, theirs = linear_sum_assignment(-np.abs(products))
    signs = np.where(products[own, theirs] < 0, -1.0, 1.0)
    matched = np.full_like(reference, np.nan)
    matched[:, theirs] = signs * loadings[:, own]
    return matched


def _fisher_intervals(
    reference: Array, replicates: Array, confidence: float
) -> tuple[Array, Array]:
    there = ~np.isnan(replicates)
    counts = there.sum(axis=0)
    z = np.where(there, _artanh(replicates), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):  # fewer than two replicates give NaN
        deviations = np.where(there, z - z.sum(axis=0) / counts, 0.0)
        spread = np.sqrt(np.sum(deviations**2, axis=0) / (counts - 1))
    margin = norm.ppf((1 + confidence) / 2) * np.where(counts > 1, spread, np.nan)
    centre = _artanh(reference)
    return np.tanh(centre - margin), np.tanh(centre + margin)


def _artanh(r: Array) -> Array:
    """Return Fisher's transform, finite at -1 and 1: there tanh of it rounds back."""
    limit = np.nextafter(1.0, 0.0)
    return np.arctanh(np.clip(r, -limit, limit))


def _features(model: Any) -> list[tuple[str, str]]:
    """Return modality and name of each column, in the order of the stacked loadings."""
    schema = model._schema
    known = names_of_fit(schema, schema.names)
    return [
        (name, known[name][j] if name in known else f"{name}[{j}]")
        for name in schema.names
        for j in range(schema.widths[name])
    ]


def _long_table(
    features: list[tuple[str, str]], estimate: Array, lower: Array, upper: Array
) -> pd.DataFrame:
    n_columns, k = estimate.shape
    modalities, names = zip(*features, strict=True)
    return pd.DataFrame(
        {
            "modality": np.repeat(modalities, k),
            "feature": np.repeat(names, k),
            "component": np.tile(np.arange(k), n_columns),
            "estimate": estimate.ravel(),
            "lower": lower.ravel(),
            "upper": upper.ravel(),
        }
    )
