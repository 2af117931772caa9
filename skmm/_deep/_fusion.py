"""The fusion networks by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from skmm.nn import AttentionFusion, ConcatFusion, MeanFusion
from skmm.nn._fusion import Fused

MOST_HEADS = 4


def fusion_network(
    model: Any,
    n_features: int,
    n_modalities: int,
    n_outputs: int,
    hidden_layer_sizes: Sequence[int] = (),
) -> nn.Module:
    """Return the network from what the encoders give to the joint code.

    With ``fusion="mean"`` the encoders give `n_outputs` features already. Hidden layers are those
    of a concatenation.
    """
    if model.fusion == "mean":
        return MeanFusion()
    if model.fusion == "concat":
        return ConcatFusion(
            n_features,
            n_modalities,
            n_outputs,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=model.activation,
            normalization=model.normalization,
            dropout=model.dropout,
        )
    n_heads = next(h for h in range(MOST_HEADS, 0, -1) if n_features % h == 0)
    attention = AttentionFusion(n_features, n_modalities, n_heads, dropout=model.dropout)
    return Fused(attention, nn.Linear(n_features, n_outputs))
