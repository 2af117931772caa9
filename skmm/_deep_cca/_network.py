"""From the parameters and the data to the network of DeepCCA."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from skmm._cca import CCA
from skmm._deep._networks import modality_networks
from skmm._modalities import Modalities
from skmm._nets import build
from skmm.nn import ACTIVATIONS, FeedForward
from skmm.nn._alignment import AlignmentNetwork
from skmm.nn._modality_networks import Standardize

if TYPE_CHECKING:
    from skmm._deep_cca import DeepCCA


def deep_network(model: DeepCCA, X: Modalities, seed: int) -> AlignmentNetwork:
    """Build the networks that the parameters of a model ask for, for the shapes of its data."""
    n_features = k = model.n_components
    common = None
    if len(model.shared_layer_sizes):
        n_features = model.hidden_layer_sizes[-1] if len(model.hidden_layer_sizes) else k
        common = build(partial(_common, model, n_features), seed + 2 * len(X.names))
    decode = model.reconstruction_weight > 0
    networks = modality_networks(model, X, seed, n_features=n_features, n_codes=k, decode=decode)
    return AlignmentNetwork(common=common, **networks)


def _common(model: DeepCCA, n_inputs: int) -> nn.Module:
    top = FeedForward(
        n_inputs,
        model.shared_layer_sizes,
        model.n_components,
        activation=model.activation,
        normalization=model.normalization,
        dropout=model.dropout,
    )
    return nn.Sequential(ACTIVATIONS[model.activation](), top)


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
