"""How many components: the bound, the automatic choice, the warning."""

import warnings
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.model_selection import KFold

from skmm._linalg import CONSTANT, pearson
from skmm._modalities import Modalities
from skmm._modalities._output import arrays_only
from skmm._random import Seed, check_random_state

Array = np.ndarray


def check_n_components(
    wanted: Any, names: Sequence[str], ranks: Sequence[int], *, additive: bool
) -> int:
    """Return the number of components; None is the smallest rank.

    The bound is the sum of the ranks if components may belong to few modalities (`additive`),
    else the smallest.
    """
    for name, rank in zip(names, ranks, strict=True):
        if rank == 0:
            raise ValueError(f"Modality {name!r} is constant: it has nothing to align.")
    if wanted is None:
        return min(ranks)
    bound = sum(ranks) if additive else min(ranks)
    if wanted > bound:
        kind = "sum of the ranks" if additive else "smallest rank"
        raise ValueError(
            f"n_components={wanted} is above its bound {bound}, the {kind} of the modalities "
            f"{dict(zip(names, ranks, strict=True))}."
        )
    return int(wanted)


def check_shared_rows(
    names: Sequence[str], ranks: Sequence[int], shrinkages: Sequence[float], shared: Array
) -> None:
    """Warn where two unshrunk modalities have too few common rows for their columns.

    `shared` counts the rows that have both of a pair, (M, M). A pair without any is refused if
    there are no others, and else taken as unrelated.
    """
    for i, j in combinations(range(len(names)), 2):
        pair, n_rows = f"{names[i]!r} and {names[j]!r}", int(shared[i, j])
        if n_rows < 2 and len(names) == 2:
            raise ValueError(f"Fewer than 2 rows have both {pair}: nothing can be aligned.")
        shrunk = shrinkages[i] > 0 or shrinkages[j] > 0
        if n_rows < 2:
            message = f"Fewer than 2 rows have both {pair}: they are taken as unrelated."
        elif ranks[i] + ranks[j] > n_rows - 1 and not shrunk:
            message = (
                f"Modalities {pair} have ranks {ranks[i]} and {ranks[j]}, too many for {n_rows} "
                "rows: some canonical correlations are 1 and mean nothing. Use shrinkage='auto' "
                "or fewer columns."
            )
        else:
            continue
        warnings.warn(message, stacklevel=5)


def n_beyond_chance(
    model: Any, X: Modalities, weight: Array | None, random_state: Seed, n_folds: int = 5
) -> int:
    """Return how many leading components correlate on held-out rows beyond chance, at least one.

    A component does if its held-out correlation, pooled over the folds and the pairs of modalities,
    is above two standard errors of what unrelated modalities give. Folds share training rows, so
    that their correlations vary together: the error is that of the corrected resampled t-test of
    Nadeau and Bengio (2003). `model` takes all components.
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
            model.fit(X[train], sample_weight=weight[train])
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
