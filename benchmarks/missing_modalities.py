"""Training with missing modalities: keeping incomplete rows against dropping them.

``python benchmarks/missing_modalities.py mfeat`` (five modalities: fac, fou, kar, pix, zer) or
``mnist`` (50 principal components of 5000 images, fitted on other images, and the label).

A share of the modalities is missing in training, by a mechanism of `Modalities.with_gaps`: at
random, or depending on the label. In mnist the label is a modality that misses depending on itself.

The models are MultimodalVAE fitted to all rows ("kept"), to complete rows ("dropped") and to all
rows after mean imputation ("imputed"); and the linear ones, fitted to all rows: the normal
distribution by EM ("gaussian"), "cca" and "gfa" with their defaults. "kernel" is kernel ridge
regression on the other modalities, completed from each other by such a distribution.
Measured on complete held-out rows: R² of each modality predicted from the others, relative to
training means (of labels that of the indicators), pooled over columns in their units, and of
standardised columns; and the log-likelihood bound of the VAE.
``classify`` tells classes where modalities miss in training and test: accuracy and log-loss of
logistic regression on columns that GaussianImputer or the mean fills, with indicators of what was
missing, and of MultimodalClassifier.
Intervals are corrected for overlapping training sets (Nadeau and Bengio 2003).
"""

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.model_selection import ShuffleSplit
from sklearn.pipeline import make_pipeline

from skmm import CCA, GroupFactorAnalysis, Modalities, MultimodalVAE
from skmm.benchmark import Benchmark, BlockScaler, Task, corrected_interval, usual_methods
from skmm.benchmark._completed import GaussianModel, RBFRidge
from skmm.compose import ConcatModalities, GaussianImputer, PerModality
from skmm.datasets import fetch_breast_tcga, fetch_mfeat, fetch_mnist
from skmm.metrics import r2_per_modality

Array = np.ndarray
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
FEWEST = 20  # complete rows to which a model is fitted
SETTINGS = {
    "hidden_layer_sizes": (128,),
    "batch_size": 200,
    "lr": 4e-3,
}
EPOCHS = {"mfeat": 40, "mnist": 20}


def mfeat(seed: int) -> tuple[Modalities, Modalities, Array]:
    bunch = fetch_mfeat()
    X, y = bunch.data.select(["fac", "fou", "kar", "pix", "zer"]), np.asarray(bunch.target)
    ((train, test),) = ShuffleSplit(1, test_size=0.2, random_state=seed).split(X)
    return X[train], X[test], np.unique(y, return_inverse=True)[1][train]


def mnist(seed: int) -> tuple[Modalities, Modalities, Array]:
    X, y = fetch_mnist("labels", return_X_y=True)
    axes = PCA(50, random_state=0).fit(X["image"][:10_000])
    rows = 10_000 + np.random.default_rng(seed).permutation(60_000)[:6000]
    Z = axes.transform(X["image"][rows]).astype(np.float64)
    data = Modalities({"image": Z, "label": np.asarray(y)[rows].astype(str)})
    return data[:5000], data[5000:], np.asarray(y)[rows][:5000]


def gappy(X: Modalities, y: Array, mechanism: str, share: float, seed: int) -> Modalities:
    """Return training rows of which a share is missing, the same for all models."""
    rng = np.random.default_rng([seed, int(100 * share)])
    return X.with_gaps(share, mechanism=mechanism, y=y, random_state=rng)


def mean_imputed(X: Modalities) -> Modalities:
    """Fill numbers with the mean of what is there, labels with the most frequent."""
    filled = {}
    for name, value in X.items():
        missing = X.missing[name].to_numpy()
        known = np.asarray(value)[~missing]
        if known.dtype.kind == "f":
            guess: Any = known.mean(axis=0)
        else:
            labels, counts = np.unique(known, return_counts=True)
            guess = labels[counts.argmax()]
        filled[name] = np.array(value)
        filled[name][missing] = guess
    return Modalities(filled)


def indicators(X: Modalities) -> dict[str, Array]:
    """Return all modalities as numbers."""
    return {
        name: np.asarray(value)
        if X.kinds[name] == "numeric"
        else np.eye(10)[np.array([int(v) if v else 0 for v in value])]
        for name, value in X.items()
    }


