"""From modalities to one array: all of them side by side, or one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skmm._base import BaseEstimator, fits_or_changes_nothing
from skmm._modalities import (
    Modalities,
    check_modalities,
    missing_mask,
    observed_rows,
    read_modalities,
)
from skmm._modalities._output import TransformerMixin, in_library
from skmm._modalities._schema import Spec
from skmm._modalities._values import as_array, is_sparse


class ConcatModalities(TransformerMixin, BaseEstimator):
    """Join all modalities into one 2-D array: early fusion.

    Images are flattened. A missing modality is NaN, which a later step must impute or
    accept. If any modality is sparse, the result is a CSR matrix; it cannot tell missing
    from zero, so nothing may be missing then.

    Attributes
    ----------
    modality_names_in_ : tuple of str
        Names of the modalities seen in fit.
    n_features_in_ : int
        Number of columns.

    See Also
    --------
    SelectModality : Take one modality.
    PerModality : Apply a transformer to each modality.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm import Modalities
    >>> from skmm.compose import ConcatModalities
    >>> X = Modalities({"a": np.ones((2, 1)), "b": np.zeros((2, 2))})
    >>> concat = ConcatModalities().fit(X)
    >>> concat.transform(X)
    array([[1., 0., 0.],
           [1., 0., 0.]])
    >>> concat.get_feature_names_out()
    array(['a__0', 'b__0', 'b__1'], dtype=object)
    """

    @fits_or_changes_nothing
    def fit(self, X: Any, y: Any = None) -> ConcatModalities:
        """Learn names and widths.

        Parameters
        ----------
        X : Modalities, dict, or DataFrame with two column levels
            The data: numbers. Labels and text must be encoded before.
        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted transformer.
        """
        self._check(X, reset=True)
        return self

    def transform(self, X: Any) -> Any:
        """Put the modalities side by side, in the order of fit.

        Parameters
        ----------
        X : Modalities, dict, or DataFrame with two column levels
            The data. An absent modality is missing in every row.

        Returns
        -------
        X : ndarray or CSR matrix of shape (n_samples, n_columns)
            All columns.
        """
        check_is_fitted(self)
        X = self._check(X, reset=False)
        widths = self._schema.widths
        present = dict(X.items())
        if any(is_sparse(value) for value in present.values()):
            self._check_nothing_missing(X)
            return sp.hstack(list(present.values()), format="csr")
        dtype = np.result_type(*present.values())
        absent = {n: np.full((len(X), w), np.nan, dtype=dtype) for n, w in widths.items()}
        return np.concatenate([present.get(n, absent[n]) for n in widths], axis=1)

    def inverse_transform(self, X: Any) -> Any:
        """Split the columns again.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns)
            Such as `transform` returns, dense.

        Returns
        -------
        X : Modalities, DataFrame or ndarray
            In the form that X had in fit; rows that are NaN are missing.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If `X` has not as many columns as `transform` returns.
        """
        check_is_fitted(self)
        X, ids = self._schema.split_ids(X)
        X = as_array("X of ConcatModalities", X)
        ends = np.cumsum(list(self._schema.widths.values()))
        if X.ndim != 2 or X.shape[1] != ends[-1]:
            raise ValueError(f"Expected {ends[-1]} columns, got an array of shape {X.shape}.")
        blocks = np.split(X, ends[:-1], axis=1)
        return self._schema.restore(dict(zip(self._schema.names, blocks, strict=True)), ids)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the column names, ``modality__column``.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features_in_,), default=None
            Names to use instead, as a Pipeline hands them on.

        Returns
        -------
        names : ndarray of str
            One name per column.
        """
        check_is_fitted(self)
        if input_features is not None:
            return _check_feature_names_in(self, input_features)
        names = [f"{n}__{c}" for n, spec in self._schema.specs.items() for c in _columns(spec)]
        return np.array(names, dtype=object)

    def _check(self, X: Any, *, reset: bool) -> Modalities:
        return check_modalities(
            self,
            X,
            reset=reset,
            flatten=True,
            allow_partial=True,
            allow_empty_rows=True,
            accept_sparse=True,
            min_samples=1,
        )

    def _check_nothing_missing(self, X: Modalities) -> None:
        absent = [name for name in self.modality_names_in_ if name not in X]
        rows = [name for j, name in enumerate(X.names) if missing_mask(X)[:, j].any()]
        if absent or rows:
            raise ValueError(
                f"Modalities {absent + rows} are missing in some rows, which a sparse matrix "
                "cannot say. Make the sparse ones dense first, e.g. by "
                "PerModality({...: TruncatedSVD()})."
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.allow_nan = True
        return tags


class SelectModality(TransformerMixin, BaseEstimator):
    """Take one modality out of all, as it is stored.

    Rows in which it is missing are NaN if its values are floating; otherwise they are
    refused, since an integer, a string or a sparse matrix cannot say that it is missing.

    Parameters
    ----------
    modality : str
        Name of the modality.

    Attributes
    ----------
    modality_names_in_ : tuple of str
        Names of the modalities seen in fit.
    n_features_in_ : int
        Number of columns of all modalities.

    See Also
    --------
    ConcatModalities : Take all modalities.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm import Modalities
    >>> from skmm.compose import SelectModality
    >>> X = Modalities({"image": np.ones((2, 1)), "text": ["a", "b"]})
    >>> SelectModality("text").fit_transform(X)
    array(['a', 'b'], dtype='<U1')
    """

    def __init__(self, modality: str) -> None:
        self.modality = modality

    @fits_or_changes_nothing
    def fit(self, X: Any, y: Any = None) -> SelectModality:
        """Check that the modality is there.

        Parameters
        ----------
        X : Modalities, dict, or DataFrame with two column levels
            The data.
        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted transformer.
        """
        self._take(read_modalities(self, X, reset=True))
        return self

    def transform(self, X: Any) -> Any:
        """Return the modality.

        Parameters
        ----------
        X : Modalities, dict, or DataFrame with two column levels
            The data.

        Returns
        -------
        value : ndarray, CSR matrix, Series or DataFrame
            As stored, or as `set_output` says; arrays are read-only.
        """
        check_is_fitted(self)
        return in_library(self, self._take(read_modalities(self, X, reset=False)))

    def _is_table(self) -> bool:
        return not hasattr(self, "_schema") or len(self._schema.shapes[self.modality]) == 1

    @available_if(_is_table)
    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the column names, ``modality__column``; only a 2-D modality has them.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Ignored.

        Returns
        -------
        names : ndarray of str
            One name per column.
        """
        check_is_fitted(self)
        columns = _columns(self._schema.specs[self.modality])
        return np.array([f"{self.modality}__{c}" for c in columns], dtype=object)

    def _take(self, X: Modalities) -> Any:
        if not isinstance(self.modality, str):
            raise TypeError(f"modality= is the name of a modality, got {self.modality!r}.")
        if self.modality not in X:
            raise ValueError(f"X has no modality {self.modality!r}; it has {list(X.names)}.")
        value = X[self.modality]
        n_missing = int((~observed_rows(X, self.modality)).sum())
        if n_missing and not _can_hold_nan(value):
            raise ValueError(
                f"Modality {self.modality!r} is missing in {n_missing} rows, which its dtype "
                "cannot say. Drop these rows, or encode it with PerModality first."
            )
        return value

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.string = tags.input_tags.allow_nan = True
        return tags


def _columns(spec: Spec) -> list[Any]:
    if spec.is_series and spec.series_name is not None:
        return [spec.series_name]
    return list(range(spec.width) if spec.columns is None else spec.columns)


def _can_hold_nan(value: Any) -> bool:
    if is_sparse(value):
        return False
    dtypes = value.dtypes if isinstance(value, pd.DataFrame) else [value.dtype]
    return all(getattr(dtype, "kind", "O") == "f" for dtype in dtypes)
