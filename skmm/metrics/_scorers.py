"""Scorers: the metrics with the signature of scikit-learn's model selection."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skmm._modalities import check_modalities
from skmm._modalities._output import arrays_only
from skmm.compose._steps import last_step_and_input
from skmm.metrics._average_precision import mean_average_precision
from skmm.metrics._check import check_choice
from skmm.metrics._codes import aligned_codes, takes_two_arrays
from skmm.metrics._matching import foscttm, label_transfer_accuracy
from skmm.metrics._over_imputation import over_imputation_score
from skmm.metrics._regression import r2_of_varying, varied_in_fit
from skmm.metrics._retrieval import mean_reciprocal_rank, median_rank, recall_at_k

Array = np.ndarray
Scorer = Callable[..., float]
NUMBERS = ("numeric", "binary", "count", "image")


def get_scorer_names() -> list[str]:
    """Return the names that :func:`get_scorer` knows.

    Returns
    -------
    names : list of str
        In alphabetical order.

    Examples
    --------
    >>> from skmm.metrics import get_scorer_names
    >>> "recall_at_1" in get_scorer_names()
    True
    """
    return sorted(_SCORERS)


def get_scorer(name: str) -> Scorer:
    """Return a scorer for ``GridSearchCV(scoring=...)``, ``cross_validate(scoring={...})`` etc.

    A scorer is called as ``scorer(estimator, X, y=None)`` on a fitted estimator with
    `transform_each`, a pipeline that ends in one, or a search over either. Higher is better.

    Parameters
    ----------
    name : str
        One of

        - ``"total_correlation"``: the estimator's own `score`, see :func:`total_correlation`;
          ``"mean_correlation"`` divides it by `n_components_`. For estimators whose score is a
          correlation (those with `canonical_correlations_`);
        - ``"recall_at_1"``, ``"recall_at_5"``, ``"recall_at_10"``, ``"mean_reciprocal_rank"``,
          ``"median_rank"`` (negated): by cosine, both directions, among the rows of `X`;
        - ``"foscttm"`` (negated);
        - ``"mean_average_precision"``, ``"label_transfer_accuracy"``: `y` holds class labels; both
          directions, among the rows of `X`;
        - ``"cross_reconstruction"``: R² of each numeric modality predicted by `translate` from the
          others, relative to the training means `means_`, over the columns that varied in
          training; then the mean over the modalities with such columns. In the units that the
          last step of a pipeline sees. An estimator without `means_` is judged
          relative to the means of the rows of `X`;
        - ``"over_imputation"``: mean of :func:`over_imputation_score` with three tenths of the
          modalities hidden, always the same ones.

    Returns
    -------
    scorer : callable
        Averages over pairs of modalities. It can be pickled.

    Raises
    ------
    ValueError
        If the name is unknown.

    See Also
    --------
    make_alignment_scorer : Other options, or a metric of one's own.

    Notes
    -----
    The candidates of a retrieval are the rows of `X`, in cross-validation those of the test fold:
    compare figures of equal fold sizes only.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skmm import CCA
    >>> from skmm.metrics import get_scorer
    >>> get_scorer("recall_at_1")
    get_scorer('recall_at_1')
    >>> search = GridSearchCV(
    ...     CCA(), {"shrinkage": [0.0, 0.1]}, scoring=get_scorer("mean_correlation")
    ... )
    """
    check_choice("name", name, get_scorer_names())
    return _SCORERS[name]


def make_alignment_scorer(
    metric: Callable[..., float],
    *,
    pair: tuple[str, str] | None = None,
    greater_is_better: bool = True,
    needs_labels: bool = False,
    **kwargs: Any,
) -> Scorer:
    """Make a scorer from a metric of two modalities' codes.

    Parameters
    ----------
    metric : callable
        Called as ``metric(a, b, **kwargs)`` with the codes, each (n_samples, n_components), that
        `transform_each` gives; rows of a missing modality are NaN.
    pair : tuple of str, default=None
        The two modalities to compare, in this order. None averages over all pairs.
    greater_is_better : bool, default=True
        False for a metric whose lower values are better: its negative is returned.
    needs_labels : bool, default=False
        Whether the metric is called as ``metric(a, b, y, **kwargs)`` with the scorer's `y`.
    **kwargs : dict
        Options of the metric.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None)``, as :func:`get_scorer` returns. It can be pickled if
        `metric` can.

    Raises
    ------
    TypeError
        If `metric` is not callable.
    ValueError
        If `pair` is not two different names.

    Examples
    --------
    >>> from skmm.metrics import make_alignment_scorer, recall_at_k
    >>> make_alignment_scorer(recall_at_k, pair=("text", "image"), k=3, direction="a_to_b")
    make_alignment_scorer(recall_at_k, pair=('text', 'image'), k=3, direction='a_to_b')
    """
    if not callable(metric):
        raise TypeError(
            f"metric={metric!r} must be a function of two modalities' codes. For a scorer by its "
            "name use get_scorer."
        )
    if pair is not None and (isinstance(pair, str) or len(set(pair)) != 2 or len(pair) != 2):
        raise ValueError(f"pair={pair!r} must be the names of two different modalities.")
    pair = None if pair is None else (pair[0], pair[1])
    return _PairScorer(metric, pair, greater_is_better, needs_labels, kwargs)


@dataclass(frozen=True, repr=False)
class _PairScorer:
    """Average of a metric over pairs of modalities."""

    metric: Callable[..., float]
    pair: tuple[str, str] | None = None
    greater_is_better: bool = True
    needs_labels: bool = False
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        estimator, X = last_step_and_input(estimator, X)
        labels = (_labels(estimator, y, self._name),) if self.needs_labels else ()
        codes = aligned_codes(estimator, X, y)
        pairs = [self.pair] if self.pair is not None else list(combinations(codes, 2))
        if unknown := [name for pair in pairs for name in pair if name not in codes]:
            raise ValueError(f"pair={self.pair!r} names {unknown}, but X has {list(codes)}.")
        values = [self.metric(codes[a], codes[b], *labels, **self.kwargs) for a, b in pairs]
        return float(np.mean(values)) * (1.0 if self.greater_is_better else -1.0)

    def __repr__(self) -> str:
        options: dict[str, Any] = {} if self.pair is None else {"pair": self.pair}
        if not self.greater_is_better:
            options["greater_is_better"] = False
        if self.needs_labels:
            options["needs_labels"] = True
        described = [f"{key}={value!r}" for key, value in {**options, **self.kwargs}.items()]
        return f"make_alignment_scorer({', '.join([self._name, *described])})"

    @property
    def _name(self) -> str:
        return getattr(self.metric, "__name__", repr(self.metric))


@dataclass(frozen=True, repr=False)
class _NamedScorer:
    """A scorer that says by which name to get it; files keep the name only."""

    name: str

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        return _COMPUTE[self.name](estimator, X, y)

    def __repr__(self) -> str:
        return f"get_scorer({self.name!r})"


def _labels(estimator: Any, y: Any, metric: str) -> Any:
    if takes_two_arrays(estimator):
        raise ValueError(
            f"{metric} needs labels in y, but y is the second modality here. Give the modalities "
            "names: Modalities({'a': X, 'b': y}) or modalities=; then y can hold the labels."
        )
    if y is None:
        raise ValueError(f"{metric} needs labels: pass y.")
    return y


def _total_correlation(estimator: Any, X: Any, y: Any = None) -> float:
    estimator, X = last_step_and_input(estimator, X)
    _check_scores_correlation(estimator)
    return float(estimator.score(X, y))


def _mean_correlation(estimator: Any, X: Any, y: Any = None) -> float:
    estimator, X = last_step_and_input(estimator, X)
    _check_scores_correlation(estimator)
    return float(estimator.score(X, y)) / int(estimator.n_components_)


def _check_scores_correlation(estimator: Any) -> None:
    if not hasattr(estimator, "canonical_correlations_"):
        raise TypeError(
            f"The score of {type(estimator).__name__} is not a total correlation (it has no "
            "canonical_correlations_). Use skmm.metrics.total_correlation(train_codes, "
            "test_codes) with the codes of transform_each on training and held-out rows."
        )


def _mean_average_precision(a: Array, b: Array, labels: ArrayLike, **kwargs: Any) -> float:
    forth = mean_average_precision(a, b, labels, labels, **kwargs)
    return (forth + mean_average_precision(b, a, labels, labels, **kwargs)) / 2


def _label_transfer_accuracy(a: Array, b: Array, labels: ArrayLike, **kwargs: Any) -> float:
    forth = label_transfer_accuracy(a, labels, b, labels, **kwargs)
    return (forth + label_transfer_accuracy(b, labels, a, labels, **kwargs)) / 2


def _cross_reconstruction(estimator: Any, X: Any, y: Any = None) -> float:
    """Return the mean R² of the numeric modalities, each predicted from the others."""
    estimator, X = last_step_and_input(estimator, X)
    if not hasattr(estimator, "translate"):
        raise TypeError(
            f"{type(estimator).__name__} has no translate: cross_reconstruction is for estimators "
            "that predict one modality from the others."
        )
    X = check_modalities(
        estimator, X, y, reset=False, min_modalities=2, allow_partial=True, allow_empty_rows=True
    )
    targets = [name for name in X.names if X.kinds[name] in NUMBERS]
    if len(X.names) < 2 or not targets:
        raise ValueError(
            "cross_reconstruction needs two modalities or more, of which one is numeric; got "
            f"{X.kinds!r}."
        )
    varying = [to for to in targets if varied_in_fit(estimator, to, X[to]).any()]
    return float(np.mean([_translation_r2(estimator, X, to) for to in varying or targets]))


def _translation_r2(estimator: Any, X: Any, to: str) -> float:
    """Return the R² of one modality on the rows that have it and some other."""
    others = X.select([name for name in X.names if name != to])
    usable = ~X.missing[to].to_numpy() & ~others.missing.to_numpy().all(axis=1)
    if not usable.any():
        raise ValueError(f"No row has both modality {to!r} and another one to predict it from.")
    true = np.asarray(X[to][usable], dtype=np.float64)
    with arrays_only():
        predicted = np.asarray(estimator.translate(others[usable], to), dtype=np.float64)
    means = getattr(estimator, "means_", {})
    mean = means[to] if to in means else np.nanmean(true, axis=0)
    varied = varied_in_fit(estimator, to, true)
    return r2_of_varying(to, true, predicted.reshape(true.shape), mean, varied)


def _over_imputation(estimator: Any, X: Any, y: Any = None) -> float:
    """Return the mean score of modalities that are hidden at random, always the same ones."""
    estimator, X = last_step_and_input(estimator, X)
    scores = over_imputation_score(estimator, X, y, random_state=0)
    return float(np.mean(list(scores.values())))


_COMPUTE: dict[str, Scorer] = {
    "total_correlation": _total_correlation,
    "mean_correlation": _mean_correlation,
    "cross_reconstruction": _cross_reconstruction,
    "over_imputation": _over_imputation,
    "recall_at_1": _PairScorer(recall_at_k, kwargs={"k": 1}),
    "recall_at_5": _PairScorer(recall_at_k, kwargs={"k": 5}),
    "recall_at_10": _PairScorer(recall_at_k, kwargs={"k": 10}),
    "mean_reciprocal_rank": _PairScorer(mean_reciprocal_rank),
    "median_rank": _PairScorer(median_rank, greater_is_better=False),
    "foscttm": _PairScorer(foscttm, greater_is_better=False),
    "mean_average_precision": _PairScorer(_mean_average_precision, needs_labels=True),
    "label_transfer_accuracy": _PairScorer(_label_transfer_accuracy, needs_labels=True),
}
_SCORERS = {name: _NamedScorer(name) for name in _COMPUTE}
