"""Metrics of held-out rows: names, directions, meanings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Metric:
    """Name, direction and meaning of a metric.

    Parameters
    ----------
    name : str
        Name in frames.
    label : str
        Name in tables.
    about : str, default=""
        Its meaning, for the reader of the report.
    higher_is_better : bool, default=True
        Direction.
    percent : bool, default=False
        Whether tables show a hundred times the value.
    theme : str, default="own"
        The question that it answers; each theme of a task gets a verdict, ``"cost"`` gets none.
    chance : {"exact", "at most"} or None, default=None
        Where it must be for the control: at chance, or not above it. None: it is not checked.
    margin : float, default=0.0
        The smallest difference that matters.
    digits : int, default=3
        Digits behind the point in tables.
    unit : str, default=""
        The unit, written behind a value.
    function : callable, default=None
        For metrics of your own: called as ``function(estimator, X, y)`` with held-out rows, like
        a scorer of scikit-learn.
    version : int, default=1
        Raise it when the metric changes, so that stored results are not taken for new ones.

    Examples
    --------
    >>> from skmm.benchmark import Metric
    >>> Metric("foscttm", "FOSCTTM", higher_is_better=False).text(0.25)
    '0.250'
    """

    name: str
    label: str
    about: str = ""
    higher_is_better: bool = True
    percent: bool = False
    theme: str = "own"
    chance: str | None = None
    margin: float = 0.0
    digits: int = 3
    unit: str = ""
    function: Callable[..., float] | None = None
    version: int = 1

    def text(self, value: float, *, sign: bool = False) -> str:
        """Write a value, in percent where that is usual.

        Parameters
        ----------
        value : float
            The value.
        sign : bool, default=False
            Whether a positive one gets a plus sign.

        Returns
        -------
        text : str
        """
        if not np.isfinite(value):
            return "–"
        digits = self.digits
        if self.theme == "cost":
            digits = 0 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
        rounded = round(100 * value if self.percent else value, digits) + 0.0  # no negative zero
        return f"{rounded:{'+' if sign and rounded else ''},.{digits}f}".replace("-", "−")

    @property
    def after(self) -> str:
        """The unit or percent sign behind a value."""
        unit = "%" if self.percent else self.unit
        return f"{NO_BREAK}{unit}" if unit else ""

    @property
    def header(self) -> str:
        """Label and unit, for the head of a column."""
        unit = "%" if self.percent else self.unit
        return f"{self.label}, {unit}" if unit else self.label


_unit = partial(Metric, margin=0.005)  # of metrics between 0 and 1, and log loss
_share = partial(_unit, percent=True, digits=1)
_cost = partial(Metric, higher_is_better=False, theme="cost")
_ALL = (
    Metric(
        "total_correlation",
        "total correlation",
        "correlation of the modalities' codes on held-out rows, along axes fixed in training, "
        "summed over components: at most the number of components, 0 for unrelated codes",
        theme="alignment",
        chance="exact",
        margin=0.05,
        digits=2,
    ),
    _share(
        "recall_at_1",
        "recall at 1",
        "how often the nearest code of the other modality is that of the same sample",
        theme="retrieval",
        chance="exact",
    ),
    _share(
        "recall_at_10",
        "recall at 10",
        "how often the same sample is among the ten nearest",
        theme="retrieval",
        chance="exact",
    ),
    _unit(
        "mean_reciprocal_rank",
        "MRR",
        "mean reciprocal rank: the mean of 1 / rank of the same sample",
        theme="retrieval",
        chance="exact",
    ),
    _unit(
        "foscttm",
        "FOSCTTM",
        "fraction of samples closer than the true match: 0 is perfect, 0.5 is chance",
        higher_is_better=False,
        theme="retrieval",
        chance="exact",
    ),
    _unit(
        "mean_average_precision",
        "mAP",
        "mean average precision of retrieving samples with the same label from the other modality",
        # No chance: codes in clusters gain more from luck than they lose.
        theme="retrieval",
    ),
    _share(
        "probe_accuracy",
        "probe accuracy",
        "held-out accuracy of a logistic regression on the fused, standardised representation; "
        "raw data keep every column, the other methods as many as there are components",
        theme="fusion",
    ),
    _unit(
        "energy_skill",
        "energy skill",
        "1 less the energy score of draws of the target over that of draws which ignore the "
        "condition: 0 is no better than those, 1 is perfect",
        theme="transfer",
        chance="at most",
    ),
    _unit(
        "r2",
        "R²",
        "variance-weighted R² of the predicted target relative to the mean of the training rows",
        theme="prediction",
        chance="at most",
    ),
    Metric(
        "interval_error",
        "interval error",
        "distance of the coverage of central 80 % intervals from 80 %, mean over columns",
        higher_is_better=False,
        percent=True,
        theme="calibration",
        margin=0.01,
        digits=1,
    ),
    _share(
        "accuracy",
        "accuracy",
        "held-out accuracy",
        theme="classification",
        chance="at most",
    ),
    _share(
        "balanced_accuracy",
        "balanced accuracy",
        "mean over the classes of the share that is recognised",
        theme="classification",
        chance="exact",
    ),
    _unit(
        "log_loss",
        "log loss",
        "mean negative logarithm of the probability given to the true class",
        higher_is_better=False,
        theme="probabilities",
    ),
    Metric(
        "log_likelihood",
        "log-likelihood",
        "mean `score_samples` of held-out rows in nats, in the units of the data; compared within "
        "one family of likelihoods only",
        theme="likelihood",
        margin=0.05,
        digits=2,
    ),
    _cost(
        "fit_seconds",
        "fit time",
        "seconds to fit, scaling and tuning included",
        unit="s",
    ),
    _cost(
        "predict_seconds",
        "prediction time",
        "seconds to encode, predict or draw 100 times for the held-out rows",
        unit="s",
    ),
    _cost(
        "parameters",
        "parameters",
        "weights of the networks; of other estimators the floating-point numbers that they keep",
    ),
    _cost(
        "peak_memory",
        "peak memory",
        "by how much fit and prediction raise the memory of a fresh process (`isolate=True`)",
        unit="MiB",
    ),
    _cost(
        "cuda_memory",
        "CUDA memory",
        "peak memory of the graphics card during fit and prediction",
        unit="MiB",
    ),
)
METRICS = {metric.name: metric for metric in _ALL}
COSTS = tuple(metric.name for metric in _ALL if metric.theme == "cost")


def find_metrics(asked: Mapping[str, Any] | Iterable[Any]) -> dict[str, Metric]:
    """Return metrics by name from names, metrics of one's own, or a dict of functions."""
    if isinstance(asked, str):
        raise TypeError(f"metrics={asked!r} must be a list of names, not one name.")
    pairs = asked.items() if isinstance(asked, Mapping) else ((None, one) for one in asked)
    found = [_find(name, one) for name, one in pairs]
    return {metric.name: metric for metric in found}


def _find(name: str | None, one: Any) -> Metric:
    if isinstance(one, Metric):
        if one.function is None and one.name not in METRICS:
            raise ValueError(f"The metric {one.name!r} is not built in: give it a function.")
        return one
    if isinstance(one, str) and one in METRICS:
        return METRICS[one]
    if name is not None and callable(one):
        return Metric(name, name.replace("_", " "), function=one)
    raise ValueError(
        f"{one!r} is not a metric: give a name out of {list(METRICS)}, a Metric, or a dict from "
        "names to functions of (estimator, X, y)."
    )
