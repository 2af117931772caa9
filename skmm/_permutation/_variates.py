"""The canonical variates of blocks, in rows that may be exchanged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Self

import numpy as np
from scipy import linalg

from skmm._modalities._columns import varies

Array = np.ndarray
Cross = dict[tuple[int, int], Array]
Confounds = Array | Sequence[Array | None] | None
EPS = np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False)
class Residuals:
    """Theil's semi-orthogonal basis Q (n, n - r) of what confounds leave, as an operator.

    Q = R S' (S R S')^(-1/2), with R the residual-forming matrix and S the selection of n - r rows.
    Q'Q = I and QQ' = R, so it is also a basis in the sense of Huh and Jhun; of all these it stays
    closest to the selected rows.
    """

    span: Array  # (n, r) orthonormal basis of the constant and the confounds
    kept: Array  # (n - r,) rows
    left: Array  # (n - r, r); S R S' = I - left diag(s²) left'
    gain: Array  # (r,) (1 - s²)^(-1/2) - 1

    @classmethod
    def of(cls, confounds: Array) -> Self:
        """Decompose confounds (n, c); a constant is added."""
        n = len(confounds)
        span = np.column_stack([np.full(n, n**-0.5), whitened(centred(confounds), confounds)])
        # Any r rows whose part of the span is invertible may be left out. Pivoting finds those that
        # determine the confounds' coefficients best, so that S R S' below is far from singular.
        pivots = linalg.qr(span.T, mode="r", pivoting=True)[1]
        kept = np.sort(pivots[span.shape[1] :])  # (n - r,)
        if len(kept) < 2:
            raise ValueError(f"confounds of rank {span.shape[1] - 1} leave nothing of {n} rows")
        # R = I - span span', so S R S' = I - P P' with P = span[kept] = left diag(s) right'.
        left, s, _ = linalg.svd(span[kept], full_matrices=False)
        return cls(span, kept, left, (1 - s**2) ** -0.5 - 1)

    def reduce(self, a: Array) -> Array:
        """Return Q'a: what is left of a (n, k), in exchangeable rows (n - r, k)."""
        return self._root(self._residual(a)[self.kept])

    def lift(self, a: Array) -> Array:
        """Return Qa: rows (n - r, k) put back among the n rows."""
        full = np.zeros((len(self.span), a.shape[1]))
        full[self.kept] = self._root(a)
        return self._residual(full)

    def _residual(self, a: Array) -> Array:
        """Return R a."""
        return a - self.span @ (self.span.T @ a)

    def _root(self, a: Array) -> Array:
        """Return (S R S')^(-1/2) a: along `left` the factor (1 - s²)^(-1/2), elsewhere 1."""
        return a + self.left @ (self.gain[:, None] * (self.left.T @ a))


