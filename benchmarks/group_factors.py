"""GroupFactorAnalysis: what it finds where the truth is known, and how it predicts on real data.

``python benchmarks/group_factors.py recovery`` prints in how many of 20 simulations the pattern of
shared and private components is found exactly (3 modalities of 20 columns, 3 shared and 2 private
components each, loadings N(0, 1), noise variance 1), ``likelihood`` the difference to
scikit-learn's FactorAnalysis in held-out nats per column, ``mfeat`` R² of each modality from the
others after training with missing modalities (the protocol of missing_modalities.py), ``translate``
R² against tuned ridge with few rows, and ``scmt`` the seconds and memory of many columns with many
gaps.
"""

import argparse
import resource
import time
import warnings
from typing import Any

import numpy as np
from missing_modalities import cross_r2, gappy, mfeat
from sklearn.decomposition import FactorAnalysis
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from skmm import GroupFactorAnalysis, Modalities
from skmm.datasets import fetch_breast_tcga, fetch_nutrimouse, fetch_scmt

Array = np.ndarray


def simulated(seed: int, n: int) -> tuple[dict[str, Array], Array]:
    """Return three modalities, and which components are active in which (3, 9)."""
    rng = np.random.default_rng(seed)
    active = np.zeros((3, 9), dtype=bool)
    active[:, :3] = True
    for m in range(3):
        active[m, 3 + 2 * m : 5 + 2 * m] = True
    Z = rng.standard_normal((n, 9))
    parts = {
        f"m{m}": (Z * active[m]) @ rng.standard_normal((9, 20)) + rng.standard_normal((n, 20))
        for m in range(3)
    }
    return parts, active


def recovery(seeds: range) -> None:
    for n in (300, 100):
        found = []
        for seed in seeds:
            parts, active = simulated(seed, n)
            relevance = GroupFactorAnalysis().fit(parts).relevance_.to_numpy() > 0
            found.append(sorted(map(tuple, relevance.T)) == sorted(map(tuple, active.T)))
        print(f"{n} rows: exact pattern in {sum(found)} of {len(found)}", flush=True)


def likelihood(seeds: range) -> None:
    gaps: dict[str, list[float]] = {"no relevance": [], "relevance": []}
    for seed in seeds:
        X = np.hstack(list(simulated(seed, 600)[0].values()))
        train, test = X[:300], X[300:]
        expected = FactorAnalysis(9, tol=1e-6, max_iter=2000).fit(train).score(test)
        plain = GroupFactorAnalysis(9, relevance=False, tol=1e-7, max_iter=2000).fit(train)
        gaps["no relevance"].append((plain.score(test) - expected) / X.shape[1])
        gaps["relevance"].append((GroupFactorAnalysis().fit(train).score(test) - expected) / 60)
    for name, values in gaps.items():
        print(f"{name}: above FactorAnalysis by {np.mean(values):.4f} nats per column "
              f"({min(values):.4f} to {max(values):.4f})", flush=True)  # fmt: skip


def missing(seeds: range) -> None:
    for share in (0.1, 0.5, 0.7, 0.9):
        for seed in seeds:
            train, test, y = mfeat(seed)
            holes = gappy(train, y, "random", share, seed)
            start = time.process_time()
            model = GroupFactorAnalysis().fit(holes)
            seconds = time.process_time() - start
            r2 = cross_r2(model.translate, train, test)
            print(f"mfeat {share:.0%} seed {seed}: {np.round(r2, 3)}, mean {r2.mean():.3f}, "
                  f"{model.n_components_} components, {seconds:.0f} s", flush=True)  # fmt: skip


def ridge(train: Modalities, test: Modalities, to: str) -> Array:
    """Return the predictions of tuned ridge on standardised columns."""
    others = [name for name in train.names if name != to]
    scaler = StandardScaler().fit(np.hstack([train[name] for name in others]))
    A, B = (scaler.transform(np.hstack([part[name] for name in others])) for part in (train, test))
    return RidgeCV(np.logspace(0, 6, 13)).fit(A, train[to]).predict(B)


def translation(seeds: range) -> None:
    tasks: dict[str, tuple[Any, tuple[int, ...]]] = {
        "nutrimouse": (fetch_nutrimouse, (20, 30)),
        "breast_tcga": (fetch_breast_tcga, (30, 60, 120)),
    }
    for name, (fetch, sizes) in tasks.items():
        X = fetch().data
        X = X.select([n for n in X.names if X.kinds[n] == "numeric"])
        complete = ~X.missing[list(X.names)].to_numpy().any(axis=1)
        X = Modalities({n: np.asarray(v, float) for n, v in X[complete].items()})
        for size in sizes:
            found: dict[str, list[float]] = {"ridge": [], "GroupFactorAnalysis": []}
            for seed in seeds:
                order = np.random.default_rng(seed).permutation(len(X))
                train, test = X[order[:size]], X[order[size:]]
                model = GroupFactorAnalysis().fit(train)
                for to in X.names:
                    rest = test.select([n for n in test.names if n != to])
                    for method, guess in (
                        ("ridge", ridge(train, test, to)),
                        ("GroupFactorAnalysis", model.translate(rest, to)),
                    ):
                        left = np.sum((test[to] - train[to].mean(axis=0)) ** 2)
                        found[method].append(1 - np.sum((test[to] - guess) ** 2) / left)
            means = "  ".join(
                f"{m} {np.reshape(v, (-1, len(X.names))).mean(axis=0).round(3)} {np.mean(v):.3f}"
                for m, v in found.items()
            )
            print(f"{name} {X.names}, {size} rows: {means}", flush=True)


def many_columns(_: range) -> None:
    X = fetch_scmt().data
    start = time.process_time()
    model = GroupFactorAnalysis().fit(X)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"scmt: {time.process_time() - start:.0f} s, {peak:.2f} GB, {model.n_components_} "
          f"components, {model.n_iter_} steps", flush=True)  # fmt: skip


TASKS = {
    "recovery": recovery,
    "likelihood": likelihood,
    "mfeat": missing,
    "translate": translation,
    "scmt": many_columns,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=list(TASKS))
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    TASKS[options.task](range(options.seeds))


if __name__ == "__main__":
    main()
