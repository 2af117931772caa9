"""The density of the codes, which `sample` draws from."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn._config import config_context
from sklearn.base import clone
from sklearn.mixture import GaussianMixture

from skmm._random import seed_of

Array = np.ndarray
ROWS_PER_PART = 50  # of the default mixture
MOST_PARTS = 10
MOST_ROWS = 100_000  # to which a density is fitted, and from which codes are described


def fit_density(density: Any, Z: Array, rng: np.random.RandomState) -> Any:
    """Fit a clone of the density, by default a Gaussian mixture, to the complete rows of Z."""
    Z = Z[np.isfinite(Z).all(axis=1)]
    Z = Z[some_rows(len(Z), rng)]
    if density is None:
        density = GaussianMixture(max(1, min(MOST_PARTS, len(Z) // ROWS_PER_PART)))
    density = clone(density)
    if "random_state" in density.get_params():
        density.set_params(random_state=seed_of(rng))
    with config_context(array_api_dispatch=False):  # not all densities take it, codes are NumPy's
        return density.fit(Z)


def some_rows(n_samples: int, rng: np.random.RandomState) -> Array | slice:
    """Return all rows, or of very many a random part."""
    if n_samples <= MOST_ROWS:
        return slice(None)
    return np.sort(rng.choice(n_samples, MOST_ROWS, replace=False))


def draw(density: Any, n_samples: int, rng: np.random.RandomState) -> Array:
    """Draw codes in random order: mixtures draw component by component, and return labels too."""
    if "random_state" in density.get_params():
        density = copy.copy(density).set_params(random_state=seed_of(rng))
        drawn = density.sample(n_samples)
    else:
        drawn = density.sample(n_samples, random_state=rng)
    Z = np.asarray(drawn[0] if isinstance(drawn, tuple) else drawn)
    return Z[rng.permutation(len(Z))]
