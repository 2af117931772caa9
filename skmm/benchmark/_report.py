"""Reports: verdicts first, then pictures, tables and provenance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import pandas as pd

from skmm.benchmark._extras import require
from skmm.benchmark._metrics import METRICS, Metric
from skmm.benchmark._panels import Panel, make_panel
from skmm.benchmark._tasks import Task
from skmm.benchmark._verdicts import Verdict, verdict

_REASONS = {"undefined": "–", "not applicable": "n/a"}


@dataclass(frozen=True)
class Entry:
    """One entry of a table: text, and whether it stands out."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table with a row per method."""

    header: list[str]
    rows: list[tuple[str, list[Entry]]]


@dataclass(frozen=True)
class Section:
    """All that the report says of a task."""

    task: str
    description: str
    protocol: str
    verdicts: list[Verdict]
    control: str
    control_passed: bool | None
    means: Table
    differences: Table
    panels: list[Panel]


@dataclass(frozen=True)
class Failure:
    """A method that failed: where, how often, why."""

    task: str
    method: str
    error: str
    splits: str


@dataclass(frozen=True)
class Report:
    """What a report is made from."""

    frame: pd.DataFrame
    summary: pd.DataFrame
    checks: pd.DataFrame
    tasks: Sequence[Task]
    baseline: str
    control: str
    provenance: Mapping[str, str]
    descriptions: Mapping[str, str]
    notes: Sequence[str]
    warnings: Mapping[str, Sequence[str]]

    def to_markdown(self) -> str:
        """Return Markdown: verdicts, one table per task, provenance."""
        parts = ["# Benchmark", self._markdown_verdicts()]
        for section in self.sections():
            parts += [f"## {section.task}", section.description, section.protocol]
            parts += [_markdown_table(section.means), f"Control: {section.control}"]
            parts += [f"Difference to {self.baseline} on the same splits, 95 % interval:"]
            parts += [_markdown_table(section.differences)]
        parts += [f"- {note}" for note in self.notes]
        for failure in self.failures():
            parts += [f"## Failed: {failure.method} on {failure.task}, {failure.splits}"]
            parts += [f"```\n{failure.error.rstrip()}\n```"]
        parts += ["## Methods", _markdown_list(self.descriptions)]
        parts += ["## Provenance", _markdown_list(self.provenance)]
        return "\n\n".join(filter(None, parts)) + "\n"

    def to_html(self) -> str:
        """Return one page without external files."""
        jinja2 = require("jinja2")
        environment = jinja2.Environment(
            autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        template = resources.files("skmm.benchmark").joinpath("templates", "report.html")
        used = dict.fromkeys(self.frame["metric"])
        return str(
            environment.from_string(template.read_text("utf-8")).render(
                sections=self.sections(),
                failures=self.failures(),
                baseline=self.baseline,
                control=self.control,
                descriptions=self.descriptions,
                metrics=[METRICS[name] for name in METRICS if name in used],
                provenance=self.provenance,
                notes=self.notes,
                warnings=self.warnings,
            )
        )

    def sections(self) -> list[Section]:
        """Return what there is to say of each task."""
        return [self._section(task) for task in self.tasks]

    def failures(self) -> list[Failure]:
        """Return every distinct traceback."""
        failed = self.frame[self.frame["status"] == "failed"]
        groups = failed.groupby(["task", "method", "error"], sort=False)["split"]
        found = []
        for keys, splits in groups:
            task, method, error = map(str, keys)
            where = f"splits {_listed(sorted(set(splits + 1)))}"
            found.append(Failure(task, method, error, where))
        return found

    def _section(self, task: Task) -> Section:
        summary = self.summary[self.summary["task"] == task.name]
        frame = self.frame[self.frame["task"] == task.name]
        control, passed = self._control(task.name)
        return Section(
            task=task.name,
            description=task.description,
            protocol=_protocol(task, frame),
            verdicts=[self._verdict(task, name) for name in task.headline],
            control=control,
            control_passed=passed,
            means=self._means(task, summary),
            differences=self._differences(task, summary),
            panels=[
                make_panel(METRICS[name], frame, self.baseline, self.control)
                for name in task.measured
            ],
        )

    def _verdict(self, task: Task, metric: str) -> Verdict:
        return verdict(self.summary, task.name, metric, self.baseline, self.control)

    def _control(self, task: str) -> tuple[str, bool | None]:
        checks = self.checks[self.checks["task"] == task]
        if checks.empty:
            return (
                "there is none, or it failed: nothing vouches for held-out figures.",
                None,
            )
        found = [
            f"{METRICS[metric].label} of {METRICS[metric].text(value)} (chance "
            f"{METRICS[metric].text(chance)}{METRICS[metric].unit})"
            for metric, value, chance in zip(
                checks["metric"], checks["value"], checks["chance"], strict=True
            )
        ]
        if checks["passed"].isna().any():
            return "a single split does not tell. Found: " + ", ".join(found) + ".", None
        failed = [METRICS[m].label for m in checks.loc[checks["passed"].eq(False), "metric"]]
        if failed:
            lead = f"NOT at chance in {', '.join(failed)}: do not trust the figures of this task"
            return f"{lead}. Found: {', '.join(found)}.", False
        lead = "trained on shuffled pairs, the baseline is at chance, as it must be"
        return f"{lead}: {', '.join(found)}.", True

    def _means(self, task: Task, summary: pd.DataFrame) -> Table:
        best = {name: _best(summary, METRICS[name], self.control) for name in task.measured}
        return _table(
            task,
            summary,
            lambda metric, row: Entry(_mean(metric, row), row["method"] == best[metric.name]),
        )

    def _differences(self, task: Task, summary: pd.DataFrame) -> Table:
        others = summary[~summary["method"].isin([self.baseline, self.control])]
        return _table(task, others[others["metric"] != "fit_seconds"], _difference)

    def _markdown_verdicts(self) -> str:
        lines = [
            f"- {task.name}, {found.theme.lower()}: {found.text}"
            for task in self.tasks
            for found in (self._verdict(task, name) for name in task.headline)
        ]
        return "\n".join(lines)


def _table(task: Task, summary: pd.DataFrame, entry: Callable[[Metric, pd.Series], Entry]) -> Table:
    measures = [METRICS[name] for name in task.measured if name in set(summary["metric"])]
    header = [f"{metric.label}{' %' if metric.percent else ''}" for metric in measures]
    header = [
        f"{label}, s" if metric.name == "fit_seconds" else label
        for metric, label in zip(measures, header, strict=True)
    ]
    rows = []
    for method, group in summary.groupby("method", sort=False):
        by_metric = group.set_index("metric", drop=False).T
        rows.append((str(method), [entry(metric, by_metric[metric.name]) for metric in measures]))
    return Table(header, rows)


def _mean(metric: Metric, row: pd.Series) -> str:
    if row["status"] in _REASONS:
        return _REASONS[row["status"]]
    text = f"{metric.text(row['mean'])} ± {metric.text(row['std'])}"
    if row["status"] == "failed":
        share = f"{row['n_failed']} of {row['n_splits']} failed"
        return "failed" if row["n_failed"] == row["n_splits"] else f"{text} ({share})"
    return text


def _difference(metric: Metric, row: pd.Series) -> Entry:
    if row["status"] in _REASONS or pd.isna(row["difference"]):
        return Entry(_REASONS.get(row["status"], "–"))
    texts = [metric.text(row[name], sign=True) for name in ("difference", "low", "high")]
    apart = row["low"] > 0 or row["high"] < 0
    return Entry("{} [{}, {}]".format(*texts), bool(apart))


def _best(summary: pd.DataFrame, metric: Metric, control: str) -> str | None:
    rows = summary[(summary["metric"] == metric.name) & (summary["status"] == "ok")]
    rows = rows[rows["method"] != control]
    if rows.empty or metric.name == "fit_seconds":
        return None
    values = rows.set_index("method")["mean"]
    return str(values.idxmax() if metric.higher_is_better else values.idxmin())


def _protocol(task: Task, frame: pd.DataFrame) -> str:
    n_train, n_test = (_listed(sorted(frame[name].unique())) for name in ("n_train", "n_test"))
    return (
        f"{len(task.X)} samples, modalities {', '.join(task.X.names)}; {frame['split'].nunique()} "
        f"splits into {n_train} training and {n_test} held-out samples, which are also the pool "
        f"for retrieval; {task.n_components} components."
    )


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values)


def _markdown_list(items: Mapping[str, str]) -> str:
    return "\n".join(f"- {label}: {text}" for label, text in items.items())


def _markdown_table(table: Table) -> str:
    tabulate = require("tabulate").tabulate
    rows = [
        [method, *(f"**{e.text}**" if e.strong else e.text for e in entries)]
        for method, entries in table.rows
    ]
    header = ["method", *table.header]
    return str(tabulate(rows, header, tablefmt="pipe", disable_numparse=True))
