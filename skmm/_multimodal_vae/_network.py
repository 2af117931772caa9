"""From the parameters and the data to the network of MultimodalVAE."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from skmm._deep._networks import modality_networks
from skmm._modalities import Modalities
from skmm._nets import build
from skmm.nn import ConcatFusion
from skmm.nn._vae import JointEncoder, VAENetwork

if TYPE_CHECKING:
    from skmm._multimodal_vae import MultimodalVAE

POSTERIORS = ("poe", "moe", "mopoe", "mvtcae", "joint")


def vae_network(
    model: MultimodalVAE, X: Modalities, seed: int, weights: Sequence[float]
) -> VAENetwork:
    """Build the networks that the parameters of a model ask for, for the shapes of its data."""
    k = model.n_components
    return VAENetwork(
        n_components=k,
        posterior=model.posterior,
        joint=_joint(model, X, seed + 2 * len(X.names)) if model.posterior == "joint" else None,
        predicts=min(weights) < max(weights),
        **modality_networks(model, X, seed, n_features=2 * k, n_codes=k),
    )


def _joint(model: MultimodalVAE, X: Modalities, seed: int) -> JointEncoder:
    hidden = list(model.hidden_layer_sizes[-1:])
    width = hidden[0] if hidden else 2 * model.n_components
    encoders = modality_networks(model, X, seed, n_features=width, n_codes=1, decode=False)
    fusion = partial(
        ConcatFusion,
        width,
        len(X.names),
        2 * model.n_components,
        hidden_layer_sizes=hidden,
        activation=model.activation,
        normalization=model.normalization,
        dropout=model.dropout,
    )
    return JointEncoder(encoders["encoders"], build(fusion, seed + len(X.names)))


def balance(X: Modalities) -> dict[str, float]:
    """Return the weights that make up for the numbers of values in a sample."""
    sizes = {name: max(1, int(np.prod(value.shape[1:]))) for name, value in X.items()}
    return {name: max(sizes.values()) / size for name, size in sizes.items()}
