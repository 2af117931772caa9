"""How much the score of an estimator owes to each modality."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t
from sklearn.metrics import check_scoring
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skmm._modalities import Modalities, missing_mask, with_values
from skmm._modalities._frames import level_columns, resolve_selectors, take_columns
from skmm._modalities._ids import ids_of, warn_of_other_rows
from skmm._modalities._values import as_value, is_sparse, missing_rows, take_rows
from skmm._random import check_random_state
from skmm.inspection._checks import (
    check_count,
    check_modality_names,
    check_n_rows,
    check_share,
)
from skmm.inspection._fitted import sliceable
from skmm.metrics._check import check_choice

Array = np.ndarray
Method = Literal["permutation", "drop"]
METHODS = ("permutation", "drop")


def modality_importance(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    method: Method = "permutation",
    modalities: Sequence[str] | Mapping[str, Any] | None = None,
    scoring: str | Callable[..., float] | None = None,
    n_repeats: int = 10,
    sample_weight: ArrayLike | None = None,
    confidence: float = 0.95,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame:
    """Compute by how much the score of a fitted estimator falls if a modality is spoilt.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        Fitted; it is not fitted again.
    X : Modalities, dict, DataFrame or array-like of shape (n_samples, n_columns)
        Rows to score, best ones that `fit` has not seen. Of a flat array or DataFrame the columns
        of each modality are those of the first step with a parameter `modalities`; what the steps
        before it make of `X` is permuted.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Target, if the score needs one.
    method : {"permutation", "drop"}, default="permutation"
        With ``"permutation"`` the rows of a modality are exchanged, all its columns together and
        with them what is missing; with ``"drop"`` it is missing in every row, which the estimator
        must accept.
    modalities : list of str, or dict of str to selector, default=None
        The modalities to spoil; or, for a flat array or DataFrame and an estimator that knows of
        no modalities, the columns of each. None takes all.
    scoring : str or callable, default=None
        As in scikit-learn; higher is better. None is the `score` of `estimator`.
    n_repeats : int, default=10
        Number of permutations, and of bootstrap samples of the rows, at least 2.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights, for a score that takes them.
    confidence : float, default=0.95
        Nominal probability, in (0, 1), that an interval contains the importance.
    n_jobs : int, default=None
        Number of joblib jobs; does not change the result.
    random_state : int, RandomState instance or None, default=None
        Seeds permutations and bootstrap.

    Returns
    -------
    importances : DataFrame of shape (n_modalities, 5)
        Indexed by modality. Columns: `estimate`, the fall of the score; `std`, its standard
        error; `lower` and `upper`, the interval; `baseline`, the score of `X` as it is.

    Raises
    ------
    NotFittedError
        If `estimator` is not fitted.
    TypeError
        If `X` is a sparse matrix or `scoring` not a single score.
    ValueError
        If nothing names the modalities of `X`, the estimator cannot do without one that is to be
        dropped, a score is not finite, or a parameter is out of range.

    See Also
    --------
    ModalityImportanceDisplay : The table as a drawing.
    variance_explained : What the components say of each modality.
    sklearn.inspection.permutation_importance : Of single columns.

    Notes
    -----
    **What is measured.** The fitted estimator, not the data: how much *it* loses [1]_ (model
    reliance [3]_). The reading is conditional on the other modalities. If two modalities say the
    same, the estimator shares its weight between them or uses one only; to spoil either then leaves
    the information of the other, and both may seem unimportant though together they are all there
    is. A permutation moreover joins parts of different rows, on which a flexible model
    extrapolates. ``"drop"`` shows what the model loses where the modality was not recorded, with
    whatever it makes of missing ones; it is not a fit without the modality either.

    The methods differ in scale. For R² of a linear regression on independent modalities, of which
    one contributes c to the prediction, dropping (with the mean in its place) costs
    Var(c) / Var(y), and permuting twice that: permuted values are not just uninformative, they
    mislead [2]_. Compare modalities within a method, not methods.

    **Formula.** With s(X) the score and X' the spoilt rows, `estimate` is s(X) - s(X'), for
    ``"permutation"`` the mean over `n_repeats` permutations, each used for every modality.
    `std` is the standard deviation, dividing by `n_repeats` - 1, of s(X_b) - s(X_b') over bootstrap
    samples X_b of the rows, each with its own permutation; both scores are of the same sample. The
    interval is `estimate` ± t `std`, t the quantile of Student's distribution with
    `n_repeats` - 1 degrees of freedom, which makes few samples enough [4]_. It covers the choice
    of test rows and the permutations, not that of training rows. As `std` has the noise of one
    permutation and `estimate` that of a mean of them, intervals for ``"permutation"`` are rather
    too long. Rows that depend on each other make them too short. Where rows compete in the score
    (retrieval among the rows of `X`), the repeated rows of a sample distort it: `estimate` is
    right, the interval need not be.

    A row that has nothing but the permuted modality gets that of a row that has it, so that no
    row loses everything.

    A score that judges the modalities themselves (reconstruction, log-likelihood) is of fewer data
    if one is dropped, and may rise: use ``"drop"`` with scores against `y`.

    References
    ----------
    .. [1] L. Breiman (2001). Random Forests. Machine Learning 45, section 10.
    .. [2] B. Gregorutti, B. Michel, P. Saint-Pierre (2015). Grouped variable importance with random
       forests and application to multivariate functional data analysis. Computational Statistics &
       Data Analysis 90, section 2.
    .. [3] A. Fisher, C. Rudin, F. Dominici (2019). All Models are Wrong, but Many are Useful.
       Journal of Machine Learning Research 20 (177).
    .. [4] H. Lam (2022). A Cheap Bootstrap Method for Fast Inference. arXiv:2202.00090.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skmm.compose import ConcatModalities
    >>> from skmm.datasets import load_digits_halves
    >>> from skmm.inspection import modality_importance
    >>> X, y = load_digits_halves(return_X_y=True)
    >>> pipe = make_pipeline(ConcatModalities(), StandardScaler(), LogisticRegression())
    >>> pipe = pipe.fit(X[:1000], y[:1000])
    >>> table = modality_importance(pipe, X[1000:], y[1000:], random_state=0)
    >>> list(table.index), list(table)
    (['left', 'right'], ['estimate', 'std', 'lower', 'upper', 'baseline'])
    >>> bool((table["lower"] > 0.2).all())
    True
    """
    # A table, as of all functions of this package that give a figure per modality or component:
    # it can be sorted, joined and written. The baseline is a column, since attrs get lost thereby.
    check_choice("method", method, METHODS)
    check_count("n_repeats", n_repeats)
    check_share("confidence", confidence)
    _check_scoring(scoring)
    check_is_fitted(estimator)
    X = sliceable(X)
    warn_of_other_rows(X, y=y, sample_weight=sample_weight)
    check_consistent_length(*(part for part in (X, y, sample_weight) if part is not None))
    if (ids := ids_of(X)) is not None and ids.named:
        y = ids.put_on(y)  # so that parts of the rows do not warn again
    model, data = _read(estimator, X, y, sample_weight, modalities)
    check_n_rows("X", len(data))
    scorer = check_scoring(model, scoring=scoring)
    names = list(data.missing)
    if not isinstance(modalities, Mapping):
        names = check_modality_names(modalities, names)
    baseline = _score(scorer, model, data)
    seeds = check_random_state(random_state).randint(2**31 - 1, size=(2, n_repeats))
    tasks = [(int(seed), False) for seed in seeds[0][: n_repeats if method == "permutation" else 1]]
    n_tasks = len(tasks)
    tasks += [(int(seed), True) for seed in seeds[1]]
    falls = np.array(
        Parallel(n_jobs=n_jobs)(
            delayed(_falls)(
                scorer, model, data, names, method, seed, None if is_sample else baseline
            )
            for seed, is_sample in tasks
        )
    )
    return _table(names, falls[:n_tasks], falls[n_tasks:], baseline, confidence)


@dataclass(frozen=True)
class _Data:
    """Rows to score; in arrays and DataFrames each modality has its columns."""

    X: Any
    y: Any
    sample_weight: Any
    columns: Mapping[str, Array] | None
    missing: Mapping[str, Array]

    def __len__(self) -> int:
        return len(next(iter(self.missing.values())))

    def take(self, rows: Array) -> "_Data":
        """Return these rows."""

        def of(values: Any) -> Any:
            return None if values is None else _safe_indexing(values, rows)

        missing = {name: mask[rows] for name, mask in self.missing.items()}
        return _Data(of(self.X), of(self.y), of(self.sample_weight), self.columns, missing)

    def spoilt(self, name: str, donors: Array | None) -> "_Data":
        """Return a copy in which row i has this modality of row `donors[i]`, or none for None."""
        if self.columns is not None:
            return replace(self, X=_exchange_columns(self.X, self.columns[name], donors))
        if donors is None:
            return replace(self, X=self.X.with_missing(name))
        return replace(self, X=_exchange_modality(self.X, name, donors))


def _exchange_modality(X: Modalities, name: str, donors: Array) -> Modalities:
    values, mask = dict(X._values), missing_mask(X).copy()
    # The index, which the container puts on it, stays: rows are exchanged, not renamed.
    values[name] = take_rows(values[name], donors)
    j = X.names.index(name)
    mask[:, j] = mask[donors, j]
    return with_values(X, values, mask=mask)


def _exchange_columns(X: Any, numbers: Array, donors: Array | None) -> Any:
    """Return columns of a DataFrame or an array in the order of the donors, or NaN for None."""
    if isinstance(X, pd.DataFrame):
        X, rows = X.copy(), np.full(len(X), -1) if donors is None else donors
        for number in numbers:
            column = X.iloc[:, number].array
            X.isetitem(number, column.take(rows, allow_fill=donors is None))
        return X
    if donors is None:
        spoilt = X.astype(np.result_type(X, np.float32))  # integers have no NaN
        spoilt[:, numbers] = np.nan
    else:
        spoilt = X.copy()
        spoilt[:, numbers] = X[np.ix_(donors, numbers)]
    return spoilt


def _check_scoring(scoring: Any) -> None:
    if scoring is not None and not isinstance(scoring, str) and not callable(scoring):
        raise TypeError(
            f"scoring={scoring!r} must be one score: a name of scikit-learn, a callable "
            "(estimator, X, y) such as skmm.metrics.get_scorer gives, or None."
        )


def _read(estimator: Any, X: Any, y: Any, sample_weight: Any, modalities: Any) -> tuple[Any, _Data]:
    """Return the estimator to score, and the data to score it on."""
    weights = None if sample_weight is None else np.asarray(sample_weight)
    columns: Mapping[str, Array] | None
    is_frame = isinstance(X, pd.DataFrame) and X.columns.nlevels == 2
    if isinstance(X, Modalities) or is_frame:
        if isinstance(modalities, Mapping):
            raise ValueError(
                "modalities= as a dict selects columns of a flat array or DataFrame, but X names "
                "its modalities. Pass a list of names, or None for all."
            )
        columns = level_columns(X.columns) if is_frame else None
    else:
        X = _check_flat(X)
        if isinstance(modalities, Mapping):
            columns = resolve_selectors(X, modalities)
        else:
            estimator, X, columns = _find_columns(estimator, X)
    return estimator, _Data(X, y, weights, columns, _missing(X, columns))


def _check_flat(X: Any) -> Any:
    if is_sparse(X):
        raise TypeError(
            "X is a sparse matrix, whose columns cannot be exchanged: pass Modalities, each of "
            "which may be sparse, or a dense array."
        )
    X = as_value("X", X)
    if X.ndim != 2:
        raise ValueError(f"X has shape {X.shape}: pass Modalities({{name: X, ...}}) or columns.")
    return X


def _find_columns(estimator: Any, X: Any) -> tuple[Any, Any, Mapping[str, Array]]:
    """Return the estimator from the step on that names columns, X before it, and the columns."""
    if hasattr(estimator, "best_estimator_"):
        model, X, columns = _find_columns(estimator.best_estimator_, X)
        search = copy.copy(estimator)  # keeps the search's own score
        search.best_estimator_ = model
        return search, X, columns
    steps = estimator.steps if isinstance(estimator, Pipeline) else [("", estimator)]
    for k, (_, step) in enumerate(steps):
        if columns := getattr(getattr(step, "_schema", None), "numbers", {}):
            if k:
                estimator, X = estimator[k:], _check_flat(estimator[:k].transform(X))
            return estimator, X, columns
    raise ValueError(
        f"X is a {type(X).__name__} without modality names, and {type(estimator).__name__} was not "
        "fitted with modalities={name: columns}: pass modalities={name: columns} here. Of two "
        "arrays X and y that are modalities both, pass {'X': X, 'y': y}."
    )


def _missing(X: Any, columns: Mapping[str, Array] | None) -> dict[str, Array]:
    """Return which rows lack each modality."""
    if columns is None:
        return {name: missing_mask(X)[:, j] for j, name in enumerate(X.names)}
    return {name: missing_rows(take_columns(X, numbers)) for name, numbers in columns.items()}


def _score(scorer: Any, model: Any, data: _Data) -> float:
    weights = {} if data.sample_weight is None else {"sample_weight": data.sample_weight}
    score = scorer(model, data.X, data.y, **weights)
    if isinstance(score, Mapping) or not np.isfinite(score):
        raise ValueError(
            f"The score of {len(data)} rows, which may be a bootstrap sample, is {score!r}, not a "
            "finite number: use more rows or another scoring."
        )
    return float(score)


def _falls(
    scorer: Any,
    model: Any,
    data: _Data,
    names: Sequence[str],
    method: Method,
    seed: int,
    baseline: float | None,
) -> list[float]:
    """Return the fall of the score for each modality; without a baseline, of a bootstrap sample."""
    rng = np.random.RandomState(seed)
    n_rows = len(data)
    permutation, order = rng.permutation(n_rows), rng.permutation(n_rows)
    if baseline is None:
        data = data.take(rng.randint(n_rows, size=n_rows))
        baseline = _score(scorer, model, data)
    if method == "drop":
        return [baseline - _score_without(scorer, model, data, name) for name in names]
    spoilt = (data.spoilt(n, _donors(data.missing, n, permutation, order)) for n in names)
    return [baseline - _score(scorer, model, one) for one in spoilt]


def _score_without(scorer: Any, model: Any, data: _Data, name: str) -> float:
    try:
        return _score(scorer, model, data.spoilt(name, None))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{type(model).__name__} cannot be scored with modality {name!r} missing, as "
            "method='drop' asks for. Use method='permutation', or an estimator that accepts or "
            f"imputes missing modalities (SimpleImputer in a Pipeline). It said: {error}"
        ) from error


def _donors(missing: Mapping[str, Array], name: str, permutation: Array, order: Array) -> Array:
    """Return the permutation, such that rows with nothing else get this modality again.

    They exchange what they got with other rows in a random order, so that all permutations
    without empty rows are equally likely.
    """
    donors, own = permutation.copy(), missing[name]
    others = [mask for other, mask in missing.items() if other != name]
    dependent = ~own & np.logical_and.reduce([np.ones(len(own), dtype=bool), *others])
    lost = own[donors]
    needy = np.flatnonzero(dependent & lost)
    giving = order[(~dependent & ~lost)[order]][: len(needy)]
    donors[needy], donors[giving] = donors[giving], donors[needy]
    return donors


def _table(
    names: list[str], falls: Array, samples: Array, baseline: float, confidence: float
) -> pd.DataFrame:
    estimate, std = falls.mean(axis=0), samples.std(axis=0, ddof=1)
    margin = t.ppf((1 + confidence) / 2, len(samples) - 1) * std
    columns = {
        "estimate": estimate,
        "std": std,
        "lower": estimate - margin,
        "upper": estimate + margin,
        "baseline": baseline,
    }
    return pd.DataFrame(columns, index=pd.Index(names, name="modality"))
