"""How far apart two samples are: maximum mean discrepancy, energy and Wasserstein distance."""

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist, pdist

from skmm._modalities._chunks import SMALL, row_chunks
from skmm._parameters import is_integer
from skmm._random import Seed, check_random_state
from skmm.metrics._check import check_flag
from skmm.metrics._draws import check_pair, check_positive
from skmm.metrics._energy import mean_distances, mean_pair_distance

Array = np.ndarray
N_MEDIAN = 2000  # rows whose distances give the median


def kernel_mmd(A: ArrayLike, B: ArrayLike, *, gamma: float | str = "median") -> float:
    """Compute the unbiased squared maximum mean discrepancy with a Gaussian kernel.

    Parameters
    ----------
    A : array-like of shape (n_a, ...)
        A sample. 1-D is one column; more than two axes are flattened. For a joint distribution
        stack the columns: ``np.hstack([x, y])``. Units should be comparable.
    B : array-like of shape (n_b, ...)
        Another one, of the same columns. It may have another size.
    gamma : "median" or float, default="median"
        The kernel is ``exp(-gamma * distance**2)``. "median" is one over twice the squared median
        distance between rows of both samples together. It is taken over 2000 rows, always the
        same ones, where there are more. To compare several samplers give one number to all.

    Returns
    -------
    mmd : float
        Zero in expectation if both distributions are the same, and only then; it may be negative.

    Raises
    ------
    ValueError
        If columns differ, a sample has fewer than two rows, a value is not finite, `gamma` is
        neither "median" nor positive, or the median distance is zero.

    References
    ----------
    A. Gretton, K. Borgwardt, M. Rasch, B. Schölkopf and A. Smola, "A kernel two-sample test",
    Journal of Machine Learning Research 13 (2012), equation (3); section 8 for the median.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.metrics import kernel_mmd
    >>> rng = np.random.default_rng(0)
    >>> A, B = rng.standard_normal((2, 500, 2))
    >>> abs(kernel_mmd(A, B)) < 0.01
    True
    >>> kernel_mmd(A, B + 3.0) > 0.5
    True
    """
    A, B = check_pair(A, B, ("A", "B"))
    if isinstance(gamma, str):
        if gamma != "median":
            raise ValueError(f"gamma={gamma!r} must be 'median' or a positive number.")
        gamma = _median_gamma(A, B)
    gamma = check_positive(gamma, "gamma")
    own = [(_kernel_sum(Z, Z, gamma) - len(Z)) / (len(Z) * (len(Z) - 1)) for Z in (A, B)]
    return sum(own) - 2 * _kernel_sum(A, B, gamma) / (len(A) * len(B))


def energy_distance(A: ArrayLike, B: ArrayLike, *, unbiased: bool = True) -> float:
    """Compute the energy distance of two samples of any number of columns.

    Twice the mean distance between rows of different samples, less the mean distances within each.

    Parameters
    ----------
    A : array-like of shape (n_a, ...)
        A sample. 1-D is one column; more than two axes are flattened. For a joint distribution
        stack the columns: ``np.hstack([x, y])``. Units should be comparable.
    B : array-like of shape (n_b, ...)
        Another one, of the same columns. It may have another size.
    unbiased : bool, default=True
        Whether a row's distance to itself is left out of the means within samples. With False the
        result is that for the two empirical distributions: never negative, but too large by about
        the mean distance within a sample over its size.

    Returns
    -------
    distance : float
        Zero if the distributions are the same, and only then (in expectation, if unbiased). The
        square of what :func:`scipy.stats.energy_distance` returns for one column with
        ``unbiased=False``.

    Raises
    ------
    ValueError
        If columns differ, a sample has fewer than two rows, or a value is not finite.

    References
    ----------
    G. Székely and M. Rizzo, "Energy statistics: a class of statistics based on distances", Journal
    of Statistical Planning and Inference 143 (2013), pages 1249-1272.

    Examples
    --------
    >>> from skmm.metrics import energy_distance
    >>> energy_distance([0.0, 2.0], [0.0, 2.0])
    -2.0
    >>> energy_distance([0.0, 2.0], [0.0, 2.0], unbiased=False)
    0.0
    """
    A, B = check_pair(A, B, ("A", "B"))
    check_flag("unbiased", unbiased)
    within = sum(mean_pair_distance(Z) * (1 if unbiased else 1 - 1 / len(Z)) for Z in (A, B))
    return 2 * float(mean_distances(A, B).mean()) - within


