"""Grid of which modalities rows have, with a bar of how many rows have the same."""

from typing import Any, Self

import numpy as np
import pandas as pd

from skmm._parameters import is_integer
from skmm.inspection._missing_patterns import STATES, missing_patterns
from skmm.inspection._plot._axes import (
    COLOURS,
    FONT,
    GREY,
    axes_for,
    legend_above,
    name_columns,
    name_rows,
    require_pyplot,
    shortened,
    text_size,
)

Array = np.ndarray
GAP = 0.25  # between grid and bars, in columns
ROW = 0.26  # inches
WIDEST, NARROWEST = 0.9, 0.45  # columns, in inches
SHADES = (COLOURS[0], "#9ECAE1", "#E8E8E8")  # of the states
OTHERS = "#A0A0A0"


class MissingPatternsDisplay:
    """Grid of which modalities rows have, with a bar of how many rows have the same.

    A row of the grid is a pattern, the most frequent first; beside it stands how many rows of the
    data have it. Above each modality stands the share of rows that lack it, and of those that have
    it in part.

    Parameters
    ----------
    patterns : Series
        What :func:`missing_patterns` returns: numbers of rows by the states of the modalities.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the drawing.
    figure_ : matplotlib Figure
        Figure of the axes.
    image_ : matplotlib AxesImage
        The grid: 0 where a modality is observed, 1 where partly, 2 where it is missing.
    bars_ : matplotlib BarContainer
        Numbers of rows. If patterns are left out, the last one, paler, is of all of them.
    shares_ : DataFrame of shape (n_modalities, 2)
        The shares of rows that lack a modality, "missing", or entries of it, "partly".

    See Also
    --------
    missing_patterns : Computes the patterns.
    skmm.Modalities.with_gaps : Lets a share go missing, for experiments.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm import Modalities
    >>> from skmm.inspection import MissingPatternsDisplay
    >>> X = Modalities({"rna": np.ones((8, 3)), "protein": np.ones((8, 2))})
    >>> display = MissingPatternsDisplay.from_modalities(X.with_missing("rna", [0, 4]))
    >>> display.shares_
             missing  partly
    rna         0.25     0.0
    protein     0.00     0.0
    """

    def __init__(self, patterns: pd.Series) -> None:
        self.patterns = patterns

    @classmethod
    def from_modalities(cls, X: Any, *, max_patterns: int = 20, ax: Any = None) -> Self:
        """Count the patterns and draw them.

        Parameters
        ----------
        X : Modalities, dict, or DataFrame with two column levels
            The data.
        max_patterns : int, default=20
            How many patterns are drawn; the rows of all others are summed up.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : MissingPatternsDisplay

        Raises
        ------
        TypeError
            If `X` has no names of modalities.
        ValueError
            If `X` has no rows, or `max_patterns` is not an integer of at least 1.

        Examples
        --------
        >>> from skmm.datasets import make_shared_latent
        >>> from skmm.inspection import MissingPatternsDisplay
        >>> X = make_shared_latent(50, missing=0.3, random_state=0).data
        >>> len(MissingPatternsDisplay.from_modalities(X).bars_)
        3
        """
        require_pyplot(f"{cls.__name__}.from_modalities")
        return cls(missing_patterns(X)).plot(max_patterns=max_patterns, ax=ax)

    def plot(self, *, max_patterns: int = 20, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        max_patterns : int, default=20
            How many patterns are drawn; the rows of all others are summed up.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : MissingPatternsDisplay

        Raises
        ------
        ValueError
            If `max_patterns` is not an integer of at least 1, or `patterns` holds no rows or
            unknown states.
        """
        if not is_integer(max_patterns):
            raise ValueError(f"max_patterns must be an integer from 1 on, got {max_patterns!r}.")
        codes, counts = self._arrays()
        names = [str(name) for name in self.patterns.index.names]
        self.shares_ = _shares(codes, counts, names)
        shown, others = codes[:max_patterns], counts[max_patterns:]
        drawn = [*counts[:max_patterns], *([others.sum()] if len(others) else [])]
        texts = [f"{n} ({_percent(n / counts.sum())})" for n in drawn]
        heads = ["missing", *(["partly"] if self.shares_["partly"].any() else [])]
        ax = axes_for(f"{type(self).__name__}.plot", ax, _size(names, len(drawn) + len(heads)))
        self.ax_, self.figure_ = ax, ax.figure
        self.image_ = _draw_grid(ax, shown)
        _name_rows(ax, heads, len(shown), len(others))
        _explain(ax, sorted(set(codes.ravel())))
        _make_room(ax, names, -len(heads), texts)
        self.bars_ = _draw_bars(ax, drawn, texts, shown.shape)
        _write_shares(ax, self.shares_[heads])
        return self

    def _arrays(self) -> tuple[Array, Array]:
        """Return the states (n_patterns, n_modalities), as numbers, and the rows that have them."""
        patterns = pd.Series(self.patterns)
        counts = patterns.to_numpy()
        states = patterns.index.to_frame().to_numpy(dtype=object)
        known = np.isin(states.astype(str), STATES).all()
        if not len(counts) or counts.dtype.kind not in "iu" or (counts < 1).any() or not known:
            raise ValueError(
                "patterns must hold numbers of rows of at least 1, by the states "
                f"{STATES} of each modality, as missing_patterns gives; got {patterns!r}."
            )
        codes = np.argmax(states[:, :, None] == np.array(STATES, dtype=object), axis=2)
        order = np.argsort(-counts, kind="stable")
        return codes[order], counts[order]


def _shares(codes: Array, counts: Array, names: list[str]) -> pd.DataFrame:
    """Return the shares of rows that lack modalities, and that have them in part."""
    weights = counts / counts.sum()
    shares = {"missing": weights @ (codes == 2), "partly": weights @ (codes == 1)}
    return pd.DataFrame(shares, index=names)


def _percent(share: float) -> str:
    """Return a share as a whole number of percent; what is not 0 or 100 does not look so."""
    percent = round(100 * share)
    if percent in (0, 100) and 0 < share < 1:
        return ">99 %" if percent else "<1 %"
    return f"{percent} %"


def _bars(n_modalities: int) -> float:
    """Return the width of the largest bar, in columns of the grid."""
    return max(2.0, n_modalities / 3)


def _size(names: list[str], n_rows: int) -> tuple[float, float]:
    cell = float(np.clip(6.0 / len(names), NARROWEST, WIDEST))  # inches
    upright = 0.075 * max(len(shortened(name)) for name in names)
    below = upright if upright > cell else 0.0
    return 1.8 + cell * (len(names) + GAP + _bars(len(names))), 0.9 + below + ROW * n_rows


def _draw_grid(ax: Any, codes: Array) -> Any:
    from matplotlib.colors import ListedColormap

    look = {"cmap": ListedColormap(SHADES), "vmin": 0, "vmax": 2, "interpolation": "nearest"}
    image = ax.imshow(codes, aspect="auto", **look)
    n_patterns, n_modalities = codes.shape
    ax.hlines(np.arange(n_patterns + 1) - 0.5, -0.5, n_modalities - 0.5, color="white", lw=1.5)
    ax.vlines(np.arange(n_modalities + 1) - 0.5, -0.5, n_patterns - 0.5, color="white", lw=1.5)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.set_xticks([])
    return image


def _name_rows(ax: Any, heads: list[str], n_shown: int, n_others: int) -> None:
    """Say what stands above the grid, and how many patterns are summed up below it."""
    name_rows(
        ax,
        [*range(-len(heads), 0), *([n_shown] if n_others else [])],
        [*heads, *([f"{n_others} more"] if n_others else [])],
    )


def _explain(ax: Any, states: list[int]) -> None:
    from matplotlib.patches import Patch

    legend_above(ax, [Patch(facecolor=SHADES[k]) for k in states], [STATES[k] for k in states])


def _make_room(ax: Any, names: list[str], top: int, texts: list[str]) -> None:
    """Put bars and their texts to the right of the grid, heads above it, names below it."""
    if ax.figure.get_layout_engine() is not None:
        ax.get_figure(root=True).draw_without_rendering()  # the axes take their place
    text = text_size(ax, texts, FONT)[0] / ax.get_window_extent().width
    n_columns = (len(names) + GAP + _bars(len(names))) / (1 - min(text + 0.02, 0.5))
    ax.set_xlim(-0.5, n_columns - 0.5)
    ax.set_ylim(len(texts) - 0.5, top - 0.5)
    name_columns(ax, names, share=len(names) / n_columns)


def _draw_bars(ax: Any, counts: list[int], texts: list[str], shape: tuple[int, int]) -> Any:
    """Draw a bar per pattern, and a paler one of all that have no row in the grid."""
    left = shape[1] - 0.5 + GAP
    places, widths = np.arange(len(counts)), _bars(shape[1]) * np.array(counts) / max(counts)
    colours = [GREY if place < shape[0] else OTHERS for place in places]
    for place, width, text in zip(places, widths, texts, strict=True):
        ax.annotate(
            text, (left + width, place), (3, 0), textcoords="offset points", fontsize=FONT,
            va="center",
        )  # fmt: skip
    return ax.barh(places, widths, left=left, height=0.7, color=colours, lw=0)


def _write_shares(ax: Any, shares: pd.DataFrame) -> None:
    """Write the shares above the columns of the grid, as large as there is room for."""
    texts = [[_percent(share) for share in column] for column in shares.to_numpy().T]
    cell = ax.get_window_extent().width / abs(float(np.subtract(*ax.get_xlim())))
    width, _ = text_size(ax, [text for line in texts for text in line], FONT)
    size = FONT * min(1.0, 0.95 * cell / width)
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            ax.text(column, row - len(texts), text, fontsize=size, ha="center", va="center")
