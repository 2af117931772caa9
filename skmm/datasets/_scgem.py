"""scGEM: gene expression and DNA methylation of single cells."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from skmm.datasets._base import Loaded, fetch_files, package, remote_files

FILES = remote_files(
    "singlecell/scgem",
    "https://raw.githubusercontent.com/caokai1073/Pamona/44322c487eb907cf021d5ee7bd1a3ff3f124c14b/"
    "scGEM",
    {
        "expression.txt": "8d22bb887a125484c99910675329492e43179cffcde73b5a7e78c07dffa4ee61",
        "methylation.txt": "9f539a051665c89cc1a5e007a0a03a1e914f7421b44cdfb55d3dcbe9a69f8258",
        "expression_type.txt": "348b88a15d72e75ccf15129fddbdd86be9a486b3ad579bc192ed2118ecc918f3",
        "GeneName_experssion.txt": (
            "39ad2ff32eae991abfc81c73e3b189d3770da65a3058a75c3f2d07a57d4ea213"
        ),
        "GeneName_methylation.txt": (
            "ba981b78d9ad0ad7f45baca33ff81f8c00aab487d53955cf0ee1c2c41099b8c0"
        ),
    },
)


def fetch_scgem(
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Loaded:
    """Load scGEM: expression and methylation, measured together in 177 cells.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder of the files, see :func:`get_data_home`.
    download_if_missing : bool, default=True
        Whether files that are found nowhere are downloaded (less than 1 MB). If False they are
        an error.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Whether ``data`` is a DataFrame with two column levels and ``target`` a Series.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : Modalities or DataFrame
            ``"expression"`` (177, 34) and ``"methylation"`` (177, 27), which is binary.
        target : ndarray or Series of shape (177,)
            The stage of reprogramming, 0 to 4.
        feature_names : dict of list of str
            Genes per modality.
        DESCR : str
            The description of the data set.
    (data, target) : tuple if ``return_X_y=True``

    Raises
    ------
    OSError
        If files are missing and must not or cannot be downloaded.

    References
    ----------
    .. [1] L. Cheow et al. (2016). Single-cell multimodal profiling reveals cellular epigenetic
       heterogeneity. Nature Methods 13.

    Examples
    --------
    >>> from skmm.datasets import fetch_scgem
    >>> X, y = fetch_scgem(return_X_y=True)  # doctest: +SKIP
    >>> X.kinds["methylation"]  # doctest: +SKIP
    'binary'
    """
    paths = fetch_files(FILES, data_home=data_home, download_if_missing=download_if_missing)
    return package(
        {
            "expression": _table(paths["expression.txt"], paths["GeneName_experssion.txt"]),
            "methylation": _table(paths["methylation.txt"], paths["GeneName_methylation.txt"]),
        },
        np.loadtxt(paths["expression_type.txt"]).astype(np.int64),
        descr="scgem",
        return_X_y=return_X_y,
        as_frame=as_frame,
        kinds={"methylation": "binary"},
    )


def _table(values: Path, genes: Path) -> pd.DataFrame:
    return pd.DataFrame(np.loadtxt(values), columns=genes.read_text("utf-8").split())
