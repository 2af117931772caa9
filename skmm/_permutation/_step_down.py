"""Step-down permutation test of canonical correlations.

The test follows Winkler et al. (2020): what the earlier components explain is kept out, all
remaining canonical variates of every block are permuted (also those that only the wider block
has), and p-values are made monotone, which controls the family-wise error rate.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from joblib import effective_n_jobs
from scipy import linalg
from sklearn.utils.parallel import Parallel, delayed

from skmm._permutation._variates import Cross, Variates, cross_products, joint_matrix
from skmm._random import check_random_state

Array = np.ndarray
Statistic = Literal["wilks", "pillai", "roy"]
STATISTICS = ("wilks", "pillai", "roy")


@dataclass(frozen=True, eq=False)
class PermutationResult:
    """Result of a step-down permutation test.

    Attributes
    ----------
    correlations : ndarray of shape (n_components,)
        Canonical correlations of the data; with more than two blocks the mean over the pairs.
    p_values : ndarray of shape (n_components,)
        Closed p-values: entry k is the largest of the first k + 1 uncorrected ones. Rejecting
        where they are at most alpha keeps the family-wise error rate at alpha.
    uncorrected_p_values : ndarray of shape (n_components,)
        P-value of each step on its own; the data themselves count as one permutation.
    statistics : ndarray of shape (n_components,)
        Statistic of each step; larger means more association.
    null : ndarray of shape (n_permutations, n_components)
        The statistics of the permuted data.
    statistic : {"wilks", "pillai", "roy"}
        What was computed.
    n_permutations : int
        Number of random permutations.
    """

    correlations: Array
    p_values: Array
    uncorrected_p_values: Array
    statistics: Array
    null: Array
    statistic: Statistic
    n_permutations: int

    def n_significant(self, alpha: float = 0.05) -> int:
        """Return how many leading components have a p-value of at most `alpha`.

        Parameters
        ----------
        alpha : float, default=0.05
            Family-wise error rate.

        Returns
        -------
        n_components : int
        """
        return int(np.sum(self.p_values <= alpha))  # p-values never decrease


def step_down_permutation(
    blocks: Sequence[Array],
    *,
    n_components: int | None = None,
    n_permutations: int = 1000,
    statistic: Statistic = "wilks",
    shrinkage: float | Sequence[float] = 0.0,
    scale: bool = True,
    confounds: Array | Sequence[Array | None] | None = None,
    groups: Array | None = None,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> PermutationResult:
    """Test the canonical correlations of two or more blocks, one component after the other.

    Step k asks whether the blocks are independent beyond the first k - 1 components. With two
    blocks and no shrinkage this is the test of Winkler et al. (2020). With shrinkage the variates
    are those of the regularised problem, whose cross-covariance has the same rank; with more
    blocks every block but one is permuted independently and the components are those of the
    MAXVAR problem. In these two cases the first step is exact and the later ones hold
    asymptotically.

    Parameters
    ----------
    blocks : sequence of ndarray of shape (n_samples, n_features)
        Two or more blocks with paired rows.
    n_components : int, default=None
        Number of steps; None is the smallest rank.
    n_permutations : int, default=1000
        Number of random permutations.
    statistic : {"wilks", "pillai", "roy"}, default="wilks"
        ``"wilks"`` is minus the log of Wilks' lambda of what remains (no shrinkage only),
        ``"pillai"`` the sum of squared cross-covariances of the whitened variates over all pairs
        of blocks, ``"roy"`` the correlation of the first remaining component, averaged over the
        pairs.
    shrinkage : float or sequence of float, default=0.0
        Weight of the scaled identity in the covariance of each block, in [0, 1].
    scale : bool, default=True
        Whether columns are scaled to unit variance; without shrinkage this changes nothing.
    confounds : ndarray of shape (n_samples, n_confounds) or sequence of such arrays, default=None
        Nuisance variables removed from every block, or one array (or None) per block. The
        residuals are expressed in a semi-orthogonal basis (Huh and Jhun), so that they can be
        permuted; the basis is Theil's, whose rows belong to rows of the data, which keeps
        `groups` meaningful.
    groups : array-like of shape (n_samples,), default=None
        Rows are exchanged within these groups only.
    n_jobs : int, default=None
        Number of joblib jobs; does not change the result.
    random_state : int, RandomState instance or None, default=None
        Seed of the permutations.

    Returns
    -------
    result : PermutationResult

    Raises
    ------
    ValueError
        If without shrinkage the blocks have more columns together than there are rows (some
        correlations are then 1 whatever the pairing), or if a parameter is out of range.

    References
    ----------
    A. M. Winkler, O. Renaud, S. M. Smith and T. E. Nichols, "Permutation inference for canonical
    correlation analysis", NeuroImage 220 (2020) 117065, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm._permutation import step_down_permutation
    >>> rng = np.random.RandomState(0)
    >>> z = rng.standard_normal((100, 1))
    >>> x = z + rng.standard_normal((100, 3))
    >>> y = z + rng.standard_normal((100, 2))
    >>> step_down_permutation([x, y], n_permutations=99, random_state=0).n_significant()
    1
    """
    if statistic not in STATISTICS:
        raise ValueError(f"statistic must be one of {STATISTICS}, got {statistic!r}")
    if n_permutations < 1:
        raise ValueError(f"n_permutations must be at least 1, got {n_permutations!r}")
    variates = Variates.of(blocks, shrinkage, scale, confounds, groups)
    steps = _n_steps(variates, n_components, statistic)
    evaluate = _statistic_function(variates, statistic, steps)
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=n_permutations)
    chunks = np.array_split(seeds, min(n_permutations, effective_n_jobs(n_jobs)))
    parts = Parallel(n_jobs=n_jobs)(delayed(_permuted)(variates, evaluate, c) for c in chunks)
    null = np.concatenate(parts)
    observed = evaluate(cross_products(variates.placed()))
    # Rounding must not turn a permutation that restores the data into a smaller statistic.
    reached = null >= observed - 1e-6 * np.abs(observed) - 1e-12
    p_values = (1 + reached.sum(axis=0)) / (1 + n_permutations)
    return PermutationResult(
        correlations=variates.correlations[:steps],
        p_values=np.maximum.accumulate(p_values),
        uncorrected_p_values=p_values,
        statistics=observed,
        null=null,
        statistic=statistic,
        n_permutations=n_permutations,
    )


def _permuted(variates: Variates, evaluate: Callable[[Cross], Array], seeds: Array) -> Array:
    states = map(np.random.RandomState, seeds)
    return np.array([evaluate(cross_products(variates.placed(state))) for state in states])


def _n_steps(variates: Variates, n_components: int | None, statistic: Statistic) -> int:
    """Return the number of steps, after checking that there is something to permute."""
    ranks = variates.ranks
    if statistic == "wilks" and variates.shrunk:
        raise ValueError(
            "statistic='wilks' has no meaning with shrinkage > 0: use 'pillai' or 'roy'"
        )
    together = sum(ranks) if statistic == "wilks" else sum(sorted(ranks)[-2:])
    if not variates.shrunk and together > variates.n_dimensions:
        raise ValueError(
            f"Blocks of ranks {ranks} fill all {variates.n_dimensions} dimensions of the rows, so "
            "that some correlations are 1 under every permutation: use shrinkage > 0, or fewer "
            "columns (for instance by PCA)"
        )
    if n_components is None:
        return min(ranks)
    if not 1 <= n_components <= min(ranks):
        raise ValueError(
            f"n_components must be between 1 and the smallest rank {min(ranks)}, "
            f"got {n_components!r}"
        )
    return n_components


def _statistic_function(
    variates: Variates, statistic: Statistic, steps: int
) -> Callable[[Cross], Array]:
    sizes = variates.ranks
    if statistic == "pillai":
        return partial(_pillai, steps=steps)
    if statistic == "wilks":
        return partial(_wilks, sizes=sizes, steps=steps)
    return partial(_roy, sizes=sizes, grams=[u.T @ u for u in variates.scores], steps=steps)


def _pillai(cross: Cross, steps: int) -> Array:
    """Return the sum of squares of what remains of each cross-product, for all steps at once."""
    total = np.zeros(steps)
    for block in cross.values():
        corners = np.square(block)[::-1, ::-1].cumsum(axis=0).cumsum(axis=1)[::-1, ::-1]
        total += np.diagonal(corners)[:steps]
    return total


def _wilks(cross: Cross, sizes: Sequence[int], steps: int) -> Array:
    """Return -log det of what remains of the joint correlation matrix, for all steps at once.

    Variates are sorted from the last component to the first, so that what remains is always a
    leading block: one Cholesky factor serves every step.
    """
    index = np.concatenate([np.arange(size) for size in sizes])
    order = np.argsort(-index, kind="stable")
    joint = joint_matrix(cross, sizes)[np.ix_(order, order)]
    joint[np.diag_indices_from(joint)] += 1e-10  # an exact correlation of 1 stays finite
    factor = linalg.cholesky(joint, lower=True, check_finite=False)
    logs = 2 * np.cumsum(np.log(np.diagonal(factor)))
    remaining = np.array([np.sum(index >= k) for k in range(steps)])
    return -logs[remaining - 1]


def _roy(cross: Cross, sizes: Sequence[int], grams: Sequence[Array], steps: int) -> Array:
    """Return the correlation of the first component of what remains, averaged over the pairs."""
    joint = None if len(sizes) == 2 else joint_matrix(cross, sizes)
    index = np.concatenate([np.arange(size) for size in sizes])
    owner = np.repeat(np.arange(len(sizes)), sizes)
    result = np.empty(steps)
    for k in range(steps):
        if joint is None:
            left, _, right = linalg.svd(cross[0, 1][k:, k:], check_finite=False)
            parts = [left[:, 0], right[0]]
        else:
            rest = index >= k
            last = int(rest.sum()) - 1
            vector = linalg.eigh(joint[np.ix_(rest, rest)], subset_by_index=[last, last])[1][:, 0]
            parts = [vector[owner[rest] == m] for m in range(len(sizes))]
        variances = [v @ g[k:, k:] @ v for v, g in zip(parts, grams, strict=True)]
        result[k] = np.mean(
            [
                parts[i] @ block[k:, k:] @ parts[j] / np.sqrt(variances[i] * variances[j])
                for (i, j), block in cross.items()
            ]
        )
    return result
