"""What the graphs of the deep estimators share: an encoder and a decoder for each modality."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributions as D
from torch import Tensor, nn

from skmm.nn._processes import Shared
from skmm.nn._rows import rows_of, spread, take


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
    >>> from skmm.nn._modality_networks import Standardize
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


class OneHot(nn.Module):
    """Classes, numbered from 0, as indicators.

    Parameters
    ----------
    n_classes : int
        Number of classes.
    dtype : torch.dtype, default=torch.float32
        Of the indicators.
    """

    indicators: Tensor

    def __init__(self, n_classes: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.register_buffer("indicators", torch.eye(n_classes, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Look up the indicators."""
        return self.indicators[x.flatten()]


class TokenIds(nn.Module):
    """Token ids as they are, and how many there are.

    Parameters
    ----------
    n_tokens : int
        Ids are 0, ..., `n_tokens` - 1: those of the encoder's vocabulary, or of `fit`.
    """

    def __init__(self, n_tokens: int) -> None:
        super().__init__()
        self.n_tokens = n_tokens

    def forward(self, x: Tensor) -> Tensor:
        """Return the ids."""
        return x


class ModalityNetworks(Shared):
    """An encoder of each modality, and, where there are any, decoders and likelihoods; abstract.

    Parameters
    ----------
    names : sequence of str
        The modalities, in order.
    scalers : sequence of Module
        `Standardize` for numbers, `OneHot` for classes, `TokenIds` for token ids.
    encoders : sequence of Module
        Of the modalities.
    decoders : sequence of Module, default=()
        From a code to the parameters of a likelihood.
    likelihoods : sequence of Module, default=()
        Of the standardised (gaussian, laplace) or original data given these parameters.
    shapes : sequence of tuple, default=()
        Of a sample of each modality; the decoders need it.
    limit : float, default=10.0
        Standardised data is clipped here before the encoders, so that a column that is nearly
        always constant does no harm.
    """

    def __init__(
        self,
        names: Sequence[str],
        scalers: Sequence[nn.Module],
        encoders: Sequence[nn.Module],
        decoders: Sequence[nn.Module] = (),
        likelihoods: Sequence[nn.Module] = (),
        shapes: Sequence[tuple[int, ...]] = (),
        *,
        limit: float = 10.0,
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        self.scalers = nn.ModuleList(scalers)
        self.encoders = nn.ModuleList(encoders)
        self.decoders = nn.ModuleList(decoders)
        self.likelihoods = nn.ModuleList(likelihoods)
        self.shapes = [tuple(shape) for shape in shapes]
        self.limit = limit

    def index(self, name: str) -> int:
        """Return the number of a modality."""
        return self.names.index(name)

    def presence(self, inputs: Mapping[str, Tensor], observed: Tensor | None) -> Tensor:
        """Return which rows have which modality (N, M)."""
        if observed is not None:
            return observed
        first = next(iter(inputs.values()))
        return torch.ones(len(first), len(self.names), dtype=torch.bool, device=first.device)

    def features(self, m: int, x: Tensor, noise: nn.Module | None = None) -> Tensor:
        """Return what the encoder of a modality gives; single NaN entries count as the mean."""
        x = self.scaled(m, x)
        if noise is not None and _is_float(x):
            x = noise(x)
        return self.encoders[m](x)

    def encoded(
        self,
        inputs: Mapping[str, Tensor],
        observed: Tensor | None = None,
        noise: nn.Module | None = None,
    ) -> list[Tensor]:
        """Return what each encoder gives; zeros for what a row, or all of `inputs`, lacks."""
        codes: list[Tensor | None] = []
        rows = rows_of(observed)
        for m, name in enumerate(self.names):
            if name not in inputs:
                codes.append(None)
                continue
            here, x = rows.having(m), inputs[name]
            codes.append(spread(self.features(m, take(x, here), noise), here, len(x)))
        blank = torch.zeros_like(next(code for code in codes if code is not None))
        return [blank if code is None else code for code in codes]

    def scaled(self, m: int, x: Tensor) -> Tensor:
        """Return the input of the encoder: scaled and clipped, the mean for NaN."""
        x = self.scalers[m](x)
        return x.nan_to_num(nan=0.0).clamp(-self.limit, self.limit) if _is_float(x) else x

    def density(self, m: int, z: Tensor) -> D.Distribution:
        """Return the distribution (n, width) of a modality given codes, of scaled data."""
        return self.likelihoods[m](self.decoders[m](z).flatten(1))

    def target(self, m: int, x: Tensor) -> Tensor:
        """Return what the likelihood of a modality is of: (n, width), NaN where unknown."""
        target = self.scalers[m](x) if self._is_scaled(m) else x
        return target.flatten(1) if target.dim() > 1 else target[:, None]

    def log_prob(self, m: int, z: Tensor, target: Tensor) -> Tensor:
        """Return the log-likelihood (n, width) of targets given codes, 0 where they are NaN."""
        density = self.density(m, z)
        if not _is_float(target):
            return density.log_prob(target)
        known = target.nan_to_num(nan=0.0)
        return density.log_prob(known).masked_fill(target.isnan(), 0.0)

    def expectation(self, m: int, z: Tensor) -> Tensor:
        """Return the expectation (n, width) of a modality given codes, in the original units.

        Of classes it is the probabilities (n, width, n_classes).
        """
        likelihood: Any = self.likelihoods[m]
        return self._original(m, likelihood.mean(self.decoders[m](z).flatten(1)))

    def draw(self, m: int, z: Tensor) -> Tensor:
        """Return a draw of a modality given codes, by torch's global generator of the CPU."""
        drawn = _on_cpu(self.density(m, z)).sample()
        return self._original(m, drawn.to(z.device))

    def _is_scaled(self, m: int) -> bool:
        likelihood: Any = self.likelihoods[m]
        return likelihood.standardised

    def _original(self, m: int, values: Tensor) -> Tensor:
        if not self._is_scaled(m):
            return values
        scaler: Any = self.scalers[m]
        return scaler.inverse(values.unflatten(1, self.shapes[m])).flatten(1)


def _on_cpu(density: D.Distribution) -> D.Distribution:
    """Return a distribution whose parameters, all its tensors, lie on the CPU."""
    there = copy.copy(density)
    parts = vars(there).items()
    vars(there).update({name: v.cpu() for name, v in parts if isinstance(v, Tensor)})
    return there


def _is_float(x: Tensor) -> bool:
    return x.is_floating_point()
