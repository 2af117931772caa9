"""Predictors of a target: modalities and a target in, outputs out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.metrics import check_scoring
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skmm._deep._estimator import DEEP_CONSTRAINTS, DeepEstimator, FitData, numpy_type
from skmm._deep._networks import fusion_network, modality_networks, n_features
from skmm._deep._spec import describe
from skmm._deep._split import Split, held_out_mask
from skmm._linear._late import fit_late
from skmm._linear._logistic import fit_logistic
from skmm._linear._model import LinearFit
from skmm._linear._model import check_weight as mean_weight
from skmm._linear._pool import by_task, modality_weights, targets_by_task
from skmm._linear._ridge import fit_ridge
from skmm._modalities import Modalities, check_modalities, missing_mask
from skmm._modalities._check import check_weight
from skmm._modalities._columns import column_statistics
from skmm._modalities._ids import warn_of_other_rows
from skmm._modalities._labels import find_categories, number_labels
from skmm._modalities._output import TransformerMixin
from skmm._modalities._stream import is_streamed
from skmm._multimodal_predictor._blend import (
    LinearFits,
    averaged,
    blend_weights,
    blended,
    linear_share,
    rotations,
)
from skmm._nets import Net, Outputs, build
from skmm._parameters import Numbers
from skmm.nn import ACTIVATIONS, FeedForward
from skmm.nn._members import members_of
from skmm.nn._prediction import (
    TARGET,
    WEIGHT,
    PredictionObjective,
    PredictorNetwork,
)

Array = np.ndarray
N_ALIGNED = 2000  # rows at most by which representations are rotated towards each other


@dataclass(frozen=True)
class Known:
    """Outputs of the network in the place of X, for scorers in training."""

    outputs: Array


def _attends(estimator: Any) -> bool:
    return estimator.fusion == "attention"


class MultimodalPredictor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, DeepEstimator):
    """A predictor of a target from modalities; abstract."""

    _parameter_constraints: dict[str, list[Any]] = {
        **DEEP_CONSTRAINTS,
        "fusion": [StrOptions({"concat", "mean", "attention", "late"})],
        "head_layer_sizes": [list, tuple],
        "modality_dropout": [Numbers(Real, 0, 1, closed="left")],
        "scoring": [str, callable, None],
    }
    net_: Net
    fusion: str
    activation: str
    head_layer_sizes: Sequence[int]
    modality_dropout: float
    scoring: Any
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
            With ``fusion="late"`` the mean of the encoders' outputs. Of several networks the mean,
            after each was rotated towards the first.
        """
        X = self._check(X)
        parts = self._of_members(PredictorNetwork.represent, X)
        turned = [Z if R is None else Z @ R for Z, R in zip(parts, self._rotations, strict=True)]
        return np.mean(turned, axis=0, dtype=parts.dtype)

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
        weights = self._of_members(PredictorNetwork.attention, X).mean(axis=0)
        return pd.DataFrame(weights, columns=list(self.modality_names_in_), index=X.index)

    def predict_members(self, X: Any) -> list[Any]:
        """Return what each network predicts alone, without the linear part.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        Returns
        -------
        predictions : list of length n_members
            Numbers as of `predict`, or probabilities as of `predict_proba`. Which of the training
            rows a network has not seen stands in its row of `held_out_`.
        """
        parts = self._of_members(PredictorNetwork.predict, self._check(X))
        return [self._in_units(part) for part in parts]

    def _in_units(self, raw: Array) -> Any:
        """Return outputs as numbers or probabilities; abstract."""
        raise NotImplementedError

    def _raw(self, X: Any) -> Array:
        """Return the outputs: of the networks on average, and of the linear models."""
        if isinstance(X, Known):
            return X.outputs
        X, tasks = self._check(X), self._target.tasks
        network = None
        if self._linear is None:
            return averaged(tasks, self._of_members(PredictorNetwork.predict, X))
        if any(weights[-1].any() for weights in self._weights):
            network = averaged(tasks, self._of_members(PredictorNetwork.predict, X))
        linear = [part.astype(numpy_type(X)) for part in self._linear.outputs(X)]
        return blended(tasks, [*linear, network], self._weights)

    def _of_members(self, function: Any, X: Modalities) -> Array:
        """Return what each network gives, (n_members, n_samples, ...)."""
        return np.stack([self._apply(function, X, member=k) for k in range(self._n_members)])

    def _read_fit(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> FitData:
        warn_of_other_rows(X, y=y, sample_weight=sample_weight, groups=groups)
        X = check_modalities(self, X, reset=True, accept_lazy=True)
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        self.categories_ = find_categories(X)
        X = number_labels(X, self.categories_)
        self._columns = column_statistics(X, self._schema)
        if sample_weight is not None:
            sample_weight = check_weight(sample_weight, len(X), ensure_non_negative=True)
        target = self._read_target(y, sample_weight)
        check_consistent_length(np.empty(len(X)), target)
        weight = self._row_weights(y, sample_weight)
        if weight is not None and not (weight > 0).any():
            raise ValueError("All weights are 0: sample_weight and class_weight leave no row.")
        labels = None if self._target.tasks[0].kind == "numbers" else target
        self._n_features_out = n_features(self._network_spec())
        if groups is not None:
            check_consistent_length(np.empty(len(X)), groups)
        return FitData(X, target, y, weight, labels, groups)

    def _check_continues(self, previous: Any) -> None:
        super()._check_continues(previous)
        if not self._target.is_like(previous._target):
            raise ValueError(
                "warm_start=True needs the classes of the fit before; with others use "
                "warm_start=False."
            )

    def _build(self, data: FitData, seed: int) -> tuple[PredictorNetwork, PredictionObjective]:
        spec = self._network_spec()
        modalities = describe(data.X, self._columns, self.categories_, spec.encoders)
        k, M, late = self._n_features_out, len(modalities), self.fusion == "late"
        fuse = partial(fusion_network, spec, self.fusion, k, M, k)
        n_outputs = sum(task.width for task in self._target.tasks)
        head = partial(FeedForward, k, self.head_layer_sizes, n_outputs, **spec.style)
        module = PredictorNetwork(
            fusion=None if late else build(fuse, seed + M),
            activation=ACTIVATIONS[self.activation](),
            heads=[build(head, seed + M + 1 + m) for m in range(M if late else 1)],
            tasks=self._target.tasks,
            modality_dropout=self.modality_dropout,
            **modality_networks(spec, modalities, seed, n_features=k),
        )
        return module, PredictionObjective(self._target.tasks)

    def _extra(self, data: FitData) -> dict[str, Array]:
        if data.weight is None:
            return {TARGET: data.target}
        mean = data.weight[data.weight > 0].mean()
        return {TARGET: data.target, WEIGHT: (data.weight / mean)[:, None]}

    def _auto_batch_size(self, n_samples: int) -> int:
        """Return the rows per step of "auto": of few rows a quarter, so that an epoch has steps."""
        usual = super()._auto_batch_size(n_samples)
        return max(2, min(usual, n_samples // 4))

    def _settings(
        self, data: FitData, splits: Sequence[Split], rows: Any, rng: np.random.RandomState
    ) -> dict[str, Any]:
        if self.scoring is None or splits[0].valid is None:
            return {}
        truth = _safe_indexing(data.y, np.concatenate([split.valid for split in splits]))
        scorer = check_scoring(self, scoring=self.scoring)
        return {"scoring": partial(judge, self, scorer, truth)}

    def _fit_linear(
        self, data: FitData, splits: Sequence[Split], rng: np.random.RandomState
    ) -> LinearFits | None:
        """Fit the tuned linear models, where rows are held out that can judge them."""
        weight = mean_weight(data.weight, len(data.X))
        columns = None if splits[0].valid is None else self._linear_columns(data.X, weight)
        if columns is None:
            return None
        Z, tasks = columns.matrix(data.X), self._target.tasks

        def fit(Z: Array, weight: Array, penalties: Any = None) -> LinearFit:
            if tasks[0].kind == "numbers":
                return fit_ridge(columns, Z, data.target, splits, weight)
            return fit_logistic(columns, Z, data.target, tasks, splits, weight, penalties)

        joint, late = fit(Z, weight), None
        if len(columns.modalities) > 1:
            each = partial(fit, penalties=joint.penalties)
            late = fit_late(columns, Z, columns.seen(data.X), data.target, tasks, each, weight)
        return LinearFits(joint, late)

    def _blend(
        self,
        data: FitData,
        splits: Sequence[Split],
        linear: LinearFits | None,
        rng: np.random.RandomState,
    ) -> None:
        """Choose the weights of networks and linear models on rows that none has seen."""
        X, tasks, n = data.X, self._target.tasks, len(data.X)
        some, members = slice(0, N_ALIGNED), range(self._n_members)
        self._rotations: list[Array | None] = [None]
        if len(members) > 1:
            self._rotations = rotations(
                [self._apply(PredictorNetwork.represent, X, some, member=k) for k in members]
            )
        self.held_out_ = held_out_mask(splits, len(data.X))
        self._linear = None if linear is None else linear.models
        self._weights = [
            np.ones((1, task.width if task.kind == "numbers" else 1)) for task in tasks
        ]
        self.oof_score_ = np.nan
        rows = np.flatnonzero(self.held_out_.any(axis=0))
        if len(rows) and not is_streamed(X):
            if self.fusion == "late":
                self._weigh_modalities(data, splits, rows)
            outputs = self._held_out(PredictorNetwork.predict, X, splits)[rows]
            if linear is not None:
                weight = np.ones(n) if data.weight is None else data.weight
                parts = [*linear.oof(rows), outputs]
                self._weights = blend_weights(tasks, data.target[rows], parts, weight[rows])
                outputs = blended(tasks, parts, self._weights)
            if len(rows) > 1:  # of one row R² is not defined
                scorer = check_scoring(self, scoring=self.scoring)
                truth = _safe_indexing(data.y, rows)
                self.oof_score_ = float(scorer(self, Known(outputs), truth))
        self.linear_share_ = np.concatenate([linear_share(weights) for weights in self._weights])

    def _weigh_modalities(self, data: FitData, splits: Sequence[Split], rows: Array) -> None:
        """Let the networks of late fusion weigh modalities by what these know of held-out rows."""
        each = np.moveaxis(self._held_out(PredictorNetwork.each, data.X, splits)[rows], 1, 0)
        seen = ~missing_mask(data.X)[rows]
        weight = mean_weight(data.weight, len(data.X))[rows]
        tasks = self._target.tasks
        found = [
            modality_weights(task.kind, y, part, seen, weight)
            for task, y, part in zip(
                tasks, targets_by_task(tasks, data.target[rows]), by_task(tasks, each), strict=True
            )
        ]
        for network in members_of(self.net_.module_):
            network.modality_weights.copy_(torch.from_numpy(np.stack(found)))

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


def judge(model: Any, scorer: Any, truth: Any, net: Net, found: list[Outputs]) -> float:
    """Return the score, by a scorer of scikit-learn, of outputs for validation rows."""
    outputs = torch.cat([prediction.outputs for prediction, _ in found])
    known = Known(outputs.double().cpu().numpy())
    try:
        score = float(scorer(model, known, truth))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"scoring={model.scoring!r} fails on the {len(known.outputs)} validation rows: "
            f"{error} Use another scorer, or a larger validation_fraction."
        ) from error
    if not np.isfinite(score):
        raise ValueError(
            f"scoring={model.scoring!r} is {score} on the {len(known.outputs)} validation rows; "
            "they may lack a class. Use another scorer, or a larger validation_fraction."
        )
    return score
