"""Linear models where modalities are missing: do incomplete rows help, and against which rivals?

``python benchmarks/linear_gaps.py TASK`` with TASK one of

mfeat: R² of each modality from the others (standardised columns, complete held-out rows) after
training with 10, 50, 70 and 90 % of the modalities missing;
factors: three modalities of 6 columns, two shared factors, 200 rows, 40 % missing, against fitting
on complete rows alone;
pairs: two modalities of 10 and 8 columns, 150 rows of which 60 % are complete, 100 data sets;
directions: held-out total correlation of three components, 30 % of the modalities missing, with and
without the prior of the predictions;
few: R² of `translate` with few training rows against tuned ridge;
projections: R² of `translate` on complete data against ridge regression on k projections and on all
columns, and the chosen strength of the prior in pseudo-rows;
hidden: R² of hidden blocks of mfeat and CLL against the strongest rivals;
seconds: processor seconds and memory of large fits.
"""

import argparse
import resource
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any
from unittest import mock

import numpy as np
from group_factors import ridge
from missing_modalities import gappy, mfeat
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.linear_model import RidgeCV

from skmm import CCA, GroupFactorAnalysis, Modalities
from skmm.datasets import (
    fetch_breast_tcga,
    fetch_cll,
    fetch_mfeat,
    fetch_nutrimouse,
    fetch_scmt,
    load_digits_halves,
)

Array = np.ndarray
MODELS: dict[str, Callable[[], Any]] = {"CCA": CCA, "GroupFactorAnalysis": GroupFactorAnalysis}


def translated(model: Any, test: Modalities, to: str) -> Array:
    return model.translate(test.select([name for name in test.names if name != to]), to)


def standardised_r2(model: Any, train: Modalities, test: Modalities) -> list[float]:
    """Return R² of each modality, pooled over columns in units of their training deviation."""
    found = []
    for to in test.names:
        known = np.asarray(train[to], dtype=float)
        varies = known.std(axis=0) > 0
        true, guess = np.asarray(test[to], dtype=float), translated(model, test, to)
        left, total = true - guess, true - known.mean(axis=0)
        squares = [np.sum((part[:, varies] / known.std(axis=0)[varies]) ** 2)
                   for part in (left, total)]  # fmt: skip
        found.append(1 - squares[0] / squares[1])
    return found


def report(name: str, scores: dict[str, list[Any]]) -> None:
    means = "  ".join(f"{method} {np.mean(values):.3f}" for method, values in scores.items())
    print(f"{name}: {means}", flush=True)


def task_mfeat(seeds: range) -> None:
    for share in (0.1, 0.5, 0.7, 0.9):
        scores: dict[str, list[Any]] = {name: [] for name in MODELS}
        for seed in seeds:
            train, test, y = mfeat(seed)
            holes = gappy(train, y, "random", share, seed)
            for name, make in MODELS.items():
                start = time.process_time()
                scores[name].append(standardised_r2(make().fit(holes), train, test))
                print(f"  {name} {share:.0%} seed {seed}: {np.mean(scores[name][-1]):.3f}, "
                      f"{time.process_time() - start:.0f} s", flush=True)  # fmt: skip
        report(f"mfeat, {share:.0%} missing", scores)


def draw(
    rng: np.random.Generator, n: int, widths: dict[str, int], n_factors: int, size: float = 1.0
) -> tuple[Modalities, Modalities]:
    """Return training rows and 2000 test rows of shared factors."""
    z = rng.standard_normal((n + 2000, n_factors))
    parts = {
        name: size * z @ rng.standard_normal((n_factors, d)) + rng.standard_normal((len(z), d))
        for name, d in widths.items()
    }
    X = Modalities(parts)
    return X[:n], X[n:]


def against_complete(train: Modalities, test: Modalities, holes: Modalities) -> tuple[float, float]:
    """Return R² of CCA fitted on all rows and on the complete ones."""
    kept = ~holes.missing.to_numpy().any(axis=1)
    models = CCA().fit(holes), CCA().fit(train[kept])
    all_rows, complete = (float(np.mean(standardised_r2(m, train, test))) for m in models)
    return all_rows, complete


