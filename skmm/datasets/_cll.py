"""Chronic lymphocytic leukaemia: drug responses and mutations with real missingness."""

from __future__ import annotations

import os

import pandas as pd

from skmm.datasets._base import Loaded, check_option, fetch_files, package, remote_files

_MARKERS = ["IGHV", "trisomy12"]
FILES = remote_files(
    "cll_partial",
    "https://raw.githubusercontent.com/florinwalter/ebi_mofa_workshop/"
    "66c2741d0d4fff03f8821e472be557764e4a0e88/data",
    {
        "cll_drugs.csv": "b095fbd3f7c2498559277656eade227abab525427b409c2b49e3bad0bf8a3ad6",
        "cll_mutations.csv": "d73211814228017fc5824ac307122988b40eb6445a362814c5bbf8490c5e6645",
        "cll_metadata.csv": "0624511e28cfbba15e9713b1a022007ca52adb02e01a8a230366106bbc4617b5",
        "drugs.txt": "2b339fb2844210b38793e36a511f5958fa0328902472512950ae4ebce01c7b2f",
    },
)


def fetch_cll(
    *,
    target: str = "IGHV",
    drop_markers: bool = True,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Loaded:
    """Load chronic lymphocytic leukaemia: drug responses and mutations of 200 patients.

    16 patients have no drug responses, and a third of the mutations are unknown one by one.

    Parameters
    ----------
    target : {"IGHV", "trisomy12"}, default="IGHV"
        The clinical marker that is the target.
    drop_markers : bool, default=True
        Whether both markers are left out of the mutations. If False the target is a column of
        the data.
    data_home : str or path-like, default=None
        The folder of the files, see :func:`get_data_home`.
    download_if_missing : bool, default=True
        Whether files that are found nowhere are downloaded (1 MB). If False they are an error.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Whether ``data`` is a DataFrame with two column levels and ``target`` a Series.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : Modalities or DataFrame
            ``"drugs"`` (200, 310), viability per drug and concentration, missing in 16 rows, and
            ``"mutations"`` (200, 67), 0, 1 or NaN; (200, 69) if ``drop_markers=False``.
        target : ndarray or Series of shape (200,)
            The marker: 0, 1, or NaN where it is unknown.
        target_names : list of str
            What 0 and 1 mean.
        feature_names : dict of list of str
            Drugs with the number of their concentration, and mutations.
        patients : ndarray of shape (200,)
            Names of the patients.
        metadata : DataFrame of 200 rows
            Clinical data of the patients.
        drugs : DataFrame of 91 rows
            Names, targets and pathways of the drugs.
        DESCR : str
            The description of the data set.
    (data, target) : tuple if ``return_X_y=True``

    Raises
    ------
    OSError
        If files are missing and must not or cannot be downloaded.

    References
    ----------
    .. [1] S. Dietrich et al. (2018). Drug-perturbation-based stratification of blood cancer.
       Journal of Clinical Investigation 128.

    Examples
    --------
    >>> from skmm.datasets import fetch_cll
    >>> X, y = fetch_cll(return_X_y=True)  # doctest: +SKIP
    >>> X.missing.sum().to_dict()  # doctest: +SKIP
    {'drugs': 16, 'mutations': 0}
    """
    check_option("target", target, _MARKERS)
    paths = fetch_files(FILES, data_home=data_home, download_if_missing=download_if_missing)
    tables = {
        name: pd.read_csv(paths[f"cll_{name}.csv"], index_col=0).T
        for name in ("drugs", "mutations")
    }
    patients = tables["drugs"].index
    marker = tables["mutations"].loc[patients, target].to_numpy(float)
    mutations = tables["mutations"].loc[patients]
    return package(
        {
            "drugs": tables["drugs"],
            "mutations": mutations.drop(columns=_MARKERS) if drop_markers else mutations,
        },
        marker,
        descr="cll",
        return_X_y=return_X_y,
        as_frame=as_frame,
        kinds={"mutations": "binary"},
        index=patients,
        target_name=target,
        target_names=["unmutated", "mutated"] if target == "IGHV" else ["absent", "present"],
        patients=patients.to_numpy(object),
        metadata=pd.read_csv(paths["cll_metadata.csv"], index_col=0).loc[patients],
        drugs=pd.read_csv(paths["drugs.txt"], index_col=0),
    )