def predictions(predict: Callable[[Modalities, str], Array], test: Modalities) -> dict[str, Array]:
    """Return each modality predicted from the others, labels as indicators."""
    shapes = {name: value.shape for name, value in indicators(test).items()}
    return {
        name: np.asarray(predict(test.select([n for n in test.names if n != name]), name)).reshape(
            shapes[name]
        )
        for name in test.names
    }


def pooled_r2(guesses: dict[str, Array], train: Modalities, test: Modalities) -> Array:
    """Return R² of each modality relative to training means, pooled over columns."""
    baseline = {name: value.mean(axis=0) for name, value in indicators(train).items()}
    found = r2_per_modality(indicators(test), guesses, baseline=baseline)
    return np.array([found[name] for name in test.names])


def column_r2(guesses: dict[str, Array], train: Modalities, test: Modalities) -> Array:
    """Return the same of columns divided by their standard deviations in training."""
    divisors = {
        n: np.where((s := v.std(axis=0)) > 0, s, np.inf) for n, v in indicators(train).items()
    }
    scaled = [
        {name: value / divisors[name] for name, value in parts.items()}
        for parts in (indicators(test), guesses, indicators(train))
    ]
    baseline = {name: value.mean(axis=0) for name, value in scaled[2].items()}
    found = r2_per_modality(scaled[0], scaled[1], baseline=baseline)
    return np.array([found[name] for name in test.names])


def unknown(vae: MultimodalVAE, X: Modalities) -> Array:
    """Return which rows have labels that training lacks: no likelihood, no translation."""
    found = np.zeros(len(X), dtype=bool)
    for name, classes in vae.categories_.items():
        if name in X:
            found |= ~np.isin(X[name], classes)
    return found


def vae_prediction(vae: MultimodalVAE) -> Callable[[Modalities, str], Array]:
    def predict(X: Modalities, to: str) -> Array:
        if to not in vae.categories_:
            new = np.flatnonzero(unknown(vae, X))
            return vae.translate(X.with_missing(list(vae.categories_), new) if len(new) else X, to)
        found = np.zeros((len(X), 10))  # classes that training lacks have probability 0
        found[:, vae.categories_[to].astype(int)] = vae.translate_proba(X, to)
        return found

    return predict


def numbers(X: Modalities) -> Modalities:
    """Return labels as indicators, so that linear models take them."""
    return Modalities(indicators(X), missing=X.missing)


def linear(model: Any, X: Modalities) -> Callable[[Modalities, str], Array]:
    """Return the prediction of a model that is fitted to numbers."""
    model.fit(numbers(X))
    return lambda others, to: model.translate(numbers(others), to)


def kernel(X: Modalities) -> Callable[[Modalities, str], Array]:
    """Return kernel ridge regression on what is completed without the help of the target."""
    known, fitted = numbers(X), {}

    def predict(others: Modalities, to: str) -> Array:
        rows = np.flatnonzero(~known.missing[to])
        here = known[rows].select(list(others.names))
        some = np.flatnonzero(~here.missing.all(axis=1))
        if to not in fitted:
            fill = [GaussianImputer(add_indicator=True), PerModality(BlockScaler())]
            model = make_pipeline(*fill, ConcatModalities(), RBFRidge())
            fitted[to] = model.fit(here[some], known[to][rows[some]])
        return fitted[to].predict(numbers(others))

    return predict


CONTROLS: dict[str, Callable[[Modalities], Callable[[Modalities, str], Array]]] = {
    "gaussian": lambda X: linear(GaussianModel(), X),
    "cca": lambda X: linear(CCA(), X),
    "gfa": lambda X: linear(GroupFactorAnalysis(), X),
    "kernel": kernel,
}


