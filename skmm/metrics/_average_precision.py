"""Retrieval by label: mean average precision."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma

from skmm._parameters import is_integer
from skmm.metrics._check import check_codes, check_labels, check_same_width, present_rows
from skmm.metrics._similarity import Closeness

Array = np.ndarray


def mean_average_precision(
    query_codes: ArrayLike,
    gallery_codes: ArrayLike,
    query_labels: ArrayLike,
    gallery_labels: ArrayLike,
    *,
    similarity: str = "cosine",
    top_k: int | None = None,
) -> float:
    """Compute the mean average precision of retrieving candidates with the query's label.

    Each query of one modality ranks the whole gallery of the other; a candidate is relevant if
    its label is the query's. This is the protocol of Rasiwasia et al. (2010).

    Parameters
    ----------
    query_codes : array-like of shape (n_queries, n_components)
        Codes of the modality that asks. Missing (NaN) rows are left out.
    gallery_codes : array-like of shape (n_candidates, n_components)
        Codes of the modality that is searched. Missing (NaN) rows are left out.
    query_labels : array-like of shape (n_queries,)
        Class of each query.
    gallery_labels : array-like of shape (n_candidates,)
        Class of each candidate.
    similarity : {"cosine", "correlation", "euclidean"}, default="cosine"
        As in :func:`recall_at_k`.
    top_k : int, default=None
        Only the first `top_k` ranks count, and the sum of precisions is divided by `top_k` if
        fewer than the relevant candidates. None takes the full ranking.

    Returns
    -------
    score : float
        In [0, 1]. Queries whose label the gallery lacks are left out.

    Raises
    ------
    ValueError
        If sizes do not fit, an option is unknown, or no query's label is in the gallery.

    Notes
    -----
    Average precision is the mean, over the relevant candidates, of the precision at their ranks.
    Ties count by expectation, as if tied candidates were ordered at random (McSherry and Najork,
    2008); codes that are all alike score at chance.

    References
    ----------
    N. Rasiwasia, J. Costa Pereira, E. Coviello, G. Doyle, G. Lanckriet, R. Levy and
    N. Vasconcelos, "A new approach to cross-modal multimedia retrieval", ACM Multimedia (2010).

    F. McSherry and M. Najork, "Computing information retrieval performance measures efficiently
    in the presence of tied scores", ECIR (2008).

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.metrics import mean_average_precision
    >>> text = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> image = np.array([[0.9, 0.1], [0.8, 0.3], [0.2, 0.7]])
    >>> score = mean_average_precision(text, image, ["art", "sport"], ["art", "sport", "art"])
    >>> round(score, 3)  # (5/6 + 1/2) / 2
    0.667
    """
    queries, query_labels = _labelled(query_codes, query_labels, "query")
    gallery, gallery_labels = _labelled(gallery_codes, gallery_labels, "gallery")
    check_same_width(queries, gallery, ("query_codes", "gallery_codes"))
    if top_k is not None and not is_integer(top_k):
        raise ValueError(f"top_k={top_k!r} must be None or an integer of at least 1.")
    wanted = np.isin(query_labels, gallery_labels)
    if not wanted.any():
        raise ValueError("No query has a label that occurs in gallery_labels: nothing to rank.")
    queries, query_labels = queries[wanted], query_labels[wanted]
    depth = len(gallery) if top_k is None else int(top_k)
    scores = np.empty(len(queries))
    for rows, closeness, bounds in Closeness.of(queries, gallery, similarity).chunks():
        relevant = query_labels[rows, None] == gallery_labels
        scores[rows] = _average_precision(closeness, bounds, relevant, depth)
    return float(scores.mean())


def _labelled(codes: ArrayLike, labels: ArrayLike, role: str) -> tuple[Array, Array]:
    """Return the codes that are there, with their labels."""
    codes = check_codes(codes, f"{role}_codes")
    labels = check_labels(labels, codes, f"{role}_labels")
    there = present_rows(codes)
    if not there.any():
        raise ValueError(f"Every row of {role}_codes is missing (NaN).")
    return codes[there], labels[there]


def _average_precision(closeness: Array, bounds: Array, relevant: Array, depth: int) -> Array:
    """Return the expected average precision of each row over random orders of its ties."""
    n_candidates, n_relevant = relevant.shape[1], relevant.sum(axis=1)
    order = np.argsort(-closeness, axis=1)  # ties go in groups: their order does not matter
    closeness, bounds, relevant = (
        np.take_along_axis(values, order, axis=1) for values in (closeness, bounds, relevant)
    )
    first = np.ones(relevant.shape, dtype=bool)  # of its group of ties
    first[:, 1:] = closeness[:, :-1] - closeness[:, 1:] > bounds[:, :-1] + bounds[:, 1:]
    starts = np.flatnonzero(first)
    size = np.diff(starts, append=relevant.size)
    found = np.add.reduceat(relevant.ravel(), starts, dtype=int)
    row, above = starts // n_candidates, starts % n_candidates
    found_above = np.cumsum(found) - found - (np.cumsum(n_relevant) - n_relevant)[row]
    used = found > 0
    gains = _group_gain(found[used], size[used], found_above[used], above[used], depth)
    total = np.bincount(row[used], weights=gains, minlength=len(relevant))
    return total / np.minimum(n_relevant, depth)


def _group_gain(found: Array, size: Array, found_above: Array, above: Array, depth: int) -> Array:
    """Return the expected sum of precisions at the relevant ones of groups of ties.

    Rank N + j of a group is relevant with probability r/n, and then has R + 1 + (j - 1) c relevant
    ones up to it, where c = (r - 1)/(n - 1). The sum over j of that over N + j is closed.
    """
    c = (found - 1) / np.maximum(size - 1, 1)
    n_counted = np.clip(depth - above, 0, size)
    harmonic = digamma(above + n_counted + 1.0) - digamma(above + 1.0)
    return found / size * (c * n_counted + (found_above + 1 - c * (above + 1)) * harmonic)
