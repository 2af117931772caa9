"""MNIST as two modalities: halves, noisy views, images and labels."""

from __future__ import annotations

import gzip
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy import ndimage

from skmm._modalities._chunks import row_chunks
from skmm._random import check_random_state
from skmm.datasets._base import (
    Loaded,
    RemoteFile,
    Values,
    check_frame,
    check_option,
    fetch_files,
    package,
    pixel_names,
    register,
    sha256,
)

VARIANTS = ("halves", "noisy", "labels")
SPLITS = {"train": slice(0, 50_000), "tune": slice(50_000, 60_000), "test": slice(60_000, 70_000)}
_HALVES = {"left": range(14), "right": range(14, 28)}


def _decompressed_sha256(path: Path) -> str:
    return sha256(gzip.decompress(path.read_bytes()))


# SHA-256 of the decompressed content: mirrors compress the same content differently.
_CONTENTS = {
    "train-images-idx3-ubyte.gz": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    "train-labels-idx1-ubyte.gz": (
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    ),
}
FILES = register(
    [
        RemoteFile(
            f"mnist/{name}",
            f"https://ossci-datasets.s3.amazonaws.com/mnist/{name}",
            digest,
            _decompressed_sha256,
        )
        for name, digest in _CONTENTS.items()
    ]
)


def fetch_mnist(
    variant: str = "halves",
    *,
    subset: str = "all",
    as_images: bool = False,
    random_state: int | RandomState | None = 0,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Loaded:
    """Load MNIST as two modalities.

    Pixels are float32 in [0, 1].

    Parameters
    ----------
    variant : {"halves", "noisy", "labels"}, default="halves"
        What the two modalities are:

        - ``"halves"``: ``"left"`` (pixel columns 0-13) and ``"right"`` (columns 14-27), 392 pixels
          each [1]_.
        - ``"noisy"``: ``"rotated"``, the image turned by an angle drawn from [-π/4, π/4] (bilinear
          interpolation), and ``"noisy"``, another image of the same digit, drawn within the same
          split, plus noise drawn from [0, 1] for each pixel, truncated to [0, 1] [2]_.
        - ``"labels"``: ``"image"`` and ``"label"``, the digit as a categorical modality [3]_.
    subset : {"train", "tune", "test", "all"}, default="all"
        The first 50000 images of MNIST's training set, its last 10000, MNIST's test set of
        10000, or all of them in this order.
    as_images : bool, default=False
        Whether images have shape (1, height, width) instead of being rows of pixels.
    random_state : int, RandomState instance or None, default=0
        Draws angles, partners and noise of ``variant="noisy"``; no other variant uses it. With an
        integer each subset is the same whether it is loaded alone or as part of ``"all"``.
    data_home : str or path-like, default=None
        The folder of the files, see :func:`get_data_home`.
    download_if_missing : bool, default=True
        Whether files that are found nowhere are downloaded (12 MB). If False they are an error.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Whether ``data`` is a DataFrame with two column levels and ``target`` a Series.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : Modalities or DataFrame
            The two modalities. Rows of pixels have shape (n_samples, 392) in the halves and
            (n_samples, 784) elsewhere; the label has shape (n_samples,).
        target : ndarray or Series of shape (n_samples,)
            The digit.
        target_names : list of int
            The ten digits.
        feature_names : dict of list of str
            Pixel names (row, column) per modality.
        split : ndarray of shape (n_samples,)
            ``"train"``, ``"tune"`` or ``"test"`` for each row.
        angles, partners : ndarray of shape (n_samples,)
            With ``variant="noisy"``: the angle in radians, and the position, in all of MNIST, of
            the image from which ``"noisy"`` was made.
        DESCR : str
            The description of the data set.
    (data, target) : tuple if ``return_X_y=True``

    Raises
    ------
    OSError
        If files are missing and must not or cannot be downloaded.

    References
    ----------
    .. [1] G. Andrew, R. Arora, J. Bilmes, K. Livescu (2013). Deep canonical correlation analysis.
       ICML, section 5.1.
    .. [2] W. Wang, R. Arora, K. Livescu, J. Bilmes (2015). On deep multi-view representation
       learning. ICML, section 4.1.
    .. [3] M. Wu, N. Goodman (2018). Multimodal generative models for scalable weakly-supervised
       learning. NeurIPS.

    Examples
    --------
    >>> from skmm.datasets import fetch_mnist
    >>> X, y = fetch_mnist("noisy", subset="tune", return_X_y=True)  # doctest: +SKIP
    >>> X.names, X["rotated"].shape  # doctest: +SKIP
    (('rotated', 'noisy'), (10000, 784))
    """
    check_option("variant", variant, VARIANTS)
    check_option("subset", subset, [*SPLITS, "all"])
    check_frame(as_frame, as_images)
    images, labels = _read_mnist(data_home, download_if_missing)
    names = list(SPLITS) if subset == "all" else [subset]
    rows = slice(SPLITS[names[0]].start, SPLITS[names[-1]].stop)
    extras: dict[str, Any] = {}
    views = {"image": images[rows]}
    if variant == "halves":
        views = {name: images[rows, :, half.start : half.stop] for name, half in _HALVES.items()}
    elif variant == "noisy":
        views, extras = _noisy_splits(images, labels, names, random_state)
    parts: dict[str, Values] = {name: _shape(view, as_images) for name, view in views.items()}
    target = labels[rows]
    columns = {name: _HALVES.get(name, range(28)) for name in parts}
    if variant == "labels":
        parts["label"] = target
    return package(
        parts,
        target,
        descr="mnist",
        return_X_y=return_X_y,
        as_frame=as_frame,
        feature_names={name: pixel_names(28, columns[name]) for name in columns},
        target_names=list(range(10)),
        split=np.repeat(names, [SPLITS[name].stop - SPLITS[name].start for name in names]),
        **extras,
    )


def noisy_views(
    images: NDArray[np.float32], labels: NDArray[np.int64], rng: RandomState
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64], NDArray[np.int64]]:
    """Return rotated images, noisy partners, the angles and the positions of the partners.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.datasets._mnist import noisy_views
    >>> images = np.zeros((4, 28, 28), dtype=np.float32)
    >>> *_, partners = noisy_views(images, np.array([0, 1, 0, 1]), np.random.RandomState(0))
    >>> partners
    array([2, 3, 0, 1])
    """
    angles = rng.uniform(-math.pi / 4, math.pi / 4, len(images))
    partners = _same_class_partners(labels, rng)
    rotated = np.empty_like(images)
    for row, angle in enumerate(np.rad2deg(angles)):
        ndimage.rotate(images[row], angle, reshape=False, output=rotated[row], order=1)
    noisy = images[partners]
    for rows in row_chunks(len(noisy), noisy[:1].size):
        noisy[rows] += rng.uniform(size=noisy[rows].shape)
    return np.clip(rotated, 0, 1, out=rotated), np.minimum(noisy, 1, out=noisy), angles, partners


