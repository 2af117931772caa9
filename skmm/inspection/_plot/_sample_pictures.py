"""A grid of pictures: a row per condition, the truth first and the draws beside it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skmm.inspection._plot._axes import FONT, GREY

Array = np.ndarray
CELL = 0.75  # inches
GAP = 1.25  # place of the first draw after the truth, in cells
MOST = 12  # pictures of this many draws at most
PAD = 0.04  # of a cell, on each side


def grid_size(
    labels: Sequence[str], n_columns: int, shape: tuple[int, int, int]
) -> tuple[float, float]:
    """Return the width and height of a grid, in inches."""
    margin = 0.6 * FONT / 72 * max(map(len, labels)) + 0.2
    return margin + CELL * (n_columns + GAP - 1), 0.4 + CELL * shape[1] / shape[2] * len(labels)


def draw_grid(
    ax: Any, rows: Sequence[Array], truth: Array | None, labels: Sequence[str]
) -> dict[tuple[int, int | str], Any]:
    """Draw pictures (n_conditions, C, H, W), one array per draw; return the images."""
    columns: dict[int | str, tuple[float, Array]] = {}
    if truth is not None:
        columns["truth"] = (0.0, truth)
    start = 0.0 if truth is None else GAP
    columns |= {j: (start + j, pictures) for j, pictures in enumerate(rows)}
    low, high = _range(np.stack(list(rows)) if truth is None else truth)
    tall = rows[0].shape[2] / rows[0].shape[3]
    right = start + len(rows)
    heads = [("truth", 0.5)] if truth is not None else []
    for text, x in [*heads, ("samples", (start + right) / 2)]:
        _write(ax, text, (x, 0.0), (0, 3), ha="center", va="bottom")
    images = {}
    for i, label in enumerate(labels):
        _write(ax, label, (0.0, tall * (i + 0.5)), (-4, 0), ha="right", va="center")
        for key, (x, pictures) in columns.items():
            if np.isfinite(pictures[i]).any():
                place = (x + PAD, x + 1 - PAD, tall * (i + 1 - PAD), tall * (i + PAD))
                images[i, key] = ax.imshow(
                    _picture(pictures[i], low, high), cmap="gray", vmin=low, vmax=high,
                    extent=place, interpolation="nearest",
                )  # fmt: skip
            else:
                middle = (x + 0.5, tall * (i + 0.5))
                _write(ax, "missing", middle, (0, 0), ha="center", va="center", color=GREY)
    ax.set(aspect="equal", xlim=(0.0, right), ylim=(tall * len(labels), 0.0))
    ax.set_axis_off()
    return images


def _range(values: Array) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def _picture(value: Array, low: float, high: float) -> Array:
    """Return (H, W), or (H, W, 3) from 0 to 1."""
    if len(value) != 3:
        return value.mean(axis=0)
    scaled = (value - low) / max(high - low, np.finfo(float).tiny)
    return np.clip(np.nan_to_num(scaled, nan=1.0), 0.0, 1.0).transpose(1, 2, 0)


def _write(
    ax: Any, text: str, place: tuple[float, float], offset: tuple[float, float], **options: Any
) -> None:
    options = {"fontsize": FONT, **options}
    ax.annotate(text, place, offset, textcoords="offset points", parse_math=False, **options)
