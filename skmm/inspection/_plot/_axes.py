"""Parts of drawings that displays share: axes, colours, legends and names. Settings stay local."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Array = np.ndarray

# Okabe and Ito's colours, told apart by all common kinds of colour vision; without the yellow,
# too faint on white. Markers change along with them: 42 different pairs.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "^", "s", "D", "v", "P")
GREY, LIGHT = "#767676", "#D9D9D9"
FONT = 9.0  # points
LONGEST = 28  # characters of a label


def require_pyplot(who: str) -> Any:
    """Import pyplot, or say how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f'{who} needs matplotlib: pip install "skmm[plot]".') from error
    return plt


def axes_for(who: str, ax: Any, figsize: tuple[float, float]) -> Any:
    """Return the given axes, or those of a new figure."""
    plt = require_pyplot(who)
    return plt.subplots(figsize=figsize, layout="constrained")[1] if ax is None else ax


def style(number: int) -> tuple[str, str]:
    """Return the colour and the marker of the modality or class of this number."""
    return COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]


def shortened(text: object) -> str:
    """Return a text that is short enough for a label."""
    text = str(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def text_size(ax: Any, texts: Sequence[str], fontsize: float) -> tuple[float, float]:
    """Return the largest width and height (pixels) of these texts."""
    boxes = []
    for text in texts:
        artist = ax.text(0, 0, text, fontsize=fontsize, parse_math=False)
        boxes.append(artist.get_window_extent())
        artist.remove()
    return max(box.width for box in boxes), max(box.height for box in boxes)


def wrapped(ax: Any, text: str, fontsize: float) -> str:
    """Return a text whose lines are broken at commas where they are wider than the axes."""
    width = ax.get_window_extent().width
    lines = [
        line.replace(", ", ",\n") if text_size(ax, [line], fontsize)[0] > width else line
        for line in text.split("\n")
    ]
    return "\n".join(lines)


def name_columns(ax: Any, names: Iterable[object], *, share: float = 1.0) -> None:
    """Name the ticks 0, 1, ... below the axes; names that would touch stand upright.

    The columns take a share of the width.
    """
    texts = [shortened(name) for name in names]
    room = 0.9 * share * ax.get_window_extent().width / len(texts)
    turn = 90 if text_size(ax, texts, FONT)[0] > room else 0
    ax.set_xticks(np.arange(len(texts)), texts, fontsize=FONT, rotation=turn, parse_math=False)


def name_rows(ax: Any, places: ArrayLike, names: Iterable[object], **look: Any) -> None:
    """Write names to the left of the axes, without tick marks."""
    texts = [shortened(name) for name in names]
    ax.set_yticks(places, texts, parse_math=False, **{"fontsize": FONT, **look})
    ax.tick_params(axis="y", length=0)


def step_of_rows(ax: Any, row: float) -> int:
    """Return 1 if rows of this height (pixels) can each have a line of text, else 2, 3, ..."""
    return max(1, int(np.ceil(text_size(ax, ["0"], FONT)[1] / row)))


def legend_above(ax: Any, handles: Sequence[Any], texts: Sequence[str]) -> int:
    """Put a legend above the axes, row by row as many as fit; return its number of rows."""
    em = FONT * ax.get_figure(root=True).dpi / 72
    entry = text_size(ax, [shortened(text) for text in texts], FONT)[0] + 2.8 * em
    n_columns = int(np.clip(ax.get_window_extent().width // entry, 1, len(texts)))
    # A legend is filled column by column, and the first columns take the remainder.
    order = [i for start in range(n_columns) for i in range(start, len(texts), n_columns)]
    legend = ax.legend(
        [handles[i] for i in order],
        ["-"] * len(order),
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=n_columns,
        fontsize=FONT,
        frameon=False,
        borderaxespad=0.2,
        handlelength=1.0,
        handletextpad=0.5,
        columnspacing=1.2,
    )
    # Set afterwards: a legend takes "_name" for a label to hide and "$" for mathematics.
    for artist, i in zip(legend.get_texts(), order, strict=True):
        artist.set(text=shortened(texts[i]), parse_math=False)
    return -(-len(texts) // n_columns)


def marks(numbers: Sequence[int], *, squares: bool = False) -> list[Any]:
    """Return handles for a legend: a mark in the style of each number."""
    from matplotlib.lines import Line2D

    styles = [style(number) for number in numbers]
    return [
        Line2D([], [], ls="", ms=6, mec="none", mfc=colour, marker="s" if squares else marker)
        for colour, marker in styles
    ]


def plain_frame(ax: Any) -> None:
    """Keep only the left and the lower edge of the axes."""
    ax.spines[["top", "right"]].set_visible(False)
