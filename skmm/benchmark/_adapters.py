"""Estimators that bring known methods to the interface of the benchmark."""

from __future__ import annotations

from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cross_decomposition import PLSCanonical
from sklearn.utils.validation import check_is_fitted, validate_data

from skmm._modalities import Modalities, check_modalities
from skmm._modalities._columns import ColumnStatistics

Array = np.ndarray


class NotApplicable(ValueError):
    """Raised in fit by a method that is not made for a task; it does not count as a failure.

    Examples
    --------
    >>> from skmm.benchmark import NotApplicable
    >>> raise NotApplicable("two modalities only")
    Traceback (most recent call last):
    skmm.benchmark._adapters.NotApplicable: two modalities only
    """


class BlockScaler(TransformerMixin, BaseEstimator):
    """Centre the columns and divide all of them by one number, so that their variances sum to 1.

    Applied to each modality it gives all modalities the same weight, and a mean squared distance
    of 2 between samples, whatever their units and numbers of columns.

    Parameters
    ----------
    standardize : bool, default=True
        Whether columns are first divided by their own standard deviations. False keeps the
        proportions of columns that share a unit, such as pixels.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Mean of each column.
    scale_ : ndarray of shape (n_features,)
        Divisor of each column. 1 if nothing varies.
    n_features_in_ : int
        Number of columns.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.benchmark import BlockScaler
    >>> X = np.array([[0.0, 0.0], [2.0, 20.0]])
    >>> BlockScaler(standardize=False).fit_transform(X).var(axis=0).sum().round(6)
    np.float64(1.0)
    """

    def __init__(self, *, standardize: bool = True) -> None:
        self.standardize = standardize

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn means and scales.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data.
        y : None
            Ignored.

        Returns
        -------
        self : BlockScaler
        """
        X = cast(Array, validate_data(self, X, dtype=[np.float64, np.float32]))
        columns = ColumnStatistics.of(X)
        self.mean_ = columns.mean
        if self.standardize:
            self.scale_ = columns.divisor * np.sqrt(max(columns.varies.sum(), 1))
        else:
            self.scale_ = np.full(X.shape[1], np.sqrt(np.sum(columns.scale**2)) or 1.0)
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Centre and scale.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The scaled data.
        """
        check_is_fitted(self)
        X = cast(Array, validate_data(self, X, dtype=[np.float64, np.float32], reset=False))
        return ((X - self.mean_) / self.scale_).astype(X.dtype, copy=False)

    def inverse_transform(self, X: ArrayLike) -> Array:
        """Undo the scaling and centring.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Scaled data.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            In the units of fit.
        """
        check_is_fitted(self)
        X = cast(Array, validate_data(self, X, dtype=[np.float64, np.float32], reset=False))
        return X * self.scale_ + self.mean_


