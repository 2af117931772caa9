"""The route for fewer rows than columns: whitening by the n x n products of the rows.

Missing rows are zero. Each modality is whitened on the rows that have it, and the
cross-covariances are sums over the rows that have both, divided by their number.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy.linalg import blas

from skmm._cca._device import to_numpy
from skmm._cca._moments import Rows
from skmm._cca._root import column_statistics
from skmm._cca._route import (
    DEPENDENT,
    TINY,
    WELL_CONDITIONED,
    IllConditionedError,
    RootSpread,
    Route,
    Spread,
)
from skmm._cca._sparse import Columns, DualSpread
from skmm._linalg import product, psd_eigh
from skmm._modalities._chunks import CACHE, row_chunks

Array = np.ndarray


class GramRoute(Route):
    """Whitening by the n x n products of dense, complete rows.

    Raises
    ------
    IllConditionedError
        If `strict` and the products are too inexact to tell the rank.
    """

    def __init__(
        self,
        rows: Rows,
        shrinkages: Sequence[float | str],
        scale: bool,
        *,
        strict: bool = False,
    ) -> None:
        super().__init__(scale)
        self._rows = rows
        self.damped = rows.observed is not None
        self._roots = rows._indicator()
        self._counts = self._roots.T @ self._roots
        self._left: list[Array] = []
        self._spectra: list[Array] = []
        gains: list[Array] = []
        for m, shrinkage in enumerate(shrinkages):
            gram, count = self._gram(m, scale), float(self._counts[m, m])  # the lower triangle
            norms, weight = np.diag(gram), self._roots[:, m] ** 2
            squares = (2 * np.einsum("ij,ij->", gram, gram) - np.sum(norms**2)) / count**2
            fourth = np.sum(norms**2 / np.where(weight > 0, weight, np.inf)) / count
            trace = float(norms.sum() / count)
            self._shrink(shrinkage, trace, float(squares), fourth, count)
            spectrum, vectors = psd_eigh(gram, DEPENDENT)
            if self.shrinkages[m] == 0.0 and np.any(spectrum < WELL_CONDITIONED * spectrum[:1]):
                if strict:
                    raise IllConditionedError
                self.inexact.append(m)
            spectrum = spectrum / count
            gains.append(np.sqrt(spectrum / self._shrunk(m, spectrum)))
            self._spectra.append(spectrum)
            self._left.append(vectors)
        self.ranks = [len(gain) for gain in gains]
        self.inner = [gain**2 for gain in gains]
        for i, j in combinations(range(len(gains)), 2):
            overlap = product(self._left[i].T, self._left[j])
            overlap *= np.sqrt(self._counts[i, i] * self._counts[j, j]) / self._pair(i, j)
            self.cross[i, j] = gains[i][:, None] * overlap * gains[j]

    def project(self, directions: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Return Z' times the dual coefficients, and Z' times the projections over n."""
        duals, codes = [], []
        for m, (U, spectrum, v) in enumerate(
            zip(self._left, self._spectra, directions, strict=True)
        ):
            shrunk, count = self._shrunk(m, spectrum)[:, None], self._counts[m, m]
            duals.append(product(U, v / np.sqrt(spectrum[:, None] * shrunk * count)))
            codes.append(product(U, v * np.sqrt(spectrum[:, None] / shrunk * count)))
        self._left = []  # done with: n x n each
        k, weights, between = directions[0].shape[1], [], []
        for m, dual in enumerate(duals):
            shares = [code / self._pair(m, n) for n, code in enumerate(codes)]
            both = self._pull(m, np.hstack([dual, *shares]))
            weights.append(both[:, :k])
            between.append(both[:, k:])
        return weights, between

    def spread(self, m: int) -> Spread:
        """Return the standardised rows, a root of S; formed last, when the rest is done with."""
        root = self._standardised(m, slice(None))
        root /= np.sqrt(self._counts[m, m])
        return RootSpread(root)

    def _gram(self, m: int, scale: bool) -> Array:
        """Settle mean and scale, and return the products of the standardised rows."""
        block, weight, count = self._rows.blocks[m], self._roots[:, m] ** 2, self._counts[m, m]
        mean = np.einsum("i,ij->j", weight, block) / count
        variance = np.empty_like(mean)
        for columns in _column_chunks(block):
            z = np.subtract(block[:, columns], mean[columns], dtype=np.float64)
            delta = np.einsum("i,ij->j", weight, z) / count  # what rounding left of an offset
            mean[columns] += delta
            z *= z
            variance[columns] = np.einsum("i,ij->j", weight, z) / count - delta**2
        self._standardise(mean, variance, scale)
        gram = np.zeros((len(block), len(block)), order="F")
        for columns in _column_chunks(block):
            z = self._standardised(m, columns)
            gram = blas.dsyrk(1.0, z.T, 1.0, gram, trans=True, lower=True, overwrite_c=True)
        return gram

    def _pull(self, m: int, right: Array) -> Array:
        """Return Z' @ right."""
        result = np.empty((len(self.means[m]), right.shape[1]))
        for columns in _column_chunks(self._rows.blocks[m]):
            result[columns] = product(self._standardised(m, columns).T, right)
        return result

    def _pair(self, i: int, j: int) -> float:
        """Return the weight of the rows that have both; their sums are zero if there are none."""
        return max(float(self._counts[i, j]), TINY)

    def _standardised(self, m: int, columns: slice) -> Array:
        divisor = np.where(self.varying[m], self.scales[m], np.inf)
        return self._rows.standardised(m, columns, self.means[m], divisor)


class SparseGramRoute(GramRoute):
    """Whitening by the n x n products of rows that may be sparse or missing."""

    def __init__(
        self,
        rows: Rows,
        shrinkages: Sequence[float | str],
        scale: bool,
        *,
        strict: bool = False,
    ) -> None:
        self._columns: list[Columns] = []
        super().__init__(rows, shrinkages, scale, strict=strict)

    def spread(self, m: int) -> Spread:
        """Return the sparse root of S."""
        return DualSpread(self._columns[m], float(self._counts[m, m]))

    def _gram(self, m: int, scale: bool) -> Array:
        self._columns.append(
            Columns.read(
                self._rows.blocks[m],
                self._roots[:, m],
                lambda mean, variance: self._standardise(mean, variance, scale),
            )
        )
        return self._columns[m].gram()

    def _pull(self, m: int, right: Array) -> Array:
        return self._columns[m].pull(right)


class DeviceGramRoute(GramRoute):
    """Whitening by the n x n products of rows on a device."""

    def _gram(self, m: int, scale: bool) -> Array:
        (mean,), (variance,), _ = column_statistics(self._rows.only(m))
        self._standardise(mean, variance, scale)
        z = self._there(m)
        return np.tril(to_numpy(z @ z.T))

    def _pull(self, m: int, right: Array) -> Array:
        z = self._there(m)
        return to_numpy(z.T @ self._rows.blocks[m].home.double(right))

    def _there(self, m: int) -> Any:
        """Return the standardised rows of a modality on the device."""
        block, root = self._rows.blocks[m], None
        if self._rows.weight is not None:
            root = block.home.double(np.sqrt(self._rows.weight))
        divisor = np.where(self.varying[m], self.scales[m], np.inf)
        return block.standardised(self.means[m], divisor, root)


def _column_chunks(block: Array) -> Iterator[slice]:
    """Yield slices of columns that cut the block into chunks of a few MiB."""
    return row_chunks(block.shape[1], len(block), CACHE, least=64)
