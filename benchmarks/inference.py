"""Simulations of inference: do intervals contain, and tests reject, as often as they say?

`intervals` draws Gaussian data of known covariance and counts how often the intervals of
`skmm.inspection` contain their estimand, beside simpler intervals written in NumPy. `levels` draws
data with known components and counts how often a test finds one more.
"""

import argparse
from collections.abc import Iterator
from unittest import mock

import numpy as np
from scipy import linalg, stats

from skmm import CCA
from skmm._permutation import _step_down
from skmm.datasets import make_shared_latent
from skmm.inspection import (
    correlation_intervals,
    loading_intervals,
    permutation_test,
    wilks_test,
)

Array = np.ndarray
Interval = tuple[Array, Array]
N_FITS = 2000  # behind each estimand
# Rows, columns of each of two modalities, population correlations.
SETTINGS = ((100, 10, (0.6,)), (300, 5, (0.8, 0.5)), (200, 8, (0.9,)))
LOADING_SETTINGS = ((300, 5, (0.8, 0.5)), (100, 5, (0.8, 0.5)))
# Rows, columns of the two modalities, population correlations, shrinkage.
LEVEL_SETTINGS = (
    (40, (3, 4), (), 0.0),
    (40, (3, 4), (0.8,), 0.0),
    (40, (3, 8), (0.9, 0.7), 0.0),
    (40, (15, 15), (0.95, 0.95, 0.95), 0.0),
    (100, (15, 15), (0.5,), 0.0),
    (40, (60, 50), (), 0.3),
)


def levels(options: argparse.Namespace) -> None:
    """Print how often the first component that is not there is found at a nominal 5 %."""
    print(f"Rejections in % (nominal 5) in {options.n_datasets} data sets, 99 permutations.")
    if options.paper:
        mock.patch.object(_step_down._Evaluation, "_step", _step_of_the_paper).start()
    for n, widths, rho, shrinkage in LEVEL_SETTINGS:
        found = [
            _false_discovery(n, widths, rho, shrinkage, seed) for seed in range(options.n_datasets)
        ]
        shares = {name: np.mean([each[name] for each in found]) for name in found[0]}
        row = ", ".join(f"{name} {100 * share:.1f}" for name, share in shares.items())
        print(f"n={n} p,q={widths} rho={rho} shrinkage={shrinkage}: {row}", flush=True)


def _step_of_the_paper(
    self: _step_down._Evaluation, cross: dict, along: list[Array], k: int
) -> float:
    """Permute the later variates as they are: nothing earlier is taken out of them again."""
    rest = {pair: block[k:, k:] for pair, block in cross.items()}
    return self.compute(rest, [gram[k:, k:] for gram in self.grams])


def _false_discovery(
    n: int, widths: tuple[int, int], rho: tuple[float, ...], shrinkage: float, seed: int
) -> dict[str, bool]:
    rng, k = np.random.RandomState(seed), len(rho)
    x, y = (rng.standard_normal((n, width)) for width in widths)
    y[:, :k] = x[:, :k] * rho + y[:, :k] * np.sqrt(1 - np.square(rho))
    cca = CCA(None if shrinkage else k + 1, shrinkage=shrinkage)
    statistics = ("pillai", "roy") if shrinkage else ("wilks", "pillai", "roy")
    p_values = {
        f"permuted {statistic}": permutation_test(
            cca, x, y, statistic=statistic, n_permutations=99, random_state=seed
        ).p_values[k]
        for statistic in statistics
    }
    if not shrinkage:
        for method in ("bartlett", "rao"):
            p_values[method] = wilks_test(cca, x, y, method=method).p_values[k]
    return {name: bool(p <= 0.05) for name, p in p_values.items()}


