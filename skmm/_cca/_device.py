"""Rows that lie on another device, as arrays of another library: products are formed there.

What has the size of the columns comes to NumPy, where the decompositions are; so there is one
route from moments, from triangles and from n x n products to the solution, wherever the rows lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, NamedTuple

import numpy as np
from sklearn.externals import array_api_compat
from sklearn.utils._array_api import (
    _convert_to_numpy,
    _is_numpy_namespace,
    _max_precision_float_dtype,
)

from skmm._cca._moments import Moments
from skmm._cca._rows import CentredColumns, Rows, StandardisedColumns, fourth_moment
from skmm._gaussian._wide import Axes, DualAxes
from skmm._modalities._chunks import row_chunks
from skmm._modalities._values import is_lazy

Array = np.ndarray
CHUNK = 2**25  # entries of a chunk in double precision


class Home(NamedTuple):
    """Where arrays lie: the namespace of their library, and a device of it."""

    xp: Any
    device: Any

    @classmethod
    def of(cls, value: Any) -> Home | None:
        """Return the home of an array of another library; None for every other value."""
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
    """Rows (n, d) of a modality on their device, with shape, length and slices of an ndarray."""

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
        parts = [self[rows].standardised(mean) @ there for rows in row_chunks(*self.shape, CHUNK)]
        return self.home.xp.concat(parts, axis=0)


@dataclass
class DeviceRows(Rows):
    """Complete rows whose modalities all lie on one device."""

    def add_to(self, moments: Moments) -> Moments:
        """Add the rows to moments around given shifts, and return these."""
        sums: list[Any] = [0.0 for _ in self.blocks]
        products: dict[tuple[int, int], Any] = {}
        for chunk, root in self._chunks(moments.shifts):
            for m, z in enumerate(chunk):
                sums[m] = sums[m] + root @ z
            for i, j in combinations_with_replacement(range(len(chunk)), 2):
                product = chunk[i].T @ chunk[j]
                products[i, j] = product + products[i, j] if (i, j) in products else product
        for total, part in zip(moments.sums, to_numpy(sums), strict=True):
            total += part
        for pair, product in to_numpy(products).items():
            moments.products[pair] += product
        moments.weight += self.total
        moments.n_rows += self.n_used
        return moments

    def sums(self, shifts: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Return weighted sums (d_m,) of x - shift and of its squares."""
        sums: list[Any] = [0.0 for _ in shifts]
        squares: list[Any] = [0.0 for _ in shifts]
        for chunk, root in self._chunks(shifts):
            for m, z in enumerate(chunk):
                sums[m] = sums[m] + root @ z
                squares[m] = squares[m] + self._home.xp.sum(z * z, axis=0)
        return to_numpy(sums), to_numpy(squares)

    def fourth_moments(self, means: Sequence[Array], divisors: Sequence[Array]) -> list[float]:
        """Return the mean of the fourth power of the norm of standardised rows, per modality."""
        norms: list[list[Array]] = [[] for _ in means]
        for chunk, _ in self._chunks(means, divisors):
            for m, z in enumerate(chunk):
                norms[m].append(to_numpy(self._home.xp.sum(z * z, axis=1)))
        return [fourth_moment(np.concatenate(n), self.roots()) for n in norms]

    def standardised(self, means: Sequence[Array], divisors: Sequence[Array]) -> Triangle:
        """Return R of the QR decomposition of all standardised modalities side by side.

        Its products are those of the rows, and it has their singular values to the last digit, as
        products have not. One chunk is decomposed after the other, each below the R of those
        before.
        """
        xp, width, pending = self._home.xp, sum(self.widths), None
        for chunk, _ in self._chunks(means, divisors, least=4 * width):
            stacked = xp.concat(chunk, axis=1)
            stacked = stacked if pending is None else xp.concat([pending, stacked], axis=0)
            pending = xp.linalg.qr(stacked, mode="reduced")[1]
        stops = np.cumsum(self.widths)[:-1]
        return Triangle(np.split(to_numpy(pending), stops, axis=1))

    def columns(self, m: int) -> CentredColumns:
        """Return the columns of one modality, for products of n x n or with few vectors."""
        (mean,), (variance,) = self.only(m).column_statistics()
        root = None if self.weight is None else self._home.double(np.sqrt(self.weight))
        block = self.blocks[m]
        return CentredColumns(mean, variance, lambda s: _DeviceColumns(block, mean, s, root))

    def project(self, m: int, mean: Array, scale: Array, weights: Array) -> Any:
        """Return (x - mean) @ weights of one modality, (n, k), on the device."""
        return self.blocks[m].project(mean, weights)

    @staticmethod
    def dense(block: Any) -> Array:
        """Return some rows of a modality as an array."""
        return np.asarray(block)

    @property
    def _home(self) -> Home:
        return self.blocks[0].home

    def _chunks(
        self, means: Sequence[Array], divisors: Sequence[Array] | None = None, least: int = 1
    ) -> Iterator[tuple[list[Any], Any]]:
        """Yield standardised chunks of all blocks, and the roots of their rows' weights."""
        over = [None for _ in means] if divisors is None else divisors
        for batch in row_chunks(len(self), sum(self.widths), CHUNK, least):
            part = self[batch]
            weight = np.ones(len(part)) if part.weight is None else part.weight
            root = self._home.double(np.sqrt(weight))
            factor = None if part.weight is None else root
            blocks = zip(part.blocks, means, over, strict=True)
            yield [block.standardised(mean, s, factor) for block, mean, s in blocks], root


class Triangle:
    """R of a QR decomposition in the place of the rows: one chunk, centred and divided already."""

    def __init__(self, blocks: Sequence[Array]) -> None:
        self._blocks = list(blocks)

    def only(self, m: int) -> Triangle:
        """Return the columns of one modality."""
        return Triangle([self._blocks[m]])

    def __iter__(self) -> Iterator[list[Array]]:
        yield self._blocks


@dataclass
class _DeviceColumns(StandardisedColumns):
    """Columns that are standardised on the device whenever they are multiplied."""

    block: DeviceBlock
    mean: Array
    divisor: Array
    root: Any

    def gram(self) -> Array:
        z = self._standardised()
        return np.tril(to_numpy(z @ z.T))

    def pull(self, U: Array) -> Array:
        return to_numpy(self._standardised().T @ self.block.home.double(U))

    def axes(self, dual: Array, varying: Array) -> Axes:
        return DualAxes(to_numpy(self._standardised())[:, varying], dual)

    def _standardised(self) -> Any:
        return self.block.standardised(self.mean, self.divisor, self.root)


def _is_host(device: Any) -> bool:
    """Whether NumPy reads what lies there without a copy (devices are known by their names)."""
    return "cpu" in str(device).lower()
