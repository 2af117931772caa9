"""Figures of the report: drawn by matplotlib, written as SVG into the page.

There are two sorts. One has a row for each method, with its name and value above the row, so that
names of any length fit on a phone; the other has two axes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import StringIO
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from skmm.benchmark._extras import require
from skmm.benchmark._frames import Curve
from skmm.benchmark._methods import COMPETING
from skmm.benchmark._metrics import METRICS, Metric
from skmm.benchmark._report._verdicts import SYMBOLS, difference_text, points, value_text
from skmm.benchmark._statistics import Ranks

# Lengths are in units of the SVG. The page scales a figure to its column, which is about as wide
# as this on a phone, so that text of 10 units is read everywhere.
WIDTH, TEXT, ROW, AXIS, EDGE = 280, 10, 30, 22, 8
N_CHARACTERS = 49  # of a name and a value in one line
N_LINES = 10  # of a figure of training curves

# The colours of a light page; the page puts its variables in their places, and so turns dark.
STYLES = ("#b3540e", "#1a5fb4", "#1a7f37", "#8a3fa0", "#9a6700", "#0b7285", "#c2255c", "#495057")
COLOURS = {"ink": "#1b1f24", "soft": "#59636e", "line": "#d5dae0", "paper": "#ffffff"}
COLOURS |= {"control": "#7a828b"} | {f"h{i}": colour for i, colour in enumerate(STYLES)}
HUES = {"method": STYLES[0], "baseline": STYLES[1], "control": COLOURS["control"]}
MARKERS = "osD^vPX"  # as many as have no factor in common with the colours
_REASONS = {"undefined": "not defined for this method", "not applicable": "not for these data"}
_SETTINGS = {
    "svg.fonttype": "none",  # text can be searched and selected, and is a tenth of its outlines
    "text.parse_math": False,  # names may have dollars
    "font.sans-serif": ["DejaVu Sans"],  # wider than the fonts of pages
    "font.size": TEXT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "text.color": COLOURS["ink"],
    **dict.fromkeys(("xtick.labelcolor", "ytick.labelcolor"), COLOURS["soft"]),
    **dict.fromkeys(
        ("axes.edgecolor", "grid.color", "xtick.color", "ytick.color"), COLOURS["line"]
    ),
}


@dataclass(frozen=True)
class Picture:
    """A figure with its caption and its text alternative."""

    title: str
    note: str
    words: str
    draw: Callable[[], Any]  # returns a matplotlib Figure

    def svg(self, key: str) -> str:
        """Return the figure as an element of a page: the same bytes for the same values and key.

        Two figures of one page need different keys, so that the names of their parts differ.
        """
        mpl, file = require("matplotlib"), StringIO()
        with mpl.rc_context():
            mpl.rcdefaults()  # the user's settings are for figures of their own
            mpl.rcParams.update({**_SETTINGS, "svg.hashsalt": key})
            self.draw().savefig(file, format="svg", transparent=True)
        return _for_pages(file.getvalue())


@dataclass(frozen=True)
class Row:
    """A method in a figure of rows; without a value where the text says why there is none."""

    name: str
    text: str
    value: float = np.nan
    interval: tuple[float, float] = (np.nan, np.nan)
    dots: Sequence[float] = ()
    role: str = "method"  # or "baseline", "control"


@dataclass(frozen=True)
class Line:
    """A method in a figure of two axes; `error` is half the length of its error bars."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    error: Sequence[float] | None = None


def forest(metric: Metric, summary: pd.DataFrame, margin: float) -> Picture | None:
    """Return the differences of the competing methods to the baseline, by one metric."""
    found = summary[summary["role"].isin(COMPETING) & summary["difference"].notna()]
    if found.empty:
        return None
    times = _factor(metric)
    rows = [
        Row(
            str(row["method"]),
            f"{difference_text(metric, row)} {SYMBOLS[row['outcome']]}",
            times * row["difference"],
            (times * row["low"], times * row["high"]),
        )
        for row in found.to_dict("records")
    ]
    unit = points(metric).strip()
    return Picture(
        f"{metric.label}: difference to {found['baseline'].iloc[0]}",
        (f"{unit}, " if unit else "") + _direction(metric),
        _in_words(rows),
        partial(draw_rows, rows, baseline=0.0, margin=times * margin),
    )


