"""Turning the components, which the updates one after the other do very slowly.

Loadings W R and codes R^-1 z explain the rows as W and z do, so that only the priors and the
entropies decide about an invertible R. The bound as a function of R, with q(alpha) at its best::

    - 1/2 tr(R^-1 S R^-T) - N log|R|                          S = sum of s E[z z'], N = sum of s
    + sum over m of d_m log|R_m|                              R_m: of the components active in m
    - sum over active (m, k) of (A0 + d_m / 2) log(A0 + (R' T_m R)_kk / 2)     T_m = sum of E[w w']

is maximised by L-BFGS. A component may be added to another only where that one is active too, so
that what is switched off stays so. (Virtanen et al. 2012, section 3.3.)
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg, optimize

Array = np.ndarray
N_STEPS = 10  # an iteration later it goes on
DIGITS = 24  # binary ones of single precision


@dataclass(frozen=True)
class Turn:
    """The objective above.

    Attributes
    ----------
    codes : ndarray (k, k)
        S.
    loadings : ndarray (M, k, k)
        T.
    total : float
        N.
    sizes : ndarray (M,)
        Number of columns of each modality.
    active : ndarray of bool (M, k)
    prior : float
        A0.
    """

    codes: Array
    loadings: Array
    total: float
    sizes: Array
    active: Array
    prior: float

    def best(self, turns: int) -> tuple[Array, Array, float]:
        """Return R, its inverse and log|R|; the identity where nothing better is found."""
        k = len(self.codes)
        rounded = self._rounded()
        eye = np.eye(k)
        free = np.all(self.active[:, :, None] <= self.active[:, None, :], axis=0)  # (k, k)

        def loss(entries: Array) -> tuple[float, Array]:
            R = np.zeros((k, k))
            R[free] = entries
            value, slope = rounded.value(R)
            return -value, -slope[free]

        found = optimize.minimize(
            loss, eye[free], jac=True, method="L-BFGS-B", options={"maxiter": turns * N_STEPS}
        )
        R = np.zeros((k, k))
        R[free] = found.x
        if not self.value(R)[0] > self.value(eye)[0]:
            return eye, eye, 0.0
        return R, np.linalg.inv(R), float(np.linalg.slogdet(R)[1])

    def _rounded(self) -> "Turn":
        """Return it in single precision, the modalities in an order that names have no part in.

        A line search goes other ways for other last digits, which come from the order of rows and
        modalities, or from weights instead of repetitions. Of rounded numbers it goes the same.
        """
        order = np.lexsort((self.loadings[:, 0, 0], self.sizes))
        return replace(
            self, codes=_rounded(self.codes), loadings=_rounded(self.loadings[order]),
            sizes=self.sizes[order], active=self.active[order],
        )  # fmt: skip

    def value(self, R: Array) -> tuple[float, Array]:
        """Return the objective and its gradient (k, k)."""
        sign, log_det = np.linalg.slogdet(R)
        if sign <= 0:
            return -np.inf, np.zeros_like(R)
        inverse = np.linalg.inv(R)
        turned = inverse @ self.codes @ inverse.T
        value = -0.5 * np.trace(turned) - self.total * log_det
        slope = inverse.T @ turned - self.total * inverse.T
        for T, d, on in zip(self.loadings, self.sizes, self.active, strict=True):
            product = T @ R
            size = self.prior + 0.5 * np.maximum(np.sum(R * product, axis=0), 0.0)  # (k,)
            share = np.where(on, self.prior + d / 2.0, 0.0)
            inner = on if on.all() else np.ix_(on, on)
            value += d * (log_det if on.all() else np.linalg.slogdet(R[inner])[1])
            value -= share @ np.log(size)
            slope[inner] += d * inverse.T[inner]
            slope -= product * (share / size)
        return float(value), slope


def whitening(codes: Array, total: float) -> tuple[Array, Array, float]:
    """Return the best R without priors of the loadings: z gets unit second moments."""
    R = linalg.cholesky(codes / total, lower=True)
    return R, np.linalg.inv(R), float(np.log(np.diag(R)).sum())


def _rounded(moments: Array) -> Array:
    """Return second moments (..., k, k), relative to their diagonals in single precision."""
    size = np.sqrt(np.diagonal(moments, axis1=-2, axis2=-1))
    outer = size[..., :, None] * size[..., None, :]
    share = np.round(moments / np.where(outer > 0, outer, 1.0) * 2**DIGITS) / 2**DIGITS
    size = size.astype(np.float32).astype(np.float64)
    return share * (size[..., :, None] * size[..., None, :])
