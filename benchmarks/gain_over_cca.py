"""DeepCCA with default settings against linear CCA where the truth is, or may be, linear.

Both sides fit the same rows; CCA's shrinkage is chosen by five folds. Differences of held-out
total correlations are relative to the mean of CCA's; the interval is one-sided, of the mean over
seeds.
"""

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
from scipy import stats
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit

from skmm import CCA, DeepCCA, Modalities
from skmm.datasets import (
    fetch_mfeat,
    fetch_nutrimouse,
    fetch_snareseq,
    fetch_wikipedia,
)
from skmm.metrics import get_scorer

SHRINKAGES = [0.0, 1e-3, 0.01, 0.1, 0.3, 0.6, 0.9]
CORRELATIONS = np.linspace(0.95, 0.55, 10)  # their sum is 7.5


def gaussian(n_samples: int, seed: int) -> tuple[Modalities, Modalities]:
    """Return 100 + 100 columns of normal data with ten canonical correlations, and test rows."""
    rng = np.random.default_rng(seed)
    n = n_samples + 10_000
    z = rng.standard_normal((n, 10))
    parts = {}
    for name in ("a", "b"):
        noise = rng.standard_normal((n, 100))
        noise[:, :10] = np.sqrt(CORRELATIONS) * z + np.sqrt(1 - CORRELATIONS) * noise[:, :10]
        parts[name] = noise @ rng.standard_normal((100, 100))
    X = Modalities(parts)
    return X[:n_samples], X[n_samples:]


def halves(X: Modalities, seed: int) -> tuple[Modalities, Modalities]:
    """Return three quarters of the rows and the rest."""
    ((train, test),) = ShuffleSplit(1, test_size=0.25, random_state=seed).split(X)
    return X[train], X[test]


def real(load: Callable[[], Modalities]) -> Callable[[int], tuple[Modalities, Modalities]]:
    return lambda seed: halves(load(), seed)


CASES: dict[str, Callable[[int], tuple[Modalities, Modalities]]] = {
    "Gaussian, n=300": lambda seed: gaussian(300, seed),
    "Gaussian, n=2000": lambda seed: gaussian(2000, seed),
    "Gaussian, n=20000": lambda seed: gaussian(20_000, seed),
    "mfeat fou/kar": real(lambda: fetch_mfeat().data.select(["fou", "kar"])),
    "mfeat fac/pix": real(lambda: fetch_mfeat().data.select(["fac", "pix"])),
    "Wikipedia": real(lambda: fetch_wikipedia().data),
    "SNARE-seq": real(lambda: fetch_snareseq().data),
    "nutrimouse": real(lambda: fetch_nutrimouse().data),
}


def tuned(train: Modalities, n_components: int) -> GridSearchCV:
    """Return CCA with the shrinkage that is best in folds."""
    folds = KFold(5, shuffle=True, random_state=0)
    grid, scorer = {"shrinkage": SHRINKAGES}, get_scorer("total_correlation")
    return GridSearchCV(CCA(n_components), grid, cv=folds, scoring=scorer).fit(train)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"of {list(CASES)}; all by default")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    for name in options.cases or CASES:
        pairs, kept, seconds = [], 0, 0.0
        for seed in range(options.seeds):
            train, test = CASES[name](seed)
            start = time.perf_counter()
            model = DeepCCA(10, random_state=seed).fit(train)
            seconds += time.perf_counter() - start
            deep, linear = model.score(test), tuned(train, model.n_components_).score(test)
            pairs.append((deep, linear))
            kept += model.linear_share_ == 1
            note = "kept the linear solution" if model.linear_share_ == 1 else ""
            line = f"  {name}, seed {seed}: CCA {linear:.3f}  DeepCCA {deep:.3f}  {note}"
            print(line, flush=True)
        deep, linear = np.transpose(pairs)
        gains = (deep - linear) / np.mean(linear)
        error = np.std(gains, ddof=1) / np.sqrt(len(gains))
        lower = np.mean(gains) - stats.t.ppf(0.95, len(gains) - 1) * error
        print(
            f"{name}: gain {100 * np.mean(gains):+.2f} %, 95 % one-sided from {100 * lower:+.2f} %"
            f"; linear kept in {kept} of {len(gains)}; {seconds / len(gains):.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
