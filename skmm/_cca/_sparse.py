"""Standardised columns of one modality that are never formed.

Of a sparse block X only the stored entries are kept: with root weights a, means mu and divisors s
``Z = A - a b'``, where ``A = diag(a) X diag(1/s)`` is as sparse as X and ``b = mu / s``. Each
product with Z is one with A and a correction of rank one.

The correction costs no digits: a column stored in a share q of the rows has
``mu**2 <= var * q / (1 - q)``, and one that is stored in every row is centred entry by entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp

from skmm._cca._moments import Moments
from skmm._cca._rows import CentredColumns, HostRows, StandardisedColumns, fourth_moment
from skmm._modalities._chunks import row_chunks
from skmm._modalities._values import is_sparse

Array = np.ndarray

# The largest n x n or d x d products that are formed unless "covariance" wants them (200 MiB
# each), and the largest dense copy (256 MiB) by which "auto" goes back to the rows.
LARGEST_PRODUCTS = 5000
LARGEST_COPY = 2**25


class SparseRows(HostRows):
    """Rows of CSR matrices, or of some and of arrays."""

    @property
    def needs_iteration(self) -> bool:
        """Whether the products of rows or columns are too large to be formed."""
        return min(len(self), max(self.widths)) > LARGEST_PRODUCTS

    @property
    def can_be_read_dense(self) -> bool:
        """Whether passes over dense rows are affordable where products lose digits."""
        return len(self) * sum(self.widths) <= LARGEST_COPY

    def moments(self) -> Moments:
        """Return the moments of all rows, around the means, by sparse products."""
        every = range(len(self.blocks))
        read = [self.columns(m) for m in every]
        Z = [columns.divided_by(np.ones_like(columns.mean)) for columns in read]
        return Moments(
            [columns.mean for columns in read],
            self.total,
            self.n_used,
            [np.zeros(width) for width in self.widths],
            {(i, j): Z[i].products(Z[j]) for j in every for i in range(j + 1)},
        )

    def fourth_moments(self, means: Sequence[Array], divisors: Sequence[Array]) -> list[float]:
        """Return the mean of the fourth power of the norm of standardised rows, per modality."""
        read = [self.columns(m).divided_by(divisor) for m, divisor in enumerate(divisors)]
        return [fourth_moment(Z.row_norms(), Z.root) for Z in read]

    def columns(self, m: int) -> CentredColumns:
        """Return the columns of one modality, for products of n x n or with few vectors."""
        block, root = self.blocks[m], self.roots()
        return _read_sparse(block, root) if is_sparse(block) else _read_dense(block, root)

    def project(self, m: int, mean: Array, scale: Array, weights: Array) -> Array:
        """Return (x - mean) @ weights of one modality, (n, k)."""
        if not is_sparse(self.blocks[m]):
            return self.centred(m, mean) @ weights
        return project_sparse(self.blocks[m], mean, scale, weights)

    def batches(self) -> Iterator[slice]:
        """Yield slices of rows whose dense copies take a few MiB."""
        return row_chunks(len(self), sum(self.widths))

    @staticmethod
    def dense(block: Any) -> Array:
        """Return some rows of a modality as an array."""
        return _dense(block)


@dataclass(frozen=True)
class SparseColumns(StandardisedColumns):
    """Root of weight times (x - mean) / divisor of the rows of a modality.

    Attributes
    ----------
    entries : csr_array or ndarray (n, d)
        A of the module's text.
    root : ndarray (n,)
        Roots of the weights; 0 where a row lacks the modality.
    shift : ndarray (d,)
        b of the module's text.
    """

    entries: Any
    root: Array
    shift: Array

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

    def products(self, other: SparseColumns) -> Array:
        """Return Z.T @ other's Z, of the same rows, (d, other's d)."""
        result = np.empty((self.shape[1], other.shape[1]), order="F")
        for columns, part in self._product_chunks(other):
            result[columns] = part
        return result

    def axes(self, dual: Array, varying: Array) -> SparseAxes:
        """Return the axes Z.T @ dual of the columns that vary."""
        if varying.all():
            return SparseAxes(self, dual)
        columns = np.flatnonzero(varying)
        return SparseAxes(
            SparseColumns(self.entries[:, columns], self.root, self.shift[columns]), dual
        )

    def squares(self) -> float:
        """Return the sum of squares of Z.T @ Z, which is that of Z @ Z.T."""
        n_rows, n_columns = self.shape
        chunks = self._gram_chunks() if n_rows <= n_columns else self._product_chunks(self)
        return float(sum(np.einsum("ij,ij->", part, part) for _, part in chunks))

    def _gram_chunks(self) -> Iterator[tuple[slice, Array]]:
        A, a, b = self.entries, self.root, self.shift
        turned, along, square = _turned(A), A @ b, b @ b
        for rows in row_chunks(len(a), len(a)):
            part = _dense(A[rows] @ turned)
            part -= np.outer(along[rows] - square * a[rows], a)
            part -= np.outer(a[rows], along)
            yield rows, part

    def _product_chunks(self, other: SparseColumns) -> Iterator[tuple[slice, Array]]:
        turned, B = _turned(self.entries), other.entries
        below, aside = turned @ other.root, B.T @ self.root
        total = float(self.root @ other.root)
        for columns in row_chunks(self.shape[1], other.shape[1]):
            part = _dense(turned[columns] @ B)
            part -= np.outer(self.shift[columns], aside - total * other.shift)
            part -= np.outer(below[columns], other.shift)
            yield columns, part


@dataclass(frozen=True)
class SparseAxes:
    """Q = Z' D, never formed: Z (n, d) are the standardised rows, D (n, r)."""

    standardised: SparseColumns
    dual: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of columns and of axes."""
        return self.standardised.shape[1], self.dual.shape[1]

    def coordinates(self, x: Array) -> Array:
        """Return x Q (n, r)."""
        return self.standardised.push(x.T).T @ self.dual

    def expand(self, y: Array) -> Array:
        """Return y Q' (n, d)."""
        return self.standardised.pull(self.dual @ y.T).T

    def rows(self, columns: Array) -> Array:
        """Return some rows of Q (p, r)."""
        return self.standardised.pull(self.dual)[columns]


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
    for rows in row_chunks(X.shape[0], int(far.sum())):
        result[rows] += (X[rows][:, far].toarray() - mean[far]) @ weights[far]
    return result


