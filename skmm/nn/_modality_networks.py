"""An encoder and a decoder for each modality: the base of the deep estimators' graphs."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributions as D
from torch import Tensor, nn

from skmm.nn._processes import Shared
from skmm.nn._rows import rows_of, scatter, take

FAR = 8.0  # standard deviations of an offset from which on rounding to single precision shows


class Standardize(nn.Module):
    """Subtract the mean and divide by the scale, which hold for a column or a channel.

    Parameters
    ----------
    mean : Tensor
        Broadcast to the shape of a sample.
    scale : Tensor
        Positive; of the same shape.
    low, high : Tensor, default=None
        Standardised values are kept between them before an encoder.
    varies : Tensor of bool, default=None
        Columns that are not constant, shaped as a sample; the others enter no likelihood. None
        says that all vary.
    dtype : torch.dtype, default=None
        Of the results; None is that of the mean.
    early : bool, default=False
        Whether data may come standardised, by `ahead`, from where they have all their digits.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn._modality_networks import Standardize
    >>> Standardize(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0]))(torch.tensor([[2.0, 4.0]]))
    tensor([[1., 1.]])
    """

    mean: Tensor
    scale: Tensor
    log_scale: Tensor
    low: Tensor | None
    high: Tensor | None
    varies: Tensor | None

    def __init__(
        self,
        mean: Tensor,
        scale: Tensor,
        low: Tensor | None = None,
        high: Tensor | None = None,
        varies: Tensor | None = None,
        *,
        dtype: torch.dtype | None = None,
        early: bool = False,
    ) -> None:
        super().__init__()
        dtype = dtype or mean.dtype
        self.early = early
        self.exact = torch.stack([mean, scale]).double()  # not a buffer: it keeps its precision
        self.register_buffer("low", None if low is None else low.to(dtype))
        self.register_buffer("high", None if high is None else high.to(dtype))
        self.register_buffer("varies", varies, persistent=False)
        if self.ahead is not None:
            mean, scale = torch.zeros_like(mean), torch.ones_like(scale)
        self.register_buffer("mean", mean.to(dtype))
        self.register_buffer("scale", scale.to(dtype))
        self.register_buffer("log_scale", self.exact[1].log().to(dtype))

    @property
    def ahead(self) -> tuple[Tensor, Tensor] | None:
        """Mean and scale to standardise by before anything is rounded, None if there is no need."""
        mean, scale = self.exact
        usual = torch.finfo(torch.float32)
        small, large = usual.tiny / usual.eps, usual.max * usual.eps
        far = (mean.abs() > FAR * scale) | (scale < small) | (scale > large)
        if self.low is not None and self.high is not None:  # of a constant nothing is used
            far &= (self.low < self.high).to(far.device)
        return (mean, scale) if self.early and bool(far.any()) else None

    def forward(self, x: Tensor) -> Tensor:
        """Standardise values that have not been standardised ahead."""
        return (x.to(self.mean.dtype) - self.mean) / self.scale

    def limited(self, x: Tensor) -> Tensor:
        """Return standardised values for an encoder: the mean for NaN, none far from training."""
        x = x.nan_to_num(nan=0.0)
        return x if self.low is None else x.clamp(self.low, self.high)

    def inverse(self, x: Tensor) -> Tensor:
        """Return to the original units, in double precision on the CPU."""
        mean, scale = self.exact
        return x.cpu() * scale + mean

    def counted(self, target: Tensor) -> Tensor:
        """Return flat targets of a likelihood, NaN in constant columns."""
        if self.varies is None:
            return target
        return target.to(self.mean.dtype).masked_fill(~self.varies.flatten(), torch.nan)

    def get_extra_state(self) -> Tensor:
        """Return the part of the state that no change of precision reaches."""
        return self.exact

    def set_extra_state(self, state: Tensor) -> None:
        """Take it from another."""
        self.exact = state.cpu()


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
    """

    def __init__(
        self,
        names: Sequence[str],
        scalers: Sequence[nn.Module],
        encoders: Sequence[nn.Module],
        decoders: Sequence[nn.Module] = (),
        likelihoods: Sequence[nn.Module] = (),
        shapes: Sequence[tuple[int, ...]] = (),
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        self.scalers = nn.ModuleList(scalers)
        self.encoders = nn.ModuleList(encoders)
        self.decoders = nn.ModuleList(decoders)
        self.likelihoods = nn.ModuleList(likelihoods)
        self.shapes = [tuple(shape) for shape in shapes]

    def index(self, name: str) -> int:
        """Return the number of a modality."""
        return self.names.index(name)

    def ahead(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return mean and scale of the modalities that have to come standardised."""
        found = zip(self.names, self.scalers, strict=True)
        return {n: s.ahead for n, s in found if isinstance(s, Standardize) and s.ahead is not None}

    def presence(self, inputs: Mapping[str, Tensor], observed: Tensor | None) -> Tensor:
        """Return which rows have which modality (N, M)."""
        if observed is not None:
            return observed
        first = next(iter(inputs.values()))
        return torch.ones(len(first), len(self.names), dtype=torch.bool, device=first.device)

    def features(self, m: int, x: Tensor, noise: nn.Module | None = None) -> Tensor:
        """Return the output of the encoder of a modality; single NaN entries count as the mean."""
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
        """Return the output of each encoder; zeros where a modality is missing, or in no row."""
        codes: list[Tensor | None] = []
        rows = rows_of(observed)
        for m, name in enumerate(self.names):
            if name not in inputs:
                codes.append(None)
                continue
            here, x = rows.having(m), inputs[name]
            codes.append(scatter(self.features(m, take(x, here), noise), here, len(x)))
        blank = torch.zeros_like(next(code for code in codes if code is not None))
        return [blank if code is None else code for code in codes]

    def scaled(self, m: int, x: Tensor) -> Tensor:
        """Return the input of the encoder: scaled and limited, the mean for NaN."""
        scaler = self.scalers[m]
        return scaler.limited(scaler(x)) if isinstance(scaler, Standardize) else scaler(x)

    def density(self, m: int, z: Tensor) -> D.Distribution:
        """Return the distribution (n, width) of a modality given codes, of scaled data."""
        return self.likelihoods[m](self.decoders[m](z).flatten(1))

    def target(self, m: int, x: Tensor) -> Tensor:
        """Return the data of the likelihood of a modality (n, width); NaN are left out."""
        scaler = self.scalers[m]
        target = scaler(x) if self._is_scaled(m) else x
        target = target.flatten(1) if target.dim() > 1 else target[:, None]
        return scaler.counted(target) if isinstance(scaler, Standardize) else target

    def log_prob(self, m: int, z: Tensor, target: Tensor) -> Tensor:
        """Return the log-likelihood (n, width) of targets given codes, 0 where they are NaN."""
        density = self.density(m, z)
        if not _is_float(target):
            return density.log_prob(target)
        known = target.nan_to_num(nan=0.0)
        return density.log_prob(known).masked_fill(target.isnan(), 0.0)

    def mean_log_prob(self, m: int, z: Tensor, target: Tensor) -> Tensor:
        """Return the log-likelihood (n,) of targets per column, of those that are not constant."""
        values, varies = self.log_prob(m, z, target), getattr(self.scalers[m], "varies", None)
        return values.mean(dim=1) if varies is None else values.sum(dim=1) / varies.sum().clamp(1)

    def expectation(self, m: int, z: Tensor) -> Tensor:
        """Return the expectation (n, width) of a modality given codes, in the original units.

        Of classes it is the probabilities (n, width, n_classes).
        """
        return self.original(m, self.scaled_expectation(m, z))

    def scaled_expectation(self, m: int, z: Tensor) -> Tensor:
        """Return the expectation (n, width) of the data of the likelihood, as it is scaled."""
        likelihood: Any = self.likelihoods[m]
        return likelihood.mean(self.decoders[m](z).flatten(1))

    def draw(self, m: int, z: Tensor) -> Tensor:
        """Return a draw of a modality given codes, by torch's global generator of the CPU."""
        drawn = _on_cpu(self.density(m, z)).sample()
        return self.original(m, drawn.to(z.device))

    def original(self, m: int, values: Tensor) -> Tensor:
        """Return scaled data of the likelihood (n, width) in the original units."""
        if not self._is_scaled(m):
            return values
        scaler: Any = self.scalers[m]
        return scaler.inverse(values.unflatten(1, self.shapes[m])).flatten(1)

    def _is_scaled(self, m: int) -> bool:
        likelihood: Any = self.likelihoods[m]
        return likelihood.standardised


def _on_cpu(density: D.Distribution) -> D.Distribution:
    """Return a distribution whose parameters, all its tensors, lie on the CPU."""
    there = copy.copy(density)
    parts = vars(there).items()
    vars(there).update({name: v.cpu() for name, v in parts if isinstance(v, Tensor)})
    return there


def _is_float(x: Tensor) -> bool:
    return x.is_floating_point()
