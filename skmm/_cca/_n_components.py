"""How many components: the bound, the automatic choice, the warning."""

import warnings
from collections.abc import Sequence
from itertools import combinations
from typing import Any

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


def one_standard_error(
    model: Any, X: Modalities, weight: Array | None, random_state: Seed, n_folds: int = 5
) -> int:
    """Return the fewest components whose held-out total is about as good as the best.

    The loss against the best number is paired within the folds; about as good means that it is at
    most one standard error. `model` takes all components.
    """
    weight = np.ones(len(X)) if weight is None else weight
    X, weight = X[weight > 0], weight[weight > 0]
    n_folds = min(n_folds, len(X) // 2)
    if n_folds < 2:
        return 1
    gains = []
    folds = KFold(n_folds, shuffle=True, random_state=check_random_state(random_state))
    for train, test in folds.split(X):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the fit of all rows warns as well
            model.fit(X[train], sample_weight=weight[train])
        codes = model.transform_each(X[test])
        gains.append(_component_correlations(codes, weight[test]))
    k = min(map(len, gains))
    totals = np.cumsum([gain[:k] for gain in gains], axis=1)
    best = int(np.argmax(totals.mean(axis=0)))
    loss = totals[:, [best]] - totals
    error = loss.std(axis=0, ddof=1) / np.sqrt(n_folds)
    return int(np.argmax(loss.mean(axis=0) <= error)) + 1


def _component_correlations(codes: dict[str, Array], weight: Array) -> Array:
    """Return the correlation of each component, averaged over the pairs that rows can judge."""
    pairs = []
    for a, b in combinations(codes.values(), 2):
        both = np.isfinite(a[:, 0]) & np.isfinite(b[:, 0])
        if both.sum() > 1:
            pairs.append(pearson(a[both], b[both], weight[both], constant=CONSTANT))
    return np.mean(pairs, axis=0) if pairs else np.zeros(next(iter(codes.values())).shape[1])
