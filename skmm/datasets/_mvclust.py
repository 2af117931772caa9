"""Data sets of the literature on multi-view clustering and classification."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.io import loadmat

from skmm.datasets._base import Loaded, Values, check_option, fetch_files, package, remote_files

_COLLECTION = (
    "https://raw.githubusercontent.com/zskong/Multi-view-data/"
    "7e06a445cc6867cf1c6574b0d49e461eceac404a/data"
)
_COMPLETER = (
    "https://raw.githubusercontent.com/XLearning-SCU/2021-CVPR-Completer/"
    "ad37110046234341dab63b0ed0c862680a69e27a/data"
)


@dataclass(frozen=True)
class _Source:
    modalities: tuple[str, ...]
    base_url: str
    sha256: str
    kind: str = "numeric"


_SOURCES = {
    "3-sources": _Source(
        ("bbc", "guardian", "reuters"),
        _COLLECTION,
        "c7c2cc27147dbfa6ec6ca5a900b7dbb673cb05fcb44b02ed2f5a9ef8ec632e90",
        "count",
    ),
    "BBCSport": _Source(
        ("segment1", "segment2"),
        _COLLECTION,
        "c9fe9b76dfb96accf856bf3fbcf9a2b07bdc113d28f70e79ed4032adf05550af",
    ),
    "100Leaves": _Source(
        ("margin", "shape", "texture"),
        _COLLECTION,
        "90ba0a141ed07302109deebd7df935108e3413687c4bf71931001dc87acb1196",
    ),
    "MSRCV1": _Source(
        ("cent", "cm", "gist", "hog", "lbp", "sift"),
        _COLLECTION,
        "7bebe9d747c2538318df12094133cca0b78a03deb602734b4dbca9f99340c80e",
    ),
    "ORL": _Source(
        ("view1", "view2", "view3", "view4"),
        _COLLECTION,
        "1ec6bc9c24ab158cf1680a002d33f436ce63e933600350cea80b119e4f8b6525",
    ),
    "Scene-15": _Source(
        ("view1", "view2", "view3"),
        _COMPLETER,
        "ec33b5e1f53eea04ccacc8b7bdfc6091ed490b04214eb41fd83c05a0a173221f",
    ),
    "LandUse-21": _Source(
        ("view1", "view2", "view3"),
        _COMPLETER,
        "6441fc42e84a83729e5a6436f4c1544dcc3fe115558458495b165677a732b67f",
    ),
}
FILES = {
    name: remote_files("mvclust", source.base_url, {f"{name}.mat": source.sha256})
    for name, source in _SOURCES.items()
}


def fetch_mvclust(
    name: str = "100Leaves",
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Loaded:
    """Load one of seven sets of the literature on multi-view clustering: 2 to 6 modalities.

    ======================  =====  =======  ====================================================
    name                     rows  classes  modalities
    ======================  =====  =======  ====================================================
    ``"3-sources"``           169        6  bbc 3560, guardian 3631, reuters 3068: sparse counts
    ``"BBCSport"``            544        5  segment1 3183, segment2 3203: sparse
    ``"100Leaves"``          1600      100  margin 64, shape 64, texture 64
    ``"MSRCV1"``              210        7  cent 1302, cm 48, gist 512, hog 100, lbp 256, sift 210
    ``"ORL"``                 400       40  view1 512, view2 59, view3 864, view4 254
    ``"Scene-15"``           4485       15  view1 20, view2 59, view3 40
    ``"LandUse-21"``         2100       21  view1 20, view2 59, view3 40
    ======================  =====  =======  ====================================================

    Parameters
    ----------
    name : str, default="100Leaves"
        The data set.
    data_home : str or path-like, default=None
        The folder of the files, see :func:`get_data_home`.
    download_if_missing : bool, default=True
        Whether a file that is found nowhere is downloaded (at most 4 MB). If False it is an error.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Whether ``data`` is a DataFrame with two column levels and ``target`` a Series. Sparse
        modalities become dense.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : Modalities or DataFrame
            The modalities, float64; those of the texts are sparse (CSR), and counts in
            ``"3-sources"``.
        target : ndarray or Series of shape (n_samples,)
            The class, from 0.
        feature_names : dict of list of str
            Feature names per modality.
        DESCR : str
            The description of the data sets.
    (data, target) : tuple if ``return_X_y=True``

    Raises
    ------
    OSError
        If the file is missing and must not or cannot be downloaded.

    Examples
    --------
    >>> from skmm.datasets import fetch_mvclust
    >>> X, y = fetch_mvclust("100Leaves", return_X_y=True)  # doctest: +SKIP
    >>> X.names, X.shape  # doctest: +SKIP
    (('margin', 'shape', 'texture'), (1600, 3))
    """
    check_option("name", name, _SOURCES)
    source = _SOURCES[name]
    (path,) = fetch_files(
        FILES[name], data_home=data_home, download_if_missing=download_if_missing
    ).values()
    stored = loadmat(path)
    parts = {
        modality: _numbers(values)
        for modality, values in zip(source.modalities, stored["X"].ravel(), strict=True)
    }
    return package(
        parts,
        stored["Y"].ravel().astype(np.int64) - 1,
        descr="mvclust",
        return_X_y=return_X_y,
        as_frame=as_frame,
        kinds=dict.fromkeys(parts, source.kind),
        feature_names={
            modality: [f"{modality}{i}" for i in range(values.shape[1])]
            for modality, values in parts.items()
        },
    )


def _numbers(values: Any) -> Values:
    if hasattr(values, "tocsr"):
        return sparse.csr_array(values.tocsr().astype(np.float64))
    return np.asarray(values, dtype=np.float64)