@dataclass(frozen=True, eq=False)
class Variates:
    """All canonical variates of every block, each in its own exchangeable rows."""

    scores: list[Array]  # per block (n_m, rank_m): components first, then the complement
    lifts: Sequence[Callable[[Array], Array] | None]  # back to common rows, where these differ
    groups: list[Array | None]  # per block, the number of the group of each exchangeable row
    fixed: int  # the block that is not permuted
    correlations: Array  # (smallest rank,)
    shrunk: bool
    n_dimensions: int  # of the space in which the blocks lie

    @classmethod
    def of(
        cls,
        blocks: Sequence[Array],
        shrinkage: float | Sequence[float] = 0.0,
        scale: bool = True,
        confounds: Confounds = None,
        groups: Array | None = None,
    ) -> Self:
        """Remove the confounds, whiten and find the canonical variates."""
        arrays = _checked_blocks(blocks)
        amounts = _checked_shrinkage(shrinkage, len(arrays))
        bases = _bases(confounds, arrays)
        numbers = _group_numbers(groups, len(arrays[0]))
        whites = []
        for a, basis, amount in zip(arrays, bases, amounts, strict=True):
            rows = centred(a) if basis is None else basis.reduce(centred(a))
            whites.append(whitened(rows, a, shrinkage=amount, scale=scale))
        if constant := [m for m, w in enumerate(whites) if not w.shape[1]]:
            raise ValueError(f"block {constant[0]} is constant (or explained by the confounds)")
        # Blocks that share their confounds lie in the same n - r rows. Otherwise each is permuted
        # in its own rows, and lifted to the n rows of the data, where blocks can be compared.
        shared = all(basis is bases[0] for basis in bases)
        lifts = [None if shared or basis is None else basis.lift for basis in bases]
        common = [w if lift is None else lift(w) for w, lift in zip(whites, lifts, strict=True)]
        axes, correlations = _axes(common)
        return cls(
            scores=[w @ v for w, v in zip(whites, axes, strict=True)],
            lifts=lifts,
            groups=[numbers if numbers is None or b is None else numbers[b.kept] for b in bases],
            # A block may depend on the confounds of others only: it is conditioned on.
            fixed=next((m for m, basis in enumerate(bases) if basis is None), 0),
            correlations=correlations,
            shrunk=any(amounts),
            n_dimensions=max(len(w) - (b is None) for w, b in zip(whites, bases, strict=True)),
        )

    @property
    def ranks(self) -> list[int]:
        """Number of variates of each block."""
        return [u.shape[1] for u in self.scores]

    def placed(self, random_state: np.random.RandomState | None = None) -> list[Array]:
        """Return the variates in common rows, permuted if there is a random state."""
        result = []
        for m, (scores, lift) in enumerate(zip(self.scores, self.lifts, strict=True)):
            if random_state is not None and m != self.fixed:
                scores = scores[_permutation(random_state, len(scores), self.groups[m])]
            result.append(scores if lift is None else lift(scores))
        return result


def centred(a: Array) -> Array:
    """Return a minus its column means."""
    a = a - a.mean(axis=0)
    return a - a.mean(axis=0)  # what rounding left of a large offset


def whitened(a: Array, origin: Array, *, shrinkage: float = 0.0, scale: bool = True) -> Array:
    """Return an orthonormal basis (n, rank) of the columns of a, damped by the shrinkage.

    `origin` is what a was before centring: rounding errors are of its size.
    """
    size = np.linalg.norm(a, axis=0)
    offset = np.linalg.norm(origin, axis=0)
    varying = varies(offset, size)
    if scale or not shrinkage:
        a = a / np.where(varying, size, np.inf)
    left, s, _ = linalg.svd(a, full_matrices=False, check_finite=False)  # (n, k), (k,)
    # Directions that rounding alone may have made are dropped: the rounding of the decomposition,
    # and that of centring, which is `cancelled` times larger where a column is far from zero.
    cancelled = np.max(offset[varying] / size[varying], initial=1.0)
    keep = s > EPS * (max(a.shape) + 4 * cancelled) * np.max(s, initial=0.0)
    left, s = left[:, keep], s[keep]
    # The covariance has the eigenvalues s², shrunk towards their mean over all columns. Without
    # shrinkage the factor is 1 and the basis orthonormal.
    target = np.sum(s**2) / max(1, a.shape[1])
    return left * (s / np.sqrt((1 - shrinkage) * s**2 + shrinkage * target))


def cross_products(blocks: Sequence[Array]) -> Cross:
    """Return the products of all pairs of blocks."""
    return {(i, j): blocks[i].T @ blocks[j] for i, j in combinations(range(len(blocks)), 2)}


def joint_matrix(cross: Cross, sizes: Sequence[int]) -> Array:
    """Put the cross-products beside identities into one symmetric matrix."""
    ends = np.cumsum(sizes)
    at = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    joint = np.eye(ends[-1])
    for (i, j), block in cross.items():
        joint[at[i], at[j]], joint[at[j], at[i]] = block, block.T
    return joint


