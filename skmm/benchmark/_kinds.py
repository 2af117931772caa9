"""The four questions: how a method is fitted for each, measured, and what chance would get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.random import RandomState
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm._deep._networks import likelihood_names
from skmm._modalities import Modalities, missing_mask, with_values
from skmm._modalities._output import arrays_only
from skmm._modalities._values import take_rows
from skmm._random import check_random_state
from skmm.compose import ConcatModalities
from skmm.compose._steps import chosen, last_step, last_step_and_input
from skmm.metrics import (
    energy_skill,
    foscttm,
    interval_coverage,
    mean_average_precision,
    r2_per_modality,
    retrieval_report,
    total_correlation,
)

if TYPE_CHECKING:
    from skmm.benchmark._tasks import Task

Array = np.ndarray
Codes = dict[str, Array]
Values = dict[str, float]
N_DRAWS = 100
LEVEL = 0.8


class Split(NamedTuple):
    """Training and held-out rows of a task.

    Methods are fitted on `train`. It differs from `whole` in the control, whose pairs are broken:
    probes learn on whole rows, since labels belong to whole rows.
    """

    task: Task
    train: Modalities
    whole: Modalities
    test: Modalities
    y_train: Array | None
    y_test: Array | None
    seed: int


@dataclass
class Measured:
    """Metrics of held-out rows, what chance gets, the likelihood's family, seconds."""

    values: Values = field(default_factory=dict)
    chance: Values = field(default_factory=dict)
    family: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Kind:
    """A question about data."""

    name: str
    metrics: tuple[str, ...]
    unusual: tuple[str, ...]  # of these metrics, what is computed only when asked for
    labelled: tuple[str, ...]  # what needs labels
    headline: tuple[str, ...]  # where several answer one question, the first speaks for them
    measure: Callable[[Any, Split], Measured]
    about: str

    def usual_metrics(self, *, labelled: bool) -> tuple[str, ...]:
        """Return what is computed unless something else is asked for."""
        left_out = self.unusual if labelled else (*self.unusual, *self.labelled)
        return tuple(name for name in self.metrics if name not in left_out)


def find_kind(name: Any) -> Kind:
    """Return a kind by its name."""
    if name not in KINDS:
        raise ValueError(f"kind={name!r} is unknown; valid are {list(KINDS)}.")
    return KINDS[name]


def fit(estimator: Any, split: Split) -> None:
    """Fit as the kind of the task asks for."""
    kind = split.task.kind
    if kind == "classify":
        estimator.fit(split.train, split.y_train)
    elif kind == "transfer" and not takes_target(estimator):
        estimator.fit(_conditions(split.train, split.task), target_of(split.train, split.task))
    else:
        estimator.fit(split.train)


def takes_target(estimator: Any) -> bool:
    """Return whether the target stays in X; otherwise it is y, as of a regressor."""
    last = last_step(estimator)
    return "target" in last.get_params(deep=False) or hasattr(type(last), "translate")


def modality_codes(estimator: Any, X: Any) -> Codes:
    """Return each modality's codes, from the end of pipelines and searches; none without."""
    estimator, X = last_step_and_input(estimator, X)
    with arrays_only():
        return estimator.transform_each(X) if hasattr(estimator, "transform_each") else {}


def shuffle_pairs(X: Modalities, random_state: int | RandomState | None = None) -> Modalities:
    """Break the pairing: permute the rows of every modality but the first, each on its own.

    Rows that lack a modality keep lacking it.

    Parameters
    ----------
    X : Modalities
        The data.
    random_state : int, RandomState instance or None, default=None
        Determines the permutations.

    Returns
    -------
    X : Modalities
        Each modality has the same rows as before, but they no longer belong together.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm import Modalities
    >>> from skmm.benchmark import shuffle_pairs
    >>> X = Modalities({"a": np.arange(4.0), "b": np.arange(4.0)})
    >>> shuffled = shuffle_pairs(X, random_state=0)
    >>> shuffled["a"], shuffled["b"]
    (array([0., 1., 2., 3.]), array([2., 3., 1., 0.]))
    """
    rng = check_random_state(random_state)
    values = dict(X._values)
    for name in X.names[1:]:
        # Rows that lack a modality go on lacking it, so that none comes to lack all of them.
        rows, there = np.arange(len(X)), np.flatnonzero(~X.missing[name])
        rows[there] = rng.permutation(there)
        values[name] = X._ids.put_on(take_rows(values[name], rows))
    return with_values(X, values)


def break_relation(split: Split) -> Split:
    """Break in training what the task asks about: the pairs, those with the target, the labels."""
    rng = check_random_state(split.seed)
    if split.task.kind == "classify" and split.y_train is not None:
        return split._replace(y_train=rng.permutation(split.y_train))
    if split.task.kind != "transfer":
        return split._replace(train=shuffle_pairs(split.train, rng))
    # The conditions still belong together: only what is to be predicted from them does not.
    name, train = str(split.task.target), split.train
    rows, j = rng.permutation(len(train)), train.names.index(name)
    values, mask = dict(train._values), missing_mask(train).copy()
    values[name], mask[:, j] = train._ids.put_on(take_rows(values[name], rows)), mask[rows, j]
    return split._replace(train=with_values(train, values, mask=mask))


