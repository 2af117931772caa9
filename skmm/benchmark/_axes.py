"""Axes: where values lie, in percent of a picture, and which of them are written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from skmm.benchmark._metrics import Metric

SPACE = 4.0  # percent on each side
CHARACTER = 7  # px of a character of a tick, at most
APART = 6  # px between ticks, at least


@dataclass(frozen=True)
class Tick:
    """A place on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Axis:
    """From values to percent; upwards on a vertical axis."""

    low: float
    high: float
    logarithmic: bool = False
    vertical: bool = False

    def at(self, value: float) -> float:
        """Return the position of a value in percent."""
        low, high, value = (self._map(v) for v in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        share = 1 - share if self.vertical else share
        return round(SPACE + (100 - 2 * SPACE) * float(share), 1)

    def values(self) -> list[float]:
        """Return round values on the axis."""
        if not self.logarithmic:
            return _round_values(self.low, self.high)
        found = [v for v in _round_times(self.low, self.high) if self.low <= v <= self.high]
        return found or [self.low]

    def ticks(self, metric: Metric | None = None, *, unit: bool = True) -> list[Tick]:
        """Return the round values with their texts."""
        return [Tick(self.at(v), tick_text(v, metric, unit=unit)) for v in self.values()]

    def _map(self, value: float) -> float:
        return float(np.log10(value)) if self.logarithmic else value


def span(values: Iterable[float], *, logarithmic: bool = False, vertical: bool = False) -> Axis:
    """Return an axis that holds all values that are numbers."""
    known = np.array([v for v in values if np.isfinite(v)])
    logarithmic = logarithmic and len(known) > 0 and bool(known.min() > 0)
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    return Axis(low, high, logarithmic, vertical)


def spaced(ticks: Iterable[Tick], width: float) -> list[Tick]:
    """Leave out the ticks that would touch the one before in a picture of this width in px."""
    kept: list[Tick] = []
    for tick in ticks:
        room = APART + CHARACTER * (len(tick.text) + len(kept[-1].text)) / 2 if kept else 0
        if not kept or (tick.at - kept[-1].at) * width / 100 >= room:
            kept.append(tick)
    return kept


def tick_text(value: float, metric: Metric | None = None, *, unit: bool = True) -> str:
    """Write a value in few characters."""
    shown = 100 * value if metric is not None and metric.percent else value
    if shown and not 1e-3 <= abs(shown) < 1e5:
        mantissa, power = f"{shown:.0e}".split("e")
        text = f"{mantissa}e{int(power)}"
    else:
        text = f"{shown:,.3g}" if abs(shown) < 1000 else f"{shown:,.0f}"
    return text.replace("-", "−") + (metric.after if metric is not None and unit else "")


def _round_times(low: float, high: float) -> list[float]:
    """Return powers of ten, all or every second or third one; with factors where they are few."""
    lowest, highest = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    step = -(-(highest - lowest) // 5) or 1
    factors = (1, 2, 5) if highest - lowest < 2 else (1, 3) if highest - lowest < 3 else (1,)
    return [f * 10.0**k for k in range(lowest, highest + 1, step) for f in factors]


def _round_values(low: float, high: float) -> list[float]:
    """Return up to five or six multiples of 1, 2 or 5 times a power of ten."""
    if high <= low:
        return [low]
    raw = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw * 0.999)
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [float(step * i) for i in range(first, last + 1)]
