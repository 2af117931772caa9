"""Breast cancers of The Cancer Genome Atlas: three molecular layers, one absent in the test set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from skmm.datasets._base import (
    Loaded,
    check_option,
    encode,
    fetch_files,
    find_local,
    package,
    remote_files,
)
from skmm.datasets._rdata import read_rdata

_SUBTYPES = ["Basal", "Her2", "LumA"]
_TABLES = {"train": ("mrna", "mirna", "protein"), "test": ("mrna", "mirna")}
FILES = remote_files(
    "breast_tcga",
    "https://raw.githubusercontent.com/mixOmicsTeam/mixOmics/"
    "d732983ad52fdd7fb2496a7ca8ac1bec501a63ab/data",
    {"breast.TCGA.rda": "0812db063ceee018470b59249a27289e8231909b9ec858c9b3e8fc9ead67af48"},
)


def fetch_breast_tcga(
    *,
    subset: str = "all",
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Loaded:
    """Load breast cancers: three modalities, of which the test samples lack the proteins.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="all"
        The 150 training samples, the 70 test samples, or both in this order.
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
            ``"mrna"`` (n_samples, 200), ``"mirna"`` (n_samples, 184) and ``"protein"``
            (n_samples, 142), which is missing in every test sample.
        target : ndarray or Series of shape (n_samples,)
            The subtype, a position in ``target_names``.
        target_names : list of str
            The three subtypes.
        feature_names : dict of list of str
            Genes, microRNAs and proteins.
        samples : ndarray of shape (n_samples,)
            Names of the samples.
        split : ndarray of shape (n_samples,)
            ``"train"`` or ``"test"`` for each row.
        DESCR : str
            The description of the data set.
    (data, target) : tuple if ``return_X_y=True``

    Raises
    ------
    OSError
        If the file is missing and must not or cannot be downloaded.

    Notes
    -----
    The downloaded file is the original one in R's format. Where a folder ``breast_tcga`` with
    ``train_mrna.csv``, ..., ``test_subtype.csv`` is found, these tables are read instead.

    References
    ----------
    .. [1] A. Singh, C. Shannon, B. Gautier, F. Rohart, M. Vacher, S. Tebbutt, K.-A. Lê Cao (2019).
       DIABLO: an integrative approach for identifying key molecular drivers from multi-omics
       assays. Bioinformatics 35.

    Examples
    --------
    >>> from skmm.datasets import fetch_breast_tcga
    >>> X, y = fetch_breast_tcga(subset="test", return_X_y=True)  # doctest: +SKIP
    >>> X.missing["protein"].all()  # doctest: +SKIP
    np.True_
    """
    check_option("subset", subset, [*_TABLES, "all"])
    splits = list(_TABLES) if subset == "all" else [subset]
    tables = _read_csv(data_home)
    if tables is None:
        fetched = fetch_files(FILES, data_home=data_home, download_if_missing=download_if_missing)
        tables = _read_rda(fetched["breast.TCGA.rda"])
    parts = {
        name: pd.concat([_part(tables, split, name) for split in splits])
        for name in _TABLES["train"]
    }
    samples = parts["mrna"].index
    subtypes = [tables[f"{split}_subtype"]["subtype"] for split in splits]
    return package(
        parts,
        encode(pd.concat(subtypes), _SUBTYPES),
        descr="breast_tcga",
        return_X_y=return_X_y,
        as_frame=as_frame,
        index=samples,
        target_names=_SUBTYPES,
        samples=samples.to_numpy(object),
        split=np.repeat(splits, [len(labels) for labels in subtypes]),
    )


def _part(tables: Mapping[str, pd.DataFrame], split: str, name: str) -> pd.DataFrame:
    """One modality of one split; NaN throughout where it was not measured."""
    if name in _TABLES[split]:
        return tables[f"{split}_{name}"]
    return pd.DataFrame(
        np.nan, index=tables[f"{split}_mrna"].index, columns=tables[f"train_{name}"].columns
    )


def _read_csv(data_home: str | os.PathLike[str] | None) -> dict[str, pd.DataFrame] | None:
    tables = {}
    for split, names in _TABLES.items():
        for name in (*names, "subtype"):
            path = find_local(f"breast_tcga/{split}_{name}.csv", data_home)
            if path is None:
                return None
            index = None if name == "subtype" else 0
            tables[f"{split}_{name}"] = pd.read_csv(path, index_col=index)
    return tables


def _read_rda(path: Path) -> dict[str, pd.DataFrame]:
    stored = read_rdata(path)["breast.TCGA"]
    tables = {}
    for split, names in _TABLES.items():
        part = stored[f"data.{split}"]
        for name in names:
            values, samples, features = part[name].matrix()
            tables[f"{split}_{name}"] = pd.DataFrame(values, samples, features)
        tables[f"{split}_subtype"] = pd.DataFrame({"subtype": part["subtype"].factor()})
    return tables
