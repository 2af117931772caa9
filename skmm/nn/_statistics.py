"""Parts of the losses: pairs of modalities, covariances, their factors; in float64."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import torch
from torch import Tensor

from skmm.nn._rows import Rows, rows_of, take

_STANDARDISE_EPS = 1e-5  # added to variances, as batch normalisation does
_HINGE_EPS = 1e-4  # added to variances, as in the paper of VICReg
_NO_CORRELATION = 1e-10  # a correlation below is rounding: it has no direction to follow
_COLLAPSED = 1e-20  # keeps the covariance of constant codes invertible


def checked(
    codes: Sequence[Tensor], observed: Tensor | None, n_at_least: int = 2, **options: float
) -> list[Tensor]:
    """Return the codes in float64; refuse invalid codes and options."""
    shapes = [tuple(code.shape) for code in codes]
    if len(shapes) < 2 or len(set(shapes)) > 1 or len(shapes[0]) != 2 or shapes[0][1] < 1:
        raise ValueError(
            "codes must be two or more tensors of one shape (n_samples, n_components), "
            f"got the shapes {shapes}"
        )
    n_samples, expected = shapes[0][0], (shapes[0][0], len(shapes))
    if n_samples < n_at_least:
        raise ValueError(
            f"this loss needs {n_at_least} samples or more, got {n_samples}; use larger batches"
        )
    if observed is not None and (observed.dtype, tuple(observed.shape)) != (torch.bool, expected):
        raise ValueError(
            f"observed must be a bool tensor of shape (n_samples, n_modalities) = {expected}, "
            f"got {observed.dtype} of shape {tuple(observed.shape)}"
        )
    for name, value in options.items():
        if not value >= 0:
            raise ValueError(f"{name} must not be negative, got {value!r}")
    return [code.to(torch.float64) for code in codes]


def common_rows(codes: Sequence[Tensor], rows: Rows, m: int, l: int) -> tuple[Tensor, Tensor]:
    """Return both codes on the rows that have both; the values in other rows are ignored."""
    both = rows.having(m, l)
    return take(codes[m], both), take(codes[l], both)


def pairs(codes: Sequence[Tensor], observed: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the common rows of the pairs of modalities that have two or more."""
    rows = rows_of(observed)
    for m, l in combinations(range(len(codes)), 2):
        a, b = common_rows(codes, rows, m, l)
        if len(a) >= 2:
            yield a, b


def zero(codes: Sequence[Tensor]) -> Tensor:
    """Return a zero that has a gradient, also if a code is NaN."""
    return torch.cat([code[:0] for code in codes]).sum()


def mean(terms: Sequence[Tensor], codes: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(terms)).mean() if terms else zero(codes)


def covariance(a: Tensor, b: Tensor) -> Tensor:
    """Return the cross-covariance (k, k); zero for fewer than two rows."""
    return (a - a.mean(dim=0)).T @ (b - b.mean(dim=0)) / max(len(a) - 1, 1)


def ridge_cholesky(S: Tensor, reg_covar: float) -> Tensor:
    """Return the factor of S with its ridge; NaN, and no error, where S is not finite."""
    k = len(S)
    rounding = 10 * k * k * torch.finfo(S.dtype).eps  # enough for the factorisation to succeed
    ridge = (reg_covar + rounding) * S.diagonal().mean() + _COLLAPSED
    return torch.linalg.cholesky_ex(S + ridge * torch.eye(k, dtype=S.dtype, device=S.device))[0]


def whiten(S: Tensor, L_row: Tensor, L_column: Tensor) -> Tensor:
    """Return L_row^-1 S L_column^-T."""
    half = torch.linalg.solve_triangular(L_row, S, upper=False)
    return torch.linalg.solve_triangular(L_column.T, half, upper=True, left=False)


# The next two sums are tr P'T with P = UV' or VV' of singular or eigenvectors. P maximises the sum,
# so that at first order its own change does not count: with P as a constant the gradient is right,
# also where values repeat and the derivatives of the vectors are infinite.


def nuclear_norm(T: Tensor) -> Tensor:
    U, values, Vh = torch.linalg.svd(finite(T), full_matrices=False)
    return ((U * (values > _NO_CORRELATION)) @ Vh * T).sum()


def sum_of_largest_eigenvalues(K: Tensor, k: int) -> Tensor:
    values, V = torch.linalg.eigh(finite(K))
    V = (V * (values > _NO_CORRELATION))[:, -k:]
    return (V @ V.T * K).sum()


def finite(T: Tensor) -> Tensor:
    """Return a constant that LAPACK takes; a NaN in T still reaches the sum."""
    return T.detach().nan_to_num(0.0, 0.0, 0.0)


def trace_of_product(a: Tensor, b: Tensor) -> Tensor:
    """Estimate tr(Sigma_a Sigma_b) without bias.

    The average of ((a_i - a_j)'(b_k - b_l))^2 / 4 over distinct i, j, k, l, expanded in the
    products G_ik = a_i'b_k of the centred rows; these sums need no n×n matrix.
    """
    n = len(a)
    a, b = a - a.mean(dim=0), b - b.mean(dim=0)
    own, cross = (a * b).sum(dim=1), a.T @ b  # G_ii, and (k, k)
    Q = own.square().sum()
    T1 = ((a.T @ a) * (b.T @ b)).sum() - Q  # sum of G_ik^2 over i != k
    R = (cross * cross.T).sum() - Q  # sum of G_ik G_ki over i != k
    total = (n * n - 3 * n + 1) * T1 + R + own.sum().square() - 2 * (n - 1) * Q
    return total / (n * (n - 1) * (n - 2) * (n - 3))


def standardise(code: Tensor) -> Tensor:
    variance = code.var(dim=0, correction=0)
    return (code - code.mean(dim=0)) / (variance + _STANDARDISE_EPS).sqrt()


def off_diagonal(C: Tensor) -> Tensor:
    return C - C.diagonal().diag()


def too_narrow(code: Tensor) -> Tensor:
    return torch.relu(1 - (code.var(dim=0) + _HINGE_EPS).sqrt()).mean()


def redundant(code: Tensor) -> Tensor:
    return off_diagonal(covariance(code, code)).square().sum() / code.shape[1]
