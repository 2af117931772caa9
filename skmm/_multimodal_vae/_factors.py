"""Group factor analysis beside the network: together they are a mixture of two densities."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning

from skmm._deep._split import Split
from skmm._group_factor_analysis import GroupFactorAnalysis
from skmm._modalities import Modalities, missing_mask, with_values
from skmm._modalities._stream import is_streamed, row_slices

Array = np.ndarray
KINDS = ("numeric", "image")
LARGEST = 2**22  # values of the training rows; beyond it factors would take longer than networks


@dataclass(frozen=True)
class Factors:
    """Factor analysis, and the share of the network in the mixture of both densities.

    Attributes
    ----------
    model : GroupFactorAnalysis
        Fitted to all rows.
    share : float
        In [0, 1].
    """

    model: Any
    share: float

    def log_density(self, X: Modalities) -> Array:
        """Return the log-density (n,) of what rows have by factor analysis."""
        found, there = np.zeros(len(X)), ~missing_mask(X).all(axis=1)
        for part in row_slices(X) if is_streamed(X) else [slice(None)]:
            numbers = np.arange(len(X))[part]
            rows = numbers[np.asarray(there)[numbers]]
            if len(rows):
                found[rows] = self.model.score_samples(_as_numbers(X[rows]))
        return found

    def mixed(self, X: Modalities, network: Array) -> Array:
        """Return the log-density (n,) of the mixture, given that of the network."""
        logs = _log([1.0 - self.share, self.share])
        return np.logaddexp(logs[0] + self.log_density(X), logs[1] + network)

    def responsibility(self, X: Modalities, network: Array) -> Array:
        """Return the probability (n,) that rows are of the network, given its log-density."""
        logs = _log([1.0 - self.share, self.share])
        return expit(logs[1] + network - logs[0] - self.log_density(X))

    def draw(self, n_samples: int, rng: np.random.RandomState) -> dict[str, Array]:
        """Draw rows."""
        drawn = self.model.sample(n_samples, random_state=rng)
        return {name: np.array(values) for name, values in drawn.items()}

    def draw_given(self, X: Modalities, rng: np.random.RandomState) -> dict[str, Array]:
        """Return rows of which what they lack is drawn given what they have."""
        there = ~missing_mask(X).all(axis=1)
        found = self.draw(len(X), rng)
        if there.any():
            given = _as_numbers(X[there])
            (drawn,) = self.model.sample(1, given=given, random_state=rng)
            for name, values in found.items():
                values[there] = drawn[name]
        return found


def _log(shares: Sequence[float]) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(shares)


def is_normal(X: Modalities, likelihoods: Mapping[str, str]) -> bool:
    """Whether all modalities are numbers with normal likelihoods, and few enough."""
    size = sum(int(np.prod(value.shape, dtype=int)) for value in X.values())
    return (
        not is_streamed(X)
        and set(X.kinds.values()) <= set(KINDS)
        and set(likelihoods.values()) == {"gaussian"}
        and size <= LARGEST
    )


def fit_factors(X: Modalities, split: Split | None, seed: int) -> Any:
    """Fit factor analysis to all rows, or to the training rows of a split."""
    X = X if split is None else X[split.train]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GroupFactorAnalysis(random_state=seed).fit(_as_numbers(X))


def _as_numbers(X: Modalities) -> Modalities:
    """Return images as rows of numbers."""
    values = {name: np.asarray(value).reshape(len(X), -1) for name, value in X.items()}
    return with_values(X, values, kinds=dict.fromkeys(X.names, "numeric"))
