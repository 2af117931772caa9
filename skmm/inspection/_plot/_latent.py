"""The codes of the samples in the plane."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skmm.inspection._checks import check_component
from skmm.inspection._fitted import fitted_step, sliceable
from skmm.inspection._latent import check_projection, encoded, projected
from skmm.inspection._plot._axes import (
    FONT,
    LIGHT,
    axes_for,
    name_rows,
    plain_frame,
    require_pyplot,
)
from skmm.inspection._plot._points import as_series, draw_groups, strips

Array = np.ndarray
FEW = 150  # this many rows or fewer have their modalities joined


class LatentDisplay:
    """Scatter of the codes of the samples, coloured by label.

    Codes of one component lie along it in strips: one for each modality, or else for each class.

    Parameters
    ----------
    codes : array-like of shape (n_samples, 2) or (n_samples, 1), or dict of str to such
        Two components of the codes, the only one, or a projection of them; a dict has them for
        each modality, the rows paired. Rows with NaN are left out.
    labels : array-like of shape (n_samples,), default=None
        A label per sample. Strings, bools, categories and up to 12 different integers are
        classes, in a legend; other numbers are a quantity, in a colour bar.
    axis_labels : tuple of str, default=("component 0", "component 1")
        Names of the two axes; of one component only the first counts.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the drawing.
    figure_ : matplotlib Figure
        Figure of the axes.
    points_ : list of matplotlib PathCollection
        The samples: one collection per class, preceded by the samples without a label, if any;
        all of these for the first modality, for the second and so on.
    joins_ : matplotlib LineCollection or None
        A line for each sample through its modalities, if there are several and at most 150
        samples.

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
        codes: ArrayLike | Mapping[str, ArrayLike],
        *,
        labels: Any = None,
        axis_labels: tuple[str, str] = ("component 0", "component 1"),
    ) -> None:
        self.codes = codes
        self.labels = labels
        self.axis_labels = axis_labels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        labels: Any = None,
        modality: str | None = None,
        components: Sequence[int] | int | None = None,
        projection: Any = "components",
        ax: Any = None,
    ) -> Self:
        """Encode the rows of X and draw them.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            Fitted; with `transform`, or `transform_each` if `modality` is given.
        X : Modalities, dict, DataFrame or array-like
            Rows to draw.
        y : array-like, default=None
            The second modality, if it was in `fit`; for its codes by `modality`, ignored
            otherwise. Classes go into `labels`.
        labels : array-like of shape (n_samples,), default=None
            A label per row of `X`. Strings, bools, categories and up to 12 different integers are
            classes, in a legend; other numbers are a quantity, in a colour bar. The name of a
            Series is the label of the colour bar.
        modality : str, default=None
            Draw the codes of this modality by `transform_each`; rows that lack it are left out.
            For ``"each"`` all modalities share the picture, a marker each. None draws the
            joint codes of `transform`.
        components : sequence of two int, int or None, default=None
            Which columns of the codes, or of their projection, to draw; a single one in strips.
            None draws the first two, or the only one.
        projection : transformer, default="components"
            From codes to the plane, for instance ``PCA(2)`` or ``TSNE(2)``: a clone is fitted on
            the codes of these rows, of all modalities drawn. ``"components"`` draws the codes as
            they are.
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
            If it gives no codes, or `projection` is not a transformer.
        ValueError
            If a component or the modality does not exist, the labels do not fit the rows, no row
            has a code, or the projection has fewer than two columns.

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
        check_projection(projection)
        model, inner = fitted_step(estimator, sliceable(X))
        codes = encoded(model, inner, y, modality)
        name = "component"
        if not isinstance(projection, str):
            codes, name = projected(codes, projection), type(projection).__name__
        chosen = _check_components(components, next(iter(codes.values())).shape[1])
        prefix = "" if modality in (None, "each") else f"{modality}, "
        drawn = {key: Z[:, chosen] for key, Z in codes.items()}
        display = cls(
            drawn if modality == "each" else next(iter(drawn.values())),
            labels=labels,
            axis_labels=(f"{prefix}{name} {chosen[0]}", f"{prefix}{name} {chosen[-1]}"),
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
        display : LatentDisplay

        Raises
        ------
        ValueError
            If there are more than two columns, not as many labels as rows, or no row to draw.
        """
        codes = _checked(self.codes)
        n_samples = len(next(iter(codes.values())))
        labels = None if self.labels is None else as_series(self.labels, n_samples)
        known = {name: ~np.isnan(Z).any(axis=1) for name, Z in codes.items()}
        if not any(rows.any() for rows in known.values()):
            raise ValueError(f"None of the {n_samples} rows has a code: nothing to draw.")
        is_strip = next(iter(codes.values())).shape[1] == 1
        codes, rows = strips(codes, labels) if is_strip else (codes, [])
        height = 1.6 + 0.6 * max(1, len(rows)) if is_strip else 4.8
        ax = axes_for(f"{type(self).__name__}.plot", ax, (5.6, height))
        self.ax_, self.figure_ = ax, ax.figure
        self.joins_ = _join(ax, codes, n_samples)
        self.points_, _ = draw_groups(
            ax,
            {name: (Z[known[name], 0], Z[known[name], 1]) for name, Z in codes.items()},
            None if labels is None else {name: labels[rows] for name, rows in known.items()},
        )
        ax.set_xlabel(self.axis_labels[0], parse_math=False, fontsize=FONT + 1)
        ax.set_ylabel(self.axis_labels[1], parse_math=False, fontsize=FONT + 1)
        plain_frame(ax)
        if is_strip:
            _name_strips(ax, rows)
        return self


def _check_components(components: Any, n_components: int) -> list[int]:
    if components is None:
        return list(range(min(n_components, 2)))
    chosen = list(components) if isinstance(components, Iterable) else [components]
    if len(chosen) not in (1, 2) or len(set(chosen)) < len(chosen):
        raise ValueError(f"components={components!r} must be one component or two different ones.")
    return [check_component("components", c, n_components) for c in chosen]


def _checked(codes: Any) -> dict[str, Array]:
    """Return codes by modality, under "" those of none."""
    blocks = codes if isinstance(codes, Mapping) else {"": codes}
    blocks = {str(name): np.asarray(Z, dtype=np.float64) for name, Z in blocks.items()}
    shapes = {name: Z.shape for name, Z in blocks.items()}
    fits = all(len(s) == 2 and s[1] in (1, 2) for s in shapes.values())
    if len(set(shapes.values())) != 1 or not fits:
        raise ValueError(
            "codes must be (n_samples, 2) or (n_samples, 1), for all modalities alike, got "
            f"{shapes if isinstance(codes, Mapping) else shapes['']}."
        )
    return blocks


def _name_strips(ax: Any, rows: Sequence[str]) -> None:
    """Write the names of strips where a second component would have its scale."""
    ax.set_ylabel("")
    name_rows(ax, range(len(rows)), rows)
    ax.spines["left"].set_visible(False)
    ax.invert_yaxis()


def _join(ax: Any, codes: dict[str, Array], n_samples: int) -> Any:
    """Draw a line through the modalities of each row, if these are few."""
    if len(codes) < 2 or n_samples > FEW:
        return None
    from matplotlib.collections import LineCollection

    paths = [path[~np.isnan(path).any(axis=1)] for path in np.stack(list(codes.values()), axis=1)]
    joins = LineCollection([path for path in paths if len(path) > 1], color=LIGHT, lw=0.8, zorder=0)
    return ax.add_collection(joins)
