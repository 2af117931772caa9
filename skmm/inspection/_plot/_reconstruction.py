"""What a model with decoders makes of samples, beside the samples."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skmm._modalities import Modalities
from skmm.inspection._plot._axes import (
    COLOURS,
    FONT,
    GREY,
    LIGHT,
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
)

Array = np.ndarray
ORIGINAL, RECONSTRUCTION = "original", "reconstruction"
CELL = 0.75  # inches
PAD = 0.05  # of a cell, on each side
LINES = 0.7  # height of a row of lines, in cells
TALLEST = 1.5  # height of a row of pictures, in cells, at most
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
        if n_samples < 1:
            raise ValueError(f"n_samples={n_samples!r} must be at least 1.")
        model, inner = fitted_step(estimator, sliceable(X)[:n_samples])
        check_decodes(model)
        decoded = decoded_parts(model, np.asarray(model.transform(inner)))
        found = read_parts(model, inner)
        names = check_modality_names(modalities, numeric_names(found))
        originals = {name: observed_numbers(found, name) for name in names}
        versions = {RECONSTRUCTION: {name: np.asarray(decoded[name], float) for name in names}}
        if hasattr(model, "translate"):
            versions |= _translations(model, found, originals)
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
        gaps = len(blocks) * 1.9 * FONT / 72
        size = (1.4 + CELL * n_samples, 0.2 + CELL * cells + gaps)
        ax = axes_for(f"{type(self).__name__}.plot", ax, size)
        self.ax_, self.figure_ = ax, ax.figure
        self.images_: dict[tuple[str, str], list[Any]] = {}
        self.lines_: dict[tuple[str, str], list[Any]] = {}
        gap = _gap(ax, n_samples, cells, len(blocks))
        top, ticks = 0.0, {}
        for block in blocks:
            top += gap
            _write_title(ax, block.name, top)
            for label in block.rows:
                self._draw_row(ax, block, label, top)
                ticks[top + block.height / 2] = label
                top += block.height
        _finish(ax, n_samples, top, ticks)
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

