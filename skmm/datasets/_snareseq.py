"""SNARE-seq: gene expression and chromatin accessibility of single cells."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from skmm.datasets._base import Loaded, encode, fetch_files, package, remote_files

_TYPES = ["BJ", "GM", "H1", "K562"]
FILES = remote_files(
    "singlecell/snareseq",
    "https://raw.githubusercontent.com/rsinghlab/SCOT/14649be6e14017dcfe7ba619091b33d1df55f6a9/"
    "data/SNARE",
    {
        "SNAREseq_rna_feat.npy": "a8a2c2bbfc036dea5b350d01dd2180b93bb3b1c0008bed49493080348da96a9b",
        "SNAREseq_atac_feat.npy": (
            "80d685b6517c100a7fd612846ad38209b64ed9caf095d1630af5a1d7797bd79c"
        ),
        "SNAREseq_metadata.txt": "4bfd15c9205ff47e4d37bb0f9d7a9efbe9131b6f660a80f8ad22fccb61c87562",
    },
)


def fetch_snareseq(
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Loaded:
    """Load SNARE-seq: expression and accessibility, measured together in 1047 cells.

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
            ``"rna"`` (1047, 10), principal components of gene expression, and ``"atac"``
            (1047, 19), topics of accessible chromatin.
        target : ndarray or Series of shape (1047,)
            The cell line, a position in ``target_names``.
        target_names : list of str
            The four cell lines.
        feature_names : dict of list of str
            Feature names per modality.
        cells : ndarray of shape (1047,)
            Barcodes.
        DESCR : str
            The description of the data set.
    (data, target) : tuple if ``return_X_y=True``

    Raises
    ------
    OSError
        If files are missing and must not or cannot be downloaded.

    References
    ----------
    .. [1] S. Chen, B. Lake, K. Zhang (2019). High-throughput sequencing of the transcriptome and
       chromatin accessibility in the same cell. Nature Biotechnology 37.

    Examples
    --------
    >>> from skmm.datasets import fetch_snareseq
    >>> X, y = fetch_snareseq(return_X_y=True)  # doctest: +SKIP
    >>> X["rna"].shape, X["atac"].shape  # doctest: +SKIP
    ((1047, 10), (1047, 19))
    """
    paths = fetch_files(FILES, data_home=data_home, download_if_missing=download_if_missing)
    cells = pd.read_csv(paths["SNAREseq_metadata.txt"], sep="\t")
    return package(
        {name: np.load(paths[f"SNAREseq_{name}_feat.npy"]) for name in ("rna", "atac")},
        encode(cells["CellType"], _TYPES),
        descr="snareseq",
        return_X_y=return_X_y,
        as_frame=as_frame,
        feature_names={
            "rna": [f"component{i}" for i in range(10)],
            "atac": [f"topic{i}" for i in range(19)],
        },
        index=cells["Barcode"],
        target_names=_TYPES,
        cells=cells["Barcode"].to_numpy(object),
    )
