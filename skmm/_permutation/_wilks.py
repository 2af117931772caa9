"""Wilks' test of canonical correlations by the approximations of Bartlett and of Rao."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from skmm._permutation._frame import frame_of, short

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class WilksResult:
    """Result of Wilks' test of the canonical correlations of two blocks.

    Attributes
    ----------
    correlations : ndarray of shape (n_components,)
    wilks_lambda : ndarray of shape (n_components,)
        Product of 1 - r² over this and all later components.
    statistics : ndarray of shape (n_components,)
        Bartlett's chi-square or Rao's F.
    degrees_of_freedom : ndarray of shape (n_components,) or (n_components, 2)
        Of the chi-square or of the F distribution.
    p_values : ndarray of shape (n_components,)
        Closed p-values: entry k is the largest of the first k + 1 uncorrected ones.
    uncorrected_p_values : ndarray of shape (n_components,)
    """

    correlations: Array
    wilks_lambda: Array
    statistics: Array
    degrees_of_freedom: Array
    p_values: Array
    uncorrected_p_values: Array

    def __repr__(self) -> str:
        tested = len(self.p_values)
        return (
            f"{type(self).__name__}({tested} component{'s' * (tested > 1)} tested, "
            f"p_values={short(self.p_values)})"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return a row per component.

        Returns
        -------
        frame : DataFrame of shape (n_components, 6) or (n_components, 7)
            Indexed by "component"; `correlation`, `wilks_lambda`, `statistic`,
            `degrees_of_freedom` (of the F distribution two columns, with `_1` and `_2`),
            `p_value` (closed) and `uncorrected_p_value`.
        """
        dof, name = self.degrees_of_freedom, "degrees_of_freedom"
        parts = {name: dof} if dof.ndim == 1 else {f"{name}_1": dof[:, 0], f"{name}_2": dof[:, 1]}
        return frame_of(
            correlation=self.correlations,
            wilks_lambda=self.wilks_lambda,
            statistic=self.statistics,
            **parts,
            p_value=self.p_values,
            uncorrected_p_value=self.uncorrected_p_values,
        )


def wilks(
    correlations: Array,
    *,
    n_samples: int,
    ranks: tuple[int, int],
    method: Literal["bartlett", "rao"] = "bartlett",
) -> WilksResult:
    """Test canonical correlations by Wilks' lambda, one component after the other.

    Step k tests that the correlations from the k-th on are zero. Rows are assumed independent
    and one block Gaussian given the other.

    Parameters
    ----------
    correlations : ndarray of shape (min(ranks),)
        All canonical correlations of the two blocks, descending.
    n_samples : int
        Number of rows, less one for each confound that was removed.
    ranks : tuple of (int, int)
        Ranks of the two centred blocks.
    method : {"bartlett", "rao"}, default="bartlett"
        Bartlett's chi-square or Rao's F approximation; Rao's is exact when a block has at most
        two columns left.

    Returns
    -------
    result : WilksResult

    Raises
    ------
    ValueError
        If there are too few rows for the approximation.

    References
    ----------
    K. V. Mardia, J. T. Kent and J. M. Bibby, "Multivariate Analysis" (1979), eq. 10.2.13;
    C. R. Rao, "Linear Statistical Inference" (1973), section 8c.5.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm._permutation import wilks
    >>> wilks(np.array([0.8, 0.1]), n_samples=50, ranks=(2, 3)).p_values.round(3)
    array([0.   , 0.794])
    """
    p, q = ranks
    if n_samples - 1 < p + q:
        raise ValueError(
            f"Wilks' test needs more rows than columns: got {n_samples} rows for blocks of rank "
            f"{p} and {q}; reduce the blocks (for instance with PCA) or use permutation_test of a "
            "CCA with shrinkage > 0"
        )
    steps = np.arange(len(correlations))
    remaining = np.maximum(1.0 - np.asarray(correlations) ** 2, np.finfo(np.float64).tiny)
    log_lambda = np.cumsum(np.log(remaining)[::-1])[::-1]
    test = {"bartlett": _bartlett, "rao": _rao}.get(method)
    if test is None:
        raise ValueError(f"method must be 'bartlett' or 'rao', got {method!r}")
    statistics, dof, p_values = test(log_lambda, n_samples, p - steps, q - steps, p + q)
    return WilksResult(
        correlations=np.asarray(correlations),
        wilks_lambda=np.exp(log_lambda),
        statistics=statistics,
        degrees_of_freedom=dof,
        p_values=np.maximum.accumulate(p_values),
        uncorrected_p_values=p_values,
    )


def _bartlett(log_lambda: Array, n: int, p: Array, q: Array, total: int) -> tuple[Array, ...]:
    statistics = -(n - 0.5 * (total + 3)) * log_lambda
    dof = p * q
    return statistics, dof, stats.chi2.sf(statistics, dof)


def _rao(log_lambda: Array, n: int, p: Array, q: Array, total: int) -> tuple[Array, ...]:
    # Of the n - 1 degrees of freedom every earlier component takes one.
    steps = (total - p - q) // 2
    numerator = p**2 * q**2 - 4
    root = np.sqrt(np.where(numerator > 0, numerator / np.maximum(p**2 + q**2 - 5, 1), 1.0))
    first = p * q
    second = root * (n - 1 - steps - 0.5 * (p + q + 1)) - 0.5 * first + 1
    ratio = np.exp(-log_lambda / root)  # lambda ** (-1 / root)
    statistics = (ratio - 1) * second / first
    return statistics, np.column_stack([first, second]), stats.f.sf(statistics, first, second)
