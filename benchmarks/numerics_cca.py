"""Agreement of CCA with the textbook solution on data that cost digits.

For every solver: the largest difference of the canonical correlations, and of those computed anew
from the projections of the rows (weights can be wrong where correlations are right). Then 100
chunks of `partial_fit` against one `fit`.
"""

import argparse
import warnings
from collections.abc import Callable

import numpy as np
from oracles import ReferenceCCA, centred, textbook_correlations
from sklearn.base import BaseEstimator

from skmm import CCA, Modalities

Array = np.ndarray
Pair = tuple[Array, Array]
SOLVERS = ("auto", "covariance", "svd", "randomized")


def random_data(n: int, rng: np.random.Generator) -> Pair:
    """Ten shared directions in 40 + 30 columns."""
    Z = rng.standard_normal((n, 10)) * np.linspace(3.0, 0.3, 10)
    X, Y = (Z @ rng.standard_normal((10, d)) / 3.0 + rng.standard_normal((n, d)) for d in (40, 30))
    return X, Y


def scaled(n: int, rng: np.random.Generator) -> Pair:
    """Columns whose scales lie up to 1e8 apart."""
    X, Y = random_data(n, rng)
    return X * np.logspace(-4, 4, X.shape[1]), Y * rng.permutation(np.logspace(-4, 4, Y.shape[1]))


def offset(n: int, rng: np.random.Generator) -> Pair:
    """Means of 1e6 standard deviations."""
    X, Y = random_data(n, rng)
    return X + 1e6, Y - 1e6


def duplicated(n: int, rng: np.random.Generator) -> Pair:
    """Every fourth column twice, and one a sum of others."""
    X, Y = random_data(n, rng)
    return np.hstack([X, X[:, ::4], X[:, :5].sum(axis=1, keepdims=True)]), np.hstack([Y, Y[:, ::4]])


def small_difference(n: int, rng: np.random.Generator) -> Pair:
    """Two columns of each side differ by 1e-6 of their scale, and the signal is there."""
    X, Y = random_data(n, rng)
    signal = rng.standard_normal(n)
    for Z in (X, Y):
        Z[:, 1] = Z[:, 0] + 1e-6 * (signal + 0.1 * rng.standard_normal(n))
    return X, Y


def wide(n: int, rng: np.random.Generator) -> Pair:
    """More columns than rows on one side: some correlations are exactly 1."""
    Y = rng.standard_normal((60, 8))
    return np.hstack([rng.standard_normal((60, 90)), Y[:, :2] + rng.standard_normal((60, 2))]), Y


CASES: dict[str, tuple[Callable[[int, np.random.Generator], Pair], float]] = {
    "random": (random_data, 1e-8),
    "scales 1e8 apart": (scaled, 1e-8),
    "offset 1e6": (offset, 1e-8),
    "duplicated columns": (duplicated, 1e-8),
    "difference of 1e-6": (small_difference, 1e-6),
    "more columns than rows": (wide, 1e-8),
}


def projected_correlations(model: BaseEstimator, X: Modalities) -> Array:
    """Return Pearson's correlations of the projections of the rows."""
    a, b = (centred(code) for code in model.transform_each(X).values())
    return np.sum(a * b, axis=0) / np.linalg.norm(a, axis=0) / np.linalg.norm(b, axis=0)


def agreement(pair: Pair, solver: str, n_components: int | None) -> str:
    """Fit and return the two differences, or what went wrong."""
    truth = textbook_correlations(*pair)
    X = Modalities({"x": pair[0], "y": pair[1]})
    try:
        model = CCA(n_components, solver=solver, random_state=0).fit(X)
        rho = model.canonical_correlations_
        if n_components is None and len(rho) != len(truth):
            return f"{len(rho)} components, not {len(truth)}"
        by_value = np.abs(rho - truth[: len(rho)]).max()
        by_rows = np.abs(projected_correlations(model, X) - truth[: len(rho)]).max()
    except (ValueError, np.linalg.LinAlgError) as error:
        return f"{type(error).__name__}: {error}"
    return f"{by_value:.1e} {by_rows:.1e}"


def report_agreement(n: int, seed: int) -> None:
    """Print a row per case and number of components, a column per solver."""
    print("| case | k | must | " + " | ".join(SOLVERS) + " |")
    print("|---|---|---|" + "---|" * len(SOLVERS))
    for name, (make, tolerance) in CASES.items():
        pair = make(n, np.random.default_rng(seed))
        for k in (None, 5):
            cells = [agreement(pair, solver, k) for solver in SOLVERS]
            print(f"| {name} | {k or 'all'} | {tolerance:.0e} | {' | '.join(cells)} |", flush=True)


def report_three_blocks(n: int, seed: int) -> None:
    """Print the agreement of three blocks with MAXVAR solved by singular values."""
    X, Y = random_data(n, np.random.default_rng(seed))
    blocks = [X[:, :20] * 1e6, X[:, 20:] + 1e5, Y]
    truth = ReferenceCCA(10, scale=True).fit(blocks).transform_each(blocks)
    modalities = Modalities(dict(zip("abc", blocks, strict=True)))
    for solver in SOLVERS:
        model = CCA(10, solver=solver, random_state=0).fit(modalities)
        codes = model.transform_each(modalities)
        gaps = [
            np.abs(a * np.sign(np.sum(a * b, axis=0)) - b).max()
            for a, b in zip(codes.values(), truth, strict=True)
        ]
        print(f"three modalities, maxvar, {solver}: projections differ by {max(gaps):.1e}")


def report_partial_fit(n: int, seed: int, n_chunks: int = 100) -> None:
    """Print how far chunks and one fit are apart, each quantity relative to its largest entry."""
    for name in ("random", "scales 1e8 apart", "offset 1e6"):
        pair = CASES[name][0](n, np.random.default_rng(seed))
        X = Modalities({"x": pair[0], "y": pair[1]})
        whole, chunked = CCA().fit(X), CCA()
        for rows in np.array_split(np.arange(n), n_chunks):
            chunked.partial_fit(X[rows])
        gaps = {
            "correlations": _gap(whole.canonical_correlations_, chunked.canonical_correlations_),
            "weights": max(_gap(w, chunked.weights_[m]) for m, w in whole.weights_.items()),
            "loadings": max(_gap(w, chunked.loadings_[m]) for m, w in whole.loadings_.items()),
            "projections": _gap(whole.transform(X), chunked.transform(X)),
        }
        print(f"partial_fit, {n_chunks} chunks, {name}: "
              + ", ".join(f"{key} {gap:.1e}" for key, gap in gaps.items()))  # fmt: skip


def _gap(a: Array, b: Array) -> float:
    """Largest difference relative to the largest entry of each row (a column's units)."""
    size = np.abs(a).max(axis=-1, keepdims=True)
    return float((np.abs(a - b) / np.where(size > 0, size, 1.0)).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-samples", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)  # of correlations that are exactly 1
    report_agreement(options.n_samples, options.seed)
    print()
    report_three_blocks(options.n_samples, options.seed)
    report_partial_fit(options.n_samples, options.seed)


if __name__ == "__main__":
    main()
