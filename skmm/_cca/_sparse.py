"""Standardised columns of one modality that are never formed.

Of a sparse block X only the stored entries are kept: with root weights a, means mu and divisors s
``Z = A - a b'``, where ``A = diag(a) X diag(1/s)`` is as sparse as X and ``b = mu / s``. Each
product with Z is one with A and a correction of rank one.

The correction costs no digits: a column stored in a share q of the rows has
``mu**2 <= var * q / (1 - q)``, and one that is stored in every row is centred entry by entry.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from skmm._cca._moments import Moments, Rows
from skmm._cca._route import DEPENDENT, Spread
from skmm._linalg import psd_eigh
from skmm._modalities._chunks import row_chunks
from skmm._modalities._values import is_sparse

Array = np.ndarray
Settle = Callable[[Array, Array], Array]  # mean and variance to divisors


@dataclass(frozen=True)
class Columns:
    """Root of weight times (x - mean) / divisor of the rows of a block.

    Attributes
    ----------
    entries : csr_array or ndarray (n, d)
        A of the module's text.
    root : ndarray (n,)
        Roots of the weights; 0 where a row lacks the block.
    shift : ndarray (d,)
        b of the module's text.
    """

    entries: Any
    root: Array
    shift: Array

    @classmethod
    def read(cls, block: Any, root: Array, settle: Settle) -> "Columns":
        """Standardise a block (n, d) by what `settle` makes of its mean and variance."""
        root = np.ascontiguousarray(root)  # of a column, which a file would not keep as it lies
        if is_sparse(block):
            return cls(*_read_sparse(block, root, settle))
        weight, count = root**2, float(np.sum(root**2))
        x = np.array(block, dtype=np.float64)
        x[root == 0] = 0.0
        mean = weight @ x / count
        x -= mean
        delta = weight @ x / count  # what rounding left of an offset
        x -= delta
        variance = np.einsum("i,ij,ij->j", weight, x, x) / count
        x /= settle(mean + delta, variance)
        x *= root[:, None]
        return cls(x, root, np.zeros_like(mean))

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return self.entries.shape

    def push(self, V: Array) -> Array:
        """Return Z @ V."""
        return self.entries @ V - np.outer(self.root, self.shift @ V)

    def pull(self, U: Array) -> Array:
        """Return Z.T @ U."""
        return self.entries.T @ U - np.outer(self.shift, self.root @ U)

    def row_norms(self) -> Array:
        """Return the squared norm (n,) of each row of Z."""
        A = self.entries
        squares = np.asarray((A * A).sum(axis=1)).ravel()
        norms = squares - 2.0 * self.root * (A @ self.shift)
        return np.maximum(norms + self.root**2 * (self.shift @ self.shift), 0.0)

    def gram(self) -> Array:
        """Return the lower triangle of Z @ Z.T."""
        gram = np.zeros((self.shape[0],) * 2, order="F")
        for rows, part in self._gram_chunks():
            gram[rows] = np.tril(part, rows.start)
        return gram

    def products(self, other: "Columns") -> Array:
        """Return Z.T @ other's Z, of the same rows, (d, other's d)."""
        result = np.empty((self.shape[1], other.shape[1]), order="F")
        for columns, part in self._product_chunks(other):
            result[columns] = part
        return result

    def squares(self) -> float:
        """Return the sum of squares of Z.T @ Z, which is that of Z @ Z.T."""
        n_rows, n_columns = self.shape
        chunks = self._gram_chunks() if n_rows <= n_columns else self._product_chunks(self)
        return float(sum(np.einsum("ij,ij->", part, part) for _, part in chunks))

    def _gram_chunks(self) -> Iterator[tuple[slice, Array]]:
        A, a, b = self.entries, self.root, self.shift
        turned, along, square = _turned(A), A @ b, b @ b
        for rows in _batches(len(a), len(a)):
            part = _dense(A[rows] @ turned)
            part -= np.outer(along[rows] - square * a[rows], a)
            part -= np.outer(a[rows], along)
            yield rows, part

    def _product_chunks(self, other: "Columns") -> Iterator[tuple[slice, Array]]:
        turned, B = _turned(self.entries), other.entries
        below, aside = turned @ other.root, B.T @ self.root
        total = float(self.root @ other.root)
        for columns in _batches(self.shape[1], other.shape[1]):
            part = _dense(turned[columns] @ B)
            part -= np.outer(self.shift[columns], aside - total * other.shift)
            part -= np.outer(below[columns], other.shift)
            yield columns, part


@dataclass(frozen=True)
class DualSpread(Spread):
    """Z with S = Z'Z / count, for fewer rows than columns: eigenvectors of S are never formed."""

    columns: Columns
    count: float

    @property
    def values(self) -> Array:
        """Eigenvalues (r,) of S on its range."""
        return self._dual[0]

    def into(self, x: Array) -> Array:
        """Return coordinates (n, r) of rows along the eigenvectors Z'U / root(count values)."""
        values, U = self._dual
        return self.columns.push(x.T).T @ (U / np.sqrt(values * self.count))

    def draw(self, n_samples: int, rng: np.random.RandomState) -> Array:
        """Draw centred normal rows (n_samples, d) of covariance S, by its symmetric root."""
        U = self._dual[1]
        free = rng.standard_normal((n_samples, self.columns.shape[1]))
        dual = (self.into(free) / np.sqrt(self.count)) @ U.T
        return self.columns.pull(dual.T).T

    @cached_property
    def _dual(self) -> tuple[Array, Array]:
        """Eigenvalues of S and eigenvectors of Z Z', found when first needed."""
        values, U = psd_eigh(self.columns.gram(), DEPENDENT)
        return values / self.count, U


