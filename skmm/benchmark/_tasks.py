"""Tasks: data, labels, the number of components; and the suites that are made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from skmm._modalities import Modalities
from skmm.benchmark._metrics import METRICS
from skmm.datasets import fetch_mfeat, fetch_wikipedia, load_digits_halves

_USUAL = tuple(name for name in METRICS if name != "mean_average_precision")
_THEMES = ("alignment", "retrieval", "fusion")
# Where several metrics answer one question, the first of these speaks for them.
_BY_RANK = ("total_correlation", "mean_average_precision", "recall_at_10", "probe_accuracy")


@dataclass(frozen=True)
class Task:
    """Data on which methods are compared.

    Parameters
    ----------
    name : str
        Name in tables.
    X : Modalities
        The data: two or more modalities.
    y : ndarray of shape (n_samples,), default=None
        Class labels, for the metrics that need them. Methods are fitted without them.
    n_components : int, default=10
        Number of components of every method that has components.
    standardize : bool, default=True
        Whether the columns of a modality have different units, see :class:`BlockScaler`.
    description : str, default=""
        One or two sentences for the reader of the report.
    metrics : tuple of str, default=None
        Which metrics are computed. None takes all but ``"mean_average_precision"``.

    Raises
    ------
    ValueError
        If a metric is unknown.

    Examples
    --------
    >>> from skmm.benchmark import Task
    >>> from skmm.datasets import load_digits_halves
    >>> X, y = load_digits_halves(return_X_y=True)
    >>> Task("digits halves", X, y, n_components=5).n_components
    5
    """

    name: str
    X: Modalities
    y: np.ndarray | None = None
    n_components: int = 10
    standardize: bool = True
    description: str = ""
    metrics: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if unknown := [name for name in self.measured if name not in METRICS]:
            raise ValueError(
                f"Task {self.name!r} has unknown metrics {unknown}; valid are {list(METRICS)}."
            )

    @property
    def measured(self) -> tuple[str, ...]:
        """The metrics that are computed."""
        return _USUAL if self.metrics is None else tuple(self.metrics)

    @property
    def headline(self) -> tuple[str, ...]:
        """The metrics that get a verdict: one each for alignment, retrieval and fusion."""
        first = {METRICS[name].theme: name for name in reversed(_BY_RANK) if name in self.measured}
        return tuple(first[theme] for theme in _THEMES if theme in first)


@dataclass(frozen=True)
class Source:
    """How to get a task of a suite."""

    name: str
    summary: str
    load: Callable[[], Task]


def load_suite(suite: str) -> tuple[list[Task], dict[str, str]]:
    """Return the tasks of a suite whose files are there, and why others are left out.

    Nothing is downloaded.
    """
    tasks, absent = [], {}
    for source in find_suite(suite):
        try:
            tasks.append(source.load())
        except FileNotFoundError:
            absent[source.name] = (
                "its files are not on this machine. Set the environment variable SKMM_DATA to "
                f"the folder of the data, or let skmm.datasets download them ({source.summary})."
            )
    return tasks, absent


def find_suite(suite: str) -> tuple[Source, ...]:
    """Return the sources of a suite, or say which suites there are."""
    if suite not in SUITES:
        raise ValueError(f"suite={suite!r} is unknown; valid suites are {list(SUITES)}.")
    return SUITES[suite]


def _digits() -> Task:
    X, y = _read(load_digits_halves)
    return Task(
        "digits halves",
        X,
        y,
        n_components=10,
        standardize=False,
        description=(
            "1797 handwritten digits of 8 × 8 pixels, cut down the middle: the left half and the "
            "right half are the two modalities. Labels: the ten digits."
        ),
    )


def _mfeat() -> Task:
    X, y = _read(fetch_mfeat, download_if_missing=False)
    return Task(
        "mfeat",
        X.select(["fac", "fou", "kar", "pix", "zer"]),
        y,
        n_components=10,
        description=(
            "2000 handwritten digits described in five ways: profile correlations, Fourier, "
            "Karhunen-Loève, pixel averages and Zernike moments. Alignment figures are means over "
            "the ten pairs of modalities. Labels: the ten digits."
        ),
    )


def _wikipedia() -> Task:
    X, y = _read(fetch_wikipedia, download_if_missing=False)
    return Task(
        "Wikipedia",
        X,
        y,
        n_components=7,
        standardize=False,
        description=(
            "2866 pairs of an image (128 visual words) and a text (10 topics) from Wikipedia's "
            "featured articles. Labels: ten categories. Random splits of all pairs, not the "
            "published split."
        ),
        metrics=tuple(METRICS),
    )


def _read(loader: Callable[..., Any], **options: Any) -> tuple[Modalities, np.ndarray]:
    X, y = loader(return_X_y=True, **options)
    return X, y


SUITES: dict[str, tuple[Source, ...]] = {
    "quick": (
        Source("digits halves", "two halves of small images, bundled", _digits),
        Source("mfeat", "five descriptions of handwritten digits, local files", _mfeat),
        Source("Wikipedia", "images and texts, local files", _wikipedia),
    )
}
