"""The codes of the samples in the plane."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from skmm.inspection._plot._axes import FONT, axes_for, plain_frame, require_pyplot
from skmm.inspection._plot._model import check_component, fitted_step, sliceable
from skmm.inspection._plot._points import as_series, draw_points

Array = np.ndarray


class LatentDisplay:
    """Scatter of the codes of the samples, coloured by label.

    Parameters
    ----------
    points : array-like of shape (n_samples, 2)
        Two components of the codes, or a projection of them.
    labels : array-like of shape (n_samples,), default=None
        A label per sample. Strings, bools, categories and up to 12 different integers are
        classes, in a legend; other numbers are a quantity, in a colour bar.
    axis_labels : tuple of str, default=("component 0", "component 1")
        Names of the two axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the drawing.
    figure_ : matplotlib Figure
        Figure of the axes.
    points_ : list of matplotlib PathCollection
        The samples: one collection per class, preceded by the samples without a label, if any.

    See Also
    --------
    ScoresDisplay : Two modalities along one component.
    TrainingCurveDisplay : How the training went.

    Examples
    --------
    >>> from skmm.inspection import LatentDisplay
    >>> display = LatentDisplay([[0, 1], [2, 3], [4, 4]], labels=["a", "b", "a"]).plot()
    >>> len(display.points_)
    2
    """

    def __init__(
        self,
        points: ArrayLike,
        *,
        labels: Any = None,
        axis_labels: tuple[str, str] = ("component 0", "component 1"),
    ) -> None:
        self.points = points
        self.labels = labels
        self.axis_labels = axis_labels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        labels: Any = None,
        modality: str | None = None,
        components: Sequence[int] = (0, 1),
        projection: Any = None,
        ax: Any = None,
    ) -> Self:
        """Encode the rows of X and draw them.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            Fitted; with `transform`, or `transform_each` if `modality` is given.
        X : Modalities, dict, DataFrame or array-like
            Rows to draw.
        labels : array-like of shape (n_samples,), default=None
            A label per row of `X`.
        modality : str, default=None
            Draw the codes of this modality alone; rows that lack it are left out.
        components : sequence of two int, default=(0, 1)
            Which components to draw, if there is no `projection`.
        projection : transformer, default=None
            From codes to the plane, for instance ``PCA(2)`` or ``TSNE(2)``: a clone is fitted on
            the codes of these rows. None draws two components as they are.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : LatentDisplay

        Raises
        ------
        NotFittedError
            If `estimator` is not fitted.
        TypeError
            If it gives no codes.
        ValueError
            If a component or the modality does not exist, the labels do not fit the rows, or the
            projection has not two columns.

        Examples
        --------
        >>> from sklearn.decomposition import PCA
        >>> from skmm import CCA
        >>> from skmm.datasets import load_digits_halves
        >>> from skmm.inspection import LatentDisplay
        >>> X, y = load_digits_halves(return_X_y=True)
        >>> cca = CCA(n_components=5, shrinkage=0.1).fit(X)
        >>> display = LatentDisplay.from_estimator(cca, X, labels=y, projection=PCA(2))
        >>> display.ax_.get_xlabel()
        'PCA 0'
        """
        require_pyplot(f"{cls.__name__}.from_estimator")
        model, inner = fitted_step(estimator, sliceable(X))
        Z = _codes(model, inner, modality)
        labels = None if labels is None else as_series(labels, len(Z))
        known = np.isfinite(Z).all(axis=1)
        Z, labels = Z[known], None if labels is None else labels[known]
        if projection is None:
            first, second = _two(components, Z.shape[1])
            Z, names = Z[:, [first, second]], (f"component {first}", f"component {second}")
        else:
            Z = np.asarray(clone(projection).fit_transform(Z))
            if Z.ndim != 2 or Z.shape[1] != 2:
                raise ValueError(
                    f"projection={projection!r} gives shape {Z.shape}, but a picture needs two "
                    "columns."
                )
            name = type(projection).__name__
            names = (f"{name} 0", f"{name} 1")
        if modality is not None:
            names = (f"{modality}, {names[0]}", f"{modality}, {names[1]}")
        return cls(Z, labels=labels, axis_labels=names).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : LatentDisplay

        Raises
        ------
        ValueError
            If there are not two columns, or not as many labels as points.
        """
        points = np.asarray(self.points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(f"points must be (n_samples, 2), got shape {points.shape}.")
        labels = None if self.labels is None else as_series(self.labels, len(points))
        ax = axes_for(f"{type(self).__name__}.plot", ax, (5.6, 4.8))
        self.ax_, self.figure_ = ax, ax.figure
        self.points_, _ = draw_points(ax, points[:, 0], points[:, 1], labels)
        ax.set_xlabel(self.axis_labels[0], parse_math=False, fontsize=FONT + 1)
        ax.set_ylabel(self.axis_labels[1], parse_math=False, fontsize=FONT + 1)
        plain_frame(ax)
        return self


def _codes(model: Any, X: Any, modality: str | None) -> Array:
    """Return the codes (n, k) of all rows."""
    method = "transform" if modality is None else "transform_each"
    if not hasattr(model, method):
        raise TypeError(f"{type(model).__name__} has no {method}: it gives no codes to draw.")
    found = getattr(model, method)(X)
    if modality is not None:
        if modality not in found:
            raise ValueError(f"modality={modality!r} is not in X: {list(found)}.")
        found = found[modality]
    return np.asarray(found, dtype=np.float64)


def _two(components: Sequence[int], n_components: int) -> tuple[int, int]:
    chosen = tuple(components) if isinstance(components, Sequence) else (components,)
    if len(chosen) != 2:
        raise ValueError(f"components={components!r} must be two numbers.")
    first, second = (check_component("components", c, n_components) for c in chosen)
    return first, second
