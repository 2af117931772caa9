"""First and second moments of row-aligned blocks, in one pass over chunks of rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, cast

import numpy as np
from scipy.linalg import blas

from skmm._cca._device import device_products, on_device
from skmm._linalg import row_chunks
from skmm._modalities._values import is_sparse

Array = np.ndarray


@dataclass
class Rows:
    """Blocks (n, d_m) of the same rows, which of them each row has, and the rows' weights.

    Blocks are arrays, CSR matrices or blocks on a device; those come all together and complete.
    `observed` is None where every row has every block; `weight` is None for equal weights.
    """

    blocks: Sequence[Any]
    observed: Array | None = None  # (n, M) bool
    weight: Array | None = None  # (n,)

    def __len__(self) -> int:
        return self.blocks[0].shape[0]

    @property
    def widths(self) -> list[int]:
        """Number of columns of each block."""
        return [block.shape[1] for block in self.blocks]

    def shared(self) -> Array:
        """Return how many rows with weight have both of each pair of blocks, (M, M)."""
        there = self._indicator() > 0
        return there.T.astype(np.int64) @ there

    def only(self, m: int) -> "Rows":
        """Return the rows of one block."""
        observed = None if self.observed is None else self.observed[:, [m]]
        return Rows([self.blocks[m]], observed, self.weight)

    def __getitem__(self, rows: slice | Array) -> "Rows":
        return Rows(
            [block[rows] for block in self.blocks],
            None if self.observed is None else self.observed[rows],
            None if self.weight is None else self.weight[rows],
        )

    def chunks(
        self, shifts: Sequence[Array], scales: Sequence[Array] | None = None
    ) -> Iterator[tuple[list[Array], Array]]:
        """Yield float64 chunks of (x - shift) / scale and of the indicators (n_chunk, M).

        Missing rows are zero, and rows are multiplied by the root of their weight, so that plain
        products of what is yielded are weighted sums over the rows that have both blocks. The
        chunks are views or lie in buffers that the next step overwrites.
        """
        plain = [self._is_plain(block, shift) and scales is None
                 for block, shift in zip(self.blocks, shifts, strict=True)]  # fmt: skip
        batches = list(row_chunks(len(self), sum(self.widths)))
        longest = batches[0].stop
        buffers = [np.empty((0 if p else longest, width))
                   for p, width in zip(plain, self.widths, strict=True)]  # fmt: skip
        for rows in batches:
            part = self[rows]
            indicator = part._indicator()
            chunk = []
            for m, block in enumerate(part.blocks):
                if plain[m]:
                    chunk.append(block)
                    continue
                z = np.subtract(
                    _dense(block), shifts[m], out=buffers[m][: len(part)], dtype=np.float64
                )
                if scales is not None:
                    z /= scales[m]
                if part.weight is not None:
                    z *= np.sqrt(part.weight)[:, None]
                if part.observed is not None:
                    z[~part.observed[:, m]] = 0.0
                chunk.append(z)
            yield chunk, indicator

    def standardised(self, m: int, columns: slice, mean: Array, divisor: Array) -> Array:
        """Return columns of a block as root of weight times (x - mean) / divisor, in float64."""
        z = np.subtract(self.blocks[m][:, columns], mean[columns], dtype=np.float64)
        z /= divisor[columns]
        if self.weight is not None:
            z *= np.sqrt(self.weight)[:, None]
        return z

    def _is_plain(self, block: Array, shift: Array) -> bool:
        """Whether the block can be used as it is, without a copy."""
        weighted = self.weight is not None or self.observed is not None
        plain = isinstance(block, np.ndarray) and block.dtype == np.float64
        return plain and not weighted and not shift.any()

    def _indicator(self) -> Array:
        """Return the root of the weight where a row has a block, 0 elsewhere, (n, M)."""
        root = np.ones(len(self)) if self.weight is None else np.sqrt(self.weight)
        if self.observed is None:
            return np.repeat(root[:, None], len(self.blocks), axis=1)
        return self.observed * root[:, None]


@dataclass
class Moments:
    """Counts, sums and products of blocks, over the rows that have both blocks of a pair.

    Sums are of x - shift, where the shift is about the mean, so that offsets cost no digits.
    Products are kept as BLAS leaves them: Fortran-ordered, of a block with itself only the lower
    triangle. `gaps` is None where what single pairs of blocks have is not asked for.
    """

    shifts: list[Array]
    counts: Array  # (M, M): sum of weights of the rows that have both
    sums: list[Array]  # (d_m, M): column j sums over the rows that have m and j
    products: dict[tuple[int, int], Array]  # i <= j
    shared: Array  # (M, M): number of rows with weight that have both
    gaps: dict[tuple[int, int], Array] | None = None  # products of i where j is missing

    @classmethod
    def of(cls, rows: Rows, *, pairs: bool = False) -> "Moments":
        """Start empty, with a shift from the first rows; `pairs` keeps the products of gaps."""
        return cls.around([_shift(rows, m) for m in range(len(rows.blocks))], pairs=pairs)

    @classmethod
    def around(cls, shifts: Sequence[Array], *, pairs: bool = False) -> "Moments":
        """Start empty, with given shifts."""
        n_blocks, widths = len(shifts), [len(shift) for shift in shifts]
        return cls(
            list(shifts),
            np.zeros((n_blocks, n_blocks)),
            [np.zeros((width, n_blocks)) for width in widths],
            {
                (i, j): np.zeros((widths[i], widths[j]), order="F")
                for j in range(n_blocks)
                for i in range(j + 1)
            },
            np.zeros((n_blocks, n_blocks), dtype=np.int64),
            {} if pairs else None,
        )

    def add(self, other: "Moments") -> "Moments":
        """Add moments around the same shifts."""
        self.counts += other.counts
        self.shared += other.shared
        for total, part in zip(self.sums, other.sums, strict=True):
            total += part
        for pair, product in other.products.items():
            self.products[pair] += product
        for pair, product in (other.gaps or {}).items():
            self._gap(*pair)[...] += product
        return self

    def copy(self) -> "Moments":
        """Return moments that can be updated without changing these."""
        return Moments(
            [shift.copy() for shift in self.shifts],
            self.counts.copy(),
            [total.copy() for total in self.sums],
            {pair: np.array(product, order="F") for pair, product in self.products.items()},
            self.shared.copy(),
            None if self.gaps is None else {k: v.copy(order="F") for k, v in self.gaps.items()},
        )

    def update(self, rows: Rows) -> "Moments":
        """Add the rows."""
        if on_device(rows):
            return self._update_from_device(rows)
        complete = rows.observed is None and rows.weight is None
        for chunk, indicator in rows.chunks(self.shifts):
            self.counts += len(indicator) if complete else indicator.T @ indicator
            for i, a in enumerate(chunk):
                # All products by SciPy's BLAS: NumPy's is another pool of threads, in its way.
                if complete:
                    self.sums[i] += blas.dgemv(1.0, a.T, indicator[:, 0])[:, None]
                else:
                    self.sums[i] += a.T @ indicator
                blas.dsyrk(1.0, a.T, 1.0, self.products[i, i], lower=True, overwrite_c=True)
                for j in range(i + 1, len(chunk)):
                    target = self.products[i, j]
                    blas.dgemm(1.0, a.T, chunk[j].T, 1.0, target, trans_b=True, overwrite_c=True)
            if self.gaps is not None and rows.observed is not None:
                self._add_gaps(chunk, indicator > 0)
        self.shared += rows.shared()
        return self

    def _update_from_device(self, rows: Rows) -> "Moments":
        counts, sums, products = device_products(rows, self.shifts)
        self.counts += counts
        for total, part in zip(self.sums, sums, strict=True):
            total += part[:, None]
        for pair, product in products.items():
            self.products[pair] += product
        self.shared += rows.shared()
        return self

    def _add_gaps(self, chunk: Sequence[Array], there: Array) -> None:
        """Add the products of each block over the rows that lack each other one."""
        for i, j in permutations(range(len(chunk)), 2):
            alone = chunk[i][there[:, i] & ~there[:, j]]
            if len(alone):
                blas.dsyrk(1.0, alone.T, 1.0, self._gap(i, j), lower=True, overwrite_c=True)

    def _gap(self, i: int, j: int) -> Array:
        gaps, width = cast(dict[tuple[int, int], Array], self.gaps), len(self.shifts[i])
        if (i, j) not in gaps:
            gaps[i, j] = np.zeros((width, width), order="F")
        return gaps[i, j]

    def centred_sum(self, i: int, j: int) -> Array:
        """Return the sum (d_i,) of x - mean over the rows that have i and j."""
        return self.sums[i][:, j] - self.counts[i, j] * self._mean(i)

    def scatter(self, i: int, j: int) -> Array:
        """Return the products (d_i, d_i) of x - mean over the rows that have i and j."""
        lower = self.products[i, i] - (self.gaps or {}).get((i, j), 0.0)
        whole = np.tril(lower) + np.tril(lower, -1).T
        a, s = self._mean(i), self.sums[i][:, j]
        return whole - np.outer(a, s) - np.outer(self.centred_sum(i, j), a)

    def co_scatter(self, i: int, j: int) -> Array:
        """Return the products (d_i, d_j) of x - mean and y - mean over the rows that have both."""
        if i == j:
            return self.scatter(i, i)
        whole = self.products[i, j] if i < j else self.products[j, i].T
        s = self.sums[j][:, i]
        return whole - np.outer(self._mean(i), s) - np.outer(self.centred_sum(i, j), self._mean(j))

    def means(self) -> list[Array]:
        """Mean (d_m,) of each block over the rows that have it."""
        return [shift + self._mean(m) for m, shift in enumerate(self.shifts)]

    def covariances(self, overwrite: bool = False) -> dict[tuple[int, int], Array]:
        """Return the covariance (d_i, d_j) of each pair i <= j, around each block's own mean.

        With `overwrite` they take the place of the products, and the moments are spent.
        """
        result = {}
        for (i, j), product in self.products.items():
            S = product if overwrite else product.copy(order="F")
            count = max(self.counts[i, j], np.finfo(np.float64).tiny)
            a, b = self._mean(i), self._mean(j)
            # sum (x - a)(y - b)' = sum xy' - a (sum y)' - (sum x) b' + count a b'
            left = np.stack([a, self.sums[i][:, j] - self.counts[i, j] * a], axis=1)
            right = np.stack([self.sums[j][:, i], b], axis=1)
            blas.dgemm(-1.0, left, right, 1.0, S, trans_b=True, overwrite_c=True)
            S /= count
            if i == j:
                lower = np.tril(S)
                np.add(lower, np.tril(S, -1).T, out=S)
            result[i, j] = S
        return result

    def _mean(self, m: int) -> Array:
        """Mean of x - shift."""
        return self.sums[m][:, m] / self.counts[m, m]


def _shift(rows: Rows, m: int) -> Array:
    """Return the mean of the first rows, or 0 where offsets are too small to cost digits.

    A mean of up to eight standard deviations costs less than two digits; without a shift the
    rows need not be copied.
    """
    block = rows.blocks[m]
    usable = np.ones(len(rows), bool) if rows.weight is None else rows.weight > 0
    if rows.observed is not None:
        usable &= rows.observed[:, m]
    first = np.asarray(_dense(block[np.flatnonzero(usable)[:1000]]), dtype=np.float64)
    if not len(first):
        return np.zeros(block.shape[1])
    mean, deviation = first.mean(axis=0), first.std(axis=0)
    return mean if np.any(np.abs(mean) > 8.0 * deviation) else np.zeros_like(mean)


def _dense(rows: Any) -> Array:
    """Return a few rows as they are, or those of a sparse block as an array."""
    return rows.toarray() if is_sparse(rows) else rows
