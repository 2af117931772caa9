"""Training against held-out canonical correlations."""

from itertools import combinations
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.model_selection import RepeatedKFold
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _num_samples

from skmm._cca import CCA
from skmm._linalg import CONSTANT, pearson
from skmm._modalities import check_modalities, missing_mask
from skmm._parameters import is_integer
from skmm._permutation import step_down_permutation
from skmm._permutation._variates import Variates
from skmm._random import check_random_state
from skmm.compose._steps import chosen, last_step
from skmm.inspection._plot._axes import (
    COLOURS,
    FONT,
    GREY,
    LIGHT,
    axes_for,
    plain_frame,
    require_pyplot,
    spread,
    text_size,
)
from skmm.inspection._plot._model import codes_of, fitted_step, sliceable

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
        What permuted pairs reach.

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
        _check_usable(model, inner, y)
        if not is_integer(n_permutations, 0):
            raise ValueError(f"n_permutations={n_permutations!r} must be an integer of at least 0.")
        split_seed, null_seed = check_random_state(random_state).randint(2**31 - 1, size=2)
        null = None
        if n_permutations:
            null = _permuted_correlations(model, inner, y, n_permutations, null_seed, n_jobs)
        unfitted = _to_clone(estimator, model)
        splits = RepeatedKFold(n_splits=n_splits, n_repeats=n_repeats, random_state=split_seed)
        parts = Parallel(n_jobs=n_jobs)(
            delayed(_held_out)(clone(unfitted), X, y, train, test, model.n_components_)
            for train, test in splits.split(np.arange(_num_samples(X)))
        )
        display = cls(model.canonical_correlations_, np.array(parts), null=null)
        return display.plot(ax=ax, quantile=quantile)

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
        if not 0 < quantile < 1:
            raise ValueError(f"quantile={quantile!r} must be between 0 and 1.")
        ax = axes_for(f"{type(self).__name__}.plot", ax, (6.4, 4.4))
        k = len(train)
        mean, sd = held_out.mean(axis=0), held_out.std(axis=0)
        limit = None if null is None else np.quantile(null, quantile, axis=0)
        self.ax_, self.figure_ = ax, ax.figure
        self.band_ = None if limit is None else _draw_band(ax, limit, k)
        (self.train_line_,) = ax.plot(
            np.arange(k), train, color=COLOURS[1], marker="o", mfc="white", ms=5, lw=1.2, zorder=3
        )
        self.held_out_bars_ = ax.errorbar(
            np.arange(k), mean, sd, color=COLOURS[0], marker="o", ms=5, lw=1.2,
            elinewidth=1.0, capsize=2.0, zorder=4,
        )  # fmt: skip
        low = min(0.0, float(np.min(mean - sd)), float(np.min(train)))
        ax.set_ylim(low - 0.02 if low < 0 else 0.0, 1.03)
        ax.set_ylabel("Canonical correlation")
        ends = {"training": (train[-1], COLOURS[1]), "held out": (mean[-1], COLOURS[0])}
        if limit is not None:
            text = f"permuted pairs,\n{100 * quantile:.3g} % below"
            ends[text] = (limit[-1] / 2 if len(limit) == k else limit[-1], GREY)
        _finish(ax, k, low, ends)
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


def _check_usable(model: Any, X: Any, y: Any) -> None:
    if not hasattr(model, "canonical_correlations_"):
        raise TypeError(
            f"{type(model).__name__} has no canonical_correlations_: this display is for "
            "estimators such as CCA, or pipelines and searches ending in one."
        )
    codes = codes_of(model, X, y)
    if absent := [name for name in model.modality_names_in_ if name not in codes]:
        raise ValueError(f"X lacks the modalities {absent}: pass all that fit saw.")


def _to_clone(estimator: Any, model: Any) -> Any:
    """Return what each split fits anew: no search, and a number of components that is chosen."""
    unfitted = clone(chosen(estimator))
    last = last_step(unfitted)
    if getattr(last, "n_components", None) == "auto":
        last.set_params(n_components=model.n_components_)
    return unfitted


