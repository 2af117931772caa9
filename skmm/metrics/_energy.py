"""Proper scoring rules of draws: energy score and skill, CRPS, variogram score."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist, pdist

from skmm._modalities._chunks import SMALL, row_chunks
from skmm._modalities._columns import ColumnStatistics
from skmm._random import Seed, check_random_state
from skmm.metrics._check import check_flag, check_numbers
from skmm.metrics._draws import (
    OF_ANY_RANK,
    check_draws,
    check_multioutput,
    check_positive,
    check_targets,
    over_columns,
    row_batches,
)

Array = np.ndarray
N_TRAIN = 2000  # training rows that stand for the marginal


def energy_score(
    y_true: ArrayLike, samples: ArrayLike, *, scale: ArrayLike | None = None, per_row: bool = False
) -> float | Array:
    """Compute the energy score of draws; lower is better.

    For a row the mean distance of the draws to the target, less half the mean distance between
    two different draws. In expectation no sampler scores lower than the true conditional
    distribution. It judges all columns together.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, ...)
        Targets. 1-D is one column; more than two axes are flattened.
    samples : array-like of shape (n_draws, n_samples, ...)
        Two draws or more for each row, independent given the condition.
    scale : array-like broadcastable to one row of `y_true`, default=None
        Divisors of the columns before distances are taken, such as their standard
        deviations in training. None leaves them as they are: large units then dominate.
    per_row : bool, default=False
        Whether to return the score of each row instead of the mean.

    Returns
    -------
    score : float, or ndarray of shape (n_samples,)
        In units of the (scaled) targets. Unbiased, so that it does not depend on the number of
        draws in expectation; a single row's may be negative.

    Raises
    ------
    ValueError
        If shapes do not fit, there are fewer than two draws, a value is not finite, or `scale` is
        not positive.

    See Also
    --------
    energy_skill : Relative to the marginal distribution.

    References
    ----------
    T. Gneiting and A. Raftery, "Strictly proper scoring rules, prediction, and estimation",
    Journal of the American Statistical Association 102 (2007), equation (22).

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.metrics import energy_score
    >>> y_true = np.array([[0.0, 0.0], [3.0, 4.0]])
    >>> samples = np.array([[[3.0, 4.0], [3.0, 4.0]], [[0.0, 0.0], [3.0, 4.0]]])
    >>> energy_score(y_true, samples, per_row=True)
    array([0., 0.])
    >>> energy_score(y_true, [y_true + [3.0, 4.0], y_true + [3.0, 4.0]])
    5.0
    """
    check_flag("per_row", per_row)
    y, draws = check_draws(y_true, samples)
    if scale is not None:
        units = _units(scale, np.shape(y_true)[1:])
        y, draws = y / units, draws / units
    scores = energy_scores(y, draws)
    return scores if per_row else float(scores.mean())


def energy_skill(
    y_true: ArrayLike, samples: ArrayLike, y_train: ArrayLike, *, random_state: Seed = None
) -> float:
    """Compute by how much draws beat the marginal distribution; 1 is best, 0 no better.

    One less the energy score of the draws over that of the training targets taken as draws
    whatever the condition. Both scores are averaged before the ratio is taken.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, ...)
        Held-out targets. 1-D is one column; more than two axes are flattened.
    samples : array-like of shape (n_draws, n_samples, ...)
        Two draws or more for each row, independent given the condition.
    y_train : array-like of shape (n_train, ...)
        Training targets. Columns are divided by their standard deviation here; columns that are
        constant here do not count.
    random_state : int, RandomState instance or None, default=None
        Chooses the 2000 training rows that stand for the marginal, where there are more.

    Returns
    -------
    skill : float
        At most 1 in expectation, and 1 only where the condition determines the target. Below 0 it
        would be better to ignore the condition.

    Raises
    ------
    ValueError
        If shapes do not fit, there are fewer than two draws or training rows, a value is not
        finite, or all columns are constant in training.

    Notes
    -----
    The marginal's score is exact given its training rows: the mean distance to all of them, less
    half the mean distance between two different ones. Draws cost no noise there.

    References
    ----------
    T. Gneiting and A. Raftery, "Strictly proper scoring rules, prediction, and estimation",
    Journal of the American Statistical Association 102 (2007), equation (22) and section 2.3
    (skill scores).

    Examples
    --------
    >>> from skmm.datasets import make_conditional
    >>> from skmm.metrics import energy_skill
    >>> simulated = make_conditional("branches", 400, random_state=0)
    >>> X, y = simulated.data["X"], simulated.target
    >>> draws = simulated.sample_conditional(X[200:], 50, random_state=0)
    >>> 0.3 < energy_skill(y[200:], draws, y[:200]) < 0.5
    True
    >>> abs(energy_skill(y[200:], y[:200, None].repeat(200, axis=1), y[:200])) < 1e-9
    True
    """
    y, draws = check_draws(y_true, samples)
    train = check_targets(y_train, "y_train", at_least=2)
    if train.shape[1] != y.shape[1]:
        raise ValueError(
            f"y_train has {train.shape[1]} columns and y_true has {y.shape[1]}: pass one target "
            "in both."
        )
    units = train.std(axis=0)
    # Quotients by less than the smallest normal number would overflow.
    varies = ColumnStatistics.of(train).varies & (units > np.finfo(np.float64).tiny)
    if not varies.any():
        raise ValueError("y_train is constant in every column: there is nothing to predict.")
    y, draws, train = (values[..., varies] / units[varies] for values in (y, draws, train))
    if len(train) > N_TRAIN:
        train = train[check_random_state(random_state).permutation(len(train))[:N_TRAIN]]
    marginal = float(marginal_scores(y, train).mean())
    if marginal <= 0:
        raise ValueError(
            f"The energy score of the {len(train)} training rows is {marginal:.3g}, not positive: "
            "pass more training rows, or more rows in y_true."
        )
    return 1.0 - float(energy_scores(y, draws).mean()) / marginal


def crps(
    y_true: ArrayLike, samples: ArrayLike, *, multioutput: str = "uniform_average"
) -> float | Array:
    """Compute the continuous ranked probability score of draws; lower is better.

    The energy score of each column on its own: it does not see how columns depend on each other.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, ...)
        Targets. 1-D is one column; more than two axes are flattened.
    samples : array-like of shape (n_draws, n_samples, ...)
        Two draws or more for each row, independent given the condition.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Mean over the columns, or an array with the score of each.

    Returns
    -------
    score : float, or ndarray of shape (n_columns,)
        Mean over the rows, in units of the targets. Unbiased: in expectation it does not depend
        on the number of draws.

    Raises
    ------
    ValueError
        If shapes do not fit, there are fewer than two draws, a value is not finite, or
        `multioutput` is unknown.

    References
    ----------
    T. Gneiting and A. Raftery, "Strictly proper scoring rules, prediction, and estimation",
    Journal of the American Statistical Association 102 (2007), equation (21).

    Examples
    --------
    >>> from skmm.metrics import crps
    >>> crps([1.0], [[0.0], [4.0]])
    0.0
    >>> crps([[1.0, 0.0]], [[[0.0, 1.0]], [[4.0, 1.0]]], multioutput="raw_values")
    array([0., 1.])
    """
    check_multioutput(multioutput)
    scores = _crps(*check_draws(y_true, samples))
    return over_columns(scores.mean(axis=0), multioutput)


def variogram_score(
    y_true: ArrayLike,
    samples: ArrayLike,
    *,
    p: float = 0.5,
    weights: ArrayLike | None = None,
    per_row: bool = False,
) -> float | Array:
    r"""Compute the variogram score of draws; lower is better.

    The differences between the columns of a target are compared with their expectation over the
    draws: :math:`\sum_{ij} w_{ij} (|y_i - y_j|^p - E|x_i - x_j|^p)^2`. It notices wrong
    dependence between columns more readily than the energy score, and it is blind to a shift that
    all columns share.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, ...)
        Targets of two columns or more; more than two axes are flattened. Columns should have
        comparable units.
    samples : array-like of shape (n_draws, n_samples, ...)
        Two draws or more for each row, independent given the condition.
    p : float, default=0.5
        Order of the variogram.
    weights : array-like of shape (n_columns, n_columns), default=None
        Non-negative weight of each pair of columns, both orders counting. None gives each the
        weight 1.
    per_row : bool, default=False
        Whether to return the score of each row instead of the mean.

    Returns
    -------
    score : float, or ndarray of shape (n_samples,)
        At least 0. A finite number m of draws adds a term of order 1/m: compare samplers with
        equal numbers of draws.

    Raises
    ------
    ValueError
        If shapes do not fit, there are fewer than two draws or columns, a value is not finite,
        `p` is not positive, or `weights` are not finite, non-negative and somewhere positive.

    Notes
    -----
    Time is quadratic in the number of columns.

    References
    ----------
    M. Scheuerer and T. Hamill, "Variogram-based proper scoring rules for probabilistic forecasts
    of multivariate quantities", Monthly Weather Review 143 (2015), pages 1321-1334.

    Examples
    --------
    >>> from skmm.metrics import variogram_score
    >>> variogram_score([[0.0, 1.0]], [[[5.0, 6.0]], [[2.0, 1.0]]], p=1)
    0.0
    >>> variogram_score([[0.0, 1.0]], [[[5.0, 5.0]], [[2.0, 2.0]]], p=1)
    2.0
    """
    p = check_positive(p, "p")
    check_flag("per_row", per_row)
    y, draws = check_draws(y_true, samples)
    both = _pair_weights(weights, y.shape[1])
    scores = np.zeros(len(y))
    with np.errstate(over="ignore", invalid="ignore"):
        for rows, part in row_batches(draws):
            for i in range(y.shape[1] - 1):
                expected = (np.abs(part[..., i + 1 :] - part[..., i, None]) ** p).mean(axis=0)
                observed = np.abs(y[rows, i + 1 :] - y[rows, i, None]) ** p
                scores[rows] += (observed - expected) ** 2 @ both[i, i + 1 :]
    if not np.isfinite(scores).all():
        raise ValueError(f"p={p!r} makes powers of these values too large: lower it.")
    return scores if per_row else float(scores.mean())


def energy_scores(y: Array, draws: Array) -> Array:
    """Return the energy score (n,) of each row, for checked targets (n, d), draws (m, n, d)."""
    if y.shape[1] == 1:
        return _crps(y, draws)[:, 0]
    scores = np.empty(len(y))
    for i, target in enumerate(y):  # differences, not squares, so that offsets cost no digits
        own = draws[:, i]
        scores[i] = cdist(own, target[None]).mean() - pdist(own).mean() / 2
    return scores


def marginal_scores(y: Array, reference: Array) -> Array:
    """Return the energy score (n,) of each row if reference rows (r, d) are the draws of all."""
    return mean_distances(y, reference) - mean_pair_distance(reference) / 2


def mean_distances(a: Array, b: Array) -> Array:
    """Return the mean distance of each row of `a` to the rows of `b`."""
    means = np.empty(len(a))
    for rows in row_chunks(len(a), len(b), SMALL):
        means[rows] = cdist(a[rows], b).mean(axis=1)
    return means


def mean_pair_distance(a: Array) -> float:
    """Return the mean distance between two different rows."""
    total = 0.0
    for rows in row_chunks(len(a), len(a), SMALL):
        total += float(pdist(a[rows]).sum() + cdist(a[rows], a[rows.stop :]).sum())
    return total / (len(a) * (len(a) - 1) / 2)


def _crps(y: Array, draws: Array) -> Array:
    """Return the score (n, d) of each value, by sorting instead of by pairs of draws."""
    m, scores = len(draws), np.empty(y.shape)
    ranks = (2.0 * np.arange(m) - (m - 1)) / (m * (m - 1))  # how often larger less smaller of two
    for rows, part in row_batches(draws):
        errors = np.sort(part - y[rows], axis=0)
        scores[rows] = np.abs(errors).mean(axis=0) - np.tensordot(ranks, errors, axes=1)
    return scores


def _units(scale: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return one positive number for each column."""
    units = check_numbers(scale, "scale", ensure_all_finite=False, **OF_ANY_RANK).astype(
        np.float64, copy=False
    )
    if not (np.isfinite(units) & (units > 0)).all():
        raise ValueError(f"scale must be positive and finite, got {scale!r}.")
    try:
        return np.broadcast_to(units, shape).reshape(-1)
    except ValueError:
        raise ValueError(
            f"scale has shape {units.shape}; it must fit rows of y_true, of shape {shape}."
        ) from None


def _pair_weights(weights: ArrayLike | None, d: int) -> Array:
    """Return weights (d, d) of pairs of columns, both orders added."""
    if d < 2:
        raise ValueError(f"y_true has {d} column; 2 or more are needed.")
    w = (
        np.ones((d, d))
        if weights is None
        else check_numbers(weights, "weights", ensure_all_finite=False, **OF_ANY_RANK).astype(float)
    )
    if w.shape != (d, d):
        raise ValueError(f"weights has shape {w.shape}; it must be ({d}, {d}).")
    if not (np.isfinite(w).all() and (w >= 0).all() and w.any()):
        raise ValueError(
            f"weights must be finite and non-negative, and not all zero; got {weights!r}."
        )
    return w + w.T
