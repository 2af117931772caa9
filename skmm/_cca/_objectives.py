"""The directions of agreement, found in whitened coordinates.

Each function takes the cross-covariances T of whitened modalities and returns one matrix of
directions (r_m, k) per modality and the k values by which the components are ordered.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from scipy import linalg
from scipy.sparse.linalg import eigsh, svds

from skmm._linalg import product

Array = np.ndarray
Cross = Callable[[int, int], Array]


def two_blocks(
    T: Array, n_components: int, random_state: np.random.RandomState | None = None
) -> tuple[list[Array], Array]:
    """Solve two modalities: the leading singular vectors of T.

    A `random_state` selects the Lanczos iteration from a random start, carried to machine
    precision; few of many components come from an eigenproblem; all from the full decomposition.
    """
    smaller = min(T.shape)
    if T.shape[1] > T.shape[0]:
        (right, left), rho = two_blocks(T.T, n_components, random_state)
        return [left, right], rho
    if random_state is not None and n_components < smaller - 1:
        start = random_state.standard_normal(smaller)
        _, _, right = svds(T, k=n_components, v0=start, tol=0, solver="arpack")
        return _rayleigh_ritz(T, right.T)
    if 4 * n_components <= smaller:
        top = [smaller - n_components, smaller - 1]
        squares, right = linalg.eigh(product(T.T, T), subset_by_index=top, check_finite=False)
        # Squaring hides correlations below the root of the precision.
        if squares[0] > 1e-8 * squares[-1]:
            return _rayleigh_ritz(T, right)
    left, rho, right = linalg.svd(T, full_matrices=False, check_finite=False)
    return [left[:, :n_components], right[:n_components].T], rho[:n_components]


def _rayleigh_ritz(T: Array, right: Array) -> tuple[list[Array], Array]:
    """Return the singular triplets of T within the span of `right`."""
    left, rho, rotation = linalg.svd(product(T, right), full_matrices=False, check_finite=False)
    return [left, product(right, rotation.T)], rho


def maxvar(
    cross: Cross,
    ranks: Sequence[int],
    n_components: int,
    random_state: np.random.RandomState | None = None,
) -> tuple[list[Array], Array]:
    """Solve MAXVAR (generalised = multiset CCA): leading eigenvectors of the block matrix I + T.

    References
    ----------
    J. R. Kettenring, "Canonical analysis of several sets of variables", Biometrika 58 (1971).
    """
    edges = np.cumsum([0, *ranks])
    total = int(edges[-1])
    A = np.eye(total)
    for j in range(len(ranks)):
        for i in range(j):
            block = cross(i, j)
            A[edges[i] : edges[i + 1], edges[j] : edges[j + 1]] = block
            A[edges[j] : edges[j + 1], edges[i] : edges[i + 1]] = block.T
    if random_state is not None and n_components < total - 1:
        start = random_state.standard_normal(total)
        values, vectors = eigsh(A, k=n_components, which="LA", v0=start, tol=0)
    else:
        top = [total - n_components, total - 1]
        values, vectors = linalg.eigh(A, subset_by_index=top, check_finite=False)
    order = np.argsort(-values, kind="stable")
    vectors = vectors[:, order]
    return [vectors[a:b] for a, b in pairwise(edges)], values[order]


def sumcor(
    cross: Cross,
    ranks: Sequence[int],
    n_components: int,
    start: Sequence[Array],
    random_state: np.random.RandomState,
    n_restarts: int = 5,
    max_iter: int = 2000,
    tol: float = 1e-12,
) -> tuple[list[Array], Array]:
    """Solve Kettenring's SUMCOR: unit directions with the largest sum of pairwise correlations.

    Components follow one another: each is sought among the directions that are uncorrelated with
    the earlier ones, within each modality. Horst's iteration climbs from `start` and from random
    directions; the best end is kept, since the problem has local maxima.

    References
    ----------
    P. Horst, "Relations among m sets of measures", Psychometrika 26 (1961).
    J. R. Kettenring, Biometrika 58 (1971).
    """
    found = [np.zeros((rank, 0)) for rank in ranks]
    values = np.zeros(n_components)
    for k in range(n_components):
        # An orthonormal basis of what is left in each modality keeps the constraint exact.
        bases = [linalg.qr(V, check_finite=False)[0][:, k:] if k else np.eye(len(V)) for V in found]
        starts = [[basis.T @ V[:, k] for basis, V in zip(bases, start, strict=True)]]
        starts += [
            [random_state.standard_normal(basis.shape[1]) for basis in bases]
            for _ in range(n_restarts)
        ]
        reduced = _Reduced(cross, bases)
        ends = [_horst(reduced, first, max_iter, tol) for first in starts]
        values[k], best = max(ends, key=lambda end: end[0])
        found = [
            np.column_stack([V, basis @ v]) for V, basis, v in zip(found, bases, best, strict=True)
        ]
    # Uncorrelated components can be put in any order: a later one may come out larger.
    order = np.argsort(-values, kind="stable")
    return [V[:, order] for V in found], values[order]


class _Reduced:
    """Cross-covariances between bases, symmetric in the order of the indices."""

    def __init__(self, cross: Cross, bases: Sequence[Array]) -> None:
        n = len(bases)
        self.blocks: dict[tuple[int, int], Array] = {}
        for j in range(n):
            for i in range(j):
                block = bases[i].T @ cross(i, j) @ bases[j]
                self.blocks[i, j], self.blocks[j, i] = block, block.T

    def pull(self, m: int, directions: Sequence[Array]) -> Array:
        """Return the gradient for modality m: the sum over the others of T_mn v_n."""
        others = (n for n in range(len(directions)) if n != m)
        return np.sum([self.blocks[m, n] @ directions[n] for n in others], axis=0)


def _horst(
    reduced: _Reduced, start: Sequence[Array], max_iter: int, tol: float
) -> tuple[float, list[Array]]:
    """Climb from `start`: each modality in turn takes the direction to which the others pull."""
    v = [_unit(part) for part in start]
    for _ in range(max_iter):
        change = 0.0
        for m in range(len(v)):
            previous, v[m] = v[m], _unit(reduced.pull(m, v))
            change = max(change, float(np.abs(v[m] - previous).max()))
        if change <= tol:  # of the directions: the value is flat at its maximum
            break
    return float(np.sum([v[m] @ reduced.pull(m, v) for m in range(len(v))]) / 2), v


def _unit(v: Array) -> Array:
    norm = linalg.norm(v)
    return v / norm if norm > 0 else np.eye(len(v))[0]
