"""The graph of MultimodalVAE: experts, posteriors made of them, decoders."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from skmm.nn._experts import all_subsets, log_normal, product_of_experts
from skmm.nn._layers import StochasticModule
from skmm.nn._modality_networks import ModalityNetworks
from skmm.nn._posteriors import BOUNDS, MIXTURES, Batch, Experts, Mixture, Normal
from skmm.nn._rows import Rows, rows_of, scatter, take

Terms = dict[str, Tensor]
LARGEST = 12.0  # of a log-variance: beyond it precisions overflow


class Evidence(NamedTuple):
    """Parts of the bound, per row: weighted log-likelihoods (N,) and KL divergences (N, k)."""

    log_probs: list[Tensor]
    kl: Tensor
    experts: Tensor


class Reparameterise(StochasticModule):
    """Draws from normals: in training from the generator, else always the same ones."""

    def forward(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Draw once for each row."""
        generator = self.generator
        if not self.training:
            generator = torch.Generator(mean.device).manual_seed(0)
        noise = self._filled(torch.empty_like(mean), lambda e: e.normal_(generator=generator))
        return mean + (0.5 * log_variance).exp() * noise


class VAENetwork(ModalityNetworks):
    """Posteriors of a latent vector given any modalities, and the modalities given the vector.

    Parameters
    ----------
    n_components : int
        Size of the latent vector.
    posterior : {"poe", "moe", "mopoe", "mvtcae", "joint"}
        How the experts are combined.
    joint : Module or None
        For "joint": the encoder of all modalities, from the list of their scaled data.
    predicts : bool
        For "poe": whether a random subset reconstructs the row as well.
    **networks : dict
        Of `ModalityNetworks`; encoders give a mean and a log-variance.
    """

    subsets: Tensor

    def __init__(
        self,
        *,
        n_components: int,
        posterior: str,
        joint: nn.Module | None = None,
        predicts: bool = False,
        **networks: Any,
    ) -> None:
        super().__init__(**networks)
        self.n_components = n_components
        self.posterior_name = posterior
        self.joint = joint
        self.predicts = predicts
        self.reparameterise = Reparameterise()
        self.hide = RandomSubset()
        M = len(self.names)
        subsets = all_subsets(M) if posterior == "mopoe" else torch.eye(M, dtype=torch.bool)
        self.register_buffer("subsets", subsets, persistent=False)

    def forward(self, inputs: Mapping[str, Tensor], observed: Tensor | None = None) -> Evidence:
        """Return the parts of the bound for each row."""
        rows, batch = rows_of(observed), self._batch(inputs, observed)
        draws, kl, experts = BOUNDS[self.posterior_name](batch)
        codes = [self.reparameterise(*draw.normal) for draw in draws]
        weights = torch.stack([draw.weight for draw in draws])  # (n_draws, N)
        log_probs = []
        for m, name in enumerate(self.names):
            total = torch.zeros_like(kl[:, 0])
            if self._anywhere(rows, m):
                here = rows.having(m)
                # All draws go through the decoder at once, those of a draw one after the other.
                target = self.target(m, take(inputs[name], here)).repeat(len(codes), 1)
                z = torch.cat([take(code, here) for code in codes])
                values = self.log_prob(m, z, target).sum(dim=1).unflatten(0, (len(codes), -1))
                total = (scatter(values.T, here, len(kl)).T * weights).sum(dim=0)
            log_probs.append(total)
        return Evidence(log_probs, kl, experts)

    def posterior(self, inputs: Mapping[str, Tensor], observed: Tensor | None = None) -> Mixture:
        """Return the posterior given the observed modalities; without any it is the prior."""
        batch = self._batch(inputs, observed)
        if batch.normal is not None:
            mean, log_variance = batch.normal
            return Mixture(mean[None], log_variance[None], torch.zeros_like(mean[None, :, 0]))
        normals = [batch.given(batch.observed & subset) for subset in self.subsets]
        means, log_variances = (torch.stack(parts) for parts in zip(*normals, strict=True))
        return Mixture(means, log_variances, self._log_weights(batch.observed).to(means.dtype))

    def codes(self, inputs: Mapping[str, Tensor], observed: Tensor | None = None) -> Tensor:
        """Return the expectation (N, k) of the posterior."""
        return self.posterior(inputs, observed).mean()

    def log_evidence(
        self,
        inputs: Mapping[str, Tensor],
        observed: Tensor | None = None,
        *,
        noise: Tensor,
    ) -> Tensor:
        r"""Return an estimate (N,) of the log-likelihood of the observed data, in original units.

        It is :math:`\log \frac{1}{K} \sum_k p(x, z_k) / q(z_k \mid x)`, a lower bound in
        expectation (Burda et al. 2016), with as many draws from each part of a mixture and the
        density of the whole mixture in the denominator.

        Parameters
        ----------
        inputs : dict of str to Tensor
            The modalities that are there.
        observed : bool Tensor (N, M), default=None
            Which rows have which modality.
        noise : Tensor (K, k)
            Standard normal draws, the same for all rows and for each part of a mixture.
        """
        posterior = self.posterior(inputs, observed)
        full = self.presence(inputs, observed)
        C = len(posterior.means)
        z = posterior.at(noise)  # (C, K, N, k)
        log_ratio = log_normal(
            z, torch.zeros_like(z), torch.zeros_like(z)
        )  # of the prior, (C, K, N)
        log_ratio = log_ratio - posterior.log_density(z)
        for m, name in enumerate(self.names):
            rows = full[:, m]
            if name not in inputs or not rows.any():
                continue
            target = self.target(m, inputs[name][rows])
            codes = z[:, :, rows].flatten(0, 2)
            copies = C * len(noise)
            values = self.log_prob(m, codes, target.repeat(copies, 1))
            values = values.unflatten(0, (copies, -1)) - self.log_jacobian(m, target)
            values = values.sum(dim=2).unflatten(0, (C, -1))
            log_ratio = log_ratio.index_add(2, rows.nonzero()[:, 0], values)
        per_part = log_ratio.logsumexp(dim=1) - math.log(len(noise))  # (C, N)
        return (per_part + posterior.log_weights).logsumexp(dim=0)

    def log_jacobian(self, m: int, target: Tensor) -> Tensor | float:
        """Return the log-Jacobian (n, width) of scaling, 0 where NaN."""
        if not self._is_scaled(m):
            return 0.0
        scaler: Any = self.scalers[m]
        log_scale = scaler.log_scale.expand(self.shapes[m]).flatten()
        return log_scale.expand_as(target).masked_fill(target.isnan(), 0.0)

    def conditional_mean(
        self,
        inputs: Mapping[str, Tensor],
        observed: Tensor | None = None,
        *,
        m: int,
        noise: Tensor,
    ) -> Tensor:
        """Return the expectation of a modality given the observed ones: the mean over draws."""
        posterior = self.posterior(inputs, observed)
        z = posterior.at(noise)
        means = self.scaled_expectation(m, z.flatten(0, 2)).unflatten(0, z.shape[:3])
        weights = posterior.log_weights.exp()
        weights = weights.reshape(*weights.shape, *[1] * (means.dim() - 3))
        return self.original(m, (weights * means.mean(dim=1)).sum(dim=0))

    def precision_shares(self, inputs: Mapping[str, Tensor], observed: Tensor | None) -> Tensor:
        """Return the precision of the experts, 0 where missing, and of the prior: (M + 1, N, k)."""
        full = self.presence(inputs, observed)
        precisions = (-torch.stack(self._experts(inputs, observed)[1])).exp()  # (M, N, k)
        precisions = torch.where(full.T[:, :, None], precisions, 0.0)
        every = torch.cat([precisions, torch.ones_like(precisions[:1])])
        return every / every.sum(dim=0)

    def _batch(self, inputs: Mapping[str, Tensor], observed: Tensor | None) -> Batch:
        """Return the experts of a batch, and the posterior if it is one normal."""
        rows, full = rows_of(observed), self.presence(inputs, observed)
        experts = self._experts(inputs, observed)
        normal = None
        if self.posterior_name not in MIXTURES:
            normal = self._product(inputs, experts, full, rows)
        return Batch(experts, full, normal, self.subsets, self.hide, self.predicts)

    def _product(
        self, inputs: Mapping[str, Tensor], experts: Experts, full: Tensor, rows: Rows
    ) -> Normal:
        """Return the posterior that is one normal; complete rows may have their own encoder."""
        product, every = product_of_experts(*experts, full), range(len(self.names))
        if self.joint is None or not self._anywhere(rows, *every):
            return product
        here, complete = rows.having(*every), full.all(dim=1)[:, None]
        scaled = [self.scaled(m, take(inputs[name], here)) for m, name in enumerate(self.names)]
        mean, log_variance = _normal(scatter(self.joint(scaled), here, len(full)))
        return torch.where(complete, mean, product[0]), torch.where(
            complete, log_variance, product[1]
        )

    def _experts(self, inputs: Mapping[str, Tensor], observed: Tensor | None) -> Experts:
        normals = [_normal(parameters) for parameters in self.encoded(inputs, observed)]
        return [mean for mean, _ in normals], [log_variance for _, log_variance in normals]

    def _log_weights(self, full: Tensor) -> Tensor:
        """Return uniform weights (C, N) of the subsets that a row has; all if it has none."""
        usable = ((self.subsets[:, None] & ~full).sum(dim=2) == 0) | ~full.any(dim=1)
        return torch.where(usable, 0.0, -torch.inf) - usable.sum(dim=0).log()


