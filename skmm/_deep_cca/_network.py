"""From the parameters and the data to the network of DeepCCA."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from skmm._cca import CCA
from skmm._modalities import Modalities
from skmm._nets import build
from skmm.nn import ACTIVATIONS, LIKELIHOODS, MLP, Conv, FeedForward, Tokens
from skmm.nn._alignment import AlignmentNetwork, Standardize

if TYPE_CHECKING:
    from skmm._deep_cca import DeepCCA

Array = np.ndarray
OF_KIND = {"numeric": "gaussian", "image": "gaussian", "binary": "bernoulli", "count": "poisson"}


def deep_network(model: DeepCCA, X: Modalities, seed: int) -> AlignmentNetwork:
    """Build the networks that the parameters of a model ask for, for the shapes of its data."""
    encoders = model._factories(X)
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
            make = getattr(encoders[name], "decoder", model._mlp().decoder)
            decoders.append(build(partial(make, k, shape), seed + m))
            likelihoods.append(LIKELIHOODS[chosen[name]](_width(shape)).to(model._dtype()))
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


def likelihood_names(X: Modalities, likelihoods: str | Mapping[str, str]) -> dict[str, str]:
    """Return the likelihood of each modality; "auto" follows the kind."""
    given: Mapping[str, str] = {} if isinstance(likelihoods, str) else likelihoods
    if unknown := [name for name in given if name not in X]:
        raise ValueError(f"likelihoods names {unknown!r}, but the modalities are {X.names!r}.")
    chosen = {}
    for name, kind in X.kinds.items():
        if (found := given.get(name, "auto")) == "auto":
            if kind not in OF_KIND:
                raise ValueError(
                    f"Modality {name!r} of kind {kind!r} cannot be reconstructed: "
                    "use reconstruction_weight=0."
                )
            found = OF_KIND[kind]
        valid = [name for name in LIKELIHOODS if name != "categorical"]
        if found not in valid:
            raise ValueError(
                f"The likelihood of modality {name!r} must be one of {valid!r} or 'auto', "
                f"got {found!r}."
            )
        _check_support(name, np.asarray(X[name]), found)
        chosen[name] = found
    return chosen


def _check_support(name: str, value: Array, likelihood: str) -> None:
    observed = value[~np.isnan(value)] if value.dtype.kind == "f" else value
    if likelihood == "bernoulli" and not ((observed >= 0) & (observed <= 1)).all():
        raise ValueError(f"Modality {name!r} has values outside [0, 1]: not for 'bernoulli'.")
    if likelihood == "poisson" and not ((observed >= 0) & (observed == np.floor(observed))).all():
        raise ValueError(f"Modality {name!r} has values that are no counts: not for 'poisson'.")


def _width(shape: tuple[int, ...]) -> int:
    """Return the number of values in a sample."""
    return int(np.prod(shape, dtype=int))


def scaler(X: Modalities, name: str, dtype: torch.dtype) -> nn.Module:
    """Return the standardisation of a modality: per column, of an image per channel."""
    value, kind = np.asarray(X[name]), X.kinds[name]
    if kind == "tokens":
        return nn.Identity()
    if X._mask.any():
        value = value[~X._mask[:, X.names.index(name)]]
    mean, scale = moments(value, channels=kind == "image")
    return Standardize(torch.tensor(mean, dtype=dtype), torch.tensor(scale, dtype=dtype))


def moments(value: Array, *, channels: bool = False) -> tuple[Array, Array]:
    """Return mean and standard deviation over the rows, in float64, chunk by chunk.

    Shaped as a sample; with `channels` over the pixels too. The deviation of a constant is 1.
    """
    axes = (0, *range(2, value.ndim)) if channels else (0,)
    count = np.prod([value.shape[axis] for axis in axes])
    chunks = [value[i : i + 4096] for i in range(0, len(value), 4096)]
    mean = sum(c.sum(axis=axes, dtype=np.float64, keepdims=True)[0] for c in chunks) / count
    square = sum(((c - mean) ** 2).sum(axis=axes, keepdims=True)[0] for c in chunks) / count
    scale = np.sqrt(square)
    rounding = 1e-7 if value.dtype == np.float32 else 1e-14
    return mean, np.where(scale > rounding * np.abs(mean), scale, 1.0)