def _same_class_partners(labels: NDArray[np.int64], rng: RandomState) -> NDArray[np.int64]:
    """Draw, for each row, one of the *other* rows of its class."""
    partners = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            raise ValueError(f"class {label!r} has a single image, so there is no other to draw.")
        shift = rng.randint(1, len(members), size=len(members))
        partners[members] = members[(np.arange(len(members)) + shift) % len(members)]
    return partners


def _noisy_splits(
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    names: list[str],
    random_state: int | RandomState | None,
) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray]]:
    """Make the views of each split from a stream of its own, so that a split can come alone."""
    seeds = check_random_state(random_state).randint(2**31 - 1, size=len(SPLITS))
    made = []
    for name, seed in zip(SPLITS, seeds, strict=True):
        if name in names:
            rows = SPLITS[name]
            *views, partners = noisy_views(images[rows], labels[rows], RandomState(seed))
            made.append((*views, partners + rows.start))
    rotated, noisy, angles, partners = (np.concatenate(parts) for parts in zip(*made, strict=True))
    return {"rotated": rotated, "noisy": noisy}, {"angles": angles, "partners": partners}


def _shape(images: NDArray[np.float32], as_images: bool) -> NDArray[np.float32]:
    return images[:, None] if as_images else images.reshape(len(images), -1)


def _read_mnist(
    data_home: str | os.PathLike[str] | None, download_if_missing: bool
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    paths = fetch_files(FILES, data_home=data_home, download_if_missing=download_if_missing)
    contents = dict.fromkeys(("images", "labels"), b"")
    for name, path in paths.items():  # training set first
        content = gzip.decompress(path.read_bytes())
        if sha256(content) != _CONTENTS[name]:
            raise ValueError(
                f"The content of {str(path)!r} is not MNIST's (SHA-256 differs). Delete the file, "
                "so that it is downloaded, or replace it."
            )
        kind, header = ("images", 16) if "images" in name else ("labels", 8)
        contents[kind] += content[header:]
    images = np.frombuffer(contents["images"], np.uint8).reshape(-1, 28, 28)
    labels = np.frombuffer(contents["labels"], np.uint8).astype(np.int64)
    return np.divide(images, 255, dtype=np.float32), labels
