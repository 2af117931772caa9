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
    centre, scale : Tensor
        Mean and standard deviation of the other values, standardised.
    offset : Tensor
        Logits of the bits to start from, where those before are 0.
    between : Tensor
        Weights (n_columns, n_columns) of the bits before in these logits, to start from.
    network : Module
        From the condition (n, width) to (n, n_columns).
    """

    index: Tensor
    at: Tensor
    gap: Tensor
    centre: Tensor
    scale: Tensor
    offset: Tensor

    def __init__(
        self,
        columns: Sequence[int],
        usual: Tensor,
        *,
        at: Tensor,
        gap: Tensor,
        centre: Tensor,
        scale: Tensor,
        offset: Tensor,
        between: Tensor,
        network: nn.Module,
    ) -> None:
        super().__init__()
        self.columns = list(columns)
        self.usual = usual.double()  # not a buffer: it keeps its precision
        self.network = network
        self.register_buffer("index", torch.tensor(columns), persistent=False)
        self.between = nn.Parameter(between.to(at.dtype))
        known = {"at": at, "gap": gap, "centre": centre, "scale": scale, "offset": offset}
        for name, value in known.items():
            self.register_buffer(name, value.to(at.dtype))

    def bits(self, scaled: Tensor) -> Tensor:
        """Return where standardised targets (n, ...) have another value, (n, n_columns)."""
        some = scaled.flatten(1).index_select(1, self.index)  # (n, n_columns)
        # Half the gap to the next value: rounding cannot make a usual value another one.
        return ((some - self.at).abs() > self.gap / 2).to(self.at.dtype)

    def scores(self, condition: Tensor, bits: Tensor) -> Tensor:
        """Return minus the logarithm (n,) of the probability of bits (n, n_columns)."""
        # Below the diagonal: bit k may depend on bits 0, ..., k - 1 alone. Then the product of the
        # conditional probabilities is a probability of all bits, and they can be drawn in turn.
        logits = self._start(condition) + bits @ self.between.tril(-1).T  # (n, n_columns)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, bits, reduction="none")
        return loss.sum(dim=1)

    def draw(self, condition: Tensor, uniform: Tensor) -> Tensor:
        """Return bits (m, n, n_columns) by uniform numbers of the same shape."""
        start = self._start(condition)
        found = torch.zeros_like(uniform, dtype=start.dtype)
        for k in range(uniform.shape[2]):
            logit = start[:, k] + found[..., :k] @ self.between[k, :k]  # (m, n)
            found[..., k] = (uniform[..., k] < logit.sigmoid()).to(start.dtype)
        return found

    def put(self, raw: Tensor, bits: Tensor) -> Tensor:
        """Return standardised targets (m, n, ...): the usual value where bits are 0."""
        flat = raw.flatten(2)
        others = flat.index_select(2, self.index) * self.scale + self.centre
        found = torch.where(bits > 0, others, self.at)
        return flat.index_copy(2, self.index, found.to(flat.dtype)).view_as(raw)

    def exact(self, values: Tensor, bits: Tensor) -> Tensor:
        """Return values (m, n, width) with the usual ones free of rounding."""
        index, there = self.index.to(values.device), bits.to(values.device) > 0
        found = torch.where(there, values.index_select(2, index), self.usual.to(values))
        return values.index_copy(2, index, found)

    def get_extra_state(self) -> Tensor:
        """Return the part of the state that no change of precision reaches."""
        return torch.stack([self.usual, self.index.cpu().double()])

    def set_extra_state(self, state: Tensor) -> None:
        """Take it from another."""
        self.usual, index = state.cpu()
        self.columns = index.long().tolist()
        self.index.copy_(index.long())

    def _start(self, condition: Tensor) -> Tensor:
        return self.network(condition).to(self.offset.dtype) + self.offset
