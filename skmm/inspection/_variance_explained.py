"""How much of each modality the components of a model with decoders account for."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skmm._modalities import Modalities, check_modalities
from skmm._modalities._output import arrays_only
from skmm.inspection._fitted import fitted_step, sliceable
from skmm.metrics import r2_per_modality

Array = np.ndarray
NUMBERS = ("numeric", "binary", "count", "image")


def variance_explained(estimator: Any, X: Any, y: Any = None) -> pd.DataFrame:
    """Compute the share of each modality's variance that each component explains.

    Parameters
    ----------
    estimator : estimator, Pipeline or search that ends in one
        Fitted; with `transform` and `inverse_transform`. With a pipeline, the modalities are
        those that its last step sees.
    X : Modalities, dict, DataFrame or array-like
        Rows to compute on. Those that lack a modality do not count for it, nor do NaN entries.
    y : None
        Ignored: for a plain array `inverse_transform` gives `X` alone.

    Returns
    -------
    table : DataFrame of shape (n_components + 1, n_modalities)
        R², at most 1. Indexed by "component", the columns of what `transform` gives from 0, then
        "all", of all of them together. One column per modality of numbers that is in `X`; labels
        and tokens are left out. The modality of a plain array is called "X".

    Raises
    ------
    NotFittedError
        If `estimator` is not fitted.
    TypeError
        If it has no decoders.
    ValueError
        If `X` does not fit the data of `fit`, or has no modality of numbers.

    See Also
    --------
    VarianceExplainedDisplay : The table as a drawing.
    skmm.metrics.r2_per_modality : R² of any predictions.

    Notes
    -----
    ``1 - sum (x - x_k)² / sum (x - mean)²`` over the entries of a modality, so that its columns
    weigh by their variance. x_k is what `inverse_transform` makes of the codes of these rows in
    which all components but k are replaced by their means over these rows; "all" takes the codes
    as they are. The mean is that of the training rows (`means_`), or of these rows if the
    estimator does not keep it.

    If decoders are linear and components uncorrelated on the training rows, as in factor analysis,
    where the table is customary [1]_, the components add up to "all" on those rows. They do not if
    components share what they explain, or interact in a network: then a component by itself may
    even be worse than the mean, below 0.

    References
    ----------
    .. [1] R. Argelaguet et al. (2018). Multi-Omics Factor Analysis: a framework for unsupervised
       integration of multi-omics data sets. Molecular Systems Biology 14, e8124.

    Examples
    --------
    >>> from skmm import CCA
    >>> from skmm.datasets import load_digits_halves
    >>> from skmm.inspection import variance_explained
    >>> X = load_digits_halves().data
    >>> table = variance_explained(CCA(n_components=3, shrinkage=0.5).fit(X), X)
    >>> list(table.index), list(table)
    ([0, 1, 2, 'all'], ['left', 'right'])
    >>> bool((table.loc["all"] > table.loc[0]).all())
    True
    """
    model, inner = fitted_step(estimator, sliceable(X))
    check_decodes(model)
    with arrays_only():
        Z = np.asarray(model.transform(inner))
    found = read_modalities(model, inner)
    true = {name: observed_numbers(found, name) for name in numeric_names(found)}
    true = {name: value for name, value in true.items() if not np.isnan(value).all()}
    if not true:
        raise ValueError(f"X has no modality of numbers: its kinds are {found.kinds}.")
    means = _means(model, true)
    table: dict[Any, dict[str, float]] = {
        k: _r2(model, _alone(Z, k), true, means) for k in range(Z.shape[1])
    }
    table["all"] = _r2(model, Z, true, means)
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("component")


def check_decodes(model: Any) -> None:
    """Raise TypeError unless codes can be decoded."""
    for method in ("transform", "inverse_transform"):
        if not hasattr(model, method):
            raise TypeError(
                f"{type(model).__name__} has no {method}: it must encode and decode, as CCA, "
                "MultimodalAutoencoder, and DeepCCA with reconstruction_weight above 0 do."
            )


def read_modalities(model: Any, X: Any) -> Modalities:
    """Return the modalities of X; a model of other making sees a plain array as one, "X"."""
    if not hasattr(model, "_schema"):
        return Modalities(_by_modality(X, {}))
    return check_modalities(model, X, reset=False, allow_partial=True, allow_empty_rows=True)


def decoded_modalities(model: Any, Z: Array) -> dict[str, Any]:
    """Decode codes by `inverse_transform`; return the modalities by name."""
    numbers = getattr(getattr(model, "_schema", None), "numbers", {})
    return _by_modality(model.inverse_transform(Z), numbers)


def translated_modalities(
    model: Any, X: Modalities, names: Sequence[str]
) -> dict[str, dict[str, Array]]:
    """Translate each modality alone to the others, by "from <source>"; NaN in rows without it."""
    found: dict[str, dict[str, Array]] = {}
    for source in X.names:
        here = np.flatnonzero(~X.missing[source].to_numpy())
        for name in names:
            if name != source and len(here):
                value = np.full(np.shape(X[name]), np.nan)
                with arrays_only():
                    translated = model.translate(X.select([source])[here], to=name)
                value[here] = np.asarray(translated, float).reshape(len(here), *value.shape[1:])
                found.setdefault(f"from {source}", {})[name] = value
    return found


def numeric_names(X: Modalities) -> list[str]:
    """Return the modalities whose values are numbers."""
    return [name for name in X.names if X.kinds[name] in NUMBERS]


def observed_numbers(X: Modalities, name: str) -> Array:
    """Return a modality in float64, NaN where it is missing."""
    value = np.array(X[name], dtype=np.float64)
    value[X.missing[name].to_numpy()] = np.nan
    return value


def _by_modality(X: Any, numbers: Mapping[str, Array]) -> dict[str, Any]:
    """Return the modalities of data in any form; `numbers` are their columns, if it is flat."""
    if isinstance(X, pd.DataFrame) and X.columns.nlevels == 2:
        X = Modalities.from_frame(X)
    if isinstance(X, Modalities | Mapping):
        found: dict[str, Any] = dict(X.items())
        return found
    if numbers:
        array = np.asarray(X)
        return {name: array[:, columns] for name, columns in numbers.items()}
    return {"X": X}


def _means(model: Any, true: Mapping[str, Array]) -> dict[str, Array]:
    """Return the training means that the model keeps, of other modalities those of these rows."""
    known = getattr(model, "means_", None)
    known = known if isinstance(known, Mapping) else {}
    return {name: known[name] if name in known else _mean(value) for name, value in true.items()}


def _mean(value: Array) -> Array:
    """Return the means of the observed values; 0 for columns without any."""
    n_observed = (~np.isnan(value)).sum(axis=0)
    return np.nansum(value, axis=0) / np.maximum(n_observed, 1)


def _alone(Z: Array, component: int) -> Array:
    """Return codes with all other components at their means."""
    codes = np.tile(Z.mean(axis=0), (len(Z), 1))
    codes[:, component] = Z[:, component]
    return codes


def _r2(
    model: Any, Z: Array, true: Mapping[str, Array], means: Mapping[str, Array]
) -> dict[str, float]:
    decoded = decoded_modalities(model, Z)
    guess = {name: decoded[name] for name in true}
    return r2_per_modality(true, guess, baseline=means)
