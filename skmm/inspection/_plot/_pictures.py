"""Samples as pictures, side by side in cells of width 1, with rows and columns that have names."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skmm.inspection._plot._axes import FONT, GREY, name_rows, text_size

Array = np.ndarray
Shape = tuple[int, int, int]
CELL = 0.75  # inches
GAP = 1.25  # place of the first draw after the truth, in cells
MOST = 12  # pictures of this many draws at most
PAD = 0.05  # of a cell, on each side


def picture_shape(
    option: str, shape: Sequence[int] | None, sample_shape: tuple[int, ...]
) -> Shape | None:
    """Return (C, H, W) of samples that are pictures of this shape; None stays None."""
    if shape is None:
        return None
    full = (1, *shape) if len(shape) == 2 else tuple(shape)
    if len(full) != 3 or min(full) < 1 or np.prod(full) != np.prod(sample_shape):
        raise ValueError(
            f"{option}={shape!r} must be (H, W) or (C, H, W) of samples of shape {sample_shape}."
        )
    return full


def finite_range(values: Array) -> tuple[float, float]:
    """Return the smallest and the largest of the finite values; 0 and 1 if there are none."""
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def draw_picture(
    ax: Any, value: Array, middle: tuple[float, float], width: float, limits: tuple[float, float]
) -> Any:
    """Draw (C, H, W) between the limits of grey or colour; return None where it is missing."""
    if not np.isfinite(value).any():
        return None
    (x, y), half = middle, width / 2
    tall = half * value.shape[1] / value.shape[2]
    return ax.imshow(
        _grey_or_colour(value, *limits), cmap="gray", vmin=limits[0], vmax=limits[1],
        extent=(x - half, x + half, y + tall, y - tall), interpolation="nearest",
    )  # fmt: skip


def write_missing(ax: Any, middle: tuple[float, float]) -> None:
    """Say that a sample is missing, in letters that fit into its cell."""
    ax.apply_aspect()
    cell = np.ptp(ax.transData.transform([(0, 0), (1, 0)])[:, 0])  # pixels
    size = FONT * min(1.0, 0.9 * cell / text_size(ax, ["missing"], FONT)[0])
    ax.annotate("missing", middle, ha="center", va="center", color=GREY, fontsize=size)


def frame_cells(ax: Any, width: float, height: float) -> None:
    """Make room for square cells beside the names of rows, the first row on top; no frame."""
    ax.set(aspect="equal", anchor="W", xlim=(0.0, width), ylim=(height, 0.0), xticks=[])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def grid_size(labels: Sequence[str], n_columns: int, shape: Shape) -> tuple[float, float]:
    """Return the width and height of a grid of draws, in inches."""
    margin = 0.6 * FONT / 72 * max(map(len, labels)) + 0.2
    return margin + CELL * (n_columns + GAP - 1), 0.4 + CELL * shape[1] / shape[2] * len(labels)


def draw_grid(
    ax: Any, draws: Sequence[Array], truth: Array | None, labels: Sequence[str]
) -> dict[tuple[int, int | str], Any]:
    """Draw pictures (n_conditions, C, H, W): a row per condition, the truth before the draws."""
    start = 0.0 if truth is None else GAP
    columns: dict[int | str, tuple[float, Array]] = {
        j: (start + j + 0.5, pictures) for j, pictures in enumerate(draws)
    }
    heads = {"samples": start + len(draws) / 2}
    if truth is not None:
        columns, heads = {"truth": (0.5, truth), **columns}, {"truth": 0.5, **heads}
    limits = finite_range(np.stack(list(draws)) if truth is None else truth)
    tall = draws[0].shape[2] / draws[0].shape[3]
    middles = tall * (np.arange(len(labels)) + 0.5)
    frame_cells(ax, start + len(draws), tall * len(labels))
    images = {}
    for i, y in enumerate(middles):
        for key, (x, pictures) in columns.items():
            images[i, key] = draw_picture(ax, pictures[i], (x, y), 1 - 2 * PAD, limits)
            if images[i, key] is None:
                write_missing(ax, (x, y))
    frame_cells(ax, start + len(draws), tall * len(labels))  # a picture sets its own limits
    ax.xaxis.tick_top()
    ax.set_xticks(list(heads.values()), list(heads), fontsize=FONT)
    name_rows(ax, list(middles), labels)
    return {key: image for key, image in images.items() if image is not None}


def _grey_or_colour(value: Array, low: float, high: float) -> Array:
    """Return (H, W), or of three channels (H, W, 3) from 0 to 1."""
    if len(value) != 3:
        return value.mean(axis=0)
    scaled = (value - low) / max(high - low, np.finfo(float).tiny)
    return np.clip(np.nan_to_num(scaled, nan=1.0), 0.0, 1.0).transpose(1, 2, 0)