def strips(metric: Metric, frame: pd.DataFrame, summary: pd.DataFrame) -> Picture:
    """Return the values of all splits by one metric: a dot each, and their mean."""
    done = frame[frame["status"].eq("ok")].groupby("method")["value"]
    dots = {str(name): _factor(metric) * values.to_numpy() for name, values in done}
    rows = [_strip(metric, row, dots) for row in summary.to_dict("records")]
    logarithmic = metric.theme == "cost" and min(map(min, dots.values()), default=0) > 0
    own = [row.value for row in rows if row.role == "baseline"]
    return Picture(
        metric.header,
        _direction(metric) + (", logarithmic" if logarithmic else ""),
        _in_words(rows),
        partial(
            draw_rows,
            rows,
            baseline=own[0] if own else np.nan,
            chance=_factor(metric) * summary["chance"].mean(),
            logarithmic=logarithmic,
        ),
    )


def rank_diagram(metric: Metric, ranks: Ranks) -> Picture:
    """Return mean ranks over tasks, each in the middle of a bar as long as the critical difference.

    So bars touch where ranks differ by no more than that.
    """
    reach, p = ranks.critical_difference / 2, ranks.p_value
    rows = [
        Row(name, f"{rank:.2f}", rank, (rank - reach, rank + reach))
        for name, rank in ranks.mean.items()
    ]
    return Picture(
        f"Mean ranks by {metric.label} over {ranks.n_tasks} tasks",
        "1 is best; methods whose bars overlap cannot be told apart (Nemenyi's critical difference "
        f"at 5 %: {ranks.critical_difference:.2f}). Failed methods share the last ranks."
        + (f" Friedman's test of equal ranks: p = {p:.2g}." if np.isfinite(p) else ""),
        _in_words(rows),
        partial(draw_rows, rows),
    )


def scatter(metric: Metric, summary: pd.DataFrame) -> Picture | None:
    """Return quality against the time of fits; None if fewer than two methods have both."""
    rows = summary[summary["status"].eq("ok") & summary["role"].ne("control")]
    table = rows.pivot_table(index="method", columns="metric", values="mean", sort=False)
    if metric.name not in table or "fit_seconds" not in table:
        return None
    table = table[[metric.name, "fit_seconds"]].dropna()
    if len(table) < 2 or table["fit_seconds"].min() <= 0:
        return None
    found = [(str(name), value, seconds) for name, value, seconds in table.itertuples()]
    lines = [Line(name, [seconds], [_factor(metric) * value]) for name, value, seconds in found]
    words = [
        f"{name}: {value_text(metric, value)} in {value_text(METRICS['fit_seconds'], seconds)}"
        for name, value, seconds in found
    ]
    better = "higher" if metric.higher_is_better else "lower"
    return Picture(
        f"{metric.header} against fit time",
        f"{better} and further left is better; time is logarithmic",
        "; ".join(words),
        partial(draw_lines, lines, "fit time, s", logarithmic=True),
    )


def learning_curve(metric: Metric, frame: pd.DataFrame) -> Picture | None:
    """Return mean and standard deviation over splits for every number of training rows."""
    done = frame[frame["status"].eq("ok") & frame["role"].ne("control")]
    if done["train_size"].nunique() < 2:
        return None
    counted = bool(done["n_train"].notna().all())
    x_of = done.groupby("train_size")["n_train" if counted else "train_size"].mean()
    per_split = done.groupby(["method", "train_size", "split"], sort=False)["value"].mean()
    table = _factor(metric) * per_split.groupby(level=[0, 1], sort=False).agg(["mean", "std"])
    lines = []
    for name, rows in table.groupby(level=0, sort=False):
        rows = rows.droplevel(0).sort_index()
        error = rows["std"].fillna(0).tolist()
        lines.append(Line(str(name), x_of[rows.index].tolist(), rows["mean"].tolist(), error))
    label = "training samples" if counted else "share of the training samples"
    return Picture(
        f"{metric.header} by {label}",
        f"{'higher' if metric.higher_is_better else 'lower'} is better",
        "; ".join(f"{one.name}: {one.y[0]:.3g} to {one.y[-1]:.3g}" for one in lines),
        partial(draw_lines, lines, label, ticks=x_of.tolist()),
    )


