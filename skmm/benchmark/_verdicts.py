"""Plain words: which method is best, by how much, and whether the splits can tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from skmm.benchmark._metrics import METRICS, Metric


@dataclass(frozen=True)
class Verdict:
    """The verdict on one metric of one task."""

    task: str
    metric: str
    best: str | None
    decided: bool
    text: str

    @property
    def theme(self) -> str:
        """The question that the metric answers."""
        return METRICS[self.metric].theme.capitalize()


def verdict(summary: pd.DataFrame, task: str, metric: str, baseline: str, control: str) -> Verdict:
    """Compare the best method with the baseline; the control cannot win."""
    rows = summary[(summary["task"] == task) & (summary["metric"] == metric)].set_index("method")
    rows = rows[(rows.index != control) & (rows["status"] == "ok")]
    measure = METRICS[metric]
    if rows.empty:
        return Verdict(task, metric, None, False, f"No method has a full {measure.label}.")
    ranked = rows.sort_values("mean", ascending=not measure.higher_is_better, kind="stable")
    best = str(ranked.index[0])
    if baseline not in rows.index:
        text = f"{best} has the best {measure.label}, {_value(ranked, best, measure)}"
        text += f"; {baseline} has none to compare with."
        return Verdict(task, metric, best, False, text)
    if len(ranked) == 1:
        text = f"{best} is the only method with a {measure.label}: "
        return Verdict(task, metric, best, False, text + f"{_value(ranked, best, measure)}.")
    other = str(ranked.index[1]) if best == baseline else best
    decided, text = _compare(ranked, best, other, baseline, measure)
    return Verdict(task, metric, best, decided, text)


def _compare(
    ranked: pd.DataFrame, best: str, other: str, baseline: str, measure: Metric
) -> tuple[bool, str]:
    """Word the comparison of `other` with the baseline, one of which is best."""
    difference, low, high = (float(ranked[name][other]) for name in ("difference", "low", "high"))
    second = baseline if best != baseline else other
    values = f"{measure.label} of {_value(ranked, best, measure)} against "
    values += f"{_value(ranked, second, measure)} for {second}"
    values += "" if measure.higher_is_better else " (lower is better)"
    if not np.isfinite(low):
        return False, f"{best} has the best mean: {values}. Too few splits for an interval."
    gap = f"{measure.text(difference, sign=True)}{_points(measure)}"
    interval = f"{measure.text(low, sign=True)} to {measure.text(high, sign=True)}"
    apart = f"{other} minus {baseline}: {gap}, 95\N{NO-BREAK SPACE}% interval {interval}"
    if not (low > 0 or high < 0):
        return False, f"No clear winner. {best} has the best mean: {values}. {apart}, includes 0."
    lead = f"{best} is ahead of all" if best == baseline else f"{best} beats {baseline}"
    return True, f"{lead}: {values}. {apart}."


def _value(rows: pd.DataFrame, method: str, measure: Metric) -> str:
    return f"{measure.text(float(rows['mean'][method]))}{measure.unit}"


def _points(measure: Metric) -> str:
    return " points" if measure.percent else measure.unit
