"""Alignment losses: what makes the codes of several modalities agree.

Each takes the codes of a batch and returns its named, weighted terms; their sum is the loss. All
compute in float64, which covariances and factorisations need and which autocast leaves alone.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, combinations_with_replacement

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "barlow_twins_loss",
    "cca_loss",
    "ey_loss",
    "gcca_loss",
    "infonce_loss",
    "vicreg_loss",
]

_STANDARDISE_EPS = 1e-5  # added to variances, as batch normalisation does
_HINGE_EPS = 1e-4  # added to variances, as in the paper
_COSINE_EPS = 1e-6  # codes shorter than this are not brought to length one
_NO_CORRELATION = 1e-10  # a correlation below is rounding: it has no direction to follow
_COLLAPSED = 1e-20  # keeps the covariance of constant codes invertible


def cca_loss(
    codes: Sequence[Tensor],
    *,
    observed: Tensor | None = None,
    reg_covar: float = 1e-4,
    squared: bool = False,
) -> dict[str, Tensor]:
    r"""Return minus the total canonical correlation of two modalities.

    The correlations are the singular values of :math:`L_1^{-1} S_{12} L_2^{-\top}`, with the
    factors :math:`L_m L_m^\top = S_m + r_m I` of the covariances of the batch.

    Parameters
    ----------
    codes : sequence of two Tensors of shape (n_samples, n_components)
        The codes of each modality.
    observed : bool Tensor of shape (n_samples, 2) or None, default=None
        Which rows have which modality. Every row must have both.
    reg_covar : float, default=1e-4
        Ridge on each covariance, as a fraction of its mean variance; at least rounding.
    squared : bool, default=False
        Sum the squared correlations, which needs no singular value decomposition.

    Returns
    -------
    dict of str to Tensor
        "correlation". A direction without correlation, as a constant column, has gradient zero.

    Raises
    ------
    ValueError
        If there are not two modalities or a row lacks one.

    References
    ----------
    G. Andrew et al. Deep canonical correlation analysis. ICML 2013, section 3.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import cca_loss
    >>> a = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    >>> cca_loss([a, 3 * a.flip(1) + 1], reg_covar=0.0)["correlation"].round(decimals=6)
    tensor(-2., dtype=torch.float64)
    """
    codes = _checked(codes, observed, reg_covar=reg_covar)
    if len(codes) != 2 or (observed is not None and not observed.all()):
        raise ValueError(
            "cca_loss needs exactly two modalities, both in every row, got "
            f"{len(codes)} modalities{'' if len(codes) != 2 else ' and rows that lack one'}; "
            "use gcca_loss or ey_loss"
        )
    a, b = codes
    L_a, L_b = (_ridge_cholesky(_covariance(code, code), reg_covar) for code in codes)
    T = _whiten(_covariance(a, b), L_a, L_b)
    return {"correlation": -(T.square().sum() if squared else _nuclear_norm(T))}


def gcca_loss(
    codes: Sequence[Tensor], *, observed: Tensor | None = None, reg_covar: float = 1e-4
) -> dict[str, Tensor]:
    r"""Return what the generalised correlations of M modalities with k components lack of Mk.

    They are the k largest eigenvalues of the matrix of blocks
    :math:`L_m^{-1} S_{ml} L_l^{-\top}`, with the factors :math:`L_m L_m^\top = S_{mm} + r_m I`.
    For two modalities without ridge the loss is k less the total canonical correlation.

    Parameters
    ----------
    codes : sequence of Tensors of shape (n_samples, n_components)
        The codes of each modality.
    observed : bool Tensor of shape (n_samples, n_modalities) or None, default=None
        Which rows have which modality. A covariance is that of the rows that have what it needs.
    reg_covar : float, default=1e-4
        Ridge on each covariance, as a fraction of its mean variance; at least rounding.

    Returns
    -------
    dict of str to Tensor
        "correlation".

    References
    ----------
    A. Benton et al. Deep generalized canonical correlation analysis. RepL4NLP 2019.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import gcca_loss
    >>> a = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [1.0, -1.0]])
    >>> gcca_loss([a, 3 * a.flip(1), -a], reg_covar=0.0)["correlation"].abs().round(decimals=6)
    tensor(0., dtype=torch.float64)
    """
    codes = _checked(codes, observed, reg_covar=reg_covar)
    M, k = len(codes), codes[0].shape[1]
    lower = [(m, l) for m in range(M) for l in range(m + 1)]
    S = {(m, l): _covariance(*_common_rows(codes, observed, m, l)) for m, l in lower}
    L = [_ridge_cholesky(S[m, m], reg_covar) for m in range(M)]
    T = {(m, l): _whiten(S[m, l], L[m], L[l]) for m, l in lower}
    rows = [torch.cat([T[m, l] if l <= m else T[l, m].T for l in range(M)], 1) for m in range(M)]
    return {"correlation": M * k - _sum_of_largest_eigenvalues(torch.cat(rows), k)}


def ey_loss(
    codes: Sequence[Tensor], *, observed: Tensor | None = None, reg_covar: float = 0.0
) -> dict[str, Tensor]:
    r"""Return the Eckart-Young loss, without bias on batches of any size.

    It is :math:`-2 \, \mathrm{tr} A + \mathrm{tr} B^2` with
    :math:`A = \sum_{m \ne l} \Sigma_{ml} / (M - 1)` and :math:`B = \sum_m \Sigma_m`. For two
    modalities its minimum is minus the sum of the squared canonical correlations.

    Parameters
    ----------
    codes : sequence of Tensors of shape (n_samples, n_components)
        The codes of each modality; four samples or more.
    observed : bool Tensor of shape (n_samples, n_modalities) or None, default=None
        Which rows have which modality. A pair is judged by the rows that have both, and left out
        if they are fewer than four.
    reg_covar : float, default=0.0
        Ridge on each covariance in B, as a fraction of its mean variance. It adds a bias.

    Returns
    -------
    dict of str to Tensor
        "reward" and "penalty", which may be negative as an unbiased estimate of a square.

    Raises
    ------
    ValueError
        If there are fewer than four samples.

    References
    ----------
    J. Chapman, L. Wells, A. Lawry Aguila. Unconstrained stochastic CCA. ICLR 2024, section 3.
    T. Himeno, T. Yamada. Journal of Multivariate Analysis 130, 2014 (the estimator of the square).

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import ey_loss
    >>> a = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
    >>> {name: round(term.item(), 6) for name, term in ey_loss([a, a]).items()}
    {'reward': -5.333333, 'penalty': 10.666667}
    """
    codes = _checked(codes, observed, n_at_least=4, reg_covar=reg_covar)
    M, k = len(codes), codes[0].shape[1]
    reward, penalty, trace = (_zero(codes) for _ in range(3))
    for m, l in combinations_with_replacement(range(M), 2):
        a, b = _common_rows(codes, observed, m, l)
        if len(a) < 4:
            continue
        if m == l:
            trace = trace + _covariance(a, a).trace()
        else:
            reward = reward - 4 / (M - 1) * _covariance(a, b).trace()
        penalty = penalty + (1 if m == l else 2) * _trace_of_product(a, b)
    # tr (B + rI)^2 = tr B^2 + 2 r tr B + r^2 k with r = reg_covar tr B / k
    return {
        "reward": reward,
        "penalty": penalty + reg_covar * (2 + reg_covar) / k * trace.square(),
    }


def barlow_twins_loss(
    codes: Sequence[Tensor], *, observed: Tensor | None = None, off_diagonal_weight: float = 5e-3
) -> dict[str, Tensor]:
    r"""Return how far the correlations C of the columns of two modalities are from the identity.

    The mean over the pairs of modalities of
    :math:`\sum_i (1 - C_{ii})^2 + \lambda \sum_{i \ne j} C_{ij}^2`.

    Parameters
    ----------
    codes : sequence of Tensors of shape (n_samples, n_components)
        The codes of each modality.
    observed : bool Tensor of shape (n_samples, n_modalities) or None, default=None
        Which rows have which modality. A pair is judged by the rows that have both, and left out
        if they are fewer than two.
    off_diagonal_weight : float, default=5e-3
        The weight of the second sum.

    Returns
    -------
    dict of str to Tensor
        "invariance" and "redundancy".

    References
    ----------
    J. Zbontar et al. Barlow Twins. ICML 2021, equations 1 and 2.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import barlow_twins_loss
    >>> a = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    >>> terms = barlow_twins_loss([a, a.flip(1)], off_diagonal_weight=0.5)
    >>> {name: round(term.item(), 3) for name, term in terms.items()}
    {'invariance': 2.0, 'redundancy': 1.0}
    """
    codes = _checked(codes, observed, off_diagonal_weight=off_diagonal_weight)
    invariance, redundancy = [], []
    for a, b in _pairs(codes, observed):
        C = _standardise(a).T @ _standardise(b) / len(a)
        invariance.append((1 - C.diagonal()).square().sum())
        redundancy.append(off_diagonal_weight * _off_diagonal(C).square().sum())
    return {"invariance": _mean(invariance, codes), "redundancy": _mean(redundancy, codes)}


def vicreg_loss(
    codes: Sequence[Tensor],
    *,
    observed: Tensor | None = None,
    invariance_weight: float = 25.0,
    variance_weight: float = 25.0,
    covariance_weight: float = 1.0,
) -> dict[str, Tensor]:
    """Return the distance between two modalities, with what keeps their codes from collapsing.

    The mean over the pairs of modalities.

    Parameters
    ----------
    codes : sequence of Tensors of shape (n_samples, n_components)
        The codes of each modality.
    observed : bool Tensor of shape (n_samples, n_modalities) or None, default=None
        Which rows have which modality. A pair is judged by the rows that have both, and left out
        if they are fewer than two.
    invariance_weight : float, default=25.0
        The weight of the mean squared difference.
    variance_weight : float, default=25.0
        The weight of what the standard deviations lack of one: column mean, both modalities.
    covariance_weight : float, default=1.0
        The weight of the squared covariances of a column with the others, likewise.

    Returns
    -------
    dict of str to Tensor
        "invariance", "variance" and "covariance".

    References
    ----------
    A. Bardes, J. Ponce, Y. LeCun. VICReg. ICLR 2022, algorithm 1.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import vicreg_loss
    >>> a = torch.tensor([[2.0, 0.0], [0.0, 2.0], [-2.0, 0.0], [0.0, -2.0]])
    >>> {name: round(term.item(), 3) for name, term in vicreg_loss([a, a + 1.0]).items()}
    {'invariance': 25.0, 'variance': 0.0, 'covariance': 0.0}
    """
    codes = _checked(
        codes,
        observed,
        invariance_weight=invariance_weight,
        variance_weight=variance_weight,
        covariance_weight=covariance_weight,
    )
    invariance, variance, covariance = [], [], []
    for a, b in _pairs(codes, observed):
        invariance.append(invariance_weight * F.mse_loss(a, b))
        variance.append(variance_weight * (_too_narrow(a) + _too_narrow(b)))
        covariance.append(covariance_weight * (_redundant(a) + _redundant(b)))
    terms = {"invariance": invariance, "variance": variance, "covariance": covariance}
    return {name: _mean(values, codes) for name, values in terms.items()}


def infonce_loss(
    codes: Sequence[Tensor], *, observed: Tensor | None = None, temperature: float = 0.1
) -> dict[str, Tensor]:
    """Return how badly a row is found among all rows by its code in another modality.

    The cross-entropy of a softmax over cosines, the mean of both directions and over the pairs.

    Parameters
    ----------
    codes : sequence of Tensors of shape (n_samples, n_components)
        The codes of each modality.
    observed : bool Tensor of shape (n_samples, n_modalities) or None, default=None
        Which rows have which modality. A pair is judged by the rows that have both, and left out
        if they are fewer than two.
    temperature : float, default=0.1
        What the cosines are divided by.

    Returns
    -------
    dict of str to Tensor
        "contrast".

    References
    ----------
    A. van den Oord, Y. Li, O. Vinyals. arXiv:1807.03748, 2018, equation 4.
    A. Radford et al. ICML 2021, figure 3 (both directions).

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import infonce_loss
    >>> a = torch.eye(3)  # log(1 + 2 / e)
    >>> infonce_loss([a, a], temperature=1.0)["contrast"].round(decimals=4)
    tensor(0.5514, dtype=torch.float64)
    """
    codes = _checked(codes, observed)
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature!r}")
    contrast = []
    for pair in _pairs(codes, observed):
        a, b = (F.normalize(code, dim=1, eps=_COSINE_EPS) for code in pair)
        logits = a @ b.T / temperature  # (n, n)
        rows = torch.arange(len(a), device=a.device)
        contrast.append((F.cross_entropy(logits, rows) + F.cross_entropy(logits.T, rows)) / 2)
    return {"contrast": _mean(contrast, codes)}


def _checked(
    codes: Sequence[Tensor], observed: Tensor | None, n_at_least: int = 2, **options: float
) -> list[Tensor]:
    """Return the codes in float64, or say what is wrong with them or with the options."""
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


def _common_rows(
    codes: Sequence[Tensor], observed: Tensor | None, m: int, l: int
) -> tuple[Tensor, Tensor]:
    """Return both codes on the rows that have both: what stands elsewhere enters nothing."""
    if observed is None:
        return codes[m], codes[l]
    rows = observed[:, m] & observed[:, l]
    return codes[m][rows], codes[l][rows]


def _pairs(codes: Sequence[Tensor], observed: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the common rows of the pairs of modalities that have two or more."""
    for m, l in combinations(range(len(codes)), 2):
        a, b = _common_rows(codes, observed, m, l)
        if len(a) >= 2:
            yield a, b


