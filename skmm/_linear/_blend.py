"""How much of a prediction is the network's, by held-out outputs of it and of the linear model.

A share s makes ``(1 - s) linear + s network``: of expected numbers, or of draws.
Where the score is a convex function of s its derivative in a row, g, and second derivative, h, give
the best share and by how much chance moves it, the sandwich variance ``sum g² / (sum h)²``. By
this variance shares are shrunk towards the linear model, as Stein's estimator of a mean towards
zero: what a few rows happen to like is no reason for a network. All linear is the linear model.

References
----------
W. James and C. Stein, "Estimation with quadratic loss", Berkeley Symposium 4 (1961). P. J. Huber,
"The behavior of maximum likelihood estimates under nonstandard conditions", Berkeley Symposium 5
(1967).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import optimize
from scipy.spatial.distance import cdist, pdist

from skmm._modalities._values import Array

COMMON = 0.5  # weight of all columns together in the share of one


def share_of_numbers(truth: Array, linear: Array, network: Array) -> Array:
    """Return the network's share (q,) of each expected number, of least squared error.

    Parameters
    ----------
    truth, linear, network : ndarray of shape (n, q)
        Held-out rows: standardised targets and both outputs.

    Returns
    -------
    share : ndarray of shape (q,)
        In [0, 1]. A column is judged half by itself, half by all columns together.
    """
    apart = network - linear
    slope = apart * (truth - linear)  # (n, q), at share 0, less its sign
    curvature = apart**2
    common = COMMON / (1.0 - COMMON) / truth.shape[1]
    own = slope.sum(axis=0) + common * slope.sum()
    total = curvature.sum(axis=0) + common * curvature.sum()
    shares = np.divide(own, total, out=np.zeros_like(own), where=total > 0)
    joint = _ratio(slope.sum(), curvature.sum())
    influence = slope.sum(axis=1) - joint * curvature.sum(axis=1)
    return np.clip(shares, 0.0, 1.0) * certainty(joint, influence, curvature.sum())


def share_of_densities(linear: Array, network: Array) -> float:
    """Return the network's share in a mixture of densities, of the largest likelihood.

    Parameters
    ----------
    linear, network : ndarray of shape (n,)
        Log-densities of held-out rows.
    """
    ratio = np.expm1(np.clip(network - linear, -700.0, 700.0))  # of both densities, less 1

    def gain(share: float) -> Array:
        """Return the derivative of the log-likelihood of rows by the share."""
        return ratio / (1.0 + share * ratio)

    low, high = 0.0, 1.0 - 1e-9
    if gain(low).sum() <= 0:
        return 0.0
    if gain(high).sum() >= 0:
        return 1.0
    return float(optimize.brentq(lambda share: gain(share).sum(), low, high))


class Distances(NamedTuple):
    """Mean distances of rows: of draws to the truth, within both kinds, and between them.

    The first two are (2, n), of linear draws and of the network's; the last is (n,).
    """

    to_truth: Array
    within: Array
    between: Array


def share_of_distances(distances: Distances) -> float:
    """Return the share of the network's draws in a mixture with linear ones, of least energy score.

    The score of the mixture is a parabola in the share: with the mean distances A of draws to the
    truth, and B between draws, its minimum is at

        (A_linear - A_network + B_both - B_linear) / (2 B_both - B_linear - B_network).
    """
    A, B, both = distances
    slope = A[0] - A[1] + both - B[0]
    curvature = 2.0 * both - B[0] - B[1]
    share = _ratio(slope.sum(), curvature.sum())
    return min(share, 1.0) * certainty(share, slope - share * curvature, curvature.sum())


def mixture_scores(distances: Distances, share: float) -> Array:
    """Return the energy score (n,) of each row of a mixture with that share of the network."""
    A, B, both = distances
    weights = np.array([1.0 - share, share])
    return weights @ A - 0.5 * (weights**2 @ B) - weights.prod() * both


def energy_distances(truth: Array, linear: Array, network: Array) -> Distances:
    """Return the mean distances of rows.

    Parameters
    ----------
    truth : ndarray of shape (n, q)
        Held-out targets, in the units in which distances are taken.
    linear, network : ndarray of shape (n_draws, n, q)
        At least two draws of both for each row.
    """
    n = len(truth)
    to_truth, within, between = np.empty((2, n)), np.empty((2, n)), np.empty(n)
    for i, target in enumerate(truth):
        pair = linear[:, i], network[:, i]
        to_truth[:, i] = [cdist(draws, target[None]).mean() for draws in pair]
        within[:, i] = [pdist(draws).mean() for draws in pair]
        between[i] = cdist(*pair).mean()
    return Distances(to_truth, within, between)


def certainty(share: float, influence: Array, curvature: float) -> float:
    """Return the factor in [0, 1] by which a share is shrunk: 1 less its relative variance.

    Parameters
    ----------
    share : float
        The best share.
    influence : ndarray of shape (n,)
        Derivative of the score of each row, at that share.
    curvature : float
        Second derivative of the score of all rows.
    """
    if share <= 0 or curvature <= 0 or len(influence) < 2:
        return 0.0
    freedom = len(influence) / (len(influence) - 1.0)
    # About the mean, which is not 0 where the share is at an end of its range.
    squares = float(((influence - influence.mean()) ** 2).sum())
    variance = freedom * squares / curvature**2
    return max(0.0, 1.0 - variance / share**2)


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 0 else 0.0
