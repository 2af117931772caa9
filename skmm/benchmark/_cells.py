"""One cell of a benchmark: one method fitted on one split of one task with one seed."""

from __future__ import annotations

import os
import platform
import traceback
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np
from numpy.random import RandomState
from sklearn.base import BaseEstimator, clone
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from skmm.benchmark._adapters import NotApplicable
from skmm.benchmark._controls import break_relation
from skmm.benchmark._metrics import COSTS
from skmm.benchmark._splits import Split
from skmm.benchmark._task_types import TASK_TYPES, Measured, fit
from skmm.compose._steps import chosen, last_step

Array = np.ndarray
Record = dict[str, Any]

COLUMNS = ["task", "kind", "method", "role", "train_size", "split", "seed", "metric", "value"]
COLUMNS += ["chance", "family", "status", "n_train", "n_test", "n_candidates", "key", "error"]
N_CURVE = 100  # points that are kept of a training curve


@dataclass(frozen=True)
class Cell:
    """One method, one split and one seed. The key is None where nothing is stored."""

    task: Any  # a Task; None on its way to a worker
    method: str
    estimator: Any
    split: int
    seed: int
    train: Array
    test: Array
    random_state: int
    train_size: float = 1.0
    role: str = "nonlinear"
    broken: bool = False
    key: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def labels(self) -> Record:
        """Return the columns that identify the cell in a frame."""
        return {
            "task": self.task.name,
            "kind": self.task.kind,
            "method": self.method,
            "role": self.role,
            "train_size": self.train_size,
            "split": self.split,
            "seed": self.seed,
            "n_train": len(self.train),
            "n_test": len(self.test),
            "key": self.key,
        }


