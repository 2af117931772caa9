"""Retrieval of a sample's match in the other modality."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import digamma

from skmm._parameters import is_integer
from skmm.metrics._check import check_choice, paired_codes
from skmm.metrics._similarity import rivals

Array = np.ndarray
DIRECTIONS = ("a_to_b", "b_to_a")


def recall_at_k(
    a: ArrayLike, b: ArrayLike, *, k: int = 1, direction: str = "mean", similarity: str = "cosine"
) -> float:
    """Compute the share of queries whose match is among the k closest candidates.

    Row i of `a` and row i of `b` are a match. The candidates of a query are all rows of the other
    matrix: the pool has as many as there are rows, and recall falls as it grows.

    Parameters
    ----------
    a : array-like of shape (n_samples, n_components)
        Codes of one modality. Rows that are NaN in `a` or `b` are left out.
    b : array-like of shape (n_samples, n_components)
        Codes of the other.
    k : int, default=1
        How many candidates are looked at.
    direction : {"mean", "a_to_b", "b_to_a"}, default="mean"
        "a_to_b" takes the rows of `a` as queries and those of `b` as candidates, "b_to_a" the
        other way round, "mean" averages both.
    similarity : {"cosine", "correlation", "euclidean"}, default="cosine"
        Cosine of two codes, Pearson's correlation of two codes over the components, or their
        Euclidean distance. A code without direction (zero, or constant for "correlation") is
        equally far from all.

    Returns
    -------
    recall : float
        In [0, 1]; the chance level is ``k / n_samples``.

    Raises
    ------
    ValueError
        If numbers of rows or columns differ, fewer than two rows are in both, or an option is
        unknown.

    See Also
    --------
    retrieval_report : All retrieval figures and the size of the pool.

    Notes
    -----
    Ties count by expectation: a match tied with t - 1 others behind g closer candidates is found
    with probability ``clip((k - g) / t, 0, 1)``, as if ties were ordered at random. Codes that are
    all alike score at chance. Similarities that differ by rounding only are ties. Memory is
    bounded: queries go in chunks.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.metrics import recall_at_k
    >>> a = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    >>> recall_at_k(a, a)
    1.0
    >>> recall_at_k(a, np.ones((4, 2)))
    0.25
    """
    if not is_integer(k):
        raise ValueError(f"k={k!r} must be an integer of at least 1.")
    return _retrieve(a, b, direction, similarity, lambda g, t: _recall(g, t, int(k)))


def mean_reciprocal_rank(
    a: ArrayLike, b: ArrayLike, *, direction: str = "mean", similarity: str = "cosine"
) -> float:
    """Compute the mean of one over the rank of each query's match.

    Parameters
    ----------
    a : array-like of shape (n_samples, n_components)
        Codes of one modality; row i matches row i of `b`. Rows that are NaN in `a` or `b` are
        left out.
    b : array-like of shape (n_samples, n_components)
        Codes of the other. The pool of candidates has n_samples rows.
    direction : {"mean", "a_to_b", "b_to_a"}, default="mean"
        "a_to_b" takes the rows of `a` as queries and those of `b` as candidates, "b_to_a" the
        other way round, "mean" averages both.
    similarity : {"cosine", "correlation", "euclidean"}, default="cosine"
        As in :func:`recall_at_k`.

    Returns
    -------
    reciprocal_rank : float
        In (0, 1]; the chance level is ``(1 + 1/2 + ... + 1/n_samples) / n_samples``.

    Raises
    ------
    ValueError
        As :func:`recall_at_k`.

    Notes
    -----
    A tied match counts the mean of 1/rank over the ranks that the tied candidates take, as if
    ties were ordered at random.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.metrics import mean_reciprocal_rank
    >>> a = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> mean_reciprocal_rank(a, a)
    1.0
    >>> mean_reciprocal_rank(a, a[::-1])
    0.5
    """
    return _retrieve(a, b, direction, similarity, _reciprocal)


def median_rank(
    a: ArrayLike, b: ArrayLike, *, direction: str = "mean", similarity: str = "cosine"
) -> float:
    """Compute the median rank of each query's match; 1 is best.

    Parameters
    ----------
    a : array-like of shape (n_samples, n_components)
        Codes of one modality; row i matches row i of `b`. Rows that are NaN in `a` or `b` are
        left out.
    b : array-like of shape (n_samples, n_components)
        Codes of the other. The pool of candidates has n_samples rows.
    direction : {"mean", "a_to_b", "b_to_a"}, default="mean"
        "a_to_b" takes the rows of `a` as queries and those of `b` as candidates, "b_to_a" the
        other way round, "mean" averages the two medians.
    similarity : {"cosine", "correlation", "euclidean"}, default="cosine"
        As in :func:`recall_at_k`.

    Returns
    -------
    rank : float
        In [1, n_samples]; the chance level is ``(n_samples + 1) / 2``. Lower is better.

    Raises
    ------
    ValueError
        As :func:`recall_at_k`.

    Notes
    -----
    Tied candidates share the mean of the ranks that they take.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.metrics import median_rank
    >>> a = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    >>> median_rank(a, a)
    1.0
    >>> median_rank(np.ones((3, 2)), np.ones((3, 2)))
    2.0
    """
    return _retrieve(a, b, direction, similarity, _mid_rank, np.median)


def retrieval_report(
    a: ArrayLike, b: ArrayLike, *, k: Sequence[int] = (1, 5, 10), similarity: str = "cosine"
) -> pd.DataFrame:
    """Compute all retrieval figures in both directions, with the size of the pool.

    Parameters
    ----------
    a : array-like of shape (n_samples, n_components)
        Codes of one modality; row i matches row i of `b`. Rows that are NaN in `a` or `b` are
        left out.
    b : array-like of shape (n_samples, n_components)
        Codes of the other.
    k : sequence of int, default=(1, 5, 10)
        Numbers of candidates for :func:`recall_at_k`.
    similarity : {"cosine", "correlation", "euclidean"}, default="cosine"
        As in :func:`recall_at_k`.

    Returns
    -------
    report : DataFrame
        Rows ``"a_to_b"`` (`a` queries `b`), ``"b_to_a"`` and ``"mean"``; columns ``"pool_size"``
        (number of candidates), ``"recall_at_1"`` etc., ``"mean_reciprocal_rank"``,
        ``"median_rank"``.

    Raises
    ------
    ValueError
        As :func:`recall_at_k`.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.metrics import retrieval_report
    >>> a = np.eye(4)
    >>> report = retrieval_report(a, a, k=(1, 2))
    >>> report.loc["mean"]
    pool_size               4.0
    recall_at_1             1.0
    recall_at_2             1.0
    mean_reciprocal_rank    1.0
    median_rank             1.0
    Name: mean, dtype: float64
    """
    if not isinstance(k, Iterable):
        raise TypeError(f"k must be a sequence of integers, got {k!r}.")
    if bad := [number for number in k if not is_integer(number)]:
        raise ValueError(f"k={k!r} must hold integers of at least 1, got {bad!r}.")
    a, b = paired_codes(a, b, same_width=True)
    rows = {}
    for direction, (queries, gallery) in zip(DIRECTIONS, ((a, b), (b, a)), strict=True):
        closer, tied = rivals(queries, gallery, similarity)
        rows[direction] = {
            "pool_size": len(gallery),
            **{f"recall_at_{n}": _recall(closer, tied, n).mean() for n in k},
            "mean_reciprocal_rank": _reciprocal(closer, tied).mean(),
            "median_rank": np.median(_mid_rank(closer, tied)),
        }
    report = pd.DataFrame.from_dict(rows, orient="index")
    report.loc["mean"] = report.mean()
    return report.astype({"pool_size": int})


def _retrieve(
    a: ArrayLike,
    b: ArrayLike,
    direction: str,
    similarity: str,
    gain: Callable[[Array, Array], Array],
    average: Callable[[Array], float] = np.mean,
) -> float:
    """Average `gain(closer, tied)` over the queries."""
    check_choice("direction", direction, ("mean", *DIRECTIONS))
    a, b = paired_codes(a, b, same_width=True)
    pairs = {"a_to_b": (a, b), "b_to_a": (b, a)}
    chosen = DIRECTIONS if direction == "mean" else (direction,)
    return float(np.mean([average(gain(*rivals(*pairs[d], similarity))) for d in chosen]))


def _recall(closer: Array, tied: Array, k: int) -> Array:
    return np.clip((k - closer) / (tied + 1), 0.0, 1.0)


def _reciprocal(closer: Array, tied: Array) -> Array:
    # Sum of 1/rank over the ranks closer + 1, ..., closer + tied + 1, by harmonic numbers.
    total = digamma(closer + tied + 2.0) - digamma(closer + 1.0)
    return np.where(tied == 0, 1.0 / (closer + 1), total / (tied + 1))


def _mid_rank(closer: Array, tied: Array) -> Array:
    return 1 + closer + tied / 2
