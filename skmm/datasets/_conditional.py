"""Simulated conditions and targets whose conditional distribution is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp, softmax
from sklearn.utils import Bunch

from skmm._parameters import is_integer
from skmm._random import check_random_state
from skmm.datasets._base import check_option, package

Array: TypeAlias = NDArray[np.float64]
Parts: TypeAlias = tuple[Array, Array, Array]  # weights (n, K), means (n, K, d), factors (.., d, d)


def make_conditional(
    task: str = "circle",
    n_samples: int = 1000,
    *,
    n_irrelevant: int = 2,
    random_state: int | RandomState | None = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | tuple[Array, Array] | tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate pairs (x, y) with a known conditional distribution of y given x.

    In every task y given x is a mixture of Gaussians whose weights, means and covariances are
    known functions of the first columns of x. The exact conditional can be sampled and its
    moments, density and energy score [2]_ are available, so that a generative model can be
    compared with the best there is. The distribution depends on the task only: data of different
    seeds are samples of one population.

    Parameters
    ----------
    task : {"circle", "branches", "heteroscedastic", "correlated"}, default="circle"
        What is hard about the conditional distribution.

        - ``"circle"``: eight Gaussians on a circle, after [1]_. x₀ is an angle, uniform on
          (−π, π): centres near it are likely, those opposite less so; y has two columns.
        - ``"branches"``: one cloud that splits into three as x₀ grows; x₁ moves their weights;
          y has two columns.
        - ``"heteroscedastic"``: mean sin(π x₀) + x₁² and a standard deviation that grows with x₀
          by a factor of about 50; y has one column.
        - ``"correlated"``: ten columns of variance 1 whose correlations, up to 0.95, depend on
          x₀, and whose means depend on x₁.

        Except for the angle, relevant columns are uniform on (−1, 1).
    n_samples : int, default=1000
        Number of samples n.
    n_irrelevant : int, default=2
        Number of standard normal columns of x, after the relevant ones, on which y does not
        depend.
    random_state : int, RandomState instance or None, default=None
        Determines everything that is drawn.
    return_X_y : bool, default=False
        Whether to return ``(X, y)`` instead of a Bunch.
    as_frame : bool, default=False
        Whether ``data`` is a DataFrame with two column levels, and ``X``, ``y`` and ``target`` are
        DataFrames.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : Modalities or DataFrame
            The modalities "X", of shape (n, p), and "y", of shape (n, d).
        target : ndarray or DataFrame of shape (n, d)
            y.
        feature_names : dict of list of str
            Feature names per modality.
        sample_conditional : callable
            ``sample_conditional(X, n_samples=1, random_state=None)`` draws from the exact
            distribution of y given each row of an X of shape (n, p): shape (n_samples, n, d).
        conditional_mean : callable
            ``conditional_mean(X)``: E[y | x], of shape (n, d).
        conditional_covariance : callable
            ``conditional_covariance(X)``: Cov[y | x], of shape (n, d, d).
        log_density : callable
            ``log_density(X, y)``: log p(y | x), of shape (n,).
        energy_score : callable
            ``energy_score(X, scale=1.0)``: the expected energy score ½ E‖y − y'‖ of the exact
            distribution at each row, of shape (n,): no forecast has a lower one. `scale`, a
            number or one per column of y, divides y first.
        DESCR : str
            The description of the tasks.
    (X, y) : tuple if ``return_X_y=True``
        Arrays or DataFrames of shapes (n, p) and (n, d).

    Raises
    ------
    ValueError
        If a parameter is outside its range.

    References
    ----------
    .. [1] X. Ding et al. (2021). CcGAN: continuous conditional generative adversarial networks for
       image generation. ICLR, section 4.1.
    .. [2] T. Gneiting, A. Raftery (2007). Strictly proper scoring rules, prediction, and
       estimation. Journal of the American Statistical Association 102, section 4.2.

    Examples
    --------
    >>> from skmm.datasets import make_conditional
    >>> simulated = make_conditional("heteroscedastic", 200, random_state=0)
    >>> simulated.data.names, simulated.data["X"].shape, simulated.target.shape
    (('X', 'y'), (200, 4), (200, 1))
    >>> draws = simulated.sample_conditional(simulated.data["X"], 50, random_state=0)
    >>> draws.shape
    (50, 200, 1)
    >>> X, y = make_conditional("correlated", 100, random_state=0, return_X_y=True)
    >>> X.shape, y.shape
    ((100, 4), (100, 10))
    """
    check_option("task", task, _TASKS)
    for name, value, least in (("n_samples", n_samples, 1), ("n_irrelevant", n_irrelevant, 0)):
        if not is_integer(value, least):
            raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}.")
    truth = _Conditional(task, n_irrelevant)
    rng = check_random_state(random_state)
    X = truth.draw_conditions(n_samples, rng)
    y = truth.sample(X, random_state=rng)[0]
    names = {"X": [f"x{i}" for i in range(X.shape[1])], "y": [f"y{i}" for i in range(y.shape[1])]}
    if return_X_y and not as_frame:
        return X, y
    loaded = package(
        {"X": X, "y": y},
        None,
        descr="conditional",
        return_X_y=False,
        as_frame=as_frame,
        feature_names=names,
        sample_conditional=truth.sample,
        conditional_mean=truth.mean,
        conditional_covariance=truth.covariance,
        log_density=truth.log_density,
        energy_score=truth.energy_score,
    )
    made = cast(Bunch, loaded)
    made.target = made.data["y"]
    return (made.data["X"], made.target) if return_X_y else made