def intervals(options: argparse.Namespace) -> None:
    """Print the coverage of the intervals of held-out correlations and of loadings."""
    print(f"Coverage in % (nominal 95) of {options.n_datasets} data sets; mean widths in brackets.")
    print("\nCorrelations: components 0, ..., total")
    for n, p, rho in SETTINGS:
        for test_size in (0.5, 0.2):
            row = _split_coverage(n, p, rho, test_size, options)
            print(f"n={n} p=q={p} rho={rho}  test_size={test_size}: {row}", flush=True)
        row = _training_bootstrap_coverage(n, p, rho, options)
        print(f"n={n} p=q={p} rho={rho}  percentile bootstrap of training: {row}", flush=True)
    print("\nLoadings: components 0, ...")
    for n, p, rho in LOADING_SETTINGS:
        for name, row in _loading_coverage(n, p, rho, options).items():
            print(f"n={n} p=q={p} rho={rho}  {name}: {row}", flush=True)


def _split_coverage(
    n: int, p: int, rho: tuple[float, ...], test_size: float, options: argparse.Namespace
) -> str:
    """Held-out intervals, against the expectation over training sets of their size."""
    estimand = _expected_correlations(n - int(np.ceil(test_size * n)), p, rho)
    found = []
    for seed, data in _data_sets(n, p, rho, options.n_datasets):
        table = correlation_intervals(
            CCA(len(rho)), data.data, test_size=test_size, n_repeats=options.n_repeats,
            random_state=seed,
        )  # fmt: skip
        found.append(_hit((table["lower"].to_numpy(), table["upper"].to_numpy()), estimand))
    return f"{_summary(found)}  estimand {np.round(estimand, 3)}"


def _training_bootstrap_coverage(
    n: int, p: int, rho: tuple[float, ...], options: argparse.Namespace
) -> str:
    """The percentile bootstrap of training correlations, against what it is taken for."""
    targets = {
        "population": np.array(rho),
        "held out": _expected_correlations(n, p, rho)[:-1],
    }
    found: dict[str, list[tuple[Array, Array]]] = {name: [] for name in targets}
    for seed, data in _data_sets(n, p, rho, options.n_datasets):
        blocks = list(data.data.values())
        replicates = [
            _textbook(*[x[rows] for x in blocks], len(rho))[2]
            for rows in _bootstrap_rows(n, options.n_bootstrap, seed)
        ]
        interval = _percentiles(np.array(replicates))
        for name, target in targets.items():
            found[name].append(_hit(interval, target))
    return ", ".join(f"of {name} {_summary(hits)}" for name, hits in found.items())


def _loading_coverage(
    n: int, p: int, rho: tuple[float, ...], options: argparse.Namespace
) -> dict[str, str]:
    """Bootstrap intervals of loadings, and the same with other matchings and forms."""
    found: dict[str, list[tuple[Array, Array]]] = {}
    k = len(rho)
    for seed, data in _data_sets(n, p, rho, options.n_datasets):
        table = loading_intervals(
            CCA(k), data.data, n_bootstrap=options.n_bootstrap, random_state=seed
        )
        estimate, lower, upper = (
            table[name].to_numpy().reshape(2 * p, k) for name in ("estimate", "lower", "upper")
        )
        truth = _with_signs_of(_population_loadings(data), estimate)
        found.setdefault("skmm", []).append(_hit((lower, upper), truth))
        replicates = [
            _loadings([x[rows] for x in data.data.values()], k)
            for rows in _bootstrap_rows(n, options.n_bootstrap, seed)
        ]
        for name, interval in _other_intervals(estimate, replicates).items():
            found.setdefault(name, []).append(_hit(interval, truth))
    return {name: _summary(hits) for name, hits in found.items()}


def _other_intervals(estimate: Array, replicates: list[Array]) -> dict[str, Interval]:
    signed = np.array([_with_signs_of(l, estimate) for l in replicates])
    rotated = np.array([l @ linalg.orthogonal_procrustes(l, estimate)[0] for l in replicates])
    low, high = _percentiles(signed)
    return {
        "percentile, signs": (low, high),
        "basic, signs": (2 * estimate - high, 2 * estimate - low),
        "Fisher normal, Procrustes rotation": _fisher_normal(estimate, rotated),
    }


