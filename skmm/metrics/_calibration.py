"""Whether draws scatter as the targets do: coverage of intervals, and spread against error."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import column_or_1d

from skmm._modalities._ids import warn_of_other_rows
from skmm.metrics._draws import (
    check_draws,
    check_multioutput,
    check_positive,
    over_columns,
    row_batches,
)

Array = np.ndarray


def interval_coverage(
    y_true: ArrayLike,
    samples: ArrayLike,
    *,
    level: float = 0.9,
    multioutput: str = "uniform_average",
) -> float | Array:
    """Compute how often a target lies in the central interval of its draws.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, ...)
        Targets. 1-D is one column; more than two axes are flattened.
    samples : array-like of shape (n_draws, n_samples, ...)
        Draws for each row, at least ``2 / (1 - level) - 1`` of them: 19 for the default.
    level : float, default=0.9
        Nominal coverage. The interval leaves out half of the rest on either side.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Mean over the columns, or an array with the coverage of each.

    Returns
    -------
    coverage : float, or ndarray of shape (n_columns,)
        Share of rows, to be compared with `level`: less means that draws spread too little or in
        the wrong place, more that they spread too much.

    Raises
    ------
    ValueError
        If shapes do not fit, there are too few draws for the level, a value is not finite, `level`
        is not in (0, 1), or `multioutput` is unknown.

    See Also
    --------
    coverage_per_group : Coverage where the condition is low, high, or of some class.

    Notes
    -----
    Of m draws the k-th smallest is the quantile of level k / (m + 1) (``method="weibull"`` of
    :func:`numpy.quantile`). A target from the distribution of the draws lies below it with just
    that probability, whatever the distribution. Coverage is therefore `level` exactly where
    ``(1 - level) / 2 * (m + 1)`` is whole, and within 1 / (m + 1) of it elsewhere. Tied values, as
    of counts, raise it, since the ends of the interval belong to it.

    References
    ----------
    R. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The American Statistician 50
    (1996), definition 6.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.metrics import interval_coverage
    >>> samples = np.arange(1.0, 20.0)[:, None].repeat(4, axis=1)
    >>> interval_coverage([0.0, 1.5, 7.0, 18.5], samples)
    0.75
    """
    check_multioutput(multioutput)
    return over_columns(_inside(y_true, samples, level).mean(axis=0), multioutput)


def coverage_per_group(
    y_true: ArrayLike,
    samples: ArrayLike,
    groups: ArrayLike,
    *,
    level: float = 0.9,
    multioutput: str = "uniform_average",
) -> dict[Any, float | Array]:
    """Compute the coverage of central intervals in each group of rows.

    Too narrow intervals in one region can make up for too wide ones in another. Groups by the
    condition, such as its deciles, show it.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, ...)
        Targets. 1-D is one column; more than two axes are flattened.
    samples : array-like of shape (n_draws, n_samples, ...)
        Draws for each row, as for :func:`interval_coverage`.
    groups : array-like of shape (n_samples,)
        The group of each row: a class, or a number as ``pandas.qcut(x, 10, labels=False)`` gives.
    level : float, default=0.9
        Nominal coverage.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Mean over the columns, or an array with the coverage of each.

    Returns
    -------
    coverages : dict
        From group, in sorted order, to its coverage as :func:`interval_coverage` gives it.

    Raises
    ------
    ValueError
        As :func:`interval_coverage`, or if `groups` has gaps or another number of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.metrics import coverage_per_group
    >>> samples = np.arange(1.0, 20.0)[:, None].repeat(4, axis=1)
    >>> coverage_per_group([0.0, 1.5, 7.0, 18.5], samples, ["low", "low", "high", "high"])
    {'high': 1.0, 'low': 0.5}
    """
    check_multioutput(multioutput)
    warn_of_other_rows(y_true, of="y_true", groups=groups)
    inside = _inside(y_true, samples, level)
    labels: Array = column_or_1d(groups)
    if len(labels) != len(inside):
        raise ValueError(f"groups has {len(labels)} entries, but y_true has {len(inside)} rows.")
    if gaps := int(np.sum(pd.isna(labels))):
        raise ValueError(f"groups has no label in {gaps} rows: drop them, or label them.")
    names, of_row = np.unique(labels, return_inverse=True)
    return {
        name: over_columns(inside[of_row == number].mean(axis=0), multioutput)
        for number, name in enumerate(names.tolist())
    }


def spread_error_ratio(
    y_true: ArrayLike, samples: ArrayLike, *, multioutput: str = "uniform_average"
) -> float | Array:
    """Compute the spread of draws relative to the error of their mean; 1 is right.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, ...)
        Targets. 1-D is one column; more than two axes are flattened.
    samples : array-like of shape (n_draws, n_samples, ...)
        Two draws or more for each row, independent given the condition.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Mean over the columns, or an array with the ratio of each.

    Returns
    -------
    ratio : float, or ndarray of shape (n_columns,)
        Root of the mean over rows of the unbiased variance of the draws, times (m + 1) / m for m
        draws, over the root mean squared error of their mean. Below 1 the draws spread too little
        for the error. Of a column without error 1 if its draws do not spread, else infinity.

    Raises
    ------
    ValueError
        If shapes do not fit, there are fewer than two draws, a value is not finite, or
        `multioutput` is unknown.

    Notes
    -----
    The mean of m draws errs by the variance of the target plus 1/m of that of the draws, hence
    the factor. A ratio of 1 is necessary for calibration but not enough: it is an average over the
    rows, and it knows nothing of shape.

    References
    ----------
    V. Fortin, M. Abaza, F. Anctil and R. Turcotte, "Why should ensemble spread match the RMSE of
    the ensemble mean?", Journal of Hydrometeorology 15 (2014), pages 1708-1713.

    Examples
    --------
    >>> from skmm.metrics import spread_error_ratio
    >>> spread_error_ratio([0.0, 3.0], [[0.0, 0.0], [2.0, 2.0]])
    1.095...
    """
    check_multioutput(multioutput)
    y, draws = check_draws(y_true, samples)
    variance, error = np.zeros(y.shape[1]), np.zeros(y.shape[1])
    for rows, part in row_batches(draws):
        variance += part.var(axis=0, ddof=1).sum(axis=0)
        error += np.square(part.mean(axis=0) - y[rows]).sum(axis=0)
    spread = variance * (len(draws) + 1) / len(draws)
    exact = np.where(spread > 0, np.inf, 1.0)
    ratio = np.sqrt(np.divide(spread, error, out=exact, where=error > 0))
    return over_columns(ratio, multioutput)


def _inside(y_true: ArrayLike, samples: ArrayLike, level: float) -> Array:
    """Return which values (n, d) lie in the central interval of their draws."""
    level = check_positive(level, "level", below=1.0)
    y, draws = check_draws(y_true, samples)
    tail = (1.0 - level) / 2
    if (len(draws) + 1) * tail < 1 - 1e-9:
        raise ValueError(
            f"level={level!r} needs {int(np.ceil(1 / tail - 1 - 1e-9))} draws or more, but samples "
            f"has {len(draws)}: no interval between draws is wide enough."
        )
    inside = np.empty(y.shape, dtype=bool)
    for rows, part in row_batches(draws):
        low, high = np.quantile(part, [tail, 1.0 - tail], axis=0, method="weibull")
        inside[rows] = (low <= y[rows]) & (y[rows] <= high)
    return inside
