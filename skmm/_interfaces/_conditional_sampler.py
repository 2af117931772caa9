"""Estimators that sample one modality given the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skmm._base import BaseEstimator
from skmm._modalities import Modalities, check_modalities, missing_mask, observed_rows
from skmm._modalities._chunks import slices_of
from skmm._modalities._columns import ColumnStatistics, column_statistics
from skmm._modalities._ids import ids_of
from skmm._modalities._labels import find_categories, number_labels
from skmm._modalities._output import TransformerMixin, translation_follows_output
from skmm._modalities._stream import Stream, check_held, take_lazily
from skmm._parameters import is_integer
from skmm._random import Seed, check_random_state, seed_of
from skmm.metrics._energy import energy_scores, marginal_scores

Array = np.ndarray
N_DRAWS = 100  # per row, where the result is a statistic or a score of draws
N_REFERENCE = 2000  # training targets that the score is relative to
# Numbers in the draws for a chunk of rows. It does not follow `working_memory`, since the chunks
# decide which random numbers a row gets: draws of the same seed have to stay the same.
N_VALUES = 2**21


class ConditionalSampler(TransformerMixin, BaseEstimator):
    """An estimator that samples a target modality given conditions; abstract.

    Draws are arrays (n_samples, n_draws, width) of numbers, labels as indicators of their classes.
    """

    target: str | None
    random_state: Any
    modality_names_in_: tuple[str, ...]
    categories_: dict[str, Array]
    _schema: Any
    _target: str
    _columns: dict[str, ColumnStatistics]

    _reads_blocks = False  # whether it can do with arrays that are read block by block
    _takes_partial = False  # whether conditions may lack single entries

    @property
    def _takes_missing(self) -> bool:
        """Whether rows may lack some conditions."""
        return False

    def _precision(self, X: Modalities) -> np.dtype:
        """Return the precision of results for checked conditions."""
        raise NotImplementedError

    def _draw(self, X: Modalities, n_samples: int, rng: np.random.RandomState) -> Array:
        """Draw targets for checked conditions."""
        raise NotImplementedError

    def _draw_again(self, X: Modalities) -> Array:
        """Draw targets with random numbers of fit, the same for each row."""
        raise NotImplementedError

    def transform(self, X: Any) -> Array:
        """Return the expectation of the target given the conditions.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            The conditions; a target is ignored.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_targets)
            The target flattened; of labels the share of each class in the draws.
        """
        return self._mean(self._conditions(X))

    def predict(self, X: Any, statistic: str | float = "mean") -> Any:
        """Return a statistic of draws of the target, column by column.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            The conditions; a target is ignored.

        statistic : {"mean", "median"} or float, default="mean"
            A number in (0, 1) is the level of a quantile.

        Returns
        -------
        predicted : ndarray of shape (n_samples, ...) or DataFrame
            In the form that the target had in `fit`; of labels the most frequent.

        Raises
        ------
        ValueError
            If `statistic` is none of these, or the target's labels have no such statistic.
        """
        level = _level(statistic)
        ids, X = ids_of(X), self._conditions(X)
        if level is None:
            values = self._mean(X)
        elif self._target in self.categories_:
            raise ValueError(
                f"statistic={statistic!r} is not defined for labels, as those of "
                f"{self._target!r}: use 'mean', which gives the most frequent."
            )
        elif self._schema.kinds[self._target] == "binary":
            values = self._statistic(X, lambda draws: draws.mean(axis=1) > 1 - level)
        else:
            values = self._statistic(X, lambda draws: _quantile(draws, level))
        return self._schema.restore_one(self._target, self._decoded(values), ids)

    @translation_follows_output
    def translate(self, X: Any, to: str) -> Any:
        """Return the target as it is to be expected given the conditions.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            The conditions; a target is ignored.

        to : str
            Name of the target, the only modality that can be predicted.

        Returns
        -------
        predicted : ndarray of shape (n_samples, ...) or DataFrame
            As `predict`, or as `set_output` says, images always as an array.

        Raises
        ------
        ValueError
            If `to` is not the target.
        """
        check_is_fitted(self)
        if not isinstance(to, str) or to != self._target:
            raise ValueError(
                f"to={to!r}, but {type(self).__name__} was fitted to predict {self._target!r}, of "
                f"{self.modality_names_in_!r}."
            )
        return self.predict(X)

    def impute(self, X: Any, y: Any = None) -> Any:
        """Fill in the target where it is missing, with its expectation given the conditions.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            The conditions, and possibly the target.

        y : array-like, default=None
            The target, if it was `y` in `fit`.

        Returns
        -------
        X : Modalities, DataFrame, ndarray or tuple
            In the form of `X`; observed values are untouched. A pair (X, y) where the target was
            `y` in `fit`.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a condition is missing in some rows: only the target can be filled in.
        """
        checked = check_held(self._check(X, y))
        conditions = self._without_target(checked)
        if lacking := [n for n in conditions.names if not observed_rows(conditions, n).all()]:
            raise ValueError(
                f"{type(self).__name__} can only fill in {self._target!r}, but {lacking!r} are "
                "missing in some rows."
            )
        filled = self._decoded(self._mean(conditions))
        return self._schema.fill(X, y, {self._target: filled})

    def sample(self, n_samples: int = 1, *, given: Any = None, random_state: Seed = None) -> Array:
        """Draw the target given the conditions.

        Parameters
        ----------
        n_samples : int, default=1
            Number of draws per row, independent of each other and of other rows'.

        given : Modalities, dict, DataFrame or array-like, default=None
            The conditions, without which there is nothing to sample; a target is ignored.

        random_state : int, RandomState instance or None, default=None
            None takes the estimator's.

        Returns
        -------
        draws : ndarray of shape (n_samples, n_rows, ...)
            Each draw in the shape of the target in `fit`, as floats, or labels.

        Raises
        ------
        ValueError
            If `given` is None or does not fit the data of `fit`.
        """
        check_is_fitted(self)
        if not is_integer(n_samples):
            raise ValueError(f"n_samples must be an integer of at least 1, got {n_samples!r}.")
        if given is None:
            raise ValueError(
                f"{type(self).__name__} samples {self._target!r} given the other modalities: pass "
                "them as given=X."
            )
        X = self._conditions(given)
        rng = check_random_state(self.random_state if random_state is None else random_state)
        draws = [self._drawn(part, int(n_samples), rng) for _, part in self._chunks(X, n_samples)]
        values = self._decoded(np.concatenate(draws).swapaxes(0, 1))
        return values.reshape(int(n_samples), len(X), *self._schema.shapes[self._target])

    def score(self, X: Any, y: Any = None) -> float:
        """Return the energy skill: 1 less the energy score in units of that of the marginal.

        The energy score of 100 draws per row is unbiased, each column of the target divided by its
        standard deviation in training, of images each channel. The marginal draws from the training
        targets whatever the condition.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Conditions and target.

        y : array-like, default=None
            The target, if it was `y` in `fit`.

        Returns
        -------
        skill : float
            At most 1; 0 is no better than ignoring the condition. Rows without a target do not
            count. Of targets that never vary it is 1 if the draws are exact and else 0.

        Raises
        ------
        ValueError
            If no row has a target.
        """
        X = self._check(X, y)
        if self._target not in X or not (rows := observed_rows(X, self._target)).any():
            raise ValueError(f"score needs the target {self._target!r} in X, or as y.")
        X = X[rows]
        truth = self._encoded(X)[:, self._judged] / self._spread
        conditions, rng = self._without_target(X), np.random.RandomState(self._seed)
        reference = self._reference / self._spread
        scores = []
        for chunk, part in self._chunks(conditions, N_DRAWS):
            draws = self._drawn(part, N_DRAWS, rng)[:, :, self._judged] / self._spread
            scores.append(energy_scores(truth[chunk], draws.swapaxes(0, 1)))
        mean, marginal = np.concatenate(scores).mean(), marginal_scores(truth, reference).mean()
        if marginal == 0:  # all targets are the same
            return float(mean == 0)
        return float(1.0 - mean / marginal)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the names of the columns of the target, ``target__column``.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only checked.

        Returns
        -------
        names : ndarray of str
            One name per column that `transform` returns.
        """
        check_is_fitted(self)
        if input_features is not None:
            _check_feature_names_in(self, input_features)
        spec = self._schema.specs[self._target]
        columns: Any = range(spec.width) if spec.columns is None else spec.columns
        columns = self.categories_.get(self._target, columns)
        return np.array([f"{self._target}__{column}" for column in columns], dtype=object)

    def _read(self, X: Any, y: Any = None) -> tuple[Modalities, Any]:
        """Read conditions, and the target as numbers, for `fit`; leave out rows without it."""
        X = check_modalities(self, X, y, reset=True, min_modalities=2, **self._accepted())
        self._target = self._target_name(X)
        self._check_target(X)
        if X.kinds[self._target] == "tokens":
            raise ValueError(f"The target {self._target!r} holds tokens, which are not generated.")
        self.categories_ = find_categories(X)
        X = number_labels(X, self.categories_)
        rows = np.flatnonzero(observed_rows(X, self._target))
        X = X if len(rows) == len(X) else take_lazily(X, rows)
        if len(X) < 2:
            raise ValueError(
                f"Found {len(X)} sample(s) with a target (n_samples={len(X)}) while a minimum of 2 "
                f"is required by {type(self).__name__}."
            )
        self._check_conditions(self._without_target(X))
        values = self._encoded(X)
        self._columns = column_statistics(X, self._schema)
        if self._target in self.categories_:
            self._columns[self._target] = ColumnStatistics.of(values)
        return X, values

    def _remember(self, values: Any, rng: np.random.RandomState) -> Self:
        """Keep the training targets that `score` compares with."""
        columns = units = self._columns[self._target]
        if self._schema.kinds[self._target] == "image":  # pixels that seldom vary hardly count
            units = columns.of_channels()
        # If no column varies, all are judged: draws have to be exact.
        self._judged = columns.varies.ravel() | ~columns.varies.any()
        spread = np.broadcast_to(units.divisor, columns.mean.shape).ravel()
        self._spread = spread[self._judged]
        rows = rng.permutation(len(values))[:N_REFERENCE]
        self._reference = values[rows][:, self._judged]
        self._seed = seed_of(rng)
        return self

    def _varies(self, name: str) -> Array:
        """Return which columns (width,) of a modality of numbers varied in fit."""
        return self._columns[name].varies.ravel()

    def _target_name(self, X: Modalities) -> str:
        if self._schema.form == 4:
            if self.target not in (None, "y"):
                raise ValueError(
                    f"target={self.target!r}, but with a plain X the target is y: use target=None."
                )
            return "y"
        if self.target not in X.names:
            raise ValueError(
                f"target={self.target!r} must name the modality to sample, one of {X.names!r}."
            )
        return str(self.target)

    def _check(self, X: Any, y: Any = None) -> Modalities:
        check_is_fitted(self)
        X = check_modalities(self, X, y, reset=False, allow_empty_rows=True, **self._accepted())
        self._check_target(X)
        X = number_labels(X, self.categories_)
        self._check_conditions(self._without_target(X))
        return X

    def _conditions(self, X: Any) -> Modalities:
        """Return the checked conditions of any X that is not for fit; its target is not read."""
        check_is_fitted(self)
        if isinstance(X, Mapping):
            X = Modalities(X)
        if isinstance(X, Modalities) and self._target in X and len(X.names) > 1:
            X = X.select([name for name in X.names if name != self._target])
        return self._without_target(self._check(X))

    def _accepted(self) -> dict[str, Any]:
        return {"accept_lazy": self._reads_blocks, "allow_partial": self._takes_partial}

    def _check_target(self, X: Modalities) -> None:
        """Refuse targets of which a row lacks single entries."""
        value = X._values.get(self._target)
        if not self._takes_partial or value is None or value.dtype.kind != "f":
            return
        there = observed_rows(X, self._target)
        blocks = value.blocks() if isinstance(value, Stream) else [(0, np.asarray(value))]
        n_partial = 0
        for start, block in blocks:
            lacks = np.isnan(block.reshape(len(block), -1)).any(axis=1)
            n_partial += int((lacks & there[start : start + len(block)]).sum())
        if n_partial:
            raise ValueError(
                f"The target {self._target!r} contains NaN in {n_partial} rows that are not NaN "
                f"throughout. {type(self).__name__} takes a row with or without a target, not a "
                "part of it; impute first, e.g. with PerModality(SimpleImputer())."
            )

    def _without_target(self, X: Modalities) -> Modalities:
        names = [name for name in X.names if name != self._target]
        if not names:
            raise ValueError(f"X has nothing to predict {self._target!r} from: {X.names!r}.")
        return X.select(names)

    def _check_conditions(self, X: Modalities) -> None:
        """Refuse rows without conditions, and gaps that the estimator cannot take."""
        if (empty := missing_mask(X).all(axis=1)).any():
            raise ValueError(
                f"In {int(empty.sum())} rows every modality but {self._target!r} is missing: drop "
                "them."
            )
        complete = {n for n in X.names if observed_rows(X, n).all()}
        lacking = [n for n in self.modality_names_in_ if n not in {*complete, self._target}]
        if lacking and not self._takes_missing:
            raise ValueError(
                f"{type(self).__name__} cannot do without conditions, but {lacking!r} are missing "
                f"in some rows: drop or impute these."
            )

    def _encoded(self, X: Modalities) -> Any:
        """Return the target (n, width), labels as indicators."""
        value = X[self._target]
        if isinstance(value, Stream):
            return value.flat()
        value = np.asarray(value)
        if self._target in self.categories_:
            return np.eye(len(self.categories_[self._target]))[value]
        return value.reshape(len(value), -1)

    def _decoded(self, values: Array) -> Array:
        """Return values (..., width) as in fit, of indicators the label of the largest."""
        if self._target in self.categories_:
            return self.categories_[self._target][values.argmax(axis=-1)]
        return values

    def _mean(self, X: Modalities) -> Array:
        """Return the mean target for checked conditions, within reach of those of training."""
        return self._statistic(X, lambda draws: draws.mean(axis=1))

    def _statistic(self, X: Modalities, function: Any) -> Array:
        """Return a statistic of draws, limited to the reach of the training targets."""
        columns = self._columns[self._target]
        parts = [function(self._draw_again(part)) for _, part in self._chunks(X, N_DRAWS)]
        return columns.in_type(columns.within(np.concatenate(parts)), self._precision(X))

    def _drawn(self, X: Modalities, n_samples: int, rng: np.random.RandomState) -> Array:
        """Draw targets for checked conditions; constant columns keep their value."""
        columns = self._columns[self._target]
        draws = columns.with_constants(self._draw(X, n_samples, rng))
        return columns.in_type(draws, self._precision(X))

    def _chunks(self, X: Modalities, n_draws: int) -> Iterator[tuple[slice, Modalities]]:
        """Yield some rows at a time, whose draws fit into memory."""
        size = max(1, N_VALUES // (n_draws * max(32, len(self._judged))))
        for rows in slices_of(len(X), size):
            yield rows, X if size >= len(X) else X[rows]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _level(statistic: str | float) -> float | None:
    """Return the level of a quantile, None for the mean."""
    if isinstance(statistic, str) and statistic in ("mean", "median"):
        return None if statistic == "mean" else 0.5
    if isinstance(statistic, Real) and not isinstance(statistic, bool) and 0 < statistic < 1:
        return float(statistic)
    raise ValueError(
        f"statistic must be 'mean', 'median' or the level of a quantile in (0, 1), got "
        f"{statistic!r}."
    )


def _quantile(draws: Array, level: float) -> Array:
    return np.quantile(draws, level, axis=1).astype(draws.dtype, copy=False)
