"""Results: a frame of values, and summaries and reports of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from skmm.benchmark._cells import COLUMNS, Record, tidy_rows
from skmm.benchmark._frames import (
    IDENTITY,
    Curve,
    MethodInfo,
    TaskInfo,
    check_frame,
    methods_of,
    tasks_of,
)
from skmm.benchmark._metrics import METRICS, Metric
from skmm.benchmark._report import Content, Report, html, markdown
from skmm.benchmark._statistics import (
    Margins,
    Ranks,
    control_checks,
    mean_ranks,
    summarize,
    win_tie_loss,
)
from skmm.benchmark._store import INDEX, Store


class Results:
    """The outcome of benchmarks: frames, verdicts, reports.

    Made by :meth:`Benchmark.run`, :meth:`from_frame`, :meth:`from_folder` or :meth:`merge`.

    Parameters
    ----------
    frame : DataFrame
        One row per task, method, split, seed and metric, see :meth:`Benchmark.run`. Only `task`,
        `method`, `split`, `metric` and `value` are needed.
    baseline : str, default=None
        The method that the others are compared with. None takes the best linear one for each task
        and metric; without linear ones the first method.
    margin : dict of str to float, default=None
        The smallest difference that matters, by metric. By default .5 percent points for shares,
        .005 for what lies between 0 and 1, .05 for total correlation and log-likelihood.
    tasks : dict of str to TaskInfo, default=None
        Descriptions of the tasks for reports.
    methods : dict of str to MethodInfo, default=None
        Descriptions of the methods for reports.
    metrics : dict of str to Metric, default=None
        Metrics that are not built in.
    provenance : dict of str to str, default=None
        Versions, hardware and date of the run.
    notes : sequence of str, default=()
        Sentences that reports show.
    warnings : dict of str to list of str, default=None
        Warnings, and where they came up.
    curves : sequence of Curve, default=()
        Losses of the epochs of networks.

    Attributes
    ----------
    results_ : DataFrame
        The frame.
    tasks_ : dict of str to TaskInfo
        Descriptions of the tasks.
    methods_ : dict of str to MethodInfo
        Descriptions of the methods.
    metrics_ : dict of str to Metric
        The metrics of the frame.
    provenance_ : dict of str to str
        Versions, hardware, date, splits, seeds.

    Raises
    ------
    ValueError
        If the frame lacks a column or has a row twice, or `baseline` is unknown.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmm.benchmark import Results
    >>> frame = pd.DataFrame({
    ...     "task": "mine", "method": ["old", "old", "new", "new"], "split": [0, 1, 0, 1],
    ...     "metric": "accuracy", "value": [0.8, 0.9, 0.9, 1.0], "kind": "classify",
    ...     "n_train": 80, "n_test": 20})
    >>> Results.from_frame(frame, baseline="old").summary()[["method", "mean", "difference"]]
      method  mean  difference
    0    old  0.85         NaN
    1    new  0.95         0.1
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        *,
        baseline: str | None = None,
        margin: Mapping[str, float] | None = None,
        tasks: Mapping[str, TaskInfo] | None = None,
        methods: Mapping[str, MethodInfo] | None = None,
        metrics: Mapping[str, Metric] | None = None,
        provenance: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
        warnings: Mapping[str, Sequence[str]] | None = None,
        curves: Sequence[Curve] = (),
    ) -> None:
        self.results_ = check_frame(frame)
        names = list(dict.fromkeys(self.results_["method"]))
        if baseline is not None and baseline not in names:
            raise ValueError(f"baseline={baseline!r} is not a method; they are {names}.")
        self.baseline = baseline
        self.margin = margin
        self.metrics_ = {
            name: (metrics or {}).get(name) or METRICS.get(name) or Metric(name, _words(name))
            for name in dict.fromkeys(self.results_["metric"])
        }
        if margin and (unknown := [name for name in margin if name not in self.metrics_]):
            raise ValueError(f"margin names {unknown}, but the metrics are {list(self.metrics_)}.")
        self.tasks_ = {**tasks_of(self.results_, self.metrics_), **(tasks or {})}
        self.methods_ = {**methods_of(self.results_), **(methods or {})}
        self.provenance_ = dict(provenance or {})
        self.notes = tuple(notes)
        self.warnings_ = dict(warnings or {})
        self.curves_ = tuple(curves)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, **options: Any) -> Results:
        """Take results from a frame, such as one read from ``results.csv``.

        Parameters
        ----------
        frame : DataFrame
            At least the columns `task`, `method`, `split`, `metric` and `value`.
        **options : dict
            Parameters of :class:`Results`.

        Returns
        -------
        results : Results
        """
        return Results(frame, **options)

    @classmethod
    def from_folder(cls, path: str | os.PathLike[str], **options: Any) -> Results:
        """Read the results that runs have left in a folder, finished or not.

        Parameters
        ----------
        path : str or path-like
            A folder that :meth:`Benchmark.run` wrote to.
        **options : dict
            Parameters of :class:`Results`.

        Returns
        -------
        results : Results
            Of the cells of the last run of each task and method that are there.

        Raises
        ------
        FileNotFoundError
            If there are no results.
        """
        store = Store(path)
        index = store.read_index()
        if not index:
            raise FileNotFoundError(
                f"{Path(path) / INDEX} does not exist: give a folder that a benchmark wrote to."
            )
        keys = [
            ({"task": task, "method": method}, key)
            for task, methods in index["cells"].items()
            for method, of_method in methods.items()
            for key in of_method
        ]
        found = ((labels, store.read(key)) for labels, key in keys)
        records = [{**record, **labels} for labels, record in found if record is not None]
        if not records:
            raise FileNotFoundError(f"No cell of {path} is finished yet: run it first.")
        notes = list(index["notes"])
        if len(records) < len(keys):
            notes.append(f"{len(keys) - len(records)} of {len(keys)} cells are not there yet.")
        return from_records(records, index, notes=notes, **options)

    def merge(self, *others: Results) -> Results:
        """Return all results together.

        Parameters
        ----------
        *others : Results
            Of other tasks, methods, splits or seeds.

        Returns
        -------
        results : Results
            A row that several have is taken from the last.

        Raises
        ------
        ValueError
            If tasks of one name have different data.
        """
        every = (self, *others)
        for name in {name for one in every for name in one.tasks_}:
            data = {one.tasks_[name].data for one in every if name in one.tasks_} - {""}
            if len(data) > 1:
                raise ValueError(
                    f"Task {name!r} has different data in these results, so that values cannot "
                    "be compared: rename it in one of them."
                )
        frame = pd.concat([one.results_ for one in every], ignore_index=True)
        merged: dict[str, Any] = {"tasks": {}, "methods": {}, "metrics": {}, "provenance": {}}
        for one in every:
            merged["tasks"] |= one.tasks_
            merged["methods"] |= one.methods_
            merged["metrics"] |= one.metrics_
            for label, text in one.provenance_.items():
                known = merged["provenance"].get(label, "").split(" | ")
                joined = dict.fromkeys([*filter(None, known), text])
                merged["provenance"][label] = " | ".join(joined)
        return Results(
            frame.drop_duplicates(IDENTITY, keep="last"),
            baseline=self.baseline,
            margin=self.margin,
            notes=list(dict.fromkeys(note for one in every for note in one.notes)),
            warnings={text: where for one in every for text, where in one.warnings_.items()},
            curves=[curve for one in every for curve in one.curves_],
            **merged,
        )

    @cached_property
    def _summary(self) -> pd.DataFrame:
        return summarize(self.results_, self.metrics_, self.baseline, self._margins)

    @property
    def _margins(self) -> Margins:
        return Margins(self.margin or {})

    def summary(self) -> pd.DataFrame:
        """Return means over splits and paired differences to the baseline.

        Returns
        -------
        summary : DataFrame
            One row per task, method and metric: `status`, `mean`, `std_splits` (of the means over
            seeds), `std_seeds` (within splits), `chance`, `n_splits`, `n_seeds`, `n_failed`,
            `n_candidates` (settings tried), the name of the `baseline`, the mean `difference` to
            it on the same splits, `low` and `high`, its 95 % :func:`corrected_interval`,
            `p_value`, `p_holm` (corrected for all tasks of the method and metric) and `outcome`:
            ``"win"``, ``"loss"``, ``"tie"`` (smaller than the margin), ``"unclear"`` or
            ``"failed"``.
        """
        return self._summary.copy()

    def control_checks(self) -> pd.DataFrame:
        """Return whether the controls are at chance.

        Returns
        -------
        checks : DataFrame
            One row per task, control and metric: `value` and `chance` (means over splits), and
            `passed`: whether they cannot be told apart, at a level of 1 % over all checks; None
            with a single split.
        """
        return control_checks(self.results_, self.metrics_)

    def win_tie_loss(self) -> pd.DataFrame:
        """Return how often each method wins against the baseline, ties with it, or loses.

        Returns
        -------
        table : DataFrame
            One row per method: `wins`, `ties`, `unclear`, `losses`, over the tasks and the metrics
            that have a verdict. A method that failed has lost.
        """
        headlines = {name: info.headline for name, info in self.tasks_.items()}
        return win_tie_loss(self._summary, headlines)

    def ranks(self, metric: str) -> Ranks | None:
        """Return mean ranks over tasks, with the critical difference.

        Parameters
        ----------
        metric : str
            Name of a metric.

        Returns
        -------
        ranks : Ranks or None
            `mean` rank by method, `critical_difference` (Nemenyi, 5 %), `p_value` (Friedman) and
            `n_tasks`; None for fewer than eight tasks.
        """
        return mean_ranks(self._summary, self.metrics_[metric])

    def report(self) -> Report:
        """Return the sentences, tables and figures of the Markdown and HTML reports.

        Returns
        -------
        report : Report
        """
        content = Content(
            frame=self.results_,
            summary=self._summary,
            baseline=self.baseline,
            margins=self._margins,
            tasks=self.tasks_,
            methods=self.methods_,
            metrics=self.metrics_,
            provenance=self.provenance_,
            notes=self.notes,
            warnings=self.warnings_,
            curves=self.curves_,
        )
        return Report(content)

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
        return _write(markdown(self.report()), path)

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
        return _write(html(self.report()), path)

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
        self.results_.to_csv(paths["csv"], index=False)
        self.to_markdown(paths["markdown"])
        self.to_html(paths["html"])
        return paths


