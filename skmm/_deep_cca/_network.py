"""The networks of DeepCCA: a deep one, and a fitted linear CCA as one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn

from skmm._cca import CCA
from skmm._deep._networks import modality_networks
from skmm._deep._spec import ModalitySpec, NetworkSpec
from skmm._modalities import Modalities
from skmm._nets import build
from skmm.nn import ACTIVATIONS, FeedForward
from skmm.nn._alignment import AlignmentNetwork
from skmm.nn._modality_networks import Standardize


def deep_network(
    spec: NetworkSpec,
    modalities: Sequence[ModalitySpec],
    n_components: int,
    shared_layer_sizes: Sequence[int],
    seed: int,
    *,
    decode: bool,
) -> AlignmentNetwork:
    """Build the network of each modality, and with shared layers the common one on top."""
    n_features, common = n_components, None
    if len(shared_layer_sizes):
        n_features = spec.last_size(n_components)
        top = partial(_common, spec, n_features, shared_layer_sizes, n_components)
        common = build(top, seed + 2 * len(modalities))
    n_codes = n_components if decode else None
    networks = modality_networks(spec, modalities, seed, n_features=n_features, n_codes=n_codes)
    return AlignmentNetwork(common=common, **networks)


def _common(
    spec: NetworkSpec, n_inputs: int, hidden_layer_sizes: Sequence[int], n_outputs: int
) -> nn.Module:
    top = FeedForward(n_inputs, hidden_layer_sizes, n_outputs, **spec.style)
    return nn.Sequential(ACTIVATIONS[spec.style["activation"]](), top)


def linear_network(X: Modalities, cca: CCA) -> AlignmentNetwork:
    """Return the projections of a fitted CCA as a network, in double precision."""
    scalers, encoders = [], []
    for name, shape in ((name, value.shape[1:]) for name, value in X.items()):
        mean, scale, weights = (getattr(cca, a)[name] for a in ("means_", "scales_", "weights_"))
        units = (torch.tensor(a.reshape(shape)) for a in (mean, scale))
        scalers.append(Standardize(*units, early=True))
        linear = nn.utils.skip_init(nn.Linear, *weights.shape, bias=False, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy((weights * scale[:, None]).T))
        encoders.append(nn.Sequential(nn.Flatten(), linear))
    return AlignmentNetwork(names=X.names, scalers=scalers, encoders=encoders)
