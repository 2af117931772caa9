"""Which device is meant: one device has several names, so tensors say where they lie.

"cuda" and "cuda:0" are unequal to torch, though a tensor made on the first lies on the second.
Devices are therefore resolved once, where they come in, and never compared (a test guards that).
"""

from __future__ import annotations

import re

import torch

Device = str | torch.device
_LIKE_CUDA = re.compile(r"(?:gpu|cuda|nvidia)\D*(\d*)", re.IGNORECASE)


def canonical(device: Device) -> torch.device:
    """Return a device as tensors on it name it: of "cuda" the number too, of "cpu:0" none."""
    return torch.empty(0, device=device).device


def resolve(device: Device) -> torch.device:
    """Return a device as tensors on it name it; refuse one that does not exist here.

    torch says so in errors of many types.
    """
    try:
        asked = torch.device(device)
        if asked.type == "meta" or (asked.type == "cpu" and asked.index):
            raise RuntimeError("it holds no numbers, or is not there.")
        return canonical(asked)
    except Exception as error:
        said = str(error).splitlines()[0].removesuffix(".")
        raise ValueError(f"device={device!r} cannot be used: {said}. {_remedy(device)}") from error


def usable(device: Device) -> torch.device:
    """Return a device that a file names; if it is not here the first of its type, or the CPU."""
    kind = torch.device(device).type
    for candidate in (device, kind):
        try:
            return resolve(candidate)
        except ValueError:
            continue
    return torch.device("cpu")


def _remedy(device: Device) -> str:
    found = _LIKE_CUDA.fullmatch(str(device).strip())
    meant = f"cuda:{found[1]}".removesuffix(":") if found else ""
    if meant not in ("", str(device)):
        return f"Did you mean device={meant!r}?"
    return "Use 'auto', 'cpu', or one that is here."
