"""Run methods on tasks, keep what came out, write it down."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.model_selection import ShuffleSplit, check_cv

from skmm.benchmark._cells import COLUMNS, Cell, run_cell, tidy_rows, where_warned
from skmm.benchmark._progress import progress_bar
from skmm.benchmark._provenance import provenance
from skmm.benchmark._report import Report
from skmm.benchmark._statistics import control_checks, summarize
from skmm.benchmark._tasks import Task


class Benchmark:
    """Methods compared on tasks, on the same splits, with paired differences to a baseline.

    Parameters
    ----------
    methods : dict of str to estimator or callable
        Any estimator, Pipeline or search object with `fit`; or a function that is given the
        :class:`Task` and returns one. Alignment is measured if its last step has
        `transform_each`, fusion if it has `transform`. Every `random_state` that is None is set.
    tasks : sequence of Task
        The data. Methods are fitted without labels.
    cv : int, splitter or iterable, default=None
        The outer splits, as in scikit-learn. None takes 5 random splits, 80 % training. Intervals
        assume random splits.
    baseline : str, default=None
        The method that the others are compared with. None takes the first.
    control : bool, default=True
        Whether the baseline also runs on training data whose pairing is broken, see
        :func:`shuffle_pairs`; its held-out alignment must then be at chance.
    random_state : int, default=0
        Determines splits, methods and the control.
    descriptions : dict of str to str, default=None
        What each method is, for the reader of the report. By default its class or its repr.
    notes : sequence of str, default=()
        Sentences that the report shows.
    command : str, default=None
        The command by which the report says it was made.

    Attributes
    ----------
    results_ : DataFrame
        One row per task, method, split and metric, see `run`.
    provenance_ : dict of str to str
        Versions, hardware, date, splits, seeds.

    Raises
    ------
    ValueError
        If there are no methods or tasks, a name occurs twice, or `baseline` is unknown.

    Examples
    --------
    >>> from skmm import CCA
    >>> from skmm.benchmark import Benchmark, Task
    >>> from skmm.datasets import make_shared_latent
    >>> X, y = make_shared_latent(200, n_classes=2, random_state=0, return_X_y=True)
    >>> task = Task("simulated", X, y, metrics=("total_correlation", "probe_accuracy"))
    >>> benchmark = Benchmark({"CCA": CCA(2), "PLS": CCA(2, shrinkage=1.0)}, [task], control=False)
    >>> results = benchmark.run()
    >>> results.shape
    (20, 11)
    >>> benchmark.summary()["mean"].round(1).tolist()
    [1.6, 0.9, 1.6, 0.9]
    """

    def __init__(
        self,
        methods: Mapping[str, Any],
        tasks: Sequence[Task],
        *,
        cv: Any = None,
        baseline: str | None = None,
        control: bool = True,
        random_state: int = 0,
        descriptions: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
        command: str | None = None,
    ) -> None:
        if not methods or not tasks:
            raise ValueError(f"Nothing to run: {len(methods)} methods, {len(tasks)} tasks.")
        names = [task.name for task in tasks]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"Tasks must have different names; more than one is {repeated}.")
        if baseline is not None and baseline not in methods:
            raise ValueError(f"baseline={baseline!r} is not a method; they are {list(methods)}.")
        self.methods = methods
        self.tasks = tasks
        self.cv = cv
        self.baseline = next(iter(methods)) if baseline is None else baseline
        self.control = control
        self.random_state = random_state
        self.descriptions = descriptions
        self.notes = notes
        self.command = command

    @property
    def control_name(self) -> str:
        """Name of the control in the results."""
        return f"{self.baseline}, pairs shuffled"

    def run(self, *, n_jobs: int | None = None, verbose: int = 0) -> pd.DataFrame:
        """Fit every method on every split of every task.

        Parameters
        ----------
        n_jobs : int, default=None
            Number of processes, as in joblib. Each uses one thread.
        verbose : int, default=0
            1 shows a progress bar.

        Returns
        -------
        results : DataFrame
            Columns `task`, `method`, `split`, `metric`, `value`, `chance` (what a method without
            skill gets), `status` (``"ok"``, ``"undefined"`` for a method that has no such metric,
            ``"not applicable"``, ``"failed"``), `n_train`, `n_test`, `seed` and `error` (the
            traceback of a failure).
        """
        cells = self._cells()
        start = perf_counter()
        with progress_bar(len(cells), verbose) as advance:
            parallel = Parallel(n_jobs=n_jobs, return_as="generator")
            outcomes = []
            for outcome in parallel(delayed(run_cell)(cell) for cell in cells):
                outcomes.append(outcome)
                cell = cells[min(len(outcomes), len(cells) - 1)]
                advance(f"{cell.task.name}: {cell.method}")
        pairs = list(zip(cells, outcomes, strict=True))
        self.results_ = pd.DataFrame(
            [row for cell, outcome in pairs for row in tidy_rows(cell, outcome)], columns=COLUMNS
        )
        self._warnings = where_warned(pairs)
        self.provenance_ = provenance(
            command=self.command,
            splits=self._describe_splits(),
            random_state=self.random_state,
            n_jobs=n_jobs,
            seconds=perf_counter() - start,
        )
        return self.results_

    def summary(self) -> pd.DataFrame:
        """Return means over splits and paired differences to the baseline.

        Returns
        -------
        summary : DataFrame
            One row per task, method and metric: `status`, `mean` and `std` over splits, `chance`,
            `n_splits`, `n_failed`, the mean `difference` to the baseline on the same splits, and
            `low` and `high`, its 95 % :func:`corrected_interval`.
        """
        return summarize(self._run_results(), self.baseline)

    def control_checks(self) -> pd.DataFrame:
        """Return whether the control is at chance.

        Returns
        -------
        checks : DataFrame
            One row per task and alignment metric: `value` and `chance` (means over splits), and
            `passed`: whether they cannot be told apart, at a level of 1 % over all checks; None
            with a single split.
        """
        return control_checks(self._run_results(), self.control_name)

    def report(self) -> Report:
        """Return what the Markdown and HTML reports are made from."""
        return Report(
            frame=self._run_results(),
            summary=self.summary(),
            checks=self.control_checks(),
            tasks=self.tasks,
            baseline=self.baseline,
            control=self.control_name,
            provenance=self.provenance_,
            descriptions=self._descriptions(),
            notes=self.notes,
            warnings=self._warnings,
        )

    def to_markdown(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the verdicts and tables as Markdown.

        Parameters
        ----------
        path : str or path-like, default=None
            Where to write it, if anywhere.

        Returns
        -------
        text : str
        """
        return _write(self.report().to_markdown(), path)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return one HTML page with verdicts, pictures and tables; it needs no other file.

        Parameters
        ----------
        path : str or path-like, default=None
            Where to write it, if anywhere.

        Returns
        -------
        html : str
        """
        return _write(self.report().to_html(), path)

    def save(self, folder: str | os.PathLike[str]) -> dict[str, Path]:
        """Write ``results.csv``, ``report.md`` and ``report.html``.

        Parameters
        ----------
        folder : str or path-like
            It is made if need be; files of these names are replaced.

        Returns
        -------
        paths : dict of str to Path
            By ``"csv"``, ``"markdown"``, ``"html"``.
        """
        home = Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        names = {"csv": "results.csv", "markdown": "report.md", "html": "report.html"}
        paths = {kind: home / name for kind, name in names.items()}
        self._run_results().to_csv(paths["csv"], index=False)
        self.to_markdown(paths["markdown"])
        self.to_html(paths["html"])
        return paths

    def _run_results(self) -> pd.DataFrame:
        if not hasattr(self, "results_"):
            raise ValueError("This Benchmark has no results yet: call run() first.")
        return self.results_

    def _descriptions(self) -> dict[str, str]:
        given = self.descriptions or {}
        return {name: given.get(name, _repr(method)) for name, method in self.methods.items()}

    def _cells(self) -> list[Cell]:
        """Lay out all cells: splits and seeds are the same for every method."""
        cells = []
        for task in self.tasks:
            splits = list(self._splitter(task).split(np.zeros(len(task.X)), task.y))
            for name, estimator, shuffled in self._estimators(task):
                for number, (train, test) in enumerate(splits):
                    seed = _seed(self.random_state, number)
                    cells.append(Cell(task, name, estimator, number, train, test, seed, shuffled))
        return cells

    def _splitter(self, task: Task) -> Any:
        if self.cv is None:
            return ShuffleSplit(5, test_size=0.2, random_state=self.random_state)
        return check_cv(self.cv, task.y, classifier=task.y is not None)

    def _estimators(self, task: Task) -> Iterator[tuple[str, Any, bool]]:
        for name, method in self.methods.items():
            yield name, method if hasattr(method, "fit") else method(task), False
        if self.control:
            method = self.methods[self.baseline]
            estimator = method if hasattr(method, "fit") else method(task)
            yield self.control_name, estimator, True

    def _describe_splits(self) -> str:
        splitter = self._splitter(self.tasks[0])
        return f"{splitter!r}, the same for every method"


def _repr(method: Any) -> str:
    return " ".join(repr(method).split()) if hasattr(method, "fit") else method.__name__


def _seed(random_state: int, split: int) -> int:
    return int(np.random.SeedSequence((random_state, split)).generate_state(1)[0] >> 1)


def _write(text: str, path: str | os.PathLike[str] | None) -> str:
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text
