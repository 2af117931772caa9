"""Heat map of how much of each modality the components account for."""

from typing import Any, Self

import numpy as np
import pandas as pd

from skmm.inspection._plot._axes import (
    COLOURS,
    FONT,
    GREY,
    axes_for,
    name_columns,
    name_rows,
    require_pyplot,
    shortened,
    step_of_rows,
    text_size,
)
from skmm.inspection._variance_explained import variance_explained

Array = np.ndarray
BARS = 2.0  # height of the largest bar, in rows of the map
GAP = 0.4  # between map and bars
CELL = (0.75, 0.28)  # inches
LEAST = 5.0  # points; smaller text cannot be read
SHADES = ("#FFFFFF", "#9ECAE1", "#2171B5", "#08306B")
LEAST_TOP = 0.1  # least end of the scale: components that explain little stay pale
DARK = 0.179  # luminance below which white text has more contrast than black (WCAG 2.1)


class VarianceExplainedDisplay:
    """Heat map of the variance that components explain, with a bar per modality for all together.

    The figures are percentages of a modality's variance: in a cell that of a component by itself,
    above a bar that of all components. If there are too many cells for text, a colour bar
    explains the colours. The colours end at white for 0 or less.

    Parameters
    ----------
    table : DataFrame of shape (n_components + 1, n_modalities)
        What :func:`variance_explained` returns: R² of each component, then a row "all".

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the drawing.
    figure_ : matplotlib Figure
        Figure of the axes.
    image_ : matplotlib AxesImage
        The heat map.
    bars_ : matplotlib BarContainer
        The row "all"; as high as the largest is, in proportion.
    texts_ : ndarray of matplotlib Text, of shape (n_components, n_modalities)
        The percentages in the cells; of shape (0, n_modalities) without.

    See Also
    --------
    variance_explained : Computes the table.
    ModalityContributionDisplay : From which modalities a component comes.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmm.inspection import VarianceExplainedDisplay
    >>> table = pd.DataFrame({"rna": [0.5, 0.1, 0.6], "protein": [0.0, 0.3, 0.3]}, [0, 1, "all"])
    >>> display = VarianceExplainedDisplay(table).plot()
    >>> [text.get_text() for text in display.texts_[0]]
    ['50', '0']
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, *, ax: Any = None) -> Self:
        """Compute the table on the rows of X and draw it.

        Parameters
        ----------
        estimator : estimator, Pipeline or search that ends in one
            Fitted; with `transform` and `inverse_transform`.
        X : Modalities, dict, DataFrame or array-like
            Rows to compute on.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : VarianceExplainedDisplay

        Raises
        ------
        NotFittedError
            If `estimator` is not fitted.
        TypeError
            If it has no decoders.
        ValueError
            If `X` does not fit the data of `fit`, or has no modality of numbers.

        Examples
        --------
        >>> from skmm import MultimodalAutoencoder
        >>> from skmm.datasets import load_digits_halves
        >>> from skmm.inspection import VarianceExplainedDisplay
        >>> X = load_digits_halves().data[:300]
        >>> model = MultimodalAutoencoder(
        ...     4, hidden_layer_sizes=(16,), max_epochs=2, random_state=0
        ... ).fit(X)
        >>> VarianceExplainedDisplay.from_estimator(model, X).table.shape
        (5, 2)
        """
        require_pyplot(f"{cls.__name__}.from_estimator")
        return cls(variance_explained(estimator, X)).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : VarianceExplainedDisplay

        Raises
        ------
        ValueError
            If `table` has no row "all", no component or no modality, or is not finite.
        """
        components, total = self._arrays()
        k, n_modalities = components.shape
        upright = 0.075 * max(len(shortened(name)) for name in self.table)  # inches
        below = upright if upright > CELL[0] else 0.0
        size = (max(2.4, 1.0 + CELL[0] * n_modalities), 1.4 + below + CELL[1] * (k + BARS + GAP))
        ax = axes_for(f"{type(self).__name__}.plot", ax, size)
        self.ax_, self.figure_ = ax, ax.figure
        top = max(float(components.max()), LEAST_TOP)
        self.image_ = ax.imshow(
            components, cmap=_colours(), vmin=0.0, vmax=top, aspect="auto", interpolation="nearest"
        )
        name_columns(ax, list(self.table))
        if ax.figure.get_layout_engine() is not None:
            ax.get_figure(root=True).draw_without_rendering()  # the axes take their place
        _frame(ax, components.shape)
        self.bars_ = _draw_bars(ax, total)
        _number_components(ax, k)
        self.texts_ = _write(ax, components, self.image_)
        return self

    def _arrays(self) -> tuple[Array, Array]:
        """Return R² of the components (k, M) and of all of them (M,)."""
        table = pd.DataFrame(self.table)
        if "all" not in table.index or len(table) < 2 or not table.shape[1]:
            raise ValueError(
                "table must have a row per component, then a row 'all', and a column per modality; "
                f"got rows {list(table.index)} and columns {list(table)}."
            )
        values = table.drop(index="all").to_numpy(np.float64)
        total = table.loc["all"].to_numpy(np.float64)
        if not (np.isfinite(values).all() and np.isfinite(total).all()):
            raise ValueError("table must be finite: leave modalities without a value out.")
        return values, total


