"""What a model with decoders makes of samples, beside the samples."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skmm._modalities._output import arrays_only
from skmm._parameters import is_integer
from skmm.inspection._plot._axes import (
    COLOURS,
    FONT,
    GREY,
    axes_for,
    require_pyplot,
    shortened,
    text_size,
)
from skmm.inspection._plot._model import check_modality_names, fitted_step, sliceable
from skmm.inspection._variance_explained import (
    check_decodes,
    decoded_parts,
    numeric_names,
    observed_numbers,
    read_parts,
    translated_parts,
)

Array = np.ndarray
ORIGINAL, RECONSTRUCTION = "original", "reconstruction"
CELL = 0.75  # inches
PAD = 0.05  # of a cell, on each side
LINES = 0.7  # height of a row of lines, in cells
TALLEST = 1.5  # height of a row of pictures, in cells, at most
TITLE = 1.9 * FONT  # points, the height of a title
FEW = 12  # this many columns or fewer have a dot each


class ReconstructionDisplay:
    """Samples, and below them what a model makes of them.

    Each modality has a block of rows: pictures of the originals, then of each version; or, if it
    is no image, a line over its columns per version, in front of the original as a thin grey
    line. All pictures of a modality share their scale, from the smallest to the largest value of
    the originals, and all lines of a modality theirs.

    Parameters
    ----------
    originals : dict of str to array-like of shape (n_samples, ...)
        The modalities; NaN where one is missing. Four dimensions are images, N x C x H x W: three
        channels are red, green and blue, of any other number the mean is drawn.
    versions : dict of str to (dict of str to array-like of shape (n_samples, ...))
        By the name of the version, the same modalities or some of them, for instance
        ``{"reconstruction": {"left": ..., "right": ...}, "from left": {"right": ...}}``. A row of
        NaN is left blank.
    image_shapes : dict of str to tuple of int, default=None
        Shape (H, W) or (C, H, W) of modalities that are flattened images.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the drawing.
    figure_ : matplotlib Figure
        Figure of the axes.
    images_ : dict of tuple to list of matplotlib AxesImage
        By (modality, version) the pictures in order; the originals are the version "original".
    lines_ : dict of tuple to list of matplotlib Line2D
        By (modality, version) the lines in order, likewise.

    See Also
    --------
    VarianceExplainedDisplay : How much of a modality is reconstructed, in numbers.
    LatentDisplay : The codes in between.

    Examples
    --------
    >>> from skmm.inspection import ReconstructionDisplay
    >>> originals = {"image": [[0, 1, 1, 0], [1, 1, 0, 0]]}
    >>> versions = {"reconstruction": {"image": [[0.1, 0.8, 0.9, 0.1], [0.7, 0.9, 0.2, 0.1]]}}
    >>> display = ReconstructionDisplay(
    ...     originals, versions, image_shapes={"image": (2, 2)}
    ... ).plot()
    >>> {key: len(images) for key, images in display.images_.items()}
    {('image', 'original'): 2, ('image', 'reconstruction'): 2}
    """

    def __init__(
        self,
        originals: Mapping[str, ArrayLike],
        versions: Mapping[str, Mapping[str, ArrayLike]],
        *,
        image_shapes: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        self.originals = originals
        self.versions = versions
        self.image_shapes = image_shapes

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        n_samples: int = 8,
        modalities: Sequence[str] | None = None,
        image_shapes: Mapping[str, tuple[int, ...]] | None = None,
        ax: Any = None,
    ) -> Self:
        """Reconstruct the first rows of X, translate them between modalities, and draw.

        Parameters
        ----------
        estimator : estimator, Pipeline or search that ends in one
            Fitted; with `transform` and `inverse_transform`. One with `translate` also shows each
            modality as it follows from each other modality alone. With a pipeline, the modalities
            are those that its last step sees.
        X : Modalities, dict, DataFrame or array-like
            Rows to draw. Where a modality is missing, its original is blank, and the
            reconstruction is what the others make expect.
        n_samples : int, default=8
            How many rows are drawn at most, from the first on.
        modalities : list of str, default=None
            Names of the modalities to draw, of numbers; None draws all of those.
        image_shapes : dict of str to tuple of int, default=None
            Shape (H, W) or (C, H, W) of modalities that are flattened images.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ReconstructionDisplay

        Raises
        ------
        NotFittedError
            If `estimator` is not fitted.
        TypeError
            If it has no decoders.
        ValueError
            If `X` does not fit the data of `fit`, `n_samples` is less than 1, a modality does not
            exist or has no numbers, or an image shape does not fit.

        Examples
        --------
        >>> from skmm import MultimodalAutoencoder
        >>> from skmm.datasets import load_digits_halves
        >>> from skmm.inspection import ReconstructionDisplay
        >>> X = load_digits_halves().data[:300]
        >>> model = MultimodalAutoencoder(
        ...     4, hidden_layer_sizes=(16,), max_epochs=2, random_state=0
        ... ).fit(X)
        >>> display = ReconstructionDisplay.from_estimator(
        ...     model, X, n_samples=4, image_shapes={"left": (8, 4), "right": (8, 4)}
        ... )
        >>> list(display.versions)
        ['reconstruction', 'from left', 'from right']
        """
        require_pyplot(f"{cls.__name__}.from_estimator")
        if not is_integer(n_samples):
            raise ValueError(f"n_samples={n_samples!r} must be an integer of at least 1.")
        model, inner = fitted_step(estimator, _first(X, n_samples))
        check_decodes(model)
        with arrays_only():
            Z = np.asarray(model.transform(inner))
        decoded = decoded_parts(model, Z)
        found = read_parts(model, inner)
        names = check_modality_names(modalities, numeric_names(found))
        originals = {name: observed_numbers(found, name) for name in names}
        versions = {RECONSTRUCTION: {name: np.asarray(decoded[name], float) for name in names}}
        if hasattr(model, "translate"):
            versions |= translated_parts(model, found, names)
        return cls(originals, versions, image_shapes=image_shapes).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ReconstructionDisplay

        Raises
        ------
        ValueError
            If there is nothing to draw, the arrays do not fit together, or an image shape does not
            fit.
        """
        blocks = self._blocks()
        n_samples = len(blocks[0].original)
        cells = sum(block.height * len(block.rows) for block in blocks)
        longest = max(len(shortened(label)) for block in blocks for label in block.rows)
        width = 0.3 + 0.6 * FONT / 72 * longest + CELL * n_samples
        size = (width, 0.2 + CELL * cells + len(blocks) * TITLE / 72)
        ax = axes_for(f"{type(self).__name__}.plot", ax, size)
        self.ax_, self.figure_ = ax, ax.figure
        self.images_: dict[tuple[str, str], list[Any]] = {}
        self.lines_: dict[tuple[str, str], list[Any]] = {}
        margin, gap = _rooms(ax, blocks, n_samples, cells)
        ax.set(aspect="equal", xlim=(-margin, n_samples), ylim=(cells + gap * len(blocks), 0.0))
        ax.apply_aspect()
        ax.set_axis_off()
        top = 0.0
        for block in blocks:
            top += gap
            _write(ax, block.name, (-margin, top), (2, 3), fontweight="bold", fontsize=FONT + 1)
            for label in block.rows:
                self._draw_row(ax, block, label, top)
                middle = (0.0, top + block.height / 2)
                _write(ax, label, middle, (-4, 0), ha="right", va="center")
                top += block.height
        return self

    def _draw_row(self, ax: Any, block: "_Block", label: str, top: float) -> None:
        if block.shape is not None:
            self.images_[block.name, label] = block.draw_images(ax, label, top)
        elif label == ORIGINAL:
            self.lines_[block.name, label] = block.draw_lines(ax, label, top)
        else:
            behind = block.draw_lines(ax, ORIGINAL, top)
            self.lines_.setdefault((block.name, ORIGINAL), behind)
            self.lines_[block.name, label] = block.draw_lines(ax, label, top)

    def _blocks(self) -> list["_Block"]:
        """Return the modalities, checked."""
        originals = {name: np.asarray(v, np.float64) for name, v in self.originals.items()}
        shapes = dict(self.image_shapes or {})
        known = {name for version in self.versions.values() for name in version}
        if unknown := sorted((known | set(shapes)) - set(originals)):
            raise ValueError(f"originals lack {unknown}: there are {list(originals)}.")
        if not originals or {value.shape[:1] for value in originals.values()} == {(0,)}:
            raise ValueError("originals must hold a modality and a sample.")
        if ORIGINAL in self.versions:
            raise ValueError(f"{ORIGINAL!r} cannot be the name of a version.")
        if len({value.shape[:1] for value in originals.values()}) > 1:
            shapes_in = {name: value.shape for name, value in originals.items()}
            raise ValueError(f"originals must have as many samples each, got {shapes_in}.")
        return [
            _Block(name, value, self._versions_of(name, value), _image_shape(name, value, shapes))
            for name, value in originals.items()
        ]

    def _versions_of(self, name: str, original: Array) -> dict[str, Array]:
        found = {}
        for label, version in self.versions.items():
            if name in version:
                value = np.asarray(version[name], dtype=np.float64)
                if value.shape[:1] != original.shape[:1] or value.size != original.size:
                    raise ValueError(
                        f"Modality {name!r} has shape {value.shape} in {label!r}, but its "
                        f"originals have {original.shape}."
                    )
                found[label] = value
        return found


