"""What columns have in common beyond the components, and the Gaussian that knows of it.

Variational Bayes with factors q(Z) q(W) leaves out components whose evidence is below a threshold
(Nakajima, Sugiyama, Babacan and Tomioka, "Global analytic solution of fully-observed variational
Bayesian matrix factorization", JMLR 14, 2013). With few rows that is most of what the columns have
in common: each of these components by itself may be noise, but all together predict. Predictions
therefore read a mixture of two covariances, that of the factor model and S of the rows::

    (1 - rho) (W W' + diag(psi)) + rho S,

whose share is that of the correlations r of the noise that is no chance (Schaefer and Strimmer, "A
shrinkage approach to large-scale covariance matrix estimation", 2005)::

    rho = 1 - sum of Var(r_jl) / sum of r_jl^2    over j != l.

It is nearly 0 where the components leave nothing. S is that of the rows completed by the model, by
its leading axes; the rest of its variance is noise of the columns.
"""

import numpy as np

from skmm._group_factor_analysis._gaps import inverse_roots
from skmm._group_factor_analysis._state import Data, State, principal

Array = np.ndarray


def residual_share(data: Data, state: State) -> float:
    """Return rho: of what the components leave, the share that columns have in common."""
    seen, left = _seen(data), _centred(data, state) - _expected(state)
    left *= np.sqrt(data.weight)[:, None] * seen / np.sqrt(data.counts)
    left = np.vstack([left, _doubt(data, state)])
    size = np.sqrt(np.sum(left**2, axis=0))
    left /= np.where(size > 0, size, 1.0)  # sums of products are correlations
    squares = float(np.sum(_gram(left) ** 2)) - left.shape[1]
    rows = left[: len(seen)] ** 2
    chance = float(np.sum((rows.sum(axis=1) ** 2 - np.sum(rows**2, axis=1)) / data.weight))
    return 1.0 - chance / squares if squares > chance else 0.0


def mixture(data: Data, state: State, noise: Array, share: float, most: int) -> tuple[Array, Array]:
    """Return loadings (d, k + r), r at most `most`, and noise variances (d,) of the mixture."""
    W = state.loadings.mean
    rows = np.where(_seen(data), _centred(data, state), _expected(state))
    rows *= np.sqrt(data.weight / data.total)[:, None]
    variance, axes = principal(rows, min(most, *rows.shape))
    found = np.hstack([np.sqrt(1.0 - share) * W, axes * np.sqrt(share * variance)])
    left = np.sum(W**2, axis=1) + noise - np.sum(found**2, axis=1)
    return found, np.maximum(left, (1.0 - share) * noise)


def _seen(data: Data) -> Array:
    return data.gaps.seen[:, data.gaps.group][data.gaps.pattern]


def _centred(data: Data, state: State) -> Array:
    return data.values - state.offset


def _expected(state: State) -> Array:
    return state.codes.mean @ state.loadings.mean.T


def _doubt(data: Data, state: State) -> Array:
    """Return rows (k, d) whose products are w_j' C w_l, C the covariance of z given a whole row.

    E[e e'] of the noise is the product of the residuals plus this.
    """
    parts = state.loadings.summed(data.columns, 1.0 / state.noise)
    B, _ = inverse_roots((np.eye(state.k) + parts.sum(axis=0))[None])
    return B[0].T @ state.loadings.mean.T


def _gram(A: Array) -> Array:
    """Return A A' or A' A, whichever is smaller: their entries have the same sum of squares."""
    return A @ A.T if len(A) < A.shape[1] else A.T @ A
