"""Canonical correlations: in a sample, and held out along the training axes."""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from skmm._linalg import CONSTANT, canonical_axes, covariance, pearson
from skmm._modalities._columns import ColumnStatistics
from skmm.metrics._check import (
    Scores,
    check_same_names,
    check_size,
    named_scores,
    paired_codes,
    present_rows,
)

Array = np.ndarray
EPS = float(np.finfo(np.float64).eps)


def canonical_correlations(a: ArrayLike, b: ArrayLike) -> Array:
    """Compute the canonical correlations of two matrices in the sample itself.

    Parameters
    ----------
    a : array-like of shape (n_samples, p)
        Codes or data of one modality. Rows that are NaN in `a` or `b` are left out.
    b : array-like of shape (n_samples, q)
        Those of the other, row by row of the same samples.

    Returns
    -------
    correlations : ndarray of shape (r,)
        In descending order; r is the smaller of the two ranks.

    Raises
    ------
    ValueError
        If the numbers of rows differ or fewer than two rows are in both.

    See Also
    --------
    total_correlation : The same agreement, held out.

    Notes
    -----
    They are the singular values of ``Qa.T @ Qb``, with orthonormal bases of the centred columns
    (Björck and Golub, 1973). Linearly dependent and constant columns do not count. Ranks that add
    up to more than ``n_samples - 1`` make some correlations exactly 1, whatever the data.

    References
    ----------
    Å. Björck and G. H. Golub, "Numerical methods for computing angles between linear subspaces",
    Mathematics of Computation 27 (1973).

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.metrics import canonical_correlations
    >>> a = np.array([[1.0, 0.0], [2.0, 1.0], [3.0, 0.0], [4.0, 1.0], [5.0, 0.0]])
    >>> canonical_correlations(a, 3 - 2 * a)
    array([1., 1.])
    """
    a, b = paired_codes(a, b)
    check_size({"a": a, "b": b})
    noises = [max(max(c.shape) * EPS, 10 * np.sqrt(c.shape[1]) * _rounding(c)) for c in (a, b)]
    blocks = [_unit_columns(a), _unit_columns(b)]
    if not all(block.size for block in blocks):
        return np.zeros(0)
    widths = [block.shape[1] for block in blocks]
    if len(a) > sum(widths):  # the triangle has the same angles in fewer rows
        triangle = linalg.qr(np.hstack(blocks), mode="r", check_finite=False)[0][: sum(widths)]
        blocks = np.split(triangle, widths[:1], axis=1)
    U, V = (_orthonormal_basis(*each) for each in zip(blocks, noises, strict=True))
    return np.clip(linalg.svdvals(U.T @ V), 0.0, 1.0)


def total_correlation(train_scores: Scores, test_scores: Scores) -> float:
    """Compute the total held-out correlation: the sum over components, the mean over pairs.

    For each pair of modalities the codes are expressed in the canonical axes fitted on the
    training codes; Pearson's correlations of the held-out columns are summed. Nothing is fitted
    on held-out codes, so that independent codes score about 0.

    Parameters
    ----------
    train_scores : dict of str to array-like (n_train, k), or sequence of them
        Codes of two or more modalities on the training rows. A row that is NaN in a modality is
        missing there; each pair of modalities uses the rows that have both.
    test_scores : dict of str to array-like (n_test, k), or sequence of them
        Codes of the same modalities on held-out rows.

    Returns
    -------
    total : float
        At most the number of axes, which is the smaller rank of the two training codes. A column
        that is constant on the held-out rows counts 0.

    Raises
    ------
    ValueError
        If there are fewer than two modalities, or names, widths or numbers of rows do not fit.

    See Also
    --------
    mean_correlation : The same per axis, to compare different numbers of components.

    Notes
    -----
    The axes make the score blind to how a method turns or scales its components: any invertible
    linear map of the codes leaves it as it is, and duplicated or linearly dependent components
    add nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.metrics import total_correlation
    >>> rng = np.random.default_rng(0)
    >>> z = rng.standard_normal((400, 3))
    >>> codes = {"image": z, "text": z + rng.standard_normal(z.shape)}
    >>> train = {name: code[:200] for name, code in codes.items()}
    >>> test = {name: code[200:] for name, code in codes.items()}
    >>> round(total_correlation(train, test), 1)
    2.0
    """
    return float(np.mean([np.sum(pair) for pair in _held_out(train_scores, test_scores)]))


