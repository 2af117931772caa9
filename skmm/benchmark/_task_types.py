"""The four types of tasks: how a method is fitted for each and measured, and what chance gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import combinations
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm._deep._likelihoods import likelihood_names
from skmm._modalities import Modalities
from skmm._modalities._output import arrays_only
from skmm.benchmark._splits import Split
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

Array = np.ndarray
Codes = dict[str, Array]
Values = dict[str, float]
N_DRAWS = 100
LEVEL = 0.8


@dataclass
class Measured:
    """Metrics of held-out rows, what chance gets, the likelihood's family, seconds."""

    values: Values = field(default_factory=dict)
    chance: Values = field(default_factory=dict)
    family: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class TaskType:
    """A question about data, and the metrics that answer it."""

    name: str
    metrics: tuple[str, ...]
    unusual: tuple[str, ...]  # the metrics that are computed only when asked for
    labelled: tuple[str, ...]  # the metrics that need labels
    headline: tuple[str, ...]  # of those with the same theme, only the first gets a verdict
    measure: Callable[[Any, Split], Measured]
    about: str

    def usual_metrics(self, *, labelled: bool) -> tuple[str, ...]:
        """Return the metrics that are computed by default."""
        left_out = self.unusual if labelled else (*self.unusual, *self.labelled)
        return tuple(name for name in self.metrics if name not in left_out)


def find_task_type(name: Any) -> TaskType:
    """Return a task type by its name."""
    if name not in TASK_TYPES:
        raise ValueError(f"kind={name!r} is unknown; valid are {list(TASK_TYPES)}.")
    return TASK_TYPES[name]


def fit(estimator: Any, split: Split) -> None:
    """Fit as the type of the task asks for."""
    if split.kind == "classify":
        estimator.fit(split.train, split.y_train)
    elif split.kind == "transfer" and not takes_target(estimator):
        estimator.fit(_conditions(split.train, split.target), target_of(split.train, split.target))
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


def inner_scoring(kind: str, names: Iterable[str], target: str | None) -> Any:
    """Return the score by which inner splits choose; None is the estimator's own."""
    if kind == "classify":
        return "accuracy"
    return _TransferScore(names, str(target)) if kind == "transfer" else None


def target_of(X: Modalities, target: str | None) -> Array:
    """Return the target, one row of numbers for each sample."""
    value = np.asarray(X[str(target)], dtype=float)
    return value.reshape(len(value), -1)


class _TransferScore:
    """R² of the predicted target on inner validation rows, relative to their own mean."""

    def __init__(self, names: Iterable[str], target: str) -> None:
        self.target = target
        self.full = set(names)

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
    if not codes or {"probe_accuracy", "log_likelihood"} & set(split.measured):
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
    if "log_likelihood" in split.measured and hasattr(estimator, "score_samples"):
        found.values["log_likelihood"] = float(np.mean(estimator.score_samples(split.test)))
        found.family = likelihood_family(estimator, split.test)
    return found


def _measure_transfer(estimator: Any, split: Split) -> Measured:
    name = str(split.target)
    conditions = _conditions(split.test, name)
    true, known = target_of(split.test, name), target_of(split.train, name)
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
    """Return the likelihood of each modality, and whether it is that of transformed data."""
    last = last_step(estimator)
    likelihoods = getattr(last, "likelihoods", dict.fromkeys(X.names, "gaussian"))
    names = likelihood_names(X.kinds, likelihoods)
    family = ", ".join(f"{name}: {names[name]}" for name in sorted(names))
    estimator = chosen(estimator)
    steps = [step for _, step in estimator.steps[:-1]] if isinstance(estimator, Pipeline) else []
    changes = [s for s in steps if s != "passthrough" and not isinstance(s, ConcatModalities)]
    return f"{family} (of transformed data)" if changes else family


def _conditions(X: Modalities, target: str | None) -> Modalities:
    return X.select([name for name in X.names if name != target])


def _drawn(estimator: Any, conditions: Modalities, split: Split) -> Array | None:
    """Return draws (N_DRAWS, n, ...) of the target; None if the estimator does not draw."""
    last, inner = last_step_and_input(estimator, conditions)
    if not hasattr(last, "sample"):
        return None
    draws = last.sample(N_DRAWS, given=inner, random_state=split.seed)
    if not isinstance(draws, list):
        return np.asarray(draws, dtype=float)
    parts = [estimator_target(estimator, draw, str(split.target)) for draw in draws]
    return np.stack(parts)


def _predicted(estimator: Any, conditions: Modalities, target: str) -> Array:
    last, inner = last_step_and_input(estimator, conditions)
    if not hasattr(last, "translate"):
        return np.asarray(estimator.predict(conditions), dtype=float)
    with arrays_only():
        predicted = last.translate(inner, to=target)
    return estimator_target(estimator, {target: predicted}, target)


def estimator_target(estimator: Any, values: Any, target: str) -> Array:
    """Return the target in the units of the data: undo the steps before the last one."""
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
    """Return the metrics of unrelated codes: those of codes that are all alike."""
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
TASK_TYPES = {
    one.name: one
    for one in (
        TaskType(
            "align",
            (*_ALIGN, *_FUSE),
            ("mean_average_precision", "log_likelihood"),
            ("mean_average_precision", "probe_accuracy"),
            ("total_correlation", "mean_average_precision", "recall_at_10", "probe_accuracy"),
            _measure_align,
            "do the codes of the modalities agree?",
        ),
        TaskType(
            "fuse",
            _FUSE,
            ("log_likelihood",),
            ("probe_accuracy",),
            ("probe_accuracy",),
            _measure_fuse,
            "what can be read from the joint code?",
        ),
        TaskType(
            "transfer",
            ("energy_skill", "r2", "interval_error"),
            (),
            (),
            ("energy_skill", "r2"),
            _measure_transfer,
            "how well is one modality drawn or predicted from the others?",
        ),
        TaskType(
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
