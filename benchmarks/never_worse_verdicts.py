"""From figures of splits to verdicts of `never_worse.py`, and their tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skmm.metrics._paired import CorrectedMean

MARGINS: dict[str, Callable[[float], float]] = {
    "log-loss": lambda linear: max(0.01, 0.03 * linear),
    "accuracy": lambda linear: 0.01,
    "R²": lambda linear: 0.01,
    "energy skill": lambda linear: 0.01,
    "nats": lambda linear: 0.01,
    "total correlation": lambda linear: 0.01 * abs(linear),
}
LOWER_IS_BETTER = ("log-loss",)
MANY = 300  # training rows from which an estimator should be certainly better in half of the cells
BAD = ("below", "unsure", "failed")


@dataclass(frozen=True)
class Verdict:
    """An estimator against the best linear rival, in one figure of one cell.

    Parameters
    ----------
    rival : str
        The linear method with the best mean.
    linear, ours : float
        Means over splits.
    gain, low, high : float
        Mean paired difference, above 0 where ours is better, and its corrected 95 % interval.
    margin : float
        The smallest difference that matters.
    verdict : str
        ``"better"``: the interval lies above 0; ``"passes"``: the mean lies at most a margin, the
        interval at most three below 0; ``"unsure"``: the mean alone does; ``"below"``: neither;
        ``"failed"``: some split has no figure of ours.
    """

    rival: str
    linear: float
    ours: float
    gain: float
    low: float
    high: float
    margin: float
    verdict: str


def kind_of(figure: str) -> str:
    """Return the kind of a figure: that of a modality ends in its name."""
    return next(kind for kind in MARGINS if figure == kind or figure.startswith(f"{kind} "))


def judge(
    ours: ArrayLike,
    rivals: Mapping[str, ArrayLike],
    figure: str,
    test_to_rest: float,
) -> Verdict:
    """Compare figures of the same splits.

    Parameters
    ----------
    ours : array-like of shape (n_splits,)
        A figure per split; NaN where the fit failed.
    rivals : dict of str to array-like of shape (n_splits,)
        Those of the linear methods.
    figure : str
        What they are.
    test_to_rest : float
        Test rows over all other rows of the data: two splits share so many of their test rows that
        their differences are alike, however few of the others they train on. Where all others are
        trained on this is the correction of Nadeau and Bengio (2003).

    Returns
    -------
    verdict : Verdict
    """
    kind = kind_of(figure)
    sign = -1.0 if kind in LOWER_IS_BETTER else 1.0
    rival = max(rivals, key=lambda name: sign * float(np.mean(rivals[name])))
    linear = float(np.mean(rivals[rival]))
    paired = CorrectedMean.of(sign * np.subtract(ours, rivals[rival]), test_to_rest)
    low, high = paired.interval()
    margin = MARGINS[kind](linear)
    told = verdict_of(paired.mean, low, margin)
    return Verdict(
        rival,
        linear,
        float(np.mean(ours)),
        float(paired.mean),
        float(low),
        float(high),
        margin,
        told,
    )


def verdict_of(gain: float, low: float, margin: float) -> str:
    """Return the word for a mean gain and the lower end of its interval."""
    if not np.isfinite(gain):
        return "failed"
    if low > 0:
        return "better"
    if gain < -margin:
        return "below"
    return "passes" if low >= -3 * margin else "unsure"  # of one split low is NaN


def table(rows: Iterable[tuple[Mapping[str, object], Verdict]]) -> pd.DataFrame:
    """Return a row per cell and figure."""
    return pd.DataFrame([{**about, **asdict(verdict)} for about, verdict in rows])


def summary(name: str, frame: pd.DataFrame) -> str:
    """Return how many cells pass, over all figures and by each kind."""
    lines = [_counted(name, frame)]
    kinds = frame["figure"].map(kind_of)
    if len(set(kinds)) > 1:
        lines += [_counted(f"  {kind}", part) for kind, part in frame.groupby(kinds, sort=False)]
    return "\n".join(lines)


def _counted(name: str, frame: pd.DataFrame) -> str:
    passed, many = ~frame["verdict"].isin(BAD), frame["n"] >= MANY
    better = frame["verdict"].eq("better") & many
    return (
        f"{name}: {passed.sum()} of {len(frame)} cells pass; certainly better in {better.sum()} "
        f"of the {many.sum()} with at least {MANY} rows"
    )


def markdown(frame: pd.DataFrame) -> str:
    """Return the table as text that is also a page."""
    cells = frame.map(lambda value: f"{value:.3f}" if isinstance(value, float) else str(value))
    lines = [list(cells.columns), ["---"] * cells.shape[1], *cells.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
