"""Estimators with a joint code: reading all kinds of data, codes, reconstructions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, _fit_context
from sklearn.utils.validation import check_is_fitted

from skmm._deep._decoding import decode, plausible
from skmm._deep._estimator import DeepEstimator, FitData, numpy_type
from skmm._deep._spec import ModalitySpec, NetworkSpec, describe
from skmm._deep._split import Split
from skmm._interfaces._generative import Parts, ReconstructionMixin
from skmm._linear._blend import share_of_numbers
from skmm._linear._columns import Columns
from skmm._modalities import Modalities, check_modalities, missing_mask, observed_rows
from skmm._modalities._columns import column_statistics
from skmm._modalities._labels import find_categories, number_labels
from skmm._modalities._output import TransformerMixin, codes_follow_output
from skmm._nets import Net
from skmm.metrics import r2_per_modality
from skmm.nn._members import members_of

Array = np.ndarray


class LatentEstimator(
    ReconstructionMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, DeepEstimator
):
    """An estimator with a joint code of all modalities, from which each is decoded; abstract."""

    net_: Net
    _encoder: Callable[..., Any]  # from a network, inputs and observed to joint codes
    n_components: int
    likelihoods: Any
    means_: dict[str, Array]

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the networks.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            One modality or more, of any kind, in any of the forms of
            :func:`skmm.check_modalities`. Modalities may be missing in some rows; of a row of
            numbers that is NaN in part, the rest is used.
            Large arrays of dask, zarr or h5py are read in blocks, whose rows are mixed a buffer at
            a time: their order is not that of rows in memory.

        y : None
            Ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the data are not usable (the message names the modality), parameters contradict the
            data, or the objective becomes NaN; the estimator is then left as it was before.

        KeyboardInterrupt
            After Ctrl-C; the estimator is then fitted with the epochs so far.
        """
        return self._fit(X)

    def transform(self, X: Any) -> Array:
        """Encode.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            The joint code of each row, from the modalities that it has.

        Raises
        ------
        ValueError
            If `X` does not fit the data of `fit`.
        """
        return self._codes(self._check(X, allow_empty_rows=self._any_row))

    @codes_follow_output
    def transform_each(self, X: Any) -> dict[str, Array]:
        """Encode each modality by itself.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        Returns
        -------
        codes : dict of str to ndarray (n_samples, n_components)
            For each modality of `X`, the code of a row that has nothing else; NaN where it is
            missing.
        """
        return self._apply_each(self._encoder, self._check(X, allow_empty_rows=self._any_row))

    def translate_proba(self, X: Any, to: str) -> Array:
        """Return class probabilities of a modality given the other modalities that a row has.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            At least one modality of `fit` other than `to`, which is ignored.

        to : str
            Name of a modality of labels.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``categories_[to]``.

        Raises
        ------
        ValueError
            If `to` is no modality of labels, or a row has no other modality.
        """
        X = self._others(X, to)
        if to not in self.categories_:
            raise ValueError(
                f"to={to!r} must be a modality of labels, of which there are "
                f"{sorted(self.categories_)}: use translate for numbers."
            )
        return self._expect(X, [to])[to][:, 0]

    def _fit_linear(
        self, data: FitData, splits: Sequence[Split], rng: np.random.RandomState
    ) -> list[Columns] | None:
        """Fit the normal distribution of all columns, to all rows and to those of each split."""
        if splits[0].valid is None or len(data.X.names) < 2:
            return None
        found = []
        for X in (data.X, *(data.X[split.train] for split in splits)):
            columns = self._linear_columns(X)
            if columns is None or columns.distribution is None:
                return None
            found.append(columns)
        return found

    def _blend(
        self,
        data: FitData,
        splits: Sequence[Split],
        linear: Sequence[Columns] | None,
        rng: np.random.RandomState,
    ) -> None:
        """Choose the network's share in each modality given the others, on rows held out."""
        self._linear = None if linear is None else linear[0]
        self._shares = {name: np.ones(1) for name in data.X.names}
        skills: list[float] = []
        for name in data.X.names:
            rows = [_rows_to_predict(data.X, name, split) for split in splits]
            if len(data.X.names) == 1 or not (numbers := np.concatenate(rows)).size:
                continue
            truth, others = data.X[numbers].select([name]), _without(data.X, name)
            expected = np.concatenate(
                [self._expect_by(k, others[r], [name])[name] for k, r in enumerate(rows) if len(r)]
            )
            if linear is not None and self._schema.kinds[name] != "tokens":
                parts = zip(linear[1:], rows, strict=True)
                plain = np.concatenate(
                    [own.expected(others[r], [name])[name] for own, r in parts if len(r)]
                )
                self._shares[name] = self._share(truth, name, plain, expected)
                expected = _mixed(plain, expected, self._shares[name])
            skills += self._skill(truth, {name: expected}).values()
        self.linear_share_ = {n: float(1.0 - share.mean()) for n, share in self._shares.items()}
        self.oof_score_ = float(np.mean(skills)) if skills else np.nan

    def _share(self, X: Modalities, name: str, linear: Array, network: Array) -> Array:
        """Return the network's share in each column of a modality; labels have one."""
        truth = np.asarray(X[name])
        if name in self.categories_:
            pair = linear.reshape(-1, 1), network.reshape(-1, 1)
            return share_of_numbers(np.eye(linear.shape[1])[truth].reshape(-1, 1), *pair)
        truth, known = truth.reshape(len(truth), -1), self._columns[name]
        scale, unknown = known.divisor.ravel(), np.isnan(truth)
        parts = (np.where(unknown, 0.0, part) / scale for part in (truth, linear, network))
        return share_of_numbers(*parts)

    def _expect(self, X: Modalities, names: Sequence[str]) -> Parts:
        """Return the expectations of modalities given X, by the networks and the linear model."""
        deep = [name for name in names if self._shares[name].any()]
        found = self._expect_by(0, X, deep) if deep else {}
        if self._linear is None:
            return found
        partly = [
            n for n in names if self._shares[n].min() < 1 and self._schema.kinds[n] != "tokens"
        ]
        for name, linear in self._linear.expected(X, partly).items() if partly else ():
            mixed = _mixed(linear, found.get(name), self._shares[name])
            known = self._columns.get(name)
            found[name] = plausible(mixed, known, numpy_type(X))
        return found

    def _expect_by(self, member: int, X: Modalities, names: Sequence[str]) -> Parts:
        """Return the expectations of modalities given X by one of the networks; abstract."""
        raise NotImplementedError

    def _codes(self, X: Modalities, rows: Array | slice | None = None, *, member: int = 0) -> Array:
        """Return the joint codes of checked data, or of some rows, by one of the networks."""
        return self._apply(self._encoder, X, rows, member=member)

    def _read_fit(self, X: Any) -> FitData:
        X = self._read(X, reset=True, allow_empty_rows=self._any_row)
        self._columns = column_statistics(X, self._schema)
        self.means_ = {name: self._mean(X, name) for name in X.names}
        return FitData(X)

    def _described(self, X: Modalities) -> tuple[NetworkSpec, list[ModalitySpec]]:
        """Return what the networks are built from."""
        spec = self._network_spec()
        return spec, describe(X, self._columns, self.categories_, spec.encoders, self.likelihoods)

    def _finish(self, data: FitData, splits: Sequence[Split], rng: np.random.RandomState) -> None:
        self._n_features_out = self.n_components

    def _mean(self, X: Modalities, name: str) -> Array:
        """Return the mean of the rows that have a modality; of labels the frequencies."""
        if name in self.categories_:
            value = np.asarray(X[name])[observed_rows(X, name)]
            return np.bincount(value, minlength=len(self.categories_[name])) / len(value)
        return self._columns[name].mean.reshape(self._schema.shapes[name])

    def _decode(self, Z: Array, names: Sequence[str], rng: Any = None, *, member: int = 0) -> Parts:
        """Decode joint codes: to expectations, or with `rng` to draws."""
        network = members_of(self.net_.module_)[member]
        return decode(network, dict.fromkeys(names, Z), self._columns, rng)

    def _invert(self, Z: Array, names: Sequence[str]) -> Parts:
        return self._decode(Z, names)

    def _skill(self, X: Modalities, expected: Parts) -> dict[str, float]:
        """Return R² of each modality relative to the training means; of labels, R² of indicators.

        A modality that no row has is left out. Columns that were constant in fit are left out,
        unless all of them were.
        """
        found: dict[str, float] = {}
        constant: dict[str, float] = {}
        for m, name in enumerate(X.names):
            true, guess, mean = np.asarray(X[name]), expected[name], self.means_[name]
            if not (rows := ~missing_mask(X)[:, m]).any():
                continue
            true, guess = true[rows].reshape(rows.sum(), -1), guess[rows]
            if name in self.categories_:
                true, guess, varies = np.eye(len(mean))[true[:, 0]], guess[:, 0], mean < 1
            else:
                varies = self._varies(name)
            kept, columns = (found, varies) if varies.any() else (constant, ~varies)
            true, guess, mean = true[:, columns], guess[:, columns], mean.ravel()[columns]
            if guess.ndim == 3:  # probabilities of token ids, which are no numbers to compare
                kept[name] = _token_skill(true, guess)
            elif not np.isnan(true).all():
                values = {name: true}, {name: guess}
                kept[name] = r2_per_modality(*values, baseline={name: mean})[name]
        return found or constant

    def _check(self, X: Any, y: Any = None, **options: Any) -> Modalities:
        check_is_fitted(self)
        return self._read(X, reset=False, **options)

    def _read(self, X: Any, *, reset: bool, **options: Any) -> Modalities:
        X = check_modalities(self, X, reset=reset, allow_partial=True, accept_lazy=True, **options)
        if reset:
            self.categories_ = find_categories(X)
        return number_labels(X, self.categories_)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "means_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _rows_to_predict(X: Modalities, name: str, split: Split) -> Array:
    """Return the held-out rows that have a modality, and another to predict it from."""
    if split.valid is None:
        return np.zeros(0, dtype=int)
    there = ~missing_mask(X)[split.valid]
    has, others = there[:, X.names.index(name)], there.sum(axis=1) > 1
    return split.valid[has & others]


