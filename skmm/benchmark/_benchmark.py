"""Run methods on tasks: lay out the cells, take the stored ones, run and store the others."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.model_selection import check_cv

from skmm.benchmark._cells import Cell, Record, run_cell
from skmm.benchmark._fingerprint import data_hash, describe, digest, package_versions
from skmm.benchmark._frames import MethodInfo, as_json, metric_info, task_info
from skmm.benchmark._isolated import run_isolated
from skmm.benchmark._methods import Method, as_method, usual_methods
from skmm.benchmark._metrics import Metric, find_metrics
from skmm.benchmark._progress import progress_bar
from skmm.benchmark._provenance import provenance
from skmm.benchmark._results import Results, from_records
from skmm.benchmark._splits import RandomSplits
from skmm.benchmark._statistics import FAILED
from skmm.benchmark._store import Store, layout_of
from skmm.benchmark._tasks import Task

EXISTING = ("only-missing", "always", "never", "only-cache")
PROTOCOL = 1  # raise it when cells are fitted or split in another way


class _OfResults:
    """A method or attribute of the results of a run, which a benchmark has once it has run."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, benchmark: Any, owner: type) -> Any:
        if benchmark is None:
            return getattr(Results, self.name, self)  # with its docstring
        if "_found" not in vars(benchmark):
            raise AttributeError(
                f"{owner.__name__!r} object has no attribute {self.name!r}; call run() first"
            )
        return getattr(benchmark._found, self.name)


