"""From codes to data: decoders, and the density of the codes."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from sklearn._config import config_context
from sklearn.base import clone
from sklearn.mixture import GaussianMixture

from skmm._modalities._columns import ColumnStatistics
from skmm._nets import TensorData, apply_in_chunks, device_of, in_precision, private_generator
from skmm._random import seed_of
from skmm.nn._modality_networks import ModalityNetworks

Array = np.ndarray
ROWS_PER_PART = 50  # of the default mixture
MOST_PARTS = 10
MOST_ROWS = 100_000  # that a density, or what is said of codes, is taken from


def decode(
    network: ModalityNetworks,
    name: str,
    codes: Array,
    columns: ColumnStatistics | None,
    rng: np.random.RandomState | None = None,
) -> Array:
    """Return a modality that goes with codes: its expectation, or with `rng` a draw (n, width).

    The expectation of classes is their probabilities (n, width, n_classes). Of numbers `columns`
    are what fit knows of them.
    """
    dtype = torch.float32 if codes.dtype == np.float32 else torch.float64
    network = in_precision(network, dtype)
    m = network.index(name)
    if rng is None:
        data = TensorData({name: codes}, device=device_of(network), dtype=dtype)
        found = apply_in_chunks(lambda inputs: network.expectation(m, inputs[name]), data)
        return plausible(found, columns, codes.dtype)
    if device_of(network).type != "cpu":  # whose generator is kept apart
        network = copy.deepcopy(network).cpu()
    data = TensorData({name: codes}, dtype=dtype)
    with private_generator(seed_of(rng)):
        found = apply_in_chunks(lambda inputs: network.draw(m, inputs[name]), data)
    if columns is None:
        return found
    return columns.with_constants(found).astype(codes.dtype, copy=False)


def plausible(expected: Array, columns: ColumnStatistics | None, dtype: Any) -> Array:
    """Return expectations that do not leave the training range by far, constants as they are."""
    if columns is None:
        return expected
    if expected.ndim < 3:
        return columns.within(expected).astype(dtype, copy=False)
    constant = ~columns.varies.ravel()  # of token ids these are probabilities
    expected[:, constant] = np.eye(expected.shape[2])[columns.mean.ravel()[constant].astype(int)]
    return expected


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
    """Return all rows, or where they are very many a random part of them."""
    if n_samples <= MOST_ROWS:
        return slice(None)
    return np.sort(rng.choice(n_samples, MOST_ROWS, replace=False))


def draw(density: Any, n_samples: int, rng: np.random.RandomState) -> Array:
    """Draw from a fitted density: mixtures return labels too, and go component by component."""
    if "random_state" in density.get_params():
        density = copy.copy(density).set_params(random_state=seed_of(rng))
        drawn = density.sample(n_samples)
    else:
        drawn = density.sample(n_samples, random_state=rng)
    Z = np.asarray(drawn[0] if isinstance(drawn, tuple) else drawn)
    return Z[rng.permutation(len(Z))]
