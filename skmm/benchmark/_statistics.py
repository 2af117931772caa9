"""From one value per split and seed to means, paired differences, intervals, ranks."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from skmm.benchmark._methods import COMPETING
from skmm.benchmark._metrics import Metric
from skmm.metrics._paired import CorrectedMean

Array = np.ndarray
KEYS = ["task", "method", "metric"]
LEVEL = 0.05
FAILED = ("failed", "timeout")
N_TASKS_FOR_RANKS = 8


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
    low, high = CorrectedMean.of(differences, n_test / n_train).interval(confidence)
    return float(low), float(high)


def holm(p_values: ArrayLike) -> Array:
    """Return p-values adjusted by Holm's step-down rule; NaN stay out of the family.

    Parameters
    ----------
    p_values : array-like of shape (n,)
        One p-value per comparison.

    Returns
    -------
    adjusted : ndarray of shape (n,)

    References
    ----------
    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6 (1979).

    Examples
    --------
    >>> from skmm.benchmark import holm
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p_values, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted


def summarize(
    frame: pd.DataFrame, metrics: Mapping[str, Metric], baseline: str | None, margins: Margins
) -> pd.DataFrame:
    """Return one row per task, method and metric, with the difference to the baseline."""
    full = frame[frame["train_size"] == frame.groupby("task")["train_size"].transform("max")]
    means_of_seeds = _means_of_seeds(full)
    per_split = _by_method(means_of_seeds)
    by_task = full.groupby(["task", "metric"])[["n_train", "n_test"]].mean()
    sizes = dict(zip(by_task.index, by_task.to_numpy(), strict=True))
    described = _describe(full, means_of_seeds)
    rows: list[dict[str, object]] = []
    for (task, name), group in described.groupby(["task", "metric"], sort=False):
        means = per_split.get((str(task), str(name)), {})
        n_train, n_test = sizes[(task, name)]
        rows += _compare_all(group, means, n_train, n_test, metrics[str(name)], baseline)
    summary = pd.DataFrame(rows)
    summary["p_holm"] = np.nan
    for _, group in summary.groupby(["method", "metric"]):
        summary.loc[group.index, "p_holm"] = holm(group["p_value"])
    summary["outcome"] = [
        _outcome(row, metrics[str(row.metric)], margins.of(metrics[str(row.metric)]))
        for row in summary.itertuples()
    ]
    return summary


@dataclass(frozen=True)
class Margins:
    """The smallest differences that matter: one's own, or those of the metrics."""

    given: Mapping[str, float]

    def of(self, metric: Metric) -> float:
        """Return the margin of a metric."""
        return float(self.given.get(metric.name, metric.margin))


def control_checks(
    frame: pd.DataFrame, metrics: Mapping[str, Metric], *, level: float = 0.01
) -> pd.DataFrame:
    """Compare controls with chance: one row per task, control and metric.

    A check passes if the interval of the mean difference to chance includes 0; where broken data
    may do worse than chance, if it does not lie above. The intervals' error probabilities sum to
    `level` over all checks.
    """
    checked = [name for name, metric in metrics.items() if metric.chance]
    rows = frame[frame["role"].eq("control") & frame["metric"].isin(checked)]
    rows = rows[rows["status"].eq("ok") & rows["chance"].notna()]
    groups = list(rows.groupby(KEYS, sort=False))
    checks = []
    for (task, method, name), group in groups:
        metric = metrics[str(name)]
        excess = group.assign(excess=group["value"] - group["chance"]).groupby("split")["excess"]
        paired = CorrectedMean.of(excess.mean(), group["n_test"].mean() / group["n_train"].mean())
        low, high = paired.interval(1 - level / len(groups))
        # A few splits may agree by accident: without variance there is no interval to go by.
        known = paired.n > 1 and (paired.error > 0 or paired.mean == 0)
        if metric.chance == "exact":
            inside = low <= 0 <= high
        else:
            inside = low <= 0 if metric.higher_is_better else high >= 0
        checks.append(
            {
                "task": task,
                "method": method,
                "metric": name,
                **group[["value", "chance"]].mean().to_dict(),
                "passed": bool(inside) if known else None,
            }
        )
    columns = ["task", "method", "metric", "value", "chance", "passed"]
    return pd.DataFrame(checks, columns=columns)


