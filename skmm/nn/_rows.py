"""Which rows have which modalities, as numbers of rows that the host knows.

A boolean mask as an index makes the host wait until the device has counted it, in the gradient
once more. Masks begin in the host's memory, though: rows are counted there, and their numbers
follow to the device by copies that nobody waits for.
"""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

_ROWS = "_rows_of_modalities"  # attribute of a mask that was placed


class Rows:
    """The rows that have modalities, by number.

    Parameters
    ----------
    mask : bool Tensor (N, M) or None
        Which rows have which modality, in the host's memory. None means all.
    device : torch.device, default="cpu"
        Where the numbers are needed.
    """

    def __init__(self, mask: Tensor | None, device: str | torch.device = "cpu") -> None:
        self.mask = mask
        self.device = torch.device(device)
        self._known: dict[frozenset[int], Tensor | None] = {}

    def having(self, *modalities: int) -> Tensor | None:
        """Return the numbers of the rows that have all of these modalities; None says all rows."""
        return None if self.mask is None else self._having(self.mask, frozenset(modalities))

    @torch.compiler.disable
    def _having(self, mask: Tensor, modalities: frozenset[int]) -> Tensor | None:
        if modalities in self._known:
            return self._known[modalities]
        numbers = reduce(torch.logical_and, (mask[:, m] for m in modalities)).nonzero()[:, 0]
        every = 0 < len(numbers) == len(mask)
        rows = None if every else to_device(numbers, self.device)
        if not torch.is_inference_mode_enabled():  # whose tensors are of no use in a gradient
            self._known[modalities] = rows
        return rows


def rows_of(observed: Tensor | None) -> Rows:
    """Return the rows of a mask; the host waits for one that comes from nowhere but the device."""
    return Rows(None) if observed is None else _rows_of(observed)


def send_mask(mask: Tensor, device: torch.device) -> Tensor:
    """Return a mask in the host's memory on a device, so that its rows are known."""
    placed = mask[:] if device.type == "cpu" else to_device(mask, device)  # never itself: no circle
    setattr(placed, _ROWS, (_version(placed), Rows(mask, device)))
    return placed


def to_device(value: Tensor, device: torch.device) -> Tensor:
    """Copy from the host's memory; to a GPU without waiting for it, which pinned memory allows."""
    if device.type != "cuda":
        return value.to(device)
    return value.pin_memory().to(device, non_blocking=True)


def take(values: Tensor, rows: Tensor | None) -> Tensor:
    """Return some rows; None says all."""
    return values if rows is None else values.index_select(0, rows)


def scatter(values: Tensor, rows: Tensor | None, n_rows: int) -> Tensor:
    """Put the values of some rows in their places among `n_rows`, zeros in the others."""
    if rows is None:
        return values
    return values.new_zeros(n_rows, *values.shape[1:]).index_copy(0, rows, values)


@torch.compiler.disable
def _rows_of(observed: Tensor) -> Rows:
    version, rows = getattr(observed, _ROWS, (None, None))
    if rows is not None and version == _version(observed):
        return rows
    return Rows(observed.cpu(), observed.device)


def _version(mask: Tensor) -> int:
    """Return how often a mask was changed in place; those of inference do not count it."""
    return 0 if mask.is_inference() else mask._version
