"""Tables: texts, and the values that they are sorted by."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from skmm.benchmark._frames import MethodInfo
from skmm.benchmark._methods import COMPETING
from skmm.benchmark._metrics import METRICS, Metric
from skmm.benchmark._report._verdicts import SYMBOLS, difference_text, value_text
from skmm.benchmark._statistics import FAILED

_REASONS = {"undefined": "–", "not applicable": "n/a"}
_OUTCOMES = ["win", "tie", "unclear", "loss", "failed", ""]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """One entry of a table: text, the number it is sorted by, and whether it stands out."""

    text: str
    value: float | None = None
    strong: bool = False


@dataclass(frozen=True)
class Column:
    """The head of a column, and whether sorting begins with the largest."""

    label: str
    descending: bool = False


@dataclass(frozen=True)
class Table:
    """A table; the first entry of a row is its name."""

    caption: str
    columns: list[Column]
    rows: list[list[Entry]] = field(default_factory=list)


def means_table(summary: pd.DataFrame, metrics: Mapping[str, Metric]) -> Table:
    """Return means and spreads of one task: a row per method, a column per metric."""
    shown = [m for m in metrics.values() if m.theme != "cost"]
    best = {metric.name: _best(summary, metric) for metric in shown}
    rows = [
        [Entry(name), *(_mean(m, by[m.name], best[m.name]) for m in shown)]
        for name, by in _by_method(summary, shown)
    ]
    caption = "Mean ± standard deviation over splits"
    if (summary["n_seeds"] > 1).any():
        caption += " (of the means over seeds); in brackets that over seeds, within splits"
    caption += ". Bold: the best competing mean. –: not defined; n/a: not made for these data."
    return Table(caption, [Column("method"), *(_column(m) for m in shown)], rows)


def costs_table(summary: pd.DataFrame, metrics: Mapping[str, Metric]) -> Table | None:
    """Return the measured costs of one task; None if there are none."""
    known = set(summary.loc[summary["mean"].notna(), "metric"])
    shown = [m for m in metrics.values() if m.theme == "cost" and m.name in known]
    if not shown:
        return None
    rows = [
        [Entry(name), *(_mean(m, by[m.name], None) for m in shown), _settings(by)]
        for name, by in _by_method(summary, shown)
    ]
    columns = [Column("method"), *(_column(m) for m in shown), Column("settings tried")]
    return Table("Means ± standard deviations over splits, in one thread.", columns, rows)


def differences_table(summary: pd.DataFrame, metrics: Mapping[str, Metric]) -> Table | None:
    """Return the paired differences of one task; None if there are none."""
    compared = summary["difference"].notna() | summary["outcome"].eq("failed")
    rows = summary[compared & summary["role"].ne("control") & ~summary["is_baseline"]]
    found = [
        _difference_row(_row(row), metrics[row["metric"]])
        for row in rows.to_dict("records")
        if metrics[row["metric"]].theme != "cost"
    ]
    labels = ("method", "metric", "baseline", "difference", "p (Holm)", "outcome")
    caption = (
        "Paired differences to the baseline on the same splits, with 95 % interval; p-values after "
        "Holm's correction over the tasks."
    )
    columns = [Column(label, label == "difference") for label in labels]
    return Table(caption, columns, found) if found else None


def wins_table(counts: pd.DataFrame) -> Table | None:
    """Return how often each method wins."""
    ordered = counts.sort_values(["wins", "losses"], ascending=[False, True], kind="stable")
    rows = [
        [Entry(str(name)), *(Entry(str(count), float(count)) for count in row)]
        for name, row in zip(ordered.index, ordered.to_numpy(), strict=True)
    ]
    caption = (
        "Verdicts against the baseline over all tasks and headline metrics; a failure is a loss. "
        "A tie is a difference within the margin; unclear: the splits cannot decide."
    )
    columns = [Column("method"), *(Column(str(label), True) for label in counts.columns)]
    return Table(caption, columns, rows) if rows else None


def controls_table(checks: pd.DataFrame, metrics: Mapping[str, Metric]) -> Table | None:
    """Return the controls and whether they are at chance."""
    rows = [_control_row(_row(row), metrics[row["metric"]]) for row in checks.to_dict("records")]
    labels = ("task", "control", "metric", "found", "chance", "verdict")
    caption = (
        "Methods trained on data whose relation is broken. If one beats chance, information leaks, "
        "or the metric does not need the relation."
    )
    return Table(caption, [Column(label) for label in labels], rows) if rows else None


def methods_table(methods: Iterable[MethodInfo]) -> Table:
    """Return roles and descriptions."""
    rows = [[Entry(m.name), Entry(m.role), Entry(m.summary or "–")] for m in methods]
    return Table("", [Column("method"), Column("role"), Column("description")], rows)


def _by_method(
    summary: pd.DataFrame, shown: Sequence[Metric]
) -> Iterable[tuple[str, dict[str, Row | None]]]:
    """Yield the rows of the summary by metric, for each method."""
    found: dict[str, dict[str, Row | None]] = {}
    for row in summary.to_dict("records"):
        known = found.setdefault(str(row["method"]), dict.fromkeys(m.name for m in shown))
        known[str(row["metric"])] = _row(row)
    return found.items()


def _row(row: Mapping[Hashable, Any]) -> Row:
    return {str(name): value for name, value in row.items()}


def _column(metric: Metric) -> Column:
    return Column(metric.header, metric.higher_is_better)


def _mean(metric: Metric, row: Row | None, best: str | None) -> Entry:
    if row is None or row["status"] in _REASONS:
        return Entry(_REASONS[row["status"]] if row else "–")
    if not np.isfinite(row["mean"]):
        return Entry("ran out of time" if row["status"] == "timeout" else "failed")
    text = metric.text(row["mean"])
    if np.isfinite(row["std_splits"]) and metric.name != "parameters":
        text += f" ± {metric.text(row['std_splits'])}"
    if row["n_seeds"] > 1 and np.isfinite(row["std_seeds"]):
        text += f" (± {metric.text(row['std_seeds'])})"
    if row["status"] in FAILED:
        text += f", {row['n_failed']} of {row['n_splits'] * row['n_seeds']} failed"
    return Entry(text, float(row["mean"]), row["method"] == best)


def _settings(by_metric: Mapping[str, Row | None]) -> Entry:
    tried = max(int(row["n_candidates"]) for row in by_metric.values() if row is not None)
    return Entry(str(tried), float(tried))


def _best(summary: pd.DataFrame, metric: Metric) -> str | None:
    """Return the best competing method; none where likelihoods are of different families."""
    rows = summary[(summary["metric"] == metric.name) & (summary["status"] == "ok")]
    rows = rows[rows["role"].isin(COMPETING)]
    if rows.empty or len(set(rows["family"])) > 1:
        return None
    values = rows.set_index("method")["mean"]
    return str(values.idxmax() if metric.higher_is_better else values.idxmin())


def _difference_row(row: Row, metric: Metric) -> list[Entry]:
    outcome = str(row["outcome"])
    known = np.isfinite(row["difference"])
    gap = (
        Entry(difference_text(metric, dict(row)), float(row["difference"])) if known else Entry("–")
    )
    p = Entry(_p_text(row["p_holm"]), float(row["p_holm"]) if np.isfinite(row["p_holm"]) else None)
    sign = f"{SYMBOLS[outcome]} {outcome}" if outcome else SYMBOLS[outcome]
    told = Entry(sign, float(_OUTCOMES.index(outcome)), outcome in ("win", "loss"))
    better = " ↓" if not metric.higher_is_better else ""
    names = (str(row["method"]), metric.label + better, str(row["baseline"]) or "–")
    return [*map(Entry, names), gap, p, told]


def _p_text(p: float) -> str:
    if not np.isfinite(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _control_row(row: Row, metric: Metric) -> list[Entry]:
    values = [Entry(value_text(metric, row[k]), float(row[k])) for k in ("value", "chance")]
    names = [Entry(str(row["task"])), Entry(str(row["method"])), Entry(metric.label)]
    passed = row["passed"]
    if passed is None or pd.isna(passed):
        return [*names, *values, Entry("too few splits to tell", 1)]
    told = Entry("✓ at chance", 2) if passed else Entry("✗ NOT at chance: do not trust", 0, True)
    return [*names, *values, told]


def metrics_shown(names: Iterable[str], metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """Return metrics in the order of the built-in ones, one's own behind."""
    order = list(METRICS)
    place = {name: order.index(name) if name in order else -1 for name in names}
    return {name: metrics[name] for name in sorted(place, key=lambda name: place[name])}
