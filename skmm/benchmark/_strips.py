"""Pictures with a row per method, as plain numbers: dots of splits, differences, mean ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skmm.benchmark._axes import Axis, Tick, spaced, span
from skmm.benchmark._methods import COMPETING
from skmm.benchmark._metrics import Metric
from skmm.benchmark._statistics import Ranks
from skmm.benchmark._verdicts import SYMBOLS, WORDS, points

NARROW = 110  # px of a narrow plot, beside a long name and a long value
_REASONS = {"undefined": "not defined for this method", "not applicable": "not for these data"}


@dataclass(frozen=True)
class Strip:
    """One method: a dot per split and the mean; or the reason why there is none."""

    method: str
    role: str  # "baseline", "control" or "method"
    dots: list[float]
    mean: float | None
    text: str


@dataclass(frozen=True)
class Panel:
    """One metric: a strip per method on a common axis."""

    metric: Metric
    strips: list[Strip]
    ticks: list[Tick]
    baseline: float | None
    chance: float | None
    logarithmic: bool


@dataclass(frozen=True)
class Bar:
    """A difference to the baseline with its interval."""

    method: str
    at: float
    low: float | None
    high: float | None
    outcome: str
    text: str

    @property
    def symbol(self) -> str:
        """A sign for the outcome."""
        return SYMBOLS[self.outcome]

    @property
    def word(self) -> str:
        """A word for the outcome."""
        return WORDS[self.outcome]


@dataclass(frozen=True)
class Forest:
    """Differences to the baseline by one metric, and the margin around 0."""

    metric: Metric
    unit: str
    baseline: str
    bars: list[Bar]
    ticks: list[Tick]
    zero: float
    margin: tuple[float, float]


@dataclass(frozen=True)
class Place:
    """A method in a diagram of mean ranks."""

    method: str
    rank: float
    at: float
    y: int
    left: bool


@dataclass(frozen=True)
class Clique:
    """Methods that cannot be told apart."""

    start: float
    end: float
    y: int


@dataclass(frozen=True)
class Diagram:
    """Mean ranks with the critical difference (Demšar 2006)."""

    metric: Metric
    ranks: Ranks
    places: list[Place]
    cliques: list[Clique]
    ticks: list[Tick]
    scale: Clique
    height: int


def panel(metric: Metric, rows: pd.DataFrame, summary: pd.DataFrame) -> Panel:
    """Lay out one metric of one task: its rows of the frame and of the summary."""
    done = rows[rows["status"].eq("ok")].groupby("method")["value"]
    values = {str(name): group.to_numpy() for name, group in done}
    chance = float(summary["chance"].mean()) if summary["chance"].notna().any() else np.nan
    every = np.concatenate([*values.values(), [chance]])
    axis = span(every, logarithmic=metric.theme == "cost")
    strips = [
        _strip(metric, row, values.get(str(row["method"])), axis)
        for row in summary.to_dict("records")
    ]
    own = next((strip.mean for strip in strips if strip.role == "baseline"), None)
    known = axis.at(chance) if np.isfinite(chance) else None
    ticks = spaced(axis.ticks(metric), NARROW)
    return Panel(metric, strips, ticks, own, known, axis.logarithmic)


def _strip(metric: Metric, row: Mapping[Any, Any], values: np.ndarray | None, axis: Axis) -> Strip:
    role = "baseline" if row["is_baseline"] and metric.theme != "cost" else "method"
    role = "control" if row["role"] == "control" else role
    if values is None:
        status = str(row["status"])
        return Strip(str(row["method"]), role, [], None, _REASONS.get(status, status))
    text = f"{metric.text(row['mean'])}{metric.after}"
    dots = [axis.at(v) for v in values]
    return Strip(str(row["method"]), role, dots, axis.at(row["mean"]), text)


def forest(metric: Metric, summary: pd.DataFrame, margin: float) -> Forest | None:
    """Lay out the differences of the competing methods to the baseline."""
    rows = summary[summary["role"].isin(COMPETING) & summary["difference"].notna()]
    if rows.empty:
        return None
    axis = span([*rows[["difference", "low", "high"]].to_numpy().ravel(), -margin, margin, 0])
    bars = [_bar(metric, row, axis) for row in rows.to_dict("records")]
    shade = (axis.at(-margin), axis.at(margin))
    ticks, unit = spaced(axis.ticks(metric, unit=False), NARROW), points(metric).strip()
    return Forest(metric, unit, str(rows["baseline"].iloc[0]), bars, ticks, axis.at(0.0), shade)


def _bar(metric: Metric, row: Mapping[Any, Any], axis: Axis) -> Bar:
    low, high = (axis.at(row[end]) if np.isfinite(row[end]) else None for end in ("low", "high"))
    return Bar(
        method=str(row["method"]),
        at=axis.at(row["difference"]),
        low=low,
        high=high,
        outcome=str(row["outcome"]),
        text=difference_text(metric, row),
    )


def difference_text(metric: Metric, row: Mapping[Any, Any]) -> str:
    """Write a difference and its interval."""
    gap, low, high = (metric.text(row[part], sign=True) for part in ("difference", "low", "high"))
    return f"{gap} [{low}, {high}]" if np.isfinite(row["low"]) else gap


class _Inner(Axis):
    """An axis with room for names on both sides."""

    def at(self, value: float) -> float:
        """Return the position of a value in percent."""
        return round(18 + 0.64 * super().at(value), 1)


def diagram(metric: Metric, ranks: Ranks) -> Diagram:
    """Lay out mean ranks: the better half with names on the left, the others on the right."""
    names = list(ranks.mean)
    axis = _Inner(1.0, float(len(names)))
    cliques = _cliques(ranks)
    half = (len(names) + 1) // 2
    top = 46 + 9 * len(cliques)
    levels = [*range(half), *reversed(range(len(names) - half))]
    places = [
        Place(name, ranks.mean[name], axis.at(ranks.mean[name]), top + 24 * level + 14, i < half)
        for i, (name, level) in enumerate(zip(names, levels, strict=True))
    ]
    bars = [
        Clique(axis.at(ranks.mean[first]) - 0.7, axis.at(ranks.mean[last]) + 0.7, 44 + 9 * i)
        for i, (first, last) in enumerate(cliques)
    ]
    ticks = [Tick(axis.at(k), str(k)) for k in range(1, len(names) + 1)]
    reach = min(1 + ranks.critical_difference, float(len(names)))
    scale = Clique(axis.at(1.0), axis.at(reach), 8)
    return Diagram(metric, ranks, places, bars, ticks, scale, top + 24 * half + 4)


def _cliques(ranks: Ranks) -> list[tuple[str, str]]:
    """Return first and last of the largest groups within the critical difference."""
    names, values = list(ranks.mean), list(ranks.mean.values())
    found: list[tuple[int, int]] = []
    for i, value in enumerate(values):
        last = max(j for j, v in enumerate(values) if v - value <= ranks.critical_difference)
        if last > i and (not found or last > found[-1][1]):
            found.append((i, last))
    return [(names[i], names[j]) for i, j in found]
