"""Rows of all modalities behind one interface, and the rows that NumPy's arrays hold.

Sparse rows (`_sparse`) and rows on a device (`_device`) answer the same questions in their own way,
so that no route asks where rows lie. Routes read complete rows; those with gaps are projected only.
Each row is multiplied by the root of its weight: plain products are then weighted sums.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
from scipy.linalg import blas

from skmm._cca._moments import Moments
from skmm._gaussian._wide import Axes, DualAxes
from skmm._linalg import product
from skmm._modalities._chunks import CACHE, row_chunks

Array = np.ndarray


class StandardisedColumns(ABC):
    """Z (n, d) of one modality: root of weight times (x - mean) / divisor."""

    @abstractmethod
    def gram(self) -> Array:
        """Return the lower triangle of Z @ Z.T, (n, n)."""

    @abstractmethod
    def pull(self, U: Array) -> Array:
        """Return Z.T @ U for U (n, k)."""

    @abstractmethod
    def axes(self, dual: Array, varying: Array) -> Axes:
        """Return the axes Z.T @ dual of the columns that vary; they keep a copy of Z."""


class CentredColumns(NamedTuple):
    """Mean and variance (d,) of the columns of a modality, and what divides the centred columns."""

    mean: Array
    variance: Array
    divided_by: Callable[[Array], Any]  # StandardisedColumns of given divisors (d,)


class Standardised(Protocol):
    """Standardised rows that can be read any number of times, a chunk of all modalities a time."""

    def only(self, m: int) -> Self:
        """Return the rows of one modality."""

    def __iter__(self) -> Iterator[list[Array]]:
        """Yield chunks (n_chunk, d_m) of the modalities."""


@dataclass
class Rows(ABC):
    """Blocks (n, d_m) of the same rows, one per modality; `weight` is None for equal weights."""

    blocks: Sequence[Any]
    weight: Array | None = None  # (n,)

    # Whether products of rows or columns are too large, so that directions are found by iteration;
    # and whether dense passes over the rows are affordable, where products lose digits.
    needs_iteration: ClassVar[Any] = False
    can_be_read_dense: ClassVar[Any] = True

    @abstractmethod
    def add_to(self, moments: Moments) -> Moments:
        """Add the rows to moments around given shifts, and return these."""

    @abstractmethod
    def sums(self, shifts: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Return weighted sums (d_m,) of x - shift and of its squares."""

    @abstractmethod
    def fourth_moments(self, means: Sequence[Array], divisors: Sequence[Array]) -> list[float]:
        """Return the mean of the fourth power of the norm of standardised rows, per modality."""

    @abstractmethod
    def standardised(self, means: Sequence[Array], divisors: Sequence[Array]) -> Standardised:
        """Return rows, or fewer with the same products, that NumPy can read chunk by chunk."""

    @abstractmethod
    def columns(self, m: int) -> CentredColumns:
        """Return the columns of one modality, for products of n x n or with few vectors."""

    def project(self, m: int, mean: Array, scale: Array, weights: Array) -> Any:
        """Return (x - mean) @ weights of one modality, (n, k)."""
        return self.centred(m, mean) @ weights

    def centred(self, m: int, mean: Array) -> Array:
        """Return x - mean of one modality as a dense array (n, d_m) of doubles."""
        return np.subtract(self.dense(self.blocks[m]), mean, dtype=np.float64)

    def batches(self) -> Iterator[slice]:
        """Yield slices of rows whose dense copies fit into memory."""
        yield slice(0, len(self))

    def __len__(self) -> int:
        return self.blocks[0].shape[0]

    @property
    def widths(self) -> list[int]:
        """Number of columns of each modality."""
        return [block.shape[1] for block in self.blocks]

    def roots(self) -> Array:
        """Return the roots (n,) of the weights."""
        return np.ones(len(self)) if self.weight is None else np.sqrt(self.weight)

    @property
    def n_used(self) -> int:
        """Number of rows of positive weight."""
        return len(self) if self.weight is None else int(np.count_nonzero(self.weight))

    @property
    def total(self) -> float:
        """Weight of all rows."""
        return float(len(self)) if self.weight is None else float(self.weight.sum())

    def only(self, m: int) -> Self:
        """Return the rows of one modality."""
        return type(self)([self.blocks[m]], self.weight)

    def __getitem__(self, rows: slice | Array) -> Self:
        weight = None if self.weight is None else self.weight[rows]
        return type(self)([block[rows] for block in self.blocks], weight)

    def moments(self) -> Moments:
        """Return the moments of all rows."""
        return self.add_to(Moments.around(self.shifts()))

    def column_statistics(self) -> tuple[list[Array], list[Array]]:
        """Return means and variances (d_m,) of each modality.

        Three passes: the mean, what rounding left of a large offset, the variance around both.
        """
        shifts = [np.zeros(width) for width in self.widths]
        for _ in range(3):
            sums, squares = self.sums(shifts)
            deltas = [total / self.total for total in sums]
            shifts = [shift + delta for shift, delta in zip(shifts, deltas, strict=True)]
        variances = [square / self.total - deltas[m] ** 2 for m, square in enumerate(squares)]
        return shifts, variances

    def shifts(self) -> list[Array]:
        """Return the means (d_m,) of the first rows, or 0 where offsets cost no digits.

        A mean of up to eight standard deviations costs less than two digits; without a shift the
        rows need not be copied.
        """
        found, usable = [], np.flatnonzero(self.roots())[:1000]
        for block in self.blocks:
            first = self.dense(block[usable])
            first = np.asarray(first, dtype=np.float64)
            mean, deviation = np.zeros(block.shape[1]), 0.0
            if len(first):
                mean, deviation = first.mean(axis=0), first.std(axis=0)
            far = np.any(np.abs(mean) > 8.0 * deviation)
            found.append(mean if far else np.zeros_like(mean))
        return found

    @staticmethod
    def dense(block: Any) -> Array:
        """Return some rows of a modality as an array."""
        return block


