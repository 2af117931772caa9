"""The graph of ConditionalGAN: generator, its average over training, discriminator."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from skmm.nn._adversarial_losses import (
    ADVERSARIAL,
    energy_scores,
    log_scores,
    unit_penalty,
    zero_centred_penalty,
)
from skmm.nn._atoms import Atoms
from skmm.nn._autoencoder import ModalityDropout
from skmm.nn._layers import Drawing, at_least_single
from skmm.nn._modality_networks import ModalityNetworks, OneHot, Standardize
from skmm.nn._rows import Rows, rows_of, send_mask, spread, take

Terms = dict[str, Tensor]
N_DRAWS_IN_VALIDATION = 20


class Target(nn.Module):
    """What is generated: numbers, or indicators that are relaxed in training.

    Parameters
    ----------
    kind : {"numeric", "image", "count", "binary", "categorical"}
        Of the modality.
    standardize : Standardize
        Of its values, for labels of the indicators of their classes. What varies is shaped as a
        sample.
    indicators : OneHot or None, default=None
        From labels to indicators.
    """

    def __init__(
        self,
        kind: str,
        standardize: Standardize,
        indicators: OneHot | None = None,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.standardize = standardize
        self.indicators = indicators

    def scaled(self, value: Tensor) -> Tensor:
        """Return true values in the units of the losses; constant columns are 0."""
        known = self.standardize(value if self.indicators is None else self.indicators(value))
        return self._varying(known)

    def relaxed(self, raw: Tensor) -> Tensor:
        """Return what a network gives in the units of the losses, differentiably."""
        if self.kind == "binary":
            raw = self.standardize(raw.sigmoid())
        elif self.kind == "categorical":
            raw = self.standardize(raw.softmax(dim=-1))
        return self._varying(raw)

    def energy(self, value: Tensor, raw: Tensor) -> Tensor:
        """Return the energy score (n,) of what a network gives (m, n, ...) for true values."""
        return energy_scores(self.scaled(value), self.relaxed(raw))

    def scores(self, value: Tensor, raw: Tensor) -> Terms:
        """Return the score (n,) of what a network gives (m, n, ...) that draws are trained by.

        The energy score; of labels the logarithm of their probability, the mean over the draws:
        distances of relaxed indicators teach next to nothing about rare labels.
        """
        if self.kind == "categorical":
            return {"log_score": log_scores(value.flatten(), raw)}
        return {"energy_score": self.energy(value, raw)}

    def values(self, raw: Tensor, uniform: Tensor | None) -> Tensor:
        """Return what a network gives as values (..., width), labels as indicators.

        0 or 1, and the class, are drawn by `uniform` numbers (..., width) with the probabilities
        that the network gives; without them the values are these.
        """
        if self.kind == "binary":
            p = raw.sigmoid()
            return p if uniform is None else (uniform < p).to(p.dtype)
        if self.kind == "categorical":
            p = raw.softmax(dim=-1)
            if uniform is None:
                return p
            # The largest of p / e for exponential e is a draw of the class.
            chosen = (p / -uniform.log()).argmax(dim=-1)
            return nn.functional.one_hot(chosen, p.shape[-1]).to(p.dtype)
        values = self.standardize.inverse(raw).flatten(2)
        return values.round().clamp(min=0) if self.kind == "count" else values

    def _varying(self, values: Tensor) -> Tensor:
        """Return standardised values in which constant columns are 0 and teach nothing."""
        varies = self.standardize.varies
        return values if varies is None else values.masked_fill(~varies, 0.0)


class ConditionNetworks(ModalityNetworks):
    """Encoders of the conditions, side by side; abstract.

    Parameters
    ----------
    widths : sequence of int
        Of what each encoder gives.
    indicators : bool
        Whether to say in columns of their own which conditions a row has.
    **networks : dict
        As in `ModalityNetworks`.
    """

    def __init__(self, *, widths: Sequence[int], indicators: bool, **networks: Any) -> None:
        super().__init__(**networks)
        self.widths = tuple(widths)
        self.indicators = indicators

    def condition(self, inputs: Mapping[str, Tensor], observed: Tensor | None) -> Tensor:
        """Return what the encoders give, side by side; zeros for what is missing."""
        rows = rows_of(observed)
        parts = [self._part(m, inputs[name], rows) for m, name in enumerate(self.names)]
        if self.indicators:
            parts.append(self.presence(inputs, observed).to(parts[0].dtype))
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _part(self, m: int, x: Tensor, rows: Rows) -> Tensor:
        if not self._anywhere(rows, m):
            return next(self.parameters()).new_zeros(len(x), self.widths[m])
        here = rows.having(m)
        return spread(self.features(m, take(x, here)), here, len(x))


class Generator(ConditionNetworks):
    """Conditions and noise to targets.

    Parameters
    ----------
    network : Module
        From conditions and noise (n, width + noise_dim) to targets (n, ...).
    target : Target
        What it generates.
    noise_dim : int
        Normal variables per draw.
    modality_dropout : float
        Probability with which a condition is hidden in training.
    atoms : Atoms or None, default=None
        Of columns of the target that have one value in nearly all rows. Their bits stand between
        conditions and noise.
    **networks : dict
        As in `ConditionNetworks`.
    """

    def __init__(
        self,
        network: nn.Module,
        target: Target,
        noise_dim: int,
        modality_dropout: float,
        atoms: Atoms | None = None,
        **networks: Any,
    ) -> None:
        super().__init__(**networks)
        self.atoms = atoms
        self.network = network
        self.output = target
        self.noise_dim = noise_dim
        self.dropout = ModalityDropout(modality_dropout)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        observed: Tensor | None,
        noise: Tensor,
        bits: Tensor | None = None,
    ) -> Tensor:
        """Return targets (m, n, ...) as the network gives them, for noise (m, n, noise_dim).

        With atoms `bits` (m or 1, n, n_columns) say which have the usual value.
        """
        condition = self.condition(inputs, observed)
        return self._generated(condition, noise, bits)

    def scores(
        self, inputs: Mapping[str, Tensor], observed: Tensor | None, bits: Tensor | None
    ) -> Terms:
        """Return what the true bits (1, n, n_columns) say of their probabilities, (n,)."""
        if self.atoms is None or bits is None:
            return {}
        condition = at_least_single(self.condition(inputs, observed))
        return {"rare_values": self.atoms.scores(condition, bits[0])}

    def bits(self, target: Tensor) -> Tensor | None:
        """Return which of true targets have the usual value (1, n, n_columns)."""
        return None if self.atoms is None else self.atoms.bits(self.output.scaled(target))[None]

    def values(
        self,
        inputs: Mapping[str, Tensor],
        observed: Tensor | None = None,
        *,
        noise: Tensor,
        uniform: Tensor | None = None,
    ) -> Tensor:
        """Return draws (n, m, width) in the original units, for noise (m, n or 1, noise_dim).

        Without `uniform` numbers (m, n or 1, width) what is discrete is given by its expectation;
        with atoms they have to be there.
        """
        condition = self.condition(inputs, observed)
        noise = noise.expand(-1, len(condition), -1)
        uniform = None if uniform is None else uniform.to(condition).expand(*noise.shape[:2], -1)
        if self.atoms is None or uniform is None:
            return self.output.values(self._generated(condition, noise), uniform).transpose(0, 1)
        bits = self.atoms.draw(condition, uniform[..., self.atoms.columns])
        values = self.output.values(self._generated(condition, noise, bits), uniform)
        return self.atoms.exact(values, bits).transpose(0, 1)

    def _generated(self, condition: Tensor, noise: Tensor, bits: Tensor | None = None) -> Tensor:
        parts = [condition.expand(len(noise), -1, -1), noise.to(condition)]
        if bits is not None:
            parts.insert(1, bits.to(condition).expand(len(noise), -1, -1))
        both = torch.cat(parts, dim=2)
        raw = self.network(both.flatten(0, 1)).unflatten(0, both.shape[:2])
        return raw if self.atoms is None or bits is None else self.atoms.put(raw, bits)


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


class Noise(Drawing):
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
        shape = (N_DRAWS_IN_VALIDATION, len(target), average.noise_dim)
        noise = self.noise(shape, target, 1, generator)
        return self.scores(average, inputs, self.seen(observed), noise)

    def scores(
        self,
        side: Generator,
        inputs: Mapping[str, Tensor],
        visible: Tensor | None,
        noise: Tensor,
    ) -> Terms:
        """Return scores (n,) of what a generator or its average makes of the noise (m, n, ...)."""
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
        if self._pairs is None:  # found once: it takes longer than what follows
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
    """What generator and discriminator minimise, as named terms.

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
