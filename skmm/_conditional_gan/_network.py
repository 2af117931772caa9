"""From the parameters and the data to the networks of ConditionalGAN."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from skmm._modalities import Modalities
from skmm._nets import build
from skmm._parts import (
    classes,
    decoder,
    encoder,
    encoder_factories,
    encoder_shape,
    given_networks,
    mlp,
    n_features,
    scaler,
    standardize,
)
from skmm.nn import MLP, Conv
from skmm.nn._adversarial import (
    ConditionalGANNetwork,
    Discriminator,
    Generator,
    SpectralNorm,
    Target,
)
from skmm.nn._modality_networks import OneHot
from skmm.nn._ranks import Ranks

if TYPE_CHECKING:
    from skmm._conditional_gan import ConditionalGAN

NEARLY_ALL = 0.9  # of the rows with the same value: a generator forgets the others


def gan_network(model: ConditionalGAN, X: Modalities, values: np.ndarray, seed: int) -> Any:
    """Build the networks that the parameters of a model ask for, for the shapes of its data.

    `values` is the target (n, width), labels as indicators.
    """
    name = model._target
    target = _target(model, X, values)
    shape = tuple(X[name].shape[1:]) if target.kind != "categorical" else (values.shape[1],)
    conditions = X.select([n for n in X.names if n != name])
    networks = _condition_networks(model, X, conditions, seed)
    width = sum(networks["widths"]) + networks["indicators"] * len(conditions.names)
    generator = Generator(
        network=_generator(model, X, width + model.noise_dim, shape, seed + len(X.names)),
        target=target,
        noise_dim=model.noise_dim,
        modality_dropout=model.modality_dropout,
        **networks,
    )
    discriminator = None
    if model.loss != "energy":
        other = _condition_networks(model, X, conditions, seed + 2 * len(X.names))
        critic = _critic(model, X, width, shape, seed + 3 * len(X.names))
        discriminator = Discriminator(*critic, **other)
    return ConditionalGANNetwork(X.names, name, generator, discriminator, model.ema_decay, seed)


def _target(model: ConditionalGAN, X: Modalities, values: np.ndarray) -> Target:
    name, kind, dtype = model._target, X.kinds[model._target], model._dtype()
    # Probabilities of classes and of 0 or 1 are standardised too.
    early = kind not in ("binary", "categorical")
    units = standardize(name, model._columns[name], dtype, kind=kind, early=early)
    labels = OneHot(values.shape[1], dtype) if kind == "categorical" else None
    ranks = None
    if kind in ("numeric", "count") and isinstance(values, np.ndarray):
        ranks = _ranks(values, units.ahead, steps=kind == "count")
    return Target(kind, units, labels, ranks)


def _ranks(values: np.ndarray, ahead: Any, *, steps: bool) -> Ranks | None:
    """Return ranks of the columns in which one value has nearly all rows, if there are any."""
    middle = np.quantile(values, 0.5, axis=0, method="nearest")
    share = (values == middle).mean(axis=0)
    columns = np.flatnonzero((share >= NEARLY_ALL) & (share < 1))
    if not len(columns):
        return None
    if ahead is not None:
        ahead = tuple(a.flatten()[columns] for a in ahead)
    found = [np.unique(values[:, column], return_counts=True) for column in columns]
    known = [torch.as_tensor(v, dtype=torch.float64) for v, _ in found]
    counts = [torch.as_tensor(n) for _, n in found]
    return Ranks(columns.tolist(), known, counts, ahead=ahead, steps=steps)


def _condition_networks(
    model: ConditionalGAN, X: Modalities, conditions: Modalities, seed: int
) -> dict[str, Any]:
    """Return encoders of the conditions; vectors and labels pass as they are if not said otherwise.

    They come with their scalers and the widths of what they give.
    """
    n_classes = classes(model, conditions)
    factories = encoder_factories(model, X)
    given = given_networks(X, "encoder", model.encoders)
    width = n_features(model)
    encoders, widths = [], []
    for m, name in enumerate(conditions.names):
        shape = encoder_shape(conditions, name, n_classes)
        if name in given or conditions.kinds[name] in ("image", "tokens"):
            of_tokens = conditions.kinds[name] == "tokens"
            encoders.append(
                encoder(factories[name], name, shape, width, seed + m, of_tokens=of_tokens)
            )
            widths.append(width)
        else:
            encoders.append(nn.Flatten())
            widths.append(int(np.prod(shape, dtype=int)))
    return {
        "names": conditions.names,
        "scalers": [scaler(model, conditions, name, n_classes) for name in conditions.names],
        "encoders": encoders,
        "widths": widths,
        "indicators": model._takes_missing,
    }


def _generator(
    model: ConditionalGAN, X: Modalities, n_inputs: int, shape: tuple[int, ...], seed: int
) -> nn.Module:
    """Return the network from conditions and noise to the target."""
    name = model._target
    spec = given_networks(X, "decoder", model.decoders).get(name)
    if spec is None:
        spec = encoder_factories(model, X)[name] if X.kinds[name] == "image" else mlp(model)
    make: Any = spec.decoder if isinstance(spec, MLP | Conv) else spec
    return decoder(make, name, n_inputs, shape, seed)


def _critic(
    model: ConditionalGAN, X: Modalities, width: int, shape: tuple[int, ...], seed: int
) -> tuple[nn.Module, nn.Module | None]:
    """Return the network that judges, and where the target is an image one for the conditions.

    Normalization is left out: over a batch it would mix the rows that a penalty is computed for.
    """
    name, to_channel = model._target, None
    spec: Any = given_networks(X, "encoder", model.encoders).get(name)
    if X.kinds[name] == "image":
        channels, *size = shape
        shape = (channels + 1, *size)
        to_channel = build(partial(nn.Linear, width, int(np.prod(size))), seed + 1)
        spec = spec or encoder_factories(model, X)[name]
    else:
        shape = (width + int(np.prod(shape, dtype=int)),)
        spec = spec or mlp(model)
    if isinstance(spec, MLP | Conv):
        spec = replace(spec, normalization=None)
    network = encoder(spec, name, shape, 1, seed)
    return (SpectralNorm(network) if model.loss == "hinge" else network), to_channel
