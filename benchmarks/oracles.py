"""Textbook solutions in plain NumPy, written for exactness alone: the truth to compare with."""

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
from scipy import linalg

Array = np.ndarray
RTOL = 1e-10


def centred(X: Array) -> Array:
    """Subtract the mean twice: the second time what rounding left of an offset."""
    X = np.asarray(X, dtype=np.float64)
    X = X - X.mean(axis=0)
    return X - X.mean(axis=0)


def orthonormal_basis(X: Array, rtol: float = RTOL) -> Array:
    """Return an orthonormal basis of the centred columns, by pivoted QR of unit columns."""
    X = centred(X)
    norms = np.linalg.norm(X, axis=0)
    X = X[:, norms > 0] / norms[norms > 0]
    Q, R, _ = linalg.qr(X, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(R))
    return Q[:, diagonal > rtol * diagonal[0]]


def textbook_correlations(X: Array, Y: Array, rtol: float = RTOL) -> Array:
    """Return all canonical correlations: the singular values of Qx'Qy."""
    overlap = orthonormal_basis(X, rtol).T @ orthonormal_basis(Y, rtol)
    return np.clip(linalg.svdvals(overlap), 0.0, 1.0)


class ReferenceCCA:
    """MAXVAR CCA of any number of blocks from their singular vectors; two blocks: textbook CCA.

    `shrinkage` c replaces each covariance S by (1 - c) S + c trace(S)/d I. Without it directions
    below `rtol` are dropped (minimum norm).
    """

    def __init__(
        self, n_components: int, *, shrinkage: float = 0.0, scale: bool = False, rtol: float = 1e-7
    ) -> None:
        self.n_components, self.shrinkage = n_components, shrinkage
        self.scale, self.rtol = scale, rtol

    def fit(self, blocks: Sequence[Array]) -> "ReferenceCCA":
        """Learn means, scales and weights of unit-variance projections."""
        k, n = self.n_components, len(blocks[0])
        self.means_ = [np.mean(X, axis=0, dtype=np.float64) for X in blocks]
        self.scales_ = [_scale(X) if self.scale else np.ones(X.shape[1]) for X in blocks]
        standard = self._standardised(blocks)
        parts = [self._whiten(X) for X in standard]  # (codes, map to them)
        codes = np.hstack([part[0] for part in parts])
        edges = np.cumsum([0, *(part[0].shape[1] for part in parts)])
        joint = codes.T @ codes
        for a, b in pairwise(edges):
            joint[a:b, a:b] = np.eye(b - a)  # R on both diagonals, also where it is shrunk
        total = len(joint)
        _, vectors = linalg.eigh(joint, subset_by_index=[total - k, total - 1])
        directions = vectors[:, ::-1]
        self.weights_ = []
        for X, (_, K), (a, b) in zip(standard, parts, pairwise(edges), strict=True):
            W = K @ directions[a:b]
            self.weights_.append(W / (np.linalg.norm(X @ W, axis=0) / np.sqrt(n)))
        return self

    def transform_each(self, blocks: Sequence[Array]) -> list[Array]:
        """Project each block by itself."""
        pairs = zip(self._standardised(blocks), self.weights_, strict=True)
        return [X @ W for X, W in pairs]

    def _standardised(self, blocks: Sequence[Array]) -> list[Array]:
        triples = zip(blocks, self.means_, self.scales_, strict=True)
        return [(X - mean) / scale for X, mean, scale in triples]

    def _whiten(self, X: Array) -> tuple[Array, Array]:
        n, d = X.shape
        left, values, right = linalg.svd(X, full_matrices=False)
        keep = values > self.rtol * values[0]
        left, values, right = left[:, keep], values[keep], right[keep]
        ridge = (1 - self.shrinkage) * values**2 + self.shrinkage * np.sum(values**2) / d
        return left * (values / np.sqrt(ridge)), right.T * np.sqrt(n / ridge)


def _scale(X: Array) -> Array:
    deviation = np.std(X, axis=0, dtype=np.float64)
    return np.where(deviation > 0, deviation, 1.0)


def held_out_total(train: Sequence[Array], test: Sequence[Array], realign: bool = True) -> float:
    """Total correlation: axes fitted on training codes, Pearson on held-out ones, mean over pairs.

    With ``realign=False`` the columns are compared as they are.
    """
    totals = []
    for i, j in combinations(range(len(train)), 2):
        a, b = test[i] - train[i].mean(axis=0), test[j] - train[j].mean(axis=0)
        if realign:
            A, B = _axes(train[i], train[j])
            a, b = a @ A, b @ B
        totals.append(_pearson(a, b).sum())
    return float(np.mean(totals))


def _axes(a: Array, b: Array, rtol: float = 1e-7) -> tuple[Array, Array]:
    """Return the canonical axes of two sets of codes, of unit variance on them."""
    (ua, sa, va), (ub, sb, vb) = (linalg.svd(centred(c), full_matrices=False) for c in (a, b))
    ka, kb = sa > rtol * sa[0], sb > rtol * sb[0]
    left, _, right = linalg.svd(ua[:, ka].T @ ub[:, kb], full_matrices=False)
    unit = np.sqrt(len(a))
    return unit * va[ka].T / sa[ka] @ left, unit * vb[kb].T / sb[kb] @ right.T


def _pearson(a: Array, b: Array, constant: float = 1e-9) -> Array:
    """Correlate the columns of codes that had unit variance in training.

    A pixel that is lit in a single training image makes a component whose held-out codes are
    constant but for rounding: it counts 0, not the correlation of the rounding errors.
    """
    a, b = centred(a), centred(b)
    sa, sb = a.std(axis=0), b.std(axis=0)
    varies = (sa > constant) & (sb > constant)
    return np.where(varies, np.mean(a * b, axis=0) / np.where(varies, sa * sb, 1.0), 0.0)


def mean_average_precision(
    queries: Array, pool: Array, query_labels: Array, pool_labels: Array
) -> float:
    """Rank the whole pool by cosine similarity; an item of the query's class is relevant."""
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    pool = pool / np.linalg.norm(pool, axis=1, keepdims=True)
    order = np.argsort(-(queries @ pool.T), axis=1, kind="stable")
    relevant = pool_labels[order] == query_labels[:, None]
    precision = np.cumsum(relevant, axis=1) / np.arange(1, len(pool) + 1)
    return float(np.mean(np.sum(precision * relevant, axis=1) / relevant.sum(axis=1)))
