"""Likelihoods: from the output of a decoder to a distribution of the data."""

from __future__ import annotations

import torch
import torch.distributions as D
from torch import Tensor, nn

from skmm.nn._layers import check_positive

_LARGEST_LOG_RATE = 20.0  # keeps rates and their logarithms finite in float32


class _Likelihood(nn.Module):
    """One parameter per column; abstract."""

    standardised = False

    def __init__(self, width: int) -> None:
        super().__init__()
        check_positive("width", width)
        self.width = width

    def n_parameters(self, width: int) -> int:
        """Return how many numbers a decoder has to give.

        Parameters
        ----------
        width : int
            Number of columns.

        Returns
        -------
        n_parameters : int
            Per sample.
        """
        return width

    def forward(self, parameters: Tensor) -> D.Distribution:
        """Return the distribution of the data.

        Parameters
        ----------
        parameters : Tensor of shape (n_samples, n_parameters)
            The output of a decoder.

        Returns
        -------
        distribution : torch.distributions.Distribution
            Of shape (n_samples, width): `log_prob` is per value.
        """
        raise NotImplementedError

    def _checked(self, parameters: Tensor) -> Tensor:
        """Refuse other shapes, which would broadcast against the data without a word."""
        expected = self.n_parameters(self.width)
        if parameters.dim() != 2 or parameters.shape[1] != expected:
            raise ValueError(
                f"{type(self).__name__} of {self.width} columns takes parameters of shape "
                f"(n_samples, {expected}), got {tuple(parameters.shape)!r}. Flatten them first."
            )
        return parameters

    def mean(self, parameters: Tensor) -> Tensor:
        """Return the expectation of the data.

        Parameters
        ----------
        parameters : Tensor of shape (n_samples, n_parameters)
            The output of a decoder.

        Returns
        -------
        mean : Tensor of shape (n_samples, width)
            The expectation of each value.
        """
        return self(parameters).mean

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return f"width={self.width}"


