"""Suites: tasks that are run by name, from data that are bundled, simulated or on the disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
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
from skmm.datasets._base import find_local
from skmm.preprocessing import LogMel

Array = np.ndarray
Read = Callable[[], Any]  # returns Modalities and labels, which may be None


@dataclass(frozen=True)
class Source:
    """How to get a task of a suite.

    Parameters
    ----------
    name : str
        Name of the task.
    summary : str
        A description for the list of suites.
    load : callable
        ``load()`` returns the task, or raises FileNotFoundError if its files are not there.
    files : tuple of str, default=()
        Files within the folder of the data; if they are there, so is the task.
    """

    name: str
    summary: str
    load: Callable[[], Task]
    files: tuple[str, ...] = ()

    def is_there(self) -> bool:
        """Return whether the files are on this machine."""
        if self.files and all(find_local(path, None) is not None for path in self.files):
            return True  # without reading them
        try:  # some come in other forms as well
            self.load()
        except FileNotFoundError:
            return False
        return True


def load_suite(suite: str, patterns: Sequence[str] = ()) -> tuple[list[Task], dict[str, str]]:
    """Return the tasks of a suite whose files are there, and why others are left out.

    Nothing is downloaded. Patterns as of file names choose tasks; none take all.
    """
    tasks, absent = [], {}
    for source in find_sources(suite, patterns):
        try:
            tasks.append(source.load())
        except FileNotFoundError:
            absent[source.name] = (
                "its files are not on this machine. Set the environment variable SKMM_DATA to the "
                "folder of the data, or let the fetchers of skmm.datasets download them."
            )
    return tasks, absent


def find_sources(suite: str, patterns: Sequence[str] = ()) -> list[Source]:
    """Return the sources of a suite that match a pattern, or say which there are."""
    if suite not in SUITES:
        raise ValueError(f"suite={suite!r} is unknown; valid suites are {list(SUITES)}.")
    sources = SUITES[suite]
    for pattern in patterns:
        if not any(matches(source.name, pattern) for source in sources):
            raise ValueError(
                f"No task of the suite {suite!r} matches {pattern!r}; its tasks are "
                f"{[source.name for source in sources]}."
            )
    return [s for s in sources if not patterns or any(matches(s.name, p) for p in patterns)]


def matches(name: str, pattern: str) -> bool:
    """Return whether a name matches a pattern such as ``digits*``, in either case."""
    return fnmatch(name.lower(), pattern.lower())


def _sources(
    name: str,
    summary: str,
    read: Read,
    about: str,
    *kinds: str,
    files: Sequence[str] = (),
    **more: Any,
) -> list[Source]:
    """Return a source for each kind of task on the same data; `more` are options of the task.

    `about` may contain ``{n}``, the number of samples. The sentence `labels` is added to it where
    labels are used.
    """
    load = partial(_load, name=name, read=read, about=about, **more)
    return [Source(f"{name} {k}", summary, partial(load, k), tuple(files)) for k in kinds]


def _load(
    kind: str,
    *,
    name: str,
    read: Read,
    about: str,
    labels: str = "",
    target: Any = None,
    **more: Any,
) -> Task:
    X, y = read()
    about = about.format(n=len(X)) + (
        f" Labels: {labels}." if labels and kind != "transfer" else ""
    )
    target = target if kind == "transfer" else None
    return Task(f"{name} {kind}", X, y, kind, target, description=about, **more)


def _fetched(fetch: Callable[..., Any], **options: Any) -> Read:
    return partial(fetch, return_X_y=True, download_if_missing=False, **options)


def _without_labels(fetch: Callable[..., Any]) -> tuple[Modalities, None]:
    return _fetched(fetch)()[0], None


def _some(read: Read, n_rows: int) -> tuple[Modalities, Array | None]:
    """Return rows drawn at random, always the same."""
    X, y = read()
    rows = np.sort(check_random_state(0).permutation(len(X))[:n_rows])
    return X[rows], None if y is None else y[rows]


def _mfeat() -> tuple[Modalities, Array | None]:
    X, y = _fetched(fetch_mfeat)()
    return X.select(["fac", "fou", "kar", "pix", "zer"]), y


def _spoken_digits() -> tuple[Modalities, Array]:
    """Return recordings of digits, each with an image of the same digit."""
    (clips, digits), (X, y) = _fetched(fetch_fsdd)(), _fetched(fetch_mnist)()
    images = np.hstack([X["left"].reshape(-1, 28, 14), X["right"].reshape(-1, 28, 14)])
    sound = LogMel(sampling_rate=8000, n_mels=16, hop_length=256)
    spectra = PerModality(sound).fit_transform(clips)["audio"]
    rows = _same_labels(digits, y)
    image = images[rows].reshape(len(rows), -1)
    return Modalities({"audio": spectra.reshape(len(spectra), -1), "image": image}), digits


def _same_labels(wanted: Array, labels: Array) -> Array:
    """Return for each label a row that has it, none twice, always the same."""
    rng, rows = check_random_state(0), np.empty(len(wanted), dtype=int)
    for label in np.unique(wanted):
        places = np.flatnonzero(wanted == label)
        rows[places] = rng.permutation(np.flatnonzero(labels == label))[: len(places)]
    return rows


def _cll() -> tuple[Modalities, Array]:
    """Return the leukaemias whose IGHV is known, with untested mutations as absent ones."""
    X, y = _fetched(fetch_cll)()
    known = ~np.isnan(y)
    values = {"drugs": X["drugs"], "mutations": np.nan_to_num(X["mutations"])}
    return Modalities(values, missing=X.missing, kinds=X.kinds)[known], y[known].astype(int)


def _dense(name: str) -> tuple[Modalities, Array | None]:
    X: Modalities
    X, y = _fetched(fetch_mvclust, name=name)()
    return Modalities({n: v.toarray() if issparse(v) else v for n, v in X.items()}), y


def _simulated(name: str) -> Task:
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


def _of_views(name: str, what: str, *kinds: str) -> list[Source]:
    files = (f"mvclust/{name}.mat",)
    return _sources(name, what, partial(_dense, name), f"{{n}} {what}.", *kinds, files=files)


def _nutrimouse(read: Read, *kinds: str, **more: Any) -> list[Source]:
    # Codes are judged without labels: the eight held-out mice lack some diets.
    about = "40 mice: expression of 120 liver genes, and 21 fatty acids."
    more |= {"target": "lipid", "n_components": 3, "files": ["nutrimouse/gene.csv"]}
    return _sources("nutrimouse", "genes and fatty acids of 40 mice", read, about, *kinds, **more)


_read_digits: Read = partial(load_digits_halves, return_X_y=True)
_digits = partial(_sources, "digits", "two halves of digits")
_OF_DIGITS: dict[str, Any] = {"labels": "the ten digits", "target": "right", "standardize": False}
_HALVES = (
    "1797 handwritten digits of 8 × 8 pixels, cut down the middle: the left half and the right "
    "half are the two modalities."
)
_FEWER = f"{_HALVES} Only {{n}} of them, drawn at random, to save time."
_CLASSIFY = _digits(_read_digits, _HALVES, "classify", **_OF_DIGITS)
SUITES: dict[str, tuple[Source, ...]] = {
    "quick": (
        # Fewer rows save half of the time where networks take most of it.
        *_digits(
            partial(_some, _read_digits, 1000), _FEWER, "align", "fuse", "transfer", **_OF_DIGITS
        ),
        *_CLASSIFY,
    ),
    "full": (
        *_digits(_read_digits, _HALVES, "align", "fuse", "transfer", **_OF_DIGITS),
        *_CLASSIFY,
        *_sources(
            "mfeat",
            "five descriptions of handwritten digits",
            _mfeat,
            "2000 handwritten digits described in five ways: profile correlations, Fourier, "
            "Karhunen-Loève, pixel averages and Zernike moments. Alignment is the mean over the "
            "ten pairs of modalities.",
            *("align", "fuse", "classify"),
            labels="the ten digits",
            files=["mfeat/mfeat-fac.csv"],
        ),
        *_sources(
            "Wikipedia",
            "images and texts",
            _fetched(fetch_wikipedia),
            "2866 pairs of an image (128 visual words) and a text (10 topics) from Wikipedia's "
            "featured articles. Random splits of all pairs, not the published split.",
            "align",
            labels="ten categories",
            files=["wikipedia/raw_features.mat"],
            n_components=7,
            standardize=False,
            metrics=[
                "mean_average_precision",
                "total_correlation",
                "recall_at_10",
                "mean_reciprocal_rank",
                "foscttm",
                "probe_accuracy",
            ],
        ),
        *_sources(
            "MNIST halves",
            "two halves of 5000 larger digits",
            partial(_some, _fetched(fetch_mnist), 5000),
            "5000 handwritten digits of 28 × 28 pixels, drawn at random from the 70 000 of MNIST "
            "and cut down the middle: the left half and the right half are the two modalities.",
            *("align", "transfer"),
            target="right",
            files=["mnist/train-images-idx3-ubyte.gz"],
            standardize=False,
        ),
        *_sources(
            "spoken digits",
            "spoken and written digits",
            _spoken_digits,
            "3000 recordings of spoken digits (mel spectrograms), each with an image of the same "
            "digit from MNIST, which have in common only which digit it is.",
            "align",
            files=["fsdd/fsdd_recordings.tar.gz", "mnist/train-images-idx3-ubyte.gz"],
            standardize=False,
            metrics=["mean_average_precision", "total_correlation", "probe_accuracy"],
        ),
        *_nutrimouse(partial(_without_labels, fetch_nutrimouse), "align", "transfer"),
        *_nutrimouse(_fetched(fetch_nutrimouse), "classify", labels="five diets"),
        *_sources(
            "Russett",
            "three blocks about 47 countries",
            partial(_without_labels, fetch_russett),
            "47 countries around 1960: agriculture (3 columns), industry (2), politics (6).",
            "align",
            files=["russett/Russett.csv"],
            n_components=2,
        ),
        *_sources(
            "SNARE-seq",
            "expression and accessibility of 1047 cells",
            _fetched(fetch_snareseq),
            "1047 cells of four human cell lines: expression (10 principal components) and "
            "accessibility of chromatin (19 topics) of the same cells.",
            *("align", "transfer"),
            labels="the cell lines",
            target="rna",
            n_components=5,
        ),
        *_sources(
            "scGEM",
            "expression and methylation of 177 cells",
            _fetched(fetch_scgem),
            "177 cells on the way from fibroblasts to stem cells: expression of 34 genes and "
            "methylation (0 or 1) of 27 of the same cells.",
            *("align", "transfer"),
            labels="five stages",
            target="expression",
            n_components=5,
        ),
        *_sources(
            "breast TCGA",
            "genes, microRNAs and proteins of 220 cancers",
            _fetched(fetch_breast_tcga),
            "220 breast cancers: 200 genes, 184 microRNAs and 142 proteins, which 70 cancers lack. "
            "Random splits of all, not the published split.",
            *("fuse", "classify"),
            labels="three subtypes",
            n_components=5,
            files=["breast_tcga/train_protein.csv"],
        ),
        *_sources(
            "CLL",
            "drugs and mutations of leukaemias",
            _cll,
            "{n} leukaemias: viability under 62 drugs in 5 doses, which some lack, and 67 "
            "mutations, of which those that were not tested count as absent.",
            "classify",
            labels="whether IGHV is mutated",
            files=["cll_partial/cll_drugs.csv"],
        ),
        *_of_views("100Leaves", "leaves of 100 species in three ways", "fuse", "classify"),
        *_of_views("MSRCV1", "images of 7 kinds of objects in six ways", "fuse", "classify"),
        *_of_views("ORL", "images of the faces of 40 people in four ways", "classify"),
        *_of_views("Scene-15", "images of 15 kinds of scenes in three ways", "classify"),
        *_of_views("LandUse-21", "aerial images of 21 uses of land in three ways", "classify"),
        *_of_views("BBCSport", "articles about five sports in two segments", "classify"),
        *(
            Source(f"{name} transfer", "simulated, the truth is known", partial(_simulated, name))
            for name in ("circle", "branches", "heteroscedastic", "correlated")
        ),
    ),
}