class Benchmark:
    """Methods compared on tasks, on the same splits, with paired differences to a baseline.

    Parameters
    ----------
    methods : dict of str to estimator, callable, tuple or Method; callable; or None
        Any estimator, Pipeline or search object; a function that is given the :class:`Task` and
        returns one; a pair of one of these and a grid, which is searched by inner splits of the
        training rows; or a :class:`Method`, which also has a role. Every
        `random_state` that is None is set. A function from a task to such a dict gives each task
        methods of its own; None is :func:`usual_methods`.
    tasks : Task or sequence of Task, default=()
        The data and the questions. There must be one.
    metrics : list of str or Metric, or dict of str to callable, default=None
        The metrics of every task, in place of the usual ones of its kind. A function is
        called with estimator, held-out data and labels, as a scorer of scikit-learn.
    cv : int, splitter or iterable, default=None
        The outer splits, as in scikit-learn. None takes 5 random splits, 80 % training, which keep
        the groups of a task together. Intervals assume random splits.
    seeds : int or sequence of int, default=1
        Seeds with which every method is fitted on every split, or how many.
    train_sizes : sequence of float, default=(1.0,)
        Shares of the training rows that methods are fitted on: more than one gives a learning
        curve. Verdicts are those of the largest.
    baseline : str, default=None
        The method that the others are compared with. None takes the best linear one for each task
        and metric; without linear ones the first method.
    margin : dict of str to float, default=None
        The smallest difference that matters, by metric.
    control : bool, default=True
        Whether the first linear method (or the baseline) also runs on training data whose relation
        is broken (pairs or labels are shuffled); it must then be at chance.
    search_budget : int, default=None
        How many settings may be tried in a grid. Of a larger one so many are drawn at random.
    random_state : int, default=0
        Determines splits, inner splits, methods and the control.
    notes : sequence of str, default=()
        Sentences that the report shows.
    command : str, default=None
        The command by which the report says it was made.

    Attributes
    ----------
    results_ : DataFrame
        One row per task, method, split, seed and metric, see `run`.
    tasks_, methods_, metrics_ : dict
        Descriptions of tasks, methods and metrics.
    provenance_ : dict of str to str
        Versions, hardware, date, splits, seeds.

    Raises
    ------
    TypeError
        If a task stands in the place of the methods, or methods or tasks are something else.
    ValueError
        If there are no methods or tasks, a name occurs twice, or `baseline` is unknown.

    Examples
    --------
    >>> from skmm import CCA
    >>> from skmm.benchmark import Benchmark, Task
    >>> from skmm.datasets import make_shared_latent
    >>> X, y = make_shared_latent(200, n_classes=2, random_state=0, return_X_y=True)
    >>> task = Task("simulated", X, y, metrics=["total_correlation", "probe_accuracy"])
    >>> benchmark = Benchmark({"CCA": CCA(2), "PLS": CCA(2, shrinkage=1.0)}, task, control=False)
    >>> frame = benchmark.run()
    >>> benchmark.summary().query("metric == 'total_correlation'")["mean"].round(1).tolist()
    [1.6, 1.6]
    """

    def __init__(
        self,
        methods: Mapping[str, Any] | Callable[[Task], Mapping[str, Any]] | None,
        tasks: Task | Sequence[Task] = (),
        metrics: Mapping[str, Callable[..., float]] | Iterable[str | Metric] | None = None,
        *,
        cv: Any = None,
        seeds: int | Sequence[int] = 1,
        train_sizes: Sequence[float] = (1.0,),
        baseline: str | None = None,
        margin: Mapping[str, float] | None = None,
        control: bool = True,
        search_budget: int | None = None,
        random_state: int = 0,
        notes: Sequence[str] = (),
        command: str | None = None,
    ) -> None:
        _check_order(methods, tasks)
        self.tasks = [tasks] if isinstance(tasks, Task) else list(tasks)
        given = methods if isinstance(methods, Mapping) else None
        if (given is not None and not given) or not self.tasks:
            how_many = "the usual" if given is None else len(given)
            raise ValueError(f"Nothing to run: {how_many} methods, {len(self.tasks)} tasks.")
        names = [task.name for task in self.tasks]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"Tasks must have different names; more than one is {repeated}.")
        if baseline is not None and given is not None and baseline not in given:
            raise ValueError(f"baseline={baseline!r} is not a method; they are {list(given)}.")
        if metrics is not None:
            found = list(find_metrics(metrics).values())
            self.tasks = [replace(task, metrics=found) for task in self.tasks]
        self.methods = methods if given is None else {n: as_method(m) for n, m in given.items()}
        self.cv = cv
        self.seeds = _check_seeds(seeds)
        self.train_sizes = _check_sizes(train_sizes)
        self.baseline = baseline
        self.margin = margin
        self.control = control
        self.search_budget = search_budget
        self.random_state = random_state
        self.notes = tuple(notes)
        self.command = command

    def run(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        n_jobs: int | None = None,
        on_existing: str = "only-missing",
        timeout: float | None = None,
        isolate: bool = False,
        verbose: int = 0,
    ) -> pd.DataFrame:
        """Fit every method on every split of every task.

        Parameters
        ----------
        path : str or path-like, default=None
            Folder in which every finished cell is kept at once, so that a run that was interrupted
            goes on where it was. None keeps nothing.
        n_jobs : int, default=None
            Number of processes, as in joblib, whose backends all serve. Each uses one thread.
        on_existing : {"only-missing", "always", "never", "only-cache"}, default="only-missing"
            Which cells are run although the folder may have them: missing and failed ones; all;
            missing ones only; none. A cell is the
            same if class, parameters, data, split, seed, metrics and versions of packages are.
        timeout : float, default=None
            Seconds after which a cell is ended and has failed. Cells then run in processes of
            their own.
        isolate : bool, default=False
            Whether each cell runs in a fresh process, which also tells its peak memory.
        verbose : int, default=0
            1 shows a progress bar.

        Returns
        -------
        results : DataFrame
            Columns `task`, `kind`, `method`, `role`, `train_size`, `split`, `seed`, `metric`,
            `value`, `chance` (the value of a method without skill), `family` (of a likelihood),
            `status` (``"ok"``, ``"undefined"`` for a method that has no such metric,
            ``"not applicable"``, ``"failed"``, ``"timeout"``), `n_train`, `n_test`,
            `n_candidates` (settings tried), `key` (of the stored cell) and `error` (the traceback
            of a failure).

        Raises
        ------
        ValueError
            If `on_existing` is unknown, or something is to be taken from a folder without a path.
        FileNotFoundError
            If nothing is to be run and nothing is there.
        """
        if on_existing not in EXISTING:
            raise ValueError(f"on_existing={on_existing!r} is unknown; valid are {list(EXISTING)}.")
        if path is None and on_existing == "only-cache":
            raise ValueError('on_existing="only-cache" needs the path of a folder with results.')
        start = perf_counter()
        store = None if path is None else Store(path)
        cells = self._cells(stored=store is not None)
        known = {}
        if store is not None and on_existing != "always":
            known = _known(store, cells, retry=on_existing == "only-missing")
        index = self._index(cells, n_jobs)
        if on_existing == "only-cache":
            if not known:
                raise FileNotFoundError(f"None of the {len(cells)} cells is in {path}: run them.")
        else:
            if store is not None:
                store.sweep()
                store.write_index(joined(store.read_index(), index))
            todo = [(i, cell) for i, cell in enumerate(cells) if i not in known]
            job = partial(_run_one, store=store, timeout=timeout, isolate=isolate)
            known |= _run_all(todo, job, store, n_jobs, verbose)
        index["provenance"]["run time"] = f"{perf_counter() - start:.0f} s"
        self._found = from_records([known[i] for i in sorted(known)], index)
        return self._found.results_

    results_, curves_, warnings_, provenance_ = (_OfResults() for _ in range(4))
    tasks_, methods_, metrics_ = (_OfResults() for _ in range(3))
    summary, control_checks, win_tie_loss, ranks = (_OfResults() for _ in range(4))
    report, to_markdown, to_html, save, merge = (_OfResults() for _ in range(5))

    def _cells(self, *, stored: bool) -> list[Cell]:
        """Lay out all cells: splits and seeds are the same for every method."""
        return [cell for task in self.tasks for cell in self._cells_of(task, stored)]

    def _cells_of(self, task: Task, stored: bool) -> Iterator[Cell]:
        parts = list(self._parts(task, stored))
        data = task.fingerprint if stored else ""
        for method, role, estimator, broken in self._estimators(task):
            about = self._about(task, data, estimator, broken) if stored else {}
            base = digest(about) if stored else ""
            for part, rows in parts:
                key = digest([base, rows, part["random_state"]]) if stored else None
                common: dict[str, Any] = {
                    "role": role,
                    "broken": broken,
                    "key": key,
                    "about": about,
                }
                yield Cell(task, method, estimator, **part, **common)

    def _parts(self, task: Task, stored: bool) -> Iterator[tuple[dict[str, Any], str]]:
        """Yield rows and seeds, and a hash of the rows."""
        splits = self._splitter(task).split(np.zeros(len(task.X)), task.y, task.groups)
        for number, (train, test) in enumerate(splits):
            for share in self.train_sizes:
                rows = _some(train, share, _seed(self.random_state, number))
                found = data_hash((rows, test)) if stored else ""
                part = {"split": number, "train": rows, "test": test, "train_size": share}
                for seed in self.seeds:
                    state = _seed(self.random_state, number, seed)
                    yield {**part, "seed": seed, "random_state": state}, found

    def _estimators(self, task: Task) -> Iterator[tuple[str, str, Any, bool]]:
        methods = self._methods_of(task)
        options: dict[str, Any] = {"budget": self.search_budget, "random_state": self.random_state}
        made = {name: method.make(task, **options) for name, method in methods.items()}
        roles = {name: method.role_of(made[name]) for name, method in methods.items()}
        for name, estimator in made.items():
            yield name, roles[name], estimator, False
        if self.control:
            linear = [name for name, role in roles.items() if role == "linear"]
            name = self.baseline or next(iter([*linear, *roles]))
            yield f"{name}, {_BROKEN[task.kind]} shuffled", "control", made[name], True

    def _methods_of(self, task: Task) -> Mapping[str, Method]:
        if isinstance(self.methods, Mapping):
            return self.methods
        made = (self.methods or usual_methods)(task)
        return {name: as_method(method) for name, method in made.items()}

    def _about(self, task: Task, data: str, estimator: Any, broken: bool) -> dict[str, Any]:
        """Return everything that decides the values of a method on a task, but rows and seed."""
        metrics = {
            name: [m.version, describe(m.function)] for name, m in task.found_metrics.items()
        }
        return {
            "protocol": PROTOCOL,
            "data": data,
            "kind": task.kind,
            "target": task.target,
            "metrics": metrics,
            "estimator": describe(estimator),
            "packages": package_versions(estimator),
            "broken": broken,
        }

    def _splitter(self, task: Task) -> Any:
        if self.cv is None:
            return RandomSplits(5, self.random_state)
        return check_cv(self.cv, task.y, classifier=task.y is not None)

    def _index(self, cells: Sequence[Cell], n_jobs: int | None) -> dict[str, Any]:
        """Return the descriptions that a report needs beside the cells."""
        methods: dict[str, MethodInfo] = {}
        for cell in {(c.task.name, c.method): c for c in cells}.values():
            _describe_method(methods, cell, self._summary_of(cell))
        metrics = {n: m for task in self.tasks for n, m in task.found_metrics.items()}
        return {
            "tasks": {t.name: as_json(task_info(t)) for t in self.tasks},
            "methods": {name: as_json(info) for name, info in methods.items()},
            "metrics": {name: metric_info(metric) for name, metric in metrics.items()},
            "cells": layout_of(cells),
            "baseline": self.baseline,
            "margin": dict(self.margin or {}),
            "notes": list(self.notes),
            "provenance": provenance(
                command=self.command,
                splits=f"{self._splitter(self.tasks[0])!r}, the same for every method",
                random_state=self.random_state,
                n_seeds=len(self.seeds),
                n_jobs=n_jobs,
            ),
        }

    def _summary_of(self, cell: Cell) -> str:
        if cell.broken:
            name = cell.method.rsplit(", ", 1)[0]
            return f"{name}, trained on {_BROKEN[cell.task.kind]} that do not belong together"
        given = self._methods_of(cell.task)[cell.method].summary
        return given or " ".join(repr(cell.estimator).split())