class _LocationScale(_Likelihood):
    """A location from the decoder, a scale per column that is learned; abstract."""

    standardised = True

    def __init__(self, width: int, *, min_scale: float = 1e-3) -> None:
        super().__init__(width)
        if not min_scale > 0:
            raise ValueError(f"min_scale must be positive, got {min_scale!r}.")
        self.min_scale = min_scale
        self.log_scale = nn.Parameter(torch.empty(width))
        self.reset_parameters()

    @property
    def scale(self) -> Tensor:
        """The scale of each column: `min_scale` plus the exponential of `log_scale`."""
        return self.min_scale + self.log_scale.exp()  # a sum, for a clamp has no gradient

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Set `log_scale` to zero.

        Parameters
        ----------
        generator : torch.Generator or None, default=None
            Not needed: nothing is drawn.
        """
        nn.init.zeros_(self.log_scale)


class GaussianLikelihood(_LocationScale):
    """Normal data: the decoder gives the means; the standard deviations are learned.

    Parameters
    ----------
    width : int
        Number of columns.
    min_scale : float, default=1e-3
        Added to the learned standard deviation, so that a density cannot grow without bound.

    Attributes
    ----------
    log_scale : torch.nn.Parameter of shape (width,)
        Logarithm of the standard deviation above `min_scale`.
    standardised : bool
        True: it is meant for data of mean 0 and variance 1.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import GaussianLikelihood
    >>> likelihood = GaussianLikelihood(3)
    >>> likelihood(torch.zeros(2, 3))
    Normal(loc: torch.Size([2, 3]), scale: torch.Size([2, 3]))
    """

    def forward(self, parameters: Tensor) -> D.Distribution:
        """Return the distribution of the data.

        Parameters
        ----------
        parameters : Tensor of shape (n_samples, width)
            The means.

        Returns
        -------
        distribution : torch.distributions.Normal
            Of shape (n_samples, width): `log_prob` is per value.
        """
        return D.Normal(self._checked(parameters), self.scale, validate_args=False)


class LaplaceLikelihood(_LocationScale):
    """Data with heavy tails: the decoder gives the medians; the scales are learned.

    Parameters
    ----------
    width : int
        Number of columns.
    min_scale : float, default=1e-3
        Added to the learned scale, so that a density cannot grow without bound.

    Attributes
    ----------
    log_scale : torch.nn.Parameter of shape (width,)
        Logarithm of the scale above `min_scale`.
    standardised : bool
        True: it is meant for data of mean 0 and variance 1.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import LaplaceLikelihood
    >>> LaplaceLikelihood(3)(torch.zeros(2, 3))
    Laplace(loc: torch.Size([2, 3]), scale: torch.Size([2, 3]))
    """

    def forward(self, parameters: Tensor) -> D.Distribution:
        """Return the distribution of the data.

        Parameters
        ----------
        parameters : Tensor of shape (n_samples, width)
            The medians.

        Returns
        -------
        distribution : torch.distributions.Laplace
            Of shape (n_samples, width): `log_prob` is per value.
        """
        return D.Laplace(self._checked(parameters), self.scale, validate_args=False)


class BernoulliLikelihood(_Likelihood):
    """Binary data: the decoder gives the logits.

    Values between 0 and 1 get the cross-entropy.

    Parameters
    ----------
    width : int
        Number of columns.

    Attributes
    ----------
    standardised : bool
        False: it is meant for the original data.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import BernoulliLikelihood
    >>> BernoulliLikelihood(2).mean(torch.zeros(1, 2))
    tensor([[0.5000, 0.5000]])
    """

    def forward(self, parameters: Tensor) -> D.Distribution:
        """Return the distribution of the data.

        Parameters
        ----------
        parameters : Tensor of shape (n_samples, width)
            The logits.

        Returns
        -------
        distribution : torch.distributions.Bernoulli
            Of shape (n_samples, width): `log_prob` is per value.
        """
        return D.Bernoulli(logits=self._checked(parameters), validate_args=False)


class PoissonLikelihood(_Likelihood):
    """Counts: the decoder gives the logarithms of the rates, which are kept within ±20.

    Parameters
    ----------
    width : int
        Number of columns.

    Attributes
    ----------
    standardised : bool
        False: it is meant for the original data.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import PoissonLikelihood
    >>> PoissonLikelihood(2).mean(torch.zeros(1, 2))
    tensor([[1., 1.]])
    """

    def forward(self, parameters: Tensor) -> D.Distribution:
        """Return the distribution of the data.

        Parameters
        ----------
        parameters : Tensor of shape (n_samples, width)
            The logarithms of the rates.

        Returns
        -------
        distribution : torch.distributions.Poisson
            Of shape (n_samples, width): `log_prob` is per value.
        """
        log_rate = self._checked(parameters).clamp(-_LARGEST_LOG_RATE, _LARGEST_LOG_RATE)
        return D.Poisson(log_rate.exp(), validate_args=False)


class CategoricalLikelihood(_Likelihood):
    """Classes, numbered from 0: the decoder gives the logits of each class of each column.

    Parameters
    ----------
    width : int
        Number of columns.
    n_classes : int
        Number of classes, the same for all columns.

    Attributes
    ----------
    standardised : bool
        False: it is meant for the original data.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import CategoricalLikelihood
    >>> likelihood = CategoricalLikelihood(1, n_classes=4)
    >>> likelihood.n_parameters(1)
    4
    >>> likelihood.mean(torch.zeros(1, 4))
    tensor([[[0.2500, 0.2500, 0.2500, 0.2500]]])
    """

    def __init__(self, width: int, n_classes: int) -> None:
        super().__init__(width)
        check_positive("n_classes", n_classes)
        self.n_classes = n_classes

    def n_parameters(self, width: int) -> int:
        """Return how many numbers a decoder has to give.

        Parameters
        ----------
        width : int
            Number of columns.

        Returns
        -------
        n_parameters : int
            Per sample.
        """
        return width * self.n_classes

    def forward(self, parameters: Tensor) -> D.Distribution:
        """Return the distribution of the data.

        Parameters
        ----------
        parameters : Tensor of shape (n_samples, width * n_classes)
            The logits: of all classes of the first column, then of the second, ...

        Returns
        -------
        distribution : torch.distributions.Categorical
            Of shape (n_samples, width): `log_prob` is per value. The values of a single column may
            also come as (n_samples,).
        """
        logits = self._checked(parameters).unflatten(1, (self.width, self.n_classes))
        return _Columns(logits=logits, validate_args=False)

    def mean(self, parameters: Tensor) -> Tensor:
        """Return the probabilities of the classes.

        Parameters
        ----------
        parameters : Tensor of shape (n_samples, width * n_classes)
            The output of a decoder.

        Returns
        -------
        mean : Tensor of shape (n_samples, width, n_classes)
            The expectation of each value, coded as indicators.
        """
        return self(parameters).probs

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return f"width={self.width}, n_classes={self.n_classes}"


class _Columns(D.Categorical):
    """Columns of classes; those of a single column may come without their axis."""

    def log_prob(self, value: Tensor) -> Tensor:
        # (n,) against (n, 1) would broadcast to (n, n).
        return super().log_prob(value[:, None] if value.dim() == 1 else value)


LIKELIHOODS: dict[str, type[_Likelihood]] = {
    "gaussian": GaussianLikelihood,
    "laplace": LaplaceLikelihood,
    "bernoulli": BernoulliLikelihood,
    "categorical": CategoricalLikelihood,
    "poisson": PoissonLikelihood,
}
