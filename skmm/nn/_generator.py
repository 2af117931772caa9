"""The generator of ConditionalGAN, its target, and encoders of its conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skmm.nn._adversarial_losses import energy_scores, log_scores
from skmm.nn._atoms import Atoms
from skmm.nn._layers import ModalityDropout, at_least_single
from skmm.nn._modality_networks import ModalityNetworks, OneHot, Standardize
from skmm.nn._rows import Rows, rows_of, scatter, take

Terms = dict[str, Tensor]


class Target(nn.Module):
    """The modality to generate: numbers, or indicators that are relaxed in training.

    Parameters
    ----------
    kind : {"numeric", "image", "count", "binary", "categorical"}
        Of the modality.
    standardize : Standardize
        Of its values, for labels of the indicators of their classes. Its `varies` has the shape of
        a sample.
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
        """Return outputs of a network in the units of the losses, differentiably."""
        if self.kind == "binary":
            raw = self.standardize(raw.sigmoid())
        elif self.kind == "categorical":
            raw = self.standardize(raw.softmax(dim=-1))
        return self._varying(raw)

    def energy(self, value: Tensor, raw: Tensor) -> Tensor:
        """Return the energy score (n,) of outputs of a network (m, n, ...) for true values."""
        return energy_scores(self.scaled(value), self.relaxed(raw))

    def scores(self, value: Tensor, raw: Tensor) -> Terms:
        """Return the score (n,) that trains a network with outputs (m, n, ...).

        The energy score; of labels the logarithm of their mean probability over the draws:
        distances of relaxed indicators teach next to nothing about rare labels.
        """
        if self.kind == "categorical":
            return {"log_score": log_scores(value.flatten(), raw)}
        return {"energy_score": self.energy(value, raw)}

    def values(self, raw: Tensor, uniform: Tensor | None) -> Tensor:
        """Return outputs of a network as values (..., width), labels as indicators.

        0 or 1, and the class, are drawn by `uniform` numbers (..., width) with the probabilities
        that the network gives; without such numbers the values are the probabilities.
        """
        if self.kind == "binary":
            p = raw.sigmoid()
            return p if uniform is None else (uniform < p).to(p.dtype)
        if self.kind == "categorical":
            p = raw.softmax(dim=-1)
            if uniform is None:
                return p
            # -log u is exponential; the class of the largest p / e is a draw with probabilities p.
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
        Of the output of each encoder.
    indicators : bool
        Whether to say in columns of their own which conditions a row has.
    filled : sequence of str, default=()
        Conditions that come with expectations where they are missing.
    **networks : dict
        As in `ModalityNetworks`.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int],
        indicators: bool,
        filled: Sequence[str] = (),
        **networks: Any,
    ) -> None:
        super().__init__(**networks)
        self.widths = tuple(widths)
        self.indicators = indicators
        self.filled = tuple(filled)

    def condition(self, inputs: Mapping[str, Tensor], observed: Tensor | None) -> Tensor:
        """Return the outputs of the encoders side by side.

        Zeros where a condition is missing, and not filled in.
        """
        rows = rows_of(observed)
        parts = [self._part(m, inputs, rows) for m in range(len(self.names))]
        if self.indicators:
            parts.append(self.presence(inputs, observed).to(parts[0].dtype))
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _part(self, m: int, inputs: Mapping[str, Tensor], rows: Rows) -> Tensor:
        x = inputs.get(self.names[m])
        if x is not None and self.names[m] in self.filled:
            return self.features(m, x)
        if x is None or not self._anywhere(rows, m):
            like, n_rows = next(self.parameters()), len(next(iter(inputs.values())))
            return like.new_zeros(n_rows, self.widths[m])
        here = rows.having(m)
        return scatter(self.features(m, take(x, here)), here, len(x))


class Generator(ConditionNetworks):
    """Conditions and noise to targets.

    Parameters
    ----------
    network : Module
        From conditions and noise (n, width + noise_dim) to targets (n, ...).
    target : Target
        The modality to generate.
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
        """Return the score (n,) of the probabilities of the true bits (1, n, n_columns)."""
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

        Without `uniform` numbers (m, n or 1, width) discrete values are their expectations; a
        generator with atoms needs these numbers.
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
