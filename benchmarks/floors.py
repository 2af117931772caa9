"""The fastest plain NumPy and SciPy forms of two-block CCA: what a fit cannot do without.

Nothing is validated, stored or scored here. Both functions return the leading canonical
correlations (k,) and the weights (p, k), (q, k) of projections of unit training variance.
"""

import numpy as np
from scipy import linalg
from scipy.linalg import blas

Array = np.ndarray
Solution = tuple[Array, Array, Array]

CHUNK_SIZE = 2**20  # numbers in a chunk of rows, 8 MiB of float64


def moments_floor(X: Array, Y: Array, k: int) -> Solution:
    """Solve n >= d: products of row chunks, Cholesky whitening, leading singular vectors."""
    n, p = X.shape
    S, total = _products(X, Y)
    S = blas.dsyr(-1.0 / n, total, a=S, overwrite_a=True)  # the shift was not quite the mean
    Rx = linalg.cholesky(S[:p, :p], check_finite=False)
    Ry = linalg.cholesky(S[p:, p:], check_finite=False)
    T = blas.dtrsm(1.0, Rx, S[:p, p:], trans_a=True)
    T = blas.dtrsm(1.0, Ry, T, side=True, overwrite_b=True)
    left, rho, right = leading_svd(T, k)
    unit = np.sqrt(n)
    return rho, unit * blas.dtrsm(1.0, Rx, left), unit * blas.dtrsm(1.0, Ry, right)


def _products(X: Array, Y: Array) -> tuple[Array, Array]:
    """Return the upper triangle of [X Y]'[X Y] and the column sums, after a common shift."""
    n, p = X.shape
    d = p + Y.shape[1]
    step = max(256, CHUNK_SIZE // d)
    shift = np.hstack([X[:step].mean(axis=0), Y[:step].mean(axis=0)])
    buffer, ones = np.empty((min(step, n), d)), np.ones(step)
    S, total = np.zeros((d, d), order="F"), np.zeros(d)
    for start in range(0, n, step):
        x, y = X[start : start + step], Y[start : start + step]
        chunk = buffer[: len(x)]
        np.subtract(x, shift[:p], out=chunk[:, :p])
        np.subtract(y, shift[p:], out=chunk[:, p:])
        S = blas.dsyrk(1.0, chunk.T, beta=1.0, c=S, overwrite_c=True)
        total = blas.dgemv(1.0, chunk.T, ones[: len(x)], beta=1.0, y=total, overwrite_y=True)
    return S, total


def leading_svd(T: Array, k: int) -> tuple[Array, Array, Array]:
    """Return the k leading left vectors, singular values and right vectors, in columns."""
    q = T.shape[1]
    if 4 * k > q:
        left, rho, right = linalg.svd(T, full_matrices=False, check_finite=False)
        return left[:, :k], rho[:k], right[:k].T
    squares, right = linalg.eigh(
        blas.dsyrk(1.0, T, trans=True), lower=False, subset_by_index=[q - k, q - 1],
        overwrite_a=True, check_finite=False,
    )  # fmt: skip
    rho, right = np.sqrt(squares[::-1]), np.asfortranarray(right[:, ::-1])
    return blas.dgemm(1.0, T, right) / rho, rho, right


def gram_floor(X: Array, Y: Array, k: int, shrinkage: float = 0.0) -> Solution:
    """Solve d > n in the n x n form; `shrinkage` c stands for (1 - c) S + c trace(S)/d I."""
    n = len(X)
    (values_x, vectors_x), (values_y, vectors_y) = _gram_eigh(X), _gram_eigh(Y)
    ridge_x = (1 - shrinkage) * values_x + shrinkage * values_x.sum() / X.shape[1]
    ridge_y = (1 - shrinkage) * values_y + shrinkage * values_y.sum() / Y.shape[1]
    gain_x, gain_y = np.sqrt(values_x / ridge_x), np.sqrt(values_y / ridge_y)
    T = gain_x[:, None] * blas.dgemm(1.0, vectors_x, vectors_y, trans_a=True) * gain_y
    left, rho, right = leading_svd(T, k)
    dual_x = vectors_x @ (left / np.sqrt(values_x * ridge_x)[:, None])
    dual_y = vectors_y @ (right / np.sqrt(values_y * ridge_y)[:, None])
    # The columns of a dual sum to zero, so that X need not be centred again.
    A, B = X.T @ dual_x / np.sqrt(n), Y.T @ dual_y / np.sqrt(n)
    size_x = np.linalg.norm(gain_x[:, None] * left, axis=0)
    size_y = np.linalg.norm(gain_y[:, None] * right, axis=0)
    return rho / (size_x * size_y), A / size_x, B / size_y


def _gram_eigh(X: Array) -> tuple[Array, Array]:
    """Return the non-zero eigenvalues of the centred X X'/n and their vectors."""
    n, d = X.shape
    step = max(64, CHUNK_SIZE // (4 * n))
    gram, mean = np.zeros((n, n), order="F"), X.mean(axis=0)
    for start in range(0, d, step):
        chunk = X[:, start : start + step] - mean[start : start + step]
        gram = blas.dsyrk(1.0 / n, chunk.T, trans=True, beta=1.0, c=gram, overwrite_c=True)
    values, vectors = linalg.eigh(
        gram, lower=False, driver="evd", overwrite_a=True, check_finite=False
    )
    keep = values > n * np.finfo(np.float64).eps * values[-1]
    return values[keep], vectors[:, keep]


def floor(X: Array, Y: Array, k: int, shrinkage: float = 0.0) -> Solution:
    """Take the form that the shapes call for."""
    if max(X.shape[1], Y.shape[1]) > len(X):
        return gram_floor(X, Y, k, shrinkage)
    if shrinkage:
        raise ValueError(f"The moments floor has no shrinkage, got {shrinkage!r}.")
    return moments_floor(X, Y, k)