@dataclass(frozen=True)
class RowsSpread(Spread):
    """Z with S = Z'Z / count, too large for its spectrum."""

    columns: Columns
    count: float

    @property
    def values(self) -> Array:
        """Refuse."""
        n_rows, n_columns = self.columns.shape
        raise ValueError(
            f"The log-likelihood needs all eigenvalues of a modality of {n_columns} columns, "
            f"fitted on {n_rows} rows: too many. Fit on fewer rows or columns, or use score."
        )

    def draw(self, n_samples: int, rng: np.random.RandomState) -> Array:
        """Draw centred normal rows (n_samples, d) of covariance S."""
        free = rng.standard_normal((self.columns.shape[0], n_samples))
        return self.columns.pull(free / np.sqrt(self.count)).T


def any_sparse(rows: Rows) -> bool:
    """Whether some block is sparse."""
    return any(is_sparse(block) for block in rows.blocks)


def sparse_moments(rows: Rows) -> Moments:
    """Return the moments of rows of which some blocks are sparse, around the means."""
    roots, means = rows._indicator(), []

    def settle(mean: Array, variance: Array) -> Array:
        means.append(mean)
        return np.ones_like(mean)

    columns = [
        Columns.read(block, root, settle) for block, root in zip(rows.blocks, roots.T, strict=True)
    ]
    every = range(len(columns))
    return Moments(
        means,
        roots.T @ roots,
        [np.zeros((width, len(columns))) for width in rows.widths],
        {(i, j): columns[i].products(columns[j]) for j in every for i in range(j + 1)},
        rows.shared(),
    )


def fourth_moment(norms: Array, root: Array) -> float:
    """Return the weighted mean of the fourth power of the rows' norms; `norms` carry weights."""
    weight = root**2
    return float(np.sum(norms**2 / np.where(weight > 0, weight, np.inf)) / weight.sum())


def project_sparse(X: Any, mean: Array, scale: Array, weights: Array) -> Array:
    """Return (x - mean) @ weights of CSR rows; a row's result does not depend on the others.

    Columns with a mean far above their scale, which are stored in nearly every row, are centred
    entry by entry.
    """
    far = np.abs(mean) > 8.0 * scale
    if not far.any():
        return X @ weights - mean @ weights
    near = np.where(far[:, None], 0.0, weights)
    result = X @ near - mean @ near
    for rows in _batches(X.shape[0], int(far.sum())):
        result[rows] += (X[rows][:, far].toarray() - mean[far]) @ weights[far]
    return result


def row_batches(n_rows: int, n_columns: Sequence[int]) -> Iterator[slice]:
    """Yield slices of rows of which dense copies take a few MiB."""
    return _batches(n_rows, sum(n_columns))


def _read_sparse(block: Any, root: Array, settle: Settle) -> tuple[Any, Array, Array]:
    """Return A, a and b of a CSR block."""
    if not block.has_canonical_format:
        block = block.copy()
        block.sum_duplicates()
    indices, weight = block.indices, root**2
    count = float(weight.sum())

    def totals(data: Array) -> Array:
        return _like(block, data).T @ weight

    data = block.data.astype(np.float64)
    pattern = _like(block, np.ones(len(data)))
    mean, stored = totals(data) / count, pattern.T @ weight
    centred = data - mean[indices]
    full = pattern.T @ (root > 0) == np.count_nonzero(root)
    if full.any():
        delta = np.where(full, totals(centred) / count, 0.0)  # what rounding left of an offset
        mean, centred = mean + delta, centred - delta[indices]
        data = np.where(full[indices], centred, data)
    unstored = np.where(full, 0.0, count - stored)
    divisor = settle(mean, (totals(centred**2) + unstored * mean**2) / count)
    data /= divisor[indices]
    if not np.all(root == 1.0):
        data *= np.repeat(root, np.diff(block.indptr))
    return _like(block, data), root, np.where(full, 0.0, mean / divisor)


def _like(block: Any, data: Array) -> Any:
    return sp.csr_array((data, block.indices, block.indptr), shape=block.shape)


def _turned(entries: Any) -> Any:
    return entries.T.tocsr() if is_sparse(entries) else entries.T


def _dense(part: Any) -> Array:
    return part.toarray() if is_sparse(part) else part


def _batches(n_rows: int, n_columns: int) -> Iterator[slice]:
    return row_chunks(n_rows, n_columns)