@dataclass(frozen=True)
class _Conditional:
    """The distribution of y given x, a mixture of Gaussians."""

    task: str
    n_irrelevant: int

    def draw_conditions(self, n_samples: int, rng: RandomState) -> Array:
        bounds = _TASKS[self.task].bounds
        relevant = rng.uniform(-1.0, 1.0, (n_samples, len(bounds))) * bounds
        return np.hstack([relevant, rng.standard_normal((n_samples, self.n_irrelevant))])

    def sample(
        self, X: ArrayLike, n_samples: int = 1, random_state: int | RandomState | None = None
    ) -> Array:
        """Draw from p(y | x): (n_samples, n, d)."""
        if not is_integer(n_samples):
            raise ValueError(f"n_samples must be an integer of at least 1, got {n_samples!r}.")
        weights, means, factors = self._parts(X)
        rng = check_random_state(random_state)
        u = rng.uniform(size=(n_samples, len(weights), 1))
        chosen = (u > weights.cumsum(axis=1)[:, :-1]).sum(axis=2)  # (n_samples, n)
        rows = np.arange(len(weights))
        noise = rng.standard_normal((*chosen.shape, factors.shape[3]))
        drawn: Array = np.einsum("sndf,snf->snd", factors[rows, chosen], noise, optimize=True)
        return means[rows, chosen] + drawn

    def mean(self, X: ArrayLike) -> Array:
        """Return E[y | x]: (n, d)."""
        weights, means, _ = self._parts(X)
        return np.einsum("nk,nkd->nd", weights, means)

    def covariance(self, X: ArrayLike) -> Array:
        """Return Cov[y | x]: (n, d, d), within plus between the components."""
        weights, means, factors = self._parts(X)
        centred = means - np.einsum("nk,nkd->nd", weights, means)[:, None]
        within = factors @ factors.swapaxes(2, 3)
        between = centred[..., :, None] * centred[..., None, :]
        return np.einsum("nk,nkde->nde", weights, within + between)

    def log_density(self, X: ArrayLike, y: ArrayLike) -> Array:
        """Return log p(y | x): (n,)."""
        weights, means, factors = self._parts(X)
        target = np.asarray(y, dtype=np.float64)
        if target.shape != (len(means), means.shape[2]):
            raise ValueError(
                f"y must have shape {(len(means), means.shape[2])}, got {target.shape}."
            )
        covariances = factors @ factors.swapaxes(2, 3)
        apart = (target[:, None] - means)[..., None]
        distance = (apart * np.linalg.solve(covariances, apart)).sum(axis=(2, 3))
        log_det = np.linalg.slogdet(2 * np.pi * covariances)[1]
        found: Array = logsumexp(-0.5 * (distance + log_det), b=weights, axis=1)
        return found

    def energy_score(self, X: ArrayLike, scale: ArrayLike = 1.0) -> Array:
        """Return ½ E‖y − y'‖ for independent draws y, y' given x, both divided by scale: (n,)."""
        weights, means, factors = self._parts(X)
        units = np.broadcast_to(np.asarray(scale, dtype=np.float64), means.shape[2:])
        if not np.all((units > 0) & np.isfinite(units)):
            raise ValueError(f"scale must be positive and finite, got {scale!r}.")
        means, factors = means / units, factors / units[:, None]
        covariances = factors @ factors.swapaxes(2, 3)
        a, b = np.triu_indices(weights.shape[1])  # a pair of components once, counted twice
        lengths = _expected_length(means[:, a] - means[:, b], covariances[:, a] + covariances[:, b])
        counted = np.where(a == b, 0.5, 1.0) * weights[:, a] * weights[:, b]
        return np.sum(counted * lengths, axis=1)

    def _parts(self, X: ArrayLike) -> Parts:
        values, task = np.asarray(X, dtype=np.float64), _TASKS[self.task]
        width = len(task.bounds) + self.n_irrelevant
        if values.ndim != 2 or values.shape[1] != width or not np.isfinite(values).all():
            raise ValueError(
                f"X must be finite numbers of shape (n, {width}), as {self.task!r} data with "
                f"n_irrelevant={self.n_irrelevant} have, got shape {values.shape}"
                f"{'' if np.isfinite(values).all() else ' with NaN or inf'}."
            )
        return task.parts(values)


