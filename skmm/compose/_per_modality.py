"""A transformer for each modality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import TransformerMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch, _safe_indexing
from sklearn.utils._repr_html.estimator import _VisualBlock
from sklearn.utils._set_output import _safe_set_output
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    process_routing,
)
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import _check_method_params, check_is_fitted

from skmm._base import BaseEstimator, fits_or_changes_nothing
from skmm._modalities import Modalities, missing_mask, observed_rows, read_modalities, with_values
from skmm._modalities._ids import warn_of_other_rows
from skmm._modalities._kinds import check_kind, default_kind, is_number
from skmm._modalities._values import Value, hide_rows, n_columns, take_rows
from skmm.compose._placing import Mask, as_input, place, takes_text
from skmm.compose._steps import last_step


class PerModality(  # type: ignore[call-arg]
    TransformerMixin, _BaseComposition, BaseEstimator, auto_wrap_output_keys=None
):
    """Apply a transformer to each modality.

    Each transformer is fitted on the rows that have its modality; the other rows are
    handed on as missing. The output is always :class:`~skmm.Modalities`.

    N-D values (images) are flattened for transformers of 2-D data, and get their shape
    back if the width is unchanged. 1-D values become one column, unless the (first)
    transformer takes 1-D text. The kind of what comes out follows its dtype and rank, unless the
    (last) transformer has an attribute `output_kind`, as those of :mod:`skmm.preprocessing` do.

    Parameters
    ----------
    transformers : dict of str to transformer, or transformer
        One per modality; ``"passthrough"`` and ``"drop"`` are allowed. A single
        transformer is cloned for each modality. Parameters are nested:
        ``permodality__image__with_mean``.
    modalities : list of str, or dict of str to selector, default=None
        The modalities to use; or, for a flat array or DataFrame, the columns of each.
    remainder : {"passthrough", "drop"} or transformer, default="passthrough"
        What happens to modalities that a dict of `transformers` does not name. A
        transformer is cloned for each of them.

    Attributes
    ----------
    transformers_ : dict of str to transformer or {"passthrough", "drop"}
        The fitted transformers.
    modality_names_in_ : tuple of str
        Names of the modalities seen in fit.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names of a flat DataFrame, if all are strings.

    See Also
    --------
    ConcatModalities : Join the modalities into one array.
    sklearn.compose.ColumnTransformer : The same for columns of one array.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skmm import Modalities
    >>> from skmm.compose import PerModality
    >>> X = Modalities({"a": np.array([[1.0], [3.0], [np.nan]]), "b": np.eye(3)})
    >>> PerModality({"a": StandardScaler()}).fit_transform(X)["a"]
    array([[-1.],
           [ 1.],
           [nan]])
    """

    def __init__(
        self,
        transformers: Any,
        *,
        modalities: Sequence[str] | Mapping[str, Any] | None = None,
        remainder: Any = "passthrough",
    ) -> None:
        self.transformers = transformers
        self.modalities = modalities
        self.remainder = remainder

    @fits_or_changes_nothing
    def fit(self, X: Any, y: Any = None, **params: Any) -> PerModality:
        """Fit each transformer on the rows that have its modality.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like of shape (n_samples, n_columns)
            The data.
        y : array-like of shape (n_samples,), default=None
            Passed on to the transformers.
        **params : dict
            Metadata such as `sample_weight`, for the transformers that request it. Needs
            ``sklearn.set_config(enable_metadata_routing=True)``.

        Returns
        -------
        self : object
            Fitted transformer.
        """
        _raise_for_params(params, self, "fit")
        self._fit_transform(X, y, process_routing(self, "fit", **params))
        return self

    @fits_or_changes_nothing
    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Modalities:
        """Fit each transformer and transform its modality.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like of shape (n_samples, n_columns)
            The data.
        y : array-like of shape (n_samples,), default=None
            Passed on to the transformers.
        **params : dict
            Metadata for the transformers that request it.

        Returns
        -------
        X : Modalities
            The transformed modalities.
        """
        _raise_for_params(params, self, "fit_transform")
        return self._fit_transform(X, y, process_routing(self, "fit_transform", **params))

    def transform(self, X: Any) -> Modalities:
        """Transform each modality.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like of shape (n_samples, n_columns)
            The data. Modalities may be absent, and are absent from the output then.

        Returns
        -------
        X : Modalities
            The transformed modalities.
        """
        check_is_fitted(self)
        X = read_modalities(self, X, reset=False)

        def transform_one(name: str, observed: Mask) -> Any:
            if not observed.any():
                return self._blank[name]
            return self.transformers_[name].transform(self._input(X, name, observed))

        return self._apply(X, transform_one)

    def inverse_transform(self, X: Any) -> Modalities:
        """Take each modality back to what it was before `transform`.

        Parameters
        ----------
        X : Modalities, dict, or DataFrame with two column levels
            Transformed modalities; any subset.

        Returns
        -------
        X : Modalities
            The same modalities, with the shapes and columns of fit; images in the size that
            :class:`~skmm.preprocessing.ImageScaler` gave them.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If `X` has modalities that `transform` does not return.
        """
        check_is_fitted(self)
        X = Modalities.from_frame(X) if hasattr(X, "columns") else Modalities(X)
        kept = [name for name, transformer in self.transformers_.items() if _is_kept(transformer)]
        unknown = [name for name in X.names if name not in kept]
        if unknown:
            raise ValueError(f"Unknown modalities {unknown}; the transformed ones are {kept}.")
        values = {name: self._invert(X, name) for name in X.names}
        kinds = self._schema.kinds_of(values)
        for name, value in values.items():
            if value.shape[1:] != self._schema.shapes[name]:
                kinds[name] = default_kind(value)
        return with_values(X, values, kinds=kinds)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the column names of the flattened output, ``modality__column``.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Ignored; the names follow from the transformers.

        Returns
        -------
        names : ndarray of str
            Names over all modalities.
        """
        check_is_fitted(self)
        names = [f"{name}__{c}" for name in self._blank for c in self._columns_out(name)]
        return np.array(names, dtype=object)

    def set_output(self, *, transform: str | None = None) -> PerModality:
        """Configure the output of the inner transformers; this one returns Modalities.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            As in scikit-learn. Text vectorizers, which return sparse matrices only, are
            left as they are.

        Returns
        -------
        self : object
            This transformer.
        """
        fitted = getattr(self, "transformers_", {})
        for transformer in (*self._given().values(), *fitted.values()):
            _configure_output(transformer, transform)
        return self

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, with `deep` also those of the inner transformers.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include inner transformers.

        Returns
        -------
        params : dict
            Names and values.
        """
        return self._get_params("_named", deep=deep)

    def set_params(self, **params: Any) -> PerModality:
        """Set parameters; ``image=...`` replaces a transformer, ``image__k=...`` its parameter.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self : object
            This transformer.
        """
        if "transformers" in params:
            self.transformers = params.pop("transformers")
        self._set_params("_named", **params)
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        """Return which metadata the inner transformers request.

        Returns
        -------
        routing : MetadataRouter
            One entry per inner transformer.
        """
        router = MetadataRouter(owner=self)
        for name, transformer in self._given().items():
            router.add(**{name: transformer}, method_mapping=_method_mapping(transformer))
        return router

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.string = tags.input_tags.allow_nan = True
        return tags

    def _sk_visual_block_(self) -> _VisualBlock:
        fitted = getattr(self, "transformers_", None)
        items = self._given() if fitted is None else fitted
        return _VisualBlock("parallel", list(items.values()), names=list(items))

    @property
    def _named(self) -> list[tuple[str, Any]]:
        """The mapping as the list of pairs that _BaseComposition works with."""
        return list(self.transformers.items()) if isinstance(self.transformers, Mapping) else []

    @_named.setter
    def _named(self, pairs: list[tuple[str, Any]]) -> None:
        self.transformers = dict(pairs)

    def _given(self) -> dict[str, Any]:
        """Return the unfitted transformers by the name of modality or parameter."""
        if isinstance(self.transformers, Mapping):
            return {**self.transformers, "remainder": self.remainder}
        return {"transformers": self.transformers}

    def _fit_transform(self, X: Any, y: Any, routed: Bunch) -> Modalities:
        self._check_transformers()
        warn_of_other_rows(X, y=y)
        X = read_modalities(self, X, reset=True)
        chosen = self._choose(X.names)
        self.transformers_ = {name: chosen[name][1] for name in X.names}

        def fit_transform_one(name: str, observed: Mask) -> Any:
            if not observed.any():
                raise ValueError("it is missing in every row of the training data.")
            rows = np.flatnonzero(observed)
            y_rows = y if y is None or observed.all() else _safe_indexing(y, rows)
            params = {
                method: _check_method_params(X, given, rows)
                for method, given in routed.get(chosen[name][0], {}).items()
            }
            inner = self._input(X, name, observed)
            return _fit_transform_one(self.transformers_[name], inner, y_rows, params)

        out = self._apply(X, fit_transform_one)
        one = np.array([True])
        self._blank = {name: hide_rows(v, one) for name, v in out[:1]._values.items()}
        return out

    def _check_transformers(self) -> None:
        self._validate_names([name for name, _ in self._named])
        for transformer in self._given().values():
            if isinstance(transformer, str) and transformer in ("passthrough", "drop"):
                continue
            if isinstance(transformer, type) or not (
                hasattr(transformer, "fit") and hasattr(transformer, "transform")
            ):
                raise TypeError(
                    "PerModality takes transformers (instances with fit and transform), "
                    f"'passthrough' or 'drop', got {transformer!r}."
                )

    def _choose(self, names: Sequence[str]) -> dict[str, tuple[str, Any]]:
        """Return for each modality the parameter it comes from and an unfitted clone."""
        unknown = [name for name, _ in self._named if name not in names]
        if unknown:
            raise ValueError(f"transformers= names unknown modalities {unknown}; X has {names}.")
        given = self._given()
        default = "remainder" if "remainder" in given else "transformers"
        sources = {name: name if name in given else default for name in names}
        return {name: (key, clone(given[key], safe=False)) for name, key in sources.items()}

    def _apply(self, X: Modalities, transform_one: Any) -> Modalities:
        """Transform the observed rows of each modality and put them back in their places."""
        values, kinds, columns = {}, {}, []
        for j, name in enumerate(X.names):
            if not _is_kept(self.transformers_[name]):
                continue
            observed = ~missing_mask(X)[:, j]
            columns.append(j)
            if isinstance(self.transformers_[name], str):
                values[name], kinds[name] = X._values[name], X._kinds[name]
                continue
            with _naming(name):
                out = transform_one(name, observed)
            values[name] = place(name, out, X._values[name], observed)
            kinds[name] = self._kind_out(X, name, values[name], observed)
        if not values:
            raise ValueError(f"PerModality drops every modality of {list(X.names)}.")
        return with_values(X, values, kinds=kinds, mask=missing_mask(X)[:, columns])

    def _input(self, X: Modalities, name: str, observed: Mask) -> Any:
        value = X[name]
        value = value if observed.all() else take_rows(value, np.flatnonzero(observed))
        return as_input(value, self.transformers_[name])

    def _kind_out(self, X: Modalities, name: str, value: Value, observed: Mask) -> str:
        """Return the kind that the transformer declares, else that of its input or output."""
        if declared := getattr(last_step(self.transformers_[name]), "output_kind", None):
            check_kind(name, value, declared, ~observed)
            return declared
        same = value.shape[1:] == X._values[name].shape[1:] and is_number(value)
        return X._kinds[name] if same and value.ndim > 2 else default_kind(value)

    def _invert(self, X: Modalities, name: str) -> Value:
        transformer, spec = self.transformers_[name], self._schema.specs[name]
        value, observed = X._values[name], observed_rows(X, name)
        if isinstance(transformer, str):
            return value
        with _naming(name):
            rows: Any = take_rows(value, np.flatnonzero(observed))
            is_table = not takes_text(last_step(transformer))
            out = transformer.inverse_transform(as_input(rows, None) if is_table else rows)
            n_rows, n_out = (out.shape[0], n_columns(out)) if hasattr(out, "shape") else (0, 0)
            is_as_in_fit = n_out == spec.width
            # Images come back from images, but neither paths nor the sizes that they had.
            if n_rows != observed.sum() or not (is_as_in_fit or takes_text(transformer)):
                raise ValueError(
                    f"inverse_transform of {type(transformer).__name__} does not give back the "
                    f"{spec.width} columns of fit."
                )
        out = out.toarray() if hasattr(out, "toarray") else out
        out = spec.restore(out) if is_as_in_fit else out
        return place(name, out, value, observed)

    def _columns_out(self, name: str) -> Sequence[Any]:
        transformer = self.transformers_[name]
        try:
            return transformer.get_feature_names_out()
        except AttributeError:  # passthrough, or a transformer without names
            value = self._blank[name]
            return list(getattr(value, "columns", range(n_columns(value))))


def _fit_transform_one(transformer: Any, X: Any, y: Any, params: Mapping[str, Any]) -> Any:
    if hasattr(transformer, "fit_transform"):
        return transformer.fit_transform(X, y, **params.get("fit_transform", {}))
    return transformer.fit(X, y, **params.get("fit", {})).transform(X)


def _method_mapping(transformer: Any) -> MethodMapping:
    callee = "fit_transform" if hasattr(transformer, "fit_transform") else "fit"
    mapping = MethodMapping()
    return mapping.add(caller="fit", callee=callee).add(caller="fit_transform", callee=callee)


def _is_kept(transformer: Any) -> bool:
    return not (isinstance(transformer, str) and transformer == "drop")


def _configure_output(transformer: Any, transform: str | None) -> None:
    if isinstance(transformer, str):
        return
    try:
        _safe_set_output(transformer, transform=transform)
    except ValueError:  # a text vectorizer has no set_output; what follows it in a Pipeline has
        if isinstance(transformer, Pipeline):
            _configure_output(transformer.steps[-1][1], transform)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Say in which modality a transformer failed."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if type(error) not in (ValueError, TypeError):
            raise
        raise type(error)(f"Modality {name!r}: {error}") from error
