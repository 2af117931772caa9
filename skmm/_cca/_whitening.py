"""Three routes from rows to whitened coordinates; they differ in cost and in digits, not in result.

In the standardised columns of modality m let S be the covariance and R = (1 - c) S + c t I its
shrunk form, t = trace(S) / d. A route finds K with ``K.T @ R @ K = I`` on the range of S, and the
cross-covariances ``T = K_i.T @ S_ij @ K_j`` of the whitened coordinates. All that follows (which
directions agree?) happens in these small matrices.

- `MomentRoute`: covariances and their Cholesky factors; squares the condition number.
- `RootRoute`: singular values of the rows themselves; exact for ill-conditioned data.
- `GramRoute`: the n x n form, for more columns than rows.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy import linalg
from scipy.linalg import blas
from scipy.linalg.lapack import dpocon

from skmm._cca._moments import Moments, Rows
from skmm._cca._route import EPS, CovarianceSpread, RootSpread, Route, Spread
from skmm._linalg import product, psd_eigh

Array = np.ndarray
TINY = np.finfo(np.float64).tiny

# Canonical correlations from covariances carry an error of about eps * cond(S). From this
# reciprocal condition on they agree with the textbook solution to 1e-8 with a margin.
WELL_CONDITIONED = 1e-7
# Eigenvalues of a covariance below this, relative to the largest, are rounding: linear dependence.
# Between the two bounds a covariance cannot tell, and "auto" goes back to the rows.
DEPENDENT = 1e-14


class IllConditionedError(Exception):
    """The route would lose digits on these data."""


class MomentRoute(Route):
    """Whitening by the Cholesky factors of the covariances.

    `rows` are needed for ``shrinkage="auto"`` alone; with `overwrite` the moments are spent.

    Raises
    ------
    IllConditionedError
        If `strict` and the covariances would cost digits. Otherwise directions below the
        precision of a covariance are dropped.
    """

    def __init__(
        self,
        moments: Moments,
        shrinkages: Sequence[float | str],
        scale: bool,
        rows: Rows | None = None,
        *,
        strict: bool = False,
        overwrite: bool = False,
    ) -> None:
        super().__init__(scale)
        every = range(len(moments.sums))
        means, S = moments.means(), moments.covariances(overwrite)
        divisors = [
            self._standardise(means[m], np.diag(S[m, m]), scale or shrinkages[m] == 0.0)
            for m in every
        ]
        for (i, j), block in S.items():
            block /= divisors[i][:, None]
            block /= divisors[j]
        fourth = fourth_moments(rows, means, divisors, shrinkages)
        for m in every:
            trace, squares = float(np.trace(S[m, m])), float(np.einsum("ij,ij->", S[m, m], S[m, m]))
            count = moments.counts[m, m]
            self._shrink(shrinkages[m], trace, squares, fourth[m], count)
        self._covariances = S
        self.damped = bool(np.ptp(moments.counts) > 0)
        self._factors = [self._factor(m, strict) for m in every]
        self.ranks = [factor.shape[1] for factor, _ in self._factors]
        for i, j in combinations(every, 2):
            half = self._whiten(i, S[i, j])
            factor, triangular = self._factors[j]
            if triangular and self.varying[j].all():  # from the right, without a transpose
                self.cross[i, j] = blas.dtrsm(
                    1.0, factor, half, side=True, lower=True, trans_a=True
                )
            else:
                self.cross[i, j] = self._whiten(j, half.T).T

    def _factor(self, m: int, strict: bool) -> tuple[Array, bool]:
        """Return (L, True) with R = L L' on the varying columns, or (K, False); settle K'SK."""
        keep, c, S = self.varying[m], self.shrinkages[m], self._covariances[m, m]
        S = S if keep.all() else S[np.ix_(keep, keep)]
        L = _well_conditioned_factor(S)
        if L is None:
            return self._spectral_factor(m, S, strict), False
        if c == 0.0:
            self.inner.append(None)
            return L, True
        R = (1.0 - c) * S
        R[np.diag_indices_from(R)] += c * self.targets[m]
        L = linalg.cholesky(R, lower=True, check_finite=False)
        half = linalg.solve_triangular(L, S, lower=True, check_finite=False)
        self.inner.append(linalg.solve_triangular(L, half.T, lower=True, check_finite=False))
        return L, True

    def _spectral_factor(self, m: int, S: Array, strict: bool) -> Array:
        """Return K on the range of S."""
        values, vectors = psd_eigh(S, DEPENDENT) if len(S) else (np.empty(0), S)
        unclear = values < WELL_CONDITIONED * values.max(initial=0.0)
        if self.shrinkages[m] == 0.0 and unclear.any():
            if strict:
                raise IllConditionedError
            self.inexact.append(m)
        shrunk = self._shrunk(m, values)
        self.inner.append(None if self.shrinkages[m] == 0.0 else values / shrunk)
        return vectors / np.sqrt(shrunk)

    def _whiten(self, m: int, block: Array) -> Array:
        """Return K' @ block; the rows of `block` are columns of the modality."""
        block = block if self.varying[m].all() else block[self.varying[m]]
        factor, triangular = self._factors[m]
        if not triangular:
            return product(factor.T, block)
        return blas.dtrsm(1.0, factor, block, lower=True)

    def project(self, directions: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Return K_m @ v_m, and S_mn @ W_n side by side."""
        every, weights = range(len(directions)), []
        for m, v in enumerate(directions):
            factor, triangular = self._factors[m]
            keep = self.varying[m]
            W = np.zeros((len(keep), v.shape[1]))
            if triangular:
                W[keep] = linalg.solve_triangular(
                    factor, v, lower=True, trans="T", check_finite=False
                )
            else:
                W[keep] = factor @ v
                span = np.zeros((len(keep), factor.shape[1]))
                span[keep] = factor
                W = self._least_norm(m, W, span)
            weights.append(W)
        S = self._covariances
        between = [
            np.hstack([product(S[i, j] if i <= j else S[j, i].T, weights[j]) for j in every])
            for i in every
        ]
        return weights, between

    def spread(self, m: int) -> Spread:
        """Return S."""
        return CovarianceSpread(self._covariances[m, m])


class RootRoute(Route):
    """Whitening by the singular values of the (triangularised) rows."""

    def __init__(self, rows: Rows, shrinkages: Sequence[float | str], scale: bool) -> None:
        super().__init__(scale)
        every = range(len(rows.blocks))
        means, variances, self._counts = _column_statistics(rows)
        self._rows = rows
        self.damped = rows.observed is not None
        self._divisors = [
            self._standardise(means[m], variances[m], scale or shrinkages[m] == 0.0) for m in every
        ]
        fourth = fourth_moments(rows, means, self._divisors, shrinkages)
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
        observed, width = self._rows.observed, len(self.means[m])
        only = Rows(
            [self._rows.blocks[m]],
            None if observed is None else observed[:, [m]],
            self._rows.weight,
        )
        pending: Array = np.empty((0, width))
        for (z,), _ in only.chunks([self.means[m]], [self._divisors[m]]):
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


class GramRoute(Route):
    """Whitening by the n x n products of the rows; complete rows only.

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
        weight = np.ones(len(rows)) if rows.weight is None else rows.weight
        self._count = float(weight.sum())
        self._divisors: list[Array] = []
        self._left: list[Array] = []
        self._spectra: list[Array] = []
        gains: list[Array] = []
        for m, shrinkage in enumerate(shrinkages):
            gram = self._gram(m, weight, scale)  # the lower triangle
            norms = np.diag(gram)
            squares = (2 * np.einsum("ij,ij->", gram, gram) - np.sum(norms**2)) / self._count**2
            fourth = np.sum(norms**2 / np.where(weight > 0, weight, np.inf)) / self._count
            trace = float(norms.sum() / self._count)
            self._shrink(shrinkage, trace, float(squares), fourth, self._count)
            spectrum, vectors = psd_eigh(gram, DEPENDENT)
            if self.shrinkages[m] == 0.0 and np.any(spectrum < WELL_CONDITIONED * spectrum[:1]):
                if strict:
                    raise IllConditionedError
                self.inexact.append(m)
            spectrum = spectrum / self._count
            gains.append(np.sqrt(spectrum / self._shrunk(m, spectrum)))
            self._spectra.append(spectrum)
            self._left.append(vectors)
        self.ranks = [len(gain) for gain in gains]
        self.inner = [gain**2 for gain in gains]
        for i, j in combinations(range(len(gains)), 2):
            overlap = product(self._left[i].T, self._left[j])
            self.cross[i, j] = gains[i][:, None] * overlap * gains[j]

    def _gram(self, m: int, weight: Array, scale: bool) -> Array:
        """Settle mean and scale, and return the products of the standardised rows."""
        block = self._rows.blocks[m]
        mean = np.einsum("i,ij->j", weight, block) / self._count
        variance = np.empty_like(mean)
        for columns in _column_chunks(block):
            z = np.subtract(block[:, columns], mean[columns], dtype=np.float64)
            delta = np.einsum("i,ij->j", weight, z) / self._count  # what rounding left of an offset
            mean[columns] += delta
            z *= z
            variance[columns] = np.einsum("i,ij->j", weight, z) / self._count - delta**2
        self._divisors.append(self._standardise(mean, variance, scale))
        gram = np.zeros((len(block), len(block)), order="F")
        for columns in _column_chunks(block):
            z = self._standardised(m, columns)
            gram = blas.dsyrk(1.0, z.T, 1.0, gram, trans=True, lower=True, overwrite_c=True)
        return gram

    def _standardised(self, m: int, columns: slice) -> Array:
        return self._rows.standardised(m, columns, self.means[m], self._divisors[m])

    def project(self, directions: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Return Z' times the dual coefficients, and Z' times the projections over n."""
        duals, codes = [], []
        for m, (U, spectrum, v) in enumerate(
            zip(self._left, self._spectra, directions, strict=True)
        ):
            shrunk = self._shrunk(m, spectrum)[:, None]
            duals.append(product(U, v / np.sqrt(spectrum[:, None] * shrunk * self._count)))
            codes.append(product(U, v * np.sqrt(spectrum[:, None] / shrunk * self._count)))
        self._left = []  # done with: n x n each
        k, weights, between = directions[0].shape[1], [], []
        for m, dual in enumerate(duals):
            right = np.hstack([dual, np.hstack(codes) / self._count])
            both = np.empty((len(self.means[m]), right.shape[1]))
            for columns in _column_chunks(self._rows.blocks[m]):
                both[columns] = product(self._standardised(m, columns).T, right)
            weights.append(both[:, :k])
            between.append(both[:, k:])
        return weights, between

    def spread(self, m: int) -> Spread:
        """Return the standardised rows, a root of S; formed last, when the rest is done with."""
        root = self._standardised(m, slice(None))
        root /= np.sqrt(self._count)
        return RootSpread(root)


def _well_conditioned_factor(S: Array) -> Array | None:
    """Return the Cholesky factor L of S = L L', or None if S is (nearly) singular."""
    if not len(S):
        return None
    norm = np.abs(S).sum(axis=0).max()
    try:
        L = linalg.cholesky(S, lower=True, check_finite=False)
    except linalg.LinAlgError:
        return None
    return L if dpocon(L, norm, uplo="L")[0] > WELL_CONDITIONED else None


def choose_route(rows: Rows, shrinkages: Sequence[float | str], scale: bool, solver: str) -> Route:
    """Return the route that `solver` names; "auto" takes the cheapest that keeps the digits."""
    if solver == "svd":
        return RootRoute(rows, shrinkages, scale)
    strict = solver != "covariance"
    try:
        if max(rows.widths) > len(rows):
            if rows.observed is not None:
                return RootRoute(rows, shrinkages, scale)
            return GramRoute(rows, shrinkages, scale, strict=strict)
        moments = Moments.of(rows).update(rows)
        return MomentRoute(moments, shrinkages, scale, rows, strict=strict, overwrite=True)
    except IllConditionedError:
        return RootRoute(rows, shrinkages, scale)


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
    total, count = np.zeros(len(means)), np.zeros(len(means))
    for chunk, indicator in rows.chunks(means, divisors):
        weight = indicator**2
        count += weight.sum(axis=0)
        for m, z in enumerate(chunk):
            squares = np.einsum("ij,ij->i", z, z)  # carries the weight once, its square twice
            total[m] += np.sum(squares**2 / np.where(weight[:, m] > 0, weight[:, m], np.inf))
    return (total / count).tolist()


def _column_statistics(rows: Rows) -> tuple[list[Array], list[Array], Array]:
    """Return means and variances of each block, and the counts (M, M) of the pairs."""
    shifts = [np.zeros(width) for width in rows.widths]
    for _ in range(3):  # mean; what rounding left of it; variance around it
        counts = np.zeros((len(shifts), len(shifts)))
        sums, squares = [np.zeros_like(s) for s in shifts], [np.zeros_like(s) for s in shifts]
        for chunk, indicator in rows.chunks(shifts):
            counts += indicator.T @ indicator
            for m, z in enumerate(chunk):
                sums[m] += z.T @ indicator[:, m]
                squares[m] += np.einsum("ij,ij->j", z, z)
        deltas = [s / counts[m, m] for m, s in enumerate(sums)]
        shifts = [shift + delta for shift, delta in zip(shifts, deltas, strict=True)]
    variances = [q / counts[m, m] - deltas[m] ** 2 for m, q in enumerate(squares)]
    return shifts, variances, counts


def _column_chunks(block: Array) -> list[slice]:
    """Return slices of columns that cut the block into chunks of a few MiB."""
    width = max(64, 2**18 // max(1, len(block)))
    return [slice(start, start + width) for start in range(0, block.shape[1], width)]
