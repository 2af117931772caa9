"""Simulated modalities whose population canonical correlations are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from skmm._modalities import Modalities
from skmm._modalities._gaps import drawn_gaps
from skmm._parameters import is_integer
from skmm._random import check_random_state
from skmm.datasets._base import Loaded, package

Matrix = NDArray[np.float64]
_NONLINEARITIES: dict[str, Callable[[Matrix], Matrix]] = {
    "tanh": np.tanh,
    "cube": lambda x: x**3,
    "exp": np.exp,
}


def make_shared_latent(
    n_samples: int = 500,
    *,
    correlations: ArrayLike = (0.9, 0.7, 0.5),
    n_features: Sequence[int] | Mapping[str, int] = (10, 10),
    private_scale: float = 1.0,
    nonlinearity: str | Callable[[Matrix], Matrix] | None = None,
    missing: float | Mapping[str, float] = 0.0,
    n_classes: int | None = None,
    random_state: int | RandomState | None = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Loaded:
    """Simulate modalities that share a latent vector, with known canonical correlations.

    The latent vector z of a sample has as many independent standard normal entries as there are
    `correlations` ρ. Modality m is::

        x_m = W_m z + e_m,   W_m = Q_m diag(√ρ),   e_m ~ N(0, Q_m diag(1 − ρ) Q_m' + s² R_m R_m')

    with [Q_m, R_m] a random orthogonal matrix and s the `private_scale`. Each pair of modalities
    then has the population canonical correlations ρ, followed by zeros, whatever s is; this is
    the probabilistic model of CCA [1]_. The noise e_m is private to the modality and correlated
    across its features.

    Parameters
    ----------
    n_samples : int, default=500
        Number of samples.
    correlations : array-like of shape (n_components,), default=(0.9, 0.7, 0.5)
        The population canonical correlations of every pair of modalities, in [0, 1].
    n_features : sequence of int, or dict of str to int, default=(10, 10)
        The width of each modality, at least the number of `correlations`. A dict names the
        modalities; otherwise they are ``"modality0"``, ``"modality1"``, ...
    private_scale : float, default=1.0
        Standard deviation s of the directions that a modality shares with no other. The shared
        directions have 1, so a large value hides them from principal components.
    nonlinearity : {"tanh", "cube", "exp"}, callable or None, default=None
        Applied to each entry of each x_m. The three named ones can be inverted, so no function of
        two modalities correlates more than the largest ρ, but linear functions correlate less.
        A callable maps an array to an array of the same shape.
    missing : float or dict of str to float, default=0.0
        Probability, in [0, 1), that a row lacks a modality; a dict gives it for some modalities, 0
        for the others. Rows are chosen completely at random. A row that would lack everything
        keeps one modality, drawn at random.
    n_classes : int, default=None
        Number of classes. The class of a sample is the quantile bin of its first latent entry, so
        classes are equally likely and the correlations are those given.
    random_state : int, RandomState instance or None, default=None
        Determines everything that is drawn.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Whether ``data`` is a DataFrame with two column levels and ``target`` a Series.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : Modalities or DataFrame
            The modalities, each of shape (n_samples, its width).
        target : ndarray or Series of shape (n_samples,), or None
            The class, or None without `n_classes`.
        feature_names : dict of list of str
            Feature names per modality.
        complete : Modalities
            The data before rows were made missing.
        latent : ndarray of shape (n_samples, n_components)
            The latent vectors z.
        correlations : ndarray of shape (n_components,)
            ρ in descending order, which is the order of the latent entries.
        loadings : dict of str to ndarray of shape (width, n_components)
            W_m.
        weights : dict of str to ndarray of shape (width, n_components)
            Q_m: the population canonical weights; x_m Q_m has unit variances.
        covariances : dict of (str, str) to ndarray
            The population covariance of each modality with each, before the nonlinearity.
        DESCR : str
            The description of the model.
    (data, target) : tuple if ``return_X_y=True``

    Raises
    ------
    ValueError
        If a parameter is outside its range.

    References
    ----------
    .. [1] F. Bach, M. Jordan (2005). A probabilistic interpretation of canonical correlation
       analysis. Technical report 688, University of California, Berkeley, section 4.

    Examples
    --------
    >>> from skmm.datasets import make_shared_latent
    >>> simulated = make_shared_latent(
    ...     100, n_features={"image": 20, "text": 8}, missing=0.1, random_state=0
    ... )
    >>> simulated.data.names, simulated.data["image"].shape
    (('image', 'text'), (100, 20))
    >>> simulated.correlations
    array([0.9, 0.7, 0.5])
    """
    rho = _check_correlations(correlations)
    widths = _check_widths(n_features, len(rho))
    _check_numbers(n_samples, private_scale, n_classes)
    transform = _check_nonlinearity(nonlinearity)
    probabilities = _check_missing(missing, list(widths))
    rng = check_random_state(random_state)
    bases = {
        name: _Basis(_random_orthogonal(width, rng), rho, float(private_scale))
        for name, width in widths.items()
    }
    latent = rng.standard_normal((n_samples, len(rho)))
    parts = {name: transform(basis.draw(latent, rng)) for name, basis in bases.items()}
    mask = drawn_gaps(np.zeros((n_samples, len(widths)), dtype=bool), probabilities, rng)
    absent = {name: mask[:, j] for j, name in enumerate(parts)}
    shown = {name: np.where(absent[name][:, None], np.nan, part) for name, part in parts.items()}
    return package(
        shown,
        None if n_classes is None else _quantile_bins(latent[:, 0], n_classes),
        descr="shared_latent",
        return_X_y=return_X_y,
        as_frame=as_frame,
        missing=absent,
        feature_names={name: [f"x{i}" for i in range(widths[name])] for name in parts},
        complete=Modalities(parts),
        latent=latent,
        correlations=rho,
        loadings={name: basis.loadings for name, basis in bases.items()},
        weights={name: basis.shared for name, basis in bases.items()},
        covariances=_covariances(bases),
    )


@dataclass(frozen=True)
class _Basis:
    """Orthonormal directions of one modality: the first ones are shared, the others private."""

    directions: Matrix  # (width, width)
    rho: Matrix
    private_scale: float

    @property
    def shared(self) -> Matrix:
        return self.directions[:, : len(self.rho)]

    @property
    def loadings(self) -> Matrix:
        return self.shared * np.sqrt(self.rho)

    @property
    def noise_scales(self) -> Matrix:
        private = np.full(len(self.directions) - len(self.rho), self.private_scale)
        return np.concatenate([np.sqrt(1 - self.rho), private])

    @property
    def covariance(self) -> Matrix:
        noise = self.directions * self.noise_scales
        return self.loadings @ self.loadings.T + noise @ noise.T

    def draw(self, latent: Matrix, rng: RandomState) -> Matrix:
        noise = rng.standard_normal((len(latent), len(self.directions))) * self.noise_scales
        return latent @ self.loadings.T + noise @ self.directions.T


def _covariances(bases: Mapping[str, _Basis]) -> dict[tuple[str, str], Matrix]:
    return {
        (a, b): bases[a].covariance if a == b else bases[a].loadings @ bases[b].loadings.T
        for a in bases
        for b in bases
    }


def _random_orthogonal(width: int, rng: RandomState) -> Matrix:
    """Draw from the uniform distribution over orthogonal matrices."""
    q, r = np.linalg.qr(rng.standard_normal((width, width)))
    return q * np.sign(np.diag(r))


def _quantile_bins(values: Matrix, n_bins: int) -> NDArray[np.int64]:
    edges = stats.norm.ppf(np.arange(1, n_bins) / n_bins)
    return np.searchsorted(edges, values).astype(np.int64)


def _check_correlations(correlations: ArrayLike) -> Matrix:
    rho = np.array(correlations, dtype=np.float64)
    if rho.ndim != 1 or not rho.size or not np.all((rho >= 0) & (rho <= 1)):
        raise ValueError(
            f"correlations must be a list of at least one number in [0, 1], got {correlations!r}."
        )
    return np.sort(rho)[::-1].copy()


def _check_widths(n_features: Sequence[int] | Mapping[str, int], n_shared: int) -> dict[str, int]:
    if isinstance(n_features, Mapping):
        widths = dict(n_features)
    else:
        widths = {f"modality{i}": width for i, width in enumerate(n_features)}
    if len(widths) < 2:
        raise ValueError(f"n_features must give at least two modalities, got {n_features!r}.")
    for name, width in widths.items():
        if width < n_shared:
            raise ValueError(
                f"Modality {name!r} has n_features={width!r}, but {n_shared} correlations need at "
                f"least {n_shared} features."
            )
    return widths


def _check_numbers(n_samples: int, private_scale: float, n_classes: int | None) -> None:
    if not is_integer(n_samples):
        raise ValueError(f"n_samples must be an integer of at least 1, got {n_samples!r}.")
    if not 0 <= private_scale < np.inf:
        raise ValueError(f"private_scale must be finite and not negative, got {private_scale!r}.")
    if n_classes is not None and not is_integer(n_classes, 2):
        raise ValueError(f"n_classes must be an integer of at least 2, or None, got {n_classes!r}.")


def _check_nonlinearity(
    nonlinearity: str | Callable[[Matrix], Matrix] | None,
) -> Callable[[Matrix], Matrix]:
    if nonlinearity is None:
        return lambda x: x
    if callable(nonlinearity):
        return nonlinearity
    if nonlinearity not in _NONLINEARITIES:
        raise ValueError(
            f"nonlinearity must be one of {list(_NONLINEARITIES)}, a callable or None, "
            f"got {nonlinearity!r}."
        )
    return _NONLINEARITIES[nonlinearity]


def _check_missing(missing: float | Mapping[str, float], names: list[str]) -> Matrix:
    given = missing if isinstance(missing, Mapping) else dict.fromkeys(names, missing)
    unknown = set(given) - set(names)
    if unknown:
        raise ValueError(f"missing names {sorted(unknown)}; the modalities are {names}.")
    for name, value in given.items():
        if not 0 <= value < 1:
            raise ValueError(f"missing must be in [0, 1), got {value!r} for modality {name!r}.")
    return np.array([given.get(name, 0.0) for name in names])
