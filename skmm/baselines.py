"""Simple conditional samplers, which a generative model has to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import _fit_context
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors

from skmm._base import fits_or_changes_nothing
from skmm._interfaces._conditional_sampler import N_DRAWS, ConditionalSampler
from skmm._modalities import Modalities
from skmm._modalities._columns import ColumnStatistics
from skmm._parameters import POSITIVE
from skmm._random import Seed, check_random_state, seed_of

__all__ = ["MarginalSampler", "NeighborsSampler", "RidgeSampler"]

Array = np.ndarray
ALPHAS = np.logspace(-2, 5, 15)
PARAMETERS: dict[str, list[Any]] = {
    "target": [str, None],
    "modalities": [dict, list, tuple, None],
    "random_state": ["random_state"],
}


class _Baseline(ConditionalSampler):
    """A sampler whose conditions are one matrix; abstract."""

    target: str | None
    random_state: Any

    @_fit_context(prefer_skip_nested_validation=True)
    @fits_or_changes_nothing
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit to conditions and target.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Conditions, and in all forms but a plain array the target, in any of the forms of
            :func:`skmm.check_modalities`. Rows without a target are left out.

        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            The target if `X` is a 2-D array alone; ignored otherwise.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the data are not usable; the message names the modality.
        """
        X, values = self._read(X, y)
        rng = check_random_state(self.random_state)
        conditions = self._matrix(X)
        self._units = ColumnStatistics.of(conditions)
        self._learn(self._scaled(conditions), values, rng)
        self._draws_seed = seed_of(rng)
        self._remember(values, rng)
        return self

    def _learn(self, conditions: Array, values: Array, rng: np.random.RandomState) -> None:
        raise NotImplementedError

    def _sample(self, conditions: Array, n_samples: int, rng: np.random.RandomState) -> Array:
        """Draw targets (n, n_samples, width) for a matrix of scaled conditions."""
        raise NotImplementedError

    def _draw(self, X: Modalities, n_samples: int, rng: np.random.RandomState) -> Array:
        return self._sample(self._scaled(self._matrix(X)), n_samples, rng)

    def _scaled(self, conditions: Array) -> Array:
        """Standardise and limit, as the deep estimators."""
        return ((conditions - self._units.mean) / self._units.divisor).clip(*self._units.limits())

    def _precision(self, X: Modalities) -> np.dtype:
        dtypes: list[Any] = [v.dtype for v in self._without_target(X).values()]
        floats = [dtype for dtype in dtypes if dtype.kind == "f"]
        return np.result_type(*floats) if floats else np.dtype(np.float64)

    def _matrix(self, X: Modalities) -> Array:
        """Return the conditions side by side, labels as indicators, in double precision."""
        X = self._without_target(X)
        parts = []
        for name, value in X.items():
            if X.kinds[name] == "tokens":
                raise ValueError(f"Modality {name!r} holds tokens, which this baseline cannot use.")
            if name in self.categories_:
                parts.append(np.eye(len(self.categories_[name]))[np.asarray(value)])
            else:
                parts.append(np.asarray(value).reshape(len(value), -1))
        return np.hstack(parts, dtype=np.float64)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_draws_seed")


