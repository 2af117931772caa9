"""Networks made by factories: skmm's own, and those of users, which are tried on two samples."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from skmm._deep._spec import ModalitySpec
from skmm._nets import build, private_generator
from skmm.nn import MLP, Conv, Tokens

Factory = Callable[..., nn.Module]


def encoder(factory: Factory, modality: ModalitySpec, n_outputs: int, seed: int) -> nn.Module:
    """Return a network from scaled samples to `n_outputs` numbers."""
    name, sizes = modality.name, (modality.encoder_shape, n_outputs)
    own = _is_own(factory)
    made = _made("encoder", name, factory, sizes, seed, own)
    if not own:
        dtype = torch.int64 if modality.kind == "tokens" else None
        outputs = _tried("encoder", name, made, modality.encoder_shape, seed, dtype)
        if outputs != (2, n_outputs):
            raise ValueError(
                f"The encoder of modality {name!r} gives outputs of shape {outputs} for 2 rows, "
                f"but (2, {n_outputs}) is needed: its factory is called with (input_shape, "
                f"n_outputs) = {sizes}."
            )
    return made


def decoder(factory: Factory, modality: ModalitySpec, n_inputs: int, seed: int) -> nn.Module:
    """Return a network from `n_inputs` numbers to the parameters of a likelihood."""
    name, shape = modality.name, modality.decoder_shape
    own = _is_own(factory)
    made = _made("decoder", name, factory, (n_inputs, shape), seed, own)
    if not own:
        outputs = _tried("decoder", name, made, (n_inputs,), seed)
        if outputs[:1] != (2,) or np.prod(outputs) != 2 * np.prod(shape, dtype=int):
            raise ValueError(
                f"The decoder of modality {name!r} gives outputs of shape {outputs} for 2 codes, "
                f"but {(2, *shape)} is needed: its factory is called with (n_inputs, "
                f"output_shape) = ({n_inputs}, {shape})."
            )
    return made


def _is_own(factory: Any) -> bool:
    """Whether a factory is of skmm, so that its modules may be made without memory."""
    spec = getattr(factory, "__self__", factory)  # of the method `decoder`
    return isinstance(spec, MLP | Conv | Tokens)


def _made(
    role: str, name: str, factory: Factory, sizes: tuple[Any, Any], seed: int, own: bool
) -> nn.Module:
    """Call a factory, and name the modality if it fails."""
    try:
        made = build(partial(factory, *sizes), seed, own=own)
    except Exception as error:
        if own:
            raise
        raise ValueError(
            f"The {role} of modality {name!r} cannot be made: its factory, called with {sizes}, "
            f"ended in {type(error).__name__}: {error}"
        ) from error
    if not isinstance(made, nn.Module):
        raise TypeError(
            f"The {role} of modality {name!r} is no module: its factory returned {made!r}."
        )
    return made


def _tried(
    role: str,
    name: str,
    module: nn.Module,
    shape: tuple[int, ...],
    seed: int,
    dtype: torch.dtype | None = None,
) -> tuple[int, ...]:
    """Return the shape of a module's outputs for two samples of zeros."""
    weights = next((w for w in module.parameters() if w.is_floating_point()), torch.empty(0))
    zeros = torch.zeros(2, *shape, dtype=dtype or weights.dtype)
    try:
        with private_generator(seed), torch.no_grad():
            outputs = module.eval()(zeros.to(weights.device))
    except Exception as error:
        raise ValueError(
            f"The {role} of modality {name!r} cannot take a batch of shape {tuple(zeros.shape)}: "
            f"{type(error).__name__}: {error}"
        ) from error
    finally:
        module.train()
    if not isinstance(outputs, torch.Tensor):
        raise TypeError(
            f"The {role} of modality {name!r} must give a tensor, got {type(outputs).__name__}."
        )
    return tuple(outputs.shape)
