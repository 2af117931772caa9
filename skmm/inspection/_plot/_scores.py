"""Where the samples lie along a component of two modalities."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skmm._linalg import pearson
from skmm.inspection._checks import check_component, check_modality_names
from skmm.inspection._fitted import (
    codes_of,
    fitted_step,
    sliceable,
)
from skmm.inspection._plot._axes import (
    FONT,
    axes_for,
    plain_frame,
    require_pyplot,
    wrapped,
)
from skmm.inspection._plot._points import as_series, draw_points

Array = np.ndarray
SAME = 1e-4  # correlations this close are those of the same rows


class ScoresDisplay:
    """Scatter of the paired projections of two modalities along one component.

    Parameters
    ----------
    x_scores : array-like of shape (n_samples,)
        Projections of the modality on the horizontal axis.
    y_scores : array-like of shape (n_samples,)
        Those of the other modality, of the same samples.
    modality_names : tuple of str, default=("x", "y")
        Names of the two modalities.
    component : int, default=0
        Number of the component, for the labels of the axes.
    labels : array-like of shape (n_samples,), default=None
        A label per sample. Strings, bools, categories and up to 12 different integers are
        classes, in a legend; other numbers are a quantity, in a colour bar.
    train_correlation : float, default=None
        Correlation of the training rows, stated for comparison.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the drawing.
    figure_ : matplotlib Figure
        Figure of the axes.
    points_ : list of matplotlib PathCollection
        The samples: one collection per class, preceded by the samples without a label, if any.
    correlation_ : float
        Pearson's correlation of the samples drawn.

    See Also
    --------
    LoadingsDisplay : What a component consists of.
    CorrelationDisplay : Which components to believe.

    Examples
    --------
    >>> from skmm.inspection import ScoresDisplay
    >>> display = ScoresDisplay([0, 1, 2], [1, 3, 2], modality_names=("image", "text")).plot()
    >>> display.ax_.get_title(loc="left")
    'r = 0.50 in 3 rows'
    """

    def __init__(
        self,
        x_scores: ArrayLike,
        y_scores: ArrayLike,
        *,
        modality_names: tuple[str, str] = ("x", "y"),
        component: int = 0,
        labels: Any = None,
        train_correlation: float | None = None,
    ) -> None:
        self.x_scores = x_scores
        self.y_scores = y_scores
        self.modality_names = modality_names
        self.component = component
        self.labels = labels
        self.train_correlation = train_correlation

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        component: int = 0,
        modalities: Sequence[str] | None = None,
        labels: Any = None,
        ax: Any = None,
    ) -> Self:
        """Project the rows of X and draw them.

        Parameters
        ----------
        estimator : CCA, Pipeline or search that ends in one
            Fitted; gives each modality's projections by `transform_each`.
        X : Modalities, dict, DataFrame or array-like
            Rows to draw; those that lack one of the two modalities are left out. For rows other
            than those of `fit` the title states both correlations.
        y : array-like, default=None
            The second modality, if it was in `fit`; ignored otherwise. Classes go into `labels`.
        component : int, default=0
            Which component.
        modalities : list of str, default=None
            Names of the two modalities, horizontal first; None takes the first two of `X`.
        labels : array-like of shape (n_samples,), default=None
            A label per row of `X`. Strings, bools, categories and up to 12 different integers are
            classes, in a legend; other numbers are a quantity, in a colour bar. The name of a
            Series is the label of the colour bar.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ScoresDisplay

        Raises
        ------
        NotFittedError
            If `estimator` is not fitted.
        ValueError
            If the component or a modality does not exist, the labels do not fit the rows, or
            fewer than two rows have both modalities.

        Examples
        --------
        >>> from skmm import CCA
        >>> from skmm.datasets import load_digits_halves
        >>> from skmm.inspection import ScoresDisplay
        >>> X, y = load_digits_halves(return_X_y=True)
        >>> cca = CCA(n_components=3, shrinkage=0.1).fit(X[:1000])
        >>> display = ScoresDisplay.from_estimator(cca, X[1000:], component=1, labels=y[1000:])
        >>> len(display.points_)
        10
        """
        require_pyplot(f"{cls.__name__}.from_estimator")
        model, inner = fitted_step(estimator, sliceable(X))
        codes = codes_of(model, inner, y)
        names = check_modality_names(modalities, list(codes))[: None if modalities else 2]
        if len(names) != 2:
            raise ValueError(f"modalities={modalities!r} must be two names of {list(codes)}.")
        a, b = names
        k = check_component("component", component, codes[a].shape[1])
        u, v = codes[a][:, k], codes[b][:, k]
        both = ~(np.isnan(u) | np.isnan(v))
        if both.sum() < 2:
            raise ValueError(f"Fewer than 2 rows have both {a!r} and {b!r}: nothing to draw.")
        display = cls(
            u[both],
            v[both],
            modality_names=(a, b),
            component=k,
            labels=None if labels is None else as_series(labels, len(both))[both],
            train_correlation=_train_correlation(model, a, b, k),
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ScoresDisplay

        Raises
        ------
        ValueError
            If scores and labels are not of the same samples.
        """
        x, y = (np.asarray(s, dtype=np.float64) for s in (self.x_scores, self.y_scores))
        if x.ndim != 1 or x.shape != y.shape:
            raise ValueError(
                f"x_scores and y_scores must be (n_samples,), got shapes {x.shape} and {y.shape}."
            )
        labels = None if self.labels is None else as_series(self.labels, len(x))
        ax = axes_for(f"{type(self).__name__}.plot", ax, (5.6, 4.8))
        self.ax_, self.figure_ = ax, ax.figure
        self.correlation_ = float(pearson(x[:, None], y[:, None])[0])
        self.points_, n_rows = draw_points(ax, x, y, labels)
        a, b = self.modality_names
        ax.set_xlabel(f"{a}, component {self.component}", parse_math=False)
        ax.set_ylabel(f"{b}, component {self.component}", parse_math=False)
        text = wrapped(ax, self._statement(len(x)), FONT + 1)
        ax.set_title(text, loc="left", fontsize=FONT + 1, pad=6 + 1.65 * FONT * n_rows)
        plain_frame(ax)
        return self

    def _statement(self, n_samples: int) -> str:
        """Say which correlation these rows have, and the training rows if they are others."""
        here, train = self.correlation_, self.train_correlation
        if train is not None and abs(here - train) <= SAME:
            text = f"r = {here:.2f} in training ({n_samples} rows)"
        elif train is not None:
            text = f"r = {here:.2f} in these {n_samples} rows, {train:.2f} in training"
        else:
            text = f"r = {here:.2f} in {n_samples} rows"
        return text.replace("-", "−")


def _train_correlation(model: Any, a: str, b: str, component: int) -> float | None:
    if not hasattr(model, "pairwise_correlations_"):
        return None
    names = list(model.modality_names_in_)
    return float(model.pairwise_correlations_[component, names.index(a), names.index(b)])
