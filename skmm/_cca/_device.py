"""Rows that lie on another device, as arrays of another library: products are formed there.

What has the size of the columns comes to NumPy, where the decompositions are; so there is one
route from moments, from triangles and from n x n products to the solution, wherever the rows lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

import numpy as np
from sklearn.externals import array_api_compat
from sklearn.utils._array_api import (
    _convert_to_numpy,
    _is_numpy_namespace,
    _max_precision_float_dtype,
)

from skmm._modalities._values import is_lazy

if TYPE_CHECKING:
    from skmm._cca._moments import Rows

Array = np.ndarray
CHUNK = 2**25  # entries of a chunk in double precision


class Home(NamedTuple):
    """Where arrays lie: the namespace of their library, and a device of it."""

    xp: Any
    device: Any

    @classmethod
    def of(cls, value: Any) -> Home | None:
        """Return the home of an array; None for NumPy and all that is no array."""
        if is_lazy(value) or not array_api_compat.is_array_api_obj(value):
            return None
        xp = array_api_compat.array_namespace(value)
        return None if _is_numpy_namespace(xp) else cls(xp, array_api_compat.device(value))

    @property
    def dtype(self) -> Any:
        """The floating type of most digits."""
        return _max_precision_float_dtype(self.xp, self.device)

    @property
    def computes(self) -> bool:
        """Whether to compute there: not where NumPy can, without a copy, nor in less precision."""
        return not _is_host(self.device) and self.dtype == self.xp.float64

    def take(self, value: Any) -> Any:
        """Return NumPy's arrays, also those in containers, as arrays of this home."""
        if isinstance(value, Mapping):
            return {key: self.take(part) for key, part in value.items()}
        if isinstance(value, tuple | list):
            return type(value)(self.take(part) for part in value)
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
            return value
        if value.dtype == np.float64 and self.dtype != self.xp.float64:
            value = value.astype(np.float32)
        return self.xp.asarray(np.array(value, order="C"), device=self.device)

    def double(self, value: Any) -> Any:
        """Return an array, of NumPy or of here, in the most precise floating type."""
        return self.xp.astype(self.take(value), self.dtype, copy=False)


def to_numpy(value: Any) -> Any:
    """Return arrays of other libraries, also those in containers, as NumPy's."""
    if isinstance(value, tuple | list) and Home.of(next(iter(value), None)) is not None:
        return type(value)(to_numpy(part) for part in value)
    if type(value) is dict:
        return {key: to_numpy(part) for key, part in value.items()}
    home = Home.of(value)
    return value if home is None else _convert_to_numpy(value, home.xp)