def inner_scoring(task: Task) -> Any:
    """Return the score by which inner splits choose; None is the estimator's own."""
    if task.kind == "classify":
        return "accuracy"
    return _TransferScore(task) if task.kind == "transfer" else None


def target_of(X: Modalities, task: Task) -> Array:
    """Return the target, one row of numbers for each sample."""
    value = np.asarray(X[str(task.target)], dtype=float)
    return value.reshape(len(value), -1)


class _TransferScore:
    """R² of the predicted target on inner validation rows, relative to their own mean."""

    def __init__(self, task: Task) -> None:
        self.target = str(task.target)
        self.full = set(task.X.names)

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        whole = set(X.names) == self.full
        true = np.asarray(X[self.target] if whole else y, dtype=float)
        conditions = X.select([n for n in X.names if n != self.target]) if whole else X
        predicted = _predicted(estimator, conditions, self.target).reshape(len(true), -1)
        true = true.reshape(len(true), -1)
        return r2_per_modality({"y": true}, {"y": predicted}, baseline={"y": true.mean(axis=0)})[
            "y"
        ]


def _measure_align(estimator: Any, split: Split) -> Measured:
    start = perf_counter()
    codes = modality_codes(estimator, split.test)
    seconds = perf_counter() - start
    # A method without codes is measured by its joint code alone.
    found = Measured()
    if not codes or {"probe_accuracy", "log_likelihood"} & set(split.task.measured):
        found = _measure_fuse(estimator, split)
    if codes:
        # The axes come from the rows that the method was fitted on, in their pairing.
        found.values |= _alignment(modality_codes(estimator, split.train), codes, split.y_test)
        found.chance |= _chance_alignment(codes, split.y_test)
        found.seconds = seconds
    return found


def _measure_fuse(estimator: Any, split: Split) -> Measured:
    found = Measured()
    if hasattr(estimator, "transform"):
        start = perf_counter()
        test = estimator.transform(split.test)
        found.seconds = perf_counter() - start
        if split.y_train is not None and split.y_test is not None:
            train = estimator.transform(split.whole)
            found.values["probe_accuracy"] = _probe(train, split.y_train, test, split.y_test)
            found.chance["probe_accuracy"] = _chance_accuracy(split.y_train, split.y_test)
    if "log_likelihood" in split.task.measured and hasattr(estimator, "score_samples"):
        found.values["log_likelihood"] = float(np.mean(estimator.score_samples(split.test)))
        found.family = likelihood_family(estimator, split.test)
    return found


def _measure_transfer(estimator: Any, split: Split) -> Measured:
    task, name = split.task, str(split.task.target)
    conditions = _conditions(split.test, task)
    true, known = target_of(split.test, task), target_of(split.train, task)
    start = perf_counter()
    draws = _drawn(estimator, conditions, split)
    found = Measured(seconds=perf_counter() - start)
    if draws is not None:
        draws = draws.reshape(*draws.shape[:2], -1)
        found.values["energy_skill"] = energy_skill(true, draws, known, random_state=split.seed)
        found.chance["energy_skill"] = 0.0
        covered = interval_coverage(true, draws, level=LEVEL, multioutput="raw_values")
        found.values["interval_error"] = float(np.mean(np.abs(covered - LEVEL)))
    start = perf_counter()
    predicted = _predicted(estimator, conditions, name).reshape(len(true), -1)
    found.seconds += perf_counter() - start if draws is None else 0.0
    means = {name: known.mean(axis=0)}
    found.values["r2"] = r2_per_modality({name: true}, {name: predicted}, baseline=means)[name]
    found.chance["r2"] = 0.0
    return found


def _measure_classify(estimator: Any, split: Split) -> Measured:
    y, known = split.y_test, split.y_train
    assert y is not None and known is not None  # Task has seen to it  # noqa: PT018
    start = perf_counter()
    predicted = estimator.predict(split.test)
    found = Measured(seconds=perf_counter() - start)
    found.values["accuracy"] = float(np.mean(predicted == y))
    found.values["balanced_accuracy"] = float(balanced_accuracy_score(y, predicted))
    classes, counts = np.unique(known, return_counts=True)
    found.chance["accuracy"] = _chance_accuracy(known, y)
    found.chance["balanced_accuracy"] = 1 / len(np.unique(y))
    shares = np.tile(counts / counts.sum(), (len(y), 1))
    if set(y) <= set(classes):
        found.chance["log_loss"] = float(log_loss(y, shares, labels=classes))
        if hasattr(estimator, "predict_proba"):
            p = np.asarray(estimator.predict_proba(split.test), dtype=float)
            found.values["log_loss"] = float(log_loss(y, p, labels=estimator.classes_))
    return found