class _Block:
    """The rows of a modality: pictures of shape (C, H, W), or lines where there is none."""

    def __init__(
        self,
        name: str,
        original: Array,
        versions: dict[str, Array],
        shape: tuple[int, int, int] | None,
    ) -> None:
        self.name, self.shape, self.original = name, shape, original
        self.values = {
            label: value.reshape(len(value), *(shape or (-1,)))
            for label, value in {ORIGINAL: original, **versions}.items()
        }
        # Lines have the original behind each version.
        self.rows = [ORIGINAL, *versions] if shape or not versions else list(versions)
        shown = self.values[ORIGINAL] if shape else np.stack(list(self.values.values()))
        known = shown[np.isfinite(shown)]
        self.low = float(known.min()) if known.size else 0.0
        self.high = float(known.max()) if known.size else 1.0
        self.height = min(TALLEST, shape[1] / shape[2]) if shape else LINES

    def draw_images(self, ax: Any, label: str, top: float) -> list[Any]:
        """Draw the samples side by side, none where one is missing."""
        _, height, width = self.shape or (1, 1, 1)
        half = (0.5 - PAD) * min(1.0, self.height * width / height)  # of the width, in cells
        tall = half * height / width
        middle, found = top + self.height / 2, []
        for i, value in enumerate(self.values[label]):
            if np.isfinite(value).any():
                x = i + 0.5
                extent = (x - half, x + half, middle + tall, middle - tall)
                image = ax.imshow(
                    self._picture(value), cmap="gray", vmin=self.low, vmax=self.high,
                    extent=extent, interpolation="nearest",
                )  # fmt: skip
                found.append(image)
            elif label == ORIGINAL:
                _write_missing(ax, (i + 0.5, middle))
        return found

    def _picture(self, value: Array) -> Array:
        """Return (H, W), or (H, W, 3) from 0 to 1."""
        if len(value) != 3:
            return value.mean(axis=0)
        scaled = (value - self.low) / max(self.high - self.low, np.finfo(float).tiny)
        return np.clip(np.nan_to_num(scaled, nan=1.0), 0.0, 1.0).transpose(1, 2, 0)

    def draw_lines(self, ax: Any, label: str, top: float) -> list[Any]:
        """Draw the samples side by side, all on one scale."""
        number = list(self.values).index(label) - 1
        is_original = label == ORIGINAL
        colour = GREY if is_original else COLOURS[number % len(COLOURS)]
        room = self.height - 2 * PAD
        scale = room / (self.high - self.low) if self.high > self.low else 0.0
        found = []
        for i, value in enumerate(self.values[label]):
            if not np.isfinite(value).any():
                continue
            y = top + self.height - PAD - scale * (value - self.low)
            x = i + 0.5 + (0.5 - 2 * PAD) * _steps(len(value))
            found += ax.plot(
                x, y, color=colour, lw=0.8 if is_original else 1.2, zorder=2 + (not is_original),
                marker="o" if len(value) <= FEW else "", ms=2.5,
            )  # fmt: skip
        return found


