"""The route by singular values of the rows themselves, and what takes passes over the rows."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy import linalg

from skmm._cca._device import Triangle, device_norms, device_sums, on_device
from skmm._cca._moments import Rows
from skmm._cca._route import EPS, TINY, RootSpread, Route, Spread
from skmm._cca._sparse import Columns, any_sparse, fourth_moment

Array = np.ndarray


class RootRoute(Route):
    """Whitening by the singular values of the (triangularised) rows."""

    def __init__(self, rows: Rows, shrinkages: Sequence[float | str], scale: bool) -> None:
        super().__init__(scale)
        every = range(len(rows.blocks))
        means, variances, self._counts = column_statistics(rows)
        self.damped = rows.observed is not None
        self._divisors = [
            self._standardise(means[m], variances[m], scale or shrinkages[m] == 0.0) for m in every
        ]
        fourth = fourth_moments(rows, means, self._divisors, shrinkages)
        self._rows = Triangle.of(rows, means, self._divisors) if on_device(rows) else rows
        self._maps, self._roots = [], []
        for m in every:
            root = self._triangle(m)
            _, values, right = linalg.svd(root, full_matrices=False, check_finite=False)
            tolerance = 4 * EPS * max(len(rows), root.shape[1])
            rank = int(np.sum(values > tolerance * values.max(initial=0.0)))
            values, right = values[:rank] / np.sqrt(self._counts[m, m]), right[:rank]
            squares, trace = float(np.sum(values**4)), float(np.sum(values**2))
            self._shrink(shrinkages[m], trace, squares, fourth[m], self._counts[m, m])
            shrunk = self._shrunk(m, values**2)
            self._maps.append(right.T / np.sqrt(shrunk))
            self._roots.append(values[:, None] * right)
            self.inner.append(values**2 / shrunk)
        self.ranks = [K.shape[1] for K in self._maps]
        self._whiten_products()

    def _triangle(self, m: int) -> Array:
        """Return R (at most 4 d x d) of the QR of the standardised rows, from stacked chunks."""
        width = len(self.means[m])
        pending: Array = np.empty((0, width))
        for (z,), _ in self._rows.only(m).chunks([self.means[m]], [self._divisors[m]]):
            pending = np.vstack([pending, z])
            if len(pending) > 4 * width:
                pending = linalg.qr(pending, mode="r", check_finite=False)[0][:width]
        return pending

    def _whiten_products(self) -> None:
        pairs = list(combinations(range(len(self.ranks)), 2))
        self.cross = {(i, j): np.zeros((self.ranks[i], self.ranks[j])) for i, j in pairs}
        for chunk, _ in self._rows.chunks(self.means, self._divisors):
            codes = [z @ K for z, K in zip(chunk, self._maps, strict=True)]
            for i, j in pairs:
                self.cross[i, j] += codes[i].T @ codes[j]
        for pair, T in self.cross.items():
            T /= max(self._counts[pair], TINY)

    def project(self, directions: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Return K_m @ v_m, and the mean products of columns and projections, in one pass."""
        weights = [
            self._least_norm(m, K @ v, K)
            for m, (K, v) in enumerate(zip(self._maps, directions, strict=True))
        ]
        between = [np.zeros((len(W), len(weights), W.shape[1])) for W in weights]
        for chunk, _ in self._rows.chunks(self.means, self._divisors):
            codes = np.hstack([z @ W for z, W in zip(chunk, weights, strict=True)])
            for total, z in zip(between, chunk, strict=True):
                total += (z.T @ codes).reshape(total.shape)
        for m, total in enumerate(between):
            total /= np.maximum(self._counts[m], TINY)[:, None]
        return weights, [total.reshape(len(total), -1) for total in between]

    def spread(self, m: int) -> Spread:
        """Return the root of S."""
        return RootSpread(self._roots[m])


def fourth_moments(
    rows: Rows | None,
    means: Sequence[Array],
    divisors: Sequence[Array],
    shrinkages: Sequence[float | str],
) -> list[float | None]:
    """Return the mean of the fourth power of each modality's standardised row norms.

    It takes a pass over the rows: None where no shrinkage asks for it, or without rows.
    """
    if rows is None or "auto" not in shrinkages:
        return [None for _ in means]
    if any_sparse(rows):
        return [
            fourth_moment(Columns.read(block, root, lambda *_, s=divisor: s).row_norms(), root)
            for block, root, divisor in zip(rows.blocks, rows._indicator().T, divisors, strict=True)
        ]
    if on_device(rows):
        norms = device_norms(rows, means, divisors)
        return [fourth_moment(n, root) for n, root in zip(norms, rows._indicator().T, strict=True)]
    total, count = np.zeros(len(means)), np.zeros(len(means))
    for chunk, indicator in rows.chunks(means, divisors):
        weight = indicator**2
        count += weight.sum(axis=0)
        for m, z in enumerate(chunk):
            squares = np.einsum("ij,ij->i", z, z)  # carries the weight once, its square twice
            total[m] += np.sum(squares**2 / np.where(weight[:, m] > 0, weight[:, m], np.inf))
    return (total / count).tolist()


def column_statistics(rows: Rows) -> tuple[list[Array], list[Array], Array]:
    """Return means and variances of each block, and the counts (M, M) of the pairs."""
    add_up = device_sums if on_device(rows) else _sums
    shifts = [np.zeros(width) for width in rows.widths]
    for _ in range(3):  # mean; what rounding left of it; variance around it
        counts, sums, squares = add_up(rows, shifts)
        deltas = [s / counts[m, m] for m, s in enumerate(sums)]
        shifts = [shift + delta for shift, delta in zip(shifts, deltas, strict=True)]
    variances = [q / counts[m, m] - deltas[m] ** 2 for m, q in enumerate(squares)]
    return shifts, variances, counts


def _sums(rows: Rows, shifts: Sequence[Array]) -> tuple[Array, list[Array], list[Array]]:
    """Return the counts, and the sums and sums of squares of x - shift of each block."""
    counts = np.zeros((len(shifts), len(shifts)))
    sums, squares = [np.zeros_like(s) for s in shifts], [np.zeros_like(s) for s in shifts]
    for chunk, indicator in rows.chunks(shifts):
        counts += indicator.T @ indicator
        for m, z in enumerate(chunk):
            sums[m] += z.T @ indicator[:, m]
            squares[m] += np.einsum("ij,ij->j", z, z)
    return counts, sums, squares
