"""Which columns of the modalities a component stands for."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from skmm._parameters import is_integer
from skmm.inspection._checks import check_component, check_modality_names
from skmm.inspection._correlations import loadings_by_modality
from skmm.inspection._fitted import (
    fitted_step,
    names_of_fit,
    sliceable,
)
from skmm.inspection._plot._axes import (
    FONT,
    GREY,
    LIGHT,
    axes_for,
    legend_above,
    marks,
    name_rows,
    plain_frame,
    require_pyplot,
    shortened,
    style,
    text_size,
)

Array = np.ndarray
KINDS = ("auto", "circle", "bar")
RIM = 1.12  # labels begin there


class LoadingsDisplay:
    """Correlations of the columns with the components: a circle of two, or bars of one.

    A column's place is its correlation with its own modality's projections. Near the circle a
    column is explained by the two components; columns in the same direction go together, also
    across modalities.

    Parameters
    ----------
    correlations : dict of str to array-like (d, n_components)
        Correlation of each column with the projections of its modality.
    feature_names : dict of str to list of str, default=None
        Names of the columns; for modalities it leaves out, ``name[0]``, ``name[1]``, ...

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the drawing.
    figure_ : matplotlib Figure
        Figure of the axes.
    points_ : dict of str to matplotlib PathCollection
        The columns of each modality (circle).
    bars_ : matplotlib BarContainer
        The columns of largest correlation, the largest value on top (bar).
    labels_ : list of matplotlib Text
        The names of the columns that have one.

    See Also
    --------
    ScoresDisplay : How the samples lie along a component.
    CorrelationDisplay : Which components to believe.

    Examples
    --------
    >>> from skmm.inspection import LoadingsDisplay
    >>> correlations = {"rna": [[0.9, 0.1], [0.2, -0.8]], "protein": [[0.7, 0.6]]}
    >>> display = LoadingsDisplay(correlations, feature_names={"protein": ["CD4"]}).plot(top=2)
    >>> sorted(label.get_text() for label in display.labels_)
    ['CD4', 'rna[0]']
    """

    def __init__(
        self,
        correlations: Mapping[str, ArrayLike],
        *,
        feature_names: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.correlations = correlations
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        kind: str = "auto",
        components: tuple[int, int] = (0, 1),
        component: int = 0,
        modalities: Sequence[str] | None = None,
        top: int = 10,
        feature_names: Mapping[str, Sequence[str]] | None = None,
        ax: Any = None,
    ) -> Self:
        """Compute the correlations on the rows of X and draw them.

        Parameters
        ----------
        estimator : CCA, Pipeline or search that ends in one
            Fitted; gives each modality's projections by `transform_each`.
        X : Modalities, dict, DataFrame or array-like
            Rows to compute on; on the training rows, without sample weights, the correlations are
            `loadings_`. With a pipeline, the columns are those that its last step sees.
        y : array-like, default=None
            The second modality, if it was in `fit`; ignored otherwise.
        kind : {"auto", "circle", "bar"}, default="auto"
            Points for two components, or bars for one; "auto" draws points if there are two.
        components : tuple of int, default=(0, 1)
            The two components of the circle.
        component : int, default=0
            The component of the bars.
        modalities : list of str, default=None
            The modalities to draw; None draws all.
        top : int, default=10
            How many columns are named (circle) or drawn (bar): those of largest distance from 0
            over all modalities drawn; of bars at least one for each modality.
        feature_names : dict of str to list of str, default=None
            Names of the columns. Those it leaves out are the columns of the DataFrame in `fit`,
            or else ``name[0]``, ``name[1]``, ...
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : LoadingsDisplay

        Raises
        ------
        NotFittedError
            If `estimator` is not fitted.
        ValueError
            If a component, a modality or a kind does not exist, or a modality has fewer than two
            rows.

        Examples
        --------
        >>> from skmm import CCA
        >>> from skmm.datasets import load_digits_halves
        >>> from skmm.inspection import LoadingsDisplay
        >>> X = load_digits_halves().data
        >>> cca = CCA(n_components=2, shrinkage=0.1).fit(X)
        >>> display = LoadingsDisplay.from_estimator(cca, X, kind="bar", top=6)
        >>> display.correlations["left"].shape
        (32, 2)
        """
        require_pyplot(f"{cls.__name__}.from_estimator")
        model, inner = fitted_step(estimator, sliceable(X))
        correlations = loadings_by_modality(model, inner, y)
        names = {**names_of_fit(model._schema, list(correlations)), **(feature_names or {})}
        display = cls(correlations, feature_names=names)
        return display.plot(
            ax=ax, kind=kind, components=components, component=component, modalities=modalities,
            top=top,
        )  # fmt: skip

    def plot(
        self,
        *,
        ax: Any = None,
        kind: str = "auto",
        components: tuple[int, int] = (0, 1),
        component: int = 0,
        modalities: Sequence[str] | None = None,
        top: int = 10,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        kind : {"auto", "circle", "bar"}, default="auto"
            Points for two components, or bars for one; "auto" draws points if there are two.
        components : tuple of int, default=(0, 1)
            The two components of the circle.
        component : int, default=0
            The component of the bars.
        modalities : list of str, default=None
            The modalities to draw; None draws all.
        top : int, default=10
            How many columns are named (circle) or drawn (bar, at least one of each modality).

        Returns
        -------
        display : LoadingsDisplay

        Raises
        ------
        ValueError
            If a component, a modality or a kind does not exist.
        """
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r} must be one of {KINDS}.")
        table = self._table(check_modality_names(modalities, list(self.correlations)))
        if kind == "auto":
            kind = "circle" if table.n_components > 1 else "bar"
        if not is_integer(top, 0 if kind == "circle" else 1):
            raise ValueError(f"top={top!r} must be a number of columns to draw with kind={kind!r}.")
        who = f"{type(self).__name__}.plot"
        if kind == "bar":
            number = check_component("component", component, table.n_components)
            rows = table.strongest_of_each(number, top)
            ax = axes_for(who, ax, (6.4, max(2.4, 1.1 + 0.24 * len(rows))))
            self.bars_, self.labels_ = _draw_bars(ax, table, rows, number)
        else:
            pair = _check_pair(components, table.n_components)
            longest = max(map(len, table.names)) if top else 0
            ax = axes_for(who, ax, (max(6.4, 4.4 + 0.14 * longest), 4.8))
            self.points_, self.labels_ = _draw_circle(ax, table, pair, top)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _table(self, modalities: list[str]) -> "_Table":
        """Put the columns of these modalities below each other."""
        blocks, names = [], []
        for name in modalities:
            block = np.asarray(self.correlations[name], dtype=np.float64)
            default = [f"{name}[{j}]" for j in range(len(block))]
            known = list((self.feature_names or {}).get(name, default))
            if block.ndim != 2 or len(known) != len(block):
                raise ValueError(
                    f"Modality {name!r} has correlations of shape {block.shape} and {len(known)} "
                    "feature names: pass (d, n_components) and d names."
                )
            blocks.append(block)
            names += known
        if len({block.shape[1] for block in blocks}) > 1:
            raise ValueError(
                "All modalities must have the same number of components, got "
                f"{[block.shape for block in blocks]}."
            )
        numbers = [list(self.correlations).index(name) for name in modalities]
        owner = np.repeat(numbers, [len(block) for block in blocks])
        return _Table(np.vstack(blocks), names, owner, dict(zip(numbers, modalities, strict=True)))


