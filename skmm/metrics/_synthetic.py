"""Whether generated samples can stand for real ones: density, coverage, training on them."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist
from sklearn.base import clone

from skmm._modalities._chunks import SMALL, row_chunks
from skmm._parameters import is_integer
from skmm.metrics._draws import check_pair

Array = np.ndarray


def density_coverage(
    real: ArrayLike, generated: ArrayLike, *, n_neighbors: int = 5
) -> tuple[float, float]:
    """Compute the density and the coverage of generated samples among real ones.

    Around each real row lies a ball that reaches to its n-th nearest real neighbour. Density says
    whether generated rows lie where real ones are dense, coverage whether they lie everywhere.

    Parameters
    ----------
    real : array-like of shape (n_real, ...)
        Real samples. 1-D is one column; more than two axes are flattened. Units should be
        comparable.
    generated : array-like of shape (n_generated, ...)
        Generated ones, of the same columns. The figures compare with the chance level only for as
        many as there are real ones.
    n_neighbors : int, default=5
        Which neighbour gives the radius, below n_real.

    Returns
    -------
    density : float
        Mean number of balls in which a generated row lies, over `n_neighbors`. 1 in expectation
        if both distributions are the same; it can be more.
    coverage : float
        Share of balls in which a generated row lies, in [0, 1]. With as many generated rows as
        real ones about ``1 - 0.5 ** n_neighbors`` if both distributions are the same.

    Raises
    ------
    ValueError
        If columns differ, a sample has fewer than two rows, a value is not finite, or
        `n_neighbors` is not between 1 and n_real - 1.

    Notes
    -----
    Time is quadratic in the numbers of rows, memory is not. The surface belongs to a ball, so that
    copies of real rows are covered even where these are repeated.

    References
    ----------
    M. F. Naeem, S. J. Oh, Y. Uh, Y. Choi and J. Yoo, "Reliable fidelity and diversity metrics for
    generative models", ICML (2020), section 3.

    Examples
    --------
    >>> from skmm.metrics import density_coverage
    >>> density_coverage([0.0, 1.0, 5.0, 6.0], [0.5, 0.4, 0.6, 0.7], n_neighbors=1)
    (2.0, 0.5)
    """
    X, Y = check_pair(real, generated, ("real", "generated"))
    if not is_integer(n_neighbors) or n_neighbors >= len(X):
        raise ValueError(
            f"n_neighbors={n_neighbors!r} must be an integer between 1 and {len(X) - 1}, one less "
            "than the number of real rows."
        )
    inside, covered, k = 0, 0, int(n_neighbors)
    for rows in row_chunks(len(X), max(len(X), len(Y)), SMALL):
        # Position 0 is the row itself, or a copy of it.
        radii = np.partition(cdist(X[rows], X), k, axis=1)[:, k]
        within = cdist(X[rows], Y) <= radii[:, None]
        inside += int(within.sum())
        covered += int(within.any(axis=1).sum())
    return inside / (k * len(Y)), covered / len(X)


def synthetic_training_accuracy(
    estimator: Any,
    X_synthetic: ArrayLike,
    y_synthetic: ArrayLike,
    X_real: ArrayLike,
    y_real: ArrayLike,
) -> float:
    """Compute how well a predictor that is trained on synthetic data does on real data.

    Compare it with the same predictor trained on real data (not the rows of `X_real`).

    Parameters
    ----------
    estimator : estimator
        A classifier, or any other with `fit` and `score`. A clone is fitted.
    X_synthetic : array-like of shape (n_synthetic, n_features)
        Synthetic features, in the form that the estimator takes.
    y_synthetic : array-like of shape (n_synthetic,)
        Their targets. Of conditions and draws of features, or features and drawn targets.
    X_real : array-like of shape (n_real, n_features)
        Real features, which the sampler has not seen.
    y_real : array-like of shape (n_real,)
        Their targets.

    Returns
    -------
    accuracy : float
        What the `score` of the estimator gives on the real data: the accuracy of a classifier, R²
        of a regressor.

    Raises
    ------
    TypeError
        If the estimator has no `fit` or no `score`.
    ValueError
        If the estimator refuses the data.

    References
    ----------
    C. Esteban, S. Hyland and G. Rätsch, "Real-valued (medical) time series generation with
    recurrent conditional GANs", arXiv:1706.02633 (2017), section 4.2.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skmm.metrics import synthetic_training_accuracy
    >>> synthetic_training_accuracy(
    ...     KNeighborsClassifier(1), [[0.0], [1.0]], ["a", "b"], [[0.1], [0.7], [0.2]], list("aba")
    ... )
    1.0
    """
    if lacking := [name for name in ("fit", "score") if not hasattr(estimator, name)]:
        raise TypeError(
            f"{type(estimator).__name__} has no {' and no '.join(lacking)}: pass a classifier or a "
            "regressor."
        )
    return float(clone(estimator).fit(X_synthetic, y_synthetic).score(X_real, y_real))
