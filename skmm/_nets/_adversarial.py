"""The net with two sides: a generator, and a discriminator if the objective has one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from skorch.dataset import unpack_data

from skmm._nets._errors import enough_rows
from skmm._nets._net import Net
from skmm._nets._steps import Terms


class AdversarialNet(Net):
    """A net that trains the `generator` of its module against the module's `discriminator`.

    Its criterion has methods `generator` and `discriminator`, called as
    ``criterion.generator(module, **batch)``, that return the terms of each side; with a
    discriminator of None it has no turn. Each side has an optimizer of its own, of the same kind
    and settings. Called itself, the criterion judges what the module gives for validation rows.

    Parameters
    ----------
    module : torch.nn.Module
        With `generator`, `discriminator` and `update_average`, called with the number of steps
        before.
    criterion : torch.nn.Module
        The objectives.
    n_critic : int, default=1
        Steps of the discriminator per step of the generator.
    **kwargs : dict
        As in `Net`.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        criterion: torch.nn.Module,
        *,
        n_critic: int = 1,
        **kwargs: Any,
    ) -> None:
        self.n_critic = n_critic
        super().__init__(module, criterion, **kwargs)

    def initialize_optimizer(self) -> AdversarialNet:
        """Give each side an optimizer; by default one would move the parameters of both."""
        self.optimizer_ = self._optimizer_of(self.module_.generator)
        if self.module_.discriminator is not None:
            self.discriminator_optimizer_ = self._optimizer_of(self.module_.discriminator)
        return self

    def torch_compile(self, module: torch.nn.Module, name: str) -> torch.nn.Module:
        """Compile the generator; gradients of gradients cannot be compiled."""
        if self.compile and name == "module":
            generator: Any = module.generator
            generator.compile(**self.get_params_for("compile"))
        return module

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Make the steps of the discriminator, one of the generator and one of its average."""
        self._begin_step()
        arguments, _ = unpack_data(batch)
        weigh, terms = self._weigher(arguments), Terms()
        if self.module_.discriminator is not None:
            for _ in range(self.n_critic):
                with self._autocast(), enough_rows():
                    found = weigh(self.criterion_.discriminator(self.module_, **arguments))
                self._descend(self.discriminator_optimizer_, found, batch)
                terms |= found
        with self._autocast(), enough_rows(), _fixed(self.module_.discriminator):
            found = weigh(self.criterion_.generator(self.module_, **arguments))
            loss = self._descend(self.optimizer_, found, batch)
        self.module_.update_average(self._step - 1)
        terms = {name: term.detach() for name, term in (terms | found).items()}
        if self.processes is not None:
            sums = self.processes.sum(torch.stack([loss, *terms.values()]))
            loss, terms = sums[0], dict(zip(terms, sums[1:], strict=True))
        return {"loss": loss, "y_pred": None, "terms": terms}

    def _weigher(self, arguments: Mapping[str, Any]) -> Callable[[Terms], Terms]:
        """Return a function that weighs the terms of one process by its share of the batch's rows.

        All terms of both sides are means over rows: the sum over processes of the weighted ones is
        the mean over the whole batch.
        """
        if self.processes is None:
            return lambda terms: terms
        n_rows = len(next(iter(arguments["inputs"].values())))
        share = n_rows / self.processes.place(n_rows, self.device)[1]
        return lambda terms: {name: share * term for name, term in terms.items()}

    def _optimizer_of(self, side: torch.nn.Module) -> Any:
        args, kwargs = self.get_params_for_optimizer("optimizer", list(side.named_parameters()))
        return self.optimizer(*args, **kwargs)


@contextmanager
def _fixed(side: torch.nn.Module | None) -> Iterator[None]:
    """Spare the gradients of a side whose turn it is not."""
    parameters = [] if side is None else [p for p in side.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