def task_factors(seeds: range) -> None:
    found = []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        train, test = draw(rng, 200, dict.fromkeys("abc", 6), 2, size=0.7)
        holes = train.with_gaps(0.4, random_state=rng)
        found.append(against_complete(train, test, holes))
    a, b = np.transpose(found)
    print(f"all rows {np.median(a):.3f}, worst {a.min():.3f}; complete rows {np.median(b):.3f}; "
          f"better in {np.sum(a > b)} of {len(a)}")  # fmt: skip


def task_pairs(seeds: range) -> None:
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        train, test = draw(rng, 150, {"a": 10, "b": 8}, 3, size=0.5)
        mask = np.zeros((150, 2), dtype=bool)
        lacking = rng.permutation(150)[:60]
        mask[lacking, rng.integers(2, size=60)] = True
        found.append(against_complete(train, test, Modalities(dict(train.items()), missing=mask)))
    difference = np.subtract(*np.transpose(found))
    error = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
    print(f"all rows less complete rows: {difference.mean():.4f} ± {error:.4f} (95 %), "
          f"R² {np.mean(found, axis=0).round(3)}")  # fmt: skip


def correlated(rng: np.random.Generator, names: str, *, rotated: bool) -> Modalities:
    """Return rows with three canonical correlations per pair, in ten columns that are mixed."""
    root = np.sqrt([0.9, 0.8, 0.7])
    z, parts = rng.standard_normal((2200, 3)), {}
    for name in names:
        x, mix = rng.standard_normal((2200, 10)), rng.standard_normal((10, 10))
        x[:, :3] = root * z + np.sqrt(1 - root**2) * x[:, :3]
        parts[name] = x @ (np.linalg.qr(mix)[0] if rotated else mix)
    return Modalities(parts)


def task_directions(seeds: range) -> None:
    prior = mock.patch("skmm._cca._incomplete.without_prior", lambda gaussian, *_: gaussian)
    for rotated in (False, True):
        for names in ("ab", "abc"):
            scores: dict[str, list[Any]] = {}
            for seed in range(20):
                rng = np.random.default_rng(seed)
                X = correlated(rng, names, rotated=rotated)
                train, test = X[:200], X[200:]
                holes = train.with_gaps(0.3, random_state=rng)
                kept = ~holes.missing.to_numpy().any(axis=1)
                with prior:
                    models = {"with the prior": CCA(3).fit(holes)}
                models |= {"without": CCA(3).fit(holes), "complete rows": CCA(3).fit(train[kept]),
                           "nothing missing": CCA(3).fit(train)}  # fmt: skip
                for name, model in models.items():
                    scores.setdefault(name, []).append(model.score(test))
            report(f"{'rotation' if rotated else 'normal matrix'}, {len(names)} modalities", scores)


def task_few(seeds: range) -> None:
    data = {
        "nutrimouse": (fetch_nutrimouse, (20, 30)),
        "breast_tcga": (fetch_breast_tcga, (30, 60, 120)),
    }
    for name, (fetch, sizes) in data.items():
        X = fetch().data
        X = X.select([n for n in X.names if X.kinds[n] == "numeric"])
        complete = ~X.missing[list(X.names)].to_numpy().any(axis=1)
        X = Modalities({n: np.asarray(v, float) for n, v in X[complete].items()})
        for size in sizes:
            scores: dict[str, list[float]] = {"ridge": [], **{m: [] for m in MODELS}}
            for seed in seeds:
                order = np.random.default_rng(seed).permutation(len(X))
                train, test = X[order[:size]], X[order[size:]]
                fitted = {m: make().fit(train) for m, make in MODELS.items()}
                for to in X.names:
                    total = np.sum((test[to] - train[to].mean(axis=0)) ** 2)
                    guesses = {"ridge": ridge(train, test, to)}
                    guesses |= {m: translated(model, test, to) for m, model in fitted.items()}
                    for m, guess in guesses.items():
                        scores[m].append(1 - np.sum((test[to] - guess) ** 2) / total)
            report(f"{name}, {size} rows", scores)


def through(k: int, train: Modalities, test: Modalities, to: str) -> Array:
    """Return predictions by tuned ridge regression on k projections of each other modality."""
    cca = CCA(k, shrinkage="auto").fit(train)
    codes = []
    for X in (train, test):
        each = cca.transform_each(X)
        codes.append(np.hstack([each[name] for name in X.names if name != to]))
    return RidgeCV(np.logspace(-3, 4, 15)).fit(codes[0], train[to]).predict(codes[1])


