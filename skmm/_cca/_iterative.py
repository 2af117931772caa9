"""The route for many rows and many sparse columns: neither n x n nor d x d products are formed.

What is sought are the leading eigenvectors of ``A w = lambda B w`` in the notation of CCA's notes.
Each modality keeps a basis V_m, orthonormal with respect to R_m. In turn

1. the leading directions within the bases are found as in every route (Rayleigh-Ritz);
2. a few random combinations of their residuals ``A w - lambda B w`` are solved for R_m by conjugate
   gradients, roughly, with a preconditioner from the leading eigenvectors of S_m (Frangella et al.
   2023);
3. the bases grow by what was solved, and shrink to the leading directions when they are full.

It starts from a random range (Halko et al. 2011). With exact solutions the bases are block Krylov
spaces; inexact ones (Davidson 1975; for CCA Ge et al. 2016) cost rounds, not digits. It ends when
the residuals of all components together, in the norm of the inverse of B, are below `TOLERANCE`:
the error of an eigenvalue is then at most the square over the gap to the next one, that of a
projection the residual over the gap.

References
----------
E. Davidson, "The iterative calculation of a few of the lowest eigenvalues and corresponding
eigenvectors of large real-symmetric matrices", Journal of Computational Physics 17 (1975).

Z. Frangella, J. Tropp and M. Udell, "Randomized Nyström preconditioning", SIAM Journal on Matrix
Analysis and Applications 44 (2023).

R. Ge et al., "Efficient algorithms for large-scale generalized eigenvector computation and
canonical correlation analysis", ICML (2016).

N. Halko, P.-G. Martinsson and J. Tropp, "Finding structure with randomness", SIAM Review 53 (2011).
"""

import warnings
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy import linalg
from sklearn.exceptions import ConvergenceWarning

from skmm._cca._objectives import maxvar
from skmm._cca._rows import Rows, fourth_moment
from skmm._cca._sparse import SparseColumns
from skmm._cca._whitening import Route
from skmm._gaussian._wide import Axes, DenseAxes
from skmm._linalg import psd_eigh

Array = np.ndarray
Apply = Callable[[Array], Array]

TOLERANCE = 1e-7
MAX_ITER = 1000
BLOCK = 20  # columns by which a basis grows
INNER_TOLERANCE = 0.01  # of the solved residuals, relative; they are directions only
INNER_MAX_ITER = 50


