"""How often CCA("auto") finds the right number of components.

Prints the table of docs/decisions/linear_cca.md: three shared dimensions in ten columns per
modality, and none in eight; beside it what Wilks' test (Bartlett's approximation, at 5 %) finds in
complete pairs.
"""

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from skmm import CCA, Modalities
from skmm.inspection import wilks_test

Array = np.ndarray
Data = dict[str, Array]
RHO = np.array([0.9, 0.6, 0.4])


def loud(n: int, rng: np.random.Generator, names: str = "ab") -> Data:
    """Loadings at random, and noise of half their size."""
    z = rng.standard_normal((n, 3))
    return {
        name: z @ rng.standard_normal((3, 10)) + 0.5 * rng.standard_normal((n, 10))
        for name in names
    }


def graded(n: int, rng: np.random.Generator, names: str = "ab") -> Data:
    """True correlations .9, .6 and .4."""
    z, data = rng.standard_normal((n, 3)), {}
    for name in names:
        x = rng.standard_normal((n, 10))
        x[:, :3] = np.sqrt(RHO) * z + np.sqrt(1 - RHO) * x[:, :3]
        data[name] = x @ rng.standard_normal((10, 10))
    return data


def gappy(data: Data, rng: np.random.Generator) -> Modalities:
    """Leave out each modality in 30 % of the rows, but not all of a row."""
    mask = rng.uniform(size=(len(data["a"]), len(data))) < 0.3
    mask[mask.all(axis=1)] = False
    return Modalities(data, missing=dict(zip(data, mask.T, strict=True)))


NOISE: dict[str, Callable[[Any], Array]] = {
    "normal": lambda rng: rng.standard_normal((200, 8)),
    "t, 3 degrees of freedom": lambda rng: rng.standard_t(3, (200, 8)),
    "Poisson, mean .1": lambda rng: rng.poisson(0.1, (200, 8)).astype(float),
    "2 % not zero": lambda rng: (
        (rng.uniform(size=(2000, 8)) < 0.02) * rng.exponential(size=(2000, 8))
    ),
}


def share(make: Callable[[Any], tuple[Any, Any, dict[str, Any]]], n_sets: int, wanted: int) -> str:
    """Return how often CCA, and Wilks' test where it can, find the wanted number."""
    own, others = 0, 0
    for seed in range(n_sets):
        X, weight, options = make(np.random.default_rng(seed))
        cca = CCA("auto", random_state=seed, **options).fit(X, sample_weight=weight)
        own += cca.n_components_ == wanted
        if isinstance(X, dict) and len(X) == 2 and not options and weight is None:
            others += max(1, int(np.sum(wilks_test(CCA(), X).p_values <= 0.05))) == wanted
    text = f"{others / n_sets:.0%}" if others else "–"
    return f"{own / n_sets:.0%} | {text}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-datasets", type=int, default=100)
    n_sets = parser.parse_args().n_datasets
    warnings.simplefilter("ignore")
    print('| data | rows | kind | "auto" | Wilks |')
    print("|---|---|---|---|---|")
    for label, make in (("noise .5", loud), ("ρ .9, .6, .4", graded)):
        for n in (2000, 200):
            kinds: dict[str, Callable[[Any], tuple[Any, Any, dict[str, Any]]]] = {
                "complete": lambda rng, make=make, n=n: (make(n, rng), None, {}),
                "three modalities": lambda rng, make=make, n=n: (make(n, rng, "abc"), None, {}),
                "30 % missing": lambda rng, make=make, n=n: (gappy(make(n, rng), rng), None, {}),
                "shrinkage .1": lambda rng, make=make, n=n: (
                    make(n, rng), None, {"shrinkage": 0.1}
                ),
                "weights 0-3": lambda rng, make=make, n=n: (
                    make(n, rng), rng.integers(0, 4, n).astype(float), {}
                ),
            }  # fmt: skip
            for kind, draw in kinds.items():
                print(f"| {label} | {n} | {kind} | {share(draw, n_sets, 3)} |", flush=True)
    for kind, noise in NOISE.items():
        found = share(lambda rng, noise=noise: ({m: noise(rng) for m in "ab"}, None, {}), n_sets, 1)
        print(f"| nothing shared | {len(noise(np.random.default_rng(0)))} | {kind} | {found} |")


if __name__ == "__main__":
    main()
