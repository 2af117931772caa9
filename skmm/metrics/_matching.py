"""How close matches lie, and whether labels carry over from one modality to the other."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.neighbors import KNeighborsClassifier

from skmm._parameters import is_integer
from skmm.metrics._check import (
    check_codes,
    check_labels,
    check_same_width,
    paired_codes,
    present_rows,
)
from skmm.metrics._similarity import rivals


def foscttm(a: ArrayLike, b: ArrayLike, *, similarity: str = "euclidean") -> float:
    """Compute the fraction of samples closer than the true match; 0 is best, 0.5 is chance.

    For each row the share, among the other samples, of those whose code in the other modality is
    closer than that of the match; averaged over all rows and both directions.

    Parameters
    ----------
    a : array-like of shape (n_samples, n_components)
        Codes of one modality; row i matches row i of `b`. Rows that are NaN in `a` or `b` are
        left out.
    b : array-like of shape (n_samples, n_components)
        Codes of the other.
    similarity : {"euclidean", "cosine", "correlation"}, default="euclidean"
        What close means, as in :func:`recall_at_k`.

    Returns
    -------
    fraction : float
        In [0, 1]. Lower is better.

    Raises
    ------
    ValueError
        If numbers of rows or columns differ, fewer than two rows are in both, or `similarity` is
        unknown.

    Notes
    -----
    A sample as close as the match counts one half, so that codes that are all alike score 0.5.
    The match itself is not among the samples: the denominator is ``n_samples - 1``.

    References
    ----------
    J. Liu, Y. Huang, R. Singh, J.-P. Vert and W. S. Noble, "Jointly embedding multiple
    single-cell omics measurements", WABI (2019).

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.metrics import foscttm
    >>> a = np.array([[0.0], [1.0], [2.0]])
    >>> foscttm(a, a + 0.1)
    0.0
    >>> foscttm(a, np.zeros((3, 1)))
    0.5
    """
    a, b = paired_codes(a, b, same_width=True)
    counts = [rivals(*pair, similarity) for pair in ((a, b), (b, a))]
    return float(np.mean([closer + tied / 2 for closer, tied in counts]) / (len(a) - 1))


def label_transfer_accuracy(
    train_codes: ArrayLike,
    train_labels: ArrayLike,
    test_codes: ArrayLike,
    test_labels: ArrayLike,
    *,
    n_neighbors: int = 5,
) -> float:
    """Compute the accuracy of labels carried from one modality's codes to the other's.

    A nearest-neighbour classifier (Euclidean, majority vote) is fitted on the codes of one
    modality and judged on those of the other.

    Parameters
    ----------
    train_codes : array-like of shape (n_train, n_components)
        Codes of the modality whose labels are known. Missing (NaN) rows are left out.
    train_labels : array-like of shape (n_train,)
        Their classes.
    test_codes : array-like of shape (n_test, n_components)
        Codes of the other modality, of the same samples or of others. Missing (NaN) rows are
        left out.
    test_labels : array-like of shape (n_test,)
        Their true classes.
    n_neighbors : int, default=5
        Number of neighbours that vote.

    Returns
    -------
    accuracy : float
        In [0, 1]; compare with the share of the most frequent class.

    Raises
    ------
    ValueError
        If sizes do not fit or there are fewer training rows than neighbours.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.metrics import label_transfer_accuracy
    >>> image, text = np.array([[0.0], [0.2], [5.0]]), np.array([[0.1], [4.0]])
    >>> label_transfer_accuracy(image, ["cat", "cat", "dog"], text, ["cat", "dog"], n_neighbors=1)
    1.0
    """
    train, test = check_codes(train_codes, "train_codes"), check_codes(test_codes, "test_codes")
    check_same_width(train, test, ("train_codes", "test_codes"))
    train_labels = check_labels(train_labels, train, "train_labels")
    test_labels = check_labels(test_labels, test, "test_labels")
    known, asked = present_rows(train), present_rows(test)
    if not is_integer(n_neighbors) or n_neighbors > known.sum():
        raise ValueError(
            f"n_neighbors={n_neighbors!r} must be an integer between 1 and the number of "
            f"training rows that are not missing, {int(known.sum())}."
        )
    if not asked.any():
        raise ValueError("Every row of test_codes is missing (NaN).")
    classifier = KNeighborsClassifier(n_neighbors=int(n_neighbors))
    classifier.fit(train[known], train_labels[known])
    return float(np.mean(classifier.predict(test[asked]) == test_labels[asked]))
