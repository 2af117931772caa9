"""Networks of one graph that train in step, each on rows of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Terms = dict[str, Tensor]
Inputs = Mapping[str, Tensor]


class Members(nn.Module):
    """Networks of the same graph, of which each has weights and rows of its own.

    Parameters
    ----------
    members : sequence of Module
        The networks.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(
        self, inputs: Sequence[Inputs], observed: Sequence[Tensor] | None = None
    ) -> list[Any]:
        """Return what each gives for its rows."""
        return [
            member(rows, **_mask(observed, k))
            for k, (member, rows) in enumerate(zip(self.members, inputs, strict=True))
        ]

    def ahead(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return mean and scale of the modalities that have to come standardised."""
        first: Any = self.members[0]
        return first.ahead()

    # The two sides of adversarial networks, and the moving average of one.

    @property
    def generator(self) -> nn.ModuleList:
        """The generators."""
        return nn.ModuleList([member.generator for member in members_of(self)])

    @property
    def discriminator(self) -> nn.ModuleList | None:
        """Their opponents, if there are any."""
        sides = [getattr(member, "discriminator", None) for member in self.members]
        return nn.ModuleList(side for side in sides if side is not None) or None

    def update_average(self, n_before: int) -> None:
        """Move the average of each towards its generator."""
        for member in members_of(self):
            member.update_average(n_before)


class MembersObjective(nn.Module):
    """The objectives of several networks: each term is the mean over them.

    Parameters
    ----------
    objectives : sequence of Module
        Of each network.
    """

    def __init__(self, objectives: Sequence[nn.Module]) -> None:
        super().__init__()
        self.objectives = nn.ModuleList(objectives)

    @property
    def progress(self) -> float:
        """Share of the training that is done, for objectives that change with it."""
        return float(getattr(self.objectives[0], "progress", 0.0))

    @progress.setter
    def progress(self, share: float) -> None:
        for objective in objectives_of(self):
            if hasattr(objective, "progress"):
                objective.progress = share

    def forward(
        self,
        outputs: Sequence[Any],
        observed: Sequence[Tensor] | None = None,
        inputs: Sequence[Inputs] | None = None,
    ) -> Terms:
        """Return the terms of the outputs of all."""
        return _mean(
            objective(found, **_mask(observed, k))
            for k, (objective, found) in enumerate(zip(self.objectives, outputs, strict=True))
        )

    def generator(
        self, module: Any, inputs: Sequence[Inputs], observed: Sequence[Tensor] | None = None
    ) -> Terms:
        """Return the terms of the generators."""
        return self._side("generator", module, inputs, observed)

    def discriminator(
        self, module: Any, inputs: Sequence[Inputs], observed: Sequence[Tensor] | None = None
    ) -> Terms:
        """Return the terms of the discriminators."""
        return self._side("discriminator", module, inputs, observed)

    def _side(self, side: str, module: Any, inputs: Any, observed: Any) -> Terms:
        parts = zip(self.objectives, module.members, inputs, strict=True)
        return _mean(
            getattr(objective, side)(member, inputs=rows, **_mask(observed, k))
            for k, (objective, member, rows) in enumerate(parts)
        )


def _mask(observed: Sequence[Tensor] | None, k: int) -> dict[str, Tensor]:
    return {} if observed is None else {"observed": observed[k]}


def _mean(terms: Any) -> Terms:
    found = list(terms)
    return {name: torch.stack([each[name] for each in found]).mean() for name in found[0]}


def members_of(module: nn.Module) -> list[Any]:
    """Return the networks that train in step, or the only one."""
    return list(module.members) if isinstance(module, Members) else [module]


def objectives_of(objective: nn.Module) -> list[Any]:
    """Return the objective of each network that trains."""
    if isinstance(objective, MembersObjective):
        return list(objective.objectives)
    return [objective]