def run_cell(cell: Cell) -> Record:
    """Fit and measure in one thread; an error is recorded, not raised."""
    record = _record(cell, "ok")
    record |= {"host": platform.node(), "process": os.getpid()}
    # Cells side by side would fight for the processors if each also used them all.
    with _thread_pools().limit(limits=1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            _measure(cell, record)
        except NotApplicable as error:
            record |= {"status": "not applicable", "error": str(error)}
        except Exception:
            record |= {"status": "failed", "error": traceback.format_exc()}
    record["warnings"] = sorted({f"{w.category.__name__}: {w.message}" for w in caught})
    return record


def failed(cell: Cell, status: str, error: str) -> Record:
    """Return the record of a cell whose process ended without one."""
    return _record(cell, status, error)


def _record(cell: Cell, status: str, error: str = "") -> Record:
    record = {**cell.labels(), "status": status, "error": error, "n_candidates": 1}
    record |= {"values": {}, "chance": {}, "family": "", "curve": {}, "warnings": []}
    record["started"] = datetime.now(UTC).isoformat(timespec="seconds")
    return {**record, "about": dict(cell.about)}


def seeded(estimator: Any, seed: int) -> Any:
    """Return a clone in which every `random_state` that is None is an integer."""
    estimator = clone(estimator)
    rng = RandomState(seed)
    parameters = estimator.get_params(deep=True)
    open_ = [k for k in sorted(parameters) if k.split("__")[-1] == "random_state"]
    return estimator.set_params(
        **{k: int(rng.randint(2**31 - 1)) for k in open_ if parameters[k] is None}
    )


def tidy_rows(record: Record, measured: list[str]) -> Iterator[Record]:
    """Yield one row per metric; a metric that does not exist for the method is "undefined"."""
    done = record["status"] == "ok"
    for metric in measured:
        known = metric in record["values"] and done
        if metric in COSTS and not known:  # such as memory, which only fresh processes tell
            continue
        yield {
            **{name: record[name] for name in COLUMNS if name in record},
            "metric": metric,
            "value": record["values"][metric] if known else np.nan,
            "chance": record["chance"].get(metric, np.nan),
            "family": record["family"] if metric == "log_likelihood" else "",
            "status": record["status"] if known or not done else "undefined",
        }


@cache
def _thread_pools() -> Any:
    """Return the controller of threads; finding the libraries takes longer than many a fit."""
    return ThreadpoolController()


def _measure(cell: Cell, record: Record) -> None:
    task, X = cell.task, cell.task.X
    y_train, y_test = (None if task.y is None else task.y[rows] for rows in (cell.train, cell.test))
    train, test = _prepared(task, X[cell.train], X[cell.test], cell.random_state)
    split = Split(
        kind=task.kind,
        target=task.target,
        measured=task.measured,
        train=train,
        whole=train,
        test=test,
        y_train=y_train,
        y_test=y_test,
        seed=cell.random_state,
    )
    if cell.broken:
        split = break_relation(split)
    estimator = seeded(cell.estimator, cell.random_state)
    start = perf_counter()
    fit(estimator, split)
    values = {"fit_seconds": perf_counter() - start}
    found = TASK_TYPES[task.kind].measure(estimator, split)
    for name, metric in task.found_metrics.items():
        if metric.function is not None:
            found.values[name] = float(metric.function(estimator, split.test, y_test))
    _note(record, found, {**values, **_costs(estimator, found)}, task.measured)
    record["n_candidates"] = n_candidates(estimator)
    record["curve"] = _curve(estimator)


def _prepared(task: Any, train: Any, test: Any, seed: int) -> tuple[Any, Any]:
    """Return both as the preparation of the task leaves them, which sees the training rows only."""
    if task.prepare is None:
        return train, test
    prepare = seeded(task.prepare, seed).fit(train)
    return prepare.transform(train), prepare.transform(test)


def _note(record: Record, found: Measured, costs: Mapping[str, float], measured: Any) -> None:
    values = {**found.values, **costs}
    record["values"] = _finite({name: values[name] for name in measured if name in values})
    record["chance"] = _finite({name: v for name, v in found.chance.items() if name in measured})
    record["family"] = found.family


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    """Return the finite values; others count as not measured."""
    return {name: float(value) for name, value in values.items() if np.isfinite(value)}


def _costs(estimator: Any, found: Measured) -> dict[str, float]:
    return {"predict_seconds": found.seconds, "parameters": float(n_parameters(estimator))}


def n_candidates(estimator: Any) -> int:
    """Return how many settings a search has tried; 1 without one."""
    results = getattr(estimator, "cv_results_", None)
    return 1 if results is None else len(results["params"])


def n_parameters(estimator: Any) -> int:
    """Return the weights of networks; else the floating-point numbers of fitted attributes."""
    estimator = chosen(estimator)
    module = getattr(getattr(estimator, "net_", None), "module_", None)
    if module is not None:
        return sum(weights.numel() for weights in module.parameters())
    if hasattr(estimator, "steps"):
        inside = [step for _, step in estimator.steps]
        return sum(n_parameters(step) for step in inside if isinstance(step, BaseEstimator))
    attributes = vars(estimator) if isinstance(estimator, BaseEstimator) else {}
    return sum(_count(v) for name, v in attributes.items() if name.endswith("_"))


def _count(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.size if value.dtype.kind == "f" else 0
    if isinstance(value, Mapping):
        return sum(map(_count, value.values()))
    if isinstance(value, (list, tuple)):
        return sum(map(_count, value))
    return n_parameters(value) if isinstance(value, BaseEstimator) else 0


def _curve(estimator: Any) -> dict[str, list[float]]:
    """Return the losses of the epochs of a network, not more than a picture can show."""
    history = getattr(last_step(estimator), "history_", None)
    if history is None:
        return {}
    names = [name for name in ("epoch", "train_loss", "valid_loss") if name in history]
    kept = history[names].dropna()
    rows = np.unique(np.linspace(0, max(len(kept) - 1, 0), N_CURVE).astype(int))
    return (
        {name: kept[name].iloc[rows].astype(float).tolist() for name in names} if len(kept) else {}
    )