def _expected_length(mean: Array, covariance: Array) -> Array:
    """Return E‖z‖ of z ~ N(mean, covariance), (..., d) and (..., d, d), to about ten digits.

    E √Q = 1/(2√π) ∫ (1 − E exp(−tQ)) t^(−3/2) dt with Q = ‖z‖², a sum of squared independent
    normals along the eigenvectors; with t = exp(u) the trapezoidal rule converges exponentially.
    """
    spread, axes = np.linalg.eigh(covariance)
    squares = np.einsum("...de,...d->...e", axes, mean) ** 2
    size = (spread + squares).sum(axis=-1)[
        ..., None
    ]  # E Q, which makes the integrand's place known
    spread, squares = spread / size, squares / size
    step = 0.4
    total = np.zeros(mean.shape[:-1])
    for u in np.arange(-48.0, 48.0 + step, step):
        t = np.exp(u)
        grown = 2 * t * spread
        exponent = np.sum(0.5 * np.log1p(grown) + t * squares / (1 + grown), axis=-1)
        total -= np.exp(-u / 2) * np.expm1(-exponent)
    return total * step * np.sqrt(size[..., 0] / np.pi) / 2


@dataclass(frozen=True)
class _Task:
    bounds: tuple[float, ...]  # relevant columns are uniform between these and their negatives
    parts: Callable[[Array], Parts]


def _circle(X: Array) -> Parts:
    angles = np.arange(8) * np.pi / 4
    around = X[:, :1] - angles
    weights = softmax(0.5 * np.cos(around) + 2 * np.cos(2 * around), axis=1)
    centres = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return _round(weights, np.broadcast_to(centres, (len(X), *centres.shape)), 0.1)


def _branches(X: Array) -> Parts:
    angles = np.deg2rad([90.0, 210.0, 330.0])
    weights = softmax(2 * X[:, 1:2] * np.array([-1.0, 0.0, 1.0]), axis=1)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return _round(weights, (1 + X[:, 0])[:, None, None] * directions, 0.1)


def _heteroscedastic(X: Array) -> Parts:
    mean = np.sin(np.pi * X[:, 0]) + X[:, 1] ** 2
    scale = 0.25 * np.exp(2 * X[:, 0])
    return np.ones((len(X), 1)), mean[:, None, None], scale[:, None, None, None]


def _correlated(X: Array) -> Parts:
    """Each column of y is a direction in the plane of two factors; x₀ spreads them out."""
    turns = 2 * np.pi * np.arange(10) / 10
    angles = turns * (1 + X[:, :1]) / 2  # (n, 10)
    mean = 0.7 * np.sin(np.pi * X[:, 1:2] + turns)
    factors = np.zeros((len(X), 10, 12))
    factors[..., 0], factors[..., 1] = np.cos(angles), np.sin(angles)
    factors[..., :2] *= np.sqrt(0.95)
    factors[..., 2:] = np.sqrt(0.05) * np.eye(10)
    return np.ones((len(X), 1)), mean[:, None], factors[:, None]


def _round(weights: Array, means: Array, scale: float) -> Parts:
    """Return components of the same standard deviation in all directions."""
    d = means.shape[2]
    return weights, means, np.broadcast_to(scale * np.eye(d), (*weights.shape, d, d))


_TASKS = {
    "circle": _Task((np.pi,), _circle),
    "branches": _Task((1.0, 1.0), _branches),
    "heteroscedastic": _Task((1.0, 1.0), _heteroscedastic),
    "correlated": _Task((1.0, 1.0), _correlated),
}