def _read_dense(block: Array, root: Array) -> CentredColumns:
    """Return the columns of an array (n, d) among sparse ones."""
    weight, count = root**2, float(np.sum(root**2))
    x = np.array(block, dtype=np.float64)
    x[root == 0] = 0.0
    mean = weight @ x / count
    x -= mean
    delta = weight @ x / count  # what rounding left of an offset
    x -= delta
    variance = np.einsum("i,ij,ij->j", weight, x, x) / count
    return CentredColumns(mean + delta, variance, partial(_divide_dense, x, root))


def _divide_dense(x: Array, root: Array, divisor: Array) -> SparseColumns:
    x /= divisor
    x *= root[:, None]
    return SparseColumns(x, root, np.zeros_like(divisor))


def _read_sparse(block: Any, root: Array) -> CentredColumns:
    """Return the columns of a CSR block (n, d)."""
    if not block.has_canonical_format:
        block = block.copy()
        block.sum_duplicates()
    indices, weight = block.indices, root**2
    count = float(weight.sum())

    def totals(data: Array) -> Array:
        return _like(block, data).T @ weight  # (d,)

    data = block.data.astype(np.float64)
    pattern = _like(block, np.ones(len(data)))
    mean, stored = totals(data) / count, pattern.T @ weight
    centred = data - mean[indices]
    # A column that is stored in every row loses nothing by being centred entry by entry.
    full = pattern.T @ (root > 0) == np.count_nonzero(root)
    if full.any():
        delta = np.where(full, totals(centred) / count, 0.0)  # what rounding left of an offset
        mean, centred = mean + delta, centred - delta[indices]
        data = np.where(full[indices], centred, data)
    unstored = np.where(full, 0.0, count - stored)
    variance = (totals(centred**2) + unstored * mean**2) / count

    def divide(divisor: Array) -> SparseColumns:
        entries = data / divisor[indices]
        if not np.all(root == 1.0):
            entries *= np.repeat(root, np.diff(block.indptr))
        return SparseColumns(_like(block, entries), root, np.where(full, 0.0, mean / divisor))

    return CentredColumns(mean, variance, divide)


def _like(block: Any, data: Array) -> Any:
    return sp.csr_array((data, block.indices, block.indptr), shape=block.shape)


def _turned(entries: Any) -> Any:
    return entries.T.tocsr() if is_sparse(entries) else entries.T


def _dense(part: Any) -> Array:
    return part.toarray() if is_sparse(part) else part
