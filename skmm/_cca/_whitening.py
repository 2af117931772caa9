"""Routes from rows to whitened coordinates; they differ in cost and in digits, not in result.

In the standardised columns of modality m let S be the covariance and R = (1 - c) S + c t I its
shrunk form, t = trace(S) / d. A route finds K with ``K.T @ R @ K = I`` on the range of S, and the
cross-covariances ``T = K_i.T @ S_ij @ K_j`` of the whitened coordinates. All that follows (which
directions agree?) happens in these small matrices.

- `MomentRoute`: covariances and their Cholesky factors; squares the condition number.
- `RootRoute`: singular values of the rows themselves; exact for ill-conditioned data.
- `GramRoute`: the n x n form, for more columns than rows.
- `IterativeRoute`: leading directions alone, for many rows and many sparse columns.

Dense rows need no fourth: the smaller of d x d and n x n never exceeds the data themselves.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy import linalg
from scipy.linalg import blas
from scipy.linalg.lapack import dpocon

from skmm._cca._device import on_device
from skmm._cca._gram import DeviceGramRoute, GramRoute, SparseGramRoute
from skmm._cca._iterative import IterativeRoute
from skmm._cca._moments import Moments, Rows
from skmm._cca._root import RootRoute, fourth_moments
from skmm._cca._route import (
    DEPENDENT,
    WELL_CONDITIONED,
    CovarianceSpread,
    IllConditionedError,
    Route,
    Spread,
)
from skmm._cca._sparse import any_sparse, sparse_moments
from skmm._linalg import product, psd_eigh
from skmm._random import Seed, check_random_state

Array = np.ndarray

# Of sparse rows: the largest n x n or d x d products that are formed unless "covariance" wants
# them (200 MiB each), and the largest dense copy (256 MiB) by which "auto" goes back to the rows.
LARGEST_PRODUCTS = 5000
LARGEST_COPY = 2**25


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


def choose_route(
    rows: Rows,
    shrinkages: Sequence[float | str],
    scale: bool,
    solver: str,
    *,
    n_components: int | str | None = None,
    objective: str = "maxvar",
    random_state: Seed = None,
) -> Route:
    """Return the route that `solver` names; "auto" takes the cheapest that keeps the digits.

    Components, objective and random state are for the route that finds some directions alone.
    """
    if any_sparse(rows) and solver != "svd":
        if solver != "covariance" and min(len(rows), max(rows.widths)) > LARGEST_PRODUCTS:
            k = _check_iterative(rows, n_components, objective)
            return IterativeRoute(rows, shrinkages, scale, k, check_random_state(random_state))
        return _sparse_route(rows, shrinkages, scale, solver)
    if solver == "svd":
        return RootRoute(rows, shrinkages, scale)
    strict = solver != "covariance"
    try:
        if max(rows.widths) > len(rows):
            if rows.observed is not None:
                return RootRoute(rows, shrinkages, scale)
            kind = DeviceGramRoute if on_device(rows) else GramRoute
            return kind(rows, shrinkages, scale, strict=strict)
        moments = Moments.of(rows).update(rows)
        return MomentRoute(moments, shrinkages, scale, rows, strict=strict, overwrite=True)
    except IllConditionedError:
        return RootRoute(rows, shrinkages, scale)


def _sparse_route(rows: Rows, shrinkages: Sequence[float | str], scale: bool, solver: str) -> Route:
    """Return a route by sparse products; back to dense chunks of rows only if they are few."""
    strict = solver != "covariance" and len(rows) * sum(rows.widths) <= LARGEST_COPY
    try:
        if max(rows.widths) > len(rows):
            return SparseGramRoute(rows, shrinkages, scale, strict=strict)
        return MomentRoute(
            sparse_moments(rows), shrinkages, scale, rows, strict=strict, overwrite=True
        )
    except IllConditionedError:
        return RootRoute(rows, shrinkages, scale)


def _check_iterative(rows: Rows, n_components: int | str | None, objective: str) -> int:
    size = f"{len(rows)} rows of up to {max(rows.widths)} sparse columns"
    if n_components is None or isinstance(n_components, str):
        raise ValueError(
            f"n_components={n_components!r} would need all components of {size}: give a number, "
            "or use solver='covariance' if the memory allows."
        )
    if objective == "sumcor" and len(rows.blocks) > 2:
        raise ValueError(
            f"objective='sumcor' needs all directions of {size}: use objective='maxvar', or "
            "solver='covariance' if the memory allows."
        )
    return n_components