def training_curves(curves: Iterable[Curve]) -> list[Picture]:
    """Return the losses of the networks of one task, a figure for each method."""
    ordered = sorted(curves, key=lambda curve: (curve.method, curve.split, curve.seed))
    groups = groupby(ordered, lambda curve: curve.method)
    found = (_training_curve(name, list(group)) for name, group in groups)
    return [picture for picture in found if picture is not None]


def draw_rows(
    rows: Sequence[Row],
    *,
    baseline: float = np.nan,
    chance: float = np.nan,
    margin: float = 0.0,
    logarithmic: bool = False,
) -> Any:
    """Return a figure with a row for each method, the first one on top."""
    figure, axes = _figure(ROW * len(rows) + AXIS, left=EDGE)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    y = np.arange(len(rows)) + 0.18  # below the names
    if margin:
        axes.barh(y, 2 * margin, height=0.44, left=-margin, color=COLOURS["control"], alpha=0.2)
    for place, hue, dashes in ((chance, "control", ":"), (baseline, "baseline", "--")):
        if np.isfinite(place):
            places, ends = np.full(len(y), place), (y - 0.22, y + 0.22)
            axes.vlines(places, *ends, colors=HUES[hue], linestyles=dashes, linewidth=1.2)
    for at, row in zip(y, rows, strict=True):
        _draw_row(axes, at, row)
    if logarithmic:
        _make_logarithmic(axes)
    else:
        axes.xaxis.set_major_locator(require("matplotlib.ticker").MaxNLocator(5))
    return figure


