"""The results of the steps of an epoch: outputs of batches, and terms of the objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Terms = dict[str, Tensor]
N_WAITING = 16  # steps whose terms are stored at once


def concatenate(parts: list[Any], join: Callable[[list[Tensor]], Tensor] = torch.cat) -> Any:
    """Join the outputs for several batches: tensors, or lists, tuples and dicts of them."""
    first = parts[0]
    if isinstance(first, Tensor):
        return join(parts)
    if isinstance(first, Mapping):
        return {key: concatenate([part[key] for part in parts], join) for key in first}
    if isinstance(first, tuple | list):
        joined = [concatenate(list(each), join) for each in zip(*parts, strict=True)]
        return type(first)(*joined) if hasattr(first, "_fields") else type(first)(joined)
    return first


class StepTerms:
    """The terms of the steps of an epoch, in one tensor.

    Small tensors that stay between large ones that go would cut the memory up, which would then
    grow with the number of steps.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._stored = torch.empty(0, 0)
        self._n_stored = 0
        self._waiting: list[Terms] = []

    def add(self, terms: Terms) -> StepTerms:
        """Add a step."""
        self.names = self.names or list(terms)
        self._waiting.append(terms)
        if len(self._waiting) == N_WAITING:
            self._store()
        return self

    def values(self) -> Tensor:
        """Return the terms (n_steps, n_terms)."""
        self._store()
        return self._stored[: self._n_stored]

    def _store(self) -> None:
        if not self._waiting:
            return
        rows = torch.stack([torch.stack([t[name] for name in self.names]) for t in self._waiting])
        end = self._n_stored + len(rows)
        if end > len(self._stored):
            longer = rows.new_empty(2 * end, len(self.names))
            if self._n_stored:
                longer[: self._n_stored] = self._stored[: self._n_stored]
            self._stored = longer
        self._stored[self._n_stored : end] = rows
        self._n_stored, self._waiting = end, []