def _zero(codes: Sequence[Tensor]) -> Tensor:
    """Return a zero that has a gradient, whatever the codes."""
    return torch.cat([code[:0] for code in codes]).sum()


def _mean(terms: Sequence[Tensor], codes: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(terms)).mean() if terms else _zero(codes)


def _covariance(a: Tensor, b: Tensor) -> Tensor:
    """Return the cross-covariance (k, k); zero for fewer than two rows."""
    return (a - a.mean(dim=0)).T @ (b - b.mean(dim=0)) / max(len(a) - 1, 1)


def _ridge_cholesky(S: Tensor, reg_covar: float) -> Tensor:
    """Return the factor of S with its ridge; NaN, and no error, where S is not finite."""
    k = len(S)
    rounding = 10 * k * k * torch.finfo(S.dtype).eps  # enough for the factorisation to succeed
    ridge = (reg_covar + rounding) * S.diagonal().mean() + _COLLAPSED
    return torch.linalg.cholesky_ex(S + ridge * torch.eye(k, dtype=S.dtype, device=S.device))[0]


def _whiten(S: Tensor, L_row: Tensor, L_column: Tensor) -> Tensor:
    """Return L_row^-1 S L_column^-T."""
    half = torch.linalg.solve_triangular(L_row, S, upper=False)
    return torch.linalg.solve_triangular(L_column.T, half, upper=True, left=False)


