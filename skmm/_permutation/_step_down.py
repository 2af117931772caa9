"""Step-down permutation test of canonical correlations.

The test follows Winkler et al. (2020): what the earlier components explain is kept out, all
remaining canonical variates of every block are permuted (also those that only the wider block
has), and p-values are made monotone, which controls the family-wise error rate.

One thing is added. The remaining variates of the data are orthogonal to the earlier components,
permuted ones are not: they spread over more dimensions, so that their statistic is too small and
later components are found too often when rows are few (with 40 rows and twice 15 columns, 25 % at
a nominal 5 % after three true components). The earlier components, as the mean over the blocks,
are therefore taken out of the permuted variates again: one dimension per component, which is also
what Lawley's correction of the chi-square approximation amounts to for strong components. The
first step is unchanged, and with many rows so are the later ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import pandas as pd
from joblib import effective_n_jobs
from scipy import linalg
from sklearn.utils.parallel import Parallel, delayed

from skmm._parameters import is_integer
from skmm._permutation._frame import frame_of, short
from skmm._permutation._variates import Cross, Variates, cross_products, joint_matrix
from skmm._random import check_random_state

Array = np.ndarray
Statistic = Literal["wilks", "pillai", "roy"]
STATISTICS = ("wilks", "pillai", "roy")
ONLY_FIRST = "shrinkage > 0: later components have no valid reference and were not tested"


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
    limit : str or None
        Why later components could not be tested: with shrinkage only the first one can.
    """

    correlations: Array
    p_values: Array
    uncorrected_p_values: Array
    statistics: Array
    null: Array
    statistic: Statistic
    n_permutations: int
    limit: str | None = None

    def __repr__(self) -> str:
        tested = len(self.p_values)
        parts = [
            f"{tested} component{'s' * (tested > 1)} tested",
            f"p_values={short(self.p_values)}",
            f"statistic={self.statistic!r}",
            f"n_permutations={self.n_permutations}",
        ]
        limit = f"; {self.limit}" if self.limit else ""
        return f"{type(self).__name__}({', '.join(parts)}{limit})"

    def to_frame(self) -> pd.DataFrame:
        """Return a row per tested component.

        Returns
        -------
        frame : DataFrame of shape (n_components, 4)
            Indexed by "component"; `correlation`, `statistic`, `p_value` (closed) and
            `uncorrected_p_value`.
        """
        return frame_of(
            correlation=self.correlations,
            statistic=self.statistics,
            p_value=self.p_values,
            uncorrected_p_value=self.uncorrected_p_values,
        )

    def n_significant(self, alpha: float = 0.05) -> int:
        """Return how many leading components have a p-value of at most `alpha`.

        With shrinkage it is at most 1, as only the first component is tested.

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

    Step k asks whether the blocks are independent beyond the first k - 1 components. This is the
    test of Winkler et al. (2020), except that the earlier components are taken out of the permuted
    variates again; without this the later steps are liberal when rows are few. The first step is
    exact for exchangeable rows, the later ones hold approximately. With more than two blocks,
    every block but one is permuted independently and the components are those of the MAXVAR
    problem. With shrinkage only the first step is valid, and only it is taken.

    Parameters
    ----------
    blocks : sequence of ndarray of shape (n_samples, n_features)
        Two or more blocks with paired rows.
    n_components : int, default=None
        Number of steps; None is the smallest rank, or 1 with shrinkage.
    n_permutations : int, default=1000
        Number of random permutations.
    statistic : {"wilks", "pillai", "roy"}, default="wilks"
        Of what remains at each step: ``"wilks"`` is minus the log of the determinant of the joint
        correlation matrix of the whitened blocks, with two blocks minus the log of Wilks' lambda
        (no shrinkage only); ``"pillai"`` the sum of squared cross-covariances of the whitened
        blocks over all pairs; ``"roy"`` the correlation of the first component, averaged over the
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
        correlations are then 1 whatever the pairing), if more than one component is asked for
        with shrinkage, or if a parameter is out of range.

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
    if not is_integer(n_permutations):
        raise ValueError(f"n_permutations must be an integer of at least 1, got {n_permutations!r}")
    variates = Variates.of(blocks, shrinkage, scale, confounds, groups)
    steps = _n_steps(variates, n_components, statistic)
    evaluate = _Evaluation.of(variates, statistic, steps)
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=n_permutations)
    chunks = np.array_split(seeds, min(n_permutations, effective_n_jobs(n_jobs)))
    runs = Parallel(n_jobs=n_jobs)(delayed(_permuted)(variates, evaluate, c) for c in chunks)
    null = np.concatenate(runs)  # (n_permutations, steps)
    observed = evaluate(variates.placed())
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
        limit=ONLY_FIRST if variates.shrunk and min(variates.ranks) > 1 else None,
    )


def _permuted(variates: Variates, evaluate: "_Evaluation", seeds: Array) -> Array:
    states = map(np.random.RandomState, seeds)
    return np.array([evaluate(variates.placed(state)) for state in states])


def _n_steps(variates: Variates, n_components: int | None, statistic: Statistic) -> int:
    """Return the number of steps, after checking that each can be tested."""
    ranks = sorted(variates.ranks)
    bound = 1 if variates.shrunk else ranks[0]
    steps = bound if n_components is None else n_components
    if not is_integer(steps) or steps > bound:
        reason = (
            "with shrinkage > 0 later components have no valid reference distribution; reduce each "
            "modality (for instance by PCA) and test with shrinkage=0"
            if variates.shrunk
            else "the smallest rank"
        )
        raise ValueError(
            f"n_components={n_components!r} must be an integer in 1..{bound}: {reason}"
        )
    if variates.shrunk:
        if statistic == "wilks":
            raise ValueError("statistic='wilks' needs shrinkage=0: use 'pillai' or 'roy'")
        return steps
    extra = sum(ranks[:-2]) if statistic == "wilks" else (len(ranks) - 2) * (steps - 1)
    if ranks[-1] + ranks[-2] + extra > variates.n_dimensions:
        raise ValueError(
            f"Blocks of ranks {variates.ranks} fill all {variates.n_dimensions} dimensions of the "
            "rows, so that some correlations are 1 under every permutation: use shrinkage > 0, or "
            "fewer columns (for instance by PCA)"
        )
    return steps


@dataclass(frozen=True, eq=False)
class _Evaluation:
    """The statistics of all steps, as a function of the variates of the blocks in common rows.

    With U_m (n, r_m) the variates of block m, every statistic depends on the products U_i' U_j
    alone, so that a permutation costs one product of matrices per pair of blocks.
    """

    compute: Callable[[Cross, Sequence[Array]], float]
    grams: list[Array]  # U_m' U_m (r_m, r_m): the identity, or less with shrinkage
    earlier: Array  # (n, steps - 1) orthonormal basis F of the components before the last step

    @classmethod
    def of(cls, variates: Variates, statistic: Statistic, steps: int) -> Self:
        compute = {"wilks": _wilks, "pillai": _pillai, "roy": _roy}[statistic]
        # Permuting the rows of a block changes neither its products with itself nor F.
        grams = [u.T @ u for u in variates.scores]
        return cls(compute, grams, _fused_components(variates.placed(), steps - 1))

    def __call__(self, blocks: Sequence[Array]) -> Array:
        cross = cross_products(blocks)
        along = [u.T @ self.earlier for u in blocks]  # (r_m, steps - 1) each
        return np.array([self._step(cross, along, k) for k in range(self.earlier.shape[1] + 1)])

    def _step(self, cross: Cross, along: Sequence[Array], k: int) -> float:
        """Return the statistic of what the first k components leave."""
        if k == 0:
            return self.compute(cross, self.grams)
        # The variates from the k-th on, V = U[:, k:], are orthogonal to the first k components in
        # the data, but no longer once they are permuted. So what lies along F_k = F[:, :k] is taken
        # out again: with C = V' F_k, the products of V - F_k C' are V_i' V_j - C_i C_j', and
        # I - C C' of a block with itself. Further steps only need smaller parts of the same
        # matrices: columns of F span the first k components for every k.
        inside = [c[k:, :k] for c in along]  # C: (r_m - k, k) each
        # Whitened again by the Cholesky factors, so that the statistics see identities.
        roots = [linalg.cholesky(_ridged(np.eye(len(c)) - c @ c.T), lower=True) for c in inside]
        rest = {
            (i, j): _divided(block[k:, k:] - inside[i] @ inside[j].T, roots[i], roots[j])
            for (i, j), block in cross.items()
        }
        return self.compute(rest, [np.eye(len(c)) for c in inside])


def _fused_components(blocks: Sequence[Array], n_components: int) -> Array:
    """Return a basis of the leading components, each the mean over the blocks."""
    fused = np.sum([u[:, :n_components] for u in blocks], axis=0)
    return linalg.qr(fused, mode="economic")[0]


def _ridged(gram: Array) -> Array:
    gram[np.diag_indices_from(gram)] += 1e-10  # an exact correlation of 1 stays finite
    return gram


def _divided(block: Array, left: Array, right: Array) -> Array:
    """Return left⁻¹ block right⁻ᵀ, for lower triangular factors."""
    half = linalg.solve_triangular(left, block, lower=True, check_finite=False)
    return linalg.solve_triangular(right, half.T, lower=True, check_finite=False).T


def _wilks(cross: Cross, grams: Sequence[Array]) -> float:
    """Return -log det of the joint correlation matrix, of two blocks -Σ log(1 - ρ²)."""
    joint = _ridged(joint_matrix(cross, [len(gram) for gram in grams]))
    factor = linalg.cholesky(joint, lower=True, check_finite=False)
    return -2 * float(np.sum(np.log(np.diagonal(factor))))  # det = the squared product of these


def _pillai(cross: Cross, grams: Sequence[Array]) -> float:
    """Return Σ ρ², summed over the pairs of blocks."""
    return float(sum(np.vdot(block, block) for block in cross.values()))


def _roy(cross: Cross, grams: Sequence[Array]) -> float:
    """Return the correlation of the first component, averaged over the pairs of blocks."""
    if len(grams) == 2:
        left, _, right = linalg.svd(cross[0, 1], full_matrices=False, check_finite=False)
        weights = [left[:, 0], right[0]]  # (r_m,) each
    else:
        sizes = [len(gram) for gram in grams]
        last = sum(sizes) - 1
        vector = linalg.eigh(joint_matrix(cross, sizes), subset_by_index=[last, last])[1][:, 0]
        weights = np.split(vector, np.cumsum(sizes)[:-1])
    # The code U v has the length sqrt(v' U'U v): with shrinkage U is not orthonormal.
    lengths = [np.sqrt(v @ gram @ v) for v, gram in zip(weights, grams, strict=True)]
    pairs = [
        weights[i] @ block @ weights[j] / (lengths[i] * lengths[j])
        for (i, j), block in cross.items()
    ]
    return float(np.mean(pairs))