def task_projections(seeds: range) -> None:
    numbers = ["fac", "fou", "kar", "pix", "zer"]
    data = {
        "nutrimouse": (fetch_nutrimouse().data, (30,)),
        "breast_tcga": (
            fetch_breast_tcga().data.select(["mirna", "mrna", "protein"]),
            (30, 60, 120),
        ),
        "digits halves": (load_digits_halves().data, (600,)),
        "mfeat": (fetch_mfeat().data.select(numbers), (40, 100, 300, 1000)),
    }
    for name, (X, sizes) in data.items():
        complete = ~X.missing.to_numpy().any(axis=1)
        X = Modalities({n: np.asarray(v, float) for n, v in X[complete].items()})
        for size in sizes:
            scores: dict[str, list[float]] = {}
            for seed in seeds:
                order = np.random.default_rng(seed).permutation(len(X))
                train, test = X[order[:size]], X[order[size : size + 500]]
                cca = CCA(1).fit(train)
                c = cca._model.gaussian.shrinkage
                scores.setdefault("pseudo-rows", []).append(size * c / (1 - c))
                for to in X.names:
                    scale = train[to].std(axis=0)
                    scale = np.where(scale > 0, scale, np.inf)
                    guesses = {f"k = {k}": through(k, train, test, to) for k in (5, 20)}
                    guesses |= {"CCA": translated(cca, test, to), "ridge": ridge(train, test, to)}
                    total = np.sum(((test[to] - train[to].mean(axis=0)) / scale) ** 2)
                    for method, guess in guesses.items():
                        left = np.sum(((test[to] - guess) / scale) ** 2)
                        scores.setdefault(method, []).append(1 - left / total)
            report(f"{name}, {size} rows", scores)


def blocks_of(widths: list[int]) -> list[slice]:
    ends = np.cumsum([0, *widths]).tolist()
    return [slice(a, b) for a, b in pairwise(ends)]


def ridge_per_pattern(rows: Array, blocks: list[slice]) -> Array:
    """Fill a modality by ridge regression on what the row has, on the rows that have all of it.

    Single gaps are filled with means first.
    """
    filled, missing = rows.copy(), [np.isnan(rows[:, b]).all(axis=1) for b in blocks]
    means = np.nanmean(rows, axis=0)
    for m, block in enumerate(blocks):
        gaps = np.isnan(filled[:, block]) & ~missing[m][:, None]
        filled[:, block] = np.where(gaps, means[block], filled[:, block])
    observed, complete = ~np.array(missing).T, filled.copy()
    for pattern in np.unique(observed, axis=0):
        here = (observed == pattern).all(axis=1)
        inputs = np.concatenate(
            [np.r_[b] for b, there in zip(blocks, pattern, strict=True) if there]
        )
        for block, there in zip(blocks, pattern, strict=True):
            if there:
                continue
            known = observed[:, pattern].all(axis=1) & ~np.isnan(filled[:, block]).any(axis=1)
            if known.sum() < 5:
                complete[here, block] = means[block]
                continue
            model = RidgeCV(np.logspace(0, 6, 13)).fit(
                filled[known][:, inputs], filled[known, block]
            )
            complete[here, block] = model.predict(filled[here][:, inputs])
    return complete


def iterative(rows: Array, blocks: list[slice]) -> Array:
    model = IterativeImputer(n_nearest_features=30, max_iter=5, random_state=0)
    return model.fit_transform(rows)


def own(make: Callable[[], Any]) -> Callable[[Array, list[slice]], Array]:
    def fill(rows: Array, blocks: list[slice]) -> Array:
        X = Modalities({f"m{m}": rows[:, b] for m, b in enumerate(blocks)})
        return np.hstack(list(make().fit(X).impute(X).values()))

    return fill


