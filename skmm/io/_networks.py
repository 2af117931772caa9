"""How networks are stored: tensors as arrays, modules as their class and attributes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skmm._nets import AdversarialNet, Net, usable
from skmm.io._codec import DECODERS, Decoder, Memo, Stored, decode, encode, encoder

NETS = {"torch net": Net, "torch adversarial net": AdversarialNet}
RECURRENT = {"LSTM": nn.LSTM, "GRU": nn.GRU}
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float16, torch.float32, torch.float64, torch.bfloat16),
        *(torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.bool),
        *(torch.complex64, torch.complex128),
    )
}
SETTINGS = ("lr", "max_epochs", "batch_size", "seed")  # of a net that can be read off it later
_UNUSED = vars(nn.Module())  # hooks that nobody has set, and the like


@encoder.register
def _(value: Tensor, memo: Memo) -> Stored:
    plain = value.detach().cpu().contiguous()
    name = str(plain.dtype).removeprefix("torch.")
    if name not in DTYPES or type(value) not in (Tensor, nn.Parameter):
        raise TypeError(f"skmm.io.dump cannot store a {type(value).__name__} of {value.dtype}.")
    if plain.dtype == torch.bfloat16:  # NumPy has none
        plain = plain.view(torch.int16)
    content = {
        "array": plain.numpy(),
        "dtype": name,
        "parameter": isinstance(value, nn.Parameter),
        "requires_grad": value.requires_grad,
    }
    return Stored("torch tensor", content)


@encoder.register
def _(value: nn.Module, memo: Memo) -> Stored:
    state = {
        name: encode(attribute, memo)
        for name, attribute in value.__getstate__().items()
        if not (name in _UNUSED and attribute in (None, {}))
    }
    return Stored("torch module", {"type": type(value), "state": state})


@encoder.register(nn.LSTM)
@encoder.register(nn.GRU)
def _(value: Any, memo: Memo) -> Stored:
    if type(value) not in RECURRENT.values():
        return encoder.dispatch(nn.Module)(value, memo)
    names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout")
    content = {
        "type": type(value).__name__,
        "options": {name: getattr(value, name) for name in (*names, "bidirectional")},
        "weights": encode(dict(value.named_parameters()), memo),
        "training": value.training,
    }
    return Stored("torch recurrent", content)


@encoder.register
def _(value: Net, memo: Memo) -> Stored:
    rows = [{k: v for k, v in row.items() if k != "batches"} for row in value.history]
    content = {
        "module": encode(value.module_, memo),
        "history": encode(rows, memo),
        "device": str(value.device),
        "interrupted": value.interrupted_,
        **{name: getattr(value, name) for name in SETTINGS},
    }
    is_adversarial = isinstance(value, AdversarialNet)
    return Stored("torch adversarial net" if is_adversarial else "torch net", content)


@encoder.register
def _(value: torch.device, memo: Memo) -> Stored:
    return Stored("torch device", str(value))


@encoder.register
def _(value: torch.dtype, memo: Memo) -> Stored:
    return Stored("torch dtype", str(value).removeprefix("torch."))


def _tensor(content: dict[str, Any], memo: Memo) -> Tensor:
    array, dtype = content["array"], _dtype(content["dtype"])
    expected = "int16" if dtype == torch.bfloat16 else content["dtype"]
    if not isinstance(array, np.ndarray) or array.dtype != expected:
        raise ValueError(
            f"{getattr(array, 'dtype', type(array).__name__)} stands where an array of "
            f"{expected} was expected."
        )
    tensor = torch.from_numpy(array).view(dtype)
    needs_gradient = bool(content["requires_grad"])
    if content["parameter"]:
        return nn.Parameter(tensor, requires_grad=needs_gradient)
    return tensor.requires_grad_(needs_gradient)


def _module(content: dict[str, Any], memo: Memo) -> nn.Module:
    kind = content["type"]
    if not isinstance(kind, type) or not issubclass(kind, nn.Module):
        raise ValueError(f"{kind!r} stands where a class of torch modules was expected.")
    module = kind.__new__(kind)
    module.__setstate__({**vars(nn.Module()), **decode(content["state"], memo)})
    return module


def _recurrent(content: dict[str, Any], memo: Memo) -> nn.Module:
    """Return an LSTM or GRU; torch's compiled loops trust the shapes of its weights."""
    if content["type"] not in RECURRENT:
        raise ValueError(f"{content['type']!r} is none of {sorted(RECURRENT)}.")
    module = RECURRENT[content["type"]](**content["options"], device="meta")
    module.load_state_dict(decode(content["weights"], memo), assign=True)  # compares shapes
    return module.train(bool(content["training"]))


def _net(kind: str, content: dict[str, Any], memo: Memo) -> Net:
    """Return a net with a trained module; its optimizer, criterion and callbacks are new."""
    module = decode(content["module"], memo)
    device = usable(content["device"])
    settings = {name: content[name] for name in SETTINGS}
    net = NETS[kind](module, nn.Identity(), device=device, verbose=0, **settings).initialize()
    for row in decode(content["history"], memo):
        net.history.new_epoch()
        for key, value in row.items():
            net.history.record(key, value)
    net.interrupted_ = bool(content["interrupted"])
    return net


def _dtype(name: str) -> torch.dtype:
    if name not in DTYPES:
        raise ValueError(f"{name!r} is no dtype of stored tensors; they are {sorted(DTYPES)}.")
    return DTYPES[name]


# Each kind says "torch": files without that word are read without importing torch.
_KINDS: dict[str, Decoder] = {
    "torch tensor": _tensor,
    "torch module": _module,
    "torch recurrent": _recurrent,
    **{kind: partial(_net, kind) for kind in NETS},
    "torch device": lambda name, memo: torch.device(str(name)),
    "torch dtype": lambda name, memo: _dtype(str(name)),
}
DECODERS |= _KINDS
