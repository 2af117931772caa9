"""GroupFactorAnalysis: what it finds where the truth is known, and how it predicts on real data.

``python benchmarks/group_factors.py recovery`` prints in how many of 20 simulations the pattern of
shared and private components is found exactly (3 modalities of 20 columns, 3 shared and 2 private
components each, loadings N(0, 1), noise variance 1), ``likelihood`` the difference to
scikit-learn's FactorAnalysis in held-out nats per column, ``mfeat`` R² of each modality from the
others after training with missing modalities (the protocol of missing_modalities.py; of columns
divided by their standard deviations), ``translate`` R² against tuned ridge with few rows, ``few``
the same of the data on which the predictions were developed, and ``blocks``, ``cells``, ``rows``
and ``scmt`` processor seconds and memory: 1600 rows of 643 columns in 5 modalities, of which half
are missing; 5000 of 400, 1 % of the cells and 30 % of the modalities missing; 100 000 of 400 with
30 patterns; 87 of 20 000 with most cells missing.
"""

import argparse
import resource
import time
import warnings
from collections.abc import Callable

import numpy as np
from missing_modalities import gappy, mfeat
from sklearn.datasets import load_digits
from sklearn.decomposition import FactorAnalysis
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from skmm import GroupFactorAnalysis, Modalities
from skmm.datasets import fetch_breast_tcga, fetch_mfeat, fetch_nutrimouse, fetch_scmt

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


def standardised_r2(model: GroupFactorAnalysis, train: Modalities, test: Modalities) -> Array:
    """Return R² of each modality from the others, columns divided by standard deviations."""
    found = []
    for name in test.names:
        known = np.asarray(train[name])
        scale = np.where(known.std(axis=0) > 1e-9, known.std(axis=0), 1.0)
        guess = model.translate(test.select([n for n in test.names if n != name]), name)
        wrong = np.sum(((test[name] - guess) / scale) ** 2)
        found.append(1 - wrong / np.sum(((test[name] - known.mean(axis=0)) / scale) ** 2))
    return np.array(found)


def missing(seeds: range) -> None:
    for share in (0.1, 0.5, 0.7, 0.9):
        for seed in seeds:
            train, test, y = mfeat(seed)
            holes = gappy(train, y, "random", share, seed)
            start = time.process_time()
            model = GroupFactorAnalysis().fit(holes)
            seconds = time.process_time() - start
            r2 = standardised_r2(model, train, test)
            print(f"mfeat {share:.0%} seed {seed}: {np.round(r2, 3)}, mean {r2.mean():.3f}, "
                  f"{model.n_components_} components, {seconds:.0f} s", flush=True)  # fmt: skip


def ridge(train: Modalities, test: Modalities, to: str) -> Array:
    """Return the predictions of tuned ridge on standardised columns."""
    others = [name for name in train.names if name != to]
    scaler = StandardScaler().fit(np.hstack([train[name] for name in others]))
    A, B = (scaler.transform(np.hstack([part[name] for name in others])) for part in (train, test))
    return RidgeCV(np.logspace(0, 6, 13)).fit(A, train[to]).predict(B)


def numeric(X: Modalities) -> Modalities:
    """Return the modalities of numbers, of the rows that have all of them."""
    X = X.select([n for n in X.names if X.kinds[n] == "numeric"])
    complete = ~X.missing[list(X.names)].to_numpy().any(axis=1)
    return Modalities({n: np.asarray(v, float) for n, v in X[complete].items()})


def halves() -> Modalities:
    images = load_digits().data
    return Modalities({"upper": images[:, :32], "lower": images[:, 32:]})


def translation(seeds: range) -> None:
    against_ridge("nutrimouse", numeric(fetch_nutrimouse().data), (20, 30), seeds)
    against_ridge("breast_tcga", numeric(fetch_breast_tcga().data), (30, 60, 120), seeds)


def few(seeds: range) -> None:
    names = ["fac", "fou", "kar", "pix", "zer"]
    against_ridge("digits", halves(), (40, 100, 400), seeds)
    against_ridge("mfeat", numeric(fetch_mfeat().data.select(names)), (40, 100), seeds)


def against_ridge(name: str, X: Modalities, sizes: tuple[int, ...], seeds: range) -> None:
    """Print R² of each modality from the others, relative to training means."""
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


def timed(name: str, X: Modalities) -> None:
    start = time.process_time()
    model = GroupFactorAnalysis().fit(X)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{name}: {time.process_time() - start:.0f} s, {peak:.2f} GB, {model.n_components_} "
          f"components, {model.n_iter_} steps", flush=True)  # fmt: skip


def many(n: int, widths: tuple[int, ...], n_patterns: int, cells: float) -> Modalities:
    """Return rows with 30 components, modalities missing in so many patterns, and cells."""
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((n, 30)) * np.linspace(2.0, 0.3, 30)
    parts = {}
    for m, width in enumerate(widths):
        loadings = rng.standard_normal((30, width)) * (rng.random(30) < 0.6)[:, None]
        parts[f"m{m}"] = Z @ loadings + 2.0 * rng.standard_normal((n, width))
        parts[f"m{m}"][rng.random((n, width)) < cells] = np.nan
    patterns = rng.random((n_patterns, len(widths))) < 0.3
    patterns[patterns.all(axis=1), 0] = False
    return Modalities(parts, missing=patterns[rng.integers(n_patterns, size=n)])


def blocks(_: range) -> None:
    train, _test, y = mfeat(0)
    timed("blocks", gappy(train, y, "random", 0.5, 0))


TASKS: dict[str, Callable[[range], None]] = {
    "recovery": recovery,
    "likelihood": likelihood,
    "mfeat": missing,
    "translate": translation,
    "few": few,
    "blocks": blocks,
    "cells": lambda _: timed("cells", many(5000, (100,) * 4, 5000, 0.01)),
    "rows": lambda _: timed("rows", many(100_000, (80,) * 5, 30, 0.0)),
    "scmt": lambda _: timed("scmt", fetch_scmt().data),
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