@dataclass(frozen=True)
class DeviceBlock:
    """Rows (n, d) of a modality on their device, with what the routes need of an ndarray."""

    array: Any
    home: Home
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return self.array.shape

    def __len__(self) -> int:
        return self.array.shape[0]

    def __getitem__(self, key: Any) -> DeviceBlock:
        if isinstance(key, np.ndarray):
            rows = self.home.xp.asarray(key, device=self.home.device)
            part = self.home.xp.take(self.array, rows, axis=0)
        else:
            part = self.array[key if isinstance(key, tuple) else (key, slice(None))]
        return DeviceBlock(part, self.home, self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(to_numpy(self.array), dtype=dtype)

    def standardised(self, mean: Array, divisor: Array | None = None, root: Any = None) -> Any:
        """Return root * (x - mean) / divisor in double precision, on the device."""
        z = self.home.double(self.array) - self.home.double(mean)
        if divisor is not None:
            z = z / self.home.double(divisor)
        return z if root is None else z * root[:, None]

    def project(self, mean: Array, weights: Array) -> Any:
        """Return (x - mean) @ weights on the device."""
        there = self.home.double(weights)
        parts = [self[rows].standardised(mean) @ there for rows in _batches(*self.shape)]
        return self.home.xp.concat(parts, axis=0)


def is_device_block(value: object) -> TypeGuard[DeviceBlock]:
    """Whether a block lies on a device."""
    return isinstance(value, DeviceBlock)


def on_device(rows: Rows) -> bool:
    """Whether the blocks lie on a device; they do so together, and complete."""
    return is_device_block(rows.blocks[0])


def device_products(
    rows: Rows, shifts: Sequence[Array]
) -> tuple[Array, list[Array], dict[tuple[int, int], Array]]:
    """Return counts, weighted sums (d,) of x - shift, and products of the blocks i <= j."""
    sums: list[Any] = [0.0 for _ in shifts]
    products: dict[tuple[int, int], Any] = {}
    for chunk, root in _chunks(rows, shifts):
        for m, z in enumerate(chunk):
            sums[m] = sums[m] + root @ z
        for i, j in combinations_with_replacement(range(len(chunk)), 2):
            product = chunk[i].T @ chunk[j]
            products[i, j] = product + products[i, j] if (i, j) in products else product
    return _counts(rows), to_numpy(sums), to_numpy(products)


def device_sums(rows: Rows, shifts: Sequence[Array]) -> tuple[Array, list[Array], list[Array]]:
    """Return counts, and weighted sums (d,) of x - shift and of its squares."""
    xp = rows.blocks[0].home.xp
    sums: list[Any] = [0.0 for _ in shifts]
    squares: list[Any] = [0.0 for _ in shifts]
    for chunk, root in _chunks(rows, shifts):
        for m, z in enumerate(chunk):
            sums[m] = sums[m] + root @ z
            squares[m] = squares[m] + xp.sum(z * z, axis=0)
    return _counts(rows), to_numpy(sums), to_numpy(squares)


def device_norms(rows: Rows, means: Sequence[Array], divisors: Sequence[Array]) -> list[Array]:
    """Return the weighted squared norm (n,) of each standardised row of each block."""
    xp = rows.blocks[0].home.xp
    norms: list[list[Array]] = [[] for _ in means]
    for chunk, _ in _chunks(rows, means, divisors):
        for m, z in enumerate(chunk):
            norms[m].append(to_numpy(xp.sum(z * z, axis=1)))
    return [np.concatenate(parts) for parts in norms]


class Triangle:
    """R of the QR decomposition of all standardised blocks, whose products are those of the rows.

    It stands for them where a route reads standardised rows, and has their singular values to the
    last digit, as products have not.
    """

    def __init__(self, blocks: Sequence[Array]) -> None:
        self._blocks = list(blocks)

    @classmethod
    def of(cls, rows: Rows, means: Sequence[Array], divisors: Sequence[Array]) -> Triangle:
        """Decompose one chunk after the other, each below the R of those before."""
        xp, pending = rows.blocks[0].home.xp, None
        for chunk, _ in _chunks(rows, means, divisors, least=4 * sum(rows.widths)):
            stacked = xp.concat(chunk, axis=1)
            stacked = stacked if pending is None else xp.concat([pending, stacked], axis=0)
            pending = xp.linalg.qr(stacked, mode="reduced")[1]
        stops = np.cumsum(rows.widths)[:-1]
        return cls(np.split(to_numpy(pending), stops, axis=1))

    def only(self, m: int) -> Triangle:
        """Return the columns of one block."""
        return Triangle([self._blocks[m]])

    def chunks(self, shifts: Any, scales: Any = None) -> Iterator[tuple[list[Array], None]]:
        """Yield the blocks, which are centred and divided already."""
        yield self._blocks, None


def _chunks(
    rows: Rows,
    means: Sequence[Array],
    divisors: Sequence[Array] | None = None,
    least: int = 1,
) -> Iterator[tuple[list[Any], Any]]:
    """Yield standardised chunks of all blocks, and the roots of their rows' weights."""
    home = rows.blocks[0].home
    over = [None for _ in means] if divisors is None else divisors
    for batch in _batches(len(rows), sum(rows.widths), least):
        part = rows[batch]
        weight = np.ones(len(part)) if part.weight is None else part.weight
        root = home.double(np.sqrt(weight))
        factor = None if part.weight is None else root
        blocks = zip(part.blocks, means, over, strict=True)
        yield [block.standardised(mean, divisor, factor) for block, mean, divisor in blocks], root


def _counts(rows: Rows) -> Array:
    """Return the weight of the rows that have both of each pair of blocks: of all."""
    n_blocks, total = len(rows.blocks), len(rows) if rows.weight is None else rows.weight.sum()
    return np.full((n_blocks, n_blocks), float(total))


def _batches(n_rows: int, width: int, least: int = 1) -> list[slice]:
    step = max(CHUNK // max(1, width), least)
    return [slice(start, min(start + step, n_rows)) for start in range(0, max(1, n_rows), step)]


def _is_host(device: Any) -> bool:
    """Whether NumPy reads what lies there without a copy (devices are known by their names)."""
    return "cpu" in str(device).lower()
