"""The report: sentences, tables and figures of each task, and of all tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from skmm.benchmark._frames import TaskInfo
from skmm.benchmark._metrics import Metric
from skmm.benchmark._report._content import Content
from skmm.benchmark._report._figures import (
    Picture,
    forest,
    learning_curve,
    rank_diagram,
    scatter,
    strips,
    training_curves,
)
from skmm.benchmark._report._tables import (
    Table,
    controls_table,
    costs_table,
    differences_table,
    means_table,
    methods_table,
    metrics_shown,
    wins_table,
)
from skmm.benchmark._report._verdicts import SYMBOLS, Verdict, listed, verdicts
from skmm.benchmark._statistics import FAILED, Ranks, control_checks, mean_ranks, win_tie_loss


@dataclass(frozen=True)
class Control:
    """Whether the control of a task is at chance, and a sentence that says so."""

    passed: bool | None
    text: str


@dataclass(frozen=True)
class Section:
    """The text and tables of one task."""

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
    """All figures of a task."""

    forests: list[Picture]
    strips: list[Picture]
    scatters: list[Picture]
    learning: list[Picture]
    training: list[Picture]


@dataclass(frozen=True)
class Failure:
    """A traceback, and where it was met."""

    places: list[str]
    error: str


class Report:
    """Sentences, tables and figures of results; computed when asked for.

    Parameters
    ----------
    content : Content
        Values, descriptions and notes.
    """

    def __init__(self, content: Content) -> None:
        self.content = content
        frame = content.frame
        largest = frame.groupby("task")["train_size"].transform("max")
        self._checks = control_checks(frame, content.metrics)
        self._all = _by(frame, "task")
        self._full = _by(frame[frame["train_size"] == largest], "task")
        self._rows = _by(content.summary, "task")

    @property
    def title(self) -> str:
        """The question that the page answers."""
        if self.content.baseline is not None:
            return f"Does anything beat {self.content.baseline}?"
        roles = set(self.content.summary["role"])
        if {"deep", "linear"} <= roles:
            return "Does deep beat linear?"
        return "Does anything beat the baseline?"

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """A verdict for every task and headline metric."""
        return verdicts(self.content)

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
        """The sections of the tasks."""
        known = [info for name, info in self.content.tasks.items() if name in self._rows]
        return [self._section(i + 1, info) for i, info in enumerate(known)]

    @cached_property
    def failures(self) -> list[Failure]:
        """Every distinct traceback."""
        frame = self.content.frame
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
        headlines = {name: info.headline for name, info in self.content.tasks.items()}
        return wins_table(win_tie_loss(self.content.summary, headlines))

    @cached_property
    def ranks(self) -> dict[str, Ranks]:
        """Mean ranks over tasks by each headline metric, from eight tasks on."""
        metrics = self.content.metrics
        headlines = [name for info in self.content.tasks.values() for name in info.headline]
        names = [name for name in dict.fromkeys(headlines) if name in metrics]
        found = {name: mean_ranks(self.content.summary, metrics[name]) for name in names}
        return {name: ranks for name, ranks in found.items() if ranks is not None}

    @property
    def rank_diagrams(self) -> list[Picture]:
        """A figure for each metric with ranks."""
        return [rank_diagram(self.content.metrics[n], ranks) for n, ranks in self.ranks.items()]

    @property
    def controls(self) -> Table | None:
        """All controls."""
        return controls_table(self._checks, self.content.metrics)

    @property
    def methods(self) -> Table:
        """Roles and descriptions of the methods."""
        return methods_table(self.content.methods.values())

    @property
    def metrics(self) -> list[Metric]:
        """The metrics that are explained."""
        shown = metrics_shown(self.content.metrics, self.content.metrics)
        return [metric for metric in shown.values() if metric.about]

    def _section(self, number: int, info: TaskInfo) -> Section:
        name, rows = info.name, self._rows[info.name]
        shown = metrics_shown(dict.fromkeys(rows["metric"]), self.content.metrics)
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
        """Return the figures of a task, for pages."""
        rows = _by(self._rows[task], "metric")
        of_frame, every = _by(self._full[task], "metric"), _by(self._all[task], "metric")
        shown = metrics_shown(rows, self.content.metrics)
        headline = [shown[name] for name in self.content.tasks[task].headline if name in shown]
        margins = self.content.margins
        controls = {n for n, info in self.content.methods.items() if info.role == "control"}
        curves = [c for c in self.content.curves if c.task == task and c.method not in controls]
        return Pictures(
            forests=_drawn(forest(m, rows[m.name], margins.of(m)) for m in headline),
            strips=[strips(m, of_frame[m.name], rows[m.name]) for m in shown.values()],
            scatters=_drawn(scatter(m, self._rows[task]) for m in headline),
            learning=_drawn(learning_curve(m, every[m.name]) for m in headline),
            training=training_curves(curves),
        )

    def _control(self, task: str) -> Control:
        checks = self._checks[self._checks["task"] == task]
        if checks.empty:
            return Control(None, self._unchecked(task))
        if checks["passed"].isna().any():
            return Control(None, "There are too few splits to check the control.")
        failed = checks.loc[checks["passed"].eq(False), "metric"]
        if len(failed):
            labels = listed(self.content.metrics[name].label for name in failed)
            text = (
                f"The control is NOT at chance in {labels}: do not trust the values of this task."
            )
            return Control(False, text)
        return Control(True, "The control, trained on broken data, is at chance, as it must be.")

    def _unchecked(self, task: str) -> str:
        controls = self._rows[task][self._rows[task]["role"] == "control"]
        if controls.empty:
            return "These values were not checked by a control: none was run."
        if not controls["status"].eq("ok").any():
            return "These values were not checked by a control: it failed."
        return "These values were not checked: no metric of this task is at chance on broken data."


def _drawn(pictures: Iterable[Picture | None]) -> list[Picture]:
    return [picture for picture in pictures if picture is not None]


def _by(frame: pd.DataFrame, column: str) -> dict[str, pd.DataFrame]:
    return {str(name): rows for name, rows in frame.groupby(column, sort=False)}


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
    """Describe data, splits and seeds, as far as they are known."""
    modalities = f"modalities {', '.join(info.modalities)}" if info.modalities else ""
    seeds = rows["seed"].nunique()
    sizes = rows["train_size"]
    shares = sorted({f"{100 * share:g}\N{NO-BREAK SPACE}%" for share in sizes if share < 1})
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
