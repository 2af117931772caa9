"""What classifier and regressor share: modalities and a target in, outputs out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import check_scoring
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_feature_names_in,
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
)
from torch import Tensor

from skmm._deep._estimator import (
    DEEP_CONSTRAINTS,
    DeepEstimator,
    check_same_labels,
    continue_from,
    n_rows_per_step,
)
from skmm._deep._fusion import fusion_network
from skmm._deep._networks import check_tokens, modality_networks, n_features
from skmm._modalities import Modalities, check_modalities
from skmm._modalities._check import LARGEST
from skmm._modalities._columns import column_statistics
from skmm._modalities._ids import warn_of_other_rows
from skmm._modalities._labels import find_categories, number_labels
from skmm._modalities._output import TransformerMixin
from skmm._nets import Net, build
from skmm._parameters import Numbers
from skmm._random import seed_of
from skmm.nn import ACTIVATIONS, FeedForward
from skmm.nn._prediction import (
    TARGET,
    WEIGHT,
    Prediction,
    PredictionObjective,
    PredictorNetwork,
)

Array = np.ndarray
PREDICTOR_CONSTRAINTS: dict[str, list[Any]] = {
    **DEEP_CONSTRAINTS,
    "fusion": [StrOptions({"concat", "mean", "attention", "late"})],
    "head_layer_sizes": [list, tuple],
    "modality_dropout": [Numbers(Real, 0, 1, closed="left")],
    "scoring": [str, callable, None],
}


@dataclass(frozen=True)
class Known:
    """In the place of X, what the network gives for it: for scorers in training."""

    outputs: Array


def _attends(estimator: Any) -> bool:
    return estimator.fusion == "attention"


class MultimodalPredictor(TransformerMixin, DeepEstimator):
    """A predictor of a target from modalities; abstract."""

    net_: Net
    fusion: str
    categories_: dict[str, Array]
    _target: Any

    def _read_target(self, y: Any, sample_weight: Array | None) -> Array:
        """Return the target as a network takes it (n, n_targets), and keep how to read it."""
        raise NotImplementedError

    def _row_weights(self, y: Any, sample_weight: Array | None) -> Array | None:
        return sample_weight

    def transform(self, X: Any) -> Array:
        """Return the fused representation, which the head predicts from.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features_out)
            With ``fusion="late"`` the mean of what the encoders give.
        """
        return self._apply(PredictorNetwork.represent, self._check(X))

    @available_if(_attends)
    def attention_weights(self, X: Any) -> pd.DataFrame:
        """Return the weight of each modality in the fusion, with ``fusion="attention"``.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        Returns
        -------
        weights : DataFrame of shape (n_samples, n_modalities)
            They sum to one in each row, and are 0 where a modality is missing.
        """
        X = self._check(X)
        weights = self._apply(PredictorNetwork.attention, X)
        return pd.DataFrame(weights, columns=list(self.modality_names_in_), index=X.index)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the names of the columns that `transform` gives.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of `X`; checked only.

        Returns
        -------
        names : ndarray of str
            The name of the class in lower case, and a number.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features, generate_names=False)
        name = type(self).__name__.lower()
        return np.asarray([f"{name}{k}" for k in range(self._width)], dtype=object)

    def _raw(self, X: Any) -> Array:
        """Return the outputs of the network."""
        if isinstance(X, Known):
            return X.outputs
        return self._apply(PredictorNetwork.predict, self._check(X))

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> None:
        warn_of_other_rows(X, y=y, sample_weight=sample_weight)
        previous = self.net_.module_ if self.warm_start and hasattr(self, "net_") else None
        known = getattr(self, "categories_", {})
        X = check_modalities(self, X, reset=True, accept_lazy=True)
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        self.categories_ = find_categories(X)
        if previous is not None:
            check_same_labels(known, self.categories_)
        X = number_labels(X, self.categories_)
        self._columns = column_statistics(X, self._schema)
        if sample_weight is not None:
            rows = np.empty(len(X))
            sample_weight = _check_sample_weight(sample_weight, rows, ensure_non_negative=True)
            if sample_weight.max() > LARGEST:
                raise ValueError(f"sample_weight is up to {sample_weight.max():g}: divide it.")
        before = getattr(self, "_target", None)
        target = self._read_target(y, sample_weight)
        check_consistent_length(np.empty(len(X)), target)
        if previous is not None and not self._target.is_like(before):
            raise ValueError(
                "warm_start=True needs the classes of the fit before; with others use "
                "warm_start=False."
            )
        extra = {TARGET: target}
        weights = self._row_weights(y, sample_weight)
        counted = np.arange(len(X)) if weights is None else np.flatnonzero(weights > 0)
        if not len(counted):
            raise ValueError("All weights are 0: sample_weight and class_weight leave no row.")
        rng = self._rng()
        labels = target[counted] if self._target.tasks[0].kind != "numbers" else None
        train, valid = self._split(len(counted), rng, labels)
        train, valid = counted[train], None if valid is None else counted[valid]
        if weights is not None:
            extra[WEIGHT] = (weights / weights[train].mean())[:, None]
        seed = seed_of(rng)
        module = self._network(X, seed)
        check_tokens(X, module)
        if previous is not None:
            continue_from(previous, module)
        data = self._data(X, module, extra)
        self.net_ = self._train(
            module,
            PredictionObjective(self._target.tasks),
            data.subset(train),
            None if valid is None else data.subset(valid),
            batch_size=n_rows_per_step(self.batch_size, len(train)),
            seed=seed,
            scoring=self._scoring(y, valid),
        )

    def _scoring(self, y: Any, valid: Array | None) -> Callable[..., float] | None:
        """Return what judges the network's outputs for the validation rows."""
        if self.scoring is None or valid is None:
            return None
        truth = _safe_indexing(y, valid)
        return partial(judge, self, check_scoring(self, scoring=self.scoring), truth)

    def _network(self, X: Modalities, seed: int) -> PredictorNetwork:
        k, M = n_features(self), len(X.names)
        self._width = k
        networks = modality_networks(self, X, seed, n_features=k, n_codes=k, decode=False)
        late = self.fusion == "late"
        fuse = partial(fusion_network, self, k, M, k)
        head = partial(
            FeedForward,
            k,
            self.head_layer_sizes,
            sum(task.width for task in self._target.tasks),
            activation=self.activation,
            normalization=self.normalization,
            dropout=self.dropout,
        )
        return PredictorNetwork(
            fusion=None if late else build(fuse, seed + M),
            activation=ACTIVATIONS[self.activation](),
            heads=[build(head, seed + M + 1 + m) for m in range(M if late else 1)],
            tasks=self._target.tasks,
            modality_dropout=self.modality_dropout,
            **networks,
        )

    def _check(self, X: Any) -> Modalities:
        check_is_fitted(self)
        X = check_modalities(self, X, reset=False, accept_lazy=True)
        return number_labels(X, self.categories_)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def judge(
    model: Any, scorer: Any, truth: Any, net: Net, outputs: Prediction, observed: Tensor | None
) -> float:
    """Return what a scorer of scikit-learn says of outputs for validation rows."""
    known = Known(outputs.outputs.double().cpu().numpy())
    try:
        found = float(scorer(model, known, truth))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"scoring={model.scoring!r} fails on the {len(known.outputs)} validation rows: "
            f"{error} Use another scorer, or a larger validation_fraction."
        ) from error
    if not np.isfinite(found):
        raise ValueError(
            f"scoring={model.scoring!r} is {found} on the {len(known.outputs)} validation rows; "
            "they may lack a class. Use another scorer, or a larger validation_fraction."
        )
    return found