def _without(X: Modalities, name: str) -> Modalities:
    return X.select([other for other in X.names if other != name])


def _mixed(linear: Array, network: Array | None, share: Array) -> Array:
    """Return the expectation of both; exactly the linear one where the share is 0."""
    if network is None:
        return linear
    linear = linear.reshape(network.shape)
    return np.where(share > 0, linear + share * (network - linear), linear)


def weights_of(
    X: Modalities, given: Any, automatic: Mapping[str, float] | None = None
) -> list[float]:
    """Return the weight of each modality: given, automatic for "auto", or 1."""
    if isinstance(given, str):
        return [(automatic or {}).get(name, 1.0) for name in X.names]
    given = {} if given is None else given
    if unknown := [name for name in given if name not in X]:
        raise ValueError(f"modality_weights names {unknown!r}, but there are {X.names!r}.")
    for name, weight in given.items():
        if not (isinstance(weight, Real) and 0 <= float(weight) < np.inf):
            raise ValueError(f"The weight of modality {name!r} must be 0 or more, got {weight!r}.")
    return [float(given.get(name, 1.0)) for name in X.names]


def _token_skill(true: Array, probabilities: Array) -> float:
    """Return R² of the indicators of token ids, over all positions, by their probabilities.

    The baseline predicts at each position the frequencies in these rows.
    """
    flat = true.reshape(len(true), -1)
    n_classes = probabilities.shape[2]

    def error(p: Array) -> float:
        chosen = np.take_along_axis(p, flat[:, :, None], axis=2)[:, :, 0]
        return float((np.square(p).sum(axis=2) - 2 * chosen + 1).sum())

    shares = np.stack([np.bincount(column, minlength=n_classes) for column in flat.T]) / len(flat)
    total = error(np.broadcast_to(shares, probabilities.shape))
    return 1.0 - error(probabilities) / total if total > 0 else 0.0
