"""Rows for networks that train in step, each on some of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from skmm._nets._data import Batch, TensorData


class FoldData(torch.utils.data.Dataset):
    """The rows of each network; a batch has as many rows of each.

    An epoch goes once through the rows of the network that has the fewest; of the others some, by
    chance, wait for the next.

    Parameters
    ----------
    parts : sequence of TensorData
        The rows of each network.
    """

    def __init__(self, parts: Sequence[TensorData]) -> None:
        self.parts = list(parts)
        first = parts[0]
        self.device, self.inputs = first.device, first.inputs
        self.arrays, self.rows, self.observed = first.arrays, first.rows, first.observed

    def __len__(self) -> int:
        return min(map(len, self.parts))

    def order(self, generator: torch.Generator) -> Tensor:
        """Return the numbers of rows of each network (n, n_networks) in a random order."""
        orders = [part.order(generator)[: len(self)] for part in self.parts]
        return torch.stack(orders, dim=1)

    def batches(self, indices: Sequence[Tensor | slice]) -> Iterator[Batch]:
        """Yield one batch after the other."""
        return map(self.batch, indices)

    def batch(self, index: Tensor | slice) -> Batch:
        """Return some rows of each network, as lists of the arguments of its `forward`."""
        each = [
            part.batch(index[:, k] if isinstance(index, Tensor) else index)[0]
            for k, part in enumerate(self.parts)
        ]
        batch: dict[str, Any] = {name: [one[name] for one in each] for name in each[0]}
        return batch, torch.zeros(len(next(iter(each[0]["inputs"].values()))))
