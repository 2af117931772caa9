"""Columns with one value in nearly all rows: a generator's network says where it is another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Atoms(nn.Module):
    """Which columns have another than their usual value: bits, with probabilities of their own.

    A generator that is judged by distances leaves rare values out: they hardly cost it anything.
    The logarithm of the probability of bits misses them. Bits depend on the condition and on each
    other: column by column by logistic regression on those before, and a network of the condition.

    Parameters
    ----------
    columns : sequence of int
        Numbers of the columns, of flattened samples.
    usual : Tensor
        Their usual values, in the original units.
    at : Tensor
        The same as the losses see them, standardised.
    gap : Tensor
        How far off these the nearest other value is.
    centre, spread : Tensor
        Mean and standard deviation of the other values, standardised.
    offset : Tensor
        Logits of the bits to start from, where those before are 0.
    between : Tensor
        What each bit before adds to them (n_columns, n_columns), to start from.
    network : Module
        From the condition (n, width) to (n, n_columns).
    """

    at: Tensor
    gap: Tensor
    centre: Tensor
    spread: Tensor
    offset: Tensor

    def __init__(
        self,
        columns: Sequence[int],
        usual: Tensor,
        *,
        at: Tensor,
        gap: Tensor,
        centre: Tensor,
        spread: Tensor,
        offset: Tensor,
        between: Tensor,
        network: nn.Module,
    ) -> None:
        super().__init__()
        self.columns = list(columns)
        self.usual = usual.double()  # not a buffer: it keeps its precision
        self.network = network
        self.between = nn.Parameter(between.to(at.dtype))
        known = {"at": at, "gap": gap, "centre": centre, "spread": spread, "offset": offset}
        for name, value in known.items():
            self.register_buffer(name, value.to(at.dtype))

    def bits(self, scaled: Tensor) -> Tensor:
        """Return where standardised targets (n, ...) have another value, (n, n_columns)."""
        some = scaled.flatten(1)[:, self.columns]
        return ((some - self.at).abs() > self.gap / 2).to(self.at.dtype)

    def scores(self, condition: Tensor, bits: Tensor) -> Tensor:
        """Return minus the logarithm (n,) of the probability of bits (n, n_columns)."""
        logits = self._start(condition) + bits @ self.between.tril(-1).T
        loss = nn.functional.binary_cross_entropy_with_logits(logits, bits, reduction="none")
        return loss.sum(dim=1)

    def draw(self, condition: Tensor, uniform: Tensor) -> Tensor:
        """Return bits (m, n, n_columns) by uniform numbers of the same shape."""
        logits = self._start(condition).expand(uniform.shape).unbind(dim=2)
        found: list[Tensor] = []
        for k, logit in enumerate(logits):
            for weight, bit in zip(self.between[k], found, strict=False):
                logit = logit + weight * bit
            found.append((uniform[..., k] < logit.sigmoid()).to(logit.dtype))
        return torch.stack(found, dim=2)

    def put(self, raw: Tensor, bits: Tensor) -> Tensor:
        """Return standardised targets (m, n, ...): the usual value where bits are 0."""
        flat = raw.flatten(2)
        others = flat[..., self.columns] * self.spread + self.centre
        found = torch.where(bits > 0, others, self.at)
        index = torch.tensor(self.columns, device=raw.device)
        return flat.index_copy(2, index, found.to(flat.dtype)).view_as(raw)

    def exact(self, values: Tensor, bits: Tensor) -> Tensor:
        """Return values (m, n, width) with the usual ones free of rounding."""
        found = torch.where(
            bits.to(values.device) > 0, values[..., self.columns], self.usual.to(values)
        )
        return values.index_copy(2, torch.tensor(self.columns, device=values.device), found)

    def _start(self, condition: Tensor) -> Tensor:
        return self.network(condition).to(self.offset.dtype) + self.offset