def from_records(records: Sequence[Record], index: Mapping[str, Any], **options: Any) -> Results:
    """Return the results of cells; the index describes tasks and methods."""
    tasks = {name: TaskInfo(**info) for name, info in index["tasks"].items()}
    rows = [row for record in records for row in tidy_rows(record, tasks[record["task"]].measured)]
    warnings: dict[str, set[str]] = {}
    for record in records:
        for message in record["warnings"]:
            warnings.setdefault(message, set()).add(f"{record['task']}: {record['method']}")
    largest = {
        r["task"]: r["train_size"] for r in sorted(records, key=lambda r: float(r["train_size"]))
    }
    curves = [
        Curve(r["task"], r["method"], r["split"], r["seed"], r["curve"])
        for r in records
        if r.get("curve") and r["train_size"] == largest[r["task"]]
    ]
    known = {
        "baseline": index["baseline"],
        "margin": index["margin"],
        "tasks": tasks,
        "methods": {name: MethodInfo(**info) for name, info in index["methods"].items()},
        "metrics": {name: Metric(**info) for name, info in index["metrics"].items()},
        "provenance": index["provenance"],
        "notes": index["notes"],
    }
    return Results(
        pd.DataFrame(rows, columns=COLUMNS),
        **{
            **known,
            "warnings": {text: sorted(places) for text, places in warnings.items()},
            "curves": curves,
            **options,
        },
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def _write(text: str, path: str | os.PathLike[str] | None) -> str:
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text
