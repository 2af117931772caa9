"""Dense layers, dropout with its own generator, and a block of self-attention."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from skmm.nn._processes import Shared

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "identity": nn.Identity,
}
_NORMALIZATIONS: dict[str, type[nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


class FeedForward(nn.Module):
    """A linear map after hidden layers of linear map, normalization, activation and dropout.

    Parameters
    ----------
    n_inputs : int
        Width of what comes in.
    hidden_layer_sizes : sequence of int
        Widths of the hidden layers; ``()`` leaves a single linear map.
    n_outputs : int
        Width of what comes out.
    activation : str, default="relu"
        A key of `ACTIVATIONS`.
    normalization : {"batch", "layer"} or None, default=None
        Applied between each hidden linear map and its activation.
    dropout : float, default=0.0
        Probability with which an output of a hidden layer is set to zero in training.
    residual : bool, default=False
        Whether each hidden layer is added to what comes into it, or to a linear map of it where
        the widths differ.

    Attributes
    ----------
    hidden : torch.nn.Sequential
        The hidden layers.
    output : torch.nn.Linear
        The last linear map.

    Raises
    ------
    ValueError
        If a size is not a positive integer, `dropout` is not in [0, 1), or `activation` or
        `normalization` is unknown.

    Examples
    --------
    >>> from skmm.nn import FeedForward
    >>> FeedForward(3, (8,), 2, dropout=0.1)
    FeedForward(
      (hidden): Sequential(
        (0): Linear(in_features=3, out_features=8, bias=True)
        (1): ReLU()
        (2): Dropout(p=0.1)
      )
      (output): Linear(in_features=8, out_features=2, bias=True)
    )
    """

    def __init__(
        self,
        n_inputs: int,
        hidden_layer_sizes: Sequence[int],
        n_outputs: int,
        *,
        activation: str = "relu",
        normalization: str | None = None,
        dropout: float = 0.0,
        residual: bool = False,
    ) -> None:
        super().__init__()
        check_positive("n_inputs", n_inputs)
        check_positive("n_outputs", n_outputs)
        check_sizes("hidden_layer_sizes", hidden_layer_sizes)
        check_style(activation, normalization)
        layers: list[nn.Module] = []
        width = n_inputs
        for size in hidden_layer_sizes:
            # Normalization of a batch takes a bias out again, which would drift with rounding.
            layer: list[nn.Module] = [nn.Linear(width, size, bias=normalization != "batch")]
            if normalization is not None:
                layer.append(_NORMALIZATIONS[normalization](size))
            layer += [ACTIVATIONS[activation](), *dropout_layers(dropout)]
            layers += [Residual(layer, width, size)] if residual else layer
            width = size
        self.hidden = nn.Sequential(*layers)
        self.output = nn.Linear(width, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
            With ``normalization="batch"`` exactly so; else more leading axes may stand before.

        Returns
        -------
        y : Tensor of shape (n_samples, n_outputs)
            What the last linear map gives.
        """
        return self.output(self.hidden(x))