def hidden_sets(seed: int) -> Iterator[tuple[str, Array, Array, list[slice]]]:
    """Yield a name, the true rows, those with hidden entries, and the columns of modalities."""
    rng = np.random.default_rng(seed)
    train, _, _ = mfeat(seed)
    for name, n in (("mfeat, 1600 rows", 1600), ("mfeat, 300 rows", 300), ("mfeat, 100 rows", 100)):
        X = train[:n]
        holes = X.with_gaps(0.3, random_state=rng).missing.to_numpy()
        widths = [X[k].shape[1] for k in X.names]
        rows = np.hstack([np.asarray(v, float) for v in X.values()])
        yield (
            name,
            rows,
            np.where(np.repeat(holes, widths, axis=1), np.nan, rows),
            blocks_of(widths),
        )
    X = fetch_cll().data.select(["drugs", "mutations"])
    rows = np.hstack([np.asarray(v, float) for v in X.values()])
    rows = rows[~np.isnan(rows).all(axis=1)]
    hide = ~np.isnan(rows) & (rng.random(rows.shape) < 0.1)
    yield "CLL", rows, np.where(hide, np.nan, rows), blocks_of([X[k].shape[1] for k in X.names])


def task_hidden(seeds: range) -> None:
    rivals = {"ridge per pattern": ridge_per_pattern, "IterativeImputer": iterative}
    fills = {name: own(make) for name, make in MODELS.items()} | rivals
    found: dict[str, dict[str, list[float]]] = {}
    for seed in seeds:
        for data, true, rows, blocks in hidden_sets(seed):
            keep = np.nanstd(rows, axis=0) > 0
            blocks = blocks_of([int(keep[b].sum()) for b in blocks])
            mean, scale = np.nanmean(rows, axis=0)[keep], np.nanstd(rows, axis=0)[keep]
            Z, T = (rows[:, keep] - mean) / scale, (true[:, keep] - mean) / scale
            hidden = np.isnan(Z) & ~np.isnan(T)
            for name, fill in fills.items():
                left, total = (np.where(hidden, A, 0.0) ** 2 for A in (T - fill(Z, blocks), T))
                r2 = [1 - left[:, b].sum() / total[:, b].sum() for b in blocks]
                found.setdefault(data, {}).setdefault(name, []).append(float(np.mean(r2)))
        for data, scores in found.items():
            report(f"{data}, {seed + 1} seeds", scores)


def patterned(n: int, widths: list[int], n_patterns: int, rng: np.random.Generator) -> Modalities:
    """Return rows of 20 shared factors that lack modalities in so many patterns."""
    X, _ = draw(rng, n, {f"m{m}": d for m, d in enumerate(widths)}, 20, size=0.3)
    masks = rng.random((n_patterns, len(widths))) < 0.3
    masks[np.arange(n_patterns), rng.integers(len(widths), size=n_patterns)] = False
    return Modalities(dict(X.items()), missing=masks[rng.integers(n_patterns, size=n)])


def large() -> dict[str, Callable[[], Modalities]]:
    """Return the data sets of the table of seconds."""
    rng = np.random.default_rng(0)

    def cells() -> Modalities:
        X = patterned(5000, [100] * 4, 16, rng)
        return X.with_gaps(0.01, mechanism="entries", random_state=rng)

    def handwritten() -> Modalities:
        train, _, y = mfeat(0)
        return gappy(train, y, "random", 0.5, 0)

    return {
        "mfeat, 1600 x 643, 50 % of blocks": handwritten,
        "5000 x 400, 1 % of cells, 30 % of blocks": cells,
        "100000 x 400, 30 patterns": lambda: patterned(100_000, [40] * 10, 30, rng),
        "scmt, 87 x 20000, 76 to 88 % of the methylation": lambda: fetch_scmt().data,
    }


def task_seconds(seeds: range) -> None:
    for data, make_data in large().items():
        X = make_data()
        for name, make in MODELS.items():
            start = time.process_time()
            try:
                make().fit(X)
            except ValueError as error:
                print(f"{data}: {name} refuses: {error}", flush=True)
                continue
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(
                f"{data}: {name} {time.process_time() - start:.1f} s, peak {peak:.1f} GB",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "task", choices=[n.removeprefix("task_") for n in globals() if n.startswith("task_")]
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", help="names of methods")
    args = parser.parse_args()
    for name in set(MODELS) - set(args.only or MODELS):
        del MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        globals()[f"task_{args.task}"](range(args.seeds))


if __name__ == "__main__":
    main()