class IterativeRoute(Route):
    """Whitening within bases that the iteration has fitted to the leading components."""

    def __init__(
        self,
        rows: Rows,
        shrinkages: Sequence[float | str],
        scale: bool,
        n_components: int,
        random_state: np.random.RandomState,
    ) -> None:
        super().__init__(scale, rows.n_used)
        self.weight = rows.total
        read = [rows.columns(m) for m in range(len(rows.blocks))]
        means, variances = [one.mean for one in read], [one.variance for one in read]
        divisors = self._standardise(means, variances, [scale] * len(read))
        self._columns: list[Any] = [c.divided_by(s) for c, s in zip(read, divisors, strict=True)]
        self._settle_shrinkages(shrinkages)
        self._bounds = [
            int(min(varying.sum(), np.count_nonzero(Z.root) - 1))
            for varying, Z in zip(self.varying, self._columns, strict=True)
        ]
        if min(self._bounds) < 1:
            self.ranks = self._bounds  # nothing to align, as the estimator will say
            return
        self._check_rows()
        solvers = [_Solver(self, m, n_components + BLOCK, random_state) for m in range(len(read))]
        bases = _Bases(self._columns, self.shrinkages, self.mean_variances, self.weight)
        self._iterate(bases, solvers, n_components, random_state)
        self._bases = bases.V
        self.ranks = [V.shape[1] for V in bases.V]
        self.whitened_covariances = [U.T @ U / self.weight for U in bases.U]
        self.cross = bases.cross

    def project(self, directions: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Return V_m @ v_m, and Z' times the projections over n."""
        weights = [V @ v for V, v in zip(self._bases, directions, strict=True)]
        codes = [Z.push(W) for Z, W in zip(self._columns, weights, strict=True)]
        between = [np.hstack([Z.pull(code) / self.weight for code in codes]) for Z in self._columns]
        both = zip(weights, between, strict=True)
        self._axes = [_span(np.hstack(parts)) for parts in both]
        return weights, between

    def axes(self, m: int) -> Axes:
        """Return axes that span the weights of a modality and its covariances with all codes.

        S is not known elsewhere: the distribution is that of the components.
        """
        return DenseAxes(self._axes[m][self.varying[m]])

    def core(self) -> Array:
        """Return S along the axes."""
        codes = [Z.push(Q) for Z, Q in zip(self._columns, self._axes, strict=True)]
        both = np.hstack(codes)
        return both.T @ both / self.weight

    def covary(self, m: int, V: Array) -> Array:
        """Return S_m @ V."""
        return self._columns[m].pull(self._columns[m].push(V)) / self.weight

    def shrunk(self, m: int, V: Array) -> Array:
        """Return R_m @ V."""
        c = self.shrinkages[m]
        return (1.0 - c) * self.covary(m, V) + c * self.mean_variances[m] * V

    def _settle_shrinkages(self, shrinkages: Sequence[float | str]) -> None:
        norms = [Z.row_norms() for Z in self._columns]
        columns = list(zip(self._columns, norms, strict=True))
        self._shrink(
            shrinkages,
            [float(n.sum()) / self.weight for n in norms],
            [Z.squares() / self.weight**2 for Z in self._columns],
            [fourth_moment(n, Z.root) for Z, n in columns],
            self.weight,
        )

    def _is_enough(self, ranks: Sequence[int], k: int) -> bool:
        """Return whether bases of these sizes can hold k components, or as many as there are."""
        if len(ranks) > 2 and sum(ranks) < min(k, sum(self._bounds)):
            return False
        return min(ranks) >= min(k, *self._bounds)

    def _check_rows(self) -> None:
        """Refuse modalities without shrinkage that have correlations of 1: there is no order."""
        for i, j in combinations(range(len(self._bounds)), 2):
            shrunk = self.shrinkages[i] > 0 or self.shrinkages[j] > 0
            if not shrunk and self._bounds[i] + self._bounds[j] > self.n_rows - 1:
                raise ValueError(
                    f"Modalities of {self._bounds[i]} and {self._bounds[j]} columns are too many "
                    f"for {self.n_rows} rows: without shrinkage canonical correlations are 1 "
                    "and mean nothing. Use shrinkage='auto' or fewer columns."
                )

    def _iterate(
        self,
        bases: "_Bases",
        solvers: Sequence["_Solver"],
        k: int,
        random_state: np.random.RandomState,
    ) -> None:
        """Fit the bases to the leading k directions."""
        most = 2 * k + 8 * BLOCK
        for _ in range(MAX_ITER):
            v, values = bases.leading(k)
            sketch = random_state.standard_normal((len(values), BLOCK))
            residuals = bases.residuals(v, values, sketch)
            steps = [solver(r) for solver, r in zip(solvers, residuals, strict=True)]
            pairs = zip(steps, residuals, strict=True)
            size = np.sqrt(sum(float(np.sum(s * r)) for s, r in pairs) / BLOCK)
            if size <= TOLERANCE:
                if self._is_enough([V.shape[1] for V in bases.V], k):
                    break
                # The bases hold all that their start can lead to: start again beside them.
                steps = [
                    random_state.standard_normal((len(varies), BLOCK)) * varies[:, None]
                    for varies in self.varying
                ]
            if max(V.shape[1] for V in bases.V) + BLOCK > most:
                bases.keep(k + k // 2 + BLOCK)
            bases.add(steps)
        else:
            warnings.warn(
                f"The iteration stopped at a residual of {size:.1e} after {MAX_ITER} rounds: the "
                "last components are approximate. Use fewer components, more shrinkage, or "
                "solver='covariance' if the memory allows.",
                ConvergenceWarning,
                stacklevel=6,
            )
        bases.keep(k + BLOCK)


def _span(vectors: Array) -> Array:
    """Return orthonormal columns that span those of a matrix."""
    norms: Array = np.sqrt(np.einsum("ij,ij->j", vectors, vectors))
    return linalg.orth(vectors[:, norms > 0] / norms[norms > 0], rcond=1e-10)


class _Bases:
    """R-orthonormal bases V of the modalities, their rows U = Z V, and ``V_i' S_ij V_j``."""

    def __init__(
        self,
        columns: Sequence[SparseColumns],
        shrinkages: Sequence[float],
        mean_variances: Sequence[float],
        weight: float,
    ) -> None:
        self._columns, self._weight = columns, weight
        self._c, self._floor = shrinkages, np.multiply(shrinkages, mean_variances)
        self.V = [np.empty((Z.shape[1], 0)) for Z in columns]
        self.U = [np.empty((Z.shape[0], 0)) for Z in columns]
        pairs = combinations(range(len(columns)), 2)
        self.cross = {pair: np.empty((0, 0)) for pair in pairs}

    def leading(self, k: int) -> tuple[list[Array], Array]:
        """Return the leading directions within the bases, at most k, and their values."""
        ranks = [V.shape[1] for V in self.V]
        if not sum(ranks):
            return [np.empty((0, 0)) for _ in ranks], np.empty(0)
        return maxvar(self._joint, ranks, min(k, sum(ranks)))

    def residuals(self, v: Sequence[Array], values: Array, sketch: Array) -> list[Array]:
        """Return the residuals A w - lambda B w of the directions, times the sketch."""
        # Part m of A w - lambda B w, with w = V v: the sum over n != m of S_mn w_n, minus
        # (lambda - 1) R_m w_m, since A has R on its diagonal. S w is Z'(Z w) with Z w = U v known.
        # The residuals of all components are mixed first: BLOCK products with Z' instead of k.
        y = [part @ sketch for part in v]
        scaled = [part @ ((values - 1.0)[:, None] * sketch) for part in v]
        found = []
        for m, Z in enumerate(self._columns):
            others = (n for n in range(len(y)) if n != m)
            inside = np.sum([self.U[n] @ y[n] / self._weight for n in others], axis=0)
            inside -= (1.0 - self._c[m]) / self._weight * (self.U[m] @ scaled[m])
            found.append(Z.pull(inside) - self._floor[m] * (self.V[m] @ scaled[m]))
        return found

    def add(self, steps: Sequence[Array]) -> None:
        """Extend the bases by the parts of the steps that lie outside them."""
        old = [U.shape[1] for U in self.U]
        for m, step in enumerate(steps):
            V, U = self._new(m, step)
            self.V[m], self.U[m] = np.hstack([self.V[m], V]), np.hstack([self.U[m], U])
        for (i, j), block in self.cross.items():
            a, b, count = self.U[i], self.U[j], self._weight
            below = a[:, old[i] :].T @ b[:, : old[j]] / count
            aside = a.T @ b[:, old[j] :] / count
            self.cross[i, j] = np.hstack([np.vstack([block, below]), aside])

    def keep(self, size: int) -> None:
        """Reduce the bases to the leading directions."""
        turns = [linalg.qr(part, mode="economic")[0] for part in self.leading(size)[0]]
        self.V = [V @ Q for V, Q in zip(self.V, turns, strict=True)]
        self.U = [U @ Q for U, Q in zip(self.U, turns, strict=True)]
        self.cross = {(i, j): turns[i].T @ T @ turns[j] for (i, j), T in self.cross.items()}

    def _new(self, m: int, step: Array) -> tuple[Array, Array]:
        """Return what of the steps is not in the basis, orthonormal, and its rows."""
        V, U = step, self._columns[m].push(step)
        norms = np.sqrt(np.diag(self._inner(m, V, U, V, U)))
        V, U = (part / np.where(norms > 0, norms, np.inf) for part in (V, U))
        # Twice is enough (Gram-Schmidt). A direction that loses half of its norm in the second
        # round is the rounding of a basis that is full already.
        for least in (1e-10, 0.5):
            inside = self._inner(m, self.V[m], self.U[m], V, U)
            V, U = V - self.V[m] @ inside, U - self.U[m] @ inside
            values, turn = linalg.eigh(self._inner(m, V, U, V, U))
            turn = turn[:, values > least] / np.sqrt(values[values > least])
            V, U = V @ turn, U @ turn
        return V, U

    def _inner(self, m: int, V: Array, U: Array, W: Array, T: Array) -> Array:
        """Return V' R W, where U = Z V and T = Z W are known."""
        return (1.0 - self._c[m]) / self._weight * (U.T @ T) + self._floor[m] * (V.T @ W)

    def _joint(self, i: int, j: int) -> Array:
        return self.cross[i, j] if i < j else self.cross[j, i].T


class _Solver:
    """Approximate solutions of R_m x = b by preconditioned conjugate gradients.

    The preconditioner is exact on the leading eigenvectors of S_m and a multiple of the identity
    across them, found from a random range.
    """

    def __init__(
        self, route: IterativeRoute, m: int, size: int, random_state: np.random.RandomState
    ) -> None:
        self._apply: Apply = lambda V: route.shrunk(m, V)
        width = len(route.means[m])
        basis = random_state.standard_normal((width, size))
        for _ in range(3):
            basis = np.linalg.qr(route.covary(m, basis))[0]
        # R is about (1 - c) * last eigenvalue + c t outside the basis (Frangella et al. 2023): what
        # conjugate gradients still see there is flat.
        values, rotation = psd_eigh(basis.T @ route.covary(m, basis))
        c, floor = route.shrinkages[m], route.shrinkages[m] * route.mean_variances[m]
        self._basis = basis @ rotation
        self._outside = 1.0 / ((1.0 - c) * values[-1] + floor)
        self._excess = 1.0 / ((1.0 - c) * values + floor) - self._outside

    def __call__(self, B: Array) -> Array:
        """Return x, each column by itself."""
        x, r = np.zeros_like(B), B
        z = self._precondition(r)
        p, product = z, np.sum(r * z, axis=0)
        target = INNER_TOLERANCE**2 * product
        for _ in range(INNER_MAX_ITER):
            image = self._apply(p)
            curvature = np.sum(p * image, axis=0)
            step = product / np.where(curvature > 0, curvature, np.inf)
            x, r = x + step * p, r - step * image
            z = self._precondition(r)
            previous, product = product, np.sum(r * z, axis=0)
            if np.all(product <= target):
                break
            p = z + product / np.where(previous > 0, previous, np.inf) * p
        return x

    def _precondition(self, r: Array) -> Array:
        inside = self._excess[:, None] * (self._basis.T @ r)
        return self._outside * r + self._basis @ inside
