"""Training with missing modalities: keeping incomplete rows against dropping them.

``python benchmarks/missing_modalities.py mfeat`` (five modalities: fac, fou, kar, pix, zer) or
``mnist`` (50 principal components of 5000 images, fitted on other images, and the label).

A share of the modalities is missing in training, by a mechanism of `Modalities.with_gaps`: at
random, or depending on the label. In mnist the label is a modality that misses depending on itself.

The models are MultimodalVAE
fitted to all rows ("kept"), to complete rows ("dropped"), to all rows after mean imputation
("imputed"), and a conditional Gaussian of shrunk pairwise correlations
("gaussian").
Measured on complete held-out rows: R² of each modality predicted from the others, relative to
training means (of labels that of the indicators), and the log-likelihood bound of the VAE.
Intervals are corrected for overlapping training sets (Nadeau and Bengio 2003).
"""

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.model_selection import ShuffleSplit

from skmm import Modalities, MultimodalVAE
from skmm.benchmark import corrected_interval
from skmm.datasets import fetch_mfeat, fetch_mnist
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


def cross_r2(
    predict: Callable[[Modalities, str], Array], train: Modalities, test: Modalities
) -> Array:
    """Return R² of each modality predicted from the others."""
    true, known = indicators(test), indicators(train)
    found = []
    for name in test.names:
        guess = predict(test.select([n for n in test.names if n != name]), name)
        mean = {name: known[name].mean(axis=0)}
        parts = {name: true[name]}, {name: np.asarray(guess).reshape(true[name].shape)}
        found.append(r2_per_modality(*parts, baseline=mean)[name])
    return np.array(found)


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


class PairwiseGaussian:
    """Conditional Gaussian of standardised columns; correlations of the rows that have both.

    Correlations of two modalities are shrunk to 0 by the analytic share of Schäfer and Strimmer
    (2005), block by block; eigenvalues are at least `floor`.
    """

    def __init__(self, floor: float = 0.05) -> None:
        self.floor = floor

    def fit(self, X: Modalities) -> "PairwiseGaussian":
        parts, seen = indicators(X), ~X.missing[list(X.names)].to_numpy()
        known = {n: parts[n][here] for n, here in zip(X.names, seen.T, strict=True)}
        self.means = {n: v.mean(axis=0) for n, v in known.items()}
        self.scales = {
            n: np.where(v.std(axis=0) > 1e-9, v.std(axis=0), 1) for n, v in known.items()
        }
        scaled = {n: (parts[n] - self.means[n]) / self.scales[n] for n in X.names}
        ends = np.cumsum([0, *(len(self.means[n]) for n in X.names)])
        self.places = {n: slice(*ends[m : m + 2]) for m, n in enumerate(X.names)}
        S = np.eye(ends[-1])
        for a, n in enumerate(X.names):
            for b in range(a, len(X.names)):
                both = seen[:, a] & seen[:, b]
                other = X.names[b]
                block = shrunk(scaled[n][both], scaled[other][both])
                S[self.places[n], self.places[other]] = block
                S[self.places[other], self.places[n]] = block.T
        np.fill_diagonal(S, 1.0)
        values, vectors = np.linalg.eigh(S)
        self.S = (vectors * np.maximum(values, self.floor)) @ vectors.T
        return self

    def __call__(self, X: Modalities, to: str) -> Array:
        parts = indicators(X)
        rows = np.hstack([(parts[n] - self.means[n]) / self.scales[n] for n in X.names])
        index = np.concatenate([np.arange(*self.places[n].indices(len(self.S))) for n in X.names])
        weights = np.linalg.solve(self.S[np.ix_(index, index)], self.S[index, self.places[to]])
        return self.means[to] + self.scales[to] * (rows @ weights)


def shrunk(a: Array, b: Array) -> Array:
    """Return cross-correlations of standardised columns, shrunk to 0."""
    n = len(a)
    if n < 4:
        return np.zeros((a.shape[1], b.shape[1]))
    r = (a.T @ b / n).clip(-1, 1)
    noise = float(((1 - r**2) ** 2 / (n - 1)).sum())
    return max(0.0, 1 - noise / max(float((r**2).sum()), 1e-12)) * r


def one(
    task: str, kind: str, seed: int, share: float, posterior: str, chosen: list[str]
) -> list[dict[str, Any]]:
    train, test, y = DATA[task](seed)
    holes = gappy(train, y, kind, share, seed)
    complete = ~holes.missing.any(axis=1).to_numpy()
    data = {"kept": holes, "dropped": train[complete], "imputed": mean_imputed(holes)}
    weights = None if task == "mfeat" else "auto"
    found = []
    for name, rows in {**data, "gaussian": holes}.items():
        if len(rows) < FEWEST or name not in chosen:
            continue
        start = time.perf_counter()
        if name == "gaussian":
            r2, bound = cross_r2(PairwiseGaussian().fit(rows), train, test), np.nan
        else:
            vae = MultimodalVAE(
                20,
                posterior=posterior,
                modality_weights=weights,
                max_epochs=EPOCHS[task],
                random_state=seed,
                **SETTINGS,
            ).fit(rows)
            r2 = cross_r2(vae_prediction(vae), train, test)
            bound = np.nan if unknown(vae, test).any() else vae.score(test)
        each = "  ".join(f"{n} {v:.3f}" for n, v in zip(test.names, r2, strict=True))
        print(f"{task} {kind} {share:.0%} seed {seed} {name}: {len(rows)} rows, {each}, mean "
              f"{r2.mean():.3f}, bound {bound:.1f}, {time.perf_counter() - start:.0f} s",
              flush=True)  # fmt: skip
        found.append({"share": share, "seed": seed, "data": name, "R²": r2.mean(), "bound": bound,
                      "n_train": len(train), "n_test": len(test)})  # fmt: skip
    return found


def table(rows: list[dict[str, Any]]) -> None:
    """Print means over seeds, and the difference of kept to dropped with its interval."""
    frame = pd.DataFrame(rows)
    for share, group in frame.groupby("share"):
        cells = [f"{share:.0%}"]
        for measure, digits in (("R²", 3), ("bound", 1)):
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


DATA = {"mfeat": mfeat, "mnist": mnist}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=list(DATA))
    parser.add_argument("--mechanism", choices=["random", "labels"], default="random")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES)
    parser.add_argument("--seeds", type=int, nargs="+", default=range(5))
    parser.add_argument("--posterior", default="poe")
    parser.add_argument("--data", nargs="+", default=["kept", "dropped", "imputed", "gaussian"])
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    rows: list[dict[str, Any]] = []
    for seed in options.seeds:
        for share in options.shares:
            rows += one(
                options.task, options.mechanism, seed, share, options.posterior, options.data
            )
        table(rows)


if __name__ == "__main__":
    main()
