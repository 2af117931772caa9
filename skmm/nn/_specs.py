"""Descriptions of networks that can be compared, hashed, copied and pickled, then built.

An estimator takes a description for each modality and calls it when it knows the shapes.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import NoReturn

from torch import nn

from skmm.nn._convolution import ConvDecoder, ConvEncoder
from skmm.nn._layers import FeedForward, check_sizes
from skmm.nn._tokens import TokenEncoder


@dataclass(frozen=True)
class MLP:
    r"""Description of dense networks from and to data of any shape.

    ``MLP(...)(input_shape, n_outputs)`` returns an encoder: a module that maps
    (n_samples, \*input_shape) to (n_samples, n_outputs). `decoder` returns the way back.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(512, 512)
        Widths of the hidden layers of the encoder, reversed in the decoder; ``()`` is a single
        linear map.
    activation : str, default="relu"
        A key of `ACTIVATIONS`.
    normalization : {"batch", "layer"} or None, default=None
        Between each hidden linear map and its activation.
    dropout : float, default=0.0
        Probability with which an output of a hidden layer is set to zero in training.
    residual : bool, default=False
        Whether each hidden layer is added to what comes into it (He et al. 2016), or to a linear
        map of it where the widths differ; deep networks then learn as easily as shallow ones.

    References
    ----------
    K. He et al., "Deep residual learning for image recognition", CVPR (2016).

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import MLP
    >>> mlp = MLP((32,), activation="tanh")
    >>> mlp.hidden_layer_sizes
    (32,)
    >>> mlp((4, 5), 3)(torch.zeros(2, 4, 5)).shape
    torch.Size([2, 3])
    >>> mlp.decoder(3, (4, 5))(torch.zeros(2, 3)).shape
    torch.Size([2, 4, 5])
    """

    hidden_layer_sizes: tuple[int, ...] = (512, 512)
    _: KW_ONLY
    activation: str = "relu"
    normalization: str | None = None
    dropout: float = 0.0
    residual: bool = False

    def __call__(self, input_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
        """Return the encoder."""
        network = FeedForward(math.prod(input_shape), n_outputs=n_outputs, **vars(self))
        return nn.Sequential(nn.Flatten(), network)

    def decoder(self, n_inputs: int, output_shape: tuple[int, ...]) -> nn.Module:
        r"""Return the decoder.

        Parameters
        ----------
        n_inputs : int
            Width of the codes.
        output_shape : tuple of int
            Of a sample.

        Returns
        -------
        module : torch.nn.Module
            Maps (n_samples, n_inputs) to (n_samples, \*output_shape).
        """
        check_sizes("hidden_layer_sizes", self.hidden_layer_sizes)
        options = vars(self) | {"hidden_layer_sizes": tuple(self.hidden_layer_sizes)[::-1]}
        network = FeedForward(n_inputs, n_outputs=math.prod(output_shape), **options)
        return nn.Sequential(network, nn.Unflatten(1, tuple(output_shape)))


@dataclass(frozen=True)
class Conv:
    """Description of convolutional networks from and to images (channels, height, width).

    ``Conv(...)(input_shape, n_outputs)`` returns a `ConvEncoder`, `decoder` a `ConvDecoder`.

    Parameters
    ----------
    channels : tuple of int, default=(32, 64)
        Channels after each block of the encoder, reversed in the decoder. A block halves height
        and width, rounded up.
    kernel_size : int, default=3
        Height and width of the kernels; odd.
    hidden_layer_sizes : tuple of int, default=(128,)
        Hidden layers between the smallest map and the codes.
    activation : str, default="relu"
        A key of `ACTIVATIONS`.
    normalization : {"batch", "layer"} or None, default="batch"
        Before each activation.
    dropout : float, default=0.0
        Probability with which a value is set to zero in training, in the smallest map and after
        hidden layers.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import Conv
    >>> conv = Conv((8, 16))
    >>> conv((1, 7, 5), 3)(torch.zeros(2, 1, 7, 5)).shape
    torch.Size([2, 3])
    >>> conv.decoder(3, (1, 7, 5))(torch.zeros(2, 3)).shape
    torch.Size([2, 1, 7, 5])
    """

    channels: tuple[int, ...] = (32, 64)
    _: KW_ONLY
    kernel_size: int = 3
    hidden_layer_sizes: tuple[int, ...] = (128,)
    activation: str = "relu"
    normalization: str | None = "batch"
    dropout: float = 0.0

    def __call__(self, input_shape: tuple[int, int, int], n_outputs: int) -> nn.Module:
        """Return the encoder."""
        return ConvEncoder(input_shape, n_outputs, **vars(self))

    def decoder(self, n_inputs: int, output_shape: tuple[int, int, int]) -> nn.Module:
        """Return the decoder.

        Parameters
        ----------
        n_inputs : int
            Width of the codes.
        output_shape : tuple (C, H, W)
            Of an image.

        Returns
        -------
        module : ConvDecoder
            Maps (n_samples, n_inputs) to (n_samples, C, H, W).
        """
        return ConvDecoder(n_inputs, output_shape, **vars(self))


@dataclass(frozen=True)
class Tokens:
    """Description of an encoder of sequences of token ids.

    ``Tokens(...)(input_shape, n_outputs)`` returns a `TokenEncoder`, for sequences of any length.

    Parameters
    ----------
    vocabulary_size : int
        Ids are 0, ..., `vocabulary_size` - 1.
    embedding_dim : int, default=64
        Width of the embeddings.
    kind : {"lstm", "gru", "attention"}, default="lstm"
        Kind of the layers.
    hidden_size : int, default=64
        Width of the recurrent state or of the attention layers.
    n_layers : int, default=1
        Number of layers.
    n_heads : int, default=4
        Number of attention heads; divides `hidden_size`. Attention only.
    padding : int, default=0
        The id that fills up short sequences. It is ignored, wherever it stands.
    dropout : float, default=0.0
        Probability with which a value is set to zero in training: of embeddings, and of what the
        layers give.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import Tokens
    >>> Tokens(20, kind="gru")((6,), 3)(torch.ones(2, 6, dtype=torch.int64)).shape
    torch.Size([2, 3])
    """

    vocabulary_size: int
    _: KW_ONLY
    embedding_dim: int = 64
    kind: str = "lstm"
    hidden_size: int = 64
    n_layers: int = 1
    n_heads: int = 4
    padding: int = 0
    dropout: float = 0.0

    def __call__(self, input_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
        """Return the encoder."""
        if len(input_shape) != 1:
            raise ValueError(
                "Tokens takes one sequence of ids per sample, of shape (n_tokens,), got "
                f"{tuple(input_shape)!r}. Use MLP or Conv for anything else."
            )
        return TokenEncoder(n_outputs=n_outputs, **vars(self))

    def decoder(self, n_inputs: int, output_shape: tuple[int, ...]) -> NoReturn:
        """Refuse: token sequences cannot be decoded.

        Parameters
        ----------
        n_inputs : int
            Not used.
        output_shape : tuple of int
            Not used.

        Returns
        -------
        module : torch.nn.Module
            Never.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(
            f"Token sequences cannot be decoded ({self!r}): give this modality no reconstruction."
        )
