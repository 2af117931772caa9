"""Linear algebra of alignment: covariances, whitening, shrinkage, canonical axes. NumPy only.

Every tolerance is relative, so that units cost no digits. Variances divide by n (``ddof=0``),
which lets a sample weight mean a number of repetitions.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import linalg
from scipy.linalg import blas

from skmm._modalities._chunks import CACHE
from skmm._modalities._chunks import row_chunks as chunks_within
from skmm._modalities._columns import varies

Array = np.ndarray


def row_chunks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Yield slices of rows that cut an (n_rows, n_columns) array into chunks of a few MiB.

    Small enough to stay in the cache from one product to the next, and at least 512 rows, from
    where on longer chunks make the products of matrices no faster.
    """
    return chunks_within(n_rows, n_columns, CACHE, least=512)


def product(a: Array, b: Array) -> Array:
    """Return a @ b by SciPy's BLAS.

    NumPy brings a BLAS of its own with its own threads; the two pools hinder each other where they
    alternate with factorisations.
    """
    turn_a, turn_b = not a.flags.f_contiguous, not b.flags.f_contiguous
    return blas.dgemm(
        1.0, a.T if turn_a else a, b.T if turn_b else b, trans_a=turn_a, trans_b=turn_b
    )


def covariance(a: Array, b: Array | None = None, sample_weight: Array | None = None) -> Array:
    """Return the covariance (p, q) of the columns of a (n, p) and b (n, q), dividing by n."""
    a, b = _centred(a, sample_weight), None if b is None else _centred(b, sample_weight)
    if sample_weight is None:
        return a.T @ (a if b is None else b) / len(a)
    weighted = a * (sample_weight / np.sum(sample_weight))[:, None]
    return weighted.T @ (a if b is None else b)


# Held-out codes along axes of unit training variance that vary by less are constant: what is
# left is the rounding of their projection. (A pixel that is lit in a single training image makes
# such a component.)
CONSTANT = 1e-9


def pearson(
    a: Array, b: Array, sample_weight: Array | None = None, *, constant: float = 0.0
) -> Array:
    """Return Pearson's correlation (k,) of each pair of columns; a constant column counts 0.

    A column is constant if it deviates from its mean by at most `constant`, or by rounding.
    """
    if not a.shape[1]:
        return np.zeros(0)
    a = _unit_columns(a, sample_weight, constant)
    b = _unit_columns(b, sample_weight, constant)
    return np.clip(np.sum(a * b, axis=0), -1.0, 1.0)


def _centred(a: Array, sample_weight: Array | None) -> Array:
    a = np.asarray(a, dtype=np.float64)
    # A second pass removes what rounding left of a large offset.
    a = a - np.average(a, axis=0, weights=sample_weight)
    return a - np.average(a, axis=0, weights=sample_weight)


def _unit_columns(a: Array, sample_weight: Array | None, constant: float) -> Array:
    """Centre the columns and scale them to unit (weighted) length; constant ones become zero."""
    share: Any = 1.0 / len(a)  # of a row in the mean: a number, or (n, 1)
    if sample_weight is not None:
        a, sample_weight = a[sample_weight > 0], sample_weight[sample_weight > 0]
        share = (sample_weight / np.sum(sample_weight))[:, None]
    if not len(a):
        return np.zeros_like(a)
    centred = _centred(a, sample_weight)  # (n, k)
    mean = a[0] - centred[0]  # (k,)
    size = np.abs(centred).max(axis=0)  # (k,)
    centred *= np.sqrt(share) / np.where(size > 0, size, 1.0)  # squares cannot overflow
    length = np.sqrt(np.sum(centred**2, axis=0))
    kept = varies(mean, size * length) & (size > constant)  # size * length: standard deviations
    return centred / np.where(kept, length, np.inf)


def psd_eigh(matrix: Array, rtol: float | None = None) -> tuple[Array, Array]:
    """Return the eigenvalues (descending) above ``rtol`` times the largest, and their vectors.

    Both are contiguous: NumPy may multiply reversed views without BLAS, with other last digits
    than their copies from a file.
    """
    values, vectors = linalg.eigh(matrix, driver="evd", check_finite=False)
    if rtol is None:
        rtol = 10 * len(matrix) * np.finfo(np.float64).eps
    rank = int(np.sum(values > rtol * max(values[-1], 0.0))) if len(values) else 0
    first = len(values) - rank
    return values[first:][::-1].copy(), np.asfortranarray(vectors[:, first:][:, ::-1])