def win_tie_loss(summary: pd.DataFrame, headlines: Mapping[str, Iterable[str]]) -> pd.DataFrame:
    """Return how often each method beats the baseline, over tasks and metrics with a verdict.

    A method that failed has lost.
    """
    pairs = zip(summary["task"], summary["metric"], strict=True)
    told = np.array([metric in set(headlines[task]) for task, metric in pairs])
    rows = summary[told & summary["role"].isin(COMPETING) & ~summary["is_baseline"]]
    names = {"win": "wins", "tie": "ties", "unclear": "unclear", "loss": "losses"}
    kinds = rows["outcome"].replace({"failed": "loss"})
    table = pd.crosstab(rows["method"], kinds).reindex(columns=list(names), fill_value=0)
    return table.rename(columns=names).rename_axis(columns=None)


@dataclass(frozen=True)
class Ranks:
    """Mean ranks over tasks, and how far apart they must be (Demšar 2006)."""

    metric: str
    mean: dict[str, float]
    critical_difference: float
    p_value: float
    n_tasks: int


def mean_ranks(summary: pd.DataFrame, metric: Metric) -> Ranks | None:
    """Return mean ranks of the methods that took part in all of at least eight tasks.

    What failed shares the last ranks; likelihoods of several families have none. The critical
    difference is Nemenyi's at 5 %, the p-value Friedman's.
    """
    rows = summary[(summary["metric"] == metric.name) & summary["role"].isin(COMPETING)]
    rows = rows[rows["status"].isin(["ok", *FAILED])]
    if len(set(rows.loc[rows["status"].eq("ok"), "family"])) > 1:  # of likelihoods
        return None
    took_part = pd.crosstab(rows["task"], rows["method"]).all()
    means = rows["mean"].where(rows["status"].eq("ok"))
    table = pd.crosstab(rows["task"], rows["method"], means, aggfunc="mean", dropna=False)
    table = table.loc[:, took_part[took_part].index]
    N, k = table.shape
    if N < N_TASKS_FOR_RANKS or k < 2:
        return None
    worst = -np.inf if metric.higher_is_better else np.inf
    ranks = table.fillna(worst).rank(axis=1, ascending=not metric.higher_is_better)
    mean = ranks.mean().sort_values(kind="stable")
    q = stats.studentized_range.ppf(1 - LEVEL, k, np.inf) / np.sqrt(2)
    p = stats.friedmanchisquare(*ranks.T.values).pvalue if k > 2 else np.nan
    critical = float(q * np.sqrt(k * (k + 1) / (6 * N)))
    found = {str(method): float(rank) for method, rank in mean.items()}
    return Ranks(metric.name, found, critical, float(p), N)


def _compare_all(
    described: pd.DataFrame,
    means: Mapping[str, Mapping[int, float]],
    n_train: float,
    n_test: float,
    metric: Metric,
    asked: str | None,
) -> list[dict[str, object]]:
    """Return a row per method of one task and metric; the means are by split."""
    names = described["method"]
    rows = {str(n): _plain(r) for n, r in zip(names, described.to_dict("records"), strict=True)}
    # Cheapness is no question of its own: whatever learns nothing would win.
    baseline = None if metric.theme == "cost" else _baseline(rows, metric, asked)
    for name, row in rows.items():
        row |= {**_NOT_COMPARED, "is_baseline": name == baseline}
        comparable = baseline is not None and rows[baseline]["family"] == row["family"]
        if baseline is None or name == baseline or name not in means or not comparable:
            continue
        difference = _paired_differences(means[name], means[baseline])
        paired = CorrectedMean.of(difference, n_test / n_train)
        low, high = paired.interval()
        row |= {"baseline": baseline, "difference": paired.mean, "low": low, "high": high}
        if row["role"] in COMPETING:  # the others are no hypotheses
            row["p_value"] = paired.p_value()
    return list(rows.values())


def _plain(row: Mapping[Hashable, object]) -> dict[str, object]:
    return {str(name): value for name, value in row.items()}


