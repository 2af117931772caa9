"""The graph of MultimodalAutoencoder: encoders, a fusion of their codes, decoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from skmm.nn._layers import GaussianNoise, ModalityDropout
from skmm.nn._modality_networks import ModalityNetworks
from skmm.nn._rows import rows_of, scatter, take
from skmm.nn._statistics import checked, mean, pairs, ridge_cholesky

Terms = dict[str, Tensor]


class Reconstruction(NamedTuple):
    """Log-likelihoods per column (N,) of each modality, and with alignment the code of each."""

    log_probs: list[Tensor]
    alone: list[Tensor]


class AutoencoderNetwork(ModalityNetworks):
    """A joint code of several modalities, and each modality from the joint code.

    Parameters
    ----------
    fusion : Module
        From the codes of the modalities, and which of them a row has, to the joint code.
    modality_dropout : float
        Probability with which a modality is hidden from the fusion in training.
    noise : float
        Standard deviation of the noise that is added to scaled inputs in training.
    aligned : bool
        Whether the codes from each modality alone are needed for the objective.
    **networks : dict
        Of `ModalityNetworks`.
    """

    def __init__(
        self,
        *,
        fusion: nn.Module,
        modality_dropout: float,
        noise: float,
        aligned: bool,
        **networks: Any,
    ) -> None:
        super().__init__(**networks)
        self.fusion = fusion
        self.hide = ModalityDropout(modality_dropout)
        self.noise = GaussianNoise(noise)
        self.aligned = aligned

    def forward(
        self, inputs: Mapping[str, Tensor], observed: Tensor | None = None
    ) -> Reconstruction:
        """Encode all modalities and reconstruct them from the joint code."""
        codes = self.encoded(inputs, observed, self.noise)
        visible = self.hide(observed, codes[0], len(codes))
        z = self.fusion(codes, visible)
        log_probs, rows = [], rows_of(observed)
        for m, name in enumerate(self.names):
            here = rows.having(m)
            target = self.target(m, take(inputs[name], here))
            values = self.mean_log_prob(m, take(z, here), target)
            log_probs.append(scatter(values, here, len(z)))
        alone = [self._alone(m, code) for m, code in enumerate(codes)] if self.aligned else []
        return Reconstruction(log_probs, alone)

    def encode(self, inputs: Mapping[str, Tensor], observed: Tensor | None = None) -> Tensor:
        """Return the joint codes (N, k); modalities that are not in `inputs` are missing."""
        return self.fusion(self.encoded(inputs, observed, self.noise), observed)

    def _alone(self, m: int, code: Tensor) -> Tensor:
        """Return the joint code of a modality by itself."""
        alone = torch.zeros(len(code), len(self.names), dtype=torch.bool, device=code.device)
        alone[:, m] = True
        return self.fusion([code] * len(self.names), alone)


class ReconstructionObjective(nn.Module):
    """The terms of the autoencoder's objective.

    Parameters
    ----------
    names : sequence of str
        The modalities, in order.
    weights : sequence of float
        Of the reconstruction of each.
    alignment_weight : float
        Of the disagreement of the codes from each modality alone.
    """

    def __init__(
        self, names: Sequence[str], weights: Sequence[float], alignment_weight: float
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        self.weights = list(weights)
        self.alignment_weight = alignment_weight

    def forward(
        self, outputs: Reconstruction, observed: Tensor | None = None, **inputs: object
    ) -> Terms:
        """Return the terms by name; the objective is their sum."""
        terms = {}
        for m, (name, values) in enumerate(zip(self.names, outputs.log_probs, strict=True)):
            # `values` are 0 where the modality is missing: the mean over rows that have it.
            share = 1.0 if observed is None else len(values) / observed[:, m].sum().clamp(min=1)
            terms[f"reconstruction_{name}"] = -self.weights[m] * share * values.mean()
        if outputs.alone:
            gap = disagreement(outputs.alone, observed)
            terms["alignment"] = self.alignment_weight * gap
        return terms


def disagreement(
    codes: Sequence[Tensor], observed: Tensor | None = None, reg_covar: float = 1e-4
) -> Tensor:
    r"""Return how far the codes of two modalities differ in the units of their common covariance.

    The mean over the pairs of :math:`E (a - b)^T S^{-1} (a - b) / 2k`, where S is the mean of the
    second moments of a and b about their common mean: one minus the whitened correlation. 0 says
    that they are equal, 1 that they are independent; it does not depend on the units of the codes.

    Parameters
    ----------
    codes : sequence of Tensors of shape (n_samples, n_components)
        The codes of each modality.
    observed : bool Tensor of shape (n_samples, n_modalities) or None, default=None
        Which rows have which modality. A pair is compared on the rows that have both.
    reg_covar : float, default=1e-4
        Ridge on S, as a fraction of its mean variance.
    """
    codes = checked(codes, observed, reg_covar=reg_covar)
    found = []
    for a, b in pairs(codes, observed):
        both = torch.cat([a, b])
        both = both - both.mean(dim=0)  # (2n, k)
        L = ridge_cholesky(both.T @ both / len(both), reg_covar)
        gap = torch.linalg.solve_triangular(L, (a - b).T, upper=False)  # (k, n), of unit scale
        found.append(gap.square().sum() / (2 * len(a) * a.shape[1]))
    return mean(found, codes)
