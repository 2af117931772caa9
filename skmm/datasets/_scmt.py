"""scM&T-seq: gene expression and methylation of mouse embryonic stem cells."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from skmm.datasets._base import Loaded, encode, fetch_files, find_local, package, remote_files
from skmm.datasets._rdata import read_rdata

_ASSAYS = {
    "rna": "RNA expression",
    "met_enhancers": "Met Enhancers",
    "met_cpg_islands": "Met CpG Islands",
    "met_promoters": "Met Promoters",
}
_CULTURES = ["2i", "Serum"]
FILES = remote_files(
    "scmt",
    "https://raw.githubusercontent.com/bioFAM/MOFAdata/5c1e71bdd77188cdac00e8ce974e0a5768972b1f/data",
    {"scMT_data.RData": "7581beade0946e038acaa517a6f4a8159c7db005830fa66adb973aa3eb83b610"},
)


def fetch_scmt(
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Loaded:
    """Load scM&T-seq: expression and three views of methylation of 87 single cells.

    Cells lack whole modalities, and most values of the methylation are missing one by one.

    Parameters
    ----------
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
            ``"rna"``, ``"met_enhancers"``, ``"met_cpg_islands"`` and ``"met_promoters"``, each of
            shape (87, 5000), float32, NaN where a value is missing.
        target : ndarray or Series of shape (87,)
            The medium in which the cell was cultured, a position in ``target_names``.
        target_names : list of str
            The two media.
        feature_names : dict of list of str
            Genes and loci.
        cells : ndarray of shape (87,)
            Names of the cells: their wells.
        DESCR : str
            The description of the data set.
    (data, target) : tuple if ``return_X_y=True``

    Raises
    ------
    OSError
        If the file is missing and must not or cannot be downloaded.

    Notes
    -----
    The downloaded file is the original one in R's format. Where ``scmt/scMT_data.npz`` is found
    (arrays ``RNA_expression``, ``RNA_expression_cells``, ``RNA_expression_features``, ...), it is
    read instead.

    References
    ----------
    .. [1] C. Angermueller et al. (2016). Parallel single-cell sequencing links transcriptional and
       epigenetic heterogeneity. Nature Methods 13.

    Examples
    --------
    >>> from skmm.datasets import fetch_scmt
    >>> X, y = fetch_scmt(return_X_y=True)  # doctest: +SKIP
    >>> X.missing["rna"].sum()  # doctest: +SKIP
    np.int64(6)
    """
    local = find_local("scmt/scMT_data.npz", data_home)
    if local:
        tables = _read_npz(local)
    else:
        fetched = fetch_files(FILES, data_home=data_home, download_if_missing=download_if_missing)
        tables = _read_rdata_file(fetched["scMT_data.RData"])
    cells = pd.Index(sorted(set().union(*(table.index for table in tables.values()))))
    # The two rightmost columns of the plate held cells in the medium 2i, as the original file says.
    cultures = np.where(cells.str[1:].astype(int) >= 11, "2i", "Serum")
    return package(
        {name: table.reindex(cells) for name, table in tables.items()},
        encode(cultures, _CULTURES),
        descr="scmt",
        return_X_y=return_X_y,
        as_frame=as_frame,
        index=cells,
        target_names=_CULTURES,
        cells=cells.to_numpy(object),
    )


def _read_npz(path: Path) -> dict[str, pd.DataFrame]:
    with np.load(path) as stored:
        keys = {name: assay.replace(" ", "_") for name, assay in _ASSAYS.items()}
        return {
            name: pd.DataFrame(stored[key], stored[f"{key}_cells"], stored[f"{key}_features"])
            for name, key in keys.items()
        }


def _read_rdata_file(path: Path) -> dict[str, pd.DataFrame]:
    experiments = read_rdata(path)["scMT_data"].attributes["ExperimentList"]
    tables = {}
    for name, assay in _ASSAYS.items():
        experiment = experiments.attributes["listData"][assay]
        values, features, cells = experiment.attributes["assayData"]["exprs"].matrix()
        tables[name] = pd.DataFrame(values.T.astype(np.float32), cells, features)
    return tables
