"""Alignment losses, which make the codes of several modalities agree.

Each takes the codes of a batch and returns its named, weighted terms; their sum is the loss. All
compute in float64, which covariances and factorisations need and which autocast leaves alone.
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement

import torch
import torch.nn.functional as F
from torch import Tensor

from skmm.nn._rows import rows_of
from skmm.nn._statistics import (
    checked,
    common_rows,
    covariance,
    mean,
    nuclear_norm,
    off_diagonal,
    pairs,
    redundant,
    ridge_cholesky,
    standardise,
    sum_of_largest_eigenvalues,
    too_narrow,
    trace_of_product,
    whiten,
    zero,
)

__all__ = [
    "barlow_twins_loss",
    "cca_loss",
    "ey_loss",
    "gcca_loss",
    "infonce_loss",
    "vicreg_loss",
]

_COSINE_EPS = 1e-6  # codes shorter than this are not brought to length one


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
    codes = checked(codes, observed, reg_covar=reg_covar)
    if len(codes) != 2 or rows_of(observed).having(0, 1) is not None:
        raise ValueError(
            "cca_loss needs exactly two modalities, both in every row, got "
            f"{len(codes)} modalities{'' if len(codes) != 2 else ' and rows that lack one'}; "
            "use gcca_loss or ey_loss"
        )
    a, b = codes
    L_a, L_b = (ridge_cholesky(covariance(code, code), reg_covar) for code in codes)
    T = whiten(covariance(a, b), L_a, L_b)  # (k, k): its singular values are the correlations
    return {"correlation": -(T.square().sum() if squared else nuclear_norm(T))}


def gcca_loss(
    codes: Sequence[Tensor], *, observed: Tensor | None = None, reg_covar: float = 1e-4
) -> dict[str, Tensor]:
    r"""Return M k minus the generalised correlations of M modalities with k components.

    They are the k largest eigenvalues of the matrix of blocks
    :math:`L_m^{-1} S_{ml} L_l^{-\top}`, with the factors :math:`L_m L_m^\top = S_{mm} + r_m I`.
    For two modalities without ridge the loss is k less the total canonical correlation.

    Parameters
    ----------
    codes : sequence of Tensors of shape (n_samples, n_components)
        The codes of each modality.
    observed : bool Tensor of shape (n_samples, n_modalities) or None, default=None
        Which rows have which modality. A covariance is that of the rows that have both modalities.
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
    codes = checked(codes, observed, reg_covar=reg_covar)
    M, k, rows = len(codes), codes[0].shape[1], rows_of(observed)
    lower = [(m, l) for m in range(M) for l in range(m + 1)]
    # The blocks on and below the diagonal; the matrix is symmetric.
    S = {(m, l): covariance(*common_rows(codes, rows, m, l)) for m, l in lower}
    L = [ridge_cholesky(S[m, m], reg_covar) for m in range(M)]
    T = {(m, l): whiten(S[m, l], L[m], L[l]) for m, l in lower}
    # Rows of blocks (k, Mk). The diagonal blocks are the identity but for the ridge, so an
    # eigenvalue is M where all modalities agree, and 1 where none do.
    K = [torch.cat([T[m, l] if l <= m else T[l, m].T for l in range(M)], 1) for m in range(M)]
    return {"correlation": M * k - sum_of_largest_eigenvalues(torch.cat(K), k)}


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
    codes = checked(codes, observed, n_at_least=4, reg_covar=reg_covar)
    M, k, rows = len(codes), codes[0].shape[1], rows_of(observed)
    reward, penalty, trace = (zero(codes) for _ in range(3))
    for m, l in combinations_with_replacement(range(M), 2):
        a, b = common_rows(codes, rows, m, l)
        if len(a) < 4:  # the unbiased estimate of tr B^2 needs four different rows
            continue
        if m == l:
            trace = trace + covariance(a, a).trace()
        else:
            # -2 tr A has each pair twice, as (m, l) and (l, m): 2 * 2 / (M - 1).
            reward = reward - 4 / (M - 1) * covariance(a, b).trace()
        # tr B^2 = sum over m and l of tr(Sigma_m Sigma_l), of which m < l stands for two.
        penalty = penalty + (1 if m == l else 2) * trace_of_product(a, b)
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
    codes = checked(codes, observed, off_diagonal_weight=off_diagonal_weight)
    invariance, redundancy = [], []
    for a, b in pairs(codes, observed):
        C = standardise(a).T @ standardise(b) / len(a)  # (k, k)
        invariance.append((1 - C.diagonal()).square().sum())
        redundancy.append(off_diagonal_weight * off_diagonal(C).square().sum())
    return {"invariance": mean(invariance, codes), "redundancy": mean(redundancy, codes)}


def vicreg_loss(
    codes: Sequence[Tensor],
    *,
    observed: Tensor | None = None,
    invariance_weight: float = 25.0,
    variance_weight: float = 25.0,
    covariance_weight: float = 1.0,
) -> dict[str, Tensor]:
    """Return the distance between two modalities, with penalties against collapsed codes.

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
        The weight of how far standard deviations are below one: column mean, both modalities.
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
    codes = checked(
        codes,
        observed,
        invariance_weight=invariance_weight,
        variance_weight=variance_weight,
        covariance_weight=covariance_weight,
    )
    invariance, variance, covariance = [], [], []
    for a, b in pairs(codes, observed):
        invariance.append(invariance_weight * F.mse_loss(a, b))
        variance.append(variance_weight * (too_narrow(a) + too_narrow(b)))
        covariance.append(covariance_weight * (redundant(a) + redundant(b)))
    terms = {"invariance": invariance, "variance": variance, "covariance": covariance}
    return {name: mean(values, codes) for name, values in terms.items()}


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
        Divides the cosines.

    Returns
    -------
    dict of str to Tensor
        "contrast".

    Raises
    ------
    ValueError
        If `temperature` is not positive, or the codes do not fit together.

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
    codes = checked(codes, observed)
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature!r}")
    contrast = []
    for pair in pairs(codes, observed):
        a, b = (F.normalize(code, dim=1, eps=_COSINE_EPS) for code in pair)
        logits = a @ b.T / temperature  # (n, n): row i matches candidate i
        rows = torch.arange(len(a), device=a.device)
        contrast.append((F.cross_entropy(logits, rows) + F.cross_entropy(logits.T, rows)) / 2)
    return {"contrast": mean(contrast, codes)}
