"""Figures of MultimodalAutoencoder and MultimodalVAE on real data.

transfer: halves of MNIST; a linear SVM is trained on codes of one half and tested on codes of the
other, in five folds of the test images; its C is chosen on training images (the protocol of
CorrNet, Chandar et al. 2016; 50 components).

missing: mfeat, a share of the modalities missing in training; keeping the incomplete rows against
dropping them, and mean imputation before the same model; R² of each modality of complete held-out
rows predicted from the others, and the log-likelihood bound.

impute: R² of each modality of mfeat predicted from the others, beside ridge, a conditional
Gaussian, IterativeImputer, KNNImputer and the mean.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.impute import KNNImputer
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import ShuffleSplit, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skmm import CCA, Modalities, MultimodalAutoencoder, MultimodalVAE
from skmm.compose import PerModality
from skmm.datasets import fetch_mfeat, fetch_mnist
from skmm.metrics import r2_per_modality

Array = np.ndarray


def transfer(seed: int) -> None:
    bunch = fetch_mnist("halves")
    X, y = bunch.data, np.asarray(bunch.target)
    train, test, y_train, y_test = X[:60_000], X[60_000:], y[:60_000], y[60_000:]
    aligned = MultimodalAutoencoder(
        50,
        hidden_layer_sizes=(512, 512),
        alignment_weight=1.0,
        modality_dropout=0.5,
        dropout=0.2,
        max_epochs=20,
        random_state=seed,
    )
    features = PerModality(
        make_pipeline(PCA(50), RBFSampler(gamma=0.02, n_components=1000, random_state=seed))
    )
    methods: dict[str, Any] = {
        "CCA": CCA(50, shrinkage=0.01),
        "RFF + CCA": make_pipeline(features, CCA(50, shrinkage=0.01)),
        "autoencoder": aligned,
    }
    for name, method in methods.items():
        start = time.perf_counter()
        method.fit(train)
        seconds = time.perf_counter() - start
        last, inner = (
            (method[-1], method[:-1].transform) if name.startswith("RFF") else (method, None)
        )
        rows = train[:10_000], test
        codes = [last.transform_each(part if inner is None else inner(part)) for part in rows]
        both = [transferred(codes, y_train[:10_000], y_test, a, b)
                for a, b in (("left", "right"), ("right", "left"))]  # fmt: skip
        print(f"transfer {name}: left→right {both[0]:.2f} %, right→left {both[1]:.2f} %, "
              f"{seconds:.0f} s", flush=True)  # fmt: skip


def transferred(codes: list[Any], y_other: Array, y: Array, a: str, b: str) -> float:
    """Return the accuracy (%) over five folds of a machine that sees codes of the other half."""
    other, test = codes
    scores = {}
    for C in (0.001, 0.01, 0.1, 1.0):
        svm = LinearSVC(C=C, dual=False).fit(other[a][:5000], y_other[:5000])
        scores[C] = svm.score(other[b][5000:], y_other[5000:])
    best = max(scores, key=scores.__getitem__)
    folds = StratifiedKFold(5, shuffle=True, random_state=0).split(test[a], y)
    found = [LinearSVC(C=best, dual=False).fit(test[a][i], y[i]).score(test[b][j], y[j])
             for i, j in folds]  # fmt: skip
    return 100 * float(np.mean(found))


def mfeat(seed: int) -> tuple[Modalities, Modalities]:
    X = fetch_mfeat().data.select(["fac", "fou", "kar", "pix", "zer"])
    ((train, test),) = ShuffleSplit(1, test_size=0.2, random_state=seed).split(X)
    return X[train], X[test]


def cross_r2(
    predict: Callable[[Modalities, str], Array], train: Modalities, test: Modalities
) -> Array:
    """Return R² of each modality predicted from the others, relative to training means."""
    found = []
    for name in test.names:
        mean = {name: np.nanmean(np.asarray(train[name]), axis=0)}
        guess = {name: predict(test.select([n for n in test.names if n != name]), name)}
        found.append(r2_per_modality({name: np.asarray(test[name])}, guess, baseline=mean)[name])
    return np.array(found)


def missing(seed: int) -> None:
    train, test = mfeat(seed)
    rng = np.random.default_rng(seed)
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        mask = rng.uniform(size=(len(train), len(train.names))) < share
        mask[mask.all(axis=1), rng.integers(len(train.names))] = False
        holes = Modalities(dict(train.items()), missing=mask)
        complete = train[~mask.any(axis=1)]
        means = {
            n: np.asarray(v)[~m].mean(axis=0)
            for (n, v), m in zip(train.items(), mask.T, strict=True)
        }
        filled = Modalities(
            {
                n: np.where(m[:, None], means[n], v)
                for (n, v), m in zip(train.items(), mask.T, strict=True)
            }
        )
        data = {"kept": holes, "dropped": complete, "mean-imputed": filled}
        for name, rows in data.items():
            if len(rows) < 20:
                print(f"missing {share:.0%} seed {seed} {name}: {len(rows)} rows, too few")
                continue
            vae = MultimodalVAE(20, modality_weights=None, random_state=seed).fit(rows)
            r2 = cross_r2(vae.translate, train, test)
            print(f"missing {share:.0%} seed {seed} {name}: {len(rows)} rows, R² {r2.mean():.3f}, "
                  f"bound {vae.score(test):.1f}", flush=True)  # fmt: skip


def impute(seed: int) -> None:
    train, test = mfeat(seed)
    k = 60
    fits: dict[str, Any] = {
        "mean": None,
        "ridge": ridge,
        "conditional Gaussian": gaussian,
        "KNN": neighbours,
        "CCA": CCA(k, shrinkage="auto").fit,
        "autoencoder": MultimodalAutoencoder(
            100, hidden_layer_sizes=(512,), max_epochs=60, modality_dropout=0.5, random_state=seed
        ).fit,
        "VAE": MultimodalVAE(k, modality_weights=None, random_state=seed).fit,
    }  # fmt: skip
    for name, fit in fits.items():
        start = time.perf_counter()
        if fit is None:

            def predict(X: Modalities, to: str) -> Array:
                return np.broadcast_to(
                    np.asarray(train[to]).mean(axis=0), np.asarray(test[to]).shape
                )
        else:
            fitted = fit(train)
            predict = getattr(fitted, "translate", fitted)
        r2 = cross_r2(predict, train, test)
        cells = "  ".join(f"{n} {value:.3f}" for n, value in zip(test.names, r2, strict=True))
        print(f"impute seed {seed} {name}: {cells}  mean {r2.mean():.3f}, "
              f"{time.perf_counter() - start:.0f} s", flush=True)  # fmt: skip


def side_by_side(X: Modalities, names: Any) -> Array:
    return np.hstack([np.asarray(X[n]) for n in names])


def ridge(train: Modalities) -> Callable[[Modalities, str], Array]:
    def predict(X: Modalities, to: str) -> Array:
        model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 11)))
        model.fit(side_by_side(train, X.names), np.asarray(train[to]))
        return model.predict(side_by_side(X, X.names))

    return predict


def gaussian(train: Modalities) -> Callable[[Modalities, str], Array]:
    def predict(X: Modalities, to: str) -> Array:
        a, b = StandardScaler(), StandardScaler()
        both = np.hstack(
            [a.fit_transform(side_by_side(train, X.names)), b.fit_transform(train[to])]
        )
        S = LedoitWolf().fit(both).covariance_
        p = S.shape[0] - np.asarray(train[to]).shape[1]
        weights = np.linalg.solve(S[:p, :p], S[:p, p:])
        return b.inverse_transform(a.transform(side_by_side(X, X.names)) @ weights)

    return predict


def neighbours(train: Modalities) -> Callable[[Modalities, str], Array]:
    def predict(X: Modalities, to: str) -> Array:
        scalers = {n: StandardScaler().fit(np.asarray(train[n])) for n in train.names}
        names = [*X.names, to]
        known = np.hstack([scalers[n].transform(train[n]) for n in names])
        asked = np.hstack([scalers[n].transform(X[n]) for n in X.names])
        width = np.asarray(train[to]).shape[1]
        asked = np.hstack([asked, np.full((len(asked), width), np.nan)])
        found = KNNImputer(n_neighbors=5).fit(known).transform(asked)[:, -width:]
        return scalers[to].inverse_transform(found)

    return predict


TASKS = {"transfer": transfer, "missing": missing, "impute": impute}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=list(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=range(3))
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    for seed in options.seeds:
        TASKS[options.task](seed)


if __name__ == "__main__":
    main()
