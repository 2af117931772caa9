"""The graph of DeepCCA: a network per modality, a common network on top, decoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from skmm.nn._modality_networks import ModalityNetworks
from skmm.nn._rows import rows_of, scatter, take

Terms = dict[str, Tensor]
Loss = Callable[..., Terms | Tensor]


class Alignment(NamedTuple):
    """Codes of each modality (N, k), and, with decoders, errors of reconstruction (N,)."""

    codes: list[Tensor]
    errors: list[Tensor]


class AlignmentNetwork(ModalityNetworks):
    """Codes of several modalities.

    Parameters
    ----------
    common : Module, default=None
        Applied to the outputs of each encoder.
    **networks : dict
        Of `ModalityNetworks`.
    """

    def __init__(self, *, common: nn.Module | None = None, **networks: Any) -> None:
        super().__init__(**networks)
        self.common = nn.Identity() if common is None else common

    def forward(self, inputs: Mapping[str, Tensor], observed: Tensor | None = None) -> Alignment:
        """Encode all modalities; rows of a missing one get zeros."""
        codes, errors, rows = [], [], rows_of(observed)
        for m, name in enumerate(self.names):
            here, n_rows = rows.having(m), len(inputs[name])
            x = take(inputs[name], here)
            z = self.encode(m, x)
            if len(self.decoders):
                error = -self.mean_log_prob(m, z, self.target(m, x))
                errors.append(scatter(error, here, n_rows))
            codes.append(scatter(z, here, n_rows))
        return Alignment(codes, errors)

    def encode(self, m: int, x: Tensor) -> Tensor:
        """Return the codes (N, k) of one modality."""
        return self.common(self.features(m, x))


class AlignmentObjective(nn.Module):
    """The terms of DeepCCA's objective: of a loss of the codes, and of the reconstructions.

    Parameters
    ----------
    loss : callable
        ``loss(codes, observed=None)``: a dict of terms, or one tensor.
    names : sequence of str
        The modalities, in order.
    reconstruction_weight : float, default=0.0
        Weight of the mean error of each reconstruction.
    """

    def __init__(
        self, loss: Loss, names: Sequence[str], reconstruction_weight: float = 0.0
    ) -> None:
        super().__init__()
        self.loss = loss
        self.names = tuple(names)
        self.reconstruction_weight = reconstruction_weight

    def forward(
        self, outputs: Alignment, observed: Tensor | None = None, **inputs: object
    ) -> Terms:
        """Return the terms by name; the objective is their sum."""
        terms = self.loss(outputs.codes, observed=observed)
        terms = dict(terms) if isinstance(terms, Mapping) else {"objective": terms}
        for m, error in enumerate(outputs.errors):
            share = 1.0 if observed is None else len(error) / observed[:, m].sum().clamp(min=1)
            terms[f"reconstruction_{self.names[m]}"] = (
                self.reconstruction_weight * share * error.mean()
            )
        return terms