def _first(X: Any, n_samples: int) -> Any:
    X = sliceable(X)
    return _safe_indexing(X, np.arange(min(n_samples, _num_samples(X))))


def _steps(n_columns: int) -> Array:
    """Return places from -1 to 1, a single one in the middle."""
    return np.linspace(-1.0, 1.0, n_columns) if n_columns > 1 else np.zeros(1)


def _image_shape(
    name: str, original: Array, shapes: Mapping[str, Any]
) -> tuple[int, int, int] | None:
    """Return (C, H, W), or None for what is no image."""
    if name not in shapes:
        return original.shape[1:] if original.ndim == 4 else None
    shape = tuple(shapes[name])
    shape = (1, *shape) if len(shape) == 2 else shape
    if len(shape) != 3 or min(shape) < 1 or np.prod(shape) * len(original) != original.size:
        raise ValueError(
            f"image_shapes[{name!r}]={shapes[name]!r} must be (H, W) or (C, H, W) of samples of "
            f"shape {original.shape[1:]}."
        )
    return shape


def _rooms(ax: Any, blocks: Sequence[_Block], n_samples: int, cells: float) -> tuple[float, float]:
    """Return the room for the labels of rows and for a title, in cells, which are square."""
    if ax.figure.get_layout_engine() is not None:
        ax.get_figure(root=True).draw_without_rendering()  # the axes take their place
    box, point = ax.get_window_extent(), ax.get_figure(root=True).dpi / 72
    labels = [shortened(label) for block in blocks for label in block.rows]
    margin = text_size(ax, labels, FONT)[0] + 8 * point
    height = box.height - len(blocks) * TITLE * point
    cell = max(min((box.width - margin) / n_samples, height / cells), 1.0)
    return float(margin / cell), float(TITLE * point / cell)


def _write(
    ax: Any, text: str, place: tuple[float, float], offset: tuple[float, float], **options: Any
) -> None:
    options = {"fontsize": FONT, "va": "bottom", **options}
    ax.annotate(
        shortened(text), place, offset, textcoords="offset points", parse_math=False, **options
    )


def _write_missing(ax: Any, place: tuple[float, float]) -> None:
    cell = np.ptp(ax.transData.transform([(0, 0), (1, 0)])[:, 0])
    size = FONT * min(1.0, 0.9 * cell / text_size(ax, ["missing"], FONT)[0])
    _write(ax, "missing", place, (0, 0), ha="center", va="center", color=GREY, fontsize=size)
