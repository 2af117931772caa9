"""Modules made from a seed, and used for prediction."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from skmm._modalities._chunks import USUAL, rows_within
from skmm._nets._data import TensorData
from skmm.nn import initialize

Array = np.ndarray
M = TypeVar("M", bound=nn.Module)
_GLOBAL_GENERATOR = threading.Lock()


def build(make: Callable[[], nn.Module], seed: int, *, own: bool = True) -> nn.Module:
    """Return a module whose weights depend on the seed alone.

    torch's layers start with draws from its global generator, so skmm's `own` are made without
    memory and filled afterwards. Others, whose makers may have filled them on purpose, have the
    global generator to themselves for a while.
    """
    if own:
        with torch.device("meta"):
            module = make()
        return initialize(module.to_empty(device="cpu"), torch.Generator().manual_seed(seed))
    with private_generator(seed):
        return make()


@contextmanager
def private_generator(seed: int) -> Iterator[None]:
    """Seed torch's global generator of the CPU for a while, and put it back."""
    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        yield


def in_precision(module: M, dtype: torch.dtype) -> M:
    """Return the module, or a copy if its weights are in another precision."""
    if next(module.parameters()).dtype == dtype:
        return module
    return _with_own_weights(module, {}).to(dtype)


def _with_own_weights(module: M, copies: dict[int, nn.Module]) -> M:
    """Return a copy whose parameters can be converted alone; all else is shared.

    A deep copy of all attributes of a small network takes longer than a prediction. Modules of
    other libraries are copied so: what they share is not known.
    """
    if id(module) in copies:  # registered in several places
        return cast(M, copies[id(module)])
    if not type(module).__module__.startswith(("torch.nn.modules.", "skmm.")):
        copies[id(module)] = copy.deepcopy(module)
        return cast(M, copies[id(module)])
    copies[id(module)] = new = module.__new__(type(module))
    vars(new).update(cast(dict[str, Any], module.__getstate__()))
    new._parameters = {
        name: None if value is None else nn.Parameter(value.detach(), requires_grad=False)
        for name, value in module._parameters.items()
    }
    new._buffers = dict(module._buffers)
    new._modules = {
        name: None if child is None else _with_own_weights(child, copies)
        for name, child in module._modules.items()
    }
    return new


def apply_in_chunks(
    function: Callable[..., Tensor], data: TensorData, n_rows: int | None = None
) -> Array:
    """Return ``function(inputs, observed)`` for all rows, evaluated for some at a time.

    `observed` is only passed where some rows lack a modality.
    """
    size = n_rows or n_rows_at_once(data.inputs)
    found = torch.empty(0)
    with torch.inference_mode():
        for i in range(0, max(1, len(data)), size):
            part = function(**data.batch(slice(i, i + size))[0])
            if i == 0:
                found = part.new_empty((len(data), *part.shape[1:]), device="cpu")
            found[i : i + size] = part
    return found.numpy()


def n_rows_at_once(inputs: Mapping[str, Tensor]) -> int:
    """Return how many rows make a chunk of bounded memory."""
    width = sum(math.prod(value.shape[1:]) for value in inputs.values())
    return min(8192, rows_within(USUAL, width, least=16))


def device_of(module: nn.Module) -> torch.device:
    """Return where a module's weights are."""
    return next(module.parameters()).device