def likelihood_family(estimator: Any, X: Modalities) -> str:
    """Return of what, and in which units, the likelihood of an estimator is one."""
    last = last_step(estimator)
    names = likelihood_names(X, getattr(last, "likelihoods", dict.fromkeys(X.names, "gaussian")))
    family = ", ".join(f"{name}: {names[name]}" for name in sorted(names))
    estimator = chosen(estimator)
    steps = [step for _, step in estimator.steps[:-1]] if isinstance(estimator, Pipeline) else []
    changes = [s for s in steps if s != "passthrough" and not isinstance(s, ConcatModalities)]
    return f"{family} (of transformed data)" if changes else family


def _conditions(X: Modalities, task: Task) -> Modalities:
    return X.select([name for name in X.names if name != task.target])


def _drawn(estimator: Any, conditions: Modalities, split: Split) -> Array | None:
    """Return draws (N_DRAWS, n, ...) of the target; None from what does not draw."""
    last, inner = last_step_and_input(estimator, conditions)
    if not hasattr(last, "sample"):
        return None
    draws = last.sample(N_DRAWS, given=inner, random_state=split.seed)
    if not isinstance(draws, list):
        return np.asarray(draws, dtype=float)
    parts = [estimator_target(estimator, draw, str(split.task.target)) for draw in draws]
    return np.stack(parts)


def _predicted(estimator: Any, conditions: Modalities, target: str) -> Array:
    last, inner = last_step_and_input(estimator, conditions)
    if not hasattr(last, "translate"):
        return np.asarray(estimator.predict(conditions), dtype=float)
    with arrays_only():
        predicted = last.translate(inner, to=target)
    return estimator_target(estimator, {target: predicted}, target)


def estimator_target(estimator: Any, values: Any, target: str) -> Array:
    """Return the target in the units of the data, from those that reach the last step."""
    value, estimator = values[target], chosen(estimator)
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        value = estimator[:-1].inverse_transform({target: value})[target]
    return np.asarray(value, dtype=float)


def _alignment(train: Codes, test: Codes, y: Array | None) -> Values:
    """Return the metrics of held-out codes, means over directions and pairs of modalities."""
    values = [_of_pair(test[a], test[b], y) for a, b in combinations(test, 2)]
    means = {name: float(np.mean([v[name] for v in values])) for name in values[0]}
    return {"total_correlation": total_correlation(train, test), **means}


def _chance_alignment(test: Codes, y: Array | None) -> Values:
    """Return what codes without any relation get: that of codes which are all alike."""
    alike = {name: np.where(np.isnan(code[:, :1]), np.nan, 1.0) for name, code in test.items()}
    values = [_of_pair(alike[a], alike[b], y) for a, b in combinations(alike, 2)]
    means = {name: float(np.mean([v[name] for v in values])) for name in values[0]}
    return {"total_correlation": 0.0, **means}


def _of_pair(a: Array, b: Array, y: Array | None) -> Values:
    report = retrieval_report(a, b, k=(1, 10)).T["mean"]
    values = {str(name): float(value) for name, value in report.items()}
    values["foscttm"] = foscttm(a, b)
    if y is not None:
        both = (mean_average_precision(a, b, y, y), mean_average_precision(b, a, y, y))
        values["mean_average_precision"] = float(np.mean(both))
    return values


def _probe(train: Array, y_train: Array, test: Array, y_test: Array) -> float:
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return float(classifier.fit(train, y_train).score(test, y_test))


def _chance_accuracy(y_train: Array, y_test: Array) -> float:
    """Return the held-out accuracy of always guessing the largest class of training."""
    classes, counts = np.unique(y_train, return_counts=True)
    return float(np.mean(y_test == classes[np.argmax(counts)]))


_FUSE = ("probe_accuracy", "log_likelihood")
_ALIGN = (
    "total_correlation",
    "recall_at_1",
    "recall_at_10",
    "mean_reciprocal_rank",
    "foscttm",
    "mean_average_precision",
)
KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "align",
            (*_ALIGN, *_FUSE),
            ("mean_average_precision", "log_likelihood"),
            ("mean_average_precision", "probe_accuracy"),
            ("total_correlation", "mean_average_precision", "recall_at_10", "probe_accuracy"),
            _measure_align,
            "do the codes of the modalities agree?",
        ),
        Kind(
            "fuse",
            _FUSE,
            ("log_likelihood",),
            ("probe_accuracy",),
            ("probe_accuracy",),
            _measure_fuse,
            "what can be read from the joint code?",
        ),
        Kind(
            "transfer",
            ("energy_skill", "r2", "interval_error"),
            (),
            (),
            ("energy_skill", "r2"),
            _measure_transfer,
            "how well is one modality drawn or predicted from the others?",
        ),
        Kind(
            "classify",
            ("accuracy", "balanced_accuracy", "log_loss"),
            (),
            (),
            ("accuracy", "log_loss"),
            _measure_classify,
            "how well are labels predicted?",
        ),
    )
}
