"""The development data of `never_worse.py`: named sets for each task, and their splits.

Rows are those that have all modalities, so that whatever is hidden is known, and all values are
numbers. Test rows are a quarter of the rows, at most 500. Long sets are cut to 2600 rows drawn at
random, always the same, halves of MNIST are averaged over squares of 2 × 2 pixels, and of MSRCV1
the four narrow descriptions are used. Three sets of each task are kept aside: they are looked at
once, at the end of a development.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes, make_friedman1, make_regression
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from skmm import Modalities
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
SIZES = (30, 60, 120, 300, 1000)
GAPS = (0.0, 0.3)
MOST_ROWS, MOST_TESTED = 2600, 500
FEWEST_OF_A_CLASS = 3  # training rows in the mean
MORE = 1.2  # all rows are a size of their own if they are so many times the next smaller one
CORRELATIONS = np.linspace(0.95, 0.55, 10)


@dataclass(frozen=True)
class Case:
    """Complete data, and what is asked about them.

    Parameters
    ----------
    X : Modalities
        The modalities.
    y : ndarray, default=None
        Numbers of classes, or numbers, which predictors learn.
    target : str, default=None
        The modality that samplers learn.
    """

    X: Modalities
    y: Any = None
    target: Any = None

    def __getitem__(self, rows: Array) -> Case:
        return replace(self, X=self.X[rows], y=None if self.y is None else self.y[rows])

    @property
    def inputs(self) -> list[str]:
        """Names of the modalities that may be missing."""
        return [name for name in self.X.names if name != self.target]

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 where no classes are asked for."""
        return 0 if self.y is None or self.y.dtype.kind != "i" else int(self.y.max()) + 1


@dataclass(frozen=True)
class Split:
    """Training and test rows as methods see them, and the test rows without gaps.

    Parameters
    ----------
    train, test : Case
        With gaps, if there are any.
    truth : Modalities
        The test rows without gaps.
    seed : int
        Number of the split.
    """

    train: Case
    test: Case
    truth: Modalities
    seed: int

    @property
    def gappy(self) -> bool:
        """Whether modalities are missing."""
        return bool(self.test.X.missing.to_numpy().any())


