"""Draws and true values as dots: their places, their looks and their panels."""

from typing import Any

import numpy as np

from skmm.inspection._plot._axes import (
    COLOURS,
    FONT,
    GREY,
    plain_frame,
    require_pyplot,
)
from skmm.inspection._plot._points import scattered

Array = np.ndarray
Places = tuple[Array, Array]
PANEL = 2.3  # inches
FEW = 20  # this many true values or fewer have large marks
SAMPLE, TRUTH = COLOURS[0], COLOURS[1]


def scatter(panel: Any, samples: Places, truth: Places | None, *, single: bool) -> tuple[Any, Any]:
    """Draw the dots of a panel: several true ones behind the draws, a single one before."""
    plain_frame(panel)
    panel.tick_params(labelsize=FONT - 1)
    size = float(np.clip(3000 / len(samples[0]), 4.0, 18.0))
    points = panel.scatter(*samples, s=size, c=SAMPLE, lw=0, alpha=0.5, zorder=2)
    if truth is None:
        return points, None
    if not single:
        return points, panel.scatter(*truth, s=size, c=GREY, lw=0, alpha=0.5, zorder=1)
    size, edge = (55.0, 1.0) if len(truth[0]) <= FEW else (12.0, 0.3)
    found = panel.scatter(*truth, s=size, c=TRUTH, marker="D", ec="white", lw=edge, zorder=3)
    return points, found


def columns_of(values: Array, columns: list[int]) -> Array:
    """Return columns of the flattened values, (..., n_conditions, one or two)."""
    return values.reshape(*values.shape[:2], -1)[..., columns]


def xy(values: Array) -> Places:
    """Return the places of points of two columns."""
    return values[..., 0].ravel(), values[..., 1].ravel()


def strips(values: Array, centres: Array, width: float, shift: float) -> Places:
    """Return places around the centres, several values apart from each other."""
    places = scattered(len(values)) * width * (len(values) > 1)
    return (centres + shift + places[:, None]).ravel(), values[..., 0].ravel()


def name_points(ax: Any, points: Any, truth: Any, *, above: bool) -> None:
    """Say which are the draws and which the truth, above the figure or in the axes."""
    look: dict[str, Any] = {"fontsize": FONT, "handletextpad": 0.2}
    if above:
        look |= {"loc": "outside upper right", "ncols": 2, "frameon": False}
    legend = (ax.figure if above else ax).legend([points, truth], ["samples", "truth"], **look)
    for handle in legend.legend_handles:
        handle.set(sizes=[25.0], alpha=1.0)


def one_axes(ax: Any) -> Any:
    """Return the only one of the axes."""
    given = np.asarray(ax, dtype=object).ravel()
    if len(given) != 1:
        raise ValueError(f"ax must be one Axes, as there is one panel, got {len(given)}.")
    return given[0]


def panels_for(who: str, ax: Any, n_panels: int) -> Array:
    """Return the given axes, or those of a new figure."""
    plt = require_pyplot(who)
    if ax is not None:
        given = np.asarray(ax, dtype=object).ravel()
        if len(given) != n_panels:
            raise ValueError(f"ax must be {n_panels} Axes, one per condition, got {len(given)}.")
        return given
    n_columns = 2 if n_panels == 4 else min(n_panels, 3 if n_panels < 10 else 5)
    n_rows = -(-n_panels // n_columns)
    size = (PANEL * n_columns + 0.3, PANEL * n_rows + 0.3)
    axes = plt.subplots(n_rows, n_columns, figsize=size, layout="constrained", squeeze=False)[1]
    for extra in axes.ravel()[n_panels:]:
        extra.remove()
    return axes.ravel()[:n_panels]


def panels_across(panels: Array) -> int | None:
    """Return how many panels stand side by side, None if they do not fill a grid in order."""
    specs = [panel.get_subplotspec() for panel in panels]
    if None in specs or len({spec.get_gridspec() for spec in specs}) > 1:
        return None
    in_order = [spec.num1 for spec in specs] == list(range(len(specs)))
    return int(specs[0].get_gridspec().ncols) if in_order else None
