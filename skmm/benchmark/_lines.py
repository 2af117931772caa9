"""Pictures with two axes, as plain numbers: quality against time, learning and training curves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from skmm.benchmark._axes import Axis, Tick, spaced, span
from skmm.benchmark._metrics import METRICS, Metric

if TYPE_CHECKING:
    from skmm.benchmark._frames import Curve

N_STYLES = 8  # of colour, dashes and marks
N_LINES = 10  # of one small picture
HEIGHT = 260  # px of a scatter plot, at least
LINE = 15  # px of a line of text
NARROW = 250  # px of the narrowest picture
SMALL = 160  # px of one of many beside each other
CHARACTER = 7  # px


@dataclass(frozen=True)
class Point:
    """A method in a scatter plot: the place of its dot, and of its name."""

    method: str
    role: str
    x: float
    y: float
    label_y: float
    left: bool
    text: str


@dataclass(frozen=True)
class Scatter:
    """Quality against the time of fits."""

    metric: Metric
    points: list[Point]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    height: int


@dataclass(frozen=True)
class Line:
    """A line through points in percent, with error bars (x, low, high) if there are some."""

    name: str
    style: int
    points: list[tuple[float, float]]
    bars: list[tuple[float, float, float]]

    @property
    def path(self) -> str:
        """The points as SVG takes them."""
        return " ".join(f"{x:g},{y:g}" for x, y in self.points)


@dataclass(frozen=True)
class Chart:
    """Lines on common axes."""

    title: str
    note: str
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    x_label: str


def scatter(metric: Metric, summary: pd.DataFrame) -> Scatter | None:
    """Lay out the means of one task; None if fewer than two methods have both."""
    rows = summary[summary["status"].eq("ok") & summary["role"].ne("control")]
    table = rows.pivot_table(index="method", columns="metric", values="mean", sort=False)
    if metric.name not in table or "fit_seconds" not in table:
        return None
    table = table[[metric.name, "fit_seconds"]].dropna()
    if len(table) < 2 or table["fit_seconds"].min() <= 0:
        return None
    own = summary[summary["is_baseline"] & summary["metric"].eq(metric.name)]
    baselines = set(own["method"])
    roles = {str(name): "baseline" if name in baselines else "method" for name in table.index}
    x, y = span(table["fit_seconds"], logarithmic=True), span(table[metric.name], vertical=True)
    height = max(HEIGHT, (LINE + 4) * (len(table) + 2))
    points = [
        _point(metric, str(name), roles[str(name)], x.at(seconds), y.at(value), value, seconds)
        for name, value, seconds in table.itertuples()
    ]
    placed = place_labels(points, height)
    times = spaced(x.ticks(METRICS["fit_seconds"]), NARROW)
    return Scatter(metric, placed, times, y.ticks(metric, unit=False), height)


def _point(
    metric: Metric, name: str, role: str, x: float, y: float, value: float, seconds: float
) -> Point:
    took = METRICS["fit_seconds"].text(seconds)
    text = f"{name}: {metric.text(value)}{metric.after} in {took}\N{NO-BREAK SPACE}s"
    return Point(name, role, x, y, y, x > 50, text)


def place_labels(points: Sequence[Point], height: int) -> list[Point]:
    """Move names apart that would overlap in the narrowest picture, and keep them inside."""
    gap = 100 * LINE / height
    placed: list[Point] = []
    for point in sorted(points, key=lambda p: p.y):
        above = [p.label_y for p in placed if _touch(p, point)]
        y = max([point.y, *(one + gap for one in above)]) if above else point.y
        placed.append(Point(**{**vars(point), "label_y": round(y, 1)}))
    lowest = 100 - gap / 2
    moved: list[Point] = []
    for point in reversed(placed):
        below = [p.label_y for p in moved if _touch(p, point)]
        y = min([point.label_y, lowest, *(one - gap for one in below)])
        moved.append(Point(**{**vars(point), "label_y": round(y, 1)}))
    return moved[::-1]


def _touch(one: Point, other: Point) -> bool:
    """Return whether names lie above each other in a narrow picture."""
    (a, b), (c, d) = _extent(one), _extent(other)
    return a < d and c < b


def _extent(point: Point) -> tuple[float, float]:
    width = 100 * (CHARACTER * len(point.method) + 12) / NARROW
    return (point.x - width, point.x) if point.left else (point.x, point.x + width)


def learning_curve(metric: Metric, rows: pd.DataFrame) -> Chart | None:
    """Lay out mean and spread over splits for every number of training rows."""
    done = rows[rows["status"].eq("ok") & rows["role"].ne("control")]
    if done["train_size"].nunique() < 2:
        return None
    counted = bool(done["n_train"].notna().all())
    x_of = done.groupby("train_size")["n_train" if counted else "train_size"].mean()
    per_split = done.groupby(["method", "train_size", "split"], sort=False)["value"].mean()
    table = per_split.groupby(["method", "train_size"], sort=False).agg(["mean", "std"])
    spread = table["std"].fillna(0)
    x = span(x_of)
    y = span([*(table["mean"] - spread), *(table["mean"] + spread)], vertical=True)
    groups = list(table.groupby("method", sort=False))
    lines = [
        _learning_line(str(name), i, len(groups), group.droplevel(0).sort_index(), x_of, x, y)
        for i, (name, group) in enumerate(groups)
    ]
    better = "higher is better" if metric.higher_is_better else "lower is better"
    label = "training samples" if counted else "share of the training samples"
    every = [Tick(x.at(v), f"{v:,.0f}" if counted else f"{v:g}") for v in sorted(x_of)]
    ticks = spaced(every, NARROW)
    title = f"{metric.header} by {label}"
    return Chart(title, better, lines, ticks, y.ticks(metric, unit=False), label)


def _learning_line(
    name: str, i: int, n: int, table: pd.DataFrame, x_of: pd.Series, x: Axis, y: Axis
) -> Line:
    shift = (i - (n - 1) / 2) * 0.9  # error bars beside each other
    places = [round(x.at(x_of[size]) + shift, 1) for size in table.index]
    means, spread = table["mean"].to_numpy(), table["std"].fillna(0).to_numpy()
    points = [(place, y.at(value)) for place, value in zip(places, means, strict=True)]
    bars = [
        (place, y.at(m - s), y.at(m + s))
        for place, m, s in zip(places, means, spread, strict=True)
        if s > 0
    ]
    return Line(name, i % N_STYLES, points, bars)


def training_curves(curves: Iterable[Curve]) -> list[Chart]:
    """Lay out the losses of the networks of one task, one small picture per method."""
    ordered = sorted(curves, key=lambda curve: curve.method)
    groups = ((name, list(group)) for name, group in groupby(ordered, lambda c: c.method))
    charts = (_training_chart(name, group) for name, group in groups)
    return [chart for chart in charts if chart is not None]


def _training_chart(name: str, curves: list[Curve]) -> Chart | None:
    shown = sorted(curves, key=lambda c: (c.split, c.seed))[:N_LINES]
    kind = "valid_loss" if all("valid_loss" in c.values for c in shown) else "train_loss"
    series = [_series(curve, kind) for curve in shown]
    known = [value for _, values in series for value in values if np.isfinite(value)]
    if not known:
        return None
    epochs = [epoch for xs, _ in series for epoch in xs]
    x, y = span(epochs), span(known, vertical=True)
    lines = [
        Line(
            f"split {curve.split + 1}",
            0,
            [(x.at(a), y.at(b)) for a, b in zip(xs, ys, strict=True) if np.isfinite(b)],
            [],
        )
        for curve, (xs, ys) in zip(shown, series, strict=True)
    ]
    left_out = f", the first {N_LINES} of {len(curves)} fits" if len(curves) > N_LINES else ""
    note = f"{'validation' if kind == 'valid_loss' else 'training'} loss{left_out}"
    return Chart(name, note, lines, spaced(x.ticks(), SMALL), y.ticks(), "epoch")


def _series(curve: Curve, kind: str) -> tuple[list[float], list[float]]:
    ys = list(curve.values.get(kind, []))
    return list(curve.values.get("epoch", range(1, len(ys) + 1))), ys