def whitener(cov: Array, rtol: float | None = None) -> Array:
    """Return K (p, rank) with ``K.T @ cov @ K = I``, from the equilibrated eigenproblem."""
    variance = np.diag(cov)
    scale = np.sqrt(np.where(variance > 0, variance, np.inf))  # constant columns drop out
    # Of the correlation matrix, so that its rank does not depend on the units of the columns.
    values, vectors = psd_eigh(cov / np.outer(scale, scale), rtol)  # (rank,), (p, rank)
    return vectors / np.sqrt(values) / scale[:, None]


def psd_pinv(matrix: Array) -> Array:
    """Return the pseudo-inverse of a covariance, rank-tolerant after equilibration."""
    K = whitener(matrix)
    return K @ K.T


def canonical_axes(
    cov_a: Array, cov_b: Array, cov_ab: Array, *, rtol: float | None = None
) -> tuple[Array, Array, Array]:
    """Solve the textbook CCA of two blocks given by their covariances.

    Parameters
    ----------
    cov_a : ndarray of shape (p, p)
    cov_b : ndarray of shape (q, q)
    cov_ab : ndarray of shape (p, q)
    rtol : float, default=None
        Eigenvalues of a block's correlation matrix below `rtol` times the largest count as zero;
        None is ten times the size times the machine precision.

    Returns
    -------
    A : ndarray of shape (p, r)
        ``A.T @ cov_a @ A = I``; r is the smaller rank.
    B : ndarray of shape (q, r)
        ``B.T @ cov_b @ B = I`` and ``A.T @ cov_ab @ B = diag(rho)``.
    rho : ndarray of shape (r,)
        Canonical correlations, descending.
    """
    whiten_a, whiten_b = whitener(cov_a, rtol), whitener(cov_b, rtol)
    # Between whitened blocks canonical correlations are singular values of their covariance.
    left, rho, right = linalg.svd(
        whiten_a.T @ cov_ab @ whiten_b, full_matrices=False, check_finite=False
    )
    A, B = whiten_a @ left, whiten_b @ right.T
    signs = dominant_signs([A * np.sqrt(np.diag(cov_a))[:, None]])
    return A * signs, B * signs, np.clip(rho, 0.0, 1.0)


def dominant_signs(loadings: Sequence[Array]) -> Array:
    """Return ±1 per column: the entry of largest size over all blocks becomes positive.

    Of entries that are equally large but for rounding the first one counts.
    """
    stacked = np.vstack(loadings)
    size = np.abs(stacked)
    first = np.argmax(size >= (1.0 - 1e-6) * size.max(axis=0), axis=0)
    return np.where(stacked[first, np.arange(stacked.shape[1])] < 0, -1.0, 1.0)


def ledoit_wolf(
    trace: float, squares: float, fourth_moment: float, n_features: int, n_samples: float
) -> float:
    """Return the analytic shrinkage in [0, 1] towards ``trace/p * I`` of Ledoit & Wolf (2004).

    Parameters
    ----------
    trace : float
        Trace of the covariance S, which divides by n.
    squares : float
        Sum of the squared entries of S.
    fourth_moment : float
        Mean over the rows of the fourth power of the centred row's norm.
    n_features : int
        Size p of S.
    n_samples : float
        Number of rows (sum of weights).

    Returns
    -------
    shrinkage : float

    References
    ----------
    O. Ledoit and M. Wolf, "A well-conditioned estimator for large-dimensional covariance
    matrices", Journal of Multivariate Analysis 88 (2004), lemmas 3.2-3.4.
    """
    distance = squares - trace**2 / n_features  # ||S - mu I||^2
    noise = (fourth_moment - squares) / n_samples  # expected ||S - Sigma||^2
    if distance <= np.finfo(np.float64).eps * squares:
        return 0.0  # S is already a multiple of the identity
    return float(np.clip(noise / distance, 0.0, 1.0))