# The next two sums are tr P'T with a P whose own change does not count at first order. Taking it
# as a constant gives the gradient, also where values repeat and that of the vectors is infinite.


def _nuclear_norm(T: Tensor) -> Tensor:
    U, values, Vh = torch.linalg.svd(_finite(T), full_matrices=False)
    return ((U * (values > _NO_CORRELATION)) @ Vh * T).sum()


def _sum_of_largest_eigenvalues(K: Tensor, k: int) -> Tensor:
    values, V = torch.linalg.eigh(_finite(K))
    V = (V * (values > _NO_CORRELATION))[:, -k:]
    return (V @ V.T * K).sum()


def _finite(T: Tensor) -> Tensor:
    """Return a constant that LAPACK takes; a NaN in T still reaches the sum."""
    return T.detach().nan_to_num(0.0, 0.0, 0.0)


def _trace_of_product(a: Tensor, b: Tensor) -> Tensor:
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


def _standardise(code: Tensor) -> Tensor:
    variance = code.var(dim=0, correction=0)
    return (code - code.mean(dim=0)) / (variance + _STANDARDISE_EPS).sqrt()


def _off_diagonal(C: Tensor) -> Tensor:
    return C - C.diagonal().diag()


def _too_narrow(code: Tensor) -> Tensor:
    return F.relu(1 - (code.var(dim=0) + _HINGE_EPS).sqrt()).mean()


def _redundant(code: Tensor) -> Tensor:
    return _off_diagonal(_covariance(code, code)).square().sum() / code.shape[1]
