"""How many components: the bound, the automatic choice, the warning."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any
from warnings import warn

import numpy as np
from sklearn.model_selection import KFold

from skmm._linalg import CONSTANT, pearson
from skmm._modalities import Modalities
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


def warn_of_perfect_fit(
    names: Sequence[str], ranks: Sequence[int], shrinkages: Sequence[float], n_rows: int
) -> None:
    """Warn where two unshrunk modalities have so many columns that they must agree."""
    for i, j in combinations(range(len(names)), 2):
        shrunk = shrinkages[i] > 0 or shrinkages[j] > 0
        if ranks[i] + ranks[j] > n_rows - 1 and not shrunk:
            warn(
                f"Modalities {names[i]!r} and {names[j]!r} have ranks {ranks[i]} and {ranks[j]}, "
                f"too many for {n_rows} rows: some canonical correlations are 1 and mean nothing. "
                "Use shrinkage='auto' or fewer columns.",
                stacklevel=5,
            )


def one_standard_error(
    model: Any, X: Modalities, weight: Array | None, random_state: Seed, n_folds: int = 5
) -> int:
    """Return the fewest components whose held-out total is about as good as the best.

    The loss against the best number is paired within the folds; about as good means that it is at
    most one standard error. `model` takes all components.
    """
    n_folds = min(n_folds, len(X) // 2)
    if n_folds < 2:
        return 1
    gains = []
    folds = KFold(n_folds, shuffle=True, random_state=check_random_state(random_state))
    for train, test in folds.split(X):
        model.fit(X[train], sample_weight=None if weight is None else weight[train])
        gains.append(_component_correlations(model.transform_each(X[test])))
    k = min(map(len, gains))
    totals = np.cumsum([gain[:k] for gain in gains], axis=1)
    best = int(np.argmax(totals.mean(axis=0)))
    loss = totals[:, [best]] - totals
    error = loss.std(axis=0, ddof=1) / np.sqrt(n_folds)
    return int(np.argmax(loss.mean(axis=0) <= error)) + 1


def _component_correlations(codes: dict[str, Array]) -> Array:
    """Return the correlation of each component, averaged over the pairs of modalities."""
    pairs = []
    for a, b in combinations(codes.values(), 2):
        both = np.isfinite(a[:, 0]) & np.isfinite(b[:, 0])
        pairs.append(pearson(a[both], b[both], constant=CONSTANT))
    return np.mean(pairs, axis=0)