def sliced_wasserstein(
    A: ArrayLike,
    B: ArrayLike,
    *,
    n_projections: int = 100,
    p: float = 2.0,
    random_state: Seed = None,
) -> float:
    """Compute the sliced Wasserstein distance: that of projections on random directions.

    Parameters
    ----------
    A : array-like of shape (n_a, ...)
        A sample. 1-D is one column; more than two axes are flattened. For a joint distribution
        stack the columns: ``np.hstack([x, y])``. Units should be comparable.
    B : array-like of shape (n_b, ...)
        Another one, of the same columns. It may have another size.
    n_projections : int, default=100
        Number of directions, uniform on the sphere.
    p : float, default=2.0
        Order of the distance, at least 1.
    random_state : int, RandomState instance or None, default=None
        Determines the directions.

    Returns
    -------
    distance : float
        The p-th root of the mean over directions of the p-th power of the Wasserstein distance of
        the projected empirical distributions. It is not corrected for the sizes of the samples:
        two samples of one distribution have a positive distance. With one column and ``p=1`` that
        of :func:`scipy.stats.wasserstein_distance`.

    Raises
    ------
    ValueError
        If columns differ, a sample has fewer than two rows, a value is not finite,
        `n_projections` is not a positive integer, or `p` is below 1 or not finite.

    References
    ----------
    N. Bonneel, J. Rabin, G. Peyré and H. Pfister, "Sliced and Radon Wasserstein barycenters of
    measures", Journal of Mathematical Imaging and Vision 51 (2015), section 3.

    Examples
    --------
    >>> from skmm.metrics import sliced_wasserstein
    >>> sliced_wasserstein([0.0, 1.0], [2.0, 3.0], random_state=0)
    2.0
    """
    if not is_integer(n_projections):
        raise ValueError(f"n_projections={n_projections!r} must be an integer of at least 1.")
    if not isinstance(p, Real) or not 1 <= p < np.inf:
        raise ValueError(f"p={p!r} must be a number of at least 1.")
    A, B = check_pair(A, B, ("A", "B"))
    directions = check_random_state(random_state).standard_normal((n_projections, A.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    i, j, shares = _shared_steps(len(A), len(B))
    with np.errstate(over="ignore", invalid="ignore"):
        powers = [
            shares @ np.abs(np.sort(A @ axis)[i] - np.sort(B @ axis)[j]) ** p for axis in directions
        ]
    if not np.isfinite(powers).all():
        raise ValueError(f"p={p!r} makes powers of these values too large: lower it.")
    return float(np.mean(powers) ** (1 / p))


def _median_gamma(A: Array, B: Array) -> float:
    """Return gamma of the kernel whose width is the median distance."""
    if (share := N_MEDIAN / (len(A) + len(B))) < 1:
        A, B = (
            Z[check_random_state(0).permutation(len(Z))[: max(1, int(share * len(Z)))]]
            for Z in (A, B)
        )
    median = float(np.median(pdist(np.concatenate([A, B]))))
    if median == 0:
        raise ValueError(
            "The median distance is zero, as most rows are the same: pass a number as gamma."
        )
    return 1 / (2 * median**2)


def _kernel_sum(A: Array, B: Array, gamma: float) -> float:
    """Return the sum of the kernel over all pairs, with chunks of rows in memory."""
    batches = row_chunks(len(A), len(B), SMALL)
    return sum(float(np.exp(-gamma * cdist(A[r], B, "sqeuclidean")).sum()) for r in batches)


def _shared_steps(n: int, m: int) -> tuple[Array, Array, Array]:
    """Return the intervals on which two quantile functions are constant.

    Positions of their values in the two sorted samples, and lengths.
    """
    ends = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)  # whole numbers, so no rounding
    starts = ends[:-1]
    return starts // m, starts // n, np.diff(ends) / (n * m)
