"""The discriminator of ConditionalGAN, and a bound on how fast its outputs change."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from skmm.nn._generator import ConditionNetworks
from skmm.nn._layers import at_least_single


class Discriminator(ConditionNetworks):
    """Conditions and targets to numbers that are higher for real targets.

    Parameters
    ----------
    network : Module
        From conditions beside targets to (n, 1): vectors side by side; with an image the
        conditions are a further channel.
    to_channel : Module or None
        From conditions to a channel (n, height * width).
    **networks : dict
        As in `ConditionNetworks`.
    """

    def __init__(self, network: nn.Module, to_channel: nn.Module | None, **networks: Any) -> None:
        super().__init__(**networks)
        self.network = network
        self.to_channel = to_channel

    def forward(self, condition: Tensor, target: Tensor) -> Tensor:
        """Judge targets (n, ...) given what `condition` returns."""
        if self.to_channel is None:
            both = torch.cat([condition, target.flatten(1)], dim=1)
        else:
            channel = self.to_channel(condition).reshape(-1, 1, *target.shape[-2:])
            both = torch.cat([target, channel], dim=1)
        return at_least_single(self.network(both).squeeze(1))


class SpectralNorm(nn.Module):
    """A module whose weight matrices are divided by their largest singular values.

    By one power iteration per training step; Miyato et al., "Spectral normalization for generative
    adversarial networks", ICLR 2018, algorithm 1. Unlike torch's it can be copied and pickled.

    Parameters
    ----------
    module : Module
        Its parameters with two axes or more are divided.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.divided = [name for name, w in module.named_parameters() if w.dim() > 1]
        for i, name in enumerate(self.divided):
            weight = module.get_parameter(name)
            start = torch.linspace(1, 2, len(weight), dtype=weight.dtype)
            self.register_buffer(f"left{i}", nn.functional.normalize(start, dim=0))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the module with divided weights."""
        weights = {
            name: self._divided(i, self.module.get_parameter(name))
            for i, name in enumerate(self.divided)
        }
        return functional_call(self.module, weights, (x,))

    def _divided(self, i: int, weight: Tensor) -> Tensor:
        matrix = weight.flatten(1)
        left = self.get_buffer(f"left{i}")
        with torch.no_grad():
            right = nn.functional.normalize(matrix.T @ left, dim=0)
            left = nn.functional.normalize(matrix @ right, dim=0)
            if self.training:
                self.get_buffer(f"left{i}").copy_(left)
        return weight / (left @ matrix @ right)