def _axes(blocks: list[Array]) -> tuple[list[Array], Array]:
    """Return an orthogonal matrix per block, leading components first, and the correlations.

    Two blocks have the singular vectors of their cross-product. With more, the directions of one
    block are not orthogonal; the first k columns then span those of the first k components.
    """
    steps = min(b.shape[1] for b in blocks)
    if len(blocks) == 2:
        # Full orthogonal matrices: the wider block keeps the variates that have no partner.
        left, _, right = linalg.svd(blocks[0].T @ blocks[1], check_finite=False)
        directions = [left, right.T]
        axes = directions
    else:
        # MAXVAR: the leading eigenvectors of the joint correlation matrix, cut into the blocks.
        sizes = [b.shape[1] for b in blocks]
        vectors = linalg.eigh(joint_matrix(cross_products(blocks), sizes))[1][:, ::-1]
        directions = np.split(vectors, np.cumsum(sizes)[:-1])
        axes = [_orthogonalised(v[:, : len(v)]) for v in directions]
    codes = [b @ v[:, :steps] for b, v in zip(blocks, directions, strict=True)]
    codes = [u / np.linalg.norm(u, axis=0) for u in codes]
    pairs = [np.sum(a * b, axis=0) for a, b in combinations(codes, 2)]
    return axes, np.clip(np.mean(pairs, axis=0), -1.0, 1.0)


def _orthogonalised(directions: Array) -> Array:
    """Return orthonormal columns that span the same, each on the side of its direction."""
    basis, triangle = linalg.qr(directions)
    return basis * np.where(np.diagonal(triangle) < 0, -1.0, 1.0)


def _permutation(rng: np.random.RandomState, n: int, groups: Array | None) -> Array:
    """Return the rows in a random order, which exchanges them within their groups only."""
    if groups is None:
        return rng.permutation(n)
    # Both sorts put the groups one after the other, the second with random order inside: so each
    # place of a group gets a row of the same group.
    order = np.empty(n, dtype=np.intp)
    order[np.argsort(groups, kind="stable")] = np.lexsort((rng.uniform(size=n), groups))
    return order


def _checked_blocks(blocks: Sequence[Array]) -> list[Array]:
    arrays = [np.asarray(block, dtype=np.float64) for block in blocks]
    arrays = [a[:, None] if a.ndim == 1 else a for a in arrays]
    if len(arrays) < 2:
        raise ValueError(f"two or more blocks are needed, got {len(arrays)}")
    if len({len(a) for a in arrays}) > 1:
        raise ValueError(f"blocks must have the same rows, got {[a.shape for a in arrays]!r}")
    if any(a.ndim != 2 or not np.isfinite(a).all() for a in arrays):
        raise ValueError("blocks must be 2-D and finite")
    return arrays


def _checked_shrinkage(shrinkage: float | Sequence[float], n_blocks: int) -> list[float]:
    amounts = [float(c) for c in np.broadcast_to(shrinkage, n_blocks)]
    if not all(0 <= c <= 1 for c in amounts):
        raise ValueError(f"shrinkage must be in [0, 1], got {shrinkage!r}")
    return amounts


def _bases(confounds: Confounds, blocks: list[Array]) -> list[Residuals | None]:
    """Return what removes the confounds of each block; one object if they share them."""
    n_samples, n_blocks = len(blocks[0]), len(blocks)
    if confounds is None:
        return [None] * n_blocks
    if not isinstance(confounds, list | tuple):
        return [Residuals.of(_as_confounds(confounds, n_samples))] * n_blocks
    if len(confounds) != n_blocks:
        raise ValueError(
            f"confounds must be one array or one per block ({n_blocks}), got {len(confounds)}"
        )
    return [None if z is None else Residuals.of(_as_confounds(z, n_samples)) for z in confounds]


def _as_confounds(confounds: object, n_samples: int) -> Array:
    array = np.asarray(confounds, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or len(array) != n_samples or not np.isfinite(array).all():
        raise ValueError(
            f"confounds must be finite numbers with one row per sample ({n_samples}), "
            f"got an array of shape {array.shape}"
        )
    return array


def _group_numbers(groups: Array | None, n_samples: int) -> Array | None:
    if groups is None:
        return None
    groups = np.asarray(groups)
    if groups.shape != (n_samples,):
        raise ValueError(
            f"groups must have one value per sample ({n_samples}), got shape {groups.shape}"
        )
    _, numbers, counts = np.unique(groups, return_inverse=True, return_counts=True)
    if counts.max() < 2:
        raise ValueError("every group has one row: there is nothing to exchange")
    return numbers