class PLS(TransformerMixin, BaseEstimator):
    """Partial least squares of two modalities by scikit-learn's ``PLSCanonical``.

    The codes of each modality are its scores, divided by their standard deviations in training.

    Parameters
    ----------
    n_components : int, default=2
        Number of components.
    modalities : dict, list of str or None, default=None
        As in :class:`skmm.CCA`.
    scale : bool, default=True
        Whether columns are divided by their standard deviation.

    Attributes
    ----------
    pls_ : PLSCanonical
        The fitted estimator.
    modality_names_in_ : tuple of str
        Names of the two modalities.

    See Also
    --------
    skmm.CCA : With ``shrinkage=1``, PLS by one singular value decomposition, for any number of
        modalities.

    Examples
    --------
    >>> from skmm.benchmark import PLS
    >>> from skmm.datasets import load_digits_halves
    >>> X, _ = load_digits_halves(return_X_y=True)
    >>> codes = PLS(n_components=3).fit(X).transform_each(X)
    >>> codes["left"].shape
    (1797, 3)
    """

    def __init__(
        self, n_components: int = 2, *, modalities: Any = None, scale: bool = True
    ) -> None:
        self.n_components = n_components
        self.modalities = modalities
        self.scale = scale

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit ``PLSCanonical`` to the first and the second modality.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Two modalities, complete.
        y : array-like, default=None
            The second modality if `X` is a 2-D array alone; ignored otherwise.

        Returns
        -------
        self : PLS

        Raises
        ------
        NotApplicable
            If there are more than two modalities, or rows that lack one.
        """
        X = self._check(X, y, reset=True, allow_missing=True)
        if len(X.names) != 2:
            raise NotApplicable(f"PLS takes two modalities, got {list(X.names)}.")
        if n_missing := int(X.missing.any(axis=1).sum()):
            raise NotApplicable(f"PLS takes complete rows, but {n_missing} lack a modality.")
        pls = PLSCanonical(n_components=self.n_components, scale=self.scale)
        self.pls_ = pls.fit(*X.values())
        self._deviations = [codes.std(axis=0) for codes in self.pls_.transform(*X.values())]
        return self

    def transform_each(self, X: Any, y: Any = None) -> dict[str, Array]:
        """Return the codes of both modalities.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Both modalities, complete.
        y : array-like, default=None
            The second modality, if it was in `fit`.

        Returns
        -------
        codes : dict of str to ndarray (n_samples, n_components)
            One per modality.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `X` lacks one of the two modalities.
        """
        check_is_fitted(self)
        X = self._check(X, y, reset=False)
        if set(X.names) != set(self.modality_names_in_):
            raise ValueError(f"PLS needs {self.modality_names_in_!r}, got {X.names!r}.")
        codes = self.pls_.transform(*(X[name] for name in self.modality_names_in_))
        scaled = [
            code / np.where(s > 0, s, 1.0) for code, s in zip(codes, self._deviations, strict=True)
        ]
        return dict(zip(self.modality_names_in_, scaled, strict=True))

    def transform(self, X: Any) -> Array:
        """Return the mean of both modalities' codes.

        Parameters
        ----------
        X : Modalities, dict or DataFrame
            Both modalities, complete.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            The fused codes.
        """
        return np.mean(list(self.transform_each(X).values()), axis=0)

    def _check(self, X: Any, y: Any, *, reset: bool, allow_missing: bool = False) -> Modalities:
        return check_modalities(
            self, X, y, reset=reset, min_modalities=2, flatten=True, allow_missing=allow_missing
        )


class OracleSampler(BaseEstimator):
    """Draws from the true conditional distribution of simulated data.

    Parameters
    ----------
    draw : callable
        ``draw(conditions, n_draws, random_state)`` returns an array (n_draws, n_samples, ...).
    target : str, default=None
        Name of the modality that is drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm import Modalities
    >>> from skmm.benchmark import OracleSampler
    >>> X = Modalities({"x": np.arange(3.0)})
    >>> oracle = OracleSampler(lambda X, n, seed: np.tile(X["x"], (n, 1)), target="y").fit(X)
    >>> oracle.sample(2, given=X)
    array([[0., 1., 2.],
           [0., 1., 2.]])
    """

    def __init__(self, draw: Any, *, target: str | None = None) -> None:
        self.draw = draw
        self.target = target

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn nothing.

        Parameters
        ----------
        X : Modalities
            Ignored.
        y : None
            Ignored.

        Returns
        -------
        self : OracleSampler
        """
        self.n_samples_fit_ = len(X)
        return self

    def sample(self, n_samples: int = 1, *, given: Any, random_state: Any = None) -> Array:
        """Draw from the truth.

        Parameters
        ----------
        n_samples : int, default=1
            Draws per row.
        given : Modalities
            The conditions.
        random_state : int, RandomState instance or None, default=None
            Determines the draws.

        Returns
        -------
        draws : ndarray of shape (n_samples, n_rows, ...)
        """
        return np.asarray(self.draw(given, n_samples, random_state))

    def translate(self, X: Any, to: str) -> Array:
        """Return the mean of 200 draws.

        Parameters
        ----------
        X : Modalities
            The conditions.
        to : str
            Name of the modality that is drawn.

        Returns
        -------
        predicted : ndarray of shape (n_rows, ...)
        """
        return self.sample(200, given=X, random_state=0).mean(axis=0)
