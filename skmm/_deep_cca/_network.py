"""From the parameters and the data to the network of DeepCCA."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from skmm._cca import CCA
from skmm._modalities import Modalities
from skmm._nets import build
from skmm._parts import encoder_factories, likelihood_names, mlp, scaler
from skmm.nn import ACTIVATIONS, LIKELIHOODS, MLP, Conv, FeedForward, Tokens
from skmm.nn._alignment import AlignmentNetwork, Standardize

if TYPE_CHECKING:
    from skmm._deep_cca import DeepCCA


def deep_network(model: DeepCCA, X: Modalities, seed: int) -> AlignmentNetwork:
    """Build the networks that the parameters of a model ask for, for the shapes of its data."""
    encoders = encoder_factories(model, X)
    shapes = [tuple(value.shape[1:]) for value in X.values()]
    k = n_outputs = model.n_components
    common = None
    if len(model.shared_layer_sizes):
        n_outputs = model.hidden_layer_sizes[-1] if len(model.hidden_layer_sizes) else k
        common = build(partial(_common, model, n_outputs), seed + len(shapes))
    decoders, likelihoods = [], []
    if model.reconstruction_weight > 0:
        chosen = likelihood_names(X, model.likelihoods)
        for m, (name, shape) in enumerate(zip(X.names, shapes, strict=True), len(shapes) + 1):
            make = getattr(encoders[name], "decoder", mlp(model).decoder)
            decoders.append(build(partial(make, k, shape), seed + m))
            likelihoods.append(LIKELIHOODS[chosen[name]](int(np.prod(shape))).to(model._dtype()))
    return AlignmentNetwork(
        X.names,
        [scaler(X, name, model._dtype()) for name in X.names],
        [
            build(
                partial(encoders[name], shape, n_outputs),
                seed + m,
                own=isinstance(encoders[name], MLP | Conv | Tokens),
            )
            for m, (name, shape) in enumerate(zip(X.names, shapes, strict=True))
        ],
        common=common,
        decoders=decoders,
        likelihoods=likelihoods,
        shapes=shapes,
    )


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
        scalers.append(Standardize(*(torch.tensor(a.reshape(shape)) for a in (mean, scale))))
        linear = nn.utils.skip_init(nn.Linear, *weights.shape, bias=False, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy((weights * scale[:, None]).T))
        encoders.append(nn.Sequential(nn.Flatten(), linear))
    return AlignmentNetwork(X.names, scalers, encoders, limit=float("inf"))
