"""Normal draws about expectations, with the covariance of residuals of held-out rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from skmm._linalg import ledoit_wolf
from skmm._linear._model import check_weight
from skmm._modalities._values import Array


@dataclass(frozen=True)
class ResidualNormal:
    """The covariance ``diag(s) ((1 - c) F'F + c I) diag(s)``, never formed.

    Attributes
    ----------
    scale : ndarray (q,)
        s, the root mean square of each residual.
    factor : ndarray (m, q)
        F, of no more rows than there are residuals or columns.
    shrinkage : float
        c, of correlations towards none.
    """

    scale: Array
    factor: Array
    shrinkage: float

    def draw(self, mean: Array, rng: np.random.RandomState, n_draws: int) -> Array:
        """Return draws (n_draws, n, q) about expectations (n, q)."""
        shape = (n_draws, *mean.shape)
        shared = rng.standard_normal((*shape[:2], len(self.factor))) @ self.factor
        shared *= np.sqrt(1.0 - self.shrinkage)
        shared += np.sqrt(self.shrinkage) * rng.standard_normal(shape)
        return mean + self.scale * shared


def residual_normal(residuals: Array, weight: Array | None = None) -> ResidualNormal:
    """Return the normal distribution about 0 of residuals of predictions of held-out rows.

    Correlations are shrunk by Ledoit and Wolf's formula, scales are not.

    Parameters
    ----------
    residuals : ndarray of shape (n, q)
        Rows with NaN are left out.
    weight : ndarray of shape (n,), default=None
        Of the rows.

    Returns
    -------
    normal : ResidualNormal
    """
    weight = check_weight(weight, len(residuals))
    used = (weight > 0) & np.isfinite(residuals).all(axis=1)
    share = weight[used] / weight[used].sum()
    scale = np.sqrt(share @ residuals[used] ** 2)
    R = residuals[used] / np.where(scale > 0, scale, 1.0)
    rooted = R * np.sqrt(share)[:, None]
    n_rows, n_columns = len(R), int((scale > 0).sum())
    gram = rooted @ rooted.T if n_rows < len(scale) else rooted.T @ rooted
    fourth = float(share @ (R**2).sum(axis=1) ** 2)
    shrinkage = ledoit_wolf(
        float(np.trace(gram)), float((gram**2).sum()), fourth, max(1, n_columns), n_rows
    )
    factor = rooted
    if n_rows > len(scale):
        factor = linalg.qr(rooted, mode="r", check_finite=False)[0][: len(scale)]
    return ResidualNormal(scale, factor, shrinkage)
