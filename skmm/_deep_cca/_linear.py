"""The linear solution: where training starts, and what it has to beat."""

from __future__ import annotations

import numpy as np

from skmm._cca import CCA
from skmm._modalities import Modalities

Array = np.ndarray
Codes = tuple[dict[str, Array], dict[str, Array]]
SHRINKAGES = (0.0, 1e-3, 0.01, 0.1, 0.3, 0.6, 0.9)
KINDS = ("numeric", "binary", "count", "image")
LIMIT = 6000  # of rows or columns, whichever are fewer: what the decompositions grow with
MIN_VALIDATION = 20  # rows, from which on two methods can be compared
N_RESAMPLES = 100
STANDARD_ERRORS = 2.0  # by which a network has to be better to be preferred


def is_cheap(X: Modalities) -> bool:
    """Whether all modalities are numbers, and few enough for a linear CCA in passing."""
    widths = [int(np.prod(value.shape[1:])) for value in X.values()]
    return set(X.kinds.values()) <= set(KINDS) and min(len(X), max(widths)) <= LIMIT


def fit_linear(X: Modalities, n_components: int, shrinkage: float | str) -> CCA:
    """Fit CCA with as many of these components as the ranks allow."""
    cca = CCA(n_components, shrinkage=shrinkage)
    if n_components > min(*(value.shape[1] for value in X.values()), len(X) - 1):
        return cca.set_params(n_components=None).fit(X)
    try:
        return cca.fit(X)
    except ValueError:  # the ranks are smaller than the shapes say, or there is a true fault
        return cca.set_params(n_components=None).fit(X)


def tuned_linear(X: Modalities, n_components: int, train: Array, valid: Array) -> CCA:
    """Fit CCA on training rows, with the shrinkage that is best on validation rows.

    Where these are too few to choose by, shrinkage is analytic.
    """
    fitted, held_out = X[train], X[valid]
    if len(valid) < MIN_VALIDATION:
        return fit_linear(fitted, n_components, "auto")
    columns = sorted(value.shape[1] for value in X.values())
    crowded = sum(columns[-2:]) >= len(train) - 1  # some correlations would be 1 without shrinkage
    models = [fit_linear(fitted, n_components, c) for c in SHRINKAGES if c > 0 or not crowded]
    return max(models, key=lambda model: model.score(held_out))


def flat(X: Modalities) -> Modalities:
    """Return 2-D floating modalities."""
    values = {
        name: np.asarray(value).reshape(len(X), -1).astype(_floating(value), copy=False)
        for name, value in X.items()
    }
    return Modalities(values, missing=X.missing if X._mask.any() else None)


def _floating(value: Array) -> np.dtype:
    return value.dtype if value.dtype in (np.float32, np.float64) else np.dtype(np.float64)


def is_better(first: Codes, second: Codes, seed: int) -> bool:
    """Whether the first of two methods has the larger total correlation on held-out rows, surely.

    Its gain has to exceed some standard errors of a bootstrap over the held-out rows, so that
    noise on few rows does not prefer a network that was chosen by them.

    Parameters
    ----------
    first, second : pair of dict of str to ndarray (n, k)
        Codes by either method, of training rows and of held-out rows.
    seed : int
        Of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    closings = [(close(train), held_out) for train, held_out in (first, second)]
    n_rows = len(next(iter(first[1].values())))

    def gain(weight: Array | None) -> float:
        a, b = (closing.score(held_out, sample_weight=weight) for closing, held_out in closings)
        return a - b

    even = np.full(n_rows, 1 / n_rows)
    draws = [gain(rng.multinomial(n_rows, even)) for _ in range(N_RESAMPLES)]
    return gain(None) > STANDARD_ERRORS * float(np.std(draws))


def close(codes: dict[str, Array], fusion: str = "mean") -> CCA:
    """Fit the closing linear CCA on codes, which may be NaN in rows of a missing modality."""
    n_rows, n_columns = next(iter(codes.values())).shape
    crowded = 2 * n_columns > n_rows - 2
    return CCA(shrinkage=1e-4 if crowded else 0.0, fusion=fusion).fit(codes)
