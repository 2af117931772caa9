"""Tensors of rows that do not lie in memory: read ahead, some blocks of rows at a time."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skmm._modalities._stream import Stream
from skmm._nets._data import Batch, TensorData, _place
from skmm.nn._rows import send_mask, to_device

Array = np.ndarray
Block = dict[str, Array]
Parts = dict[str, Tensor]
BUFFER = 2**25  # bytes of the blocks that rows are mixed from, and that a subset may hold


class LazyData(TensorData):
    """Rows of several arrays, some of which are read when they are needed.

    A random order goes through the blocks in a random order and mixes the rows of a buffer of
    several blocks. Data in one buffer are in the order of data in memory. While one buffer is used
    a thread reads the next.

    Parameters
    ----------
    inputs : dict of str to ndarray or Stream (n_samples, ...)
        The modalities.
    observed : ndarray of bool (n_samples, n_modalities), default=None
        False where a modality is missing in a row. None says that nothing is.
    **options : dict
        As in `TensorData`.
    """

    def __init__(
        self,
        inputs: Mapping[str, Array | Stream],
        observed: Array | None = None,
        **options: Any,
    ) -> None:
        held = {name: v for name, v in inputs.items() if not isinstance(v, Stream)}
        super().__init__(held, observed, **options)
        self.arrays = dict(inputs)
        self.streams = {name: v for name, v in inputs.items() if isinstance(v, Stream)}
        self._held: dict[str, Tensor] = dict(self.inputs)
        everything: Any = {**self._held, **self.streams}
        self.inputs = {name: everything[name] for name in inputs}
        self.n_samples = len(next(iter(inputs.values())))
        self.n_rows = max(stream.n_rows for stream in self.streams.values())  # of a block
        self.row_bytes = sum(stream.row_bytes for stream in self.streams.values())
        self.n_blocks = max(2, BUFFER // (self.n_rows * self.row_bytes))  # of a buffer
        self._last: tuple[int, Block] = (-1, {})

    def subset(self, rows: Array) -> TensorData:
        """Return these rows, which are read now if they fit into a buffer."""
        index = torch.from_numpy(np.array(rows, dtype=np.int64))
        index = index if self.rows is None else self.rows[index]
        in_memory = sum(v.element_size() * v[:1].numel() for v in self._held.values())
        if len(index) * (self.row_bytes + in_memory) <= BUFFER:
            return self._read_rows(index)
        subset = copy.copy(self)
        subset.rows = index
        return subset

    def __len__(self) -> int:
        return self.n_samples if self.rows is None else len(self.rows)

    def order(self, generator: torch.Generator) -> Tensor:
        """Return the numbers of all rows, block after block, mixed within buffers."""
        block = self._numbers(slice(0, len(self))) // self.n_rows  # (n_rows,): where each row lies
        blocks = _by_block(block)
        if len(blocks) <= self.n_blocks:  # one buffer: the order of data in memory
            return torch.randperm(len(self), generator=generator)
        # Any order of single rows would read each block many times. Blocks in random order, mixed
        # within buffers, are read once per epoch; rows of one buffer still meet at random.
        chosen = torch.randperm(len(blocks), generator=generator).tolist()
        buffers = []
        for i in range(0, len(chosen), self.n_blocks):
            rows = np.concatenate([blocks[j] for j in chosen[i : i + self.n_blocks]])
            mixed = torch.randperm(len(rows), generator=generator)
            buffers.append(torch.from_numpy(rows)[mixed])
        return torch.cat(buffers)

    def batch(self, index: Tensor | slice) -> Batch:
        """Return some rows; the last block that was read is kept for those that follow."""
        rows = self._numbers(index)
        parts = self._gather(rows, self._read_once)
        return self._batch(parts, slice(0, len(rows)), rows)

    def batches(self, parts: Sequence[Tensor | slice]) -> Iterator[Batch]:
        """Yield one batch after the other, while a thread reads the next buffer."""
        groups = self._groups(parts)
        group = next(groups, None)
        ahead = _Ahead(partial(self._load, group or [], {}))
        try:
            while group:
                loaded, blocks = ahead.result()
                following = next(groups, None)
                # The next group begins in the last block of this one: it is handed on, not read.
                ahead = _Ahead(partial(self._load, following or [], blocks))
                start = 0
                for rows in group:
                    yield self._batch(loaded, slice(start, start + len(rows)), rows)
                    start += len(rows)
                group = following
        finally:
            ahead.join()

    def _numbers(self, index: Tensor | slice) -> Array:
        """Return the rows of the arrays that are meant."""
        if isinstance(index, slice):
            index = torch.arange(*index.indices(len(self)))
        return (index if self.rows is None else self.rows[index]).numpy()

    def _groups(self, parts: Sequence[Tensor | slice]) -> Iterator[list[Array]]:
        """Yield the rows of batches that lie in the blocks of one buffer."""
        group: list[Array] = []
        blocks: set[int] = set()
        for part in parts:
            rows = self._numbers(part)
            found = set(np.unique(rows // self.n_rows).tolist())
            if group and len(blocks | found) > self.n_blocks:
                yield group
                group, blocks = [], set()
            group.append(rows)
            blocks |= found
        if group:
            yield group

    def _load(self, group: list[Array], held: dict[int, Block]) -> tuple[Parts, dict[int, Block]]:
        """Return the rows of a group in order, and the blocks they are from; `held` is emptied."""
        rows = np.concatenate([*group, np.empty(0, dtype=np.int64)])
        needed = np.unique(rows // self.n_rows).tolist()
        blocks = {block: held.pop(block) for block in needed if block in held}
        held.clear()
        for block in needed:
            if block not in blocks:
                blocks[block] = self._read(block)
        return self._gather(rows, blocks.__getitem__), blocks

    def _gather(self, rows: Array, block_of: Callable[[int], Block]) -> Parts:
        found = {
            name: np.empty((len(rows), *stream.shape[1:]), dtype=stream.dtype)
            for name, stream in self.streams.items()
        }
        numbers = rows // self.n_rows
        for at in _by_block(numbers) if len(rows) else []:
            number = int(numbers[at[0]])
            block, positions = block_of(number), rows[at] - number * self.n_rows
            for name, value in block.items():
                found[name][at] = value[positions]
        return {name: _place(v, torch.device("cpu"), self.dtype) for name, v in found.items()}

    def _batch(self, parts: Parts, part: slice, rows: Array) -> Batch:
        index = torch.from_numpy(rows)
        at_home = to_device(index, self.home)
        inputs = {
            name: self._take(name, *((parts[name], part) if name in parts else (value, at_home)))
            for name, value in self.inputs.items()
        }
        batch: dict[str, Any] = {"inputs": inputs}
        if self.observed is not None:
            batch["observed"] = send_mask(self.observed[index], self.device)
        return batch, torch.zeros(len(rows))

    def _read(self, number: int) -> Block:
        rows = slice(number * self.n_rows, (number + 1) * self.n_rows)
        return {name: stream[rows] for name, stream in self.streams.items()}

    def _read_once(self, number: int) -> Block:
        if self._last[0] != number:
            self._last = -1, {}
            self._last = number, self._read(number)
        return self._last[1]

    def _read_rows(self, index: Tensor) -> TensorData:
        rows = index.numpy()
        inputs = {
            name: value[rows] if isinstance(value, Stream) else np.asarray(value)[rows]
            for name, value in self.arrays.items()
        }
        observed = None if self.observed is None else self.observed[index].numpy()
        options: Any = {"device": self.device, "dtype": self.dtype, "ahead": self.units}
        return TensorData(inputs, observed, **options)


def _by_block(numbers: Array) -> list[Array]:
    """Return the positions of the rows of each block, from the numbers of their blocks."""
    order = np.argsort(numbers, kind="stable")
    cuts = np.flatnonzero(np.diff(numbers[order])) + 1
    return np.split(order, cuts)


class _Ahead(threading.Thread):
    """A call in a thread of its own, which ends with it."""

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__(name="skmm-read-ahead")
        self._function = function
        self._found: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Make the call."""
        try:
            self._found = self._function()
        except BaseException as error:  # raised again where the result is asked for
            self._error = error
        del self._function

    def result(self) -> Any:
        """Wait, and return the result of the call; it can be asked for once."""
        self.join()
        found, error = self._found, self._error
        self._found = self._error = None
        if error is not None:
            raise error
        return found
