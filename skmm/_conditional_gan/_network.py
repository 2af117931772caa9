"""The networks of ConditionalGAN."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import nn

from skmm._deep._factories import decoder, encoder
from skmm._deep._networks import encoder_factory, n_features, scaler, standardize
from skmm._deep._spec import ModalitySpec, NetworkSpec
from skmm._linear._completion import FILLED
from skmm._nets import build
from skmm.nn import MLP, Conv
from skmm.nn._adversarial import ConditionalGANNetwork
from skmm.nn._atoms import Atoms
from skmm.nn._discriminator import Discriminator, SpectralNorm
from skmm.nn._generator import Generator, Target
from skmm.nn._modality_networks import OneHot

N_REGRESSED = 10_000  # rows at most
N_BEFORE = 50  # columns at most that a regression starts from
MOST_COLUMNS = 500  # beyond, weights of all pairs would outgrow the network
BITS = MLP((32,), activation="silu")  # a larger one knows rare rows by heart
NEARLY_ALL = 0.9  # of the rows with the same value: a generator forgets the others


def gan_network(
    spec: NetworkSpec,
    modalities: Sequence[ModalitySpec],
    target_name: str,
    values: Any,
    seed: int,
    *,
    loss: str,
    noise_dim: int,
    modality_dropout: float,
    ema_decay: float,
    may_lack: bool,
) -> ConditionalGANNetwork:
    """Build the generator, and the discriminator that a loss other than "energy" needs.

    `values` is the target (n, width), labels as indicators. With `may_lack` columns of their own
    say which conditions a row has.
    """
    M, names = len(modalities), [modality.name for modality in modalities]
    described = modalities[names.index(target_name)]
    conditions = [modality for modality in modalities if modality is not described]
    # What training hides by chance is 0 there, so it is 0 whenever it is missing.
    filled = [one.name for one in conditions if one.kind in FILLED and modality_dropout == 0]
    target = _target(described, values.shape[1], spec.dtype)
    networks = _condition_networks(spec, conditions, seed, may_lack, filled)
    width = sum(networks["widths"]) + may_lack * len(conditions)
    atoms = _atoms(target, values, width, spec.dtype, seed + 4 * M)
    n_inputs = width + noise_dim + (0 if atoms is None else len(atoms.columns))
    generator = Generator(
        network=_generator(spec, described, n_inputs, seed + M),
        target=target,
        atoms=atoms,
        noise_dim=noise_dim,
        modality_dropout=modality_dropout,
        **networks,
    )
    discriminator = None
    if loss != "energy":
        # It sees the conditions by encoders of its own.
        other = _condition_networks(spec, conditions, seed + 2 * M, may_lack, filled)
        network, to_channel = _critic(spec, described, width, seed + 3 * M)
        network = SpectralNorm(network) if loss == "hinge" else network
        discriminator = Discriminator(network, to_channel, **other)
    return ConditionalGANNetwork(names, target_name, generator, discriminator, ema_decay, seed)


def _target(described: ModalitySpec, width: int, dtype: torch.dtype) -> Target:
    kind = described.kind
    # Probabilities of classes and of 0 or 1 are standardised too.
    early = kind not in ("binary", "categorical")
    units = standardize(described, dtype, early=early)
    labels = OneHot(width, dtype) if kind == "categorical" else None
    return Target(kind, units, labels)


def _atoms(target: Target, values: Any, width: int, dtype: torch.dtype, seed: int) -> Atoms | None:
    """Return which columns of the target have one value in nearly all rows, if there are any."""
    if target.kind not in ("numeric", "count") or not isinstance(values, np.ndarray):
        return None
    usual = np.quantile(values, 0.5, axis=0, method="nearest")  # (width,)
    other = values != usual  # (n, width): the rows that a generator would forget
    columns = np.flatnonzero(other.any(axis=0) & (other.mean(axis=0) <= 1 - NEARLY_ALL))
    if not 0 < len(columns) <= MOST_COLUMNS:
        return None
    mean, scale = (a.flatten().numpy()[columns] for a in target.standardize.exact)
    usual, other = usual[columns].astype(np.float64), other[:, columns]
    # In the units of the network; the usual value is NaN, so that statistics are of the others.
    scaled = np.where(other, (values[:, columns] - mean) / scale, np.nan)  # (n, n_atoms)
    at, deviation = (usual - mean) / scale, np.nanstd(scaled, axis=0)
    # Networks work in single precision: nearer values cannot be told from the usual one.
    rounding = 64 * np.finfo(np.float32).eps * np.maximum(np.abs(at), 1.0)
    gap = np.maximum(np.nanmin(np.abs(scaled - at), axis=0), rounding)
    offset, between = _regressions(other)
    return Atoms(
        columns.tolist(),
        torch.from_numpy(usual),
        at=torch.tensor(at, dtype=dtype),
        gap=torch.tensor(gap),
        centre=torch.tensor(np.nanmean(scaled, axis=0)),
        scale=torch.tensor(np.where(deviation > 0, deviation, 1.0)),
        offset=torch.tensor(offset),
        between=torch.tensor(between),
        network=build(partial(BITS, (width,), len(columns)), seed),
    )


def _regressions(bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return intercepts and weights of each bit's logistic regression on some bits before it.

    They say how rare values of several columns come together; the network learns from there how
    they depend on the conditions.
    """
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
    spec: NetworkSpec,
    conditions: Sequence[ModalitySpec],
    seed: int,
    may_lack: bool,
    filled: Sequence[str],
) -> dict[str, Any]:
    """Return encoders of the conditions; vectors and labels pass as they are if not said otherwise.

    They come with their scalers and the widths of their outputs.
    """
    n_outputs = n_features(spec)
    encoders: list[nn.Module] = []
    widths = []
    for m, one in enumerate(conditions):
        if one.name in spec.encoders or one.kind in ("image", "tokens"):
            encoders.append(encoder(encoder_factory(spec, one), one, n_outputs, seed + m))
            widths.append(n_outputs)
        else:
            encoders.append(nn.Flatten())
            widths.append(int(np.prod(one.encoder_shape, dtype=int)))
    return {
        "names": [one.name for one in conditions],
        "scalers": [scaler(spec, one) for one in conditions],
        "encoders": encoders,
        "widths": widths,
        "indicators": may_lack,
        "filled": filled,
    }


