"""Nets in files: tensors return to where they were, or to the device nearest to that.

skorch would take all tensors to the device of the net, also those that have to stay on the
processor, or to the processor if there is no CUDA at all.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any

import torch

from skmm._nets._device import usable

State = dict[str, Any]
TENSORS = "__cuda_dependent_attributes__"  # skorch's name
TWICE = ("module", "criterion")  # parameters that skorch takes as they are


def packed(state: State, prefixes: Sequence[str]) -> State:
    """Return the state of a net for a pickle; modules that it holds twice are stored once."""
    inside = {key: value for key, value in state.items() if key.startswith(tuple(prefixes))}
    again = {name for name in TWICE if state[name] is inside.get(f"{name}_")}
    rest = {key: value for key, value in state.items() if key not in inside.keys() | again}
    return {**rest, TENSORS: pickle.dumps(inside)}


def unpacked(state: State) -> State:
    """Return the state of a net from a pickle."""
    state = {**state, "device": usable(state["device"])}
    state |= _Unpickler(io.BytesIO(state.pop(TENSORS))).load()
    return {**{name: state.get(f"{name}_") for name in TWICE}, **state}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return _storage
        return super().find_class(module, name)


def _storage(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), map_location=_restored, weights_only=True)


def _restored(storage: Any, location: str) -> Any:
    return torch.serialization.default_restore_location(storage, str(usable(location)))
