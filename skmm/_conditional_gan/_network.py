"""From the parameters and the data to the networks of ConditionalGAN."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import nn

from skmm._deep._networks import (
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
from skmm._modalities import Modalities
from skmm._nets import build
from skmm.nn import MLP, Conv
from skmm.nn._adversarial import ConditionalGANNetwork
from skmm.nn._atoms import Atoms
from skmm.nn._discriminator import Discriminator, SpectralNorm
from skmm.nn._generator import Generator, Target
from skmm.nn._modality_networks import OneHot

if TYPE_CHECKING:
    from skmm._conditional_gan import ConditionalGAN

N_REGRESSED = 10_000  # rows at most
N_BEFORE = 50  # columns at most that a regression starts from
MOST_COLUMNS = 500  # beyond, weights of all pairs would outgrow the network
BITS = MLP((32,), activation="silu")  # a larger one knows rare rows by heart
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
    atoms = _atoms(model, target, values, width, seed + 4 * len(X.names))
    n_inputs = width + model.noise_dim + (0 if atoms is None else len(atoms.columns))
    generator = Generator(
        network=_generator(model, X, n_inputs, shape, seed + len(X.names)),
        target=target,
        atoms=atoms,
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
    return Target(kind, units, labels)


def _atoms(
    model: ConditionalGAN, target: Target, values: Any, width: int, seed: int
) -> Atoms | None:
    """Return which columns of the target have one value in nearly all rows, if there are any."""
    if target.kind not in ("numeric", "count") or not isinstance(values, np.ndarray):
        return None
    usual = np.quantile(values, 0.5, axis=0, method="nearest")
    other = values != usual
    columns = np.flatnonzero(other.any(axis=0) & (other.mean(axis=0) <= 1 - NEARLY_ALL))
    if not 0 < len(columns) <= MOST_COLUMNS:
        return None
    mean, scale = (a.flatten().numpy()[columns] for a in target.standardize.exact)
    usual, other = usual[columns].astype(np.float64), other[:, columns]
    scaled = np.where(other, (values[:, columns] - mean) / scale, np.nan)
    at, spread = (usual - mean) / scale, np.nanstd(scaled, axis=0)
    # What networks see is rounded: nearer values cannot be told from the usual one.
    rounding = 64 * np.finfo(np.float32).eps * np.maximum(np.abs(at), 1.0)
    gap = np.maximum(np.nanmin(np.abs(scaled - at), axis=0), rounding)
    dtype, (offset, between) = model._dtype(), _regressions(other)
    return Atoms(
        columns.tolist(),
        torch.from_numpy(usual),
        at=torch.tensor(at, dtype=dtype),
        gap=torch.tensor(gap),
        centre=torch.tensor(np.nanmean(scaled, axis=0)),
        scale=torch.tensor(np.where(spread > 0, spread, 1.0)),
        offset=torch.tensor(offset),
        between=torch.tensor(between),
        network=build(partial(BITS, (width,), len(columns)), seed),
    )


def _regressions(bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return intercepts and weights of each bit's logistic regression on some before."""
    share = bits.mean(axis=0)
    offset, between = np.log(share / (1 - share)), np.zeros((len(share), len(share)))
    some = bits[np.linspace(0, len(bits) - 1, min(len(bits), N_REGRESSED)).astype(np.int64)]
    for k in range(1, len(share)):
        before = slice(max(0, k - N_BEFORE), k)
        if some[:, k].any():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # training goes on from there
                fitted = LogisticRegression().fit(some[:, before], some[:, k])
            offset[k], between[k, before] = fitted.intercept_[0], fitted.coef_[0]
    return offset, between


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
