"""The tasks of the suites, from data that are bundled, simulated or on the disk.

Each function raises FileNotFoundError if its files are not there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import Bunch

from skmm._modalities import Modalities
from skmm._random import check_random_state
from skmm.benchmark._tasks import Task
from skmm.compose import PerModality
from skmm.datasets import (
    fetch_breast_tcga,
    fetch_cll,
    fetch_fsdd,
    fetch_mfeat,
    fetch_mnist,
    fetch_mvclust,
    fetch_nutrimouse,
    fetch_russett,
    fetch_scgem,
    fetch_snareseq,
    fetch_wikipedia,
    load_digits_halves,
    make_conditional,
)
from skmm.preprocessing import LogMel

Array = np.ndarray


def digits(kind: str, target: str | None = None, n_rows: int | None = None) -> Task:
    """Return a task on the halves of scikit-learn's digits."""
    X, y = _read(load_digits_halves)
    text = (
        "1797 handwritten digits of 8 × 8 pixels, cut down the middle: the left half and the right "
        "half are the two modalities. Labels: the ten digits."
    )
    if n_rows is not None:
        rows = _some(len(X), n_rows)
        X, y = X[rows], y[rows]
        text += f" Only {n_rows} of them, drawn at random, to save time."
    return Task(f"digits {kind}", X, y, kind, target, standardize=False, description=text)


def mfeat(kind: str) -> Task:
    """Return a task on five descriptions of digits."""
    X, y = _read(fetch_mfeat, download_if_missing=False)
    text = (
        "2000 handwritten digits described in five ways: profile correlations, Fourier, "
        "Karhunen-Loève, pixel averages and Zernike moments. Labels: the ten digits."
    )
    if kind == "align":
        text += " Alignment figures are means over the ten pairs of modalities."
    names = ["fac", "fou", "kar", "pix", "zer"]
    return Task(f"mfeat {kind}", X.select(names), y, kind, description=text)


def wikipedia() -> Task:
    """Return retrieval between images and texts."""
    X, y = _read(fetch_wikipedia, download_if_missing=False)
    return Task(
        "Wikipedia align",
        X,
        y,
        "align",
        n_components=7,
        standardize=False,
        description="2866 pairs of an image (128 visual words) and a text (10 topics) from "
        "Wikipedia's featured articles. Labels: ten categories. Random splits of all pairs, not "
        "the published split.",
        metrics=[
            "mean_average_precision",
            "total_correlation",
            "recall_at_10",
            "mean_reciprocal_rank",
            "foscttm",
            "probe_accuracy",
        ],
    )


def mnist(kind: str, target: str | None = None) -> Task:
    """Return a task on the halves of 5000 digits of MNIST."""
    X, y = _read(fetch_mnist, download_if_missing=False)
    rows = _some(len(X), 5000)
    text = (
        "5000 handwritten digits of 28 × 28 pixels, drawn at random from the 70 000 of MNIST and "
        "cut down the middle: the left half and the right half are the two modalities."
    )
    name = f"MNIST halves {kind}"
    return Task(name, X[rows], y[rows], kind, target, standardize=False, description=text)


def nutrimouse(kind: str, target: str | None = None) -> Task:
    """Return a task on the genes and fatty acids of mice."""
    X, y = _read(fetch_nutrimouse, download_if_missing=False)
    text = "40 mice: expression of 120 liver genes, and 21 fatty acids."
    text += " Labels: five diets." if kind == "classify" else ""
    name = f"nutrimouse {kind}"
    # Codes are judged without labels, of which the eight held-out mice lack some.
    labels = y if kind == "classify" else None
    return Task(name, X, labels, kind, target, n_components=3, description=text)


def russett() -> Task:
    """Return the alignment of three blocks about countries."""
    X, _ = _read(fetch_russett, download_if_missing=False)
    text = "47 countries around 1960: agriculture (3 columns), industry (2), politics (6)."
    return Task("Russett align", X, None, "align", n_components=2, description=text)


def snareseq(kind: str, target: str | None = None) -> Task:
    """Return a task on expression and accessibility of cells."""
    X, y = _read(fetch_snareseq, download_if_missing=False)
    text = (
        "1047 cells of four human cell lines: expression (10 principal components) and "
        "accessibility of chromatin (19 topics) of the same cells."
    )
    text += " Labels: the cell lines." if kind == "align" else ""
    name = f"SNARE-seq {kind}"
    return Task(name, X, y, kind, target, n_components=5, description=text)


