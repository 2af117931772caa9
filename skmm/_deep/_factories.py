"""Networks of modalities by factories: skmm's own, and a user's, which are tried first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from skmm._nets import build, private_generator
from skmm.nn import MLP, Conv, Tokens

Factory = Callable[..., nn.Module]


def check_factories(names: Sequence[str], role: str, asked: Any) -> Mapping[str, Any]:
    """Return the factories that `encoders` or `decoders` names; "auto" names none."""
    given: Mapping[str, Any] = {} if isinstance(asked, str) else asked
    if unknown := [name for name in given if name not in names]:
        raise ValueError(f"{role}s names {unknown!r}, but the modalities are {tuple(names)!r}.")
    sizes = "(input_shape, n_outputs)" if role == "encoder" else "(n_inputs, output_shape)"
    for name, factory in given.items():
        if not callable(factory) or isinstance(factory, nn.Module):
            raise TypeError(
                f"The {role} of modality {name!r} must be MLP, Conv or Tokens of skmm.nn, or a "
                f"function of {sizes} that returns a new module; got {factory!r}"
            )
    return given


def encoder(
    factory: Factory,
    name: str,
    shape: tuple[int, ...],
    n_outputs: int,
    seed: int,
    *,
    of_tokens: bool = False,
) -> nn.Module:
    """Return a network from samples of a shape; one that is not skmm's is tried on two of them."""
    made = _made("encoder", name, factory, (shape, n_outputs), seed)
    if not is_own(factory):
        outputs = _tried("encoder", name, made, shape, seed, of_tokens=of_tokens)
        if outputs != (2, n_outputs):
            raise ValueError(
                f"The encoder of modality {name!r} gives outputs of shape {outputs} for 2 rows, "
                f"but (2, {n_outputs}) is needed: its factory is called with (input_shape, "
                f"n_outputs) = ({shape}, {n_outputs})."
            )
    return made


def decoder(
    factory: Factory, name: str, n_inputs: int, shape: tuple[int, ...], seed: int
) -> nn.Module:
    """Return a network to samples of a shape; one that is not skmm's is tried on two codes."""
    made = _made("decoder", name, factory, (n_inputs, shape), seed)
    if not is_own(factory):
        outputs = _tried("decoder", name, made, (n_inputs,), seed)
        if outputs[:1] != (2,) or np.prod(outputs) != 2 * np.prod(shape, dtype=int):
            raise ValueError(
                f"The decoder of modality {name!r} gives outputs of shape {outputs} for 2 codes, "
                f"but {(2, *shape)} is needed: its factory is called with (n_inputs, "
                f"output_shape) = ({n_inputs}, {shape})."
            )
    return made


def is_own(factory: Any) -> bool:
    """Whether a factory is of skmm, so that its modules may be made without memory."""
    spec = getattr(factory, "__self__", factory)  # of the method `decoder`
    return isinstance(spec, MLP | Conv | Tokens)


def _made(role: str, name: str, factory: Factory, sizes: tuple[Any, Any], seed: int) -> nn.Module:
    """Return what a factory makes, or say whose it was that failed."""
    own = is_own(factory)
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
    *,
    of_tokens: bool = False,
) -> tuple[int, ...]:
    """Return the shape of what a module gives for two samples of zeros."""
    weights = next((w for w in module.parameters() if w.is_floating_point()), torch.empty(0))
    zeros = torch.zeros(2, *shape, dtype=torch.int64 if of_tokens else weights.dtype)
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
