"""Training against held-out canonical correlations, drawn."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import RepeatedKFold
from sklearn.utils.validation import _num_samples

from skmm._random import check_random_state
from skmm.inspection._checks import check_count, check_share
from skmm.inspection._correlations import (
    held_out_correlations,
    permuted_correlations,
    training_correlations,
    unfitted_choice,
)
from skmm.inspection._fitted import codes_of, fitted_step, sliceable
from skmm.inspection._plot._axes import (
    COLOURS,
    GREY,
    LIGHT,
    axes_for,
    legend_above,
    plain_frame,
    require_pyplot,
)

Array = np.ndarray


class CorrelationDisplay:
    """Training against held-out canonical correlations, with the band of chance.

    Training correlations are too high, the more so the more columns there are per row. Two things
    tell how much to believe: the correlations of the same components on held-out rows, and those
    that permuted pairs of rows, which share nothing, reach in training.

    Parameters
    ----------
    train : array-like of shape (n_components,)
        Training correlations.
    held_out : array-like of shape (n_splits, n_components)
        Held-out correlations of each split.
    null : array-like of shape (n_permutations, n_steps), default=None
        Training correlations of permuted pairs; at most `n_components` steps. None draws no band.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the drawing.
    figure_ : matplotlib Figure
        Figure of the axes.
    train_line_ : matplotlib Line2D
        The training correlations.
    held_out_bars_ : matplotlib ErrorbarContainer
        Means of the held-out correlations and one standard deviation over the splits.
    band_ : matplotlib FillBetweenPolyCollection or None
        Range of the training correlations of permuted pairs.

    See Also
    --------
    LoadingsDisplay : What the components consist of.
    ScoresDisplay : How the samples lie along them.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.inspection import CorrelationDisplay
    >>> display = CorrelationDisplay([0.9, 0.5], [[0.8, 0.1], [0.9, -0.1]]).plot()
    >>> display.held_out_bars_.lines[0].get_ydata().round(2)
    array([0.85, 0.  ])
    """

    def __init__(
        self, train: ArrayLike, held_out: ArrayLike, *, null: ArrayLike | None = None
    ) -> None:
        self.train = train
        self.held_out = held_out
        self.null = null

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        n_splits: int = 5,
        n_repeats: int = 2,
        n_permutations: int = 200,
        quantile: float = 0.95,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        ax: Any = None,
    ) -> Self:
        """Split, fit clones, permute, and draw.

        Parameters
        ----------
        estimator : CCA, Pipeline or search that ends in one
            Fitted on `X`. Other estimators with `transform_each` and `canonical_correlations_`
            have no band: pass ``n_permutations=0``.
        X : Modalities, dict, DataFrame or array-like
            The data that `estimator` was fitted on.
        y : array-like, default=None
            As in `fit`.
        n_splits : int, default=5
            Number of folds.
        n_repeats : int, default=2
            How many times the rows are shuffled and split into folds.
        n_permutations : int, default=200
            Number of permutations behind the band; 0 for none.
        quantile : float, default=0.95
            Quantile of the permuted correlations at which the band ends.
        random_state : int, RandomState instance or None, default=None
            Seeds the folds and the permutations.
        n_jobs : int, default=None
            Number of joblib jobs; does not change the result.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : CorrelationDisplay

        Raises
        ------
        NotFittedError
            If `estimator` is not fitted.
        TypeError
            If it has no canonical correlations, or a band is asked for and it is no CCA.
        ValueError
            If `X` lacks a modality, a split has too few rows, or a band is asked for where some
            correlations are 1 whatever the pairing (no shrinkage and too few rows).

        Notes
        -----
        Component k of a split is component k of the clone fitted on its training rows; held out
        is Pearson's correlation of its projections of the other rows, averaged over the pairs of
        modalities. A component that a clone does not have counts 0. A number of components chosen
        by the estimator ("auto") stays that of `estimator`.

        The band belongs to the step-down test (see :func:`skmm.inspection.permutation_test`) with
        the statistic "roy": at step k it is the largest correlation of permuted pairs beyond the
        first k components, so that a component is above chance if its training correlation and
        those before it are above the band. With shrinkage the test has no later steps, and with
        more than two modalities none beyond the smallest rank: there the level of the last step
        goes on as a dashed line, for the eye. The band comes from the complete rows, with more
        than two modalities by "maxvar". Sample weights of `fit` enter neither splits nor band.

        Examples
        --------
        >>> from skmm import CCA
        >>> from skmm.datasets import load_digits_halves
        >>> from skmm.inspection import CorrelationDisplay
        >>> X = load_digits_halves().data[:500]
        >>> cca = CCA(n_components=4, shrinkage=0.1).fit(X)
        >>> display = CorrelationDisplay.from_estimator(
        ...     cca, X, n_permutations=20, random_state=0
        ... )
        >>> display.held_out.shape
        (10, 4)
        """
        require_pyplot(f"{cls.__name__}.from_estimator")
        X = sliceable(X)
        model, inner = fitted_step(estimator, X)
        train = training_correlations(model)
        codes = codes_of(model, inner, y)
        if absent := [name for name in model.modality_names_in_ if name not in codes]:
            raise ValueError(f"X lacks the modalities {absent}: pass all that fit saw.")
        check_count("n_permutations", n_permutations, 0)
        split_seed, null_seed = check_random_state(random_state).randint(2**31 - 1, size=2)
        null = None
        if n_permutations:
            null = permuted_correlations(model, inner, y, n_permutations, null_seed, n_jobs)
        folds = RepeatedKFold(n_splits=n_splits, n_repeats=n_repeats, random_state=split_seed)
        splits = folds.split(np.arange(_num_samples(X)))
        unfitted = unfitted_choice(estimator, model)
        held_out = held_out_correlations(unfitted, X, y, splits, len(train), n_jobs)
        return cls(train, held_out, null=null).plot(ax=ax, quantile=quantile)

    def plot(self, *, ax: Any = None, quantile: float = 0.95) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        quantile : float, default=0.95
            Quantile of `null` at which the band ends.

        Returns
        -------
        display : CorrelationDisplay

        Raises
        ------
        ValueError
            If the arrays do not fit together or `quantile` is not in (0, 1).
        """
        train, held_out, null = self._arrays()
        check_share("quantile", quantile)
        ax = axes_for(f"{type(self).__name__}.plot", ax, (6.4, 4.4))
        k = len(train)
        mean, sd = held_out.mean(axis=0), held_out.std(axis=0)
        self.ax_, self.figure_ = ax, ax.figure
        self.band_ = (
            None if null is None else _draw_band(ax, np.quantile(null, quantile, axis=0), k)
        )
        (self.train_line_,) = ax.plot(
            np.arange(k), train, color=COLOURS[1], marker="o", mfc="white", ms=5, lw=1.2, zorder=3
        )
        self.held_out_bars_ = ax.errorbar(
            np.arange(k), mean, sd, color=COLOURS[0], marker="o", ms=5, lw=1.2,
            elinewidth=1.0, capsize=2.0, zorder=4,
        )  # fmt: skip
        drawn = {"training": self.train_line_, "held out": self.held_out_bars_}
        if self.band_ is not None:
            drawn[f"chance ({100 * quantile:.3g} %)"] = self.band_
        low = min(0.0, float(np.min(mean - sd)), float(np.min(train)))
        ax.set(xlim=(-0.6, k - 0.4), ylim=(low - 0.02 if low < 0 else 0.0, 1.03))
        ax.set(xlabel="Component", ylabel="Canonical correlation")
        ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        if low < 0:
            ax.axhline(0.0, color=GREY, lw=0.6, zorder=2)
        plain_frame(ax)
        legend_above(ax, list(drawn.values()), list(drawn))
        return self

    def _arrays(self) -> tuple[Array, Array, Array | None]:
        train = np.asarray(self.train, dtype=np.float64)
        held_out = np.asarray(self.held_out, dtype=np.float64)
        null = None if self.null is None else np.asarray(self.null, dtype=np.float64)
        if train.ndim != 1 or not len(train):
            raise ValueError(f"train must be (n_components,), got shape {train.shape}.")
        if held_out.ndim != 2 or held_out.shape[1] != len(train) or not len(held_out):
            raise ValueError(
                f"held_out must be (n_splits, {len(train)}) as train has {len(train)} components, "
                f"got shape {held_out.shape}."
            )
        if null is not None and (null.ndim != 2 or not 1 <= null.shape[1] <= len(train)):
            raise ValueError(
                f"null must be (n_permutations, n_steps) with at most {len(train)} steps, got "
                f"shape {null.shape}."
            )
        return train, held_out, null


def _draw_band(ax: Any, limit: Array, n_components: int) -> Any:
    """Fill from 0 to the limit, half a component to each side; dashed beyond the last step."""
    edges = np.repeat(np.arange(len(limit) + 1) - 0.5, 2)[1:-1]
    if len(limit) < n_components:
        ends = [edges[-1], n_components - 0.5]
        ax.plot(ends, [limit[-1]] * 2, color=GREY, lw=1.0, ls="--", zorder=1)
    return ax.fill_between(edges, 0.0, np.repeat(limit, 2), color=LIGHT, lw=0, zorder=1)
