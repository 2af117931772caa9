"""The network of MultimodalVAE."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from skmm._deep._networks import encoders, modality_networks
from skmm._deep._spec import ModalitySpec, NetworkSpec
from skmm._modalities import Modalities
from skmm._nets import build
from skmm.nn import ConcatFusion
from skmm.nn._vae import JointEncoder, VAENetwork

POSTERIORS = ("poe", "moe", "mopoe", "mvtcae", "joint")


def vae_network(
    spec: NetworkSpec,
    modalities: Sequence[ModalitySpec],
    seed: int,
    *,
    n_components: int,
    posterior: str,
    predicts: bool,
) -> VAENetwork:
    """Build the networks of a VAE; `predicts` as in `VAENetwork`."""
    k, M = n_components, len(modalities)
    return VAENetwork(
        n_components=k,
        posterior=posterior,
        joint=_joint(spec, modalities, k, seed + 2 * M) if posterior == "joint" else None,
        predicts=predicts,
        **modality_networks(spec, modalities, seed, n_features=2 * k, n_codes=k),
    )


def _joint(
    spec: NetworkSpec, modalities: Sequence[ModalitySpec], k: int, seed: int
) -> JointEncoder:
    """Return the encoder of all modalities together, with encoders of its own."""
    width, M = spec.last_size(2 * k), len(modalities)
    fusion = partial(
        ConcatFusion,
        width,
        M,
        2 * k,
        hidden_layer_sizes=spec.mlp.hidden_layer_sizes[-1:],
        **spec.style,
    )
    return JointEncoder(encoders(spec, modalities, seed, width), build(fusion, seed + M))


def balance(X: Modalities) -> dict[str, float]:
    """Return the weights that make up for the numbers of values in a sample."""
    sizes = {name: max(1, int(np.prod(value.shape[1:]))) for name, value in X.items()}
    return {name: max(sizes.values()) / size for name, size in sizes.items()}