class RidgeSampler(_Baseline):
    """Ridge regression with Gaussian residuals: the linear model of a conditional distribution.

    Conditions are standardised, and limited to a standard deviation outside their training range
    and at most ±10. The residuals are those of five folds, so that
    their covariance, shrunk after Ledoit and Wolf, is that of predictions for new rows. The penalty
    is chosen by leave-one-out.

    Parameters
    ----------
    target : str, default=None
        The modality to sample. None where it is `y`, with a plain `X`.

    modalities : dict, list of str or None, default=None
        Columns of each modality where `X` is an array or flat DataFrame, or the names of those to
        use; see :func:`skmm.check_modalities`.

    random_state : int, RandomState instance or None, default=None
        Seeds the folds and `sample`.

    Attributes
    ----------
    regression_ : RidgeCV
        Of the target on standardised conditions.

    covariance_ : ndarray of shape (n_targets, n_targets)
        Of the residuals.

    categories_ : dict of str to ndarray
        Classes of each modality of labels.

    modality_names_in_ : tuple of str
        Names of the modalities.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `X` was a flat DataFrame with string names.

    See Also
    --------
    skmm.ConditionalGAN : The generative model.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.baselines import RidgeSampler
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((300, 2))
    >>> y = x @ [[1.0], [2.0]] + rng.standard_normal((300, 1))
    >>> sampler = RidgeSampler(random_state=0).fit(x, y)
    >>> sampler.sample(5, given=x[:3]).shape
    (5, 3, 1)
    >>> bool(0.8 < sampler.covariance_[0, 0] < 1.2)
    True
    """

    _parameter_constraints = PARAMETERS

    def __init__(
        self,
        *,
        target: str | None = None,
        modalities: Mapping[str, Any] | Sequence[str] | None = None,
        random_state: Seed = None,
    ) -> None:
        self.target = target
        self.modalities = modalities
        self.random_state = random_state

    def _learn(self, conditions: Array, values: Array, rng: np.random.RandomState) -> None:
        self.regression_ = RidgeCV(ALPHAS)
        folds = KFold(min(5, len(values)), shuffle=True, random_state=seed_of(rng))
        expected = cross_val_predict(self.regression_, conditions, values, cv=folds)
        varies = np.flatnonzero(self._columns[self._target].varies)
        residuals = (values - expected.reshape(values.shape))[:, varies]
        self.covariance_ = np.zeros((values.shape[1],) * 2)
        self._factor = np.zeros((len(varies), values.shape[1]))
        if len(varies):
            scale = np.maximum(residuals.std(axis=0), np.finfo(float).tiny)
            fitted = LedoitWolf(assume_centered=True).fit(residuals / scale).covariance_
            self.covariance_[np.ix_(varies, varies)] = fitted * np.outer(scale, scale)
            size, axes = np.linalg.eigh(fitted)
            self._factor[:, varies] = (axes * np.sqrt(size.clip(0))).T * scale
        self.regression_.fit(conditions, values)

    def _expected(self, conditions: Array) -> Array:
        return self.regression_.predict(conditions).reshape(len(conditions), 1, -1)

    def _sample(self, conditions: Array, n_samples: int, rng: np.random.RandomState) -> Array:
        noise = rng.standard_normal((len(conditions), n_samples, len(self._factor)))
        return self._possible(self._expected(conditions) + noise @ self._factor)

    def _possible(self, draws: Array) -> Array:
        """Return the values nearest to draws that a discrete target can have."""
        kind = self._schema.kinds[self._target]
        if kind == "categorical":
            return np.eye(draws.shape[-1])[draws.argmax(axis=-1)]
        if kind == "binary":
            return (draws > 0.5).astype(draws.dtype)
        return draws.round().clip(0) if kind == "count" else draws

    def _draw_again(self, X: Modalities) -> Array:
        noise = np.random.RandomState(self._draws_seed).standard_normal(
            (N_DRAWS // 2, len(self._factor))
        )
        noise = np.concatenate([noise, -noise])  # whose mean is 0
        expected = self._expected(self._scaled(self._matrix(X)))
        return self._possible(expected + noise @ self._factor)


class NeighborsSampler(_Baseline):
    """Draws from the targets of the nearest training rows.

    Conditions are standardised, and limited to a standard deviation outside their training range
    and at most ±10. Draws are with replacement, all neighbours with
    the same weight.

    Parameters
    ----------
    n_neighbors : int, default=20
        Number of training rows to draw from; all, if there are fewer.

    target : str, default=None
        The modality to sample. None where it is `y`, with a plain `X`.

    modalities : dict, list of str or None, default=None
        Columns of each modality where `X` is an array or flat DataFrame, or the names of those to
        use; see :func:`skmm.check_modalities`.

    random_state : int, RandomState instance or None, default=None
        Seeds `sample`.

    Attributes
    ----------
    neighbors_ : NearestNeighbors
        Of the standardised conditions.

    categories_ : dict of str to ndarray
        Classes of each modality of labels.

    modality_names_in_ : tuple of str
        Names of the modalities.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `X` was a flat DataFrame with string names.

    See Also
    --------
    skmm.ConditionalGAN : The generative model.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.baselines import NeighborsSampler
    >>> x = np.arange(100.0)[:, None]
    >>> sampler = NeighborsSampler(5, random_state=0).fit(x, x)
    >>> draws = sampler.sample(50, given=[[40.2]])
    >>> float(draws.min()), float(draws.max())
    (38.0, 42.0)
    """

    _parameter_constraints = {
        **PARAMETERS,
        "n_neighbors": [POSITIVE],
    }

    def __init__(
        self,
        n_neighbors: int = 20,
        *,
        target: str | None = None,
        modalities: Mapping[str, Any] | Sequence[str] | None = None,
        random_state: Seed = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.target = target
        self.modalities = modalities
        self.random_state = random_state

    def _learn(self, conditions: Array, values: Array, rng: np.random.RandomState) -> None:
        n_neighbors = min(self.n_neighbors, len(values))
        self.neighbors_ = NearestNeighbors(n_neighbors=n_neighbors).fit(conditions)
        self._values = values

    def _nearest(self, conditions: Array) -> Array:
        """Return the numbers (n, n_neighbors) of training rows."""
        return self.neighbors_.kneighbors(conditions, return_distance=False)

    def _sample(self, conditions: Array, n_samples: int, rng: np.random.RandomState) -> Array:
        nearest = self._nearest(conditions)
        chosen = rng.randint(nearest.shape[1], size=(len(nearest), n_samples))
        return self._values[np.take_along_axis(nearest, chosen, axis=1)]

    def _draw_again(self, X: Modalities) -> Array:
        nearest = self._nearest(self._scaled(self._matrix(X)))
        return self._values[nearest]


class MarginalSampler(_Baseline):
    """Draws from all training targets, whatever the condition: the floor.

    Parameters
    ----------
    target : str, default=None
        The modality to sample. None where it is `y`, with a plain `X`.

    modalities : dict, list of str or None, default=None
        Columns of each modality where `X` is an array or flat DataFrame, or the names of those to
        use; see :func:`skmm.check_modalities`.

    random_state : int, RandomState instance or None, default=None
        Seeds `sample`.

    Attributes
    ----------
    categories_ : dict of str to ndarray
        Classes of each modality of labels.

    modality_names_in_ : tuple of str
        Names of the modalities.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `X` was a flat DataFrame with string names.

    See Also
    --------
    skmm.ConditionalGAN : The generative model.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.baselines import MarginalSampler
    >>> x = np.arange(1000.0)[:, None]
    >>> sampler = MarginalSampler(random_state=0).fit(x, x)
    >>> abs(sampler.score(x, x)) < 0.05
    True
    """

    _parameter_constraints = PARAMETERS

    def __init__(
        self,
        *,
        target: str | None = None,
        modalities: Mapping[str, Any] | Sequence[str] | None = None,
        random_state: Seed = None,
    ) -> None:
        self.target = target
        self.modalities = modalities
        self.random_state = random_state

    def _learn(self, conditions: Array, values: Array, rng: np.random.RandomState) -> None:
        self._values = values

    def _sample(self, conditions: Array, n_samples: int, rng: np.random.RandomState) -> Array:
        return self._values[rng.randint(len(self._values), size=(len(conditions), n_samples))]

    def _draw_again(self, X: Modalities) -> Array:
        rng = np.random.RandomState(self._draws_seed)
        drawn = self._values[rng.permutation(len(self._values))[:N_DRAWS]]
        return np.broadcast_to(drawn, (len(X), *drawn.shape))
