"""Generated samples beside the truth, condition by condition."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skmm.inspection._checks import check_count
from skmm.inspection._draws import draws_given, observed_target, target_columns
from skmm.inspection._fitted import fitted_step, sliceable
from skmm.inspection._plot._axes import FONT, axes_for, name_columns, require_pyplot, shortened
from skmm.inspection._plot._pictures import MOST, draw_grid, grid_size, picture_shape
from skmm.inspection._plot._sample_arrays import (
    check_columns,
    check_conditions,
    check_names,
    check_samples,
    check_truth,
    names_of,
)
from skmm.inspection._plot._sample_points import (
    Places,
    columns_of,
    name_points,
    one_axes,
    panels_across,
    panels_for,
    scatter,
    strips,
    xy,
)

Array = np.ndarray
DRAWS, PICTURES = 100, 8  # draws per condition, of numbers and of pictures, by default


class SamplesDisplay:
    """Draws of a generative model for some conditions, with the truth.

    One column is drawn as a strip of dots per condition, or over the conditions where these are
    numbers; two columns as a cloud per condition, in panels with common axes; images as a row per
    condition, the truth first and the draws beside it. All pictures share their scale, from the
    smallest to the largest value of the truth. A single true value is marked before the draws;
    several are grey dots.

    Parameters
    ----------
    samples : array-like of shape (n_samples, n_conditions, ...)
        The draws: numbers, vectors, or images (H, W) or (C, H, W). Three channels are red, green
        and blue; of any other number the mean is drawn.
    y_true : array-like of shape (n_conditions, ...) or (n_true, n_conditions, ...), default=None
        The truth, one per condition or several; NaN where it is missing. None draws no truth.
    conditions : array-like of shape (n_conditions,), default=None
        A name or number per condition. Over numbers, draws of one column are placed where they
        belong. The name of a Series is the label of their axis.
    columns : tuple of one or two int or str, default=None
        Which columns of vectors to draw, by number or name; None draws the first two, or the only
        one.
    column_names : list of str, default=None
        Names of all columns; None takes those of `y_true`, if it is a frame or a Series with a
        name, or else numbers.
    image_shape : tuple of int, default=None
        Shape (H, W) or (C, H, W) of images that are flattened.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        A panel per condition for clouds, otherwise one.
    figure_ : matplotlib Figure
        Figure of the axes.
    points_ : list of matplotlib PathCollection
        The draws of each panel; empty for images.
    truth_points_ : list of matplotlib PathCollection
        The truth in each panel; empty for images and without a truth.
    images_ : dict of tuple to matplotlib AxesImage
        By (number of the condition, number of the draw); the truth has "truth" for a number.

    See Also
    --------
    ReconstructionDisplay : Reconstructions by a model with decoders.

    Examples
    --------
    >>> from skmm.datasets import make_conditional
    >>> from skmm.inspection import SamplesDisplay
    >>> made = make_conditional("branches", 4, random_state=0)
    >>> samples = made.sample_conditional(made.data["X"], 50, random_state=0)
    >>> display = SamplesDisplay(samples, made.target).plot()
    >>> len(display.axes_), len(display.points_[0].get_offsets())
    (4, 50)
    """

    def __init__(
        self,
        samples: ArrayLike,
        y_true: ArrayLike | None = None,
        *,
        conditions: ArrayLike | None = None,
        columns: Sequence[int | str] | None = None,
        column_names: Sequence[str] | None = None,
        image_shape: tuple[int, ...] | None = None,
    ) -> None:
        self.samples = samples
        self.y_true = y_true
        self.conditions = conditions
        self.columns = columns
        self.column_names = column_names
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        n_conditions: int | None = 6,
        n_samples: int | None = None,
        conditions: ArrayLike | None = None,
        columns: Sequence[int | str] | None = None,
        image_shape: tuple[int, ...] | None = None,
        random_state: int | np.random.RandomState | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw from an estimator for the first rows of X, and show the draws.

        Parameters
        ----------
        estimator : ConditionalGAN, Pipeline or search that ends in one
            Fitted; its `sample(n_samples, given=X, random_state=...)` gives an array
            (n_samples, n_rows, ...). With a pipeline, the draws are those of its last step.
        X : Modalities, dict, DataFrame or array-like
            Conditions, one per row.
        y : array-like of shape (n_rows, ...), default=None
            The truth. None takes the target of the estimator from `X`, if it is there. Columns have
            its names, or those that the target had in `fit`.
        n_conditions : int, default=6
            How many rows are drawn at most, from the first on; None draws all.
        n_samples : int, default=None
            Draws per condition; None is 100, and 8 for images.
        conditions : array-like of shape (n_rows,), default=None
            A name or number per row of `X`, for instance its first column.
        columns : tuple of one or two int or str, default=None
            Which columns of a vector to draw, by number or name; None draws the first two, or the
            only one.
        image_shape : tuple of int, default=None
            Shape (H, W) or (C, H, W) of images that are flattened.
        random_state : int, RandomState instance or None, default=None
            Determines the draws.
        ax : matplotlib Axes or array of Axes, default=None
            Where to draw: for clouds one per condition. None makes a figure.

        Returns
        -------
        display : SamplesDisplay

        Raises
        ------
        NotFittedError
            If `estimator` is not fitted.
        TypeError
            If it does not give an array of draws.
        ValueError
            If `n_conditions` or `n_samples` is less than 1, or the arguments do not fit together.

        Examples
        --------
        >>> from skmm import ConditionalGAN
        >>> from skmm.datasets import make_conditional
        >>> from skmm.inspection import SamplesDisplay
        >>> X, y = make_conditional("branches", 300, random_state=0, return_X_y=True)
        >>> gan = ConditionalGAN(max_epochs=10, random_state=0).fit(X, y)
        >>> display = SamplesDisplay.from_estimator(gan, X, y, n_conditions=3, random_state=0)
        >>> len(display.axes_)
        3
        """
        require_pyplot(f"{cls.__name__}.from_estimator")
        check_count("n_conditions", n_conditions, 1, or_none=True)
        check_count("n_samples", n_samples, 1, or_none=True)
        X = sliceable(X)
        if conditions is not None:
            check_conditions(conditions, _num_samples(X))
        rows = np.arange(min(_num_samples(X), n_conditions or _num_samples(X)))
        model, inner = fitted_step(estimator, _safe_indexing(X, rows))
        truth = observed_target(model, inner) if y is None else _safe_indexing(y, rows)
        n_drawn = n_samples or (PICTURES if image_shape is not None else DRAWS)
        samples = draws_given(model, inner, n_drawn, random_state)
        if n_samples is None and samples.ndim > 3:
            samples = samples[:PICTURES]
        display = cls(
            samples,
            truth,
            conditions=None if conditions is None else _safe_indexing(conditions, rows),
            columns=columns,
            column_names=names_of(y) or target_columns(model),
            image_shape=image_shape,
        )
        return display.plot(ax=ax)

    @classmethod
    def from_samples(
        cls,
        y_true: ArrayLike | None,
        samples: ArrayLike,
        *,
        n_conditions: int | None = 6,
        conditions: ArrayLike | None = None,
        columns: Sequence[int | str] | None = None,
        image_shape: tuple[int, ...] | None = None,
        ax: Any = None,
    ) -> Self:
        """Show draws of the first conditions, whatever made them.

        Parameters
        ----------
        y_true : array-like of shape (n_rows, ...) or (n_true, n_rows, ...), or None
            The truth, one per condition or several; None draws none.
        samples : array-like of shape (n_samples, n_rows, ...)
            The draws.
        n_conditions : int, default=6
            How many rows are drawn at most, from the first on; None draws all.
        conditions : array-like of shape (n_rows,), default=None
            A name or number per condition.
        columns : tuple of one or two int or str, default=None
            Which columns of a vector to draw, by number or name; None draws the first two, or the
            only one.
        image_shape : tuple of int, default=None
            Shape (H, W) or (C, H, W) of images that are flattened.
        ax : matplotlib Axes or array of Axes, default=None
            Where to draw: for clouds one per condition. None makes a figure.

        Returns
        -------
        display : SamplesDisplay

        Raises
        ------
        ValueError
            If `n_conditions` is less than 1 or the arrays do not fit together.

        Examples
        --------
        >>> from skmm.datasets import make_conditional
        >>> from skmm.inspection import SamplesDisplay
        >>> made = make_conditional("heteroscedastic", 100, random_state=0)
        >>> X = made.data["X"]
        >>> display = SamplesDisplay.from_samples(
        ...     made.target, made.sample_conditional(X, 20), n_conditions=None, conditions=X[:, 0]
        ... )
        >>> len(display.points_[0].get_offsets())
        2000
        """
        check_count("n_conditions", n_conditions, 1, or_none=True)
        draws = check_samples(samples)
        truth = None if y_true is None else check_truth(y_true, draws)[:, :n_conditions]
        if conditions is not None:
            check_conditions(conditions, draws.shape[1])
            conditions = _safe_indexing(conditions, np.arange(draws.shape[1])[:n_conditions])
        display = cls(
            draws[:, :n_conditions],
            truth,
            conditions=conditions,
            columns=columns,
            column_names=names_of(y_true),
            image_shape=image_shape,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or array of Axes, default=None
            Where to draw: for clouds one per condition. None makes a figure.

        Returns
        -------
        display : SamplesDisplay

        Raises
        ------
        ValueError
            If the arrays do not fit together, a column does not exist, an image shape does not
            fit, or there are not as many axes as panels.
        """
        require_pyplot(f"{type(self).__name__}.plot")
        samples = check_samples(self.samples)
        truth = None if self.y_true is None else check_truth(self.y_true, samples)
        names = check_conditions(self.conditions, samples.shape[1])
        sample_shape = samples.shape[2:]
        given = self.image_shape
        if given is None and len(sample_shape) > 1:
            given = sample_shape
        shape = picture_shape("image_shape", given, sample_shape)
        self.points_: list[Any] = []
        self.truth_points_: list[Any] = []
        self.images_: dict[tuple[int, int | str], Any] = {}
        if shape is not None:
            if self.columns is not None:
                raise ValueError(f"columns={self.columns!r} is of vectors, but these are images.")
            self._draw_pictures(ax, samples, truth, names, shape)
            return self
        known = check_names(self.column_names or names_of(self.y_true), samples[0, 0].size)
        columns = check_columns(self.columns, known)
        samples = columns_of(samples, columns)
        truth = None if truth is None else columns_of(truth, columns)
        draw = self._draw_strips if len(columns) == 1 else self._draw_clouds
        draw(ax, samples, truth, names, [known[column] for column in columns])
        return self

    def _draw_strips(
        self, ax: Any, samples: Array, truth: Array | None, names: Array, columns: list[str]
    ) -> None:
        over_numbers = self.conditions is not None and np.issubdtype(names.dtype, np.number)
        n_conditions = len(names)
        width = 5.6 if over_numbers else float(np.clip(1.2 + 0.8 * n_conditions, 3.0, 12.0))
        panel = one_axes(axes_for(f"{type(self).__name__}.plot", ax, (width, 3.8)))
        self._set_axes(panel)
        centres = names.astype(float) if over_numbers else np.arange(n_conditions, dtype=float)
        beside = 0.2 if truth is not None and len(truth) > 1 else 0.0  # several true ones, left
        width_of_strip, beside = (0.0, 0.0) if over_numbers else (0.6 - 1.25 * beside, beside)
        self._add_points(
            panel,
            strips(samples, centres, width_of_strip, beside),
            None if truth is None else strips(truth, centres, width_of_strip, -beside),
            single=truth is not None and len(truth) == 1,
        )
        panel.set_ylabel(shortened(columns[0]), parse_math=False, fontsize=FONT + 1)
        if not over_numbers:
            name_columns(panel, names)
        label = getattr(self.conditions, "name", None)
        label = "condition" if label is None else shortened(label)
        panel.set_xlabel(label, parse_math=False, fontsize=FONT + 1)
        if truth is not None:
            name_points(panel, self.points_[0], self.truth_points_[0], above=ax is None)

    def _draw_clouds(
        self, ax: Any, samples: Array, truth: Array | None, names: Array, columns: list[str]
    ) -> None:
        panels = panels_for(f"{type(self).__name__}.plot", ax, len(names))
        across = panels_across(panels)
        self._set_axes(panels)
        both = samples if truth is None else np.concatenate([samples, truth])
        low, high = np.nanmin(both, axis=(0, 1)), np.nanmax(both, axis=(0, 1))
        room = 0.05 * np.where(high > low, high - low, 1.0)
        for i, panel in enumerate(panels):
            here = slice(i, i + 1)
            self._add_points(
                panel,
                xy(samples[:, here]),
                None if truth is None else xy(truth[:, here]),
                single=truth is not None and len(truth) == 1,
            )
            limits = zip(low - room, high + room, strict=True)
            panel.set(**dict(zip(("xlim", "ylim"), limits, strict=True)))
            panel.set_title(shortened(names[i]), loc="left", fontsize=FONT, parse_math=False)
            if across is None or i + across >= len(panels):  # nothing below
                panel.set_xlabel(shortened(columns[0]), parse_math=False, fontsize=FONT)
            if across is None or i % across == 0:
                panel.set_ylabel(shortened(columns[1]), parse_math=False, fontsize=FONT)
        if truth is not None:
            name_points(panels[0], self.points_[0], self.truth_points_[0], above=ax is None)

    def _add_points(
        self, panel: Any, samples: Places, truth: Places | None, *, single: bool
    ) -> None:
        points, truth_points = scatter(panel, samples, truth, single=single)
        self.points_.append(points)
        if truth_points is not None:
            self.truth_points_.append(truth_points)

    def _draw_pictures(
        self,
        ax: Any,
        samples: Array,
        truth: Array | None,
        names: Array,
        shape: tuple[int, int, int],
    ) -> None:
        rows = [values.reshape(len(names), *shape) for values in samples[:MOST]]
        first = None if truth is None else truth[0].reshape(len(names), *shape)
        labels = [shortened(name) for name in names]
        size = grid_size(labels, len(rows) + (first is not None), shape)
        panel = one_axes(axes_for(f"{type(self).__name__}.plot", ax, size))
        self._set_axes(panel)
        self.images_ = draw_grid(panel, rows, first, labels)

    def _set_axes(self, axes: Any) -> None:
        self.axes_ = np.atleast_1d(np.asarray(axes, dtype=object))
        self.figure_ = self.axes_[0].figure
