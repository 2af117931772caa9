"""Gaps filled by the linear conditional mean, so that any estimator can follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import TransformerMixin, _fit_context
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skmm._base import BaseEstimator, fits_or_changes_nothing
from skmm._gaussian._distribution import Gaussian, fit_gaussian
from skmm._gaussian._mosaic import warn_of_pairs
from skmm._gaussian._patterns import side_by_side
from skmm._modalities import Modalities, check_modalities, observed_rows
from skmm._modalities._check import check_weight
from skmm._modalities._columns import column_statistics
from skmm._modalities._ids import warn_of_other_rows
from skmm._modalities._output import in_container
from skmm._modalities._polars import as_given, as_pandas
from skmm._modalities._schema import COLUMNS, PLAIN
from skmm._modalities._values import Array
from skmm.compose._indicators import Places, indicators, missing_places
from skmm.compose._joining import columns_of

MARKS = "missingindicator"  # as scikit-learn calls them


class GaussianImputer(  # type: ignore[call-arg]
    TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Fill missing modalities and single entries with their linear expectation given the rest.

    All columns are taken to be jointly normal. Mean and covariance are those that make the observed
    entries of all rows likeliest (expectation-maximisation), shrunk as is best for predicting each
    modality from the others (generalised cross-validation, in closed form). What a row lacks is
    then its expectation given all that the row has, so that any estimator can follow in a Pipeline.

    Parameters
    ----------
    modalities : list of str, or dict of str to selector, default=None
        The modalities to use, others are left out; or, for a flat array or DataFrame, the columns
        of each, others are handed on as they are. A flat array without it is one modality.
    add_indicator : bool, default=False
        Whether columns are added that say what was missing, as :class:`ConcatModalities` does: for
        each modality that was missing in some rows of `fit`, and for each column with gaps in rows
        of `fit` that had its modality. They are a modality ``"missingindicator"`` of `X` with named
        modalities, and the last columns of other `X`.

    Attributes
    ----------
    means_ : dict of str to ndarray
        Estimated mean of each column, flattened.
    shrinkage_ : dict of str to float
        Share of the diagonal in the covariance with which each modality is filled.
    modality_names_in_ : tuple of str
        Names of the modalities seen in fit.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names of a flat DataFrame, if all are strings.

    See Also
    --------
    ConcatModalities : Join the filled modalities into one array.
    skmm.GroupFactorAnalysis : Fills by factors that it shows; draws, too.
    sklearn.impute.IterativeImputer : Fills column by column.

    Notes
    -----
    Labels are refused: encode them first, by :class:`PerModality`. Binary columns, counts and
    images are taken as numbers, and get fractions. A row that has nothing gets the means.

    Means have too little spread: what follows takes what is filled in for observed unless
    indicators tell it, and no standard error knows of it.

    References
    ----------
    A. P. Dempster, N. M. Laird and D. B. Rubin, "Maximum likelihood from incomplete data via the EM
    algorithm", Journal of the Royal Statistical Society B 39 (1977).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmm import Modalities
    >>> from skmm.compose import ConcatModalities, GaussianImputer
    >>> z = np.random.default_rng(0).standard_normal((100, 1))
    >>> X = Modalities({"a": z + 1.0, "b": 2.0 * z}).with_missing("b", [0, 1])
    >>> GaussianImputer().fit_transform(X)["b"][:2].round(2) == (2.0 * z[:2]).round(2)
    array([[ True],
           [ True]])
    >>> pipe = make_pipeline(GaussianImputer(), ConcatModalities(), LogisticRegression())
    >>> pipe.fit(X, z[:, 0] > 0).score(X, z[:, 0] > 0) > 0.95
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "modalities": [dict, list, tuple, None],
        "add_indicator": ["boolean"],
    }

    def __init__(
        self,
        *,
        modalities: Sequence[str] | Mapping[str, Any] | None = None,
        add_indicator: bool = False,
    ) -> None:
        self.modalities = modalities
        self.add_indicator = add_indicator

    @_fit_context(prefer_skip_nested_validation=True)
    @fits_or_changes_nothing
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Estimate mean and covariance.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Numbers, in any of the forms of :func:`skmm.check_modalities`. Modalities may be missing
            in rows, and single entries may be NaN.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row; an integer is a number of repetitions.

        Returns
        -------
        self : GaussianImputer
            Fitted transformer.

        Raises
        ------
        ValueError
            If the data are not usable (the message names the modality).
        """
        warn_of_other_rows(X, sample_weight=sample_weight)
        X = self._check(X, reset=True)
        weight = check_weight(sample_weight, len(X), dtype=np.float64, ensure_non_negative=True)
        known = column_statistics(X, self._schema, weight)
        if not any(columns.varies.any() for columns in known.values()):
            raise ValueError(f"All columns of {X.names!r} are constant: there is nothing to learn.")
        warn_of_pairs(X.names, ~X.missing.to_numpy()[weight > 0])
        blocks = side_by_side(list(self._schema.widths.values()))
        self._gaussian: Gaussian = fit_gaussian(self._rows(X), blocks, weight)
        self._columns = known
        self.means_ = self._by_modality(self._gaussian.mean)
        self.shrinkage_ = dict(zip(X.names, self._gaussian.shrinkages, strict=True))
        self._places: dict[str, Places] = {}
        if self.add_indicator:
            self._check_name()
            self._places = {n: missing_places(v, ~observed_rows(X, n)) for n, v in X.items()}
        return self

    def transform(self, X: Any) -> Any:
        """Fill what is missing.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`. An absent modality is missing in every row.

        Returns
        -------
        X : Modalities, DataFrame or ndarray
            In the form of `X`, a dict as Modalities. What was there is untouched.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If `X` does not fit the data of `fit`.
        """
        check_is_fitted(self)
        given, checked = as_pandas(X), self._check(X, reset=False)
        parts = self._by_modality(self._gaussian.complete(self._rows(checked)))
        dtype = np.result_type(*(checked[name].dtype for name in checked.names))
        filled = self._schema.fill(
            given, None, {n: self._columns[n].in_type(part, dtype) for n, part in parts.items()}
        )
        filled = self._used(filled)
        if any(map(len, self._places.values())):
            filled = self._with_marks(filled, self._marks(checked))
        if not self._is_flat or _get_output_config("transform", self)["dense"] == "default":
            return as_given(filled, X)
        names = list(self.get_feature_names_out())
        named = filled.set_axis(names, axis=1) if isinstance(filled, pd.DataFrame) else filled
        return in_container(self, X, named, names)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the column names; of named modalities ``modality__column``.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features_in_,), default=None
            Names to use instead for the columns of a flat array, as a Pipeline hands them on.

        Returns
        -------
        names : ndarray of str
            One name per column, of all modalities side by side. Indicators come last.
        """
        check_is_fitted(self)
        if self._is_flat:
            names = list(_check_feature_names_in(self, input_features))
            marks = [f"{MARKS}_{name}" for name in self._mark_names()]
        else:
            specs = self._schema.specs.items()
            names = [f"{name}__{column}" for name, spec in specs for column in columns_of(spec)]
            marks = [f"{MARKS}__{name}" for name in self._mark_names()]
        return np.array([*names, *marks], dtype=object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose the container of flat arrays and frames; named modalities stay as they are.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            As in scikit-learn; ``"default"`` is the form of `X`.

        Returns
        -------
        self : GaussianImputer
            This transformer.
        """
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    @property
    def _is_flat(self) -> bool:
        return self._schema.form in (COLUMNS, PLAIN)

    def _check(self, X: Any, *, reset: bool) -> Modalities:
        return check_modalities(
            self, X, reset=reset, flatten=True, allow_partial=True, allow_empty_rows=True
        )

    def _check_name(self) -> None:
        if MARKS in self._schema.names:
            raise ValueError(
                f"X has a modality {MARKS!r} already: rename it, or take add_indicator=False."
            )

    def _rows(self, X: Modalities) -> Array:
        """Return the columns of all modalities (n, d), NaN where missing."""
        parts = [
            np.asarray(X[name], dtype=np.float64) if name in X else np.full((len(X), width), np.nan)
            for name, width in self._schema.widths.items()
        ]
        return np.hstack(parts)

    def _by_modality(self, values: Array) -> dict[str, Array]:
        """Return the columns (..., d) of each modality."""
        ends = np.cumsum(list(self._schema.widths.values()))[:-1]
        return dict(zip(self._schema.names, np.split(values, ends, axis=-1), strict=True))

    def _used(self, filled: Any) -> Any:
        """Leave out the modalities that are not used."""
        if isinstance(filled, Modalities):
            return filled.select(self._schema.names)
        if self._is_flat:
            return filled
        return filled[list(self._schema.names)]

    def _marks(self, X: Modalities) -> Array:
        """Return what is missing at the places that have an indicator, (n, n_places)."""
        parts, rows = self._by_modality(self._rows(X)), len(X)
        missing = {n: ~observed_rows(X, n) if n in X else np.ones(rows, bool) for n in parts}
        return np.hstack([indicators(parts[n], missing[n], at) for n, at in self._places.items()])

    def _mark_names(self) -> list[str]:
        """Return what the indicators are of: a modality, or one of its columns."""
        found = []
        for name, at in self._places.items():
            columns = [f"{name}__{column}" for column in columns_of(self._schema.specs[name])]
            found += [[name, *columns][place] for place in at]
        return found

    def _with_marks(self, filled: Any, marks: Array) -> Any:
        names = self._mark_names()
        if isinstance(filled, Modalities):
            frame = filled._ids.put_on(pd.DataFrame(marks, columns=names))
            values = {**dict(filled.items()), MARKS: frame}
            return Modalities(values, kinds=filled.kinds)._with_ids(filled._ids)
        if not isinstance(filled, pd.DataFrame):
            return np.hstack([filled, marks.astype(filled.dtype)])
        labels: Any = [f"{MARKS}_{name}" for name in names]
        if not self._is_flat:
            labels = pd.MultiIndex.from_product([[MARKS], names])
        frame = pd.DataFrame(marks.astype(float), filled.index, labels)
        return pd.concat([filled, frame], axis=1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
