"""The halves of scikit-learn's bundled digits."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from skmm.datasets._base import Loaded, check_frame, package, pixel_names

_COLUMNS = {"left": range(4), "right": range(4, 8)}


def load_digits_halves(
    *, as_images: bool = False, return_X_y: bool = False, as_frame: bool = False
) -> Loaded:
    """Load the left and the right halves of scikit-learn's digits: two modalities, no download.

    Each of the 1797 images of 8 × 8 pixels is cut between its columns 3 and 4. Pixels are
    float64 in 0, 1, ..., 16.

    Parameters
    ----------
    as_images : bool, default=False
        Whether the halves are images of shape (1, 8, 4) instead of rows of 32 pixels.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Whether ``data`` is a DataFrame with two column levels and ``target`` a Series.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : Modalities or DataFrame
            ``"left"`` and ``"right"``, each of shape (1797, 32) or (1797, 1, 8, 4).
        target : ndarray or Series of shape (1797,)
            The digit.
        target_names : list of int
            The ten digits.
        feature_names : dict of list of str
            Pixel names (row, column of the whole image) per modality.
        DESCR : str
            The description of the data set.
    (data, target) : tuple if ``return_X_y=True``

    Examples
    --------
    >>> from skmm.datasets import load_digits_halves
    >>> X, y = load_digits_halves(return_X_y=True)
    >>> X["left"].shape, X["right"].shape
    ((1797, 32), (1797, 32))
    """
    check_frame(as_frame, as_images)
    digits = load_digits()
    parts = {}
    for name, columns in _COLUMNS.items():
        half = np.ascontiguousarray(digits.images[:, :, columns.start : columns.stop])
        parts[name] = half[:, None] if as_images else half.reshape(len(half), -1)
    return package(
        parts,
        digits.target.astype(np.int64),
        descr="digits_halves",
        return_X_y=return_X_y,
        as_frame=as_frame,
        feature_names={name: pixel_names(8, columns) for name, columns in _COLUMNS.items()},
        target_names=digits.target_names.tolist(),
    )
