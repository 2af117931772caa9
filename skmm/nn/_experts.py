"""Posteriors of several modalities: products of experts, and mixtures of such products."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
import torch.distributions as D
from torch import Tensor


def product_of_experts(
    means: Sequence[Tensor],
    log_variances: Sequence[Tensor],
    observed: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Multiply normal experts with diagonal covariances and the standard normal prior.

    The precision of the product is :math:`1 + \sum_m v_m^{-1}`, its mean the sum of the means
    weighted by precision. A row that no expert has seen gets the prior.

    Parameters
    ----------
    means : sequence of Tensors of shape (n_samples, n_components)
        One per modality.
    log_variances : sequence of Tensors of shape (n_samples, n_components)
        Logarithms of the variances v.
    observed : bool Tensor of shape (n_samples, n_modalities) or None, default=None
        Which rows have which modality; the experts of other rows are ignored.

    Returns
    -------
    mean : Tensor of shape (n_samples, n_components)
        Of the product.
    log_variance : Tensor of shape (n_samples, n_components)
        Of the product.

    References
    ----------
    G. E. Hinton. Training products of experts by minimizing contrastive divergence. Neural
    Computation 14, 2002.
    M. Wu, N. Goodman. Multimodal generative models for scalable weakly-supervised learning.
    NeurIPS 2018, section 2.2.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import product_of_experts
    >>> mean, log_variance = product_of_experts([torch.tensor([[2.0]])], [torch.tensor([[0.0]])])
    >>> mean, log_variance.exp()
    (tensor([[1.]]), tensor([[0.5000]]))
    """
    precisions = (-torch.stack(tuple(log_variances))).exp()  # (M, N, k)
    stacked = torch.stack(tuple(means))
    if observed is not None:
        # A choice, not a product: whatever stands in rows without the modality, even NaN, is left
        # out, in gradients too. Precision 0 makes an expert say nothing.
        here = observed.T.unsqueeze(2)  # (M, N, 1)
        precisions = torch.where(here, precisions, 0.0)
        stacked = torch.where(here, stacked, 0.0)
    precision = 1 + precisions.sum(dim=0)  # (N, k); the prior has mean 0 and precision 1
    return (precisions * stacked).sum(dim=0) / precision, -precision.log()


def all_subsets(n_modalities: int) -> Tensor:
    """Return the subsets that are not empty, (2^M - 1, M) bool: single modalities come first."""
    rows = [row for row in product((False, True), repeat=n_modalities) if any(row)]
    return torch.tensor(sorted(rows, key=lambda row: (sum(row), [not r for r in row])))


def kl_to_prior(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the KL divergence of normals from the standard normal, per component, in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def kl_between(mean: Tensor, log_variance: Tensor, other: tuple[Tensor, Tensor]) -> Tensor:
    """Return the KL divergence of normals from others, per component, in nats."""
    gap = log_variance - other[1]
    return 0.5 * (gap.exp() + (mean - other[0]).square() * (-other[1]).exp() - 1 - gap)


def log_normal(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the log-density of independent normals, summed over components."""
    return D.Normal(mean, (0.5 * log_variance).exp(), validate_args=False).log_prob(z).sum(dim=-1)