def one(
    task: str, kind: str, seed: int, share: float, posterior: str, chosen: list[str]
) -> list[dict[str, Any]]:
    train, test, y = DATA[task](seed)
    holes = gappy(train, y, kind, share, seed)
    complete = ~holes.missing.any(axis=1).to_numpy()
    data = {"kept": holes, "dropped": train[complete], "imputed": mean_imputed(holes)}
    weights = None if task == "mfeat" else "auto"
    found = []
    for name, rows in {**data, **dict.fromkeys(CONTROLS, holes)}.items():
        if len(rows) < FEWEST or name not in chosen:
            continue
        start = time.perf_counter()
        if name in CONTROLS:
            predict, bound = CONTROLS[name](rows), np.nan
        else:
            vae = MultimodalVAE(
                20,
                posterior=posterior,
                modality_weights=weights,
                max_epochs=EPOCHS[task],
                random_state=seed,
                **SETTINGS,
            ).fit(rows)
            predict = vae_prediction(vae)
            bound = np.nan if unknown(vae, test).any() else vae.score(test)
        guesses = predictions(predict, test)
        seconds = time.perf_counter() - start
        r2, of_columns = pooled_r2(guesses, train, test), column_r2(guesses, train, test).mean()
        each = "  ".join(f"{n} {v:.3f}" for n, v in zip(test.names, r2, strict=True))
        print(f"{task} {kind} {share:.0%} seed {seed} {name}: {len(rows)} rows, {each}, mean "
              f"{r2.mean():.3f}, of standardised columns {of_columns:.3f}, bound {bound:.1f}, "
              f"{seconds:.0f} s",
              flush=True)  # fmt: skip
        found.append({"share": share, "seed": seed, "data": name, "R²": r2.mean(),
                      "of columns": of_columns, "bound": bound,
                      "n_train": len(train), "n_test": len(test)})  # fmt: skip
    return found


def table(rows: list[dict[str, Any]]) -> None:
    """Print means over seeds, and the difference of kept to dropped with its interval."""
    frame = pd.DataFrame(rows)
    for share, group in frame.groupby("share"):
        cells = [f"{share:.0%}"]
        for measure, digits in (("R²", 3), ("of columns", 3), ("bound", 1)):
            cells.append(f"{measure}:")
            wide = group.pivot_table(index="seed", columns="data", values=measure)
            cells += [f"{name} {wide[name].mean():.{digits}f}" for name in wide]
            for other in ("dropped", "imputed"):
                if other in wide and "kept" in wide:
                    gaps = (wide["kept"] - wide[other]).dropna()
                    low, high = corrected_interval(
                        gaps, group["n_train"].mean(), group["n_test"].mean()
                    )
                    reach = f"[{low:.{digits}f}, {high:.{digits}f}]"
                    cells.append(f"kept - {other} {gaps.mean():.{digits}f} {reach} ({len(gaps)})")
        print(" | ".join(cells), flush=True)


def classify(shares: Sequence[float], seeds: Sequence[int]) -> None:
    names = ("Logistic regression", "Completed + logistic regression", "MultimodalClassifier")
    five, labels = (
        fetch_mfeat().data.select(["fac", "fou", "kar", "pix", "zer"]),
        fetch_mfeat().target,
    )
    tcga = fetch_breast_tcga(subset="train")
    data = {
        "mfeat, 200 rows": (five, np.asarray(labels), 200),
        "breast_tcga, 100 rows": (tcga.data, np.asarray(tcga.target), 100),
    }
    for name, (X, y, size) in data.items():
        for share in shares:
            found = []
            for seed in seeds:
                order = np.random.default_rng(seed).permutation(len(X))
                holes = X[order].with_gaps(share, random_state=seed)
                split = [(np.arange(size), np.arange(size, len(X)))]
                task = Task(name, holes, y[order], "classify")
                methods = {n: usual_methods(task)[n] for n in names}
                found.append(
                    Benchmark(methods, task, cv=split, control=False, random_state=seed).run()
                )
            frame = pd.concat(found)
            frame = frame[frame["metric"].isin(["accuracy", "log_loss"])]
            means = frame.pivot_table(index="method", columns="metric", values="value")
            print(f"{name}, {share:.0%} missing, {len(seeds)} seeds\n{means.round(3)}", flush=True)


DATA = {"mfeat": mfeat, "mnist": mnist}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=[*DATA, "classify"])
    parser.add_argument("--mechanism", choices=["random", "labels"], default="random")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES)
    parser.add_argument("--seeds", type=int, nargs="+", default=range(5))
    parser.add_argument("--posterior", default="poe")
    parser.add_argument("--data", nargs="+", default=["kept", "dropped", "imputed", *CONTROLS])
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    if options.task == "classify":
        return classify(options.shares, options.seeds)
    rows: list[dict[str, Any]] = []
    for seed in options.seeds:
        for share in options.shares:
            rows += one(
                options.task, options.mechanism, seed, share, options.posterior, options.data
            )
        table(rows)


if __name__ == "__main__":
    main()
