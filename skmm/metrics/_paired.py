"""The mean of values over random splits, whose training sets overlap (Nadeau & Bengio 2003)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special


@dataclass(frozen=True)
class CorrectedMean:
    """The mean of one value per split, with an error that the overlap of training sets corrects.

    Independent values would have the squared error ``variance / n``. Rows that several training
    sets share make the values alike, which the ratio of test to training rows makes up for.

    Attributes
    ----------
    n : int
        Number of splits.
    mean : float or ndarray
        Mean over the splits; NaN without any.
    error : float or ndarray
        ``sqrt((1 / n + test_to_train) * variance)``; NaN for fewer than two splits.
    """

    n: int
    mean: Any
    error: Any

    @classmethod
    def of(cls, values: ArrayLike, test_to_train: float) -> CorrectedMean:
        """Take the mean of values (n_splits, ...) over the splits."""
        values = np.asarray(values, dtype=float)
        n = len(values)
        nothing = np.nan * values.sum(axis=0)
        mean = values.mean(axis=0) if n else nothing
        if n < 2:
            return cls(n, mean, nothing)
        return cls(n, mean, np.sqrt((1 / n + test_to_train) * values.var(axis=0, ddof=1)))

    def interval(self, confidence: float = 0.95) -> tuple[Any, Any]:
        """Return the ends of the t interval."""
        reach = special.stdtrit(max(self.n - 1, 1), (1 + confidence) / 2) * self.error
        return self.mean - reach, self.mean + reach

    def p_value(self) -> float:
        """Return the p-value of the two-sided t test of a mean of 0."""
        if self.n < 2:
            return np.nan
        if self.error == 0:
            return float(self.mean == 0)
        return float(2 * special.stdtr(self.n - 1, -abs(self.mean) / self.error))