class JointEncoder(nn.Module):
    """One normal from all modalities: an encoder for each, and a network on their outputs.

    Parameters
    ----------
    encoders : sequence of Module
        Of the scaled data of each modality.
    fusion : Module
        From the list of their outputs to a mean and a log-variance.
    """

    def __init__(self, encoders: Sequence[nn.Module], fusion: nn.Module) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.fusion = fusion

    def forward(self, scaled: Sequence[Tensor]) -> Tensor:
        """Encode."""
        parts = [encoder(x) for encoder, x in zip(self.encoders, scaled, strict=True)]
        return self.fusion(parts)


class RandomSubset(StochasticModule):
    """Random subsets of the modalities that rows have, never empty, all equally likely."""

    def forward(self, full: Tensor) -> Tensor:
        """Return a subset (N, M) for each row."""
        generator = self.generator
        if not self.training:
            generator = torch.Generator(full.device).manual_seed(0)
        empty = torch.empty(full.shape, device=full.device)
        return subsets_of(full, self._filled(empty, lambda e: e.uniform_(generator=generator)))


def subsets_of(full: Tensor, uniform: Tensor) -> Tensor:
    """Return the subsets (N, M) that uniform numbers (N, M) stand for, which are never empty.

    All 2^n - 1 subsets of n modalities are equally likely if the first modality of the subset is
    the r-th with probability 2^-r / (1 - 2^-n), and each later one is in it by a coin. The first
    number of a row chooses r; the others are the coins. It is not needed as a coin itself, since
    the first modality comes after no other.
    """
    rank = full.cumsum(dim=1).to(uniform.dtype)  # r: which of the observed ones a modality is
    until = (1 - torch.exp2(-rank)) / (1 - torch.exp2(-rank[:, -1:]))  # P(first <= r), (N, M)
    start = full & (uniform[:, :1] < until)  # the first and all behind
    first = start & (start.cumsum(dim=1) == 1)
    return first | (start & (uniform < 0.5))


