"""The parts of results: frames with all columns, descriptions of tasks and methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import pandas as pd

from skmm.benchmark._cells import COLUMNS
from skmm.benchmark._metrics import Metric
from skmm.benchmark._task_types import TASK_TYPES

if TYPE_CHECKING:
    from skmm.benchmark._tasks import Task

ESSENTIAL = ("task", "method", "split", "metric", "value")
_FILLED: dict[str, Any] = {
    "kind": "align",
    "role": "nonlinear",
    "train_size": 1.0,
    "seed": 0,
    "chance": float("nan"),
    "family": "",
    "status": "ok",
    "n_train": float("nan"),
    "n_test": float("nan"),
    "n_candidates": 1,
    "key": "",
    "error": "",
}
IDENTITY = ["task", "method", "train_size", "split", "seed", "metric"]


@dataclass(frozen=True)
class TaskInfo:
    """The description of a task in reports."""

    name: str
    kind: str
    measured: list[str]
    headline: list[str]
    description: str = ""
    n_samples: int | None = None
    modalities: list[str] = field(default_factory=list)
    target: str | None = None
    n_components: int | None = None
    data: str = ""
    prepare: str = ""


@dataclass(frozen=True)
class MethodInfo:
    """The description of a method in reports."""

    name: str
    role: str
    summary: str = ""


@dataclass(frozen=True)
class Curve:
    """The losses of the epochs of one network."""

    task: str
    method: str
    split: int
    seed: int
    values: Mapping[str, list[float]]


def task_info(task: Task) -> TaskInfo:
    """Return the description of a task."""
    return TaskInfo(
        name=task.name,
        kind=task.kind,
        measured=list(task.measured),
        headline=_headline(task.kind, task.found_metrics),
        description=task.description,
        n_samples=len(task.X),
        modalities=list(task.X.names),
        target=task.target,
        n_components=task.n_components,
        data=task.fingerprint,
        prepare="" if task.prepare is None else _named(task.prepare),
    )


def _named(prepare: Any, most: int = 60) -> str:
    """Return a transformer in few words: its repr, or the classes of its steps."""
    text = " ".join(repr(prepare).split())
    steps = [step for _, step in getattr(prepare, "steps", [("", prepare)])]
    return text if len(text) <= most else ", ".join(type(step).__name__ for step in steps)


def metric_info(metric: Metric) -> dict[str, Any]:
    """Return a metric without its function, as JSON can hold it."""
    known = {f.name: getattr(metric, f.name) for f in fields(metric)}
    return {**known, "function": None}


def as_json(info: TaskInfo | MethodInfo) -> dict[str, Any]:
    """Return a description that can be stored as JSON."""
    return asdict(info)


def check_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with all columns, or refuse it if it lacks an essential one."""
    if lacking := [name for name in ESSENTIAL if name not in frame]:
        raise ValueError(f"The frame lacks the columns {lacking}; it has {list(frame)}.")
    full = frame.reset_index(drop=True)
    for name, value in _FILLED.items():
        if name not in full:
            full[name] = value
        elif full[name].isna().any() and value == value:  # NaN says itself that it is unknown
            full[name] = full[name].astype(object).where(full[name].notna(), value)
    if (twice := full.duplicated(IDENTITY)).any():
        first = full.loc[twice, IDENTITY].iloc[0].to_dict()
        raise ValueError(f"The frame has {int(twice.sum())} rows twice, the first is {first}.")
    return full[COLUMNS]


def _headline(kind: str, metrics: Mapping[str, Metric]) -> list[str]:
    """Return the metrics that get a verdict: one for each theme, and all of one's own."""
    chosen: dict[str, str] = {}
    for name in TASK_TYPES[kind].headline:
        if name in metrics:
            chosen.setdefault(metrics[name].theme, name)
    own = [name for name, metric in metrics.items() if metric.theme == "own"]
    usual = [n for n, m in metrics.items() if m.theme != "cost"][:1]
    return [*chosen.values(), *own] or usual


def tasks_of(frame: pd.DataFrame, metrics: Mapping[str, Metric]) -> dict[str, TaskInfo]:
    found = {}
    for name, rows in frame.groupby("task", sort=False):
        measured = {metric: metrics[metric] for metric in dict.fromkeys(rows["metric"])}
        kind = str(rows["kind"].iloc[0])
        if kind not in TASK_TYPES:
            raise ValueError(
                f"kind={kind!r} of task {name!r} is unknown; valid are {list(TASK_TYPES)}."
            )
        found[str(name)] = TaskInfo(str(name), kind, list(measured), _headline(kind, measured))
    return found


def methods_of(frame: pd.DataFrame) -> dict[str, MethodInfo]:
    roles = frame.groupby("method", sort=False)["role"].first()
    return {str(name): MethodInfo(str(name), str(role)) for name, role in roles.items()}