def draw_lines(
    lines: Sequence[Line],
    x_label: str,
    *,
    logarithmic: bool = False,
    ticks: Sequence[float] | None = None,
    thin: bool = False,
) -> Any:
    """Return a figure of lines with a legend below; thin ones have neither legend nor marks."""
    legend = 0 if thin else (TEXT + 5) * -(-len(lines) // 2)
    bottom = AXIS + TEXT + legend
    figure, axes = _figure((120 if thin else 200) + bottom, bottom, left=40)
    for i, line in enumerate(lines):
        colour = STYLES[0 if thin else i % len(STYLES)]
        alone = len(line.x) == 1
        marker = "o" if thin and alone else "" if thin else MARKERS[i % len(MARKERS)]
        axes.errorbar(
            line.x, line.y, line.error, color=colour, marker=marker, label=line.name,
            markersize=3 if thin else 7, linewidth=1, linestyle="" if alone else "-",
            alpha=0.65 if thin else 1.0, elinewidth=1,
        )  # fmt: skip
    if logarithmic:
        _make_logarithmic(axes)
    elif ticks is not None:
        axes.set_xticks(_apart(ticks))
        axes.xaxis.set_major_formatter("{x:,g}")
    axes.set_xlabel(x_label, color=COLOURS["soft"], loc="left", labelpad=2)
    axes.tick_params(length=0)
    if legend:
        figure.legend(
            *_handles(axes), loc="lower left", ncols=2, frameon=False, borderaxespad=0,
            handletextpad=0.3, columnspacing=1, labelspacing=0.4, fontsize=TEXT - 1,
        )  # fmt: skip
    return figure


def _handles(axes: Any) -> tuple[list[Any], list[str]]:
    """Return marks and names for the legend: no error bars, and names that fit in half a figure."""
    bars, names = axes.get_legend_handles_labels()
    return [bar[0] for bar in bars], [_shortened(name, N_CHARACTERS // 2) for name in names]


def _figure(height: float, bottom: float = AXIS, *, left: float) -> tuple[Any, Any]:
    """Return a figure of this height with axes, which leave room for ticks and names."""
    inch = 72
    figure = require("matplotlib.figure").Figure((WIDTH / inch, height / inch))
    top = 0 if left == EDGE else EDGE
    share = (height - bottom - top) / height
    box = (left / WIDTH, bottom / height, (WIDTH - left - EDGE) / WIDTH, share)
    return figure, figure.add_axes(box)


def _draw_row(axes: Any, y: float, row: Row) -> None:
    hue = HUES[row.role]
    across, above = axes.get_yaxis_transform(), y - 0.26
    room = N_CHARACTERS - len(row.text)
    bold = "bold" if row.role == "baseline" else "normal"
    axes.text(0, above, _shortened(row.name, room), transform=across, va="bottom", weight=bold)
    axes.text(1, above, row.text, transform=across, va="bottom", ha="right", color=COLOURS["soft"])
    axes.plot([0, 1], [y, y], transform=across, color=COLOURS["line"], linewidth=0.7)
    axes.plot(row.dots, [y] * len(row.dots), "o", color=hue, alpha=0.4, markersize=6, mew=0)
    axes.plot(row.interval, [y, y], color=hue, linewidth=2)
    axes.plot([row.value], [y], "o", color=hue, markersize=8, markeredgecolor=COLOURS["paper"])


def _make_logarithmic(axes: Any) -> None:
    """Scale the horizontal axis, with plain numbers at powers of ten, or between few of them."""
    ticker = require("matplotlib.ticker")
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    decades = np.log10(high / low)
    factors = (1.0,) if decades > 2.5 else (1.0, 3.0) if decades > 1.5 else (1.0, 2.0, 5.0)
    few = decades < 0.7
    axes.xaxis.set_major_locator(ticker.MaxNLocator(4) if few else ticker.LogLocator(subs=factors))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}" if x >= 1000 else f"{x:g}")
    axes.xaxis.set_minor_locator(ticker.NullLocator())


def _apart(places: Iterable[float]) -> list[float]:
    """Return the places of ticks that are not too near to the one before."""
    ordered = sorted(places)
    kept: list[float] = []
    for place in ordered:
        if not kept or place - kept[-1] > (ordered[-1] - ordered[0]) / 8:
            kept.append(place)
    return kept


def _strip(metric: Metric, row: Mapping[Any, Any], dots: Mapping[str, Any]) -> Row:
    name, role = str(row["method"]), "method"
    if row["role"] == "control":
        role = "control"
    elif row["is_baseline"] and metric.theme != "cost":
        role = "baseline"
    if name not in dots:
        status = str(row["status"])
        return Row(name, _REASONS.get(status, status), role=role)
    mean = row["mean"]
    return Row(name, value_text(metric, mean), _factor(metric) * mean, dots=dots[name], role=role)


def _training_curve(name: str, curves: Sequence[Curve]) -> Picture | None:
    shown = curves[:N_LINES]
    held_out = all("valid_loss" in curve.values for curve in shown)
    lines = [_losses(curve, "valid_loss" if held_out else "train_loss") for curve in shown]
    if not any(np.isfinite(line.y).any() for line in lines):
        return None
    left_out = f", the first {N_LINES} of {len(curves)} fits" if len(curves) > N_LINES else ""
    return Picture(
        name,
        f"{'validation' if held_out else 'training'} loss, a line for each fit{left_out}",
        "; ".join(f"{one.name}: {one.y[0]:.3g} to {one.y[-1]:.3g}" for one in lines if one.y),
        partial(draw_lines, lines, "epoch", thin=True),
    )


def _losses(curve: Curve, kind: str) -> Line:
    losses = list(curve.values.get(kind, []))
    epochs = curve.values.get("epoch", range(1, len(losses) + 1))
    return Line(f"split {curve.split + 1}", list(epochs), losses)


def _factor(metric: Metric) -> float:
    return 100.0 if metric.percent else 1.0


def _direction(metric: Metric) -> str:
    return "higher is better →" if metric.higher_is_better else "← lower is better"


def _in_words(rows: Iterable[Row]) -> str:
    return "; ".join(f"{row.name}: {row.text}" for row in rows)


def _shortened(name: str, n_characters: int) -> str:
    return name if len(name) <= n_characters else f"{name[: n_characters - 1]}…"


def _for_pages(svg: str) -> str:
    """Return an SVG file as an element of a page, in the fonts and colours of the page."""
    text = svg[svg.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"| (width|height)="[\d.]+pt"| version="1.1"', "", text)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)  # nothing refers to groups
    text = text.replace("xlink:href", "href").replace(" 'DejaVu Sans'", " var(--font)")
    for name, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    return text