def _colours() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("white to blue", SHADES)


def _percent(value: float) -> str:
    """Return a share as a whole number of percent, with a true minus sign and no minus zero."""
    return f"{round(100 * value):d}".replace("-", "−")


def _draw_bars(ax: Any, total: Array) -> Any:
    """Draw bars above the map; their figures are written above them."""
    base = -0.5 - GAP
    heights = BARS * np.maximum(total, 0.0) / max(float(total.max()), 0.01)
    places = np.arange(len(total))
    bars = ax.bar(places, -heights, bottom=base, width=0.6, color=COLOURS[0], lw=0)
    ax.plot([-0.5, len(total) - 0.5], [base, base], color=GREY, lw=0.8)
    for place, height, value in zip(places, heights, total, strict=True):
        ax.annotate(
            f"{_percent(value)} %", (place, base - height), (0, 2), textcoords="offset points",
            ha="center", va="bottom", fontsize=FONT,
        )  # fmt: skip
    return bars


def _frame(ax: Any, shape: tuple[int, int]) -> None:
    """Make room for bars and figures, and draw lines between the cells."""
    k, n_modalities = shape
    rows = k + GAP + BARS
    line = 1.6 * FONT * ax.get_figure(root=True).dpi / 72 / ax.get_window_extent().height
    ax.set_xlim(-0.5, n_modalities - 0.5)
    ax.set_ylim(k - 0.5, k - 0.5 - rows / (1 - min(line, 0.5)))
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, labelsize=FONT)
    ax.hlines(np.arange(k + 1) - 0.5, -0.5, n_modalities - 0.5, color="#E8E8E8", lw=0.6)
    ax.vlines(np.arange(n_modalities + 1) - 0.5, -0.5, k - 0.5, color="#E8E8E8", lw=0.6)


def _number_components(ax: Any, k: int) -> None:
    """Write the numbers of components, of every second or third if there is no room for all."""
    row = _row_height(ax)
    step = step_of_rows(ax, row)
    places, numbers = [*range(0, k, step)], [*map(str, range(0, k, step))]
    bars = 0.5 + GAP + BARS / 2  # above component 0
    if bars >= step:
        places, numbers = [-bars, *places], ["all", *numbers]
    name_rows(ax, places, numbers)
    share = k / abs(float(np.subtract(*ax.get_ylim())))
    ax.set_ylabel("Component", fontsize=FONT + 1, y=share / 2)


def _row_height(ax: Any) -> float:
    """Return the height of a row of the map in pixels."""
    return float(ax.get_window_extent().height / abs(np.subtract(*ax.get_ylim())))


def _write(ax: Any, values: Array, image: Any) -> Array:
    """Write percentages in the cells if they can be read, else explain the colours."""
    texts = [[_percent(value) for value in row] for row in values]
    width, height = text_size(ax, [text for row in texts for text in row], FONT)
    cell = ax.get_window_extent().width / values.shape[1]
    size = FONT * min(1.0, 0.9 * cell / width, 0.95 * _row_height(ax) / height)
    if size < LEAST:
        _explain(ax, image)
        return np.empty((0, values.shape[1]), dtype=object)
    found = np.empty(values.shape, dtype=object)
    is_dark = _luminance(image.to_rgba(values)[..., :3]) < DARK
    for i, j in np.ndindex(*values.shape):
        colour = "white" if is_dark[i, j] else "black"
        found[i, j] = ax.text(
            j, i, texts[i][j], color=colour, fontsize=size, ha="center", va="center"
        )
    return found


def _luminance(rgb: Array) -> Array:
    """Return the relative luminance of sRGB colours, from 0 to 1."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def _explain(ax: Any, image: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    ticks = PercentFormatter(1.0, decimals=0, symbol=" %")
    bar = ax.figure.colorbar(image, ax=ax, format=ticks)
    bar.ax.tick_params(labelsize=FONT)
    bar.outline.set_visible(False)
