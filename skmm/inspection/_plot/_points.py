"""Points in the plane with labels: classes in a legend, quantities in a colour bar."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skmm.inspection._plot._axes import COLOURS, GREY, LIGHT, legend_above, require_pyplot, style

Array = np.ndarray
Look = tuple[Any, str]  # colour and marker
HOLLOW = "none"
GOLDEN = (np.sqrt(5) - 1) / 2
ROOM = 0.6  # of a row, for its points
MANY = 12  # more integers than this are a quantity, not classes


def as_series(labels: Any, n_samples: int) -> pd.Series:
    """Return labels as a Series numbered from 0; its name stays."""
    if not isinstance(labels, pd.Series):
        labels = pd.Series(labels if isinstance(labels, pd.Categorical) else np.asarray(labels))
    if len(labels) != n_samples:
        raise ValueError(f"labels must be one per row: {n_samples}, got {len(labels)}.")
    return labels.reset_index(drop=True)


def draw_points(ax: Any, x: Array, y: Array, labels: pd.Series | None) -> tuple[list[Any], int]:
    """Return the collections of points and the number of rows of the legend above the axes."""
    return draw_groups(ax, {"": (x, y)}, None if labels is None else {"": labels})


def draw_groups(
    ax: Any, groups: dict[str, tuple[Array, Array]], labels: dict[str, pd.Series] | None
) -> tuple[list[Any], int]:
    """Draw points of one or more groups; return the same as `draw_points`.

    Several groups differ by marker, and have the collections of the first, the second and so on.
    """
    looks = {name: style(number) for number, name in enumerate(groups)}
    legend = list(looks.items()) if len(groups) > 1 else []
    size = _size(sum(len(x) for x, _ in groups.values()))
    if labels is None:
        points = [
            ax.scatter(*groups[name], s=size, c=colour, marker=marker, lw=0, alpha=0.7)
            for name, (colour, marker) in looks.items()
        ]
        return points, _draw_legend(ax, legend)
    everyone = pd.concat(list(labels.values()))
    classes = None if _is_quantity(everyone) else _class_looks(everyone, len(groups))
    points = []
    for name, (x, y) in groups.items():
        marker, own = looks[name][1], classes
        if classes and len(groups) > 1:
            own = [(label, (colour, marker)) for label, (colour, _) in classes]
        points += _draw_labelled(ax, x, y, labels[name], own, s=size, marker=marker)
    if classes is None:
        _draw_colour_bar(ax, points, everyone)
    legend = [(name, (HOLLOW, marker)) for name, (_, marker) in legend]
    if classes and everyone.isna().any():
        legend.append(("no label", (LIGHT, "o")))
    return points, _draw_legend(ax, [*legend, *((str(c), look) for c, look in classes or [])])


def strips(
    groups: dict[str, Array], labels: pd.Series | None
) -> tuple[dict[str, Array], list[str]]:
    """Return places (n, 2) of codes (n, 1), and the names of the rows that they lie in from above.

    Each of several groups has a row, or else each class; the points of a row do not coincide.
    """
    n_samples = len(next(iter(groups.values())))
    rows, names = {name: np.full(n_samples, m) for m, name in enumerate(groups)}, list(groups)
    if len(groups) == 1:
        names = []
        if labels is not None and not _is_quantity(labels):
            classes = {name: number for number, name in enumerate(_classes(labels))}
            names = [str(name) for name in classes]
            rows = dict.fromkeys(groups, labels.map(classes).fillna(len(names)).to_numpy(int))
    apart = ROOM * scattered(n_samples)
    places = {m: np.column_stack([Z[:, 0], rows[m] + apart]) for m, Z in groups.items()}
    return places, names


def scattered(n: int) -> Array:
    """Return places in [-0.5, 0.5) that are apart from each other, for any n and without noise."""
    return np.arange(n) * GOLDEN % 1.0 - 0.5


def _size(n_points: int) -> float:
    return float(np.clip(6000 / max(n_points, 1), 8.0, 36.0))


def _is_quantity(labels: pd.Series) -> bool:
    if pd.api.types.is_float_dtype(labels):
        return True
    return bool(pd.api.types.is_integer_dtype(labels) and labels.nunique() > MANY)


def _class_looks(labels: pd.Series, n_groups: int) -> list[tuple[Hashable, Look]]:
    """Return the look of each class; where markers tell groups apart, colours must do."""
    classes = _classes(labels)
    if n_groups == 1:
        return [(name, style(number)) for number, name in enumerate(classes)]
    colours: Sequence[Any] = COLOURS
    if len(classes) > len(COLOURS):
        maps = require_pyplot("A legend").colormaps
        colours = [*COLOURS[-1:], *maps["tab10"].colors[:7], *maps["tab10"].colors[8:]]  # no grey
        if len(classes) > len(colours):
            colours = [maps["turbo"](place) for place in np.linspace(0.05, 0.95, len(classes))]
    return [(name, (colour, "s")) for name, colour in zip(classes, colours, strict=False)]


def _classes(labels: pd.Series) -> list[Hashable]:
    """Return the classes that occur, in the order of the categories or sorted."""
    if isinstance(labels.dtype, pd.CategoricalDtype):
        return list(labels.cat.remove_unused_categories().cat.categories)
    found = list(labels.dropna().unique())
    try:
        return sorted(found)
    except TypeError:  # of several types
        return sorted(found, key=str)


def _draw_labelled(
    ax: Any,
    x: Array,
    y: Array,
    labels: pd.Series,
    classes: list[tuple[Hashable, Look]] | None,
    **options: Any,
) -> list[Any]:
    """Draw a group: points without a label, then its classes, or for None all by quantity."""
    known = labels.notna().to_numpy()
    points = []
    if not known.all():
        points.append(ax.scatter(x[~known], y[~known], color=LIGHT, lw=0, **options))
    if classes is None:
        values = labels[known].to_numpy(float)
        points.append(ax.scatter(x[known], y[known], c=values, cmap="viridis", lw=0, **options))
    for name, (colour, marker) in classes or []:
        own = (labels == name).to_numpy(dtype=bool, na_value=False)
        options |= {"color": colour, "marker": marker}
        points.append(ax.scatter(x[own], y[own], lw=0, alpha=0.8, **options))
    return points


def _draw_colour_bar(ax: Any, points: list[Any], labels: pd.Series) -> None:
    """Draw one scale for all points that have a quantity."""
    coloured = [found for found in points if found.get_array() is not None]
    if labels.notna().any():
        for found in coloured:
            found.set_clim(float(labels.min()), float(labels.max()))
    bar = ax.figure.colorbar(coloured[-1], ax=ax)
    bar.set_label("" if labels.name is None else str(labels.name), parse_math=False)
    bar.outline.set_visible(False)


def _draw_legend(ax: Any, entries: Sequence[tuple[str, Look]]) -> int:
    from matplotlib.lines import Line2D

    if not entries:
        return 0
    handles = [
        Line2D([], [], ls="", ms=6, mfc=c, mec=GREY if c == HOLLOW else "none", marker=m)
        for _, (c, m) in entries
    ]
    return legend_above(ax, handles, [text for text, _ in entries])
