"""Points in the plane with labels: classes in a legend, quantities in a colour bar."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from skmm.inspection._plot._axes import COLOURS, LIGHT, legend_above, marks, style

Array = np.ndarray
MANY = 12  # more integers than this are a quantity, not classes


def as_series(labels: Any, n_samples: int) -> pd.Series:
    """Return labels as a Series numbered from 0; its name stays."""
    if not isinstance(labels, pd.Series):
        labels = pd.Series(labels if isinstance(labels, pd.Categorical) else np.asarray(labels))
    if len(labels) != n_samples:
        raise ValueError(f"labels must be one per row: {n_samples}, got {len(labels)}.")
    return labels.reset_index(drop=True)


def _is_quantity(labels: pd.Series) -> bool:
    if pd.api.types.is_float_dtype(labels):
        return True
    return bool(pd.api.types.is_integer_dtype(labels) and labels.nunique() > MANY)


def draw_points(ax: Any, x: Array, y: Array, labels: pd.Series | None) -> tuple[list[Any], int]:
    """Return the collections of points and the number of rows of the legend above the axes."""
    size = float(np.clip(6000 / len(x), 8.0, 36.0))
    if labels is None:
        return [ax.scatter(x, y, s=size, c=COLOURS[0], alpha=0.7, lw=0)], 0
    blank = labels.isna().to_numpy()
    points = []
    if blank.any():
        points.append(ax.scatter(x[blank], y[blank], s=size, c=LIGHT, lw=0))
    x, y, labels = x[~blank], y[~blank], labels[~blank]
    if _is_quantity(labels):
        points.append(ax.scatter(x, y, s=size, c=labels.to_numpy(float), cmap="viridis", lw=0))
        bar = ax.figure.colorbar(points[-1], ax=ax)
        bar.set_label("" if labels.name is None else str(labels.name), parse_math=False)
        bar.outline.set_visible(False)
        return points, 0
    classes = _classes(labels)
    for number, name in enumerate(classes):
        own = (labels == name).to_numpy()
        colour, marker = style(number)
        points.append(ax.scatter(x[own], y[own], s=size, c=colour, marker=marker, lw=0, alpha=0.8))
    handles, texts = marks(range(len(classes))), [str(name) for name in classes]
    if blank.any():
        handles, texts = [points[0], *handles], ["no label", *texts]
    return points, legend_above(ax, handles, texts)


def _classes(labels: pd.Series) -> list[Hashable]:
    """Return the classes that occur, in the order of the categories or sorted."""
    if isinstance(labels.dtype, pd.CategoricalDtype):
        return list(labels.cat.remove_unused_categories().cat.categories)
    found = list(labels.unique())
    try:
        return sorted(found)
    except TypeError:  # of several types
        return sorted(found, key=str)
