"""Plain words: does the challenger beat the baseline, by how much, and can the splits tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skmm.benchmark._methods import COMPETING
from skmm.benchmark._metrics import Metric
from skmm.benchmark._report._content import Content
from skmm.benchmark._statistics import FAILED

SYMBOLS = {"win": "▲", "loss": "▼", "tie": "=", "unclear": "~", "failed": "✗", "": "–"}
WORDS = {
    "win": "beats the baseline",
    "loss": "does not beat the baseline",
    "tie": "equal",
    "unclear": "not clear",
    "failed": "failed",
    "": "no verdict",
}


@dataclass(frozen=True)
class Verdict:
    """The verdict on one metric of one task."""

    task: str
    metric: Metric
    challenger: str | None
    outcome: str
    text: str

    @property
    def theme(self) -> str:
        """The question that the metric answers."""
        own = self.metric.theme == "own"
        return (self.metric.label if own else self.metric.theme).capitalize()

    @property
    def symbol(self) -> str:
        """A sign for the outcome."""
        return SYMBOLS[self.outcome]

    @property
    def word(self) -> str:
        """A word for the outcome."""
        return WORDS[self.outcome]


def verdicts(content: Content) -> list[Verdict]:
    """Return a verdict for each task and each of its headline metrics."""
    groups = {str(task): rows for task, rows in content.summary.groupby("task", sort=False)}
    return [
        verdict(groups[name], content.metrics[metric], content.margins.of(content.metrics[metric]))
        for name, info in content.tasks.items()
        if name in groups
        for metric in info.headline
        if metric in set(groups[name]["metric"])
    ]


def verdict(task_rows: pd.DataFrame, metric: Metric, margin: float) -> Verdict:
    """Compare the best deep method with the baseline; without deep ones the best other method."""
    rows: Any = task_rows[task_rows["metric"] == metric.name].set_index("method")
    task = str(rows["task"].iloc[0])
    known = rows[rows["status"].eq("ok") & rows["role"].isin(COMPETING)]
    baseline = next(iter(rows.index[rows["is_baseline"]]), None)
    ranked = known.sort_values("mean", ascending=not metric.higher_is_better, kind="stable")
    others = ranked[ranked["difference"].notna()]
    deep = others[others["role"] == "deep"]
    after = [*_families(ranked, rows, baseline), *_failures(rows)]
    if baseline is None or others.empty:
        text = _without_comparison(ranked, baseline, metric)
        return Verdict(task, metric, None, "", " ".join([text, *after]))
    name = str((deep if len(deep) else others).index[0])
    comparison = _Comparison(rows, name, str(baseline), metric, margin)
    lead = f"{comparison.sentence()}{_times(task_rows, name, str(baseline))}."
    more = [*comparison.doubts(), *_cheap(others, name, metric), *_budget(rows, name, baseline)]
    return Verdict(task, metric, name, comparison.outcome, " ".join([lead, *more, *after]))


class _Comparison:
    """The words for one method against the baseline."""

    def __init__(self, rows: Any, name: str, baseline: str, metric: Metric, margin: float) -> None:
        self.name, self.baseline, self.metric, self.margin = name, baseline, metric, margin
        self.row = rows.loc[name]
        self.outcome = str(self.row["outcome"])
        self.values = tuple(float(rows.loc[one, "mean"]) for one in (name, baseline))

    def sentence(self) -> str:
        """Return who beats whom, without the full stop."""
        name, other = self.name, self.baseline
        if self.outcome == "win":
            return f"{name} beats {other} by {self._gap(self._sign)} {self._means()}"
        if self.outcome == "loss":
            gap = self._gap(-self._sign)
            return f"{name} does not beat {other}: it loses by {gap} {self._means()}"
        apart = f"{name} − {other} is {self._gap(1, sign=True)} {self._means()}"
        if self.outcome == "tie":
            within = f"the margin of {self.metric.text(self.margin)}{points(self.metric)}"
            return f"{name} and {other} are equal within {within}: {apart}"
        if self.outcome == "unclear":
            return f"No clear difference: {apart}"
        return f"No interval, because there are too few splits or their sizes are unknown: {apart}"

    def doubts(self) -> Iterator[str]:
        """Say where the interval alone would mislead."""
        low, high = self.row["low"], self.row["high"]
        if self.outcome == "unclear" and (low > 0 or high < 0):
            p = f"p = {self.row['p_holm']:.2g}"
            yield (
                "The interval by itself excludes 0, but not after Holm's correction for the number "
                f"of tasks ({p})."
            )
        if self.outcome == "tie" and max(-low, high) > self.margin:
            yield "There is a difference, but its mean is smaller than the margin."

    @property
    def _sign(self) -> int:
        return 1 if self.metric.higher_is_better else -1

    def _gap(self, factor: int, *, sign: bool = False) -> str:
        """Write the difference and its interval, turned round if the factor is -1."""
        text = self.metric.text
        gap = text(factor * self.row["difference"], sign=sign) + points(self.metric)
        ends = sorted(factor * self.row[end] for end in ("low", "high"))
        if not np.isfinite(ends).all():
            return gap
        return f"{gap} [{text(ends[0], sign=sign)}, {text(ends[1], sign=sign)}]"

    def _means(self) -> str:
        first, second = (value_text(self.metric, value) for value in self.values)
        lower = "" if self.metric.higher_is_better else "; lower is better"
        return f"({self.metric.label} {first} against {second}{lower})"


def points(metric: Metric) -> str:
    """Return the unit of a difference, after a blank."""
    return " points" if metric.percent else metric.after


def value_text(metric: Metric, value: float) -> str:
    """Write a value with its unit."""
    return metric.text(value) + metric.after


def difference_text(metric: Metric, row: Mapping[Any, Any]) -> str:
    """Write a difference and its interval."""
    gap, low, high = (metric.text(row[part], sign=True) for part in ("difference", "low", "high"))
    return f"{gap} [{low}, {high}]" if np.isfinite(row["low"]) else gap


def failure_text(row: pd.Series, name: str) -> str:
    """Say how often a method failed."""
    n_fits = int(row["n_splits"] * row["n_seeds"])
    verb = "ran out of time" if row["status"] == "timeout" else "failed"
    if row["n_failed"] >= n_fits:
        return f"{name} {verb}."
    unit = "splits" if row["n_seeds"] == 1 else "fits"
    return f"{name} {verb} on {row['n_failed']} of {n_fits} {unit}."


def _failures(rows: pd.DataFrame) -> Iterator[str]:
    for name, row in rows[rows["status"].isin(FAILED) & rows["role"].ne("control")].iterrows():
        yield failure_text(row, str(name))


def _families(ranked: pd.DataFrame, rows: Any, baseline: object) -> Iterator[str]:
    """Name the methods whose likelihood is of another family than the baseline's."""
    families = ranked["family"]
    if families.nunique() < 2:
        return
    own = rows.loc[baseline, "family"] if baseline is not None else families.iloc[0]
    apart = [f"{name} ({family})" for name, family in families.items() if family != own]
    yield (
        f"Likelihoods of different families are not ranked together: {listed(apart)} "
        f"{'stands' if len(apart) == 1 else 'stand'} apart."
    )


