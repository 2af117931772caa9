"""Empty cells: filled from the training rows, and marked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import TransformerMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skmm._base import BaseEstimator, fits_or_changes_nothing
from skmm._modalities import Modalities, read_modalities
from skmm._modalities._values import PANDAS, flat_array, is_lazy, is_sparse

Array = NDArray[Any]
STRATEGIES = ("median", "mean")
_NUMBERS = ("numeric", "binary", "count", "image")


class GapFiller(  # type: ignore[call-arg]
    TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Fill the empty cells of modalities of numbers, and say in further columns where they were.

    The values come from the rows of fit alone. Behind the columns of a modality stands an
    indicator (1 where a cell was empty) for each column that had gaps in fit; columns that were
    empty in the same rows share one. Images get no indicator.

    Parameters
    ----------
    strategy : {"median", "mean"}, default="median"
        The value that is filled in: the median or mean of the column; in modalities of the kinds
        ``"binary"`` and ``"count"`` always the lower median, which is a value of the data; 0 where
        a column was empty in every row.
    whole_rows : bool, default=True
        Whether rows that lack a whole modality are filled, too. False leaves them missing.

    Attributes
    ----------
    fill_values_ : dict of str to ndarray
        Values that are filled in, by modality, for those that had gaps or may get some.
    modality_names_in_ : tuple of str
        Names of the modalities seen in fit.
    n_features_in_ : int
        Number of columns of all modalities.

    See Also
    --------
    skmm.compose.PerModality : Applies a transformer such as scikit-learn's ``SimpleImputer`` to
        the rows that have a modality.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm import Modalities
    >>> from skmm.benchmark import GapFiller
    >>> X = Modalities({"a": np.array([[1.0, 5.0], [np.nan, 5.0], [3.0, 5.0], [8.0, 5.0]])})
    >>> GapFiller().fit_transform(X)["a"]
    array([[1., 5., 0.],
           [3., 5., 1.],
           [3., 5., 0.],
           [8., 5., 0.]])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "strategy": [StrOptions(set(STRATEGIES))],
        "whole_rows": ["boolean"],
    }

    def __init__(self, strategy: str = "median", *, whole_rows: bool = True) -> None:
        self.strategy = strategy
        self.whole_rows = whole_rows

    @_fit_context(prefer_skip_nested_validation=True)
    @fits_or_changes_nothing
    def fit(self, X: Any, y: Any = None) -> GapFiller:
        """Learn the values to fill in, and which columns have gaps.

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
        X = read_modalities(self, X, reset=True)
        self.fill_values_: dict[str, Array] = {}
        self._marked: dict[str, Array] = {}  # the columns that say where the gaps were
        for name in filter(lambda name: _holds_numbers(X, name), X.names):
            values, missing = _cells(X, name)
            kept = values if self.whole_rows else values[~missing]
            self._marked[name] = _with_gaps(kept)
            self.fill_values_[name] = _centre(values, self._strategy(X.kinds[name]))
        return self

    def transform(self, X: Any) -> Modalities:
        """Fill the gaps.

        Parameters
        ----------
        X : Modalities, dict, or DataFrame with two column levels
            The data. Modalities may be absent, and are absent from the output then.

        Returns
        -------
        X : Modalities
            Modalities without gaps in fit and here are as they were.
        """
        check_is_fitted(self)
        X = read_modalities(self, X, reset=False)
        values, missing = dict(X.items()), X.missing
        for name in filter(self.fill_values_.__contains__, X.names):
            cells, _ = _cells(X, name)
            if self._marked[name].size or np.isnan(cells).any():
                values[name] = self._filled(name, cells, X[name].shape[1:])
            if self.whole_rows:
                missing[name] = False
        return Modalities(values, missing=missing, kinds=X.kinds)._with_ids(X._ids)

    def inverse_transform(self, X: Any) -> Modalities:
        """Take the indicators away; filled cells stay filled.

        Parameters
        ----------
        X : Modalities, dict, or DataFrame with two column levels
            Filled modalities; any subset.

        Returns
        -------
        X : Modalities
            The same modalities, with the columns of fit.
        """
        check_is_fitted(self)
        X = Modalities.from_frame(X) if hasattr(X, "columns") else Modalities(X)
        values = {n: self._without_marks(n, value) for n, value in X.items()}
        return Modalities(values, missing=X.missing, kinds=X.kinds)._with_ids(X._ids)

    def _strategy(self, kind: str) -> str:
        return "observed" if kind in ("binary", "count") else self.strategy

    def _filled(self, name: str, cells: Array, shape: tuple[int, ...]) -> Array:
        gaps = np.isnan(cells)
        filled = np.where(gaps, self.fill_values_[name].astype(cells.dtype), cells)
        marks = gaps[:, self._marked[name]].astype(cells.dtype)
        return filled.reshape(-1, *shape) if len(shape) > 1 else np.hstack([filled, marks])

    def _without_marks(self, name: str, value: Any) -> Any:
        if not len(self._marked.get(name, ())):
            return value
        return np.asarray(value)[:, : len(self.fill_values_[name])]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def has_gaps(X: Modalities) -> bool:
    """Return whether a row lacks a modality or a part of one."""
    names = [name for name in X.names if _holds_numbers(X, name)]
    return bool(X.missing.to_numpy().any() or any(np.isnan(_cells(X, n)[0]).any() for n in names))


def _holds_numbers(X: Modalities, name: str) -> bool:
    value = X[name]
    return X.kinds[name] in _NUMBERS and not is_sparse(value) and not is_lazy(value)


def _cells(X: Modalities, name: str) -> tuple[Array, NDArray[np.bool_]]:
    """Return a modality as a table of floats, NaN where a cell is empty; the rows that lack it."""
    missing = X.missing[name].to_numpy()
    cells = flat_array(_floats(X[name]))
    return np.where(missing[:, None], cells.dtype.type(np.nan), cells), missing


def _floats(value: Any) -> Array:
    if isinstance(value, PANDAS):
        return np.asarray(value.to_numpy(dtype=float, na_value=np.nan))
    return value if value.dtype.kind == "f" else value.astype(float)


def _with_gaps(cells: Array) -> NDArray[np.intp]:
    """Return the columns that are empty in some rows, one for all that are in the same."""
    gaps = np.isnan(cells)
    some = np.flatnonzero(gaps.any(axis=0) & ~gaps.all(axis=0))
    _, first = np.unique(gaps[:, some], axis=1, return_index=True)
    return some[np.sort(first)]


def _centre(cells: Array, strategy: str) -> Array:
    """Return median, mean or lower median of the cells that are there; 0 where none is."""
    filled = np.where(np.isnan(cells).all(axis=0), 0.0, cells)
    if strategy == "mean":
        return np.asarray(np.nanmean(filled, axis=0))
    method: Any = "inverted_cdf" if strategy == "observed" else "linear"
    return np.asarray(np.nanquantile(filled, 0.5, axis=0, method=method))
