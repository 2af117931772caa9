"""Correlations of a fitted model: in training, held out, of permuted pairs, and of columns."""

from collections.abc import Iterable
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed

from skmm._cca import CCA
from skmm._linalg import CONSTANT, pearson
from skmm._modalities import check_modalities, missing_mask
from skmm._permutation import step_down_permutation
from skmm._permutation._variates import Variates
from skmm.compose._steps import chosen, last_step
from skmm.inspection._fitted import codes_of, fitted_step

Array = np.ndarray


def training_correlations(model: Any) -> Array:
    """Return the canonical correlations that the model found."""
    if not hasattr(model, "canonical_correlations_"):
        raise TypeError(
            f"{type(model).__name__} has no canonical_correlations_: pass an estimator such as "
            "CCA, or a pipeline or search ending in one."
        )
    return np.asarray(model.canonical_correlations_, dtype=np.float64)


def unfitted_choice(estimator: Any, model: Any) -> Any:
    """Return a clone that searches no more: the best estimator, the number of components found."""
    unfitted = clone(chosen(estimator))
    last = last_step(unfitted)
    if getattr(last, "n_components", None) == "auto":
        last.set_params(n_components=model.n_components_)
    return unfitted


def held_out_correlations(
    estimator: Any,
    X: Any,
    y: Any,
    splits: Iterable[tuple[Array, Array]],
    n_components: int,
    n_jobs: int | None,
) -> Array:
    """Return the correlations on the test rows of each split, (n_splits, n_components)."""
    return np.array(
        Parallel(n_jobs=n_jobs)(
            delayed(_held_out)(clone(estimator), X, y, train, test, n_components)
            for train, test in splits
        )
    )


def permuted_correlations(
    model: Any, X: Any, y: Any, n_permutations: int, seed: int, n_jobs: int | None
) -> Array:
    """Return the largest training correlation of permuted pairs, (n_permutations, n_steps)."""
    if not isinstance(model, CCA):
        raise TypeError(
            f"The band of permuted pairs is for CCA, not {type(model).__name__}: pass "
            "n_permutations=0."
        )
    X = check_modalities(model, X, y, reset=False, min_modalities=2, flatten=True)
    complete = ~missing_mask(X).any(axis=1)
    values = [np.asarray(X[name], dtype=np.float64)[complete] for name in X.names]
    shrinkage = [model.shrinkage_[name] for name in X.names]
    # With shrinkage the test has a reference for the first step only.
    ranks = [1] if any(shrinkage) else Variates.of(values, shrinkage, model.scale).ranks
    return step_down_permutation(
        values,
        n_components=min(model.n_components_, *ranks),
        n_permutations=n_permutations,
        statistic="roy",
        shrinkage=shrinkage,
        scale=model.scale,
        n_jobs=n_jobs,
        random_state=seed,
    ).null


def loadings_by_modality(model: Any, X: Any, y: Any) -> dict[str, Array]:
    """Return the correlations (d, n_components) of columns with their modality's projections."""
    codes = codes_of(model, X, y)
    columns = check_modalities(
        model, X, y, reset=False, min_modalities=2, flatten=True, allow_empty_rows=True
    )
    return {name: _columnwise(name, columns[name], codes[name]) for name in columns.names}


def _held_out(
    estimator: Any, X: Any, y: Any, train: Array, test: Array, n_components: int
) -> Array:
    """Return the correlation of each component on the rows `test`; 0 for those not found."""

    def rows(data: Any, which: Array) -> Any:
        return None if data is None else _safe_indexing(data, which)

    estimator.fit(rows(X, train), rows(y, train))
    model, inner = fitted_step(estimator, rows(X, test))
    codes = codes_of(model, inner, rows(y, test))
    pairs = [_pearson_of_pair(codes, a, b) for a, b in combinations(codes, 2)]
    correlations = np.zeros(n_components)
    found = np.mean(pairs, axis=0)[:n_components]
    correlations[: len(found)] = found
    return correlations


def _pearson_of_pair(codes: dict[str, Array], a: str, b: str) -> Array:
    both = ~(np.isnan(codes[a]).any(axis=1) | np.isnan(codes[b]).any(axis=1))
    if both.sum() < 2:
        raise ValueError(
            f"Fewer than 2 held-out rows of a split have both {a!r} and {b!r}: use fewer splits."
        )
    return pearson(codes[a][both], codes[b][both], constant=CONSTANT)


def _columnwise(name: str, columns: Array, codes: Array) -> Array:
    observed = ~np.isnan(codes).any(axis=1)
    if observed.sum() < 2:
        raise ValueError(f"Fewer than 2 rows have modality {name!r}: nothing to correlate.")
    x = columns[observed]  # (n, d)
    by_component = [pearson(x, np.broadcast_to(u[:, None], x.shape)) for u in codes[observed].T]
    return np.column_stack(by_component)