def _fisher_normal(estimate: Array, replicates: Array) -> Interval:
    margin = stats.norm.ppf(0.975) * np.arctanh(replicates).std(axis=0, ddof=1)
    centre = np.arctanh(estimate)
    return np.tanh(centre - margin), np.tanh(centre + margin)


def _data_sets(n: int, p: int, rho: tuple[float, ...], n_datasets: int) -> Iterator[tuple]:
    for seed in range(n_datasets):
        yield seed, make_shared_latent(n, correlations=rho, n_features=(p, p), random_state=seed)


def _bootstrap_rows(n: int, n_bootstrap: int, seed: int) -> Array:
    return np.random.default_rng(seed).integers(n, size=(n_bootstrap, n))


def _expected_correlations(n_train: int, p: int, rho: tuple[float, ...]) -> Array:
    """Return the mean over training sets of the correlations in the population, and their sum."""
    rng, found = np.random.default_rng(0), []
    sigma = np.zeros((p, p))
    np.fill_diagonal(sigma[: len(rho), : len(rho)], rho)
    for _ in range(N_FITS):
        a, b = rng.standard_normal((2, n_train, p))
        b = a @ sigma + b * np.sqrt(1 - np.diag(sigma) ** 2)
        wa, wb, _ = _textbook(a, b, len(rho))
        cross = np.sum(wa * (sigma @ wb), axis=0)
        found.append(cross / np.sqrt(np.sum(wa**2, axis=0) * np.sum(wb**2, axis=0)))
    mean = np.mean(found, axis=0)
    return np.append(mean, mean.sum())


def _population_loadings(data: dict) -> Array:
    """Return the loadings of both modalities: weights Q give x Q the unit variances."""
    parts = []
    for name, weights in data["weights"].items():
        covariance = data["covariances"][name, name]
        parts.append(covariance @ weights / np.sqrt(np.diag(covariance))[:, None])
    return np.vstack(parts)


def _textbook(a: Array, b: Array, k: int) -> tuple[Array, Array, Array]:
    (qa, ra), (qb, rb) = (np.linalg.qr(x - x.mean(axis=0)) for x in (a, b))
    U, rho, Vt = np.linalg.svd(qa.T @ qb)
    return np.linalg.solve(ra, U[:, :k]), np.linalg.solve(rb, Vt[:k].T), rho[:k]


def _loadings(blocks: list[Array], k: int) -> Array:
    weights = _textbook(*blocks, k)[:2]
    return np.vstack([_cross_correlation(x, x @ w) for x, w in zip(blocks, weights, strict=True)])


def _cross_correlation(x: Array, u: Array) -> Array:
    x, u = ((v - v.mean(axis=0)) / v.std(axis=0) for v in (x, u))
    return x.T @ u / len(x)


def _with_signs_of(loadings: Array, reference: Array) -> Array:
    return loadings * np.where(np.sum(loadings * reference, axis=0) < 0, -1, 1)


def _percentiles(replicates: Array) -> Interval:
    low, high = np.quantile(replicates, [0.025, 0.975], axis=0)
    return low, high


def _hit(interval: Interval, truth: Array) -> tuple[Array, Array]:
    """Return coverage and width per component, averaged over columns where there are any."""
    lower, upper = interval
    inside, width = (lower <= truth) & (truth <= upper), upper - lower
    return (inside.mean(axis=0), width.mean(axis=0)) if inside.ndim == 2 else (inside, width)


def _summary(found: list[tuple[Array, Array]]) -> str:
    coverage, width = (np.mean(part, axis=0) for part in zip(*found, strict=True))
    return " ".join(f"{100 * c:.0f} ({w:.2f})" for c, w in zip(coverage, width, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("intervals", help=intervals.__doc__)
    command.add_argument("--n-datasets", type=int, default=150)
    command.add_argument("--n-repeats", type=int, default=50)
    command.add_argument("--n-bootstrap", type=int, default=100)
    command.set_defaults(run=intervals)
    command = commands.add_parser("levels", help=levels.__doc__)
    command.add_argument("--paper", action="store_true", help="later steps exactly as published")
    command.add_argument("--n-datasets", type=int, default=400)
    command.set_defaults(run=levels)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
