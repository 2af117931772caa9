"""From one value per split to means, paired differences and intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from skmm.benchmark._metrics import METRICS

KEYS = ["task", "method", "metric"]


def corrected_interval(
    differences: ArrayLike, n_train: float, n_test: float, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the corrected interval of a mean over random splits.

    Training sets of random splits overlap, so that the usual t interval is too short. Nadeau and
    Bengio (2003) add the ratio of test to training rows to the factor of the variance::

        mean ± t(J - 1) · sqrt((1/J + n_test/n_train) · variance)

    Parameters
    ----------
    differences : array-like of shape (n_splits,)
        One value per split, such as the difference of two methods on the same split.
    n_train : float
        Number of training rows of a split.
    n_test : float
        Number of held-out rows of a split.
    confidence : float, default=0.95
        Level of the interval.

    Returns
    -------
    low, high : float
        NaN for fewer than two splits.

    References
    ----------
    C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine Learning 52 (2003),
    section 3.

    Examples
    --------
    >>> from skmm.benchmark import corrected_interval
    >>> low, high = corrected_interval([0.1, 0.2, 0.3], n_train=80, n_test=20)
    >>> round(low, 3), round(high, 3)
    (-0.129, 0.529)
    """
    values = np.asarray(differences, dtype=float)
    n_splits = len(values)
    if n_splits < 2:
        return np.nan, np.nan
    variance = (1 / n_splits + n_test / n_train) * values.var(ddof=1)
    reach = stats.t.ppf((1 + confidence) / 2, n_splits - 1) * np.sqrt(variance)
    return float(values.mean() - reach), float(values.mean() + reach)


def summarize(frame: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return one row per task, method and metric: mean, spread, difference to the baseline."""
    rows = [
        {**dict(zip(KEYS, keys, strict=True)), **_summary(group, frame, baseline)}
        for keys, group in frame.groupby(KEYS, sort=False)
    ]
    return pd.DataFrame(rows)


def control_checks(frame: pd.DataFrame, control: str, *, level: float = 0.01) -> pd.DataFrame:
    """Compare the shuffled control with chance: one row per task and alignment metric.

    A check passes if the interval of the mean difference to chance includes 0. The intervals'
    error probabilities sum to `level` over all checks.
    """
    exact = [name for name, metric in METRICS.items() if metric.exact_chance]
    rows = frame[(frame["method"] == control) & frame["metric"].isin(exact)]
    rows = rows[rows["status"] == "ok"]
    groups = list(rows.groupby(["task", "metric"], sort=False))
    checks = []
    for (task, metric), group in groups:
        excess = group["value"] - group["chance"]
        low, high = _interval(excess, group, confidence=1 - level / len(groups))
        values = group[["value", "chance"]].mean().to_dict()
        passed = bool(low <= 0 <= high) if np.isfinite(low) else None
        checks.append({"task": task, "metric": metric, **values, "passed": passed})
    return pd.DataFrame(checks, columns=["task", "metric", "value", "chance", "passed"])


def _summary(group: pd.DataFrame, frame: pd.DataFrame, baseline: str) -> dict[str, object]:
    done = group[group["status"] == "ok"]
    task, metric = group["task"].iloc[0], group["metric"].iloc[0]
    reference = frame[
        (frame["task"] == task)
        & (frame["metric"] == metric)
        & (frame["method"] == baseline)
        & (frame["status"] == "ok")
    ]
    paired = done.merge(reference[["split", "value"]], on="split", suffixes=("", "_baseline"))
    difference = paired["value"] - paired["value_baseline"]
    is_baseline = group["method"].iloc[0] == baseline
    known = len(difference) and not is_baseline
    low, high = _interval(difference, paired) if known else (np.nan, np.nan)
    return {
        "status": _status(group["status"]),
        "mean": done["value"].mean(),
        "std": done["value"].std(ddof=1),
        "chance": done["chance"].mean(),
        "n_splits": len(group),
        "n_failed": int((group["status"] == "failed").sum()),
        "difference": difference.mean() if known else np.nan,
        "low": low,
        "high": high,
    }


def _status(status: pd.Series) -> str:
    """Return the status of a group: failed if any split failed."""
    for name in ("failed", "ok", "not applicable"):
        if (status == name).any():
            return name
    return "undefined"


def _interval(
    values: pd.Series, rows: pd.DataFrame, *, confidence: float = 0.95
) -> tuple[float, float]:
    sizes = rows["n_train"].mean(), rows["n_test"].mean()
    return corrected_interval(values.to_numpy(float), *sizes, confidence=confidence)
