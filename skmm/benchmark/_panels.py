"""Dot plots as plain numbers: positions in percent of the width of a panel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from skmm.benchmark._metrics import Metric

MARGIN = 4.0  # percent on each side


@dataclass(frozen=True)
class Tick:
    """A place on the axis."""

    at: float
    text: str


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
class _Axis:
    low: float
    high: float
    logarithmic: bool

    def at(self, value: float) -> float:
        """Return the position of a value in percent."""
        low, high, value = (self._map(v) for v in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return round(MARGIN + (100 - 2 * MARGIN) * float(share), 2)

    def ticks(self) -> list[float]:
        """Return round values on the axis."""
        if not self.logarithmic:
            return _round_values(self.low, self.high)
        powers = range(int(np.ceil(np.log10(self.low))), int(np.floor(np.log10(self.high))) + 1)
        return [10.0**power for power in powers] or [self.low, self.high]

    def _map(self, value: float) -> float:
        return float(np.log10(value)) if self.logarithmic else value


def make_panel(metric: Metric, frame: pd.DataFrame, baseline: str, control: str) -> Panel:
    """Lay out one metric of one task."""
    rows = frame[frame["metric"] == metric.name]
    done = rows[rows["status"] == "ok"]
    chance = done["chance"].mean()
    known = [v for v in (*done["value"], chance) if np.isfinite(v)]
    logarithmic = metric.name == "fit_seconds" and bool(known) and min(known) > 0
    axis = _Axis(min(known, default=0.0), max(known, default=1.0), logarithmic)
    roles = {baseline: "baseline", control: "control"}
    strips = [
        _strip(metric, str(method), roles.get(str(method), "method"), group, axis)
        for method, group in rows.groupby("method", sort=False)
    ]
    return Panel(
        metric=metric,
        strips=strips,
        ticks=[Tick(axis.at(v), _tick_text(metric, v)) for v in axis.ticks()],
        baseline=next((s.mean for s in strips if s.role == "baseline"), None),
        chance=axis.at(chance) if np.isfinite(chance) else None,
        logarithmic=logarithmic,
    )


def _strip(metric: Metric, method: str, role: str, group: pd.DataFrame, axis: _Axis) -> Strip:
    values = group.loc[group["status"] == "ok", "value"]
    if values.empty:
        reason = {"undefined": "not defined for this method"}
        status = str(group["status"].iloc[0])
        return Strip(method, role, [], None, reason.get(status, status))
    text = f"{metric.text(values.mean())}{metric.unit}"
    return Strip(method, role, [axis.at(v) for v in values], axis.at(values.mean()), text)


def _round_values(low: float, high: float) -> list[float]:
    """Return up to five or six multiples of 1, 2 or 5 times a power of ten."""
    if high <= low:
        return [low]
    raw = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw * 0.999)
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [float(step * i) for i in range(first, last + 1)]


def _tick_text(metric: Metric, value: float) -> str:
    shown = 100 * value if metric.percent else value
    return f"{shown:.3g}{metric.unit}".replace("-", "−")
