"""Published figures of linear CCA, reproduced on the real data.

`--implementation reference` computes the same figures with the NumPy solution of `oracles.py`,
`both` prints one below the other.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from oracles import ReferenceCCA, held_out_total, mean_average_precision
from sklearn.model_selection import ShuffleSplit
from sklearn.multiclass import OneVsOneClassifier
from sklearn.svm import LinearSVC

from skmm import CCA, metrics
from skmm.datasets import fetch_mfeat, fetch_mnist, fetch_wikipedia

Array = np.ndarray
Blocks = Mapping[str, Array]


class Skmm:
    """The estimator and the metrics of the library."""

    name = "skmm"

    def __init__(self, n_components: int, *, shrinkage: float = 0.0, scale: bool = True) -> None:
        self.model = CCA(n_components, shrinkage=shrinkage, scale=scale)

    def fit(self, X: Blocks) -> "Skmm":
        self.model.fit(dict(X))
        return self

    def codes(self, X: Blocks) -> list[Array]:
        return list(self.model.transform_each(dict(X)).values())

    def total(self, train: Blocks, test: Blocks) -> float:
        return self.model.score(dict(test))

    retrieval = staticmethod(metrics.mean_average_precision)


class Reference:
    """The same from `oracles.py`."""

    name = "reference"
    retrieval = staticmethod(mean_average_precision)

    def __init__(self, n_components: int, *, shrinkage: float = 0.0, scale: bool = True) -> None:
        self.model = ReferenceCCA(n_components, shrinkage=shrinkage, scale=scale)

    def fit(self, X: Blocks) -> "Reference":
        self.model.fit(list(X.values()))
        return self

    def codes(self, X: Blocks) -> list[Array]:
        return self.model.transform_each(list(X.values()))

    def total(self, train: Blocks, test: Blocks) -> float:
        return held_out_total(self.codes(train), self.codes(test))


Implementation = type[Skmm] | type[Reference]


def float64(X: Blocks, rows: Array | slice = slice(None)) -> dict[str, Array]:
    """Return these rows of each modality in double precision."""
    return {name: np.asarray(value[rows], dtype=np.float64) for name, value in X.items()}


def standardised(train: Blocks, test: Blocks) -> tuple[dict[str, Array], dict[str, Array]]:
    """Scale both by the training means and deviations; constant columns become zero."""
    means = {name: value.mean(axis=0) for name, value in train.items()}
    scales = {name: value.std(axis=0) for name, value in train.items()}
    scales = {name: np.where(scale > 0, scale, np.inf) for name, scale in scales.items()}
    return tuple(
        {name: (value - means[name]) / scales[name] for name, value in X.items()}
        for X in (train, test)
    )  # type: ignore[return-value]


def mnist_halves(make: Implementation, options: argparse.Namespace) -> None:
    """Total correlation of 50 components of the left and right halves, fit on 60000 images.

    The first component is a pixel that is lit in one training image: its correlation is 1 in
    training, its codes are constant on the test images and count 0.
    """
    X = fetch_mnist("halves").data
    train, test = float64(X, slice(60_000)), float64(X, slice(60_000, None))
    for scale in (False, True):
        start = time.perf_counter()
        model = make(50, scale=scale).fit(train)
        seconds = time.perf_counter() - start
        print(f"{make.name}: {'standardised' if scale else 'raw pixels':<13}"
              f" train {model.total(train, train):.3f}  test {model.total(train, test):.3f}"
              f"  fit {seconds:.2f} s", flush=True)  # fmt: skip
    print("published: test 28.0 (Andrew et al. 2013, fit on 54000 images)")


def mfeat(make: Implementation, options: argparse.Namespace) -> None:
    """Held-out total correlation of five modalities over repeated 80:20 splits."""
    X = fetch_mfeat().data.select(["fac", "fou", "kar", "pix", "zer"])
    splits = ShuffleSplit(options.splits, test_size=0.2, random_state=options.seed)
    totals, plain, trains = [], [], []
    for rows, held_out in splits.split(X):
        train, test = standardised(float64(X, rows), float64(X, held_out))
        model = make(50).fit(train)
        totals.append(model.total(train, test))
        trains.append(model.total(train, train))
        plain.append(held_out_total(model.codes(train), model.codes(test), realign=False))
    for label, values in (("train", trains), ("held out", totals), ("plain Pearson", plain)):
        print(f"{make.name}: {label:<14} {np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}"
              f" over {len(values)} splits")  # fmt: skip
    print("published: none; expected held out 21.3 ± 0.5, by plain Pearson 22.0")


def noisy_mnist(make: Implementation, options: argparse.Namespace) -> None:
    """Error of a linear SVM on view 1, the grid chosen on the tuning images."""
    X, labels, split = _load_noisy()
    parts = {name: float64(X, split == name) for name in ("train", "tune", "test")}
    y = {name: labels[split == name] for name in parts}
    best: tuple[float, float, str] = (np.inf, np.inf, "")
    for shrinkage in options.shrinkage:
        model = make(max(options.components), shrinkage=shrinkage, scale=False)
        model.fit(parts["train"])
        codes = {name: model.codes(part)[0] for name, part in parts.items()}
        for k in options.components:
            for C in options.C:
                parts_k = {name: code[:, :k] for name, code in codes.items()}
                errors = _svm_errors(parts_k, y, C, options.one_vs_one)
                label = f"k={k} shrinkage={shrinkage} C={C}"
                print(f"{make.name}: {label:<32} tune {errors[0]:.2f}  test {errors[1]:.2f} %",
                      flush=True)  # fmt: skip
                best = min(best, (*errors, label))
    print(f"{make.name}: chosen {best[2]}: test error {best[1]:.2f} %")
    if options.raw:
        views = {name: part["rotated"] for name, part in parts.items()}
        error = _svm_errors(views, y, options.raw, options.one_vs_one)[1]
        print(f"raw pixels, C={options.raw}: test error {error:.2f} %")
    print("published: CCA 19.1, raw pixels 13.1 (Wang et al. 2015)")


def _load_noisy() -> tuple[Blocks, Array, Array]:
    bunch = fetch_mnist("noisy")
    return bunch.data, bunch.target, bunch.split


def _svm_errors(codes: Blocks, y: Blocks, C: float, pairwise: bool) -> tuple[float, float]:
    """Return the errors in per cent on the tuning and the test images."""
    model = LinearSVC(C=C, dual=False, tol=1e-3)
    model = OneVsOneClassifier(model) if pairwise else model
    model.fit(codes["train"], y["train"])
    return tuple(100.0 * (1.0 - model.score(codes[name], y[name])) for name in ("tune", "test"))  # type: ignore[return-value]


def wikipedia(make: Implementation, options: argparse.Namespace) -> None:
    """Mean average precision of image and text queries over all 693 test pairs."""
    bunch = fetch_wikipedia()
    train = float64(bunch.data, bunch.split == "train")
    test = float64(bunch.data, bunch.split == "test")
    labels = bunch.target[bunch.split == "test"]
    for scale in (False, True):
        for shrinkage in options.shrinkage:
            for k in options.components:
                model = make(k, shrinkage=shrinkage, scale=scale).fit(train)
                image, text = model.codes(test)
                forth = model.retrieval(image, text, labels, labels)
                back = model.retrieval(text, image, labels, labels)
                label = f"scale={scale!s:<5} shrinkage={shrinkage} k={k}"
                print(f"{make.name}: {label:<34} image→text {forth:.3f}  text→image {back:.3f}"
                      f"  mean {(forth + back) / 2:.3f}", flush=True)  # fmt: skip
    print("published: image query .249, text query .196, mean .223 (Rasiwasia et al. 2010, CM);"
          " random .118")  # fmt: skip


TASKS: dict[str, Callable[[Implementation, argparse.Namespace], None]] = {
    "mnist-halves": mnist_halves,
    "mfeat": mfeat,
    "noisy-mnist": noisy_mnist,
    "wikipedia": wikipedia,
}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--implementation", default="skmm", choices=["skmm", "reference", "both"])
    parser = argparse.ArgumentParser(description=__doc__)
    tasks = parser.add_subparsers(dest="task", required=True)
    commands = {
        name: tasks.add_parser(name, parents=[common], help=task.__doc__)
        for name, task in TASKS.items()
    }
    commands["mfeat"].add_argument("--splits", type=int, default=10)
    commands["mfeat"].add_argument("--seed", type=int, default=0)
    noisy, wiki = commands["noisy-mnist"], commands["wikipedia"]
    noisy.add_argument("--components", type=int, nargs="+", default=[10, 50, 80])
    noisy.add_argument("--shrinkage", type=float, nargs="+", default=[0.0, 0.1, 0.5, 0.9])
    noisy.add_argument("--C", type=float, nargs="+", default=[1.0])
    noisy.add_argument("--raw", type=float, metavar="C", help="also the SVM on the pixels (slow)")
    noisy.add_argument("--one-vs-one", action="store_true", help="else one against the rest")
    wiki.add_argument("--components", type=int, nargs="+", default=[5, 7, 8, 9])
    wiki.add_argument("--shrinkage", type=float, nargs="+", default=[0.0, 1e-4, 1e-2])
    return parser.parse_args(arguments)


def main() -> None:
    options = parse()
    warnings.simplefilter("ignore", UserWarning)
    chosen: dict[str, list[Implementation]] = {
        "skmm": [Skmm], "reference": [Reference], "both": [Reference, Skmm],
    }  # fmt: skip
    for implementation in chosen[options.implementation]:
        TASKS[options.task](implementation, options)


if __name__ == "__main__":
    main()
