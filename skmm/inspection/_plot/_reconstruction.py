"""Samples beside their reconstructions by a model with decoders."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skmm._modalities._output import arrays_only
from skmm.inspection._checks import check_count, check_modality_names
from skmm.inspection._fitted import fitted_step, sliceable
from skmm.inspection._plot._axes import (
    COLOURS,
    FONT,
    GREY,
    axes_for,
    name_rows,
    require_pyplot,
    shortened,
)
from skmm.inspection._plot._pictures import (
    CELL,
    PAD,
    draw_picture,
    finite_range,
    frame_cells,
    picture_shape,
    write_missing,
)
from skmm.inspection._variance_explained import (
    check_decodes,
    decoded_modalities,
    numeric_names,
    observed_numbers,
    read_modalities,
    translated_modalities,
)

Array = np.ndarray
ORIGINAL, RECONSTRUCTION = "original", "reconstruction"
LINES = 0.7  # height of a row of lines, in cells
TALLEST = 1.5  # height of a row of pictures, in cells, at most
GAP = 0.35  # height of a title, in cells
FEW = 12  # this many columns or fewer have a dot each


class ReconstructionDisplay:
    """Samples, and below them their reconstructions by a model.

    Each modality has some rows: pictures of the originals, then of each version; or, if it
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
            reconstruction is its expectation given the others.
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
        check_count("n_samples", n_samples, 1)
        model, inner = fitted_step(estimator, _first(X, n_samples))
        check_decodes(model)
        with arrays_only():
            Z = np.asarray(model.transform(inner))
        decoded = decoded_modalities(model, Z)
        found = read_modalities(model, inner)
        names = check_modality_names(modalities, numeric_names(found))
        originals = {name: observed_numbers(found, name) for name in names}
        versions = {RECONSTRUCTION: {name: np.asarray(decoded[name], float) for name in names}}
        if hasattr(model, "translate"):
            versions |= translated_modalities(model, found, names)
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
        rows = self._modalities()
        n_samples = len(rows[0].original)
        height = sum(GAP + row.height * len(row.labels) for row in rows)  # cells
        longest = max(len(shortened(label)) for row in rows for label in [row.name, *row.labels])
        width = 0.3 + 0.6 * FONT / 72 * longest + CELL * n_samples
        ax = axes_for(f"{type(self).__name__}.plot", ax, (width, 0.2 + CELL * height))
        self.ax_, self.figure_ = ax, ax.figure
        self.images_: dict[tuple[str, str], list[Any]] = {}
        self.lines_: dict[tuple[str, str], list[Any]] = {}
        frame_cells(ax, n_samples, height)
        top, names = 0.0, {}
        for row in rows:
            names[top + GAP / 2] = row.name
            top += GAP
            for label in row.labels:
                self._draw_row(ax, row, label, top)
                names[top + row.height / 2] = label
                top += row.height
        frame_cells(ax, n_samples, height)  # a picture sets its own limits
        name_rows(ax, list(names), list(names.values()))
        titles = np.cumsum([0, *(1 + len(row.labels) for row in rows)])[:-1]
        for number in titles:
            ax.get_yticklabels()[number].set(fontweight="bold", fontsize=FONT + 1)
        return self

    def _draw_row(self, ax: Any, modality: "_Modality", label: str, top: float) -> None:
        if modality.shape is not None:
            self.images_[modality.name, label] = modality.draw_images(ax, label, top)
        elif label == ORIGINAL:
            self.lines_[modality.name, label] = modality.draw_lines(ax, label, top)
        else:
            behind = modality.draw_lines(ax, ORIGINAL, top)
            self.lines_.setdefault((modality.name, ORIGINAL), behind)
            self.lines_[modality.name, label] = modality.draw_lines(ax, label, top)

    def _modalities(self) -> list["_Modality"]:
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
            _Modality(
                name, value, self._versions_of(name, value), _image_shape(name, value, shapes)
            )
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


class _Modality:
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
        self.labels = [ORIGINAL, *versions] if shape or not versions else list(versions)
        shown = self.values[ORIGINAL] if shape else np.stack(list(self.values.values()))
        self.low, self.high = finite_range(shown)
        self.height = min(TALLEST, shape[1] / shape[2]) if shape else LINES

    def draw_images(self, ax: Any, label: str, top: float) -> list[Any]:
        """Draw the samples side by side, none where one is missing."""
        _, height, width = self.shape or (1, 1, 1)
        wide = (1 - 2 * PAD) * min(1.0, self.height * width / height)
        middles = [(i + 0.5, top + self.height / 2) for i in range(len(self.original))]
        images = [
            draw_picture(ax, value, middle, wide, (self.low, self.high))
            for value, middle in zip(self.values[label], middles, strict=True)
        ]
        for image, middle in zip(images, middles, strict=True):
            if image is None and label == ORIGINAL:
                write_missing(ax, middle)
        return [image for image in images if image is not None]

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
    """Return (C, H, W) of images; None of other modalities, which are drawn as lines."""
    sample_shape = original.shape[1:]
    default = sample_shape if len(sample_shape) == 3 else None
    return picture_shape(f"image_shapes[{name!r}]", shapes.get(name, default), sample_shape)
