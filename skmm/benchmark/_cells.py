"""One cell of a benchmark: one method fitted on one split of one task."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
from numpy.random import RandomState
from sklearn.base import clone
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from skmm._modalities import Modalities
from skmm.benchmark._adapters import NotApplicable
from skmm.benchmark._metrics import (
    alignment,
    chance_accuracy,
    chance_alignment,
    modality_codes,
    probe,
)
from skmm.benchmark._tasks import Task

Array = np.ndarray

COLUMNS = ["task", "method", "split", "metric", "value", "chance", "status"]
COLUMNS += ["n_train", "n_test", "seed", "error"]


@dataclass(frozen=True)
class Cell:
    """What to run."""

    task: Task
    method: str
    estimator: Any
    split: int
    train: Array
    test: Array
    seed: int
    shuffled: bool = False


@dataclass
class Outcome:
    """What came of it: metrics by name, or the reason why there are none."""

    status: str = "ok"
    values: dict[str, float] = field(default_factory=dict)
    chance: dict[str, float] = field(default_factory=dict)
    error: str = ""
    warnings: list[str] = field(default_factory=list)


def shuffle_pairs(X: Modalities, random_state: int | RandomState | None = None) -> Modalities:
    """Break the pairing: permute the rows of every modality but the first, each on its own.

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
    first, *others = X.names
    rows = {name: rng.permutation(len(X)) for name in others}
    parts = {name: X.select(name)[rows[name]] for name in others}
    values = {first: X[first], **{name: part[name] for name, part in parts.items()}}
    missing = X.missing.to_numpy().copy()
    for column, name in enumerate(X.names):
        missing[:, column] = missing[rows.get(name, slice(None)), column]
    return Modalities(values, missing=missing, kinds=X.kinds)


def run_cell(cell: Cell) -> Outcome:
    """Fit and measure in one thread; an error is recorded, not raised."""
    outcome = Outcome()
    # Cells side by side would fight for the processors if each also used them all.
    with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            _measure(cell, outcome)
        except NotApplicable as error:
            outcome.status, outcome.error = "not applicable", str(error)
        except Exception:
            outcome.status, outcome.error = "failed", traceback.format_exc()
    outcome.warnings = sorted({f"{w.category.__name__}: {w.message}" for w in caught})
    return outcome


def seeded(estimator: Any, seed: int) -> Any:
    """Return a clone in which every `random_state` that is None is an integer."""
    estimator = clone(estimator)
    rng = RandomState(seed)
    parameters = estimator.get_params(deep=True)
    open_ = [k for k in sorted(parameters) if k.split("__")[-1] == "random_state"]
    return estimator.set_params(
        **{k: int(rng.randint(2**31 - 1)) for k in open_ if parameters[k] is None}
    )


def tidy_rows(cell: Cell, outcome: Outcome) -> Iterator[dict[str, object]]:
    """Yield one row per metric; a metric that does not exist for the method is "undefined"."""
    for metric in cell.task.measured:
        known = metric in outcome.values and outcome.status == "ok"
        yield {
            "task": cell.task.name,
            "method": cell.method,
            "split": cell.split,
            "metric": metric,
            "value": outcome.values[metric] if known else np.nan,
            "chance": outcome.chance.get(metric, np.nan),
            "status": outcome.status if known or outcome.status != "ok" else "undefined",
            "n_train": len(cell.train),
            "n_test": len(cell.test),
            "seed": cell.seed,
            "error": outcome.error,
        }


def where_warned(pairs: Sequence[tuple[Cell, Outcome]]) -> dict[str, list[str]]:
    """Return the distinct warnings and where they came up."""
    found: dict[str, list[str]] = {}
    for cell, outcome in pairs:
        for message in outcome.warnings:
            found.setdefault(message, []).append(f"{cell.task.name}: {cell.method}")
    return {message: sorted(set(places)) for message, places in found.items()}


def _measure(cell: Cell, outcome: Outcome) -> None:
    task, X = cell.task, cell.task.X
    train, test = X[cell.train], X[cell.test]
    # The control shuffles whatever training sees, the axes of the total correlation included;
    # the probe's rows stay whole, since labels belong to whole rows.
    paired = shuffle_pairs(train, cell.seed) if cell.shuffled else train
    estimator = seeded(cell.estimator, cell.seed)
    start = perf_counter()
    estimator.fit(paired)
    outcome.values["fit_seconds"] = perf_counter() - start
    y_train, y_test = (None if task.y is None else task.y[rows] for rows in (cell.train, cell.test))
    codes = modality_codes(estimator, test)
    if codes:
        labels = y_test if "mean_average_precision" in task.measured else None
        outcome.values |= alignment(modality_codes(estimator, paired), codes, labels)
        outcome.chance |= chance_alignment(codes, labels)
    if y_train is not None and y_test is not None and hasattr(estimator, "transform"):
        fused = estimator.transform(train), estimator.transform(test)
        outcome.values["probe_accuracy"] = probe(fused[0], y_train, fused[1], y_test)
        outcome.chance["probe_accuracy"] = chance_accuracy(y_train, y_test)
