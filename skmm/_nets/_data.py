"""Modalities as tensors, and batches that are slices of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skmm._modalities._chunks import row_chunks
from skmm._nets._device import canonical
from skmm._nets._fork import settle
from skmm.nn._rows import send_mask, to_device

Array = np.ndarray
Batch = tuple[dict[str, Any], Tensor]
Units = tuple[Tensor, Tensor]  # mean and scale
SPARE = 0.5  # share of the free memory of an accelerator that data may take


class TensorData(torch.utils.data.Dataset):
    """Rows of several arrays of the same length.

    On the CPU the tensors are the arrays themselves, without a copy; on an accelerator they are
    copied there once if they fit, and batch by batch through pinned memory if they do not.

    Parameters
    ----------
    inputs : dict of str to ndarray (n_samples, ...)
        The modalities. Read-only arrays and memory maps are only read.
    observed : ndarray of bool (n_samples, n_modalities), default=None
        False where a modality is missing in a row. None says that nothing is.
    device : str or torch.device, default="cpu"
        Where batches are needed.
    dtype : torch.dtype, default=torch.float32
        Of floating-point batches.
    ahead : dict of str to pair of Tensors, default=None
        Mean and scale, in double precision, of modalities that are standardised before they are
        rounded to `dtype`.
    """

    def __init__(
        self,
        inputs: Mapping[str, Array],
        observed: Array | None = None,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        ahead: Mapping[str, Units] | None = None,
    ) -> None:
        settle()
        self.device = canonical(device)
        self.dtype = dtype
        self.arrays: dict[str, Any] = dict(inputs)  # as they are, wherever the tensors lie
        self.units = dict(ahead or {})
        fits = _fits(inputs, self.device, dtype)
        self.home = self.device if fits else torch.device("cpu")
        copied = {n for n, v in inputs.items() if self.home.type != "cpu" or _is_scattered(v)}
        self.ahead = {n: u for n, u in self.units.items() if n not in copied}  # of batches
        self.inputs = {
            name: _place(
                self._as_copied(name, array) if name in copied else array, self.home, dtype
            )
            for name, array in inputs.items()
        }
        self.observed = None if observed is None else torch.from_numpy(np.array(observed))
        self.rows: Tensor | None = None

    def subset(self, rows: Array) -> TensorData:
        """Return these rows, sharing all memory."""
        subset = object.__new__(TensorData)
        vars(subset).update(vars(self))
        index = torch.from_numpy(np.array(rows, dtype=np.int64))
        subset.rows = index if self.rows is None else self.rows[index]
        return subset

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values()))) if self.rows is None else len(self.rows)

    def __getitem__(self, i: int) -> Batch:
        """Return one row, for a `DataLoader`."""
        inputs, target = self.batch(torch.tensor([i]))
        row = {name: value[0] for name, value in inputs["inputs"].items()}
        observed = {} if self.observed is None else {"observed": inputs["observed"][0]}
        return {"inputs": row, **observed}, target[0]

    def order(self, generator: torch.Generator) -> Tensor:
        """Return the numbers of all rows in a random order."""
        return torch.randperm(len(self), generator=generator)

    def batches(self, parts: Sequence[Tensor | slice]) -> Iterator[Batch]:
        """Yield one batch after the other."""
        return map(self.batch, parts)

    def batch(self, index: Tensor | slice) -> Batch:
        """Return some rows as the arguments of the module's `forward`, and a target of no use."""
        if self.rows is not None:
            index = self.rows[index]
        at_home = to_device(index, self.home) if isinstance(index, Tensor) else index
        batch: dict[str, Any] = {
            "inputs": {n: self._take(n, value, at_home) for n, value in self.inputs.items()}
        }
        if self.observed is not None:
            batch["observed"] = send_mask(self.observed[index], self.device)
        return batch, torch.zeros(len(next(iter(batch["inputs"].values()))))

    def _as_copied(self, name: str, array: Array) -> Array:
        """Return an array that is copied anyway, standardised."""
        if name not in self.units:
            return array
        return _standardised(array, *self.units[name], self.dtype)

    def _take(self, name: str, value: Tensor, index: Tensor | slice) -> Tensor:
        """Return rows, whose numbers are where the value is."""
        taken = value.index_select(0, index) if isinstance(index, Tensor) else value[index]
        if name in self.ahead:
            mean, scale = self.ahead[name]
            taken = (taken - mean) / scale
        if taken.is_floating_point():
            taken = taken.to(self.dtype)
        return taken if value.device.type == self.device.type else to_device(taken, self.device)


