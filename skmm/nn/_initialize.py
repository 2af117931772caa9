"""Initial weights from an explicit generator."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

_Module = TypeVar("_Module", bound=nn.Module)


def initialize(module: _Module, generator: torch.Generator) -> _Module:
    r"""Draw every parameter of a module anew and reset every buffer, without global state.

    The distributions are the defaults of torch. Weights of linear maps and convolutions, and their
    biases, are uniform on :math:`\pm 1/\sqrt{f}` with the number :math:`f` of inputs of a
    unit (He's rule with :math:`a = \sqrt{5}` [1]_); recurrent layers on
    :math:`\pm 1/\sqrt{h}` with their hidden size; embeddings are standard normal, that of the
    padding zero; attention follows Glorot [2]_. Normalizations start as identities. Layers of
    other types state theirs in a method ``reset_parameters(generator)``.

    It serves modules that were made without memory:
    ``with torch.device("meta"): module = make()``, then
    ``initialize(module.to_empty(device="cpu"), generator)`` never touches torch's global generator.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place.
    generator : torch.Generator
        On the device of the module.

    Returns
    -------
    module : torch.nn.Module
        The same.

    Raises
    ------
    TypeError
        If the module contains parameters or buffers that it does not know how to fill, or plain
        attributes that are tensors without memory.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers", ICCV 2015, eq. 14.
    .. [2] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward
       neural networks", AISTATS 2010, eq. 16.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import initialize
    >>> layer = initialize(torch.nn.Linear(4, 1), torch.Generator().manual_seed(0))
    >>> again = initialize(torch.nn.Linear(4, 1), torch.Generator().manual_seed(0))
    >>> torch.equal(layer.weight, again.weight)
    True
    """
    for part in module.modules():
        if lost := [k for k, v in vars(part).items() if isinstance(v, Tensor) and v.is_meta]:
            raise TypeError(
                f"initialize cannot fill {lost!r} of {type(part).__name__}, made without memory "
                "as plain attributes: register them as buffers."
            )
        own = {*part._parameters, *part._buffers}
        filled = _fill(part, generator) if own else set()
        if unknown := own - filled:
            raise TypeError(
                f"initialize does not know {sorted(unknown)!r} of {type(part).__name__}: give it "
                "a method reset_parameters(generator) that fills all its parameters and buffers."
            )
    return module


def _fill(part: nn.Module, generator: torch.Generator) -> set[str]:
    """Fill the tensors of one layer, not of its children; return their names."""
    # Types are compared exactly: a subclass may hold more, or mean something else by the same name.
    if (known := _FILLERS.get(type(part))) is not None:
        return known(part, generator)
    reset = getattr(part, "reset_parameters", None)
    if reset is None or "generator" not in inspect.signature(reset).parameters:
        return set()
    reset(generator)
    return {*part._parameters, *part._buffers}


def _linear(part: Any, generator: torch.Generator) -> set[str]:
    nn.init.kaiming_uniform_(part.weight, a=math.sqrt(5), generator=generator)
    if part.bias is not None:
        fan_in, _ = nn.init._calculate_fan_in_and_fan_out(part.weight)
        bound = 1 / math.sqrt(fan_in)
        nn.init.uniform_(part.bias, -bound, bound, generator=generator)
    return {"weight", "bias"}


def _attention_output(part: Any, generator: torch.Generator) -> set[str]:
    names = _linear(part, generator)
    if part.bias is not None:
        nn.init.zeros_(part.bias)
    return names


def _embedding(part: Any, generator: torch.Generator) -> set[str]:
    nn.init.normal_(part.weight, generator=generator)
    if part.padding_idx is not None:
        with torch.no_grad():
            part.weight[part.padding_idx].zero_()
    return {"weight"}


def _recurrent(part: Any, generator: torch.Generator) -> set[str]:
    bound = 1 / math.sqrt(part.hidden_size)
    for weight in part._parameters.values():
        nn.init.uniform_(weight, -bound, bound, generator=generator)
    return {*part._parameters}


def _attention(part: Any, generator: torch.Generator) -> set[str]:
    """Fill all but the output map, which is a child."""
    matrices = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
    for name in matrices:
        if getattr(part, name) is not None:
            nn.init.xavier_uniform_(getattr(part, name), generator=generator)
    for name in ("bias_k", "bias_v"):
        if getattr(part, name) is not None:
            nn.init.xavier_normal_(getattr(part, name), generator=generator)
    if part.in_proj_bias is not None:
        nn.init.zeros_(part.in_proj_bias)
    return {*matrices, "bias_k", "bias_v", "in_proj_bias"}


def _constant(part: Any, generator: torch.Generator) -> set[str]:
    """Fill a layer that starts without chance."""
    part.reset_parameters()
    return {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}


_Filler = Callable[[Any, torch.Generator], set[str]]
_FILLERS: dict[type[nn.Module], _Filler] = {
    NonDynamicallyQuantizableLinear: _attention_output,
    nn.MultiheadAttention: _attention,
    nn.Embedding: _embedding,
    **dict.fromkeys(
        (
            nn.Linear,
            nn.Conv1d,
            nn.Conv2d,
            nn.Conv3d,
            nn.ConvTranspose1d,
            nn.ConvTranspose2d,
            nn.ConvTranspose3d,
        ),
        _linear,
    ),
    **dict.fromkeys((nn.RNN, nn.LSTM, nn.GRU), _recurrent),
    **dict.fromkeys(
        (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm), _constant
    ),
}
