"""Moments of data that do not fit into memory: from files piece by piece, or on dask's workers."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import gen_batches

from skmm._cca._moments import Moments
from skmm._modalities import Modalities, missing_mask
from skmm._modalities._chunks import rows_within
from skmm._modalities._stream import mapping_of
from skmm._modalities._values import is_lazy

Array = np.ndarray
PIECE = 2**25  # bytes of a piece
HEAD = 1000  # rows that the shifts are taken from
FAN_IN = 8  # moments that are added at once on the way to one


class Piece(NamedTuple):
    """Some rows of the data, of the second modality in y, and of the weights."""

    X: Any
    y: Any
    weight: Array | None


Sum = Callable[[Piece, Moments], Moments]


def check_rows(X: Any, y: Any, weight: Array | None) -> None:
    """Raise an error unless everything has as many rows."""
    names = _names(X) or ["X"]
    counts = {name: int(value.shape[0]) for name, value in zip(names, _values(X), strict=True)}
    counts |= {} if y is None else {"y": int(y.shape[0])}
    counts |= {} if weight is None else {"sample_weight": len(weight)}
    if len(set(counts.values())) > 1:
        raise ValueError(f"Different numbers of rows: {counts}. Pass the same rows in all.")


def head(X: Any, y: Any, weight: Array | None) -> Piece:
    """Return the first rows."""
    return _rows(X, y, weight, slice(0, HEAD))


def sum_pieces(X: Any, y: Any, weight: Array | None, add: Sum, start: Moments) -> Moments:
    """Return the moments of all rows, around the shifts of `start`.

    `add` adds a piece to moments. Of dask arrays it does so where the chunks lie, and the moments
    are added as a tree; other data are read one piece after the other.
    """
    if any(_is_dask(value) for value in [*_values(X), y]):
        return _sum_on_workers(X, y, weight, add, start)
    for rows in gen_batches(_n_rows(X), _rows_per_piece(X, y)):
        add(_rows(X, y, weight, rows), start)
    return start


def iterate(chunks: Iterator[Any]) -> Iterator[Piece]:
    """Yield the chunks of an iterator: X, or a pair (X, y)."""
    for chunk in chunks:
        X, y = chunk if isinstance(chunk, tuple) else (chunk, None)
        yield Piece(X, y, None)


def _sum_on_workers(X: Any, y: Any, weight: Array | None, add: Sum, start: Moments) -> Moments:
    import dask

    sums = [dask.delayed(_add_to_copy)(add, piece, start) for piece in _delayed(X, y, weight)]
    while len(sums) > 1:
        sums = [dask.delayed(_total)(sums[i : i + FAN_IN]) for i in range(0, len(sums), FAN_IN)]
    return sums[0].compute()


def _add_to_copy(add: Sum, piece: tuple[Any, ...], start: Moments) -> Moments:
    names, values, missing, kinds, y, weight = piece
    X = values[0] if names is None else dict(zip(names, values, strict=True))
    if missing is not None:
        X = Modalities(X, missing=missing, kinds=kinds)
    return add(Piece(X, y, weight), start.copy())


def _total(parts: Sequence[Moments]) -> Moments:
    total = parts[0].copy()
    for part in parts[1:]:
        total.add(part)
    return total


def _delayed(X: Any, y: Any, weight: Array | None) -> Iterator[tuple[Any, ...]]:
    """Yield pieces whose arrays are tasks of dask, of the same rows in all modalities."""
    values, names = list(_values(X)), _names(X)
    given = [*values, *([] if y is None else [y])]
    chunks = next(value.chunks[0] for value in given if _is_dask(value))
    columns = [_blocks(value, chunks) for value in given]
    stops = np.cumsum([0, *chunks])
    mask = X.missing.to_numpy() if isinstance(X, Modalities) else None
    kinds = X.kinds if isinstance(X, Modalities) else None
    for i, blocks in enumerate(zip(*columns, strict=True)):
        rows = slice(int(stops[i]), int(stops[i + 1]))
        of_y = None if y is None else blocks[-1]
        missing = None if mask is None else mask[rows]
        part = None if weight is None else weight[rows]
        yield names, list(blocks[: len(values)]), missing, kinds, of_y, part


def _blocks(value: Any, chunks: Sequence[int]) -> list[Any]:
    """Return the rows of an array as tasks, one for each chunk; columns stay together."""
    if not _is_dask(value):
        stops = np.cumsum([0, *chunks])
        return [value[a:b] for a, b in pairwise(stops)]
    whole = dict.fromkeys(range(1, value.ndim), -1)
    return list(value.rechunk({0: tuple(chunks), **whole}).to_delayed().ravel())


def _rows(X: Any, y: Any, weight: Array | None, rows: slice) -> Piece:
    """Read some rows into memory, and let go of the pages that they were mapped to."""
    if isinstance(X, Modalities):
        values = {name: _read(value, rows) for name, value in X._values.items()}
        part: Any = Modalities(values, missing=missing_mask(X)[rows], kinds=X._kinds)
    elif isinstance(X, Mapping):
        part = {name: _read(value, rows) for name, value in X.items()}
    else:
        part = _read(X, rows)
    of_y = None if y is None else _read(y, rows)
    return Piece(part, of_y, None if weight is None else weight[rows])


def _read(value: Any, rows: slice) -> Any:
    part = value[rows] if not hasattr(value, "iloc") else value.iloc[rows]
    mapping = mapping_of(value)
    if mapping is None:
        return np.asarray(part) if is_lazy(value) else part
    part = np.array(part)
    if hasattr(mapping, "madvise"):
        mapping.madvise(mmap.MADV_DONTNEED)
    return part


def _is_dask(value: Any) -> bool:
    return is_lazy(value) and type(value).__module__.startswith("dask.")


def _values(X: Any) -> Sequence[Any]:
    if isinstance(X, Modalities):
        return list(X._values.values())
    return list(X.values()) if isinstance(X, Mapping) else [X]


def _names(X: Any) -> list[str] | None:
    if isinstance(X, Modalities):
        return list(X.names)
    return list(X) if isinstance(X, Mapping) else None


def _n_rows(X: Any) -> int:
    return len(X) if isinstance(X, Modalities) else int(_values(X)[0].shape[0])


def _rows_per_piece(X: Any, y: Any) -> int:
    width = [value.dtype.itemsize * int(np.prod(value.shape[1:])) for value in _values(X)]
    if y is not None:
        width.append(y.dtype.itemsize * int(np.prod(y.shape[1:])))
    return rows_within(PIECE, sum(width), least=512)
