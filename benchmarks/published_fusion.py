"""Figures of MultimodalAutoencoder and MultimodalVAE on real data.

transfer: halves of MNIST; a linear SVM is trained on codes of one half and tested on codes of the
other, in five folds of the test images; its C is chosen on training images (the protocol of
CorrNet, Chandar et al. 2016; 50 components).

impute: R² of each modality of mfeat predicted from the others, beside ridge, the normal
distribution by EM, IterativeImputer (on 15 principal components of each modality), KNNImputer and
the mean.

cll: drug responses and mutations of leukaemia patients, missing as they are; of held-out patients
observed modalities are hidden, one at a time, and R² of their recovery is measured.

likelihood: `score_samples` against the exact likelihood of linear models, and what their
likelihood lacks of factor analysis.

Training with missing modalities: `missing_modalities.py`.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import stats
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import BayesianRidge, RidgeCV
from sklearn.model_selection import ShuffleSplit, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skmm import CCA, Modalities, MultimodalAutoencoder, MultimodalVAE
from skmm.benchmark._completed import GaussianModel
from skmm.compose import PerModality
from skmm.datasets import fetch_cll, fetch_mfeat, fetch_mnist
from skmm.metrics import r2_per_modality

Array = np.ndarray
N_PCS = 15


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


def impute(seed: int) -> None:
    train, test = mfeat(seed)
    k = 60
    fits: dict[str, Any] = {
        "mean": None,
        "ridge": ridge,
        "Gaussian": GaussianModel().fit,
        "KNN": neighbours,
        "IterativeImputer": iterative,
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


def cll(seed: int) -> None:
    """Drugs from mutations and back; methods that need it get unknown mutations as the mean."""
    X = fetch_cll().data
    ((train, test),) = ShuffleSplit(1, test_size=0.2, random_state=seed).split(X)
    train, test = X[train], X[test]
    test = test[~test.missing["drugs"].to_numpy()]
    mean = {n: np.nanmean(np.asarray(train[n], float), axis=0) for n in X.names}

    def filled(part: Modalities) -> Modalities:
        values = {n: np.asarray(v, float) for n, v in part.items()}
        return Modalities({n: np.where(np.isnan(v), mean[n], v) for n, v in values.items()})

    both = filled(train[~train.missing["drugs"].to_numpy()])
    params: dict[str, Any] = {"hidden_layer_sizes": (64,), "random_state": seed}
    fits: dict[str, Any] = {
        "mean": lambda _: lambda part, to: np.broadcast_to(mean[to], (len(part), len(mean[to]))),
        "ridge": ridge,
        "Gaussian": GaussianModel().fit,
        "KNN": neighbours,
        "IterativeImputer": iterative,
        "CCA": CCA(10, shrinkage="auto").fit,
        "autoencoder": MultimodalAutoencoder(10, modality_dropout=0.5, **params).fit,
        "VAE": MultimodalVAE(10, **params).fit,
    }
    for name, fit in fits.items():
        takes_gaps = name in ("Gaussian", "autoencoder", "VAE")
        model = fit(train if takes_gaps else both)
        predict = getattr(model, "translate", model)
        cells = []
        for to, other in (("drugs", "mutations"), ("mutations", "drugs")):
            rows = test.select([other])
            guess = predict(rows if takes_gaps else filled(rows), to)
            found = r2_per_modality(
                {to: np.asarray(test[to], float)}, {to: np.asarray(guess, float)}, baseline=mean
            )
            cells.append(f"{to} {found[to]:.3f}")
        print(f"cll seed {seed} {name}: {'  '.join(cells)}", flush=True)


def side_by_side(X: Modalities, names: Any) -> Array:
    return np.hstack([np.asarray(X[n]) for n in names])


def ridge(train: Modalities) -> Callable[[Modalities, str], Array]:
    def predict(X: Modalities, to: str) -> Array:
        model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 11)))
        model.fit(side_by_side(train, X.names), np.asarray(train[to]))
        return model.predict(side_by_side(X, X.names))

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


def iterative(train: Modalities) -> Callable[[Modalities, str], Array]:
    """Impute principal components of each modality by chained Bayesian ridge regressions."""
    maps = {
        n: make_pipeline(StandardScaler(), PCA(min(N_PCS, np.asarray(train[n]).shape[1])))
        for n in train.names
    }
    codes = {n: maps[n].fit_transform(np.asarray(train[n])) for n in train.names}

    known = np.hstack([codes[n] for n in train.names])
    imputer = IterativeImputer(BayesianRidge(), max_iter=5, random_state=0).fit(known)

    def predict(X: Modalities, to: str) -> Array:
        parts = {n: maps[n].transform(np.asarray(X[n])) for n in X.names}
        parts[to] = np.full((len(X), codes[to].shape[1]), np.nan)
        filled = imputer.transform(np.hstack([parts[n] for n in train.names]))
        end = np.cumsum([codes[n].shape[1] for n in train.names])[train.names.index(to)]
        return maps[to].inverse_transform(filled[:, end - codes[to].shape[1] : end])

    return predict


POSTERIORS = ("poe", "moe", "mopoe", "mvtcae", "joint")


def linear_data(n: int, seed: int, *, orthogonal: bool) -> Modalities:
    """Return modalities of 4, 3 and 5 columns from two factors; the loadings are always the same.

    Orthogonal loadings are those for which products of diagonal experts are exact.
    """
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    parts = {}
    for m, (name, width) in enumerate(zip("abc", (4, 3, 5), strict=True)):
        W = np.random.default_rng([0, m]).standard_normal((width, 2))
        if orthogonal:
            W = np.linalg.qr(W)[0] * np.array([2.0, 1.5])
        parts[name] = z @ W.T + 0.7 * rng.standard_normal((n, width))
    return Modalities(parts)


def exact(vae: MultimodalVAE, X: Modalities) -> Array:
    """Return the log-likelihood of complete rows under a linear model's decoders."""
    network, k = vae.net_.module_, vae.n_components
    means, W, noise = [], [], []
    with torch.inference_mode():
        for m in range(len(network.names)):
            scale = network.scalers[m].scale.double().numpy()
            shift = network.scalers[m].mean.double().numpy()
            base = network.decoders[m](torch.zeros(1, k)).double().numpy()[0]
            slopes = network.decoders[m](torch.eye(k)).double().numpy() - base
            means.append(shift + scale * base)
            W.append(scale[:, None] * slopes.T)
            noise.append(scale * network.likelihoods[m].scale.double().numpy())
    loadings, sigma = np.vstack(W), np.concatenate(noise)
    S = loadings @ loadings.T + np.diag(sigma**2)
    return stats.multivariate_normal(np.concatenate(means), S).logpdf(side_by_side(X, X.names))


