"""Wikipedia's featured articles: features of images and texts."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
from scipy.io import loadmat

from skmm.datasets._base import Loaded, check_option, fetch_files, package, remote_files

_KEYS = {"image": "I", "text": "T"}
_SPLITS = {"train": "tr", "test": "te"}
FILES = remote_files(
    "wikipedia",
    "https://raw.githubusercontent.com/BMC-SDNU/Cross-Modal-Retrieval/"
    "710256f3e0808835d30305bc878c8d74d796bfa2/Supervised-cross-modal-real-valued/JFSSL/"
    "wikipedia_info",
    {
        "raw_features.mat": "ca628f765a69575e168ab29eb97f5ade12fadf47b31de1328c7ff631c7f225ae",
        "trainset_txt_img_cat.list": (
            "30c1ba8afbe90da5986de9b12496b6dd2e4680d3876b79ab7aae2e437d5819a3"
        ),
        "testset_txt_img_cat.list": (
            "ec3123ee31cc89dd95fbeb23eb73b2ecfd1d8909bba863723471aad99408c1eb"
        ),
        "categories.list": "4929f3ee00e9de9ffe11f9ab18fc8919b0f6182cc801309409df2f2d05e2b0f5",
    },
)


def fetch_wikipedia(
    *,
    subset: str = "all",
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Loaded:
    """Load features of image-text pairs from Wikipedia: two modalities, 2866 pairs, 10 categories.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="all"
        The 2173 training pairs, the 693 test pairs, or both in this order.
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
            ``"image"`` (n_samples, 128), a histogram of visual words, and ``"text"``
            (n_samples, 10), topic probabilities.
        target : ndarray or Series of shape (n_samples,)
            The category, a position in ``target_names``.
        target_names : list of str
            The ten categories.
        feature_names : dict of list of str
            Feature names per modality.
        split : ndarray of shape (n_samples,)
            ``"train"`` or ``"test"`` for each row.
        image_ids, text_ids : ndarray of shape (n_samples,)
            Names of the image and of the text.
        DESCR : str
            The description of the data set.
    (data, target) : tuple if ``return_X_y=True``

    Raises
    ------
    OSError
        If files are missing and must not or cannot be downloaded.

    References
    ----------
    .. [1] N. Rasiwasia, J. Costa Pereira, E. Coviello, G. Doyle, G. Lanckriet, R. Levy,
       N. Vasconcelos (2010). A new approach to cross-modal multimedia retrieval. ACM Multimedia.

    Examples
    --------
    >>> from skmm.datasets import fetch_wikipedia
    >>> X, y = fetch_wikipedia(subset="test", return_X_y=True)  # doctest: +SKIP
    >>> X["image"].shape, X["text"].shape  # doctest: +SKIP
    ((693, 128), (693, 10))
    """
    check_option("subset", subset, [*_SPLITS, "all"])
    paths = fetch_files(FILES, data_home=data_home, download_if_missing=download_if_missing)
    splits = list(_SPLITS) if subset == "all" else [subset]
    stored = loadmat(paths["raw_features.mat"])
    parts = {
        name: np.concatenate([stored[f"{key}_{_SPLITS[split]}"] for split in splits])
        for name, key in _KEYS.items()
    }
    lists = {
        split: pd.read_csv(
            paths[f"{split}set_txt_img_cat.list"],
            sep="\t",
            names=["text", "image", "category"],
            dtype={"text": str, "image": str, "category": np.int64},
        )
        for split in splits
    }
    pairs = pd.concat(lists.values())
    return package(
        parts,
        pairs["category"].to_numpy() - 1,
        descr="wikipedia",
        return_X_y=return_X_y,
        as_frame=as_frame,
        feature_names={
            "image": [f"word{i}" for i in range(128)],
            "text": [f"topic{i}" for i in range(10)],
        },
        target_names=paths["categories.list"].read_text("utf-8").split(),
        split=np.repeat(splits, [len(rows) for rows in lists.values()]),
        image_ids=pairs["image"].to_numpy(object),
        text_ids=pairs["text"].to_numpy(object),
    )