def _without_comparison(ranked: Any, baseline: object, metric: Metric) -> str:
    if ranked.empty:
        return f"No method has a full {metric.label}."
    best = str(ranked.index[0])
    value = value_text(metric, ranked["mean"].iloc[0])
    if len(ranked) == 1:
        return f"{best} is the only method with a full {metric.label}: {value}."
    if baseline is None:
        return f"There is no baseline to compare with. {best} has the best {metric.label}: {value}."
    own = value_text(metric, ranked.loc[baseline, "mean"])
    return f"No method can be compared with {baseline}, whose {metric.label} is {own}."


def _times(task_rows: Any, name: str, baseline: str) -> str:
    """Say how many times as long the fit took."""
    seconds = task_rows[task_rows["metric"] == "fit_seconds"].set_index("method")["mean"]
    if not (seconds.get(name, 0) > 0 and seconds.get(baseline, 0) > 0):
        return ""
    ratio = seconds[name] / seconds[baseline]
    return f", at {f'{ratio:,.0f}' if ratio >= 10 else f'{ratio:.2g}'}× the time"


def _cheap(others: Any, name: str, metric: Metric) -> Iterator[str]:
    """Name the method without networks that is as good as the deep one, if there is one."""
    plain = others[others["role"] == "nonlinear"]
    if others.loc[name, "role"] != "deep" or plain.empty:
        return
    own, best = others.loc[name, "mean"], plain["mean"].iloc[0]
    if best >= own if metric.higher_is_better else best <= own:
        yield f"{plain.index[0]}, which is not deep, gets {value_text(metric, best)}."


def _budget(rows: Any, name: str, baseline: object) -> Iterator[str]:
    tried, of_other = (int(rows.loc[one, "n_candidates"]) for one in (baseline, name))
    if tried < of_other:
        yield f"{baseline} was tuned over fewer settings ({tried} against {of_other})."


def listed(words: Iterable[object]) -> str:
    """Join words by commas and "and"."""
    *first, last = map(str, words)
    return f"{', '.join(first)} and {last}" if first else last