class Batches:
    """Iterator over the batches of `TensorData`, with the interface that skorch expects.

    Parameters
    ----------
    dataset : TensorData
        The rows.
    batch_size : int
        Rows per batch.
    shuffle : bool, default=False
        Whether to go through the rows in a random order, which the seed and the epoch determine.
    drop_last : bool, default=False
        Whether to leave out a last batch that is smaller, unless it is the only one.
    seed : int, default=0
        Of the order.
    """

    def __init__(
        self,
        dataset: TensorData,
        batch_size: int,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
    ) -> None:
        self.dataset = dataset
        self.batch_size = min(batch_size, len(dataset))
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order: the same epoch has the same order in a fit that was continued."""
        self.epoch = epoch

    def __len__(self) -> int:
        n_full, rest = divmod(len(self.dataset), self.batch_size)
        return n_full if self.drop_last or not rest else n_full + 1

    def __iter__(self) -> Iterator[Batch]:
        n_samples = len(self.dataset)
        order = None
        if self.shuffle:
            order = self.dataset.order(epoch_generator(self.seed, self.epoch))
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        parts = [slice(i, min(i + self.batch_size, n_samples)) for i in starts]
        return iter(
            self.dataset.batches(parts if order is None else [order[part] for part in parts])
        )


def epoch_generator(
    seed: int, epoch: int, device: str | torch.device = "cpu", stream: int = 0
) -> torch.Generator:
    """Return a generator that depends on the seed and the epoch alone: a fit can be continued."""
    state = np.random.SeedSequence([seed, epoch, stream]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state >> np.uint64(1)))


def as_tensor(array: Array) -> Tensor:
    """Return a tensor on the memory of an array, also of a read-only one, which is only read."""
    if not array.flags.writeable:
        array = np.asarray(_Writeable(array))
    return torch.from_numpy(array)


class _Writeable:
    """Read-only memory declared writeable: torch has no read-only tensors and would warn."""

    def __init__(self, array: Array) -> None:
        self.array = array  # keeps the memory alive
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def _place(array: Array, device: torch.device, dtype: torch.dtype) -> Tensor:
    array = np.asarray(array)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    if _is_scattered(array):
        narrow = array.dtype == np.float64 and dtype == torch.float32
        array = np.array(array, dtype=np.float32 if narrow else None, order="C")
    tensor = as_tensor(array)
    if device.type == "cpu":
        return tensor
    return tensor.to(device, dtype if tensor.is_floating_point() else None)


def _is_scattered(array: Array | None) -> bool:
    """Return whether rows do not lie together, which are gathered all the time."""
    return array is not None and not array.flags.c_contiguous


def _standardised(array: Array, mean: Tensor, scale: Tensor, dtype: torch.dtype) -> Array:
    """Return an array standardised in double precision and then rounded, some rows at a time."""
    out = np.empty(array.shape, np.float64 if dtype == torch.float64 else np.float32)
    for rows in row_chunks(len(array), array[:1].size):
        out[rows] = (array[rows] - mean.numpy()) / scale.numpy()
    return out


def _fits(inputs: Mapping[str, Array], device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether data fit on a device; memory that torch keeps for later counts as free."""
    if device.type != "cuda":
        return True
    needed = sum(
        a.size * (dtype.itemsize if a.dtype.kind == "f" else a.itemsize) for a in inputs.values()
    )
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return needed < SPARE * (torch.cuda.mem_get_info(device)[0] + kept)
