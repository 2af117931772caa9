"""What is measured on held-out rows, and what a method without any skill would get."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm.metrics import foscttm, mean_average_precision, retrieval_report, total_correlation

Array = np.ndarray
Codes = dict[str, Array]
Values = dict[str, float]


@dataclass(frozen=True)
class Metric:
    """Name, direction and meaning of a metric."""

    name: str
    label: str
    about: str
    higher_is_better: bool = True
    percent: bool = False
    theme: str = "retrieval"  # the question that it answers
    exact_chance: bool = True  # whether codes without relation are at chance in expectation

    def text(self, value: float, *, sign: bool = False) -> str:
        """Write a value, in percent or with about three digits."""
        if not np.isfinite(value):
            return "–"
        digits = 1 if self.percent else 3 if self.name in _FINE else 2
        if self.name == "fit_seconds":
            digits = 0 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
        rounded = round(100 * value if self.percent else value, digits) + 0.0  # no negative zero
        return f"{rounded:{'+' if sign and rounded else ''}.{digits}f}".replace("-", "−")

    @property
    def unit(self) -> str:
        """What follows a value."""
        return "\N{NO-BREAK SPACE}%" if self.percent else self._plain_unit

    @property
    def _plain_unit(self) -> str:
        return "\N{NO-BREAK SPACE}s" if self.name == "fit_seconds" else ""


_FINE = ("mean_reciprocal_rank", "foscttm", "mean_average_precision")
_ALL = (
    Metric(
        "total_correlation",
        "total correlation",
        "correlation of the modalities' codes on held-out rows, along axes fixed in training, "
        "summed over components: at most the number of components, 0 for unrelated codes",
        theme="alignment",
    ),
    Metric(
        "recall_at_1",
        "recall at 1",
        "how often the nearest code of the other modality is that of the same sample",
        percent=True,
    ),
    Metric(
        "recall_at_10",
        "recall at 10",
        "how often the same sample is among the ten nearest",
        percent=True,
    ),
    Metric(
        "mean_reciprocal_rank",
        "MRR",
        "mean reciprocal rank: the mean of 1 / rank of the same sample",
    ),
    Metric(
        "foscttm",
        "FOSCTTM",
        "fraction of samples closer than the true match: 0 is perfect, 0.5 is chance",
        higher_is_better=False,
    ),
    Metric(
        "mean_average_precision",
        "mAP",
        "mean average precision of retrieving samples with the same label from the other modality",
        exact_chance=False,  # codes in clusters gain more from luck than they lose
    ),
    Metric(
        "probe_accuracy",
        "probe accuracy",
        "held-out accuracy of a logistic regression on the fused, standardised representation; "
        "raw data keep every column, the other methods as many as there are components",
        percent=True,
        theme="fusion",
        exact_chance=False,
    ),
    Metric(
        "fit_seconds",
        "fit time",
        "seconds to fit, scaling and tuning included",
        higher_is_better=False,
        theme="cost",
        exact_chance=False,
    ),
)
METRICS = {metric.name: metric for metric in _ALL}


def modality_codes(estimator: Any, X: Any) -> Codes:
    """Return each modality's codes, from the end of pipelines and searches; none without."""
    while True:
        if isinstance(estimator, Pipeline):
            X = estimator[:-1].transform(X) if len(estimator) > 1 else X
            estimator = estimator[-1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            break
    return estimator.transform_each(X) if hasattr(estimator, "transform_each") else {}


def alignment(train: Codes, test: Codes, y: Array | None) -> Values:
    """Return the metrics of held-out codes, means over directions and pairs of modalities."""
    values = [_of_pair(test[a], test[b], y) for a, b in combinations(test, 2)]
    means = {name: float(np.mean([v[name] for v in values])) for name in values[0]}
    return {"total_correlation": total_correlation(train, test), **means}


def chance_alignment(test: Codes, y: Array | None) -> Values:
    """Return what codes without any relation get: that of codes which are all alike."""
    alike = {name: np.where(np.isnan(code[:, :1]), np.nan, 1.0) for name, code in test.items()}
    values = [_of_pair(alike[a], alike[b], y) for a, b in combinations(alike, 2)]
    means = {name: float(np.mean([v[name] for v in values])) for name in values[0]}
    return {"total_correlation": 0.0, **means}


def probe(train: Array, y_train: Array, test: Array, y_test: Array) -> float:
    """Return the held-out accuracy of a linear classifier."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return float(classifier.fit(train, y_train).score(test, y_test))


def chance_accuracy(y_train: Array, y_test: Array) -> float:
    """Return the held-out accuracy of always guessing the largest class of training."""
    classes, counts = np.unique(y_train, return_counts=True)
    return float(np.mean(y_test == classes[np.argmax(counts)]))


def _of_pair(a: Array, b: Array, y: Array | None) -> Values:
    report = retrieval_report(a, b, k=(1, 10)).T["mean"]
    values = {str(name): value for name, value in report.items() if name in METRICS}
    values["foscttm"] = foscttm(a, b)
    if y is not None:
        both = (mean_average_precision(a, b, y, y), mean_average_precision(b, a, y, y))
        values["mean_average_precision"] = float(np.mean(both))
    return values
