"""Labels and rare values of the training targets that the draws of a ConditionalGAN lose."""

from __future__ import annotations

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skmm._base import warn_caller

Array = np.ndarray
RARE = 10.0  # kurtosis above which rare values make most of the spread of a column
DISTANCE = 0.1  # total variation between labels drawn and in training
SPREAD = 0.25  # relative difference of standard deviations
N_NAMED = 5  # labels or columns in a warning


def marginal_ratios(truth: Array, draws: Array, of_labels: bool) -> Array:
    """Return the standard deviation of each column of draws over that of the truth.

    Of indicators of labels, the frequency of each label in the draws over that in the truth. Draws
    are (n, m, width), the truth is (n, width).
    """
    parts = (draws.mean(axis=(0, 1)), truth.mean(axis=0))
    if not of_labels:
        parts = (draws.std(axis=(0, 1)), truth.std(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.divide(*parts)


def are_labels_lost(truth: Array, draws: Array) -> bool:
    """Whether frequencies differ by more than chance in the rows explains."""
    p, n = truth.mean(axis=0), len(truth)  # (width,)
    # The frequencies of n rows differ from their expectation by sqrt(2 / pi) standard errors on
    # average; total variation is half the sum of absolute differences. Even perfect draws differ
    # from the truth by that much.
    chance = 0.5 * np.sqrt(2 / np.pi * p * (1 - p) / n).sum()
    return bool(0.5 * np.abs(draws.mean(axis=(0, 1)) - p).sum() > DISTANCE + chance)


def columns_with_lost_values(truth: Array, draws: Array) -> Array:
    """Return the columns with rare values whose deviation differs by more than chance explains.

    Where few rows have most of the variance, draws can look right and lose these rows altogether.
    Such columns have a large kurtosis: the same number says how uncertain their standard deviation
    is, of which the variance is (kurtosis - 1) / (4 n) relative to its square.
    """
    centred = truth - truth.mean(axis=0)
    size = np.abs(centred).max(axis=0)
    centred = centred / np.where(size > 0, size, 1.0)  # or fourth powers overflow in large units
    variance = np.square(centred).mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        kurtosis = np.square(np.square(centred)).mean(axis=0) / np.square(variance)
    chance = 2 * np.sqrt((kurtosis - 1) / (4 * len(truth)))  # two standard errors of the ratio
    ratio = marginal_ratios(truth, draws, False)
    return np.flatnonzero((kurtosis > RARE) & (np.abs(ratio - 1) > SPREAD + chance))


def warn_of_lost_labels(target: str, names: Array, ratios: Array) -> None:
    """Warn that labels are not drawn as often as they were in training."""
    worst = np.argsort(ratios)[:N_NAMED].tolist()
    few = ", ".join(f"{names[k]} ({ratios[k]:.2f})" for k in worst)
    warn_caller(
        f"The labels of {target!r} are drawn with other frequencies than in training; over these, "
        f"the lowest are {few}. Use more epochs, more rows, or the default loss.",
        ConvergenceWarning,
    )


def warn_of_lost_values(target: str, columns: Array, ratios: Array) -> None:
    """Warn that draws of some columns lack rare values, or have too many."""
    if not len(columns):
        return
    few = ", ".join(f"{k} ({ratios[k]:.2f})" for k in columns[:N_NAMED])
    warn_caller(
        f"Rare values in {len(columns)} column(s) of {target!r} are drawn too seldom or too often: "
        f"the standard deviation of the draws over that in training is, by column, {few}. Use "
        "more epochs, or tell by a modality of labels of its own which rows have them.",
        ConvergenceWarning,
    )
