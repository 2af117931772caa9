"""Images of any origin to one array of numbers in [0, 1]."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import TransformerMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skmm._base import BaseEstimator
from skmm._modalities._values import as_array
from skmm._parameters import is_integer
from skmm.preprocessing._samples import MARK_MISSING, read_samples

Image = NDArray[np.float32]

_LARGEST = {"b": 1, "u1": 255, "u2": 65535}
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as Pillow's mode "L"
_PLAIN_MODES = ("1", "L", "RGB", "I;16", "I;16L", "I;16B")  # whose arrays are what is seen
_RESAMPLE = {"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"}


class ImageScaler(TransformerMixin, BaseEstimator):
    """Bring images into the form that networks take: N x C x H x W, float32 in [0, 1].

    Images may be an array N x H x W x C or N x H x W, or a list (or array of objects) of arrays
    H x W x C or H x W, of Pillow images, or of paths; those of a list may differ in size if
    `size` is given. Unsigned integers are divided by the largest of their type, floats must be in
    [0, 1] already. Pillow is needed for `size`, for paths and for its images only.

    After this transformer the output of :class:`~skmm.compose.PerModality` is of kind
    ``"image"``.

    Parameters
    ----------
    size : tuple of int, default=None
        Height and width of the output; each image is stretched to it. None means that all images
        have the same size already.
    mode : {"L", "RGB"}, default=None
        Grey (one channel: the luma of ITU-R BT.601) or colour (three). None means that all images
        have the same 1 to 4 channels already.
    resample : {"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"}, default="bilinear"
        Pillow's filter for `size`. It sees the pixels as floats, so nothing is rounded; what
        overshoots [0, 1] is clipped.

    Attributes
    ----------
    output_kind : str
        ``"image"``; read by :class:`~skmm.compose.PerModality`.
    image_shape_ : tuple of int
        Channels, height and width of the output.

    Raises
    ------
    ImportError
        If Pillow is needed and not installed.
    TypeError
        If X is no array or list of images.
    ValueError
        If images differ in size or channels among each other or from fit, their values are
        outside the range of their type, or one is missing.

    See Also
    --------
    LogMel : The same for sound.

    Notes
    -----
    Images of files are turned upright as their EXIF data say. Transparency is dropped.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.preprocessing import ImageScaler
    >>> images = np.array([[[0, 255]], [[51, 102]]], dtype=np.uint8)  # 2 grey images of 1 x 2
    >>> scaler = ImageScaler().fit(images)
    >>> scaler.transform(images).shape
    (2, 1, 1, 2)
    >>> scaler.transform(images).ravel()
    array([0. , 1. , 0.2, 0.4], dtype=float32)
    >>> scaler.inverse_transform(scaler.transform(images))[..., 0].tolist()
    [[[0, 255]], [[51, 102]]]
    """

    output_kind = "image"

    _parameter_constraints: dict[str, list[Any]] = {
        "size": [tuple, list, None],
        "mode": [StrOptions({"L", "RGB"}), None],
        "resample": [StrOptions(_RESAMPLE)],
    }

    def __init__(
        self,
        *,
        size: tuple[int, int] | None = None,
        mode: str | None = None,
        resample: str = "bilinear",
    ) -> None:
        self.size = size
        self.mode = mode
        self.resample = resample

    def fit(self, X: Any, y: Any = None) -> ImageScaler:
        """Learn the shape of the images.

        Parameters
        ----------
        X : array of shape (n_samples, H, W, C) or (n_samples, H, W), or list of images
            Images.
        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted transformer.
        """
        self.fit_transform(X)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X: Any, y: Any = None) -> Image:
        """Learn the shape of the images and transform them: files are read once.

        Parameters
        ----------
        X : array of shape (n_samples, H, W, C) or (n_samples, H, W), or list of images
            Images.
        y : None
            Ignored.

        Returns
        -------
        images : ndarray of float32 of shape (n_samples, C, H, W)
            In [0, 1].
        """
        _check_size(self.size)
        images = self._convert(X)
        self.image_shape_ = images.shape[1:]
        return images

    def transform(self, X: Any) -> Image:
        """Scale the images.

        Parameters
        ----------
        X : array of shape (n_samples, H, W, C) or (n_samples, H, W), or list of images
            Images.

        Returns
        -------
        images : ndarray of float32 of shape (n_samples, C, H, W)
            In [0, 1].
        """
        check_is_fitted(self)
        images = self._convert(X)
        self._check_shape(images)
        return images

    def inverse_transform(self, X: Any) -> NDArray[np.uint8]:
        """Return images of bytes, of the size that `transform` gives.

        Parameters
        ----------
        X : array-like of shape (n_samples, C, H, W)
            Images; values outside [0, 1] are clipped.

        Returns
        -------
        images : ndarray of uint8 of shape (n_samples, H, W, C)
            Rounded.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If the images have another shape than those of `transform`, or hold NaN or infinity.
        """
        check_is_fitted(self)
        images = as_array("X of ImageScaler", X)
        self._check_shape(images)
        if not np.isfinite(images).all():
            raise ValueError("ImageScaler.inverse_transform got NaN or infinity.")
        return np.rint(np.clip(np.moveaxis(images, 1, -1), 0, 1) * 255).astype(np.uint8)

    def _convert(self, X: Any) -> Image:
        samples = read_samples(X, "ImageScaler", "images")
        if isinstance(samples, np.ndarray):
            return np.ascontiguousarray(np.moveaxis(self._scale(samples, "X", 3), -1, 1))
        images = [
            self._scale(_pixels(s, self.mode), f"Image {i}", 2) for i, s in enumerate(samples)
        ]
        strange = next((i for i, x in enumerate(images) if x.shape != images[0].shape), None)
        if strange is not None:
            shapes = images[0].shape, images[strange].shape
            raise ValueError(
                f"Images differ: image 0 is {shapes[0]}, image {strange} is {shapes[1]} (height, "
                "width, channels). Give size=(height, width) and mode='L' or 'RGB'."
            )
        return np.ascontiguousarray(np.moveaxis(np.stack(images), -1, 1))

    def _scale(self, pixels: NDArray[Any], name: str, grey: int) -> Image:
        """Return pixels with channels last, in [0, 1]; `grey` is the rank without channels."""
        if pixels.ndim == grey:
            pixels = pixels[..., None]
        n_channels = pixels.shape[-1] if pixels.ndim else 0
        if pixels.ndim != grey + 1 or 0 in pixels.shape or n_channels > 4:
            raise ValueError(
                f"{name} has shape {pixels.shape}; images are height x width x channels with 1 to "
                "4 channels, or height x width, and samples come first. Put the channels last with "
                "np.moveaxis(X, 1, -1)."
            )
        if self.mode is not None and n_channels not in (1, 3):
            raise ValueError(
                f"{name} has {n_channels} channels, which cannot be converted to mode={self.mode!r}"
                ": give 1 or 3 channels, or Pillow images."
            )
        return self._resize(_in_mode(_unit(pixels, name), self.mode))

    def _resize(self, pixels: Image) -> Image:
        """Resize (..., H, W, C), channel by channel."""
        if self.size is None or pixels.shape[-3:-1] == tuple(self.size):
            return pixels
        pillow = _pillow()
        height, width = self.size
        planes = np.moveaxis(pixels, -1, -3)  # (..., C, H, W)
        out = np.empty((*planes.shape[:-2], height, width), dtype=np.float32)
        method = pillow.Resampling[self.resample.upper()]
        for at in np.ndindex(planes.shape[:-2]):
            plane = pillow.fromarray(np.ascontiguousarray(planes[at]))
            out[at] = np.asarray(plane.resize((width, height), method))
        return np.moveaxis(out.clip(0, 1, out=out), -3, -1)

    def _check_shape(self, images: NDArray[Any]) -> None:
        if images.shape[1:] != self.image_shape_:
            raise ValueError(
                f"Images are {images.shape[1:]} (channels, height, width), but ImageScaler was "
                f"fitted with {self.image_shape_}. size= and mode= bring them to one shape."
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def _check_size(size: Any) -> None:
    if size is None:
        return
    if len(size) != 2 or not all(map(is_integer, size)):
        raise ValueError(f"size must be (height, width), two positive integers, got {size!r}.")


def _unit(pixels: NDArray[Any], name: str) -> Image:
    """Return values in [0, 1], or say why they are not."""
    largest = _LARGEST.get(pixels.dtype.str[1:], _LARGEST.get(pixels.dtype.kind))
    if largest is not None:
        return np.divide(pixels, largest, dtype=np.float32)
    if pixels.dtype.kind != "f":
        raise ValueError(
            f"{name} has dtype {pixels.dtype}, whose range is not that of pixels. Convert 0...255 "
            "with .astype(np.uint8), or divide by the largest value."
        )
    low, high = pixels.min(), pixels.max()
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"{name} has floats from {low:.4g} to {high:.4g}, expected [0, 1]. Divide by the "
            f"largest value that pixels can have. {MARK_MISSING if np.isnan(low) else ''}".rstrip()
        )
    return pixels.astype(np.float32)


def _in_mode(pixels: Image, mode: str | None) -> Image:
    n_channels = pixels.shape[-1]
    if mode == "L" and n_channels == 3:
        return (pixels @ _LUMA).clip(0, 1)[..., None]
    return np.repeat(pixels, 3, axis=-1) if mode == "RGB" and n_channels == 1 else pixels


def _pixels(sample: Any, mode: str | None) -> NDArray[Any]:
    """Return the pixels of an array, a Pillow image or a file."""
    if isinstance(sample, np.ndarray):
        return sample
    pillow = _pillow()
    if isinstance(sample, str | os.PathLike):
        with pillow.open(sample) as image:
            return _pillow_pixels(image, mode)
    if not isinstance(sample, pillow.Image):
        raise TypeError(
            "ImageScaler takes images as arrays, Pillow images or paths, got "
            f"{type(sample).__name__}."
        )
    return _pillow_pixels(sample, mode)


def _pillow_pixels(image: Any, mode: str | None) -> NDArray[Any]:
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode not in _PLAIN_MODES:
        if mode is None or image.mode in ("I", "F"):
            raise ValueError(
                f"An image is of Pillow's mode {image.mode!r}. Give mode='L' or 'RGB' to convert "
                "it; 32-bit images as arrays of floats in [0, 1]."
            )
        image = image.convert("RGB")
    return np.asarray(image)


def _pillow() -> Any:
    try:
        from PIL import Image as pillow
    except ImportError as error:
        raise ImportError(
            'ImageScaler needs Pillow for size= and for files: pip install "skmm[image]".'
        ) from error
    return pillow