def _describe_method(methods: dict[str, MethodInfo], cell: Cell, summary: str) -> None:
    """Add the description of a method; tasks of other kinds may have another one of that name."""
    known = methods.setdefault(cell.method, MethodInfo(cell.method, cell.role, summary)).summary
    if summary not in known.split(" | "):
        methods[cell.method] = MethodInfo(cell.method, cell.role, f"{known} | {summary}")


_BROKEN = {"align": "pairs", "fuse": "pairs", "transfer": "targets", "classify": "labels"}


# Errors of joblib's backends after a worker has died, with its cells and perhaps with the data.
_LOST = ("TerminatedWorkerError", "FutureCancelledError", "KilledWorker", "CommClosedError")
_ATTEMPTS = 4


def _run_all(
    cells: Sequence[tuple[int, Cell]],
    job: Callable[[int, Cell, Task], tuple[int, Record]],
    store: Store | None,
    n_jobs: int | None,
    verbose: int,
) -> dict[int, Record]:
    """Return the records of cells by their position; cells that die with a worker are run again."""
    done: dict[int, Record] = {}
    with progress_bar(len(cells), verbose) as advance:
        for attempt in range(1, _ATTEMPTS + 1):
            waiting = [(i, cell) for i, cell in cells if i not in done]
            try:
                for i, record in _in_parallel(waiting, job, n_jobs):
                    if store is not None and not store.has(record["key"]):
                        store.write(record)  # of a worker with disks of its own
                    done[i] = record
                    advance(f"{record['task']}: {record['method']}")
                break
            except Exception as error:
                if type(error).__name__ not in _LOST:
                    raise
                if attempt == _ATTEMPTS:
                    error.add_note("isolate=True tells which cell it is, and goes on without it.")
                    raise
                warnings.warn(f"A worker died; its cells are run again ({error}).", stacklevel=4)
    return done


