"""Figures of MultimodalClassifier and MultimodalRegressor on real data.

tcga: breast cancers on their own split; the proteins are absent in the test samples. Balanced error
of MultimodalClassifier as it comes and with what five folds of the training samples, proteins
hidden in their held-out part, find best; beside logistic regression and the published .068 of
DIABLO.

mfeat: six modalities of handwritten digits, rows shuffled, 5 × 5 folds: accuracy, and paired
differences to pipelines of scikit-learn.

digits: spoken digits beside noisy images of the same digits, one speaker left out at a time: each
modality alone, both, and both where every row lacks one of them.

multitask: digit and speaker from one model of two targets, or from two models.

The intervals of differences are those of Nadeau and Bengio (2003) for overlapping training sets.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, StackingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import ParameterGrid, RepeatedStratifiedKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skmm import Modalities, MultimodalClassifier
from skmm.benchmark import corrected_interval
from skmm.compose import ConcatModalities, GaussianImputer, PerModality, SelectModality
from skmm.datasets import fetch_breast_tcga, fetch_fsdd, fetch_mfeat, fetch_mnist
from skmm.nn import Conv
from skmm.preprocessing import LogMel

Array = np.ndarray
Rows = tuple[Any, Array, Any, Array]  # training X and y, test X and y
NOISE = 0.5  # standard deviation, of pixels in [0, 1]
HEAD = (64,)  # a hidden layer more than the default
GRID = {"dropout": [0.0, 0.5], "fusion": ["concat", "late"], "head_layer_sizes": [(64,), ()]}


def logistic(C: float = 0.01) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=2000))


class Vote(ClassifierMixin, BaseEstimator):
    """A pipeline for each modality, fitted on the rows that have it; probabilities are averaged."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Modalities, y: Array) -> Self:
        self.classes_ = np.unique(y)
        self.models_ = {n: self._fit(X, n, y) for n in X.names}
        return self

    def predict(self, X: Modalities) -> Array:
        total = np.zeros((len(X), len(self.classes_)))
        for name, model in self.models_.items():
            rows = ~X.missing[name].to_numpy()
            total[rows] += model.predict_proba(flat(X, name)[rows])
        return self.classes_[total.argmax(axis=1)]

    def _fit(self, X: Modalities, name: str, y: Array) -> Any:
        rows = ~X.missing[name].to_numpy()
        return clone(self.estimator).fit(flat(X, name)[rows], y[rows])


def flat(X: Modalities, name: str) -> Array:
    return np.asarray(X[name]).reshape(len(X), -1)


def tcga(seeds: list[int]) -> None:
    X, y = fetch_breast_tcga(subset="train", return_X_y=True)
    X_test, y_test = fetch_breast_tcga(subset="test", return_X_y=True)
    for names in (["mrna"], ["mirna"], ["mrna", "mirna"]):
        early = make_pipeline(ConcatModalities(), logistic()).fit(X.select(names), y)
        error = balanced_error(y_test, early.predict(X_test.select(names)))
        print(f"tcga logistic regression (C=.01) on {'+'.join(names)}: {error:.3f}", flush=True)
    best, table = search_tcga(X, y)
    for params, found in sorted(table, key=lambda row: row[1]):
        print(f"tcga five folds of the training samples {params}: {found:.3f}")
    for name, params in (("as it comes", {}), (f"chosen {best}", best)):
        errors = []
        for seed in seeds:
            model = MultimodalClassifier(**params, random_state=seed).fit(X, y)
            errors.append(balanced_error(y_test, model.predict(X_test)))
        spread = np.std(errors, ddof=1) / np.sqrt(len(errors))
        each = " ".join(f"{e:.3f}" for e in errors)
        print(f"tcga {name}: {np.mean(errors):.3f} ± {spread:.3f} (seeds {each})", flush=True)


def search_tcga(X: Modalities, y: Array) -> tuple[dict[str, Any], list[tuple[Any, float]]]:
    """Return the parameters of the lowest balanced error without proteins, and the table."""
    table = []
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(np.empty(len(X)), y))
    for params in ParameterGrid(GRID):
        found = np.empty_like(y)
        for seed, (train, test) in enumerate(folds):
            model = MultimodalClassifier(**params, random_state=seed).fit(X[train], y[train])
            found[test] = model.predict(X[test].select(["mrna", "mirna"]))
        table.append((params, balanced_error(y, found)))
    return min(table, key=lambda row: row[1])[0], table


def balanced_error(true: Array, found: Array) -> float:
    return 1 - float(balanced_accuracy_score(true, found))