def scgem(kind: str, target: str | None = None) -> Task:
    """Return a task on expression and methylation of cells."""
    X, y = _read(fetch_scgem, download_if_missing=False)
    text = (
        "177 cells on the way from fibroblasts to stem cells: expression of 34 genes and "
        "methylation (0 or 1) of 27 of the same cells."
    )
    text += " Labels: five stages." if kind == "align" else ""
    name = f"scGEM {kind}"
    return Task(name, X, y, kind, target, n_components=5, description=text)


def spoken_digits() -> Task:
    """Return the alignment of spoken with written digits."""
    clips, digits = _read(fetch_fsdd, download_if_missing=False)
    X, y = _read(fetch_mnist, download_if_missing=False)
    images = np.hstack([X["left"].reshape(-1, 28, 14), X["right"].reshape(-1, 28, 14)])
    sound = LogMel(sampling_rate=8000, n_mels=16, hop_length=256)
    spectra = PerModality(sound).fit_transform(clips)["audio"]
    rows = _same_labels(digits, y)
    image = images[rows].reshape(len(rows), -1)
    pairs = Modalities({"audio": spectra.reshape(len(spectra), -1), "image": image})
    return Task(
        "spoken digits align",
        pairs,
        digits,
        "align",
        standardize=False,
        description="3000 recordings of spoken digits (mel spectrograms), each with an image of "
        "the same digit from MNIST, which have in common only which digit it is.",
        metrics=["mean_average_precision", "total_correlation", "probe_accuracy"],
    )


def breast_tcga(kind: str) -> Task:
    """Return a task on three descriptions of cancers."""
    X, y = _read(fetch_breast_tcga, download_if_missing=False)
    text = (
        "220 breast cancers: 200 genes, 184 microRNAs and 142 proteins, of which 70 cancers lack "
        "the proteins. Labels: three subtypes. Random splits of all, not the published split."
    )
    return Task(f"breast TCGA {kind}", X, y, kind, n_components=5, description=text)


def cll() -> Task:
    """Return the classification of leukaemias by drugs and mutations."""
    X, y = _read(fetch_cll, download_if_missing=False)
    known = ~np.isnan(y)
    values = {"drugs": X["drugs"], "mutations": np.nan_to_num(X["mutations"])}
    X, y = Modalities(values, missing=X.missing, kinds=X.kinds)[known], y[known].astype(int)
    n_without = int(np.sum(X.missing["drugs"].to_numpy()))
    text = (
        f"{len(y)} leukaemias: viability under 62 drugs in 5 doses, which {n_without} of them "
        "lack, and 67 mutations, of which those that were not tested count as absent. Labels: "
        "whether IGHV is mutated."
    )
    return Task("CLL classify", X, y, "classify", description=text)


def many_views(name: str, what: str, kind: str) -> Task:
    """Return a task on a set of multi-view clustering."""
    X, y = _read(fetch_mvclust, name=name, download_if_missing=False)
    dense = {n: v.toarray() if issparse(v) else v for n, v in X.items()}
    return Task(f"{name} {kind}", Modalities(dense), y, kind, description=f"{len(X)} {what}.")


def simulated(name: str) -> Task:
    """Return the transfer of a simulated target whose distribution is known."""
    X = cast(Bunch, make_conditional(name, 2000, random_state=0)).data
    return Task(
        f"{name} transfer",
        X,
        target="y",
        description=f'2000 rows of `make_conditional("{name}")`, whose conditional distribution '
        "is known: the oracle draws from it.",
        oracle=partial(_draw_truth, name),
    )


def _draw_truth(name: str, conditions: Modalities, n_draws: int, random_state: Any) -> Array:
    simulated = cast(Bunch, make_conditional(name, 1, random_state=0))
    draws: Array = simulated.sample_conditional(conditions["X"], n_draws, random_state)
    return draws


def _read(loader: Callable[..., Any], **options: Any) -> tuple[Modalities, Array]:
    X, y = loader(return_X_y=True, **options)
    return X, y


def _some(n_samples: int, n_rows: int) -> Array:
    """Return rows drawn at random, always the same."""
    rows: Array = np.sort(check_random_state(0).permutation(n_samples)[:n_rows])
    return rows


def _same_labels(wanted: Array, labels: Array) -> Array:
    """Return for each label a row that has it, none twice, always the same."""
    rng, rows = check_random_state(0), np.empty(len(wanted), dtype=int)
    for label in np.unique(wanted):
        places = np.flatnonzero(wanted == label)
        rows[places] = rng.permutation(np.flatnonzero(labels == label))[: len(places)]
    return rows