def _in_parallel(
    cells: Sequence[tuple[int, Cell]],
    job: Callable[[int, Cell, Task], tuple[int, Record]],
    n_jobs: int | None,
) -> Iterator[tuple[int, Record]]:
    # The task by itself, so that a scheduler can send it once for all of its cells.
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    yield from parallel(delayed(job)(i, replace(cell, task=None), cell.task) for i, cell in cells)


def _run_one(
    i: int, cell: Cell, task: Task, *, store: Store | None, timeout: float | None, isolate: bool
) -> tuple[int, Record]:
    """Run a cell and keep it before anything else can happen."""
    cell = replace(cell, task=task)
    record = run_isolated(cell, timeout) if isolate or timeout is not None else run_cell(cell)
    if store is not None:
        store.write(record)
    return i, record


def _known(store: Store, cells: Sequence[Cell], *, retry: bool) -> dict[int, Record]:
    """Return the records that are taken from the folder, by the position of their cells."""
    found = {}
    for i, cell in enumerate(cells):
        record = store.read(str(cell.key))
        if record is not None and not (retry and record["status"] in FAILED):
            found[i] = {**record, **cell.labels()}  # tasks and methods may have other names now
    return found


def joined(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return an index of a folder: the old one, where it was not run again."""
    both = {**old, **new}
    for part in ("tasks", "methods", "metrics"):
        both[part] = {**old.get(part, {}), **new[part]}
    cells = dict(old.get("cells", {}))
    for task, methods in new["cells"].items():
        same = old.get("tasks", {}).get(task, {}).get("data") == new["tasks"][task]["data"]
        cells[task] = {**(cells.get(task, {}) if same else {}), **methods}
    return {**both, "cells": cells}


def _check_order(methods: Any, tasks: Any) -> None:
    """Refuse tasks in the place of methods, and arguments that are neither."""
    if isinstance(methods, Task) or (methods and _are_tasks(methods)):
        raise TypeError(
            "Benchmark takes the methods first and the tasks second, but its first argument is a "
            "task: write Benchmark(None, task) for the usual methods, or "
            'Benchmark({"CCA": CCA(2), "mine": my_estimator}, task).'
        )
    if not (methods is None or isinstance(methods, Mapping) or callable(methods)):
        raise TypeError(
            f"methods={methods!r} must be a dict of names and estimators, a function from a task "
            'to one, or None for the usual methods: write {"name": estimator}.'
        )
    if not isinstance(tasks, Task) and not _are_tasks(tasks):
        raise TypeError(
            f"tasks={tasks!r} must be a Task or a list of tasks: write Task(name, X, y)."
        )


def _are_tasks(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(one, Task) for one in value)


def _check_seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not chosen or len(set(chosen)) < len(chosen) or min(chosen) < 0:
        raise ValueError(f"seeds={seeds!r} must be a positive number or different numbers >= 0.")
    return chosen


def _check_sizes(sizes: Sequence[float]) -> tuple[float, ...]:
    if not sizes or not all(0 < size <= 1 for size in sizes):
        raise ValueError(f"train_sizes={sizes!r} must be shares in (0, 1].")
    return tuple(sorted({float(size) for size in sizes}))


def _some(train: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return a share of the training rows; smaller ones lie inside larger ones."""
    if share == 1.0:
        return train
    order = np.random.RandomState(seed).permutation(len(train))
    return train[np.sort(order[: max(2, round(share * len(train)))])]


def _seed(*words: int) -> int:
    return int(np.random.SeedSequence(words).generate_state(1)[0] >> 1)
