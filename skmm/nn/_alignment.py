"""The graph of DeepCCA: a network per modality, a common network on top, decoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

Terms = dict[str, Tensor]
Loss = Callable[..., Terms | Tensor]


class Alignment(NamedTuple):
    """Codes of each modality (N, k), and, with decoders, errors of reconstruction (N,)."""

    codes: list[Tensor]
    errors: list[Tensor]


class Standardize(nn.Module):
    """Subtract the mean and divide by the scale, which hold for a column or a channel.

    Parameters
    ----------
    mean : Tensor
        Broadcast to the shape of a sample.
    scale : Tensor
        Positive; of the same shape.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn._alignment import Standardize
    >>> Standardize(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0]))(torch.tensor([[2.0, 4.0]]))
    tensor([[1., 1.]])
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        """Standardise."""
        return (x.to(self.mean.dtype) - self.mean) / self.scale

    def inverse(self, x: Tensor) -> Tensor:
        """Return to the original units."""
        return x * self.scale + self.mean


class AlignmentNetwork(nn.Module):
    """Codes of several modalities.

    Parameters
    ----------
    names : sequence of str
        The modalities, in order.
    scalers : sequence of Module
        `Standardize`, or `torch.nn.Identity` for token ids.
    encoders : sequence of Module
        Of the modalities.
    common : Module, default=None
        Applied to what each encoder gives.
    decoders : sequence of Module, default=()
        From the codes to the parameters of a likelihood, flat.
    likelihoods : sequence of Module, default=()
        Of the standardised (gaussian, laplace) or original data given these parameters.
    shapes : sequence of tuple, default=()
        Of a sample of each modality; the decoders need it.
    limit : float, default=10.0
        Standardised data is clipped here, so that a column that is nearly always constant does no
        harm.
    """

    def __init__(
        self,
        names: Sequence[str],
        scalers: Sequence[nn.Module],
        encoders: Sequence[nn.Module],
        *,
        common: nn.Module | None = None,
        decoders: Sequence[nn.Module] = (),
        likelihoods: Sequence[nn.Module] = (),
        shapes: Sequence[tuple[int, ...]] = (),
        limit: float = 10.0,
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        self.scalers = nn.ModuleList(scalers)
        self.encoders = nn.ModuleList(encoders)
        self.common = nn.Identity() if common is None else common
        self.decoders = nn.ModuleList(decoders)
        self.likelihoods = nn.ModuleList(likelihoods)
        self.shapes = [tuple(shape) for shape in shapes]
        self.limit = limit

    def forward(self, inputs: Mapping[str, Tensor], observed: Tensor | None = None) -> Alignment:
        """Encode all modalities; rows of a missing one get zeros."""
        codes, errors = [], []
        for m, name in enumerate(self.names):
            x = inputs[name]
            here = None if observed is None else observed[:, m]
            x = x if here is None else x[here]
            z = self.encode(name, x)
            if len(self.decoders):
                errors.append(_spread(self.error(name, z, x), here))
            codes.append(_spread(z, here))
        return Alignment(codes, errors)

    def encode(self, name: str, x: Tensor) -> Tensor:
        """Return the codes (N, k) of one modality."""
        m = self.names.index(name)
        x = self.scalers[m](x)
        if x.is_floating_point():
            x = x.clamp(-self.limit, self.limit)
        return self.common(self.encoders[m](x))

    def decode(self, name: str, z: Tensor) -> Tensor:
        """Return the expectation of one modality given its codes, flat, in the original units."""
        m = self.names.index(name)
        return self._original(m, self._likelihood(m).mean(self.decoders[m](z).flatten(1)))

    def draw(self, name: str, z: Tensor) -> Tensor:
        """Return a draw of one modality given its codes, by torch's global generator."""
        m = self.names.index(name)
        return self._original(m, self.likelihoods[m](self.decoders[m](z).flatten(1)).sample())

    def _likelihood(self, m: int) -> Any:
        return self.likelihoods[m]

    def _original(self, m: int, values: Tensor) -> Tensor:
        if not self.likelihoods[m].standardised:
            return values
        scaler: Any = self.scalers[m]
        return scaler.inverse(values.unflatten(1, self.shapes[m])).flatten(1)

    def error(self, name: str, z: Tensor, x: Tensor) -> Tensor:
        """Return minus the log-likelihood of each row, per column."""
        m = self.names.index(name)
        target = self.scalers[m](x) if self.likelihoods[m].standardised else x
        density = self.likelihoods[m](self.decoders[m](z).flatten(1))
        return -density.log_prob(target.flatten(1)).mean(dim=1)


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


def _spread(values: Tensor, here: Tensor | None) -> Tensor:
    """Put the values of the observed rows in their places, zeros in the others."""
    if here is None:
        return values
    return values.new_zeros(len(here), *values.shape[1:]).masked_scatter(
        here.reshape(-1, *[1] * (values.dim() - 1)), values
    )
