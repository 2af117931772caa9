"""The graph of ConditionalGAN: generator, its average over training, discriminator."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from skmm.nn._adversarial_losses import ADVERSARIAL, unit_penalty, zero_centred_penalty
from skmm.nn._discriminator import Discriminator
from skmm.nn._generator import Generator
from skmm.nn._layers import StochasticModule, at_least_single
from skmm.nn._modality_networks import OneHot, Standardize
from skmm.nn._rows import rows_of, send_mask

Terms = dict[str, Tensor]
N_DRAWS_IN_VALIDATION = 20  # at most, of few rows; of many rows at least:
FEWEST_DRAWS = 4
N_VALID = 2000  # draws of all rows that are enough together


class Noise(StochasticModule):
    """Standard normal numbers."""

    def forward(
        self,
        shape: tuple[int, ...],
        like: Tensor,
        dim: int = 0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw them for the rows along `dim`, on the device of `like`."""
        generator = generator or self.generator
        empty = torch.empty(shape, device=like.device)
        return self._filled(empty, lambda e: e.normal_(generator=generator), dim)


class ConditionalGANNetwork(nn.Module):
    """Generator, its average, discriminator.

    Parameters
    ----------
    names : sequence of str
        The modalities, in order: conditions and target.
    target : str
        The one to generate.
    generator : Generator
        Trained.
    discriminator : Discriminator or None
        Its opponent, if the loss has one.
    ema_decay : float
        Of the exponential moving average of the generator's weights.
    seed : int
        Of the noise in validation, the same in each epoch.
    """

    def __init__(
        self,
        names: Sequence[str],
        target: str,
        generator: Generator,
        discriminator: Discriminator | None,
        ema_decay: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        self.target = target
        self.conditions = [m for m, name in enumerate(names) if name != target]
        self.generator = generator
        self.discriminator = discriminator
        self.average = copy.deepcopy(generator).requires_grad_(False)
        self.ema_decay = ema_decay
        self._pairs: list[list[Tensor]] | None = None
        self.noise = Noise()
        self.seed = seed

    def forward(self, inputs: Mapping[str, Tensor], observed: Tensor | None = None) -> Terms:
        """Return the scores of the average generator for each row, for validation."""
        target, average = inputs[self.target], self.average
        generator = torch.Generator(target.device).manual_seed(self.seed)
        n_draws = max(FEWEST_DRAWS, min(N_VALID // max(1, len(target)), N_DRAWS_IN_VALIDATION))
        shape = (n_draws, len(target), average.noise_dim)
        noise = self.noise(shape, target, 1, generator)
        return self.scores(average, inputs, self.seen(observed), noise)

    def scores(
        self,
        side: Generator,
        inputs: Mapping[str, Tensor],
        visible: Tensor | None,
        noise: Tensor,
    ) -> Terms:
        """Return scores (n,) of the draws of a generator, or its average, for noise (m, n, ...)."""
        target = inputs[self.target]
        bits = side.bits(target)
        raw = at_least_single(side(inputs, visible, noise, bits))
        if self.discriminator is None:
            found = side.output.scores(target, raw)
        else:  # it drives the probabilities of labels to 0 and 1
            found = {"energy_score": side.output.energy(target, raw)}
        return found | side.scores(inputs, visible, bits)

    def ahead(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return mean and scale of the modalities that have to come standardised."""
        own = self.generator.output.standardize.ahead
        return self.generator.ahead() | ({} if own is None else {self.target: own})

    def seen(self, observed: Tensor | None) -> Tensor | None:
        """Return which conditions each row has."""
        if observed is None:
            return None
        mask: Any = rows_of(observed).mask
        return send_mask(mask[:, self.conditions], observed.device)

    def visible(self, inputs: Mapping[str, Tensor], observed: Tensor | None) -> Tensor | None:
        """Return which conditions of each row are shown in training."""
        like, seen = inputs[self.target], self.seen(observed)
        visible = self.generator.dropout(seen, like, len(self.conditions))
        if visible is None or visible is seen:
            return visible
        return send_mask(visible.cpu(), visible.device)  # waited for once, however many encode it

    def fresh(self, inputs: Mapping[str, Tensor], n: int) -> Tensor:
        """Return fresh noise (n, n_samples, noise_dim)."""
        target = inputs[self.target]
        return self.noise((n, len(target), self.generator.noise_dim), target, 1)

    def fake(self, inputs: Mapping[str, Tensor], visible: Tensor | None) -> Tensor:
        """Return a draw for each row, scaled and relaxed; with atoms given the true bits."""
        bits = self.generator.bits(inputs[self.target])
        raw = self.generator(inputs, visible, self.fresh(inputs, 1), bits)
        return self.generator.output.relaxed(at_least_single(raw))[0]

    def update_average(self, n_before: int) -> None:
        """Move the average towards the generator, after a step that `n_before` others preceded.

        In the first steps it moves faster, so that the start is forgotten.
        """
        if self._pairs is None:  # found once: the search takes longer than the update
            a, b = self.average, self.generator
            self._pairs = [[*a.parameters()], [*b.parameters()], _moving(a), _moving(b)]
        averages, weights, old, new = self._pairs
        decay = min(self.ema_decay, n_before / (9 + n_before))
        with torch.no_grad():
            torch._foreach_lerp_(averages, weights, 1 - decay)
            if old:
                torch._foreach_copy_(old, new)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pairs": None}


class AdversarialObjective(nn.Module):
    """The objectives of generator and discriminator, as named terms.

    Parameters
    ----------
    loss : {"energy", "relativistic", "wasserstein", "hinge", "standard"}
        "energy" has no discriminator.
    gradient_penalty : float
        Weight of the penalty on the discriminator's gradient.
    n_draws : int, default=4
        Draws per row for the energy score.
    """

    def __init__(self, loss: str, gradient_penalty: float, n_draws: int = 4) -> None:
        super().__init__()
        self.loss = loss
        self.gradient_penalty = gradient_penalty
        self.n_draws = n_draws

    def forward(self, scores: Terms, observed: Tensor | None = None) -> Terms:
        """Return the terms of validation."""
        return {name: score.mean() for name, score in scores.items()}

    def discriminator(
        self,
        module: ConditionalGANNetwork,
        inputs: Mapping[str, Tensor],
        observed: Tensor | None = None,
    ) -> Terms:
        """Return the discriminator's terms for a batch."""
        critic: Any = module.discriminator
        visible = module.visible(inputs, observed)
        real = module.generator.output.scaled(inputs[module.target])
        with torch.no_grad():
            fake = module.fake(inputs, visible)
        condition = critic.condition(inputs, visible)
        judged = critic(torch.cat([condition, condition]), torch.cat([real, fake])).chunk(2)
        terms = {"discriminator": ADVERSARIAL[self.loss][0](*judged).mean()}
        if self.gradient_penalty:
            penalty: Any = zero_centred_penalty
            if self.loss == "wasserstein":
                share = torch.special.ndtr(module.noise((len(real),), real)).to(real.dtype)
                penalty = partial(unit_penalty, share=share)
            terms["penalty"] = self.gradient_penalty * penalty(critic, condition, real, fake)
        return terms

    def generator(
        self,
        module: ConditionalGANNetwork,
        inputs: Mapping[str, Tensor],
        observed: Tensor | None = None,
    ) -> Terms:
        """Return the generator's terms for a batch."""
        visible = module.visible(inputs, observed)
        target, output = inputs[module.target], module.generator.output
        if self.loss == "energy":
            noise = module.fresh(inputs, self.n_draws)
            return self(module.scores(module.generator, inputs, visible, noise))
        critic: Any = module.discriminator
        real, fake = output.scaled(target), module.fake(inputs, visible)
        with torch.no_grad():
            condition = critic.condition(inputs, visible)
            judged = critic(condition, real) if self.loss == "relativistic" else real.new_zeros(())
        loss = ADVERSARIAL[self.loss][1](judged, critic(condition, fake))
        rare = module.generator.scores(inputs, visible, module.generator.bits(target))
        return {"generator": loss.mean(), **self(rare)}


def _moving(side: nn.Module) -> list[Tensor]:
    """Return buffers that training may change, as statistics of batches; scalers have none."""
    parts = [part for part in side.modules() if not isinstance(part, Standardize | OneHot)]
    return [buffer for part in parts for buffer in part.buffers(recurse=False)]