def likelihood(seed: int) -> None:
    for orthogonal in (True, False):
        train, test = (linear_data(n, 2 * seed + i, orthogonal=orthogonal)
                       for i, n in enumerate((4000, 2000)))  # fmt: skip
        columns = side_by_side(test, test.names)
        oracle = FactorAnalysis(2).fit(side_by_side(train, train.names)).score(columns)
        for posterior in POSTERIORS:
            vae = MultimodalVAE(
                2, posterior=posterior, hidden_layer_sizes=(), modality_weights=None, lr=0.02,
                weight_decay=0.0, max_epochs=60, early_stopping=False, kl_warmup=0.0,
                n_importance_samples=1000, random_state=seed,
            ).fit(train)  # fmt: skip
            truth = exact(vae, test)
            gaps = []
            for repeat in range(10):  # other draws: all rows share a set, so rows give no error
                vae._noise_seed = repeat
                gaps.append(vae.score(test[:200]) - truth[:200].mean())
            error = np.std(gaps, ddof=1) / np.sqrt(len(gaps))
            lack = (oracle - truth.mean()) / columns.shape[1]
            kind = "orthogonal" if orthogonal else "general"
            print(f"likelihood seed {seed} {kind} {posterior}: bound - exact {np.mean(gaps):.4f} "
                  f"± {error:.4f} nats; factor analysis - exact "
                  f"{lack:.4f} nats per column", flush=True)  # fmt: skip


TASKS = {"transfer": transfer, "impute": impute, "cll": cll, "likelihood": likelihood}


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
