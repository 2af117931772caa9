"""Builders: encoders, decoders, scalers and fusion networks from descriptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from skmm._deep._factories import Factory, decoder, encoder
from skmm._deep._likelihoods import CLASSES, likelihood_module
from skmm._deep._spec import ModalitySpec, NetworkSpec
from skmm._modalities import Modalities, observed_rows
from skmm._modalities._columns import ColumnStatistics
from skmm._modalities._stream import pieces
from skmm.nn import (
    LIKELIHOODS,
    MLP,
    AttentionFusion,
    ConcatFusion,
    Conv,
    MeanFusion,
    TokenEncoder,
    Tokens,
    check_token_ids,
)
from skmm.nn._fusion import Fused
from skmm.nn._modality_networks import ModalityNetworks, OneHot, Standardize, TokenIds

N_FEATURES = 64  # of encoders, where no hidden layer says how many
MOST_HEADS = 4


def modality_networks(
    spec: NetworkSpec,
    modalities: Sequence[ModalitySpec],
    seed: int,
    *,
    n_features: int,
    n_codes: int | None = None,
) -> dict[str, Any]:
    """Return the networks of each modality, as arguments of `ModalityNetworks`.

    Encoders give `n_features` outputs; decoders take `n_codes`, None leaves them out.
    """
    networks = {
        "names": [modality.name for modality in modalities],
        "shapes": [modality.shape for modality in modalities],
        "scalers": [scaler(spec, modality) for modality in modalities],
        "encoders": encoders(spec, modalities, seed, n_features),
    }
    if n_codes is None:
        return networks
    likelihoods = [
        likelihood_module(str(one.likelihood), one.width, one.n_classes).to(spec.dtype)
        for one in modalities
    ]
    first = seed + len(modalities)
    decoders = [
        decoder(decoder_factory(spec, modality), modality, n_codes, first + m)
        for m, modality in enumerate(modalities)
    ]
    return {**networks, "likelihoods": likelihoods, "decoders": decoders}


def n_features(spec: NetworkSpec) -> int:
    """Return how many outputs an encoder has where nothing but the hidden layers says so."""
    return spec.last_size(N_FEATURES)


def encoders(
    spec: NetworkSpec, modalities: Sequence[ModalitySpec], seed: int, n_features: int
) -> list[nn.Module]:
    """Return the encoder of each modality."""
    return [
        encoder(encoder_factory(spec, modality), modality, n_features, seed + m)
        for m, modality in enumerate(modalities)
    ]


def encoder_factory(spec: NetworkSpec, modality: ModalitySpec) -> Factory:
    """Return the factory of a modality's encoder: as asked for, or by its kind."""
    if modality.name in spec.encoders:
        return spec.encoders[modality.name]
    if modality.kind == "tokens":
        return Tokens(modality.n_classes, dropout=spec.style["dropout"])
    return Conv(**spec.style) if modality.kind == "image" else spec.mlp


def decoder_factory(spec: NetworkSpec, modality: ModalitySpec) -> Factory:
    """Return the factory of a modality's decoder: as asked for, or the encoder's mirror image."""
    asked: Any = spec.decoders.get(modality.name)
    if asked is not None:
        return asked.decoder if isinstance(asked, MLP | Conv | Tokens) else asked
    mirrored: Any = encoder_factory(spec, modality)
    has_mirror = modality.kind not in CLASSES and hasattr(mirrored, "decoder")
    return mirrored.decoder if has_mirror else spec.mlp.decoder


def scaler(spec: NetworkSpec, modality: ModalitySpec) -> nn.Module:
    """Return the standardisation of a modality: per column, of an image per channel."""
    if modality.kind == "tokens":
        return TokenIds(modality.n_classes)
    if modality.kind == "categorical":
        return OneHot(modality.n_classes, spec.dtype)
    # Likelihoods of counts and of 0 and 1 are of the values themselves.
    early = modality.likelihood is None or LIKELIHOODS[modality.likelihood].standardised
    return standardize(modality, spec.dtype, early=early)


def standardize(modality: ModalitySpec, dtype: torch.dtype, *, early: bool) -> Standardize:
    """Return the standardisation of numbers, `early` where they may come standardised."""
    columns = cast(ColumnStatistics, modality.columns)
    units = columns.of_channels() if modality.kind == "image" else columns
    mean, scale, low, high = map(torch.tensor, (units.mean, units.divisor, *units.limits()))
    varies = None if columns.varies.all() else torch.tensor(columns.varies)
    constant = ~units.varies
    scaler = Standardize(mean, scale, low, high, varies, dtype=dtype, early=early)
    usable = scaler.mean.isfinite() & scaler.scale.isfinite() & (scaler.scale > 0)
    if not (usable.numpy() | constant).all():
        raise ValueError(
            f"Modality {modality.name!r} has means up to {np.abs(units.mean).max():.1e} and "
            f"standard deviations from {units.divisor.min():.1e} to {units.divisor.max():.1e}, "
            f"which {dtype} cannot hold: give it other units, e.g. by "
            "PerModality(StandardScaler())."
        )
    return scaler


def fusion_network(
    spec: NetworkSpec,
    fusion: str,
    n_features: int,
    n_modalities: int,
    n_outputs: int,
    hidden_layer_sizes: Sequence[int] = (),
) -> nn.Module:
    """Return the network from the encoders' outputs to the joint code.

    With ``fusion="mean"`` the encoders give `n_outputs` features already. Hidden layers are those
    of a concatenation.
    """
    if fusion == "mean":
        return MeanFusion()
    if fusion == "concat":
        return ConcatFusion(
            n_features,
            n_modalities,
            n_outputs,
            hidden_layer_sizes=hidden_layer_sizes,
            **spec.style,
        )
    n_heads = next(h for h in range(MOST_HEADS, 0, -1) if n_features % h == 0)
    attention = AttentionFusion(n_features, n_modalities, n_heads, dropout=spec.style["dropout"])
    return Fused(attention, nn.Linear(n_features, n_outputs))


def check_tokens(X: Modalities, networks: ModalityNetworks) -> None:
    """Refuse ids that are not in the vocabulary of their encoder.

    On a CUDA device one such id would end the use of CUDA in this process.
    """
    for m, name in enumerate(networks.names):
        n_tokens, hint = _vocabulary(networks, m)
        if n_tokens is None or name not in X:
            continue
        for observed in pieces(X[name], observed_rows(X, name)):
            ids = torch.from_numpy(np.array(observed))
            try:
                check_token_ids(ids, n_tokens)
            except ValueError as error:
                raise ValueError(f"Modality {name!r}: {error}{hint}") from error


def _vocabulary(networks: ModalityNetworks, m: int) -> tuple[int | None, str]:
    """Return how many token ids a modality may have, and a hint; None for other kinds."""
    scaler, encoder = networks.scalers[m], networks.encoders[m]
    if not isinstance(scaler, TokenIds):
        return None, ""
    if isinstance(encoder, TokenEncoder):
        n_tokens = encoder.embedding.num_embeddings
        return min(n_tokens, scaler.n_tokens) if len(networks.decoders) else n_tokens, ""
    hint = " An encoder of your own has the vocabulary that fit has seen; Tokens has its own."
    return scaler.n_tokens, hint