def mfeat(seeds: list[int]) -> None:
    X, y = fetch_mfeat(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    X, y = X[order], np.asarray(y)[order]
    early = {
        "logistic regression, C = .01": logistic(),
        "logistic regression, C = 1": logistic(1.0),
        "SVC(RBF)": make_pipeline(StandardScaler(), SVC(C=10)),
    }
    methods: dict[str, Any] = {n: make_pipeline(ConcatModalities(), m) for n, m in early.items()}
    each = [(n, make_pipeline(SelectModality(n), StandardScaler(), SVC(C=10))) for n in X.names]
    methods["stacked SVC(RBF) of each modality"] = StackingClassifier(
        each, logistic(1.0), cv=3, stack_method="decision_function"
    )
    methods["boosting"] = make_pipeline(
        ConcatModalities(),
        StandardScaler(),
        PCA(50),
        HistGradientBoostingClassifier(random_state=0),
    )
    splits = RepeatedStratifiedKFold(n_splits=5, n_repeats=len(seeds), random_state=0)
    rows = [(X[i], y[i], X[j], y[j]) for i, j in splits.split(np.empty(len(X)), y)]
    compare(
        "mfeat",
        {"MultimodalClassifier": MultimodalClassifier(head_layer_sizes=HEAD), **methods},
        rows,
    )


def digits(seeds: list[int]) -> None:
    """Leave each speaker out in turn, with all modalities and with one of two in every row."""
    recordings = spoken()
    folds = [pair(*recordings, out, seeds[0]) for out in np.unique(recordings[2])]
    found = compare("digits, both", {"ours": network("audio", "image"), **complete()}, folds)
    for name in ("image", "audio"):
        alone = [(A.select([name]), a, B.select([name]), b) for A, a, B, b in folds]
        found |= compare("digits", {f"ours, {name} alone": network(name)}, alone)
        gap = difference("ours", f"ours, {name} alone", found, folds)
        print(f"digits, both beside the {name} alone: {gap}", flush=True)
    rng = np.random.default_rng(seeds[0])
    methods = {"ours": network("audio", "image"), **incomplete()}
    folds = [(A, a, lacking(B, rng), b) for A, a, B, b in folds]
    compare("digits, half missing in test", methods, folds)
    folds = [(lacking(A, rng), a, B, b) for A, a, B, b in folds]
    compare("digits, half missing in training and test", methods, folds)


def spoken() -> tuple[Array, Array, Array]:
    """Return spectrograms of 24 bands and 16 frames, digits and speakers."""
    bunch = fetch_fsdd()
    spectra = LogMel(
        sampling_rate=bunch.sample_rate, n_mels=24, n_fft=512, hop_length=512, n_frames=16
    )
    audio = spectra.fit_transform(bunch.data["audio"])
    return audio, np.asarray(bunch.target), bunch.speakers


def pair(audio: Array, y: Array, speakers: Array, out: str, seed: int) -> Rows:
    """Return recordings beside images of their digits: of MNIST's test set where `out` speaks."""
    rng = np.random.default_rng(seed)
    parts: list[Any] = []
    for rows, subset in ((speakers != out, "train"), (speakers == out, "test")):
        image = drawn(y[rows], subset, rng)
        X = Modalities({"audio": audio[rows], "image": image})
        parts += [X, y[rows]]
    return tuple(parts)


def drawn(y: Array, subset: str, rng: np.random.Generator) -> Array:
    """Return an image for each digit, none twice: noise on pixels, then means of 2 × 2 pixels."""
    bunch = fetch_mnist("labels", subset=subset, as_images=True)
    labels = np.asarray(bunch.target)
    rows = np.empty(len(y), dtype=int)
    for digit in np.unique(y):
        here = y == digit
        rows[here] = rng.choice(np.flatnonzero(labels == digit), here.sum(), replace=False)
    image = np.asarray(bunch.data["image"])[rows]
    image = image + NOISE * rng.standard_normal(image.shape, dtype=np.float32)
    return image.reshape(-1, 1, 14, 2, 14, 2).mean(axis=(3, 5))


def lacking(X: Modalities, rng: np.random.Generator) -> Modalities:
    """Return a copy in which every row has one of its two modalities."""
    first = rng.random(len(X)) < 0.5
    return X.with_missing(X.names[0], first).with_missing(X.names[1], ~first)


def network(*names: str) -> MultimodalClassifier:
    return MultimodalClassifier(
        encoders={name: Conv((8, 16)) for name in names},
        head_layer_sizes=HEAD,
        lr=5e-3,
        max_epochs=15,
    )


def complete() -> dict[str, Any]:
    each = []
    for name in ("audio", "image"):
        only = PerModality({name: "passthrough"}, remainder="drop")
        each.append((name, make_pipeline(only, ConcatModalities(), logistic())))
    svc = make_pipeline(StandardScaler(), SVC(C=10))
    return {
        "logistic regression": make_pipeline(ConcatModalities(), logistic()),
        "SVC(RBF)": make_pipeline(ConcatModalities(), svc),
        "boosting": boosting(),
        "stacking": StackingClassifier(each, LogisticRegression(max_iter=2000), cv=3),
    }


def incomplete() -> dict[str, Any]:
    imputed = make_pipeline(ConcatModalities(), SimpleImputer(), logistic())
    return {
        "logistic regression, mean imputed": imputed,
        "logistic regression, completed": make_pipeline(
            GaussianImputer(), ConcatModalities(), logistic()
        ),
        "boosting": boosting(),
        "logistic regression of each modality, averaged": Vote(logistic()),
    }


def boosting() -> Any:
    """Return boosted trees on 50 principal components of each modality, NaN where it is missing."""
    components = PerModality(make_pipeline(StandardScaler(), PCA(50)))
    return make_pipeline(
        components, ConcatModalities(), HistGradientBoostingClassifier(max_iter=50, random_state=0)
    )


def multitask(seeds: list[int]) -> None:
    """Tell digit and speaker of the recordings 0-4 of each from those of 5-49."""
    audio, digit, speakers = spoken()
    y = pd.DataFrame({"digit": digit, "speaker": speakers})
    test = fetch_fsdd().split == "test"
    found: dict[str, list[list[float]]] = {"one model": [], "two models": []}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        image = np.empty((len(y), 1, 14, 14), dtype=np.float32)
        for rows, subset in ((~test, "train"), (test, "test")):
            image[rows] = drawn(digit[rows], subset, rng)
        X = Modalities({"audio": audio, "image": image})
        model = network("audio", "image").set_params(random_state=seed)
        start = time.perf_counter()
        one = model.fit(X[~test], y[~test]).predict(X[test])
        seconds = [time.perf_counter() - start]
        two = [clone(model).fit(X[~test], y[~test][n]).predict(X[test]) for n in y]
        seconds.append(time.perf_counter() - start - seconds[0])
        for name, guess, took in zip(found, (one.T, two), seconds, strict=True):
            right = [np.mean(g == y[test][n]) for g, n in zip(guess, y, strict=True)]
            found[name].append([*right, took])
    for name, rows in found.items():
        mean = np.mean(rows, axis=0)
        error = np.std(rows, axis=0, ddof=1) / np.sqrt(len(rows))
        print(f"multitask {name}: digit {mean[0]:.4f} ± {error[0]:.4f}, speaker {mean[1]:.4f} ± "
              f"{error[1]:.4f}, {mean[2]:.1f} s")  # fmt: skip


def compare(title: str, methods: Mapping[str, Any], rows: list[Rows]) -> dict[str, Array]:
    """Print accuracies, and how much better the first method is than the others."""
    found: dict[str, Array] = {}
    for name, method in methods.items():
        start = time.perf_counter()
        found[name] = np.array([accuracy(method, *part, seed=i) for i, part in enumerate(rows)])
        seconds = (time.perf_counter() - start) / len(rows)
        line = f"{title} {name}: {found[name].mean():.4f}, {seconds:.1f} s per fit"
        if len(found) > 1:
            line += "; " + difference(next(iter(methods)), name, found, rows)
        print(line, flush=True)
    return found


def difference(name: str, other: str, found: Mapping[str, Array], rows: list[Rows]) -> str:
    """Return the mean difference of accuracies with its corrected interval, and who won."""
    gap = found[name] - found[other]
    low, high = corrected_interval(gap, len(rows[0][1]), len(rows[0][3]))
    interval = f"{gap.mean():+.4f} [{low:+.4f}, {high:+.4f}]"
    return f"{name} is better by {interval}, in {np.sum(gap > 0)} of {len(gap)} splits"


def accuracy(method: Any, X: Any, y: Array, X_test: Any, y_test: Array, *, seed: int) -> float:
    model = clone(method)
    if "random_state" in model.get_params():
        model.set_params(random_state=seed)
    return float(accuracy_score(y_test, model.fit(X, y).predict(X_test)))


TASKS: dict[str, Callable[[list[int]], None]] = {
    "tcga": tcga,
    "mfeat": mfeat,
    "digits": digits,
    "multitask": multitask,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=list(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    TASKS[options.task](options.seeds)


if __name__ == "__main__":
    main()