class HostRows(Rows):
    """Rows that NumPy reads, dense chunk after dense chunk."""

    def add_to(self, moments: Moments) -> Moments:
        """Add the rows to moments around given shifts, and return these."""
        for chunk, root in self.chunks(moments.shifts):
            for i, a in enumerate(chunk):
                # All products by SciPy's BLAS: NumPy's is another pool of threads, in its way.
                moments.sums[i] += blas.dgemv(1.0, a.T, root)
                own = moments.products[i, i]
                blas.dsyrk(1.0, a.T, 1.0, own, lower=True, overwrite_c=True)
                for j in range(i + 1, len(chunk)):
                    total = moments.products[i, j]
                    blas.dgemm(1.0, a.T, chunk[j].T, 1.0, total, trans_b=True, overwrite_c=True)
        moments.weight += self.total
        moments.n_rows += self.n_used
        return moments

    def sums(self, shifts: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Return weighted sums (d_m,) of x - shift and of its squares."""
        sums, squares = [np.zeros_like(s) for s in shifts], [np.zeros_like(s) for s in shifts]
        for chunk, root in self.chunks(shifts):
            for m, z in enumerate(chunk):
                sums[m] += z.T @ root
                squares[m] += np.einsum("ij,ij->j", z, z)
        return sums, squares

    def standardised(self, means: Sequence[Array], divisors: Sequence[Array]) -> Standardised:
        """Return the standardised rows."""
        return _StandardisedChunks(self, means, divisors)

    def chunks(
        self, shifts: Sequence[Array], scales: Sequence[Array] | None = None
    ) -> Iterator[tuple[list[Array], Array]]:
        """Yield float64 chunks of (x - shift) / scale and of the roots (n_chunk,) of weights.

        The chunks are views or lie in buffers that the next step overwrites.
        """
        plain = [self._is_plain(block, shift) and scales is None
                 for block, shift in zip(self.blocks, shifts, strict=True)]  # fmt: skip
        batches = list(row_chunks(len(self), sum(self.widths), CACHE, least=512))
        longest = batches[0].stop
        buffers = [np.empty((0 if p else longest, width))
                   for p, width in zip(plain, self.widths, strict=True)]  # fmt: skip
        for rows in batches:
            part = self[rows]
            chunk = []
            for m, block in enumerate(part.blocks):
                if plain[m]:
                    chunk.append(block)
                    continue
                z = np.subtract(
                    self.dense(block), shifts[m], out=buffers[m][: len(part)], dtype=np.float64
                )
                if scales is not None:
                    z /= scales[m]
                if part.weight is not None:
                    z *= np.sqrt(part.weight)[:, None]
                chunk.append(z)
            yield chunk, part.roots()

    def _is_plain(self, block: Any, shift: Array) -> bool:
        """Whether the block can be used as it is, without a copy."""
        plain = isinstance(block, np.ndarray) and block.dtype == np.float64
        return plain and self.weight is None and not shift.any()


class DenseRows(HostRows):
    """Rows of arrays."""

    def fourth_moments(self, means: Sequence[Array], divisors: Sequence[Array]) -> list[float]:
        """Return the mean of the fourth power of the norm of standardised rows, per modality."""
        total = np.zeros(len(means))
        for chunk, root in self.chunks(means, divisors):
            for m, z in enumerate(chunk):
                squares = np.einsum("ij,ij->i", z, z)  # carries the weight once, its square twice
                total[m] += np.sum(squares**2 / np.where(root > 0, root**2, np.inf))
        return (total / self.total).tolist()

    def columns(self, m: int) -> CentredColumns:
        """Return the columns of one modality."""
        block, weight, count = self.blocks[m], self.roots() ** 2, self.total
        mean = np.einsum("i,ij->j", weight, block) / count
        variance = np.empty_like(mean)
        for columns in _column_chunks(block):
            z = np.subtract(block[:, columns], mean[columns], dtype=np.float64)
            delta = np.einsum("i,ij->j", weight, z) / count  # what rounding left of an offset
            mean[columns] += delta
            z *= z
            variance[columns] = np.einsum("i,ij->j", weight, z) / count - delta**2
        return CentredColumns(mean, variance, lambda s: _DenseColumns(block, self.weight, mean, s))


@dataclass
class _StandardisedChunks:
    """Rows that are standardised again whenever they are read: there is no second copy."""

    rows: HostRows
    means: Sequence[Array]
    divisors: Sequence[Array]

    def only(self, m: int) -> Self:
        return type(self)(self.rows.only(m), [self.means[m]], [self.divisors[m]])

    def __iter__(self) -> Iterator[list[Array]]:
        for chunk, _ in self.rows.chunks(self.means, self.divisors):
            yield chunk


@dataclass
class _DenseColumns(StandardisedColumns):
    """Columns that are standardised some at a time: there is no second copy."""

    block: Array
    weight: Array | None
    mean: Array
    divisor: Array

    def gram(self) -> Array:
        gram = np.zeros((len(self.block),) * 2, order="F")
        for columns in _column_chunks(self.block):
            z = self._standardised(columns)
            gram = blas.dsyrk(1.0, z.T, 1.0, gram, trans=True, lower=True, overwrite_c=True)
        return gram

    def pull(self, U: Array) -> Array:
        result = np.empty((self.block.shape[1], U.shape[1]))
        for columns in _column_chunks(self.block):
            result[columns] = product(self._standardised(columns).T, U)
        return result

    def axes(self, dual: Array, varying: Array) -> Axes:
        Z = self._standardised(slice(None))
        return DualAxes(Z if varying.all() else Z[:, varying], dual)

    def _standardised(self, columns: slice) -> Array:
        z = np.subtract(self.block[:, columns], self.mean[columns], dtype=np.float64)
        z /= self.divisor[columns]
        if self.weight is not None:
            z *= np.sqrt(self.weight)[:, None]
        return z


def fourth_moment(norms: Array, root: Array) -> float:
    """Return the weighted mean of the fourth power of the rows' norms; `norms` carry weights."""
    weight = root**2
    return float(np.sum(norms**2 / np.where(weight > 0, weight, np.inf)) / weight.sum())


def _column_chunks(block: Array) -> Iterator[slice]:
    """Yield slices of columns that cut the block into chunks of a few MiB."""
    return row_chunks(block.shape[1], len(block), CACHE, least=64)