_NOT_COMPARED: dict[str, object] = {"is_baseline": False, "baseline": ""}
_NOT_COMPARED |= dict.fromkeys(("difference", "low", "high", "p_value"), np.nan)
_GROUP = ["task", "metric", "method"]
_DESCRIBED = ["task", "kind", "method", "role", "metric", "status", "family", "mean"]
_DESCRIBED += ["std_splits", "std_seeds", "chance", "n_splits", "n_seeds", "n_failed"]
_DESCRIBED += ["n_candidates"]


def _means_of_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over seeds, and their variance, by task, metric, method and split."""
    done = frame[frame["status"] == "ok"]
    return done.groupby([*_GROUP, "split"])["value"].agg(["mean", "var"])


def _by_method(means: pd.DataFrame) -> dict[tuple[str, str], dict[str, dict[int, float]]]:
    """Return the means as value by split, by method, by task and metric."""
    found: dict[tuple[str, str], dict[str, dict[int, float]]] = {}
    for keys, value in zip(means.index.tolist(), means["mean"], strict=True):
        task, metric, method, split = keys
        found.setdefault((task, metric), {}).setdefault(method, {})[split] = value
    return found


def _paired_differences(one: Mapping[int, float], other: Mapping[int, float]) -> Array:
    both = [split for split in one if split in other]
    differences = np.array([one[split] - other[split] for split in both])
    return differences[np.isfinite(differences)]


def _describe(frame: pd.DataFrame, means_of_seeds: pd.DataFrame) -> pd.DataFrame:
    """Return means and spreads of every method on every task: over splits, and over seeds."""
    done = frame[frame["status"] == "ok"].groupby(_GROUP)
    states = frame["status"].map(_ORDER).fillna(len(_ORDER) - 1)
    every = frame.assign(state=states, n_failed=frame["status"].isin(FAILED))
    table = every.groupby(_GROUP, sort=False).agg(
        kind=("kind", "first"),
        role=("role", "first"),
        state=("state", "min"),
        n_splits=("split", "nunique"),
        n_seeds=("seed", "nunique"),
        n_failed=("n_failed", "sum"),
        n_candidates=("n_candidates", "max"),
    )
    spread = means_of_seeds.groupby(_GROUP)
    table["status"] = table["state"].map({place: name for name, place in _ORDER.items()})
    table["mean"] = spread["mean"].mean()
    table["std_splits"] = spread["mean"].std(ddof=1)
    table["std_seeds"] = np.sqrt(spread["var"].mean())
    table["chance"] = done["chance"].mean()
    table["family"] = done["family"].first()
    table["family"] = table["family"].fillna("")
    table["n_candidates"] = table["n_candidates"].astype(int)
    return table.reset_index()[_DESCRIBED]


# The status of a group is the first of these that one of its cells has.
_ORDER = {name: i for i, name in enumerate((*FAILED, "ok", "not applicable", "undefined"))}


def _baseline(
    rows: Mapping[str, Mapping[str, object]], metric: Metric, asked: str | None
) -> str | None:
    """Return the method asked for, else the best linear one, which is in its favour."""
    if asked is not None:
        return asked if asked in rows and rows[asked]["status"] == "ok" else None
    done = {name: row for name, row in rows.items() if row["status"] == "ok"}
    linear = {name: row["mean"] for name, row in done.items() if row["role"] == "linear"}
    if not linear:
        others = [name for name, row in done.items() if row["role"] in COMPETING]
        return others[0] if others else None
    best = max if metric.higher_is_better else min
    return best(linear, key=lambda name: linear[name])  # type: ignore[arg-type, return-value]


def _outcome(row: object, metric: Metric, margin: float) -> str:
    """Return what the comparison with the baseline says, after Holm's correction."""
    status, low, high = row.status, row.low, row.high  # type: ignore[attr-defined]
    if status in FAILED:
        return "failed"
    if not np.isfinite(row.p_holm):  # type: ignore[attr-defined]
        return ""
    gain = row.difference if metric.higher_is_better else -row.difference  # type: ignore[attr-defined]
    sure = row.p_holm < LEVEL  # type: ignore[attr-defined]
    if sure and abs(gain) > margin:
        return "win" if gain > 0 else "loss"
    return "tie" if sure or (low >= -margin and high <= margin) else "unclear"
