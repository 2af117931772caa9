"""How many components correlate beyond chance: the automatic choice."""

import warnings
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.model_selection import KFold

from skmm._linalg import CONSTANT, pearson
from skmm._modalities import Modalities
from skmm._modalities._output import arrays_only
from skmm._random import Seed, check_random_state

Array = np.ndarray


def n_beyond_chance(
    model: Any, X: Modalities, weight: Array | None, random_state: Seed, n_folds: int = 5
) -> int:
    """Return how many leading components correlate on held-out rows beyond chance, at least one.

    A component does if its held-out correlation, pooled over the folds and the pairs of modalities,
    is above two standard errors of what unrelated modalities give. Folds share training rows, so
    that their correlations vary together: the error is that of the corrected resampled t-test of
    Nadeau and Bengio (2003). `model` takes all components, and can be fitted to all rows; folds
    whose rows cannot tell it are left out.
    """
    weight = np.ones(len(X)) if weight is None else weight
    X, weight = X[weight > 0], weight[weight > 0]
    n_folds = min(n_folds, len(X) // 2)
    if n_folds < 2:
        return 1
    found: list[tuple[Array, float]] = []
    folds = KFold(n_folds, shuffle=True, random_state=check_random_state(random_state))
    for train, test in folds.split(X):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the fit of all rows warns as well
            try:
                model.fit(X[train], sample_weight=weight[train])
            except ValueError:  # all rows can be fitted: these lack a column, or a pair, entirely
                continue
        with arrays_only():
            codes = model.transform_each(X[test])
        found += _held_out_correlations(codes, weight[test])
    total = sum(size for _, size in found)
    if not total:
        return 1
    k = min(len(correlations) for correlations, _ in found)
    pooled = np.sum([size * correlations[:k] for correlations, size in found], axis=0) / total
    error = np.sqrt((1.0 + n_folds / (n_folds - 1.0)) / total)
    fails = pooled <= 2.0 * error
    return max(1, int(np.argmax(fails)) if fails.any() else k)


def _held_out_correlations(codes: dict[str, Array], weight: Array) -> Iterator[tuple[Array, float]]:
    """Yield for each pair of modalities that rows can judge the correlation of each component.

    With it comes one over its variance under independence: the effective number of rows less one.
    """
    for a, b in combinations(codes.values(), 2):
        both = np.isfinite(a[:, 0]) & np.isfinite(b[:, 0])
        if both.sum() > 1:
            w = weight[both]
            size = float(w.sum() ** 2 / np.sum(w**2)) - 1.0
            yield pearson(a[both], b[both], w, constant=CONSTANT), size