def n_tested(case: Case) -> int:
    """Return the number of test rows."""
    return min(len(case.X) // 4, MOST_TESTED)


def sizes(case: Case) -> list[int]:
    """Return the numbers of training rows that the data allow; the last are all."""
    most = len(case.X) - n_tested(case)
    least = FEWEST_OF_A_CLASS * case.n_classes
    found = [size for size in SIZES if least <= size <= most]
    return found + [most] * (not found or most >= MORE * found[-1])


def shares(case: Case) -> tuple[float, ...]:
    """Return the shares of missing blocks; none where a row would lose all that it has."""
    return GAPS if len(case.inputs) > 1 else GAPS[:1]


def split_of(case: Case, n: int, gaps: float, seed: int) -> Split:
    """Return so many training rows, the test rows, and gaps in both."""
    splitter = StratifiedShuffleSplit if case.n_classes else ShuffleSplit
    options = {"train_size": n, "test_size": n_tested(case), "random_state": seed}
    ((train, test),) = splitter(1, **options).split(np.empty(len(case.X)), case.y)
    holes = with_gaps(case, gaps, seed) if gaps else case
    return Split(holes[train], holes[test], case.X[test], seed)


def with_gaps(case: Case, gaps: float, seed: int) -> Case:
    """Hide a share of the inputs' blocks."""
    missing = case.X.select(case.inputs).with_gaps(gaps, random_state=seed).missing
    masks = missing.reindex(columns=list(case.X.names), fill_value=False)
    return replace(case, X=Modalities(dict(case.X.items()), missing=masks.to_numpy()))


def numbers(X: Modalities, names: list[str] | None = None) -> tuple[Modalities, Array]:
    """Return modalities as numbers of the rows that have all of them, and which rows these are."""
    names = list(names or X.names)
    rows = np.flatnonzero(~X.missing[names].to_numpy().any(axis=1))
    parts = {name: np.nan_to_num(np.asarray(X[name][rows], dtype=float)) for name in names}
    return Modalities(parts), rows


def some(X: Modalities, y: Array | None = None, target: str | None = None) -> Case:
    """Return at most so many rows, always the same, with classes numbered from 0."""
    if y is not None and y.dtype.kind != "f":
        y = np.unique(y, return_inverse=True)[1].astype(int)
    rows = np.sort(np.random.default_rng(0).permutation(len(X))[:MOST_ROWS])
    return Case(X, y, target)[rows]


def real(
    fetch: Callable[..., Any],
    names: list[str] | None = None,
    target: str | None = None,
    **options: str,
) -> Case:
    """Return modalities without labels."""
    return some(numbers(fetch(**options).data, names)[0], target=target)


def labelled(fetch: Callable[..., Any], names: list[str] | None = None, **options: str) -> Case:
    """Return modalities and classes; rows without a class are left out."""
    bunch = fetch(**options)
    X, rows = numbers(bunch.data, names)
    y = np.asarray(bunch.target)[rows]
    known = ~np.isnan(y) if y.dtype.kind == "f" else np.ones(len(y), dtype=bool)
    return some(X[known], y[known].astype(int))


def predicted(read: Callable[[], Case], name: str, columns: slice = slice(None)) -> Case:
    """Return a case that asks for columns of one modality given the others."""
    case = read()
    X = case.X.select([other for other in case.X.names if other != name])
    return replace(case, X=X, y=np.asarray(case.X[name])[:, columns], target=None)


def drug() -> Case:
    """Return the mean response to the first drug, given the other drugs and the mutations."""
    X = real(fetch_cll).X
    drugs = np.asarray(X["drugs"])
    others = {"drugs": drugs[:, 5:], "mutations": X["mutations"]}
    return Case(Modalities(others), drugs[:, :5].mean(axis=1))


def diabetes() -> Case:
    """Return the progress of a disease, given persons and their serum."""
    X, y = load_diabetes(return_X_y=True)
    return Case(Modalities({"person": X[:, :4], "serum": X[:, 4:]}), y)


def friedman() -> Case:
    """Return Friedman's first function, whose columns are dealt to two modalities in turn."""
    X, y = make_friedman1(2000, 10, noise=1.0, random_state=0)
    return Case(Modalities({"even": X[:, ::2], "odd": X[:, 1::2]}), y)


def linear() -> Case:
    """Return a linear function of 10 of 100 columns, half of whose variance is noise."""
    X, y = make_regression(2000, 100, n_informative=10, random_state=0)
    y = y / y.std() + np.random.default_rng(0).standard_normal(len(y))
    return Case(Modalities({"a": X[:, :50], "b": X[:, 50:]}), y)


def simulated(name: str) -> Case:
    """Return a conditional distribution that is known."""
    return Case(make_conditional(name, 2000, random_state=0).data, target="y")


def gaussian() -> Case:
    """Return 100 + 100 columns of normal data with ten canonical correlations."""
    rng = np.random.default_rng(0)
    z, parts = rng.standard_normal((2000, 10)), {}
    for name in ("a", "b"):
        noise = rng.standard_normal((2000, 100))
        noise[:, :10] = np.sqrt(CORRELATIONS) * z + np.sqrt(1 - CORRELATIONS) * noise[:, :10]
        parts[name] = noise @ rng.standard_normal((100, 100))
    return Case(Modalities(parts))


def mnist_halves(target: str | None = None) -> Case:
    """Return halves of digits, averaged over squares of 2 × 2 pixels."""
    rows = np.random.default_rng(0).permutation(70_000)[:MOST_ROWS]
    X = fetch_mnist().data[rows]
    return Case(Modalities({name: averaged(value, 14) for name, value in X.items()}), None, target)


def averaged(images: Array, width: int) -> Array:
    """Return images (n, height · width) at half the resolution."""
    values = np.asarray(images, dtype=float).reshape(len(images), -1, 2, width // 2, 2)
    return values.mean(axis=(2, 4)).reshape(len(images), -1)


def spoken_digits() -> Case:
    """Return mel spectrograms of digits in time slices, and a written image of the same digit."""
    clips = fetch_fsdd()
    rows = np.sort(np.random.default_rng(0).permutation(len(clips.data))[:MOST_ROWS])
    sound = LogMel(sampling_rate=8000, n_mels=16, hop_length=1024)
    spectra = sound.fit_transform(clips.data["audio"][rows])
    digits = np.asarray(clips.target)[rows].astype(int)
    written, labels = fetch_mnist(return_X_y=True)
    images = written["left"][same_labels(digits, np.asarray(labels).astype(int))]
    parts = {"audio": spectra.reshape(len(rows), -1), "image": averaged(images, 14)}
    return Case(Modalities(parts), digits)


def same_labels(wanted: Array, labels: Array) -> Array:
    """Return for each label a row that has it, none twice."""
    rng, rows = np.random.default_rng(0), np.empty(len(wanted), dtype=int)
    for label in np.unique(wanted):
        places = np.flatnonzero(wanted == label)
        rows[places] = rng.permutation(np.flatnonzero(labels == label))[: len(places)]
    return rows


FIVE = ["fac", "fou", "kar", "pix", "zer"]
FOUR = ["fou", "kar", "zer", "mor"]
MSRC = ["cm", "gist", "hog", "lbp"]
DATA: dict[str, dict[str, Callable[[], Case]]] = {
    "classify": {
        "mfeat": partial(labelled, fetch_mfeat, FIVE),
        "digits halves": partial(labelled, load_digits_halves),
        "breast_tcga": partial(labelled, fetch_breast_tcga),
        "nutrimouse": partial(labelled, fetch_nutrimouse),
        "cll": partial(labelled, fetch_cll),
        "100Leaves": partial(labelled, fetch_mvclust),
        "MSRCV1": partial(labelled, fetch_mvclust, MSRC, name="MSRCV1"),
        "Scene-15": partial(labelled, fetch_mvclust, name="Scene-15"),
        "spoken digits": spoken_digits,
        "snareseq": partial(labelled, fetch_snareseq),
    },
    "regress": {
        "diabetes": diabetes,
        "mfeat mor": partial(predicted, partial(real, fetch_mfeat, FOUR), "mor"),
        "breast_tcga": partial(predicted, partial(real, fetch_breast_tcga), "protein", slice(10)),
        "cll drug": drug,
        "nutrimouse": partial(predicted, partial(real, fetch_nutrimouse), "lipid"),
        "friedman": friedman,
        "linear": linear,
        "scgem": partial(predicted, partial(real, fetch_scgem), "methylation"),
        "russett": partial(predicted, partial(real, fetch_russett), "politics"),
        "wikipedia": partial(predicted, partial(real, fetch_wikipedia), "text"),
    },
    "transfer": {
        "digits halves": partial(real, load_digits_halves, target="right"),
        "mfeat kar": partial(real, fetch_mfeat, ["fou", "zer", "kar"], "kar"),
        "breast_tcga": partial(real, fetch_breast_tcga, target="protein"),
        "nutrimouse": partial(real, fetch_nutrimouse, target="lipid"),
        "snareseq": partial(real, fetch_snareseq, target="rna"),
        "scgem": partial(real, fetch_scgem, target="expression"),
        "heteroscedastic": partial(simulated, "heteroscedastic"),
        "MNIST halves": partial(mnist_halves, "right"),
        "russett": partial(real, fetch_russett, target="politics"),
        "wikipedia": partial(real, fetch_wikipedia, target="text"),
    },
    "translate": {
        "mfeat": partial(real, fetch_mfeat, FIVE),
        "digits halves": partial(real, load_digits_halves),
        "breast_tcga": partial(real, fetch_breast_tcga),
        "nutrimouse": partial(real, fetch_nutrimouse),
        "cll": partial(real, fetch_cll),
        "snareseq": partial(real, fetch_snareseq),
        "scgem": partial(real, fetch_scgem),
        "MSRCV1": partial(real, fetch_mvclust, MSRC, name="MSRCV1"),
        "MNIST halves": mnist_halves,
        "russett": partial(real, fetch_russett),
    },
    "align": {
        "digits halves": partial(real, load_digits_halves),
        "mfeat fou/kar": partial(real, fetch_mfeat, ["fou", "kar"]),
        "mfeat fac/pix": partial(real, fetch_mfeat, ["fac", "pix"]),
        "nutrimouse": partial(real, fetch_nutrimouse),
        "snareseq": partial(real, fetch_snareseq),
        "wikipedia": partial(real, fetch_wikipedia),
        "gaussian": gaussian,
        "MNIST halves": mnist_halves,
        "scgem": partial(real, fetch_scgem),
        "breast_tcga": partial(real, fetch_breast_tcga, ["mrna", "mirna"]),
    },
}  # fmt: skip
ASIDE = {
    "classify": ("Scene-15", "spoken digits", "snareseq"),
    "regress": ("scgem", "russett", "wikipedia"),
    "transfer": ("MNIST halves", "russett", "wikipedia"),
    "translate": ("MSRCV1", "MNIST halves", "russett"),
    "align": ("MNIST halves", "scgem", "breast_tcga"),
}


@cache
def load(task: str, name: str) -> Case:
    """Return the data of a task by name."""
    return DATA[task][name]()


def names_of(task: str, *, aside: bool, wanted: list[str] | None = None) -> Iterator[str]:
    """Yield the names of the sets of a task: those kept aside, or the others."""
    for name in DATA[task]:
        if (name in ASIDE[task]) == aside and (not wanted or name in wanted):
            yield name
