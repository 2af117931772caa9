"""Convolutional networks from and to images of any height and width."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from skmm.nn._layers import (
    ACTIVATIONS,
    FeedForward,
    check_positive,
    check_sizes,
    check_style,
    dropout_layers,
)


class ConvEncoder(nn.Module):
    """Images to vectors: blocks of convolution and 2×2 max pooling, then a feed-forward head.

    A block is convolution, normalization, activation and pooling. Each halves height and width,
    rounded up, so that any size will do.

    Parameters
    ----------
    input_shape : tuple (C, H, W)
        Channels, height and width of an image.
    n_outputs : int
        Width of the result.
    channels : sequence of int, default=(32, 64)
        Channels after each block.
    kernel_size : int, default=3
        Height and width of the kernels; odd.
    hidden_layer_sizes : sequence of int, default=(128,)
        Hidden layers of the head.
    activation : str, default="relu"
        A key of `ACTIVATIONS`.
    normalization : {"batch", "layer"} or None, default="batch"
        Of blocks and head; "layer" takes all channels and pixels of an image together.
    dropout : float, default=0.0
        Probability with which a value is set to zero in training, after the last block and after
        each hidden layer of the head.

    Raises
    ------
    ValueError
        If `input_shape` has not three positive sizes, `kernel_size` is even, or another size or
        name is not valid.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import ConvEncoder
    >>> encoder = ConvEncoder((3, 7, 5), 10, channels=(8, 16))
    >>> encoder(torch.zeros(2, 3, 7, 5)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        n_outputs: int,
        *,
        channels: Sequence[int] = (32, 64),
        kernel_size: int = 3,
        hidden_layer_sizes: Sequence[int] = (128,),
        activation: str = "relu",
        normalization: str | None = "batch",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check(input_shape, channels, kernel_size, activation, normalization)
        widths = [input_shape[0], *channels]
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    *_block(n_in, n_out, kernel_size, activation, normalization),
                    nn.MaxPool2d(2, ceil_mode=True),
                )
                for n_in, n_out in pairwise(widths)
            )
        )
        height, width = _sizes(input_shape, len(channels))[-1]
        self.head = nn.Sequential(
            nn.Flatten(),
            *dropout_layers(dropout),
            FeedForward(
                widths[-1] * height * width,
                hidden_layer_sizes,
                n_outputs,
                activation=activation,
                normalization=normalization,
                dropout=dropout,
            ),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Encode images.

        Parameters
        ----------
        x : Tensor of shape (n_samples, C, H, W)
            The images.

        Returns
        -------
        y : Tensor of shape (n_samples, n_outputs)
            Their codes.
        """
        return self.head(self.blocks(x))


class ConvDecoder(nn.Module):
    """Vectors to images: the mirror of `ConvEncoder`.

    A feed-forward head gives the smallest map; each block then enlarges it, by nearest neighbours,
    to the size that the encoder had at that depth, and convolves [1]_.

    Parameters
    ----------
    n_inputs : int
        Width of what comes in.
    output_shape : tuple (C, H, W)
        Channels, height and width of an image.
    channels : sequence of int, default=(32, 64)
        As in the encoder: channels after each of its blocks.
    kernel_size : int, default=3
        Height and width of the kernels; odd.
    hidden_layer_sizes : sequence of int, default=(128,)
        As in the encoder; applied in reverse.
    activation : str, default="relu"
        A key of `ACTIVATIONS`.
    normalization : {"batch", "layer"} or None, default="batch"
        Of head and blocks, the last convolution excepted.
    dropout : float, default=0.0
        Probability with which a value is set to zero in training, after each hidden layer of the
        head and after the smallest map.

    Raises
    ------
    ValueError
        If `output_shape` has not three positive sizes, `kernel_size` is even, or another size or
        name is not valid.

    References
    ----------
    .. [1] A. Odena, V. Dumoulin and C. Olah, "Deconvolution and checkerboard artifacts",
       Distill, 2016.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import ConvDecoder
    >>> decoder = ConvDecoder(10, (3, 7, 5), channels=(8, 16))
    >>> decoder(torch.zeros(2, 10)).shape
    torch.Size([2, 3, 7, 5])
    """

    def __init__(
        self,
        n_inputs: int,
        output_shape: tuple[int, int, int],
        *,
        channels: Sequence[int] = (32, 64),
        kernel_size: int = 3,
        hidden_layer_sizes: Sequence[int] = (128,),
        activation: str = "relu",
        normalization: str | None = "batch",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check(output_shape, channels, kernel_size, activation, normalization)
        check_sizes("hidden_layer_sizes", hidden_layer_sizes)
        sizes = _sizes(output_shape, len(channels))
        smallest = ([output_shape[0], *channels][-1], *sizes[-1])
        self.head = nn.Sequential(
            FeedForward(
                n_inputs,
                tuple(hidden_layer_sizes)[::-1],
                smallest[0] * smallest[1] * smallest[2],
                activation=activation,
                normalization=normalization,
                dropout=dropout,
            ),
            nn.Unflatten(1, smallest),
        )
        self.blocks = nn.Sequential()
        if channels:
            start = [*_normalization(normalization, channels[-1]), ACTIVATIONS[activation]()]
            self.blocks.extend([*start, *dropout_layers(dropout)])
        steps = zip(pairwise([*channels[::-1], output_shape[0]]), sizes[-2::-1], strict=True)
        for depth, ((n_in, n_out), size) in enumerate(steps, start=1):
            block = _block(n_in, n_out, kernel_size, activation, normalization)
            if depth == len(channels):  # the last convolution stands alone, and needs its bias
                block = _block(n_in, n_out, kernel_size, activation, None)[:1]
            self.blocks.append(nn.Sequential(nn.Upsample(size=size), *block))

    def forward(self, z: Tensor) -> Tensor:
        """Decode vectors.

        Parameters
        ----------
        z : Tensor of shape (n_samples, n_inputs)
            The codes.

        Returns
        -------
        x : Tensor of shape (n_samples, C, H, W)
            Their images.
        """
        return self.blocks(self.head(z))


def _block(
    n_in: int, n_out: int, kernel_size: int, activation: str, normalization: str | None
) -> list[nn.Module]:
    return [
        nn.Conv2d(
            n_in, n_out, kernel_size, padding=kernel_size // 2, bias=normalization != "batch"
        ),
        *_normalization(normalization, n_out),
        ACTIVATIONS[activation](),
    ]


def _normalization(normalization: str | None, n_channels: int) -> list[nn.Module]:
    if normalization is None:
        return []
    if normalization == "batch":
        return [nn.BatchNorm2d(n_channels)]
    return [nn.GroupNorm(1, n_channels)]  # one group: layer normalization of maps


def _sizes(shape: tuple[int, int, int], depth: int) -> list[tuple[int, int]]:
    """Return height and width before and after each pooling."""
    sizes = [(shape[1], shape[2])]
    for _ in range(depth):
        height, width = sizes[-1]
        sizes.append((-(-height // 2), -(-width // 2)))
    return sizes


def _check(
    shape: tuple[int, ...],
    channels: Sequence[int],
    kernel_size: int,
    activation: str,
    normalization: str | None,
) -> None:
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(
            f"Convolutions take images of shape (channels, height, width), got {tuple(shape)!r}. "
            "Give images without channels one: X[:, None]. Use MLP for anything else."
        )
    check_sizes("channels", channels)
    check_positive("kernel_size", kernel_size)
    if kernel_size % 2 == 0:
        raise ValueError(
            f"kernel_size must be odd, so that kernels have a middle; got {kernel_size!r}."
        )
    check_style(activation, normalization)
