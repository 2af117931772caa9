"""A task: data and a question about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from sys import getsizeof
from typing import Any

import numpy as np

from skmm._modalities import Modalities
from skmm._modalities._ids import warn_of_other_rows
from skmm.benchmark._fingerprint import data_hash, describe
from skmm.benchmark._metrics import COSTS, Metric, find_metrics
from skmm.benchmark._task_types import TASK_TYPES, find_task_type


@dataclass(frozen=True, eq=False)
class Task:
    """Data on which methods are compared, and the question.

    Parameters
    ----------
    name : str
        Name in tables.
    X : Modalities or dict
        The data.
    y : array-like of shape (n_samples,), default=None
        Class labels. Only the methods of ``"classify"`` see them; elsewhere they judge codes.
    kind : {"align", "fuse", "transfer", "classify"}, default=None
        The question: do the codes of the modalities agree; what can be read from the joint code;
        how well is one modality drawn or predicted from the others; how well are labels predicted.
        None is ``"transfer"`` where there is a target, else ``"align"``; of one modality
        ``"classify"``.
    target : str, default=None
        The modality that ``"transfer"`` predicts.
    n_components : int, default=10
        Number of components of every method that has components.
    standardize : bool, default=True
        Whether the columns of a modality have different units, see :class:`BlockScaler`.
    description : str, default=""
        One or two sentences for the reader of the report.
    metrics : list of str or Metric, or dict of str to callable, default=None
        The metrics to compute. None takes the usual ones of the kind. A function is called with
        estimator, held-out data and labels, as a scorer of scikit-learn; higher is better.
    groups : array-like of shape (n_samples,), default=None
        For splitters that keep groups together.
    oracle : callable, default=None
        For simulated ``"transfer"``: ``oracle(conditions, n_draws, random_state)`` draws from the
        true conditional distribution, an array of shape (n_draws, n_samples, ...).
    prepare : transformer, default=None
        From Modalities to Modalities, such as :class:`GapFiller` or
        :class:`~skmm.compose.PerModality`. A clone is fitted on the training rows of every split,
        and all methods get its output. It must not change a target.

    Raises
    ------
    ValueError
        If the kind or a metric is unknown, or the data lack something that the kind needs.

    Examples
    --------
    >>> from skmm.benchmark import Task
    >>> from skmm.datasets import load_digits_halves
    >>> X, y = load_digits_halves(return_X_y=True)
    >>> Task("digits halves", X, y).kind
    'align'
    >>> Task("right from left", X, target="right").measured[:2]
    ('energy_skill', 'r2')
    """

    name: str
    X: Any
    y: Any = None
    kind: Any = None
    target: str | None = None
    n_components: int = 10
    standardize: bool = True
    description: str = ""
    metrics: Mapping[str, Callable[..., float]] | Iterable[str | Metric] | None = None
    groups: Any = None
    oracle: Callable[..., Any] | None = None
    prepare: Any = None

    def __post_init__(self) -> None:
        X = self.X if isinstance(self.X, Modalities) else Modalities(self.X)
        warn_of_other_rows(X, y=self.y, groups=self.groups)
        kind = (
            _default_kind(X, self.target) if self.kind is None else find_task_type(self.kind).name
        )
        values = {"X": X, "kind": kind}
        for label in ("y", "groups"):
            if (value := getattr(self, label)) is not None:
                values[label] = _column(self.name, label, value, len(X))
        for label, value in values.items():
            object.__setattr__(self, label, value)
        _check(self)
        _ = self.found_metrics  # says at once which names are wrong

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + getsizeof(self.X)

    @property
    def found_metrics(self) -> dict[str, Metric]:
        """The metrics that are computed, by name, costs last."""
        if self.metrics is None:
            asked = find_metrics(TASK_TYPES[self.kind].usual_metrics(labelled=self.y is not None))
        else:
            asked = find_metrics(self.metrics)
        known = (*TASK_TYPES[self.kind].metrics, *COSTS)
        if wrong := [n for n, m in asked.items() if m.function is None and n not in known]:
            raise ValueError(
                f"Task {self.name!r} has metrics {wrong} that the kind {self.kind!r} does not "
                f"have; valid are {list(known)}, and functions."
            )
        return {**asked, **find_metrics(COSTS)}

    @property
    def measured(self) -> tuple[str, ...]:
        """The names of the metrics that are computed."""
        return tuple(self.found_metrics)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the data and the question."""
        prepared = () if self.prepare is None else (describe(self.prepare),)
        return data_hash((self.X, self.y, self.kind, self.target, *prepared))


def _default_kind(X: Modalities, target: str | None) -> str:
    if target is not None:
        return "transfer"
    return "align" if len(X.names) > 1 else "classify"


def _column(task: str, label: str, value: Any, n_samples: int) -> np.ndarray:
    column = np.asarray(value)
    if len(column) != n_samples:
        raise ValueError(
            f"Task {task!r}: {label} has {len(column)} rows and X has {n_samples}: give one "
            "for each row."
        )
    return column


def _check(task: Task) -> None:
    names = task.X.names
    if task.prepare is not None and not (
        hasattr(task.prepare, "fit") and hasattr(task.prepare, "transform")
    ):
        raise TypeError(
            f"Task {task.name!r}: prepare={task.prepare!r} must be a transformer of Modalities, "
            "such as GapFiller()."
        )
    if task.kind == "transfer" and task.target not in names:
        raise ValueError(
            f"Task {task.name!r}: target={task.target!r} must be one of the modalities {names}."
        )
    if task.kind == "transfer" and task.X.kinds[task.target] == "categorical":
        raise ValueError(
            f"Task {task.name!r}: the target {task.target!r} has labels; make them y of a task "
            'of the kind "classify".'
        )
    if task.kind != "transfer" and task.target is not None:
        raise ValueError(
            f'Task {task.name!r}: target={task.target!r} is for the kind "transfer", not '
            f"{task.kind!r}."
        )
    if task.kind in ("align", "transfer") and len(names) < 2:
        raise ValueError(f"Task {task.name!r} needs two or more modalities, got {names}.")
    if task.kind in ("fuse", "classify") and task.y is None:
        raise ValueError(f"Task {task.name!r}: the kind {task.kind!r} needs labels y.")