class Residual(nn.Module):
    """Layers whose outputs are added to what comes in, or to a linear map of it.

    Parameters
    ----------
    layers : sequence of Module
        From `n_inputs` to `n_outputs`.
    n_inputs, n_outputs : int
        Widths; where they are the same nothing is learnt of what comes in.
    """

    def __init__(self, layers: Sequence[nn.Module], n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        same = n_inputs == n_outputs
        self.skip = nn.Identity() if same else nn.Linear(n_inputs, n_outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Add both."""
        return self.skip(x) + self.layers(x)


class StochasticModule(Shared):
    """A module that draws random numbers from a generator of its own; abstract.

    The generator is no part of the state: copies and pickles have none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.generator: torch.Generator | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "generator": None}


class Dropout(StochasticModule):
    """Dropout that draws from a generator of its own.

    As `torch.nn.Dropout`, but without torch's global generator once `seed_draws` has been
    called. The generator is no part of the state: copies and pickles of the module have none.

    Parameters
    ----------
    p : float
        Probability with which a value is set to zero in training; in [0, 1).

    Attributes
    ----------
    generator : torch.Generator or None
        Where the draws come from; None is torch's global generator.

    Raises
    ------
    ValueError
        If `p` is not in [0, 1).

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import Dropout, seed_draws
    >>> dropout = Dropout(0.5)
    >>> seed_draws(dropout, torch.Generator().manual_seed(0))
    >>> sorted(set(dropout(torch.ones(100)).tolist()))
    [0.0, 2.0]
    >>> dropout.eval()(torch.ones(3))
    tensor([1., 1., 1.])
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout must be a probability in [0, 1), got {p!r}.")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Set values to zero in training and scale the others up; else do nothing.

        Parameters
        ----------
        x : Tensor
            Of any shape.

        Returns
        -------
        y : Tensor
            Of the same shape, with the same expectation.
        """
        if not self.training or self.p == 0:
            return x
        keep = self._filled(
            torch.empty_like(x), lambda e: e.bernoulli_(1 - self.p, generator=self.generator)
        )
        return x * keep.div_(1 - self.p)

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return f"p={self.p}"


class ModalityDropout(StochasticModule):
    """In training, hide modalities at random, but at least one stays in each row that has any.

    Parameters
    ----------
    p : float
        Probability with which a modality is hidden; in [0, 1).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, observed: Tensor | None, like: Tensor, n_modalities: int) -> Tensor | None:
        """Return which modalities (N, M) stay visible in the rows of `like`; None means all."""
        if not self.training or self.p == 0 or n_modalities == 1:
            return observed
        uniform = self._filled(
            torch.empty(len(like), n_modalities, device=like.device),
            lambda e: e.uniform_(generator=self.generator),
        )  # (N, M)
        if observed is not None:  # a missing modality cannot have the largest number
            uniform = uniform.masked_fill(~observed, -1.0)
        # The modality with the largest number always stays.
        visible = (uniform >= self.p) | (uniform == uniform.amax(dim=1, keepdim=True))
        return visible if observed is None else visible & observed


class GaussianNoise(StochasticModule):
    """In training, add normal noise.

    Parameters
    ----------
    scale : float
        Its standard deviation.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Add noise."""
        if not self.training or self.scale == 0:
            return x
        noise = self._filled(torch.empty_like(x), lambda e: e.normal_(generator=self.generator))
        return x + self.scale * noise


def seed_draws(module: nn.Module, generator: torch.Generator | None) -> None:
    """Let `Dropout`, and all other modules of skmm that draw, draw from a generator.

    Parameters
    ----------
    module : torch.nn.Module
        Searched with all that is inside.
    generator : torch.Generator or None
        On the device of the data that will pass; None is torch's global generator.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import FeedForward, seed_draws
    >>> network = FeedForward(2, (4,), 1, dropout=0.2)
    >>> seed_draws(network, torch.Generator().manual_seed(0))
    >>> network.hidden[-1].generator.initial_seed()
    0
    """
    for part in module.modules():
        if isinstance(part, StochasticModule):
            part.generator = generator


class AttentionBlock(nn.Module):
    """Self-attention and a feed-forward part, each after a norm and beside a skip path.

    torch's own block, and the dropout inside its attention, draw from the global generator.
    """

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        check_heads(width, n_heads)
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, n_heads, batch_first=True)
        self.dropout = Dropout(dropout)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            FeedForward(width, (4 * width,), width, activation="gelu", dropout=dropout),
            Dropout(dropout),
        )

    def forward(self, x: Tensor, ignored: Tensor) -> Tensor:
        """Map tokens (N, T, width) to the same shape; no row may be ignored throughout."""
        h = self.norm(x)
        h, _ = self.attention(h, h, h, key_padding_mask=ignored, need_weights=False)
        x = x + self.dropout(h)
        return x + self.feed_forward(x)


def dropout_layers(p: float) -> list[nn.Module]:
    """Return the layer, or nothing where it would do nothing."""
    return [Dropout(p)] if p else []


def check_style(activation: str, normalization: str | None) -> None:
    """Refuse unknown names of activations and normalizations."""
    check_choice("activation", activation, ACTIVATIONS)
    check_choice("normalization", normalization, (*_NORMALIZATIONS, None))


def check_choice(name: str, value: object, valid: Iterable[object]) -> None:
    """Refuse a value that is not among the valid ones."""
    valid = list(valid)
    if value not in valid:
        raise ValueError(f"{name} must be one of {valid!r}, got {value!r}.")


def at_least_single(x: Tensor) -> Tensor:
    """Return outputs of a network under autocast in the precision of losses."""
    return x.float() if x.dtype is torch.bfloat16 else x


def check_positive(name: str, value: object) -> None:
    """Refuse a value that is no positive integer."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}.")


def check_sizes(name: str, sizes: Sequence[int]) -> None:
    """Refuse a value that is no sequence of positive integers."""
    if isinstance(sizes, str) or not isinstance(sizes, Iterable):
        raise ValueError(f"{name} must be a tuple of integers such as (64, 32), got {sizes!r}.")
    for size in sizes:
        check_positive(f"Each of {name}={tuple(sizes)!r}", size)


def check_heads(width: int, n_heads: int) -> None:
    """Refuse a number of heads that does not divide the width."""
    check_positive("width", width)
    check_positive("n_heads", n_heads)
    if width % n_heads:
        raise ValueError(
            f"n_heads must divide the width of the attention, {width}; got {n_heads!r}."
        )