def _generator(spec: NetworkSpec, target: ModalitySpec, n_inputs: int, seed: int) -> nn.Module:
    """Return the network from conditions and noise to the target."""
    asked: Any = spec.decoders.get(target.name)
    if asked is None:
        asked = encoder_factory(spec, target) if target.kind == "image" else spec.mlp
    make: Any = asked.decoder if isinstance(asked, MLP | Conv) else asked
    return decoder(make, target, n_inputs, seed)


def _critic(
    spec: NetworkSpec, target: ModalitySpec, width: int, seed: int
) -> tuple[nn.Module, nn.Module | None]:
    """Return the network that judges, and where the target is an image one for the conditions.

    Normalization is left out: over a batch it would mix the rows that a penalty is computed for.
    """
    to_channel, asked = None, spec.encoders.get(target.name)
    if target.kind == "image":
        channels, *size = target.shape
        shape: tuple[int, ...] = (channels + 1, *size)
        to_channel = build(partial(nn.Linear, width, int(np.prod(size))), seed + 1)
        asked = asked or encoder_factory(spec, target)
    else:
        shape = (width + int(np.prod(target.encoder_shape, dtype=int)),)
        asked = asked or spec.mlp
    if isinstance(asked, MLP | Conv):
        asked = replace(asked, normalization=None)
    judged = ModalitySpec(target.name, "numeric", shape)
    return encoder(asked, judged, 1, seed), to_channel
