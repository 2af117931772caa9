"""Posteriors of a latent vector given several modalities, and the bound that each one optimises.

Shapes: N rows, M modalities, k components, C normals of a mixture, K draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from skmm.nn._experts import kl_between, kl_to_prior, log_normal, product_of_experts

Normal = tuple[Tensor, Tensor]  # mean and log-variance (N, k)
Experts = tuple[list[Tensor], list[Tensor]]  # means and log-variances of each modality
# Weight of the KL divergences from single modalities (Hwang et al. 2021, section 4).
CONDITIONAL_SHARE = 0.9
# Weight of the KL divergences of "poe": at 1 a modality of pure noise makes the posterior collapse.
SUBSET_WEIGHT = 0.1
# Weight of the bound in which a random subset reconstructs all that the row has, used where
# modalities weigh differently: KL divergences of weight .1 then are too cheap beside a likelihood
# of weight 50 to teach the other experts. It bends the decoder, and costs likelihood.
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


class Draw(NamedTuple):
    """A posterior to draw from, and the weight (N,) of each row's reconstruction."""

    normal: Normal
    weight: Tensor


class Bound(NamedTuple):
    """The parts of the bound besides the likelihoods.

    `kl` (N, k) is weighted by beta and free bits; `experts` (N, k) is not, it only trains experts.
    """

    draws: list[Draw]
    kl: Tensor
    experts: Tensor


@dataclass(frozen=True)
class Batch:
    """The experts of a batch, and how to draw subsets of its modalities.

    Parameters
    ----------
    experts : tuple of lists of Tensors (N, k)
        Means and log-variances.
    observed : bool Tensor (N, M)
        Which rows have which modality.
    normal : tuple of Tensors (N, k) or None
        The posterior given all that rows have, if it is one normal.
    subsets : bool Tensor (C, M)
        The components of "moe" and "mopoe".
    random_subset : callable
        From `observed` to a random subset of it.
    predicts : bool
        For "poe": whether a random subset reconstructs the row as well.
    """

    experts: Experts
    observed: Tensor
    normal: Normal | None
    subsets: Tensor
    random_subset: Callable[[Tensor], Tensor]
    predicts: bool

    def given(self, seen: Tensor) -> Normal:
        """Return the product of the experts of the modalities that are seen (N, M)."""
        return product_of_experts(*self.experts, seen)

    def conditional_share(self) -> Tensor:
        """Return the weight (N,) of the KL divergence from each modality that a row has."""
        n_observed = self.observed.sum(dim=1).clamp(min=1)
        return CONDITIONAL_SHARE / n_observed.to(self.experts[0][0].dtype)


def moe_bound(batch: Batch) -> Bound:
    """Return the bound of a mixture of single modalities (Shi et al. 2019)."""
    n_rows = len(batch.observed)
    return _mixture_bound(batch, batch.subsets.expand(n_rows, -1, -1).transpose(0, 1))


def mopoe_bound(batch: Batch) -> Bound:
    """Return the bound of a mixture of products over all subsets (Sutter et al. 2021).

    M random subsets of each row stand for the 2^M - 1: the bound is the same in expectation.
    """
    n_modalities = batch.observed.shape[1]
    chosen = [batch.random_subset(batch.observed) for _ in range(n_modalities)]
    return _mixture_bound(batch, torch.stack(chosen))


def poe_bound(batch: Batch) -> Bound:
    """Return the bound of the product of all experts (Wu and Goodman 2018).

    The product alone would not train each expert: one that says nothing costs little as long as the
    others are there. So the KL divergences of the product from the experts of subsets are added.
    """
    normal: Any = batch.normal
    kl, n_modalities = kl_to_prior(*normal), batch.observed.shape[1]
    # Rows with few modalities say little of how modalities go together, and can be many: as in
    # "mvtcae" they weigh less. Complete rows have weight one.
    weight = 1 - batch.conditional_share()  # (N,)
    weight = weight / (1 - CONDITIONAL_SHARE / n_modalities)
    gap = SUBSET_WEIGHT * _subset_gap(normal, batch)  # (N, k)
    draws = [Draw(normal, weight)]
    kl = weight[:, None] * (kl + gap)
    if batch.predicts:
        seen = batch.random_subset(batch.observed)  # (N, M)
        part = batch.given(seen)
        # Where the subset is the whole row, its bound is the one above: it counts once.
        weight = PREDICTION_WEIGHT * weight * (seen != batch.observed).any(dim=1)
        draws.append(Draw(part, weight))
        kl = kl + weight[:, None] * kl_to_prior(*part)
    return Bound(draws, kl, torch.zeros_like(kl))


