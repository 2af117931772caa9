"""Arrays that do not lie in memory: read block by block, converted and hidden on the way."""

from __future__ import annotations

import copy
import mmap
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NoReturn, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from skmm._modalities._chunks import USUAL, rows_within, slices_of
from skmm._modalities._container import Modalities
from skmm._modalities._values import (
    FLOATS,
    NEUTRAL,
    Array,
    Value,
    hide_rows,
    is_lazy,
    missing_rows,
    n_columns,
)

Mask: TypeAlias = NDArray[np.bool_]
HELD = 2**26  # bytes up to which lazy arrays are read at once
LARGE = 2**28  # bytes above which a mapped file is not copied
BLOCK = 2**20  # least bytes of a block, the rows of a file that are read together
PIECE = 4096  # most rows that sums are taken over at once


class Stream:
    """The rows of a lazy array as an estimator uses them; slices of it lie in memory.

    Rows in which the modality is missing read as NaN or 0.

    Parameters
    ----------
    name : str
        The modality.
    source : array
        With `shape`, `dtype`, and slices of rows that numpy.asarray reads.
    dtype : dtype
        What is read becomes this.
    missing : ndarray of bool (n_samples,), default=None
        Rows to hide.
    """

    def __init__(self, name: str, source: Any, dtype: Any, missing: Mask | None = None) -> None:
        self.name = name
        self.source = source
        self.dtype = np.dtype(dtype)
        self.missing = missing
        self.shape = tuple(int(n) for n in source.shape)
        # Whole chunks of the source, as each is decompressed whole, until they make BLOCK bytes.
        chunk = _rows_per_chunk(source)
        self.n_rows = chunk * -(-BLOCK // (chunk * self.row_bytes))
        self.chunks = (self.n_rows, *self.shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in memory."""
        return max(1, n_columns(self) * self.dtype.itemsize)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Array:
        """Read some rows: a slice, numbers or a mask."""
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step == 1:
                return self._read(start, max(start, stop))
            key = np.arange(start, stop, step)
        rows = np.asarray(key)
        return self._gather(np.flatnonzero(rows) if rows.dtype == bool else rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise TypeError(
            f"Modality {self.name!r}, a {type(self.source).__name__} of {len(self)} rows, would "
            "have to be read whole here: pass its rows in parts, as arrays."
        )

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield the first row and the values of each block."""
        for start in range(0, len(self), self.n_rows):
            yield start, self[start : start + self.n_rows]

    def at(self, rows: Array) -> Self:
        """Return a stream of some rows, without reading them."""
        missing = None if self.missing is None else self.missing[rows]
        return type(self)(self.name, _Rows(self, rows), self.dtype, missing)

    def flat(self) -> Self:
        """Return a stream of flattened rows."""
        flat = copy.copy(self)
        flat.shape = len(self), n_columns(self)
        return flat

    def _read(self, start: int, stop: int) -> Array:
        """Read rows from one block after the other."""
        end = (start // self.n_rows + 1) * self.n_rows
        if stop <= end:
            return self._read_block(start, stop)
        out = np.empty((stop - start, *self.shape[1:]), dtype=self.dtype)
        cuts = [start, *range(end, stop, self.n_rows), stop]
        for first, last in pairwise(cuts):
            out[first - start : last - start] = self._read_block(first, last)
        return out

    def _read_block(self, start: int, stop: int) -> Array:
        part = np.asarray(self.source[start:stop]).astype(self.dtype, copy=False)
        if self.missing is not None and (hidden := self.missing[start:stop]).any():
            part = np.array(part)
            part[hidden] = NEUTRAL[self.dtype.kind]
        return part.reshape(stop - start, *self.shape[1:])

    def _gather(self, rows: Array) -> Array:
        out = np.empty((len(rows), *self.shape[1:]), dtype=self.dtype)
        # In the order of the file, one block after the other, so that each is read once.
        order = np.argsort(rows, kind="stable")
        cuts = np.flatnonzero(np.diff(rows[order] // self.n_rows)) + 1
        for at in np.split(order, cuts) if len(rows) else []:
            first, last = int(rows[at[0]]), int(rows[at[-1]])
            out[at] = self._read(first, last + 1)[rows[at] - first]
        return out


class _Rows:
    """Some rows of a stream as the source of another."""

    def __init__(self, stream: Stream, rows: Array) -> None:
        self.stream = stream
        self.rows = rows
        self.shape = (len(rows), *stream.shape[1:])
        self.chunks = stream.chunks

    def __getitem__(self, key: slice) -> Array:
        return self.stream[self.rows[key]]


def open_streams(X: Modalities) -> Modalities:
    """Return X with streams for lazy arrays, and for mapped files that would be copied.

    Lazy arrays that are small together are read, as are labels and single columns.
    """
    values: dict[str, Any] = dict(X._values)
    mask = X._mask.copy()
    lazy = [value for value in values.values() if is_lazy(value)]
    few = sum(_stored_bytes(value) for value in lazy) <= HELD
    for j, (name, value) in enumerate(X._values.items()):
        kind = X._kinds[name]
        if is_lazy(value) and (few or kind == "categorical" or len(value.shape) == 1):
            array = np.asarray(value[:])
            array = array.astype(object) if array.dtype.kind == "T" else array
            mask[:, j] |= missing_rows(array)
            values[name] = hide_rows(array, mask[:, j])
        elif is_lazy(value) or _would_be_copied(value, kind):
            values[name] = _stream(name, value, kind, mask[:, j])
    return Modalities._make(values, X._kinds, mask, X._ids)


def is_streamed(X: Modalities) -> bool:
    """Return whether X holds streams or large mapped files, which should not be copied."""
    return any(isinstance(value, Stream) or is_large_map(value) for value in X._values.values())


def is_large_map(value: Any) -> bool:
    """Return whether an array is a large mapped file."""
    return mapping_of(value) is not None and value.nbytes > LARGE


def mapping_of(value: Any) -> mmap.mmap | None:
    """Return the mapped file behind an array."""
    while isinstance(value, np.ndarray) and value.base is not None:
        value = value.base
        if isinstance(value, mmap.mmap):
            return value
    return None


def pieces(value: Any, here: Mask | None = None) -> Iterator[Array]:
    """Yield the rows of an array or a stream that are `here`, by default all, in equal chunks.

    Their size depends on the width of a row alone, so that sums over an array and over the same
    rows in a file are equal to the last bit.
    """
    n_rows = min(PIECE, rows_within(USUAL, n_columns(value)))
    held: list[Array] = []
    wanted = n_rows
    for start, block in _blocks(value, n_rows):
        block = block if here is None else block[here[start : start + len(block)]]
        while len(block):
            taken, block = block[:wanted], block[wanted:]
            held.append(taken)
            wanted -= len(taken)
            if wanted == 0:  # a chunk is full, maybe of the ends of several blocks
                yield held[0] if len(held) == 1 else np.concatenate(held)
                held, wanted = [], n_rows
    if held:
        yield held[0] if len(held) == 1 else np.concatenate(held)


def row_slices(X: Modalities) -> Iterator[slice]:
    """Yield slices of all rows that end where blocks of the first stream end: each is read once."""
    values: list[Any] = list(X._values.values())
    block = next((value.n_rows for value in values if isinstance(value, Stream)), 1)
    width = sum(map(n_columns, values))
    return slices_of(len(X), block * max(1, min(PIECE, rows_within(USUAL, width)) // block))


def check_held(X: Modalities) -> Modalities:
    """Return X, or refuse streams where all their rows would be needed at once."""
    for value in X._values.values():
        if isinstance(value, Stream):
            np.asarray(value)
    return X


def take_lazily(X: Modalities, rows: Array) -> Modalities:
    """Return a container of some rows in which streams stay unread."""
    values = {
        name: value.at(rows) if isinstance(value, Stream) else value[rows]
        for name, value in X._values.items()
    }
    return Modalities._make(values, X._kinds, X._mask[rows], X._ids.take(rows))


def _stream(name: str, value: Value, kind: str, missing: Mask) -> Stream:
    as_it_is = kind in ("tokens", "image") or value.dtype in FLOATS
    return Stream(name, value, value.dtype if as_it_is else np.float64, missing)


def _blocks(value: Any, n_rows: int) -> Iterator[tuple[int, Array]]:
    if isinstance(value, Stream):
        yield from value.blocks()
        return
    for start in range(0, len(value), n_rows):
        yield start, value[start : start + n_rows]


def _would_be_copied(value: Any, kind: str) -> bool:
    """Return whether training would copy a large mapped file, for its dtype or its order."""
    if not is_large_map(value):
        return False
    if kind in ("tokens", "image"):
        usable = value.dtype.isnative and (value.dtype.kind != "u" or value.dtype.itemsize == 1)
    else:
        usable = value.dtype in FLOATS
    return not (usable and value.flags.c_contiguous)


def _stored_bytes(value: Any) -> int:
    return int(np.prod(value.shape, dtype=int)) * np.dtype(value.dtype).itemsize


def _rows_per_chunk(source: Any) -> int:
    chunks = getattr(source, "chunks", None)
    if chunks is None or isinstance(source, np.ndarray):
        return 1
    first = chunks[0]
    return max(1, int(max(first) if isinstance(first, tuple) else first))