class _Table:
    """Columns of several modalities: correlations, names, and the number of their modality."""

    def __init__(
        self, values: Array, names: list[str], owner: Array, modalities: dict[int, str]
    ) -> None:
        self.values, self.owner, self.modalities = values, owner, modalities
        self.names = [shortened(name) for name in names]
        self.n_components = values.shape[1]

    def strongest(self, components: list[int], top: int) -> Array:
        """Return the rows of largest distance from 0, the largest first."""
        size = np.sqrt(np.sum(self.values[:, components] ** 2, axis=1))
        return np.argsort(-size, kind="stable")[:top]

    def strongest_of_each(self, component: int, top: int) -> Array:
        """Return the rows of largest distance from 0, and of each modality one at least."""
        order = self.strongest([component], len(self.values))
        first = order[np.unique(self.owner[order], return_index=True)[1]]
        return np.concatenate([first, order[~np.isin(order, first)]])[: max(top, len(first))]


def separated(wanted: Array, gap: float, low: float, high: float) -> Array:
    """Return places near the wanted ones, at least `gap` apart, between `low` and `high`.

    They must fit: ``gap * (n - 1) <= high - low``. The order is kept.
    """
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(wanted))
    # With the gaps taken out, places must only not decrease.
    level = isotonic_regression(np.asarray(wanted, dtype=np.float64)[order] - steps).x
    places = np.empty(len(wanted))
    places[order] = np.clip(level, low, high - steps[-1]) + steps
    return places


def _check_pair(components: Any, n_components: int) -> list[int]:
    if isinstance(components, int | str) or len(components) != 2 or len(set(components)) != 2:
        raise ValueError(f"components={components!r} must be two different components.")
    return [check_component("components", c, n_components) for c in components]