def mean_correlation(train_scores: Scores, test_scores: Scores) -> float:
    """Compute the mean held-out correlation: the total divided by the number of axes.

    Parameters
    ----------
    train_scores : dict of str to array-like (n_train, k), or sequence of them
        Codes of two or more modalities on the training rows, as in :func:`total_correlation`.
    test_scores : dict of str to array-like (n_test, k), or sequence of them
        Codes of the same modalities on held-out rows.

    Returns
    -------
    mean : float
        At most 1. Over more than two modalities, numerator and denominator are each averaged
        over the pairs, so that every axis of every pair has the same weight. 0 if no pair has an
        axis.

    Raises
    ------
    ValueError
        As :func:`total_correlation`.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.metrics import mean_correlation
    >>> z = np.random.default_rng(0).standard_normal((20, 3))
    >>> round(mean_correlation([z, 2 * z], [z, 5 - z]), 6)
    -1.0
    """
    pairs = list(_held_out(train_scores, test_scores))
    n_axes = sum(map(len, pairs))
    return float(sum(np.sum(pair) for pair in pairs) / n_axes) if n_axes else 0.0


def _held_out(train_scores: Scores, test_scores: Scores) -> Iterator[Array]:
    """Yield for each pair of modalities the held-out correlation along each axis."""
    train = named_scores(train_scores, "train_scores")
    test = named_scores(test_scores, "test_scores")
    check_size({f"train_scores[{name!r}]": codes for name, codes in train.items()})
    check_size({f"test_scores[{name!r}]": codes for name, codes in test.items()})
    check_same_names(train, test, "train_scores and test_scores")
    for name in train:
        if train[name].shape[1] != test[name].shape[1]:
            raise ValueError(
                f"Modality {name!r} has {train[name].shape[1]} columns in train_scores but "
                f"{test[name].shape[1]} in test_scores."
            )
    for a, b in combinations(train, 2):
        paired_codes(test[a], test[b], (f"modality {a!r}", f"modality {b!r}"))
    for _, a_along, b_along in along_training_axes(train, test):
        yield pearson(a_along, b_along, constant=CONSTANT)


def along_training_axes(
    train: Mapping[str, Array], test: Mapping[str, Array]
) -> Iterator[tuple[Array, Array, Array]]:
    """Yield for each pair of modalities which test rows have both, and their codes along the axes.

    Codes are those of `total_correlation`; their columns are centred.
    """
    for a, b in combinations(train, 2):
        names = (f"modality {a!r}", f"modality {b!r}")
        A, B = _training_axes(*paired_codes(train[a], train[b], names))
        both = present_rows(test[a]) & present_rows(test[b])
        if A.size and both.any():
            yield both, _project(test[a][both], A), _project(test[b][both], B)
        else:
            yield both, *np.zeros((2, np.count_nonzero(both), A.shape[1]))


def _training_axes(a: Array, b: Array) -> tuple[Array, Array]:
    rtol = 10 * max(a.shape[1], b.shape[1]) * max(EPS, _rounding(a) ** 2, _rounding(b) ** 2)
    A, B, _ = canonical_axes(covariance(a), covariance(b), covariance(a, b), rtol=rtol)
    return A, B


def _rounding(a: Array) -> float:
    """Return how far rounding to the dtype of the codes may move them, in standard deviations.

    Columns that depend on others up to this noise are no components of their own.
    """
    centred, size = _centred(a)
    varying = size > 0
    relative = (centred[:, varying] / size[varying]).std(axis=0)  # squares cannot overflow
    return float(np.max(1.0 / relative, initial=1.0)) * float(np.finfo(a.dtype).eps)


def _centred(a: Array) -> tuple[Array, Array]:
    """Return centred float64 columns and their sizes before; constant columns become zero."""
    size = np.abs(a).max(axis=0).astype(np.float64)
    shifted = a.astype(np.float64) - a[0]  # exactly zero in constant columns
    centred = shifted - shifted.mean(axis=0)
    constant = ~ColumnStatistics.of(a).varies
    centred[:, constant] = 0.0
    return centred, np.where(constant, 0.0, size)


def _project(a: Array, axes: Array) -> Array:
    """Return the projections; those that vary by no more than rounding become zero."""
    centred, _ = _centred(a)
    projected = centred @ axes
    largest = np.abs(centred).max(axis=0) @ np.abs(axes)
    projected[:, np.abs(projected).max(axis=0) <= 8 * len(axes) * EPS * largest] = 0.0
    return projected


def _unit_columns(a: Array) -> Array:
    """Return the centred columns, scaled to unit length, without the constant ones."""
    centred, _ = _centred(a)
    peak = np.abs(centred).max(axis=0)
    centred = centred[:, peak > 0] / peak[peak > 0]  # scaled first: squares cannot overflow
    return centred / np.sqrt(np.sum(centred**2, axis=0))


def _orthonormal_basis(unit: Array, noise: float) -> Array:
    """Return an orthonormal basis of unit columns; singular values below the noise are none."""
    U, values, _ = linalg.svd(unit, full_matrices=False, check_finite=False)
    return U[:, values > noise * values[0]]
