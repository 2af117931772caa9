"""The graph of MultimodalVAE: experts, posteriors made of them, decoders."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from skmm.nn._experts import all_subsets, kl_between, kl_to_prior, log_normal, product_of_experts
from skmm.nn._layers import Drawing
from skmm.nn._modality_networks import ModalityNetworks
from skmm.nn._rows import Rows, rows_of, spread, take

Terms = dict[str, Tensor]
Normal = tuple[Tensor, Tensor]  # mean and log-variance
Experts = tuple[list[Tensor], list[Tensor]]
LARGEST = 12.0  # of a log-variance: beyond it precisions overflow
# Share of the divergences from the experts of single modalities (Hwang et al. 2021, section 4).
CONDITIONAL_SHARE = 0.9
# Weight of the divergences of "poe": at 1 a modality of pure noise makes the posterior collapse.
SUBSET_WEIGHT = 0.1
# Weight of the bound in which a random subset reconstructs whatever the row has, where modalities
# weigh differently: divergences of weight .1 then are too cheap beside a likelihood of weight 50 to
# teach the other experts. It bends the decoder, and costs likelihood.
PREDICTION_WEIGHT = 0.2


class Mixture(NamedTuple):
    """Posterior: normals (C, N, k) and the logarithms of their weights (C, N)."""

    means: Tensor
    log_variances: Tensor
    log_weights: Tensor

    def mean(self) -> Tensor:
        """Return the expectation (N, k)."""
        return (self.log_weights.exp()[:, :, None] * self.means).sum(dim=0)

    def at(self, noise: Tensor) -> Tensor:
        """Return the points (C, K, N, k) of standard normal draws (K, k)."""
        scales = (0.5 * self.log_variances).exp()
        return self.means[:, None] + scales[:, None] * noise[:, None]

    def log_density(self, z: Tensor) -> Tensor:
        """Return the log-density (..., N) at points (..., N, k)."""
        parts = [
            weight + log_normal(z, mean, log_variance)
            for mean, log_variance, weight in zip(*self, strict=True)
        ]
        return torch.logsumexp(torch.stack(parts), dim=0)


class Evidence(NamedTuple):
    """Parts of the bound, per row: weighted log-likelihoods (N,) and divergences (N, k)."""

    log_probs: list[Tensor]
    divergence: Tensor
    experts: Tensor


class Draw(NamedTuple):
    """A posterior to draw from, and the weight of each row's reconstruction."""

    normal: Normal
    weight: Tensor


