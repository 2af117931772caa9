"""The route by singular values of the rows themselves.

The QR decomposition keeps the digits that products of rows lose: rounding in Z'Z is relative to its
largest eigenvalue, so that singular values of Z below the root of the precision are lost in it.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy import linalg

from skmm._cca._rows import Rows
from skmm._cca._whitening import Route
from skmm._gaussian._wide import Axes, DenseAxes

Array = np.ndarray
EPS = np.finfo(np.float64).eps


class RootRoute(Route):
    """Whitening by the singular values of the (triangularised) rows."""

    def __init__(self, rows: Rows, shrinkages: Sequence[float | str], scale: bool) -> None:
        super().__init__(scale, rows.n_used)
        self.weight = rows.total
        means, variances = rows.column_statistics()
        divide = [scale or shrinkage == 0.0 for shrinkage in shrinkages]
        divisors = self._standardise(means, variances, divide)
        fourth = rows.fourth_moments(means, divisors) if "auto" in shrinkages else None
        self._rows = rows.standardised(means, divisors)
        spectra = [self._spectrum(m, len(rows)) for m in range(len(means))]
        squares = [values**2 for values, _ in spectra]  # eigenvalues of S
        self._shrink(
            shrinkages,
            [float(np.sum(values)) for values in squares],
            [float(np.sum(values**4)) for values, _ in spectra],
            fourth,
            self.weight,
        )
        shrunk = [self._shrunk(m, values) for m, values in enumerate(squares)]
        self.whitened_covariances = [a / b for a, b in zip(squares, shrunk, strict=True)]
        self._spectra, self._vectors = squares, [right for _, right in spectra]  # V' (r, d)
        # K = V / root(shrunk eigenvalue), so that K'RK = I.
        self._maps = [V.T / np.sqrt(r) for (_, V), r in zip(spectra, shrunk, strict=True)]
        self.ranks = [K.shape[1] for K in self._maps]
        self._whiten_products()

    def _spectrum(self, m: int, n_rows: int) -> tuple[Array, Array]:
        """Return the singular values (r,) of Z / root(n), and its right singular vectors (r, d)."""
        root = self._triangle(m)
        _, values, right = linalg.svd(root, full_matrices=False, check_finite=False)
        tolerance = 4 * EPS * max(n_rows, root.shape[1])
        rank = int(np.sum(values > tolerance * values.max(initial=0.0)))
        return values[:rank] / np.sqrt(self.weight), right[:rank]

    def _triangle(self, m: int) -> Array:
        """Return R (at most 4 d x d) of the QR of the standardised rows, from stacked chunks."""
        width = len(self.means[m])
        pending: Array = np.empty((0, width))
        for (z,) in self._rows.only(m):
            pending = np.vstack([pending, z])
            if len(pending) > 4 * width:
                pending = linalg.qr(pending, mode="r", check_finite=False)[0][:width]
        return pending

    def _whiten_products(self) -> None:
        pairs = list(combinations(range(len(self.ranks)), 2))
        self.cross = {(i, j): np.zeros((self.ranks[i], self.ranks[j])) for i, j in pairs}
        for chunk in self._rows:
            codes = [z @ K for z, K in zip(chunk, self._maps, strict=True)]
            for i, j in pairs:
                self.cross[i, j] += codes[i].T @ codes[j]
        for T in self.cross.values():
            T /= self.weight

    def project(self, directions: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Return K_m @ v_m, and the mean products of columns and projections, in one pass."""
        weights = [
            self._least_norm(m, K @ v, K)
            for m, (K, v) in enumerate(zip(self._maps, directions, strict=True))
        ]
        between = [np.zeros((len(W), len(weights), W.shape[1])) for W in weights]
        for chunk in self._rows:
            codes = np.hstack([z @ W for z, W in zip(chunk, weights, strict=True)])
            for total, z in zip(between, chunk, strict=True):
                total += (z.T @ codes).reshape(total.shape)
        return weights, [(total / self.weight).reshape(len(total), -1) for total in between]

    def axes(self, m: int) -> Axes:
        """Return the right singular vectors."""
        return DenseAxes(np.ascontiguousarray(self._vectors[m][:, self.varying[m]].T))