class VAEObjective(nn.Module):
    """The terms of the negative bound.

    Parameters
    ----------
    names : sequence of str
        The modalities, in order.
    weights : sequence of float
        Of the log-likelihood of each.
    beta : float
        Weight of the KL divergences.
    kl_warmup : float
        Share of the training in which that weight rises from 0.
    free_bits : float
        Nats of each component's KL divergence that cost nothing.
    """

    def __init__(
        self,
        names: Sequence[str],
        weights: Sequence[float],
        *,
        beta: float,
        kl_warmup: float,
        free_bits: float,
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        self.weights = list(weights)
        self.beta = beta
        self.kl_warmup = kl_warmup
        self.free_bits = free_bits
        self.progress = 1.0

    def forward(self, outputs: Evidence, observed: Tensor | None = None, **inputs: object) -> Terms:
        """Return the terms by name; the objective is their sum."""
        terms = {
            f"reconstruction_{name}": -weight * values.mean()
            for name, weight, values in zip(
                self.names, self.weights, outputs.log_probs, strict=True
            )
        }
        beta = self.beta
        if self.training and self.progress < self.kl_warmup:
            beta = beta * self.progress / self.kl_warmup
        # Free bits: a component's mean over rows below the floor has no gradient.
        kl = outputs.kl.mean(dim=0)  # (k,)
        terms["divergence"] = beta * kl.clamp(min=self.free_bits).sum()
        terms["experts"] = outputs.experts.mean(dim=0).sum()
        return terms


def _normal(parameters: Tensor) -> Normal:
    mean, log_variance = parameters.chunk(2, dim=1)
    return mean, log_variance.clamp(-LARGEST, LARGEST)
