"""Parts of networks that the parameters of an estimator and the data ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from skmm._modalities import Modalities
from skmm.nn import LIKELIHOODS, MLP, Conv, TokenEncoder, Tokens, check_token_ids
from skmm.nn._alignment import Standardize

Array = np.ndarray
Factory = Callable[..., nn.Module]
KINDS = ("numeric", "binary", "count", "image", "tokens")  # what networks take
OF_KIND = {"numeric": "gaussian", "image": "gaussian", "binary": "bernoulli", "count": "poisson"}


def encoder_factories(model: Any, X: Modalities) -> dict[str, Factory]:
    """Return what makes the encoder of each modality."""
    given = {} if isinstance(model.encoders, str) else model.encoders
    if unknown := [name for name in given if name not in X]:
        raise ValueError(f"encoders names {unknown!r}, but the modalities are {X.names!r}.")
    for name, factory in given.items():
        if not callable(factory):
            raise TypeError(
                f"The encoder of modality {name!r} must be MLP, Conv or Tokens of skmm.nn, or "
                f"a function of (input_shape, n_outputs) that returns a module; got {factory!r}"
            )
    return {name: given.get(name) or _factory(model, X, name) for name in X.names}


def mlp(model: Any) -> MLP:
    """Return the fully connected network of the model's parameters."""
    return MLP(
        tuple(model.hidden_layer_sizes),
        activation=model.activation,
        normalization=model.normalization,
        dropout=model.dropout,
    )


def check_tokens(X: Modalities, encoders: Mapping[str, nn.Module]) -> None:
    """Refuse ids that are not in the vocabulary of their encoder."""
    for name in X.names:
        encoder = encoders[name]
        if isinstance(encoder, TokenEncoder):
            observed = np.array(X[name])[~X._mask[:, X.names.index(name)]]
            try:
                check_token_ids(torch.from_numpy(observed), encoder.embedding.num_embeddings)
            except ValueError as error:
                raise ValueError(f"Modality {name!r}: {error}") from error


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


def _factory(model: Any, X: Modalities, name: str) -> Factory:
    if X.kinds[name] == "tokens":
        return Tokens(int(np.asarray(X[name]).max()) + 1, dropout=model.dropout)
    if X.kinds[name] == "image":
        return Conv(
            activation=model.activation, normalization=model.normalization, dropout=model.dropout
        )
    return mlp(model)


def _check_support(name: str, value: Array, likelihood: str) -> None:
    observed = value[~np.isnan(value)] if value.dtype.kind == "f" else value
    if likelihood == "bernoulli" and not ((observed >= 0) & (observed <= 1)).all():
        raise ValueError(f"Modality {name!r} has values outside [0, 1]: not for 'bernoulli'.")
    if likelihood == "poisson" and not ((observed >= 0) & (observed == np.floor(observed))).all():
        raise ValueError(f"Modality {name!r} has values that are no counts: not for 'poisson'.")
