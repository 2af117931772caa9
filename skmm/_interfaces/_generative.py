"""Translation, imputation and sampling, for all estimators that decode codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted

from skmm._modalities import Modalities, missing_mask, observed_rows
from skmm._modalities._columns import ColumnStatistics
from skmm._modalities._foreign import refuse_foreign
from skmm._modalities._output import translation_follows_output
from skmm._modalities._stream import check_held
from skmm._parameters import is_integer
from skmm._random import Seed, check_random_state

Array = np.ndarray
Parts = dict[str, Array]  # of modalities: (n, width), or class probabilities (n, width, n_classes)


def _can_decode(estimator: Any) -> bool:
    return estimator._decodes()


class ReconstructionMixin:
    """Public methods of estimators that decode; these provide the few that are private."""

    _schema: Any
    modality_names_in_: tuple[str, ...]
    random_state: Any
    categories_: dict[str, Array]
    _columns: dict[str, ColumnStatistics]
    get_feature_names_out: Callable[..., Array]
    _any_row = False  # whether a row may have no modality at all

    def _decodes(self) -> bool:
        return True

    def _check(self, X: Any, y: Any = None, **options: Any) -> Modalities:
        raise NotImplementedError

    def _varies(self, name: str) -> Array:
        """Return which columns (width,) of a modality of numbers varied in fit."""
        return self._columns[name].varies.ravel()

    def _invert(self, Z: Array, names: Sequence[str]) -> Parts:
        """Return the expectations of modalities given fused codes."""
        raise NotImplementedError

    def _expect(self, X: Modalities, names: Sequence[str]) -> Parts:
        """Return the expectations of modalities given X."""
        raise NotImplementedError

    def _draw(self, n_samples: int, rng: np.random.RandomState) -> Parts:
        """Draw rows."""
        raise NotImplementedError

    def _draw_given(
        self, X: Modalities, names: Sequence[str], n_samples: int, rng: np.random.RandomState
    ) -> list[Parts]:
        """Draw modalities that X lacks, several times."""
        raise NotImplementedError

    @available_if(_can_decode)
    def inverse_transform(self, Z: Any) -> Any:
        """Return the modalities that go with fused codes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_features_out)
            Codes as `transform` returns them.

        Returns
        -------
        X : Modalities, DataFrame or ndarray
            In the form that X had in `fit`. For an array with `y` as the second modality, X alone.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If `Z` holds modalities or is no array.
        ValueError
            If `Z` has not as many columns as `transform` returns.
        """
        check_is_fitted(self)
        if isinstance(Z, Modalities | Mapping):
            raise TypeError("inverse_transform takes the array that transform returns, not data.")
        refuse_foreign("Z", Z, "Pass what transform returns.")
        Z, ids = self._schema.split_ids(Z)
        try:
            Z = check_array(Z, dtype=[np.float64, np.float32])
        except RuntimeError as error:  # of a tensor with a gradient
            raise TypeError(f"Z cannot be made an array: {error}") from error
        if Z.shape[1] != (width := len(self.get_feature_names_out())):
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but {type(self).__name__} was fitted to give "
                f"{width}: pass what transform returns."
            )
        names = self.modality_names_in_[:1] if self._schema.form == 4 else self.modality_names_in_
        return self._schema.restore(self._values(self._invert(Z, names)), ids)

    @available_if(_can_decode)
    @translation_follows_output
    def translate(self, X: Any, to: str) -> Any:
        """Return the expectation of modality `to` given the other modalities that a row has.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            At least one modality of `fit` other than `to`, which is ignored.

        to : str
            Name of the modality to predict.

        Returns
        -------
        predicted : ndarray of shape (n_samples, ...) or DataFrame
            As the modality was in `fit`, or as `set_output` says, images always as an array; of
            labels and token ids the most probable.

        Raises
        ------
        ValueError
            If `to` is unknown or a row has no other modality.
        """
        others = self._others(X, to)
        expected = self._values(self._expect(others, [to]))
        return self._schema.restore_one(to, expected[to], others._ids)

    @available_if(_can_decode)
    def impute(self, X: Any, y: Any = None) -> Any:
        """Fill in missing values with their expectation given the observed ones of the row.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        y : array-like, default=None
            The second modality, if it was in `fit`.

        Returns
        -------
        X : Modalities, DataFrame, ndarray or tuple
            In the form of `X`; observed values are untouched. A pair (X, y) where `y` was the
            second modality in `fit`.
        """
        checked = check_held(self._check(X, y, allow_empty_rows=self._any_row))
        expected = self._expect(checked, self._lacking(checked))
        return self._schema.fill(X, y, self._values(expected))

    @available_if(_can_decode)
    def sample(self, n_samples: int = 1, *, given: Any = None, random_state: Seed = None) -> Any:
        """Draw codes, and data given the codes.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows, or of draws per row of `given`.

        given : Modalities, dict, DataFrame or array-like, default=None
            Rows with missing modalities. Their codes are drawn given the observed modalities.

        random_state : int, RandomState instance or None, default=None
            None takes the estimator's.

        Returns
        -------
        X : Modalities, DataFrame, ndarray or tuple; or list of n_samples of them
            `n_samples` rows in the form of `fit` ((X, y) where `y` was the second modality), or,
            with `given`, a list of `n_samples` completions in the form of `given`.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If `n_samples` is less than 1, or `given` does not fit the data of `fit`.
        """
        check_is_fitted(self)
        if not is_integer(n_samples):
            raise ValueError(f"n_samples must be an integer of at least 1, got {n_samples!r}.")
        rng = check_random_state(self.random_state if random_state is None else random_state)
        if given is None:
            return self._schema.restore(self._values(self._draw(int(n_samples), rng)))
        X = check_held(self._check(given, allow_empty_rows=self._any_row))
        draws = self._draw_given(X, self._lacking(X), int(n_samples), rng)
        return [self._schema.fill(given, None, self._values(one)) for one in draws]

    def _others(self, X: Any, to: str) -> Modalities:
        """Return the checked modalities from which to translate."""
        check_is_fitted(self)
        if not isinstance(to, str) or to not in self.modality_names_in_:
            raise ValueError(f"to={to!r} is not a modality of fit: {self.modality_names_in_!r}.")
        X = self._check(X, allow_empty_rows=True)
        others = [name for name in X.names if name != to]
        if not others:
            raise ValueError(f"X has nothing to translate to {to!r} from: {X.names!r}.")
        X = X.select(others)
        if (empty := missing_mask(X).all(axis=1)).any() and not self._any_row:
            raise ValueError(
                f"In {int(empty.sum())} rows every modality but {to!r} is missing: drop them."
            )
        return X

    def _lacking(self, X: Modalities) -> list[str]:
        """Return the modalities of fit that are absent from X or from parts of its rows."""
        return [name for name in self.modality_names_in_ if not _is_complete(X, name)]

    def _values(self, parts: Parts) -> Parts:
        """Return values (n, width): of classes the most probable, as the labels of fit."""
        kinds = self._schema.kinds
        found = {}
        for name, part in parts.items():
            number = part.argmax(axis=2) if part.ndim == 3 else part
            labels = kinds[name] == "categorical"
            found[name] = self.categories_[name][number] if labels else number
        return found


def _is_complete(X: Modalities, name: str) -> bool:
    if name not in X or not observed_rows(X, name).all():
        return False
    value = np.asarray(X[name])
    return value.dtype.kind != "f" or not np.isnan(value).any()
