"""Reports: verdicts first, then pictures, tables and provenance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from skmm.benchmark._extras import require
from skmm.benchmark._lines import Chart, Scatter, learning_curve, scatter, training_curves
from skmm.benchmark._markdown import markdown
from skmm.benchmark._metrics import Metric
from skmm.benchmark._statistics import FAILED, Margins, Ranks
from skmm.benchmark._strips import Diagram, Forest, Panel, diagram, forest, panel
from skmm.benchmark._tables import (
    Table,
    controls_table,
    costs_table,
    differences_table,
    means_table,
    methods_table,
    metrics_shown,
    wins_table,
)
from skmm.benchmark._verdicts import SYMBOLS, Verdict, listed, verdicts

if TYPE_CHECKING:
    from skmm.benchmark._frames import Curve, TaskInfo
    from skmm.benchmark._results import Results


@dataclass(frozen=True)
class Control:
    """What the control of a task says in a sentence."""

    passed: bool | None
    text: str


@dataclass(frozen=True)
class Section:
    """All that the report says of a task."""

    number: int
    task: str
    description: str
    protocol: str
    remarks: list[str]
    verdicts: list[Verdict]
    control: Control
    means: Table
    differences: Table | None
    costs: Table | None


@dataclass(frozen=True)
class Pictures:
    """All pictures of a task."""

    forests: list[Forest]
    panels: list[Panel]
    scatters: list[Scatter]
    learning: list[Chart]
    training: list[Chart]


@dataclass(frozen=True)
class Failure:
    """A traceback, and where it was met."""

    places: list[str]
    error: str


class Report:
    """What the reports of results say.

    Parameters
    ----------
    results : Results
        What they tell of.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        self.summary = results.summary()
        self.checks = results.control_checks()
        frame = results.results_
        largest = frame.groupby("task")["train_size"].transform("max")
        self._all = _by(frame, "task")
        self._full = _by(frame[frame["train_size"] == largest], "task")
        self._rows = _by(self.summary, "task")
        self._curves = _competing(results)

    def to_markdown(self) -> str:
        """Return Markdown: verdicts, tables of each task, controls, failures, provenance."""
        return markdown(self)

    def to_html(self) -> str:
        """Return one page without external files."""
        jinja2 = require("jinja2")
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("skmm.benchmark"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return str(environment.get_template("report.html").render(report=self))

    @property
    def title(self) -> str:
        """The question that the page answers."""
        if self.results.baseline is not None:
            return f"Does anything beat {self.results.baseline}?"
        roles = set(self.summary["role"])
        if {"deep", "linear"} <= roles:
            return "Does deep beat linear?"
        return "Does anything beat the baseline?"

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """A verdict for every task and headline metric."""
        return verdicts(self.results, self.summary)

    @property
    def tally(self) -> str:
        """How many verdicts there are of each sort, in a sentence."""
        counts = Counter(verdict.outcome for verdict in self.verdicts)
        names = {"win": "won", "loss": "lost", "tie": "equal", "unclear": "not clear"}
        names[""] = "without verdict"
        parts = [f"{counts[k]} {SYMBOLS[k]} {word}" for k, word in names.items() if counts[k]]
        return f"{len(self.verdicts)} comparisons with the baseline: {', '.join(parts)}."

    @cached_property
    def sections(self) -> list[Section]:
        """What there is to say of each task."""
        known = [info for name, info in self.results.tasks_.items() if name in self._rows]
        return [self._section(i + 1, info) for i, info in enumerate(known)]

    @cached_property
    def failures(self) -> list[Failure]:
        """Every distinct traceback."""
        frame = self.results.results_
        keys = ["task", "method", "split", "seed", "train_size"]
        failed = frame[frame["status"].isin(FAILED)].drop_duplicates(keys)
        groups = failed.groupby("error", sort=False)
        return [
            Failure(_places(rows), str(error).rstrip() or "no traceback was recorded")
            for error, rows in groups
        ]

    @cached_property
    def wins(self) -> Table | None:
        """How often each method wins against the baseline."""
        return wins_table(self.results.win_tie_loss())

    @cached_property
    def diagrams(self) -> list[Diagram]:
        """Mean ranks over tasks by each headline metric, from eight tasks on."""
        headlines = [name for info in self.results.tasks_.values() for name in info.headline]
        names = [name for name in dict.fromkeys(headlines) if name in self.results.metrics_]
        found = ((name, self._ranks(name)) for name in names)
        return [diagram(self.results.metrics_[name], r) for name, r in found if r is not None]

    @property
    def controls(self) -> Table | None:
        """All controls."""
        return controls_table(self.checks, self.results.metrics_)

    @property
    def methods(self) -> Table:
        """Roles and descriptions of the methods."""
        return methods_table(self.results.methods_.values())

    @property
    def metrics(self) -> list[Metric]:
        """The metrics that are explained."""
        shown = metrics_shown(self.results.metrics_, self.results.metrics_)
        return [metric for metric in shown.values() if metric.about]

    def _ranks(self, metric: str) -> Ranks | None:
        families = self.summary[self.summary["metric"] == metric].groupby("task")["family"]
        return None if families.nunique().max() > 1 else self.results.ranks(metric)

    def _section(self, number: int, info: TaskInfo) -> Section:
        name, rows = info.name, self._rows[info.name]
        shown = metrics_shown(dict.fromkeys(rows["metric"]), self.results.metrics_)
        return Section(
            number=number,
            task=name,
            description=info.description,
            protocol=_protocol(info, self._all[name], self._full[name]),
            remarks=_remarks(self._full[name]),
            verdicts=[verdict for verdict in self.verdicts if verdict.task == name],
            control=self._control(name),
            means=means_table(rows, shown),
            differences=differences_table(rows, shown),
            costs=costs_table(rows, shown),
        )

    def pictures(self, task: str) -> Pictures:
        """Return the pictures of a task, for pages."""
        rows = _by(self._rows[task], "metric")
        of_frame, every = _by(self._full[task], "metric"), _by(self._all[task], "metric")
        shown = metrics_shown(rows, self.results.metrics_)
        headline = [shown[name] for name in self.results.tasks_[task].headline if name in shown]
        margins = Margins(self.results.margin or {})
        forests = (forest(m, rows[m.name], margins.of(m)) for m in headline)
        scatters = (scatter(m, self._rows[task]) for m in headline)
        learning = (learning_curve(m, every[m.name]) for m in headline)
        return Pictures(
            forests=[found for found in forests if found is not None],
            panels=[panel(m, of_frame[m.name], rows[m.name]) for m in shown.values()],
            scatters=[found for found in scatters if found is not None],
            learning=[chart for chart in learning if chart is not None],
            training=training_curves(c for c in self._curves if c.task == task),
        )

    def _control(self, task: str) -> Control:
        checks = self.checks[self.checks["task"] == task]
        if checks.empty:
            return Control(None, self._unchecked(task))
        if checks["passed"].isna().any():
            return Control(None, "One split is too few to check the control.")
        failed = checks.loc[checks["passed"].eq(False), "metric"]
        if len(failed):
            labels = listed(self.results.metrics_[name].label for name in failed)
            text = (
                f"The control is NOT at chance in {labels}: do not trust the figures of this task."
            )
            return Control(False, text)
        return Control(True, "The control, trained on broken data, is at chance, as it must be.")

    def _unchecked(self, task: str) -> str:
        rows = self._rows[task]
        if not rows["role"].eq("control").any():
            return "No control vouches for these figures: none ran."
        if not (rows["role"].eq("control") & rows["status"].eq("ok")).any():
            return "No control vouches for these figures: it failed."
        return "No metric of this task must be at chance for the control, so it is not checked."


def _by(frame: pd.DataFrame, column: str) -> dict[str, pd.DataFrame]:
    return {str(name): rows for name, rows in frame.groupby(column, sort=False)}


def _competing(results: Results) -> list[Curve]:
    """Return the curves of competing methods."""
    roles = {name: info.role for name, info in results.methods_.items()}
    return [curve for curve in results.curves_ if roles.get(curve.method) != "control"]


def _places(rows: pd.DataFrame) -> list[str]:
    """Say which cells failed with one traceback."""
    found = []
    for (task, method, status), group in rows.groupby(["task", "method", "status"], sort=False):
        splits = sorted(set(group["split"] + 1))
        where = f"split{'s' if len(splits) > 1 else ''} {', '.join(map(str, splits))}"
        verb = "out of time" if status == "timeout" else "failed"
        found.append(f"{method} on {task}: {verb} on {where}")
    return found


def _remarks(rows: pd.DataFrame) -> list[str]:
    """Say which methods are not made for the data, and why."""
    others = rows[rows["status"] == "not applicable"].drop_duplicates("method")
    return [
        f"{row['method']} is not for these data: {row['error'] or 'no reason was recorded'}"
        for row in others.to_dict("records")
    ]


def _protocol(info: TaskInfo, rows: pd.DataFrame, full: pd.DataFrame) -> str:
    """Say what was fitted on what, as far as it is known."""
    modalities = f"modalities {', '.join(info.modalities)}" if info.modalities else ""
    seeds = rows["seed"].nunique()
    parts_used = {share for share in rows["train_size"] if share < 1}
    shares = sorted(f"{100 * share:g}\N{NO-BREAK SPACE}%" for share in parts_used)
    parts = [
        f"kind “{info.kind}”",
        f"{info.n_samples:,} samples" if info.n_samples else "",
        modalities,
        f"target {info.target}" if info.target else "",
        f"{info.n_components} components" if info.n_components else "",
        f"prepared by {info.prepare}, fitted on the training samples" if info.prepare else "",
        _counted(rows["split"].nunique(), "split") + _sizes(full),
        f"also trained on {listed(shares)} of these" if shares else "",
        f"{seeds} seeds on each" if seeds > 1 else "",
    ]
    text = "; ".join(filter(None, parts))
    return f"{text[0].upper()}{text[1:]}."  # modalities keep their names


def _sizes(rows: pd.DataFrame) -> str:
    n_train, n_test = (_numbers(rows[name]) for name in ("n_train", "n_test"))
    return f" into {n_train} training and {n_test} held-out samples" if n_train and n_test else ""


def _numbers(values: pd.Series) -> str:
    known = sorted({int(value) for value in values.dropna()})
    if len(known) > 2:
        return f"{known[0]:,} to {known[-1]:,}"
    return " or ".join(f"{value:,}" for value in known)


def _counted(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"
