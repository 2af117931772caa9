"""Targets as numbers that networks can be trained on, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, log_softmax, softmax
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_y, column_or_1d

from skmm._modalities._check import LARGEST
from skmm._modalities._columns import ColumnStatistics, in_type
from skmm._modalities._foreign import refuse_foreign
from skmm.nn._prediction import Task

Array = np.ndarray


@dataclass(frozen=True)
class ClassTargets:
    """Classes of one task."""

    classes: Array

    def is_like(self, other: Any) -> bool:
        """Whether outputs for the other mean the same."""
        return type(other) is type(self) and np.array_equal(self.classes, other.classes)

    @property
    def tasks(self) -> list[Task]:
        """Return the outputs that a network needs."""
        return [Task("cross_entropy", "classes", len(self.classes))]

    def classes_of(self, raw: Array) -> Array:
        """Return the most probable class."""
        return self.classes[raw.argmax(axis=1)]

    def probabilities_of(self, raw: Array) -> Array:
        """Return the probability of each class."""
        return softmax(raw, axis=1)

    def decisions_of(self, raw: Array) -> Array:
        """Return the log-odds of the second of two classes, else logits."""
        logs = log_softmax(raw, axis=1)
        return logs[:, 1] - logs[:, 0] if raw.shape[1] == 2 else logs


@dataclass(frozen=True)
class LabelTargets:
    """Several labels that are there or not."""

    n_labels: int
    dtype: Any

    def is_like(self, other: Any) -> bool:
        """Whether outputs for the other mean the same."""
        return type(other) is type(self) and self.n_labels == other.n_labels

    @property
    def tasks(self) -> list[Task]:
        """Return the outputs that a network needs."""
        return [Task("cross_entropy", "labels", self.n_labels)]

    @property
    def classes(self) -> Array:
        """Return the numbers of the labels."""
        return np.arange(self.n_labels)

    def classes_of(self, raw: Array) -> Array:
        """Return the labels that are more probable than not."""
        return (raw > 0).astype(self.dtype)

    def probabilities_of(self, raw: Array) -> Array:
        """Return the probability of each label."""
        return expit(raw)

    def decisions_of(self, raw: Array) -> Array:
        """Return log-odds."""
        return raw


@dataclass(frozen=True)
class MultiTargets:
    """Classes of several tasks."""

    parts: list[ClassTargets]

    def is_like(self, other: Any) -> bool:
        """Whether outputs for the other mean the same."""
        if type(other) is not type(self) or len(self.parts) != len(other.parts):
            return False
        return all(a.is_like(b) for a, b in zip(self.parts, other.parts, strict=True))

    @property
    def tasks(self) -> list[Task]:
        """Return the outputs that a network needs."""
        return [
            Task(f"cross_entropy_{j}", "classes", len(part.classes))
            for j, part in enumerate(self.parts)
        ]

    @property
    def classes(self) -> list[Array]:
        """Return the classes of each task."""
        return [part.classes for part in self.parts]

    def classes_of(self, raw: Array) -> Array:
        """Return the most probable classes, as objects where their types differ."""
        found = [p.classes_of(r) for p, r in zip(self.parts, self._split(raw), strict=True)]
        same = len({np.result_type(column).kind for column in found}) == 1
        return np.column_stack(found if same else [column.astype(object) for column in found])

    def probabilities_of(self, raw: Array) -> list[Array]:
        """Return the probability of each class, per task."""
        return [p.probabilities_of(r) for p, r in zip(self.parts, self._split(raw), strict=True)]

    def _split(self, raw: Array) -> list[Array]:
        return np.split(raw, np.cumsum([len(c) for c in self.classes])[:-1], axis=1)


@dataclass(frozen=True)
class NumberTargets:
    """Numbers, standardised; the scale of constants is 0."""

    mean: Array
    scale: Array
    flat: bool  # whether they came as one axis

    def is_like(self, other: Any) -> bool:
        """Whether outputs for the other are of the same kind, in units that may differ."""
        return type(other) is type(self)

    @property
    def tasks(self) -> list[Task]:
        """Return the outputs that a network needs."""
        return [Task("squared_error", "numbers", len(self.mean))]

    def numbers_of(self, raw: Array) -> Array:
        """Return to the original units, in the precision of the prediction if that holds them."""
        values = in_type(raw * self.scale + self.mean, raw.dtype, self.mean, self.scale)
        return values[:, 0] if self.flat else values


def read_classes(y: Any, estimator: Any) -> tuple[Any, Array]:
    """Return how to read a classifier's target, and it as integers (n, n_targets)."""
    refuse_foreign("y", y, "Pass an array, a Series or a DataFrame.")
    if isinstance(y, pd.DataFrame) and all(
        isinstance(t, np.dtype) and t.kind in "biu" for t in y.dtypes
    ):
        y = y.to_numpy()
    of_objects = isinstance(y, pd.DataFrame) or getattr(y, "dtype", "") == "object"
    if of_objects and np.ndim(y) == 2 and np.shape(y)[1] > 1:
        return _read_tasks(y)
    y = _check_y(y, multi_output=True, estimator=estimator)
    y = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
    check_classification_targets(y)
    kind = type_of_target(y, input_name="y")
    if kind == "multilabel-indicator":
        return LabelTargets(y.shape[1], y.dtype), y.astype(np.int64)
    if kind == "multiclass-multioutput":
        return _read_tasks(y)
    return _read_one(column_or_1d(y, warn=True))


def read_numbers(
    y: Any, estimator: Any, weights: Array | None = None
) -> tuple[NumberTargets, Array]:
    """Return how to read a regressor's target, and it standardised (n, n_targets)."""
    refuse_foreign("y", y, "Pass an array, a Series or a DataFrame.")
    y = _check_y(y, multi_output=True, y_numeric=True, estimator=estimator)
    try:
        y = np.asarray(y.toarray() if hasattr(y, "toarray") else y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"y must be numbers to be regressed on: {error}") from error
    if not np.all(np.abs(y) <= LARGEST):  # NaN neither
        raise ValueError(f"y contains NaN, infinity, or values beyond {LARGEST:g}.")
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    values = y.reshape(len(y), -1)
    if weights is not None and (len(weights) != len(values) or not weights.any()):
        weights = None  # refused later
    columns = ColumnStatistics.of(values, weight=weights)
    encoded = (values - columns.mean) / columns.divisor
    return NumberTargets(columns.mean, columns.scale, y.ndim == 1), encoded


def _read_one(y: Any) -> tuple[ClassTargets, Array]:
    classes, numbers = np.unique(y, return_inverse=True)
    return ClassTargets(classes), numbers.reshape(-1, 1).astype(np.int64)


def _read_tasks(y: Any) -> tuple[MultiTargets, Array]:
    """Read columns whose types may differ."""
    frame = pd.DataFrame(y).infer_objects()
    if frame.isna().to_numpy().any():
        raise ValueError("Input y contains NaN.")
    parts = []
    for _, column in frame.items():
        check_classification_targets(column.to_numpy())
        parts.append(_read_one(column.to_numpy()))
    return MultiTargets([part for part, _ in parts]), np.hstack([numbers for _, numbers in parts])