def _draw_bars(ax: Any, table: _Table, rows: Array, component: int) -> tuple[Any, list[Any]]:
    rows = rows[np.argsort(-table.values[rows, component], kind="stable")]
    values, places = table.values[rows, component], np.arange(len(rows))
    colours = [style(number)[0] for number in table.owner[rows]]
    bars = ax.barh(places, values, height=0.7, color=colours)
    points = ax.get_window_extent().height * 72 / ax.get_figure(root=True).dpi
    size = min(FONT, 0.75 * points / len(rows))  # lines of text must not touch
    name_rows(ax, places, [table.names[row] for row in rows], fontsize=size)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(-1.0 if values.min() < 0 else 0.0, 1.0 if values.max() > 0 else 0.0)
    ax.set_xticks([t for t in (-1, -0.5, 0, 0.5, 1) if ax.get_xlim()[0] <= t <= ax.get_xlim()[1]])
    ax.axvline(0.0, color=GREY, lw=0.8)
    ax.set_xlabel(f"Correlation with component {component}")
    plain_frame(ax)
    ax.spines["left"].set_visible(False)
    legend_above(ax, marks(list(table.modalities), squares=True), list(table.modalities.values()))
    return bars, ax.get_yticklabels()


def _draw_circle(
    ax: Any, table: _Table, components: list[int], top: int
) -> tuple[dict[str, Any], list[Any]]:
    places = table.values[:, components]
    strongest = table.strongest(components, top)
    named = np.isin(np.arange(len(places)), strongest)
    _draw_rings(ax)
    points = {}
    for number, name in table.modalities.items():
        own = table.owner == number
        colour, marker = style(number)
        points[name] = ax.scatter(
            *places[own].T, s=np.where(named[own], 26.0, 12.0), c=colour, marker=marker, zorder=3,
            lw=0, alpha=np.where(named[own] | (len(places) <= 40), 1.0, 0.45),
        )  # fmt: skip
    labels = _place_labels(ax, table, places, strongest)
    room = ax.get_window_extent().width / np.ptp(ax.get_xlim()) / 2  # from tick to tick
    ticks = [-1, -0.5, 0, 0.5, 1] if room > 1.1 * text_size(ax, ["−0.5"], FONT)[0] else [-1, 0, 1]
    x, y = (f"Correlation with component {component}" for component in components)
    ax.set(xticks=ticks, yticks=ticks, xlabel=x, ylabel=y)
    ax.set_aspect("equal")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, labelsize=FONT, labelcolor=GREY)
    legend_above(ax, marks(list(table.modalities)), list(table.modalities.values()))
    return points, labels


def _draw_rings(ax: Any) -> None:
    angle = np.linspace(0, 2 * np.pi, 181)
    for radius, colour in ((1.0, GREY), (0.5, LIGHT)):
        ax.plot(radius * np.cos(angle), radius * np.sin(angle), color=colour, lw=0.8, zorder=1)
    ax.plot([-1, 1], [0, 0], color=LIGHT, lw=0.8, zorder=1)
    ax.plot([0, 0], [-1, 1], color=LIGHT, lw=0.8, zorder=1)


def _place_labels(ax: Any, table: _Table, places: Array, rows: Array) -> list[Any]:
    """Write names beside the circle, each side in the order of its points, with thin leaders."""
    if not len(rows):
        ax.set(xlim=(-RIM, RIM), ylim=(-RIM, RIM))
        return []
    box = ax.get_window_extent()
    width, height = text_size(ax, [table.names[row] for row in rows], FONT)
    width += 6  # apart from the tick labels
    scale = min((box.width / 2 - width) / RIM, box.height / (2 * RIM))  # pixels per unit
    scale = max(scale, box.width / 8)
    half_width = RIM + width / scale
    ax.set(xlim=(-half_width, half_width), ylim=(-RIM, RIM))
    labels = []
    for side in (-1, 1):
        own = rows[np.where(places[rows, 0] < 0, -1, 1) == side]
        if not len(own):
            continue
        gap = 1.1 * height / scale
        fitting = min(gap, 2 * (RIM - 0.05) / len(own))
        heights = separated(places[own, 1], fitting, 0.05 - RIM, RIM - 0.05)
        for row, y in zip(own, heights, strict=True):
            label = ax.annotate(
                table.names[row], places[row], (side * RIM, y), va="center",
                ha="left" if side > 0 else "right", color=style(table.owner[row])[0],
                fontsize=FONT * fitting / gap, parse_math=False, annotation_clip=False,
                arrowprops={
                    "arrowstyle": "-", "color": GREY, "lw": 0.5, "shrinkA": 1, "shrinkB": 2,
                    "relpos": (0.0 if side > 0 else 1.0, 0.5),
                },
            )  # fmt: skip
            labels.append(label)
    return labels