def _held_out(
    estimator: Any, X: Any, y: Any, train: Array, test: Array, n_components: int
) -> Array:
    """Return the correlation of each component on the rows `test`."""

    def rows(data: Any, which: Array) -> Any:
        return None if data is None else _safe_indexing(data, which)

    estimator.fit(rows(X, train), rows(y, train))
    model, inner = fitted_step(estimator, rows(X, test))
    codes = codes_of(model, inner, rows(y, test))
    pairs = [_pearson_of_pair(codes, a, b) for a, b in combinations(codes, 2)]
    correlations = np.zeros(n_components)
    found = np.mean(pairs, axis=0)[:n_components]
    correlations[: len(found)] = found
    return correlations


def _pearson_of_pair(codes: dict[str, Array], a: str, b: str) -> Array:
    both = ~(np.isnan(codes[a]).any(axis=1) | np.isnan(codes[b]).any(axis=1))
    if both.sum() < 2:
        raise ValueError(
            f"Fewer than 2 held-out rows of a split have both {a!r} and {b!r}: use fewer splits."
        )
    return pearson(codes[a][both], codes[b][both], constant=CONSTANT)


def _permuted_correlations(
    model: Any, X: Any, y: Any, n_permutations: int, seed: int, n_jobs: int | None
) -> Array:
    """Return the largest training correlation of permuted pairs at each step."""
    if not isinstance(model, CCA):
        raise TypeError(
            f"The band of permuted pairs is for CCA, not {type(model).__name__}: pass "
            "n_permutations=0."
        )
    X = check_modalities(model, X, y, reset=False, min_modalities=2, flatten=True)
    complete = ~missing_mask(X).any(axis=1)
    blocks = [np.asarray(X[name], dtype=np.float64)[complete] for name in X.names]
    shrinkage = [model.shrinkage_[name] for name in X.names]
    # With shrinkage the test has a reference for the first step only.
    ranks = [1] if any(shrinkage) else Variates.of(blocks, shrinkage, model.scale).ranks
    return step_down_permutation(
        blocks,
        n_components=min(model.n_components_, *ranks),
        n_permutations=n_permutations,
        statistic="roy",
        shrinkage=shrinkage,
        scale=model.scale,
        n_jobs=n_jobs,
        random_state=seed,
    ).null


def _draw_band(ax: Any, limit: Array, n_components: int) -> Any:
    """Fill from 0 to the limit, half a component to each side; dashed beyond the last step."""
    edges = np.repeat(np.arange(len(limit) + 1) - 0.5, 2)[1:-1]
    if len(limit) < n_components:
        ends = [edges[-1], n_components - 0.5]
        ax.plot(ends, [limit[-1]] * 2, color=GREY, lw=1.0, ls="--", zorder=1)
    return ax.fill_between(edges, 0.0, np.repeat(limit, 2), color=LIGHT, lw=0, zorder=1)


def _finish(ax: Any, k: int, low: float, ends: dict[str, tuple[float, str]]) -> None:
    """Write the names at the right ends, in room made for them, and clean the frame."""
    from matplotlib.ticker import FixedLocator, MaxNLocator

    box = ax.get_window_extent()
    width, height = text_size(ax, list(ends), FONT)
    share = min(0.5, (width + 12) / box.width)  # of the width, for the names
    left, last = -0.6, k - 0.4
    ax.set_xlim(left, left + (last - left) / (1 - share))
    ax.set_xlabel("Component", x=(1 - share) / 2)
    ax.spines["bottom"].set_bounds(left, last)
    fitting = (1 - share) * box.width / (1.3 * height)  # a number is less wide than two lines high
    nbins = int(np.clip(fitting, 2, max(2, min(k, 9))))
    ticks = MaxNLocator(nbins=nbins, integer=True, min_n_ticks=1).tick_values(0, k - 1)
    ax.xaxis.set_major_locator(FixedLocator([t for t in ticks if 0 <= t <= k - 1]))
    bottom, top = ax.get_ylim()
    gap = 1.15 * height / box.height * (top - bottom)
    wanted = np.array([value for value, _ in ends.values()])
    room = max(top - gap / 2, bottom + (len(ends) - 0.5) * gap)
    places = spread(wanted, gap, bottom + gap / 2, room)
    for (text, (_, colour)), place in zip(ends.items(), places, strict=True):
        ax.text(last, place, text, color=colour, fontsize=FONT, va="center", clip_on=False)
    if low < 0:
        ax.plot([left, last], [0.0, 0.0], color=GREY, lw=0.6, zorder=2)
    plain_frame(ax)