class Reparameterise(Drawing):
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
        self.kind = posterior
        self.joint = joint
        self.predicts = predicts
        self.draws = Reparameterise()
        self.hide = RandomSubset()
        M = len(self.names)
        subsets = all_subsets(M) if posterior == "mopoe" else torch.eye(M, dtype=torch.bool)
        self.register_buffer("subsets", subsets, persistent=False)

    def forward(self, inputs: Mapping[str, Tensor], observed: Tensor | None = None) -> Evidence:
        """Return the parts of the bound for each row."""
        rows, full = rows_of(observed), self.presence(inputs, observed)
        experts = self._experts(inputs, rows)
        draws, divergence, gap = self._plan(inputs, experts, full, rows)
        codes = [self.draws(*draw.normal) for draw in draws]
        weights = torch.stack([draw.weight for draw in draws])
        log_probs = []
        for m, name in enumerate(self.names):
            total = torch.zeros_like(divergence[:, 0])
            if self._anywhere(rows, m):
                here = rows.having(m)
                target = self.target(m, take(inputs[name], here)).repeat(len(codes), 1)
                z = torch.cat([take(code, here) for code in codes])
                values = self.log_prob(m, z, target).sum(dim=1).unflatten(0, (len(codes), -1))
                total = (spread(values.T, here, len(full)).T * weights).sum(dim=0)
            log_probs.append(total)
        return Evidence(log_probs, divergence, gap)

    def posterior(self, inputs: Mapping[str, Tensor], observed: Tensor | None = None) -> Mixture:
        """Return the posterior given what the rows have; without anything it is the prior."""
        rows, full = rows_of(observed), self.presence(inputs, observed)
        experts = self._experts(inputs, rows)
        if self.kind not in ("moe", "mopoe"):
            mean, log_variance = self._product(inputs, experts, full, rows)
            return Mixture(mean[None], log_variance[None], torch.zeros_like(mean[None, :, 0]))
        normals = [product_of_experts(*experts, full & subset) for subset in self.subsets]
        means, log_variances = (torch.stack(parts) for parts in zip(*normals, strict=True))
        return Mixture(means, log_variances, self._log_weights(full).to(means.dtype))

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
        r"""Return an estimate (N,) of the log-likelihood of what rows have, in original units.

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
        z = posterior.at(noise)
        log_ratio = log_normal(z, torch.zeros_like(z), torch.zeros_like(z))
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
        per_part = log_ratio.logsumexp(dim=1) - math.log(len(noise))
        return (per_part + posterior.log_weights).logsumexp(dim=0)

    def log_jacobian(self, m: int, target: Tensor) -> Tensor | float:
        """Return the logarithm (n, width) of what scaling divides densities by, 0 where NaN."""
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
        """Return the expectation of a modality given what rows have: the mean over draws."""
        posterior = self.posterior(inputs, observed)
        z = posterior.at(noise)
        means = self.scaled_expectation(m, z.flatten(0, 2)).unflatten(0, z.shape[:3])
        weights = posterior.log_weights.exp()
        weights = weights.reshape(*weights.shape, *[1] * (means.dim() - 3))
        return self.original(m, (weights * means.mean(dim=1)).sum(dim=0))

    def precision_shares(self, inputs: Mapping[str, Tensor], observed: Tensor | None) -> Tensor:
        """Return the precision of the experts, 0 where missing, and of the prior: (M + 1, N, k)."""
        full = self.presence(inputs, observed)
        precisions = (-torch.stack(self._experts(inputs, rows_of(observed))[1])).exp()
        precisions = torch.where(full.T[:, :, None], precisions, 0.0)
        every = torch.cat([precisions, torch.ones_like(precisions[:1])])
        return every / every.sum(dim=0)

    def _plan(
        self, inputs: Mapping[str, Tensor], experts: Experts, full: Tensor, rows: Rows
    ) -> tuple[list[Draw], Tensor, Tensor]:
        """Return what to draw and reconstruct, and the divergences (N, k) of the bound."""
        n_seen = full.sum(dim=1)
        one = torch.ones_like(experts[0][0][:, 0])
        if self.kind in ("moe", "mopoe"):
            chosen = self.subsets.expand(len(full), -1, -1).transpose(0, 1)
            if self.kind == "mopoe":
                chosen = torch.stack([self.hide(full) for _ in self.names])
            weights = ((chosen & ~full).sum(dim=2) == 0).to(one.dtype)
            weights = weights / weights.sum(dim=0).clamp(min=1)
            draws = [
                Draw(product_of_experts(*experts, subset & full), weight)
                for subset, weight in zip(chosen, weights, strict=True)
            ]
            parts = [draw.weight[:, None] * kl_to_prior(*draw.normal) for draw in draws]
            divergence = torch.stack(parts).sum(dim=0)
            return draws, divergence, torch.zeros_like(divergence)
        normal = self._product(inputs, experts, full, rows)
        kl = kl_to_prior(*normal)
        draw = Draw(normal, one)
        if self.kind == "poe":
            # Rows with few modalities say little of how modalities go together, and can be many:
            # as in "mvtcae" they weigh less.
            weight = 1 - CONDITIONAL_SHARE / n_seen.clamp(min=1).to(one.dtype)
            weight = weight / (1 - CONDITIONAL_SHARE / len(self.names))
            gap = SUBSET_WEIGHT * self._gap(normal, experts, full)
            draws = [draw._replace(weight=weight)]
            divergence = weight[:, None] * (kl + gap)
            if self.predicts:
                seen = self.hide(full)
                part = product_of_experts(*experts, seen)
                weight = PREDICTION_WEIGHT * weight * (seen != full).any(dim=1)
                draws.append(Draw(part, weight))
                divergence = divergence + weight[:, None] * kl_to_prior(*part)
            return draws, divergence, gap * 0
        if self.kind == "joint":
            # What has an encoder of its own is not bent. A product is no fixed target: experts
            # that all try to be as sure as their product grow without bound.
            fixed = full.all(dim=1, keepdim=True)
            mean, log_variance = (torch.where(fixed, part.detach(), part) for part in normal)
            return [draw], kl, self._gap((mean, log_variance), experts, full)
        # mvtcae
        share = CONDITIONAL_SHARE / n_seen.clamp(min=1).to(one.dtype)
        gap = torch.zeros_like(kl)
        for m in range(len(self.names)):
            alone = torch.zeros_like(full)
            alone[:, m] = full[:, m]
            single = product_of_experts(*experts, alone)
            gap = gap + (full[:, m] * share)[:, None] * kl_between(*normal, single)
        return [Draw(normal, 1 - share)], (1 - CONDITIONAL_SHARE) * kl + gap, gap * 0

    def _gap(self, normal: Normal, experts: Experts, full: Tensor) -> Tensor:
        """Return the mean divergence (N, k) from single modalities and from a random subset."""
        M = len(self.names)
        if M == 1:
            return torch.zeros_like(normal[0])
        singles = torch.eye(M, dtype=torch.bool, device=full.device)
        subsets = [full & single for single in singles]
        if M > 2:  # else the random one is none of its own
            subsets.append(self.hide(full))
        some = torch.stack([seen.any(dim=1) for seen in subsets]).to(normal[0].dtype)
        shares = (some / some.sum(dim=0).clamp(min=1))[:, :, None]
        parts = [kl_between(*normal, product_of_experts(*experts, seen)) for seen in subsets]
        return (shares * torch.stack(parts)).sum(dim=0)

    def _product(
        self, inputs: Mapping[str, Tensor], experts: Experts, full: Tensor, rows: Rows
    ) -> Normal:
        """Return the posterior that is one normal; complete rows may have their own encoder."""
        product, every = product_of_experts(*experts, full), range(len(self.names))
        if self.joint is None or not self._anywhere(rows, *every):
            return product
        here, complete = rows.having(*every), full.all(dim=1)[:, None]
        scaled = [self.scaled(m, take(inputs[name], here)) for m, name in enumerate(self.names)]
        mean, log_variance = _normal(spread(self.joint(scaled), here, len(full)))
        return torch.where(complete, mean, product[0]), torch.where(
            complete, log_variance, product[1]
        )

    def _experts(self, inputs: Mapping[str, Tensor], rows: Rows) -> Experts:
        found: list[Normal | None] = []
        for m, name in enumerate(self.names):
            if name not in inputs:
                found.append(None)
                continue
            here, x = rows.having(m), inputs[name]
            found.append(_normal(spread(self.features(m, take(x, here)), here, len(x))))
        blank = torch.zeros_like(next(normal[0] for normal in found if normal is not None))
        every = [(blank, blank) if normal is None else normal for normal in found]
        return [mean for mean, _ in every], [log_variance for _, log_variance in every]

    def _log_weights(self, full: Tensor) -> Tensor:
        """Return uniform weights (C, N) of the subsets that a row has; all if it has none."""
        usable = ((self.subsets[:, None] & ~full).sum(dim=2) == 0) | ~full.any(dim=1)
        return torch.where(usable, 0.0, -torch.inf) - usable.sum(dim=0).log()


class JointEncoder(nn.Module):
    """One normal from all modalities: an encoder for each, and a network on what they give.

    Parameters
    ----------
    encoders : sequence of Module
        Of the scaled data of each modality.
    fusion : Module
        From the list of what they give to a mean and a log-variance.
    """

    def __init__(self, encoders: Sequence[nn.Module], fusion: nn.Module) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.fusion = fusion

    def forward(self, scaled: Sequence[Tensor]) -> Tensor:
        """Encode."""
        parts = [encoder(x) for encoder, x in zip(self.encoders, scaled, strict=True)]
        return self.fusion(parts)


class RandomSubset(Drawing):
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

    Of n modalities the first of a subset is the r-th with probability 2^-r / (1 - 2^-n), whatever
    comes later is in it or not by a coin. The first number of a row says the r; it is not needed as
    a coin, for what stands first in a row follows no other.
    """
    rank = full.cumsum(dim=1).to(uniform.dtype)  # r, of what the row has
    until = (1 - torch.exp2(-rank)) / (1 - torch.exp2(-rank[:, -1:]))
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
        Weight of the divergences.
    kl_warmup : float
        Share of the training in which that weight rises from 0.
    free_bits : float
        Nats of each component's divergence that cost nothing.
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
        divergence = outputs.divergence.mean(dim=0)
        terms["divergence"] = beta * divergence.clamp(min=self.free_bits).sum()
        terms["experts"] = outputs.experts.mean(dim=0).sum()
        return terms


def _normal(parameters: Tensor) -> Normal:
    mean, log_variance = parameters.chunk(2, dim=1)
    return mean, log_variance.clamp(-LARGEST, LARGEST)
