"""From modalities to one array: all of them side by side, or one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skmm._base import BaseEstimator, fits_or_changes_nothing
from skmm._modalities import (
    Modalities,
    check_modalities,
    observed_rows,
    read_modalities,
)
from skmm._modalities._output import TransformerMixin, in_library
from skmm._modalities._schema import Spec
from skmm._modalities._values import as_array, is_sparse
from skmm.compose._indicators import Places, indicators, missing_places, with_gaps_again


class ConcatModalities(TransformerMixin, BaseEstimator):
    """Join all modalities into one 2-D array: early fusion.

    Images are flattened. A missing modality is NaN, which a later step must impute or
    accept. If any modality is sparse, the result is a CSR matrix; it cannot tell missing
    from zero, so nothing may be missing then without an indicator.

    Parameters
    ----------
    add_indicator : bool, default=False
        Whether columns are appended that say what was missing, as in
        :class:`~sklearn.impute.SimpleImputer`: 1 where a row lacks a modality, for each modality
        that was missing in some rows of `fit`, and 1 where an entry is NaN, for each column with
        gaps in rows of `fit` that had its modality. What had no gaps in `fit` gets no column.
        With it, sparse modalities may be missing: they are zero in such rows.

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

    A linear model learns what it means that a modality is missing:

    >>> from sklearn.impute import SimpleImputer
    >>> from sklearn.pipeline import make_pipeline
    >>> holes = X.with_missing("b", [0])
    >>> pipe = make_pipeline(ConcatModalities(add_indicator=True), SimpleImputer())
    >>> pipe.fit_transform(holes)
    array([[1., 0., 0., 1.],
           [1., 0., 0., 0.]])
    >>> pipe[0].get_feature_names_out()[-1]
    'missingindicator_b'
    """

    _parameter_constraints: dict[str, list[Any]] = {"add_indicator": ["boolean"]}

    def __init__(self, *, add_indicator: bool = False) -> None:
        self.add_indicator = add_indicator

    @_fit_context(prefer_skip_nested_validation=True)
    @fits_or_changes_nothing
    def fit(self, X: Any, y: Any = None) -> ConcatModalities:
        """Learn names and widths, and with `add_indicator` what has gaps.

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
        X = self._check(X, reset=True)
        self._places: dict[str, Places] = {}  # of gaps that have an indicator
        self._sparse: list[str] = []
        if self.add_indicator:
            self._places = {n: missing_places(v, ~observed_rows(X, n)) for n, v in X.items()}
            self._sparse = [name for name, value in X.items() if is_sparse(value)]
        return self

    def transform(self, X: Any) -> Any:
        """Put the modalities side by side, in the order of fit; indicators come last.

        Parameters
        ----------
        X : Modalities, dict, or DataFrame with two column levels
            The data. An absent modality is missing in every row.

        Returns
        -------
        X : ndarray or CSR matrix of shape (n_samples, n_columns)
            All columns.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If a modality is sparse and one is missing that has no indicator, or `X` does not fit
            the data of `fit`.
        """
        check_is_fitted(self)
        X = self._check(X, reset=False)
        missing = {n: ~observed_rows(X, n) if n in X else True for n in self._schema.names}
        dtype = np.result_type(*(value.dtype for value in X.values()))
        values = {n: X[n] if n in X else self._absent(n, len(X), dtype) for n in missing}
        marks = [
            indicators(values[n], np.broadcast_to(missing[n], len(X)), places).astype(dtype)
            for n, places in self._places.items()
        ]
        blocks: Any = [*values.values(), *marks]
        if any(map(is_sparse, blocks)):
            self._check_nothing_hidden(missing)
            return sp.hstack(blocks, format="csr")
        return np.concatenate(blocks, axis=1)

    def inverse_transform(self, X: Any) -> Any:
        """Split the columns again; what indicators mark as missing is missing again.

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
        widths = [*self._schema.widths.values(), *map(len, self._places.values())]
        if X.ndim != 2 or X.shape[1] != sum(widths):
            raise ValueError(f"Expected {sum(widths)} columns, got an array of shape {X.shape}.")
        blocks = np.split(X, np.cumsum(widths)[:-1], axis=1)
        values = dict(zip(self._schema.names, blocks, strict=False))
        marks = blocks[len(values) :]
        for (name, places), marked in zip(self._places.items(), marks, strict=True):
            values[name] = with_gaps_again(values[name], marked > 0.5, places)
        return self._schema.restore(values, ids)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the column names, ``modality__column``, and those of indicators.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features_in_,), default=None
            Names to use instead for the columns of modalities, as a Pipeline hands them on.

        Returns
        -------
        names : ndarray of str
            One name per column. Indicators are called ``missingindicator_modality`` and
            ``missingindicator_modality__column``.
        """
        check_is_fitted(self)
        columns = {n: [f"{n}__{c}" for c in columns_of(s)] for n, s in self._schema.specs.items()}
        names = [name for of_one in columns.values() for name in of_one]
        if input_features is not None:
            names = list(_check_feature_names_in(self, input_features))
        marks = [[n, *columns[n]][place] for n, at in self._places.items() for place in at]
        return np.array([*names, *(f"missingindicator_{m}" for m in marks)], dtype=object)

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

    def _absent(self, name: str, n_samples: int, dtype: Any) -> Any:
        shape = n_samples, self._schema.widths[name]
        if name in self._sparse:
            return sp.csr_matrix(shape, dtype=dtype)
        return np.full(shape, np.nan, dtype=dtype)

    def _check_nothing_hidden(self, missing: Mapping[str, Any]) -> None:
        """Refuse gaps that a sparse matrix would hide: nothing says where they are."""
        hidden = [
            n for n, rows in missing.items() if np.any(rows) and 0 not in self._places.get(n, ())
        ]
        if hidden:
            raise ValueError(
                f"Modalities {hidden} are missing in some rows, which a sparse matrix "
                "cannot say. Make the sparse ones dense first, e.g. by "
                "PerModality({...: TruncatedSVD()}); or fit ConcatModalities(add_indicator=True) "
                "to data in which they are missing, too."
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
        columns = columns_of(self._schema.specs[self.modality])
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


def columns_of(spec: Spec) -> list[Any]:
    """Return what the columns of a modality are called, or their numbers."""
    if spec.is_series and spec.series_name is not None:
        return [spec.series_name]
    return list(range(spec.width) if spec.columns is None else spec.columns)


def _can_hold_nan(value: Any) -> bool:
    if is_sparse(value):
        return False
    dtypes = value.dtypes if isinstance(value, pd.DataFrame) else [value.dtype]
    return all(getattr(dtype, "kind", "O") == "f" for dtype in dtypes)