def joint_bound(batch: Batch) -> Bound:
    """Return the bound of a joint encoder, which experts learn to imitate (Suzuki et al. 2016).

    Where a row is complete the joint posterior is a fixed target for the experts: without the
    gradient it is not bent towards them. The product of incomplete rows is no fixed target:
    experts that all try to be as sure as their product grow without bound, so it moves as well.
    """
    complete = batch.observed.all(dim=1, keepdim=True)  # (N, 1)
    normal: Any = batch.normal
    kl, weight = kl_to_prior(*normal), torch.ones_like(normal[0][:, 0])
    mean, log_variance = (torch.where(complete, p.detach(), p) for p in normal)
    return Bound([Draw(normal, weight)], kl, _subset_gap((mean, log_variance), batch))


def mvtcae_bound(batch: Batch) -> Bound:
    """Return the bound on the total correlation of the modalities (Hwang et al. 2021, section 4).

    With a = CONDITIONAL_SHARE and n modalities in a row it is (1 - a/n) log-likelihood
    - (1 - a) KL(posterior, prior) - a/n times the sum of KL(posterior, expert m).
    """
    normal: Any = batch.normal
    observed, kl = batch.observed, kl_to_prior(*normal)
    share = batch.conditional_share()  # (N,)
    gap = torch.zeros_like(kl)
    for m in range(observed.shape[1]):
        alone = torch.zeros_like(observed)
        alone[:, m] = observed[:, m]
        weight = (observed[:, m] * share)[:, None]  # 0 where there is no such expert
        gap = gap + weight * kl_between(normal[0], normal[1], batch.given(alone))
    kl = (1 - CONDITIONAL_SHARE) * kl + gap
    return Bound([Draw(normal, 1 - share)], kl, torch.zeros_like(kl))


BOUNDS: dict[str, Callable[[Batch], Bound]] = {
    "poe": poe_bound,
    "moe": moe_bound,
    "mopoe": mopoe_bound,
    "mvtcae": mvtcae_bound,
    "joint": joint_bound,
}
MIXTURES = ("moe", "mopoe")


def _mixture_bound(batch: Batch, chosen: Tensor) -> Bound:
    """Return the mean of the bounds of components (C, N, M), those that a row can have.

    It is stratified: each component is drawn from once, instead of one component by chance, which
    has the same expectation and less variance.
    """
    observed = batch.observed
    usable = (chosen & ~observed).sum(dim=2) == 0  # (C, N): nothing in the component is missing
    weights = usable.to(batch.experts[0][0].dtype)
    weights = weights / weights.sum(dim=0).clamp(min=1)
    draws = [
        Draw(batch.given(seen & observed), weight)
        for seen, weight in zip(chosen, weights, strict=True)
    ]
    kl = [draw.weight[:, None] * kl_to_prior(*draw.normal) for draw in draws]
    total = torch.stack(kl).sum(dim=0)  # (N, k)
    return Bound(draws, total, torch.zeros_like(total))


def _subset_gap(normal: Normal, batch: Batch) -> Tensor:
    """Return the mean KL divergence (N, k) from single modalities and from a random subset."""
    observed = batch.observed
    n_modalities = observed.shape[1]
    if n_modalities == 1:
        return torch.zeros_like(normal[0])
    singles = torch.eye(n_modalities, dtype=torch.bool, device=observed.device)
    subsets = [observed & single for single in singles]
    if n_modalities > 2:  # of two modalities every subset is a single one, or all
        subsets.append(batch.random_subset(observed))
    some = torch.stack([seen.any(dim=1) for seen in subsets]).to(normal[0].dtype)  # (C, N)
    shares = (some / some.sum(dim=0).clamp(min=1))[:, :, None]
    kl = [kl_between(*normal, batch.given(seen)) for seen in subsets]
    return (shares * torch.stack(kl)).sum(dim=0)
