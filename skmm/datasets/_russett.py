"""Russett: agriculture, industry and politics of 47 countries."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from skmm.datasets._base import Loaded, fetch_files, find_local, package, remote_files
from skmm.datasets._rdata import read_rdata

_REGIMES = ["demostab", "demoinst", "dictator"]
_BLOCKS = {
    "agriculture": ["gini", "farm", "rent"],
    "industry": ["gnpr", "labo"],
    "politics": ["inst", "ecks", "death", *_REGIMES],
}
FILES = remote_files(
    "russett",
    "https://raw.githubusercontent.com/rgcca-factory/RGCCA/"
    "cc7f958f6b8944ce3a8063805fc06c8b09ed7ab4/data",
    {"Russett.rda": "d8e47e0193dde807603c69e6ce24e35b019db6a14f99e99ddebef2460109c570"},
)


def fetch_russett(
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Loaded:
    """Load Russett's data: agriculture, industry and politics of 47 countries.

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
            ``"agriculture"`` (47, 3), ``"industry"`` (47, 2) and ``"politics"`` (47, 6).
        target : ndarray or Series of shape (47,)
            The regime, a position in ``target_names``. The last three columns of ``"politics"``
            say the same: it is for colouring plots, not for measuring prediction.
        target_names : list of str
            Stable democracy, unstable democracy, dictatorship, by the names of their columns.
        feature_names : dict of list of str
            Variables per modality.
        countries : ndarray of shape (47,)
            Names of the countries.
        DESCR : str
            The description of the data set.
    (data, target) : tuple if ``return_X_y=True``

    Raises
    ------
    OSError
        If the file is missing and must not or cannot be downloaded.

    Notes
    -----
    The downloaded file is the original one in R's format. Where ``russett/Russett.csv`` is found,
    it is read instead.

    References
    ----------
    .. [1] A. Tenenhaus, M. Tenenhaus (2011). Regularized generalized canonical correlation
       analysis. Psychometrika 76.

    Examples
    --------
    >>> from skmm.datasets import fetch_russett
    >>> X, y = fetch_russett(return_X_y=True)  # doctest: +SKIP
    >>> X.names  # doctest: +SKIP
    ('agriculture', 'industry', 'politics')
    """
    local = find_local("russett/Russett.csv", data_home)
    if local:
        table = pd.read_csv(local, index_col=0)
    else:
        fetched = fetch_files(FILES, data_home=data_home, download_if_missing=download_if_missing)
        table = _read_rda(fetched["Russett.rda"])
    return package(
        {name: table[columns].astype(np.float64) for name, columns in _BLOCKS.items()},
        table[_REGIMES].to_numpy(np.float64).argmax(axis=1),
        descr="russett",
        return_X_y=return_X_y,
        as_frame=as_frame,
        index=table.index,
        target_name="regime",
        target_names=_REGIMES,
        countries=table.index.to_numpy(object),
    )


def _read_rda(path: Path) -> pd.DataFrame:
    stored = read_rdata(path)["Russett"]
    columns = {name: stored[name].data for name in stored.names()}
    return pd.DataFrame(columns, index=stored.attributes["row.names"].data)
