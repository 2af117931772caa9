"""Losses of conditional generators: adversarial ones, gradient penalties, the energy score."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

Rule = Callable[[Tensor, Tensor], Tensor]
FEW = 4  # draws of which all differences fit into memory; faster than distances from `cdist`

# Per name the losses of discriminator and generator, as functions of the discriminator's outputs
# (n,) for real and for generated targets of the same conditions. "relativistic" compares the two
# outputs of a row: the generator has to make its target look more real than the true one, so it
# is trained by the true targets too, and no mode can be dropped unnoticed.
ADVERSARIAL: dict[str, tuple[Rule, Rule]] = {
    "relativistic": (
        lambda real, fake: softplus(fake - real),
        lambda real, fake: softplus(real - fake),
    ),
    "wasserstein": (lambda real, fake: fake - real, lambda real, fake: -fake),
    "hinge": (lambda real, fake: relu(1 - real) + relu(1 + fake), lambda real, fake: -fake),
    "standard": (
        lambda real, fake: softplus(-real) + softplus(fake),
        lambda real, fake: softplus(-fake),
    ),
}


def zero_centred_penalty(
    critic: Callable[[Tensor, Tensor], Tensor], condition: Tensor, real: Tensor, fake: Tensor
) -> Tensor:
    r"""Return :math:`\frac{1}{2} E\|\nabla_y D(x, y)\|^2` summed over real and generated targets.

    R1 and R2 of Roth et al., "Stabilizing training of generative adversarial networks through
    regularization", NeurIPS 2017, as in Huang et al., "The GAN is dead; long live the GAN!",
    NeurIPS 2024.
    """
    # A gradient that vanishes at real and at generated targets lets the critic come to rest
    # where the two distributions agree; without it the training circles around that point.
    both = torch.cat([real, fake]).detach().requires_grad_()  # (2n, ...)
    gradient = _gradient(critic, torch.cat([condition, condition]), both)
    return gradient.square().sum() / (2 * len(real))


def unit_penalty(
    critic: Callable[[Tensor, Tensor], Tensor],
    condition: Tensor,
    real: Tensor,
    fake: Tensor,
    share: Tensor,
) -> Tensor:
    r"""Return :math:`E(\|\nabla_y D(x, y)\| - 1)^2` at points between real and generated targets.

    `share` (n,) says where they lie. Gulrajani et al., "Improved training of Wasserstein GANs",
    NeurIPS 2017, eq. 3.
    """
    share = share.reshape(-1, *[1] * (real.dim() - 1))  # (n, 1, ...)
    # The best critic has slope one along the lines between coupled points of the distributions.
    between = (share * real + (1 - share) * fake).detach().requires_grad_()
    squares = _gradient(critic, condition, between).flatten(1).square().sum(dim=1)
    return (root(squares) - 1).square().mean()


def energy_scores(target: Tensor, draws: Tensor) -> Tensor:
    r"""Return the energy score of each row: :math:`E|X - y| - \frac{1}{2} E|X - X'|`, unbiased.

    `target` is (n, ...), `draws` (m, n, ...) with two draws or more. Gneiting and Raftery,
    "Strictly proper scoring rules, prediction, and estimation", JASA 2007, eq. 22.
    """
    m, n = draws.shape[:2]
    draws, target = draws.reshape(m, n, -1), target.reshape(n, -1)
    error = (draws - target).norm(dim=2).mean(dim=0)  # (n,)
    # The m (m - 1) / 2 pairs of different draws, without those of a draw with itself: unbiased.
    if m <= FEW:
        first, second = torch.triu_indices(m, m, 1, device=draws.device)
        return error - (draws[first] - draws[second]).norm(dim=2).mean(dim=0) / 2
    flat = draws.transpose(0, 1)  # (n, m, width)
    return error - torch.cdist(flat, flat).sum(dim=(1, 2)) / (2 * m * (m - 1))


def log_scores(labels: Tensor, logits: Tensor) -> Tensor:
    """Return minus the logarithm (n,) of the mean over draws of the probabilities of labels (n,).

    `logits` is (m, n, n_classes). A proper score of labels that are drawn with these probabilities,
    Gneiting and Raftery, section 4.1.
    """
    logs = logits.log_softmax(dim=-1).logsumexp(dim=0) - math.log(len(logits))
    return -logs.gather(1, labels.long()[:, None])[:, 0]


def root(square: Tensor) -> Tensor:
    """Return the square root, whose derivative at 0 is finite."""
    return (square + torch.finfo(square.dtype).eps ** 2).sqrt()


def _gradient(
    critic: Callable[[Tensor, Tensor], Tensor], condition: Tensor, points: Tensor
) -> Tensor:
    """Return the critic's gradient (n, ...) with respect to the targets."""
    # The critic judges rows by themselves, so the gradient of the sum is that of each row.
    total = critic(condition, points).sum()
    (gradient,) = torch.autograd.grad(total, points, create_graph=True)  # it is minimised itself
    return gradient
