"""Which loss should be the default of ConditionalGAN? The figures that chose it.

Every loss, the relativistic one with four gradient penalties, on four simulated tasks, where the
exact conditional distribution is known, on halves of digits and on one assay of single cells given
another. Per task: energy skill on held-out rows, coverage of 90 % intervals, the fits that failed
(an error, a collapse that fit warned of, or a skill below 0), seconds. Means over seeds; a seed is
a simulation, or a split of real data, and a start of the training.
"""

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skmm import ConditionalGAN
from skmm.datasets import fetch_scgem, load_digits_halves, make_conditional
from skmm.metrics import energy_skill, interval_coverage

Array = np.ndarray
Pairs = tuple[Array, Array, Array, Array]  # X and y for training, X and y held out
SIMULATED = ("circle", "branches", "heteroscedastic", "correlated")
LOSSES: dict[str, dict[str, Any]] = {
    "energy": {"loss": "energy"},
    **{
        f"relativistic, γ={gamma:g}": {"loss": "relativistic", "gradient_penalty": gamma}
        for gamma in (0.01, 0.1, 1.0, 10.0)
    },
    "wasserstein": {"loss": "wasserstein"},
    "wasserstein, 5 steps": {"loss": "wasserstein", "n_critic": 5},
    "hinge": {"loss": "hinge"},
    "standard": {"loss": "standard"},
}


def simulated(task: str, n_train: int, seed: int) -> Pairs:
    X, y = make_conditional(task, n_train + 1000, random_state=seed, return_X_y=True)
    return X[:n_train], y[:n_train], X[n_train:], y[n_train:]


def digits(seed: int) -> Pairs:
    X = load_digits_halves()["data"]
    return split(np.asarray(X["left"]), np.asarray(X["right"]), seed)


def cells(seed: int) -> Pairs:
    X = fetch_scgem().data
    names = list(X.names)
    a, b = (PCA(10).fit_transform(np.asarray(X[name])) for name in names[:2])
    return split(a, b, seed)


def split(a: Array, b: Array, seed: int) -> Pairs:
    parts = train_test_split(a, b, test_size=0.3, random_state=seed)
    return parts[0], parts[2], parts[1], parts[3]


def one(params: dict[str, Any], data: Pairs, seed: int) -> dict[str, Any]:
    X, y, X_test, y_test = data
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = ConditionalGAN(**params, random_state=seed).fit(X, y)
        except ValueError:
            return {"failed": True, "seconds": time.perf_counter() - start}
    seconds = time.perf_counter() - start
    draws = model.sample(100, given=X_test, random_state=seed)
    varies = y.std(axis=0) > 0
    skill = energy_skill(y_test, draws, y)
    return {
        "skill": skill,
        "coverage": interval_coverage(y_test[:, varies], draws[:, :, varies], level=0.9),
        "epochs": len(model.history_) - 1,
        "failed": skill < 0 or any(issubclass(w.category, ConvergenceWarning) for w in caught),
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=range(5))
    parser.add_argument("--rows", type=int, default=2000, help="training rows of simulations")
    parser.add_argument("--tasks", nargs="+", default=[*SIMULATED, "digits", "cells"])
    parser.add_argument("--losses", nargs="+", default=list(LOSSES))
    parser.add_argument("--csv", type=Path, help="where to write every fit")
    options = parser.parse_args()
    rows = []
    for seed in options.seeds:
        for task in options.tasks:
            if task in SIMULATED:
                data = simulated(task, options.rows, seed)
            else:
                data = {"digits": digits, "cells": cells}[task](seed)
            for name in options.losses:
                found = one(LOSSES[name], data, seed)
                rows.append({"task": task, "loss": name, "seed": seed, **found})
                print(rows[-1], flush=True)
                if options.csv:
                    pd.DataFrame(rows).to_csv(options.csv, index=False)
    table = pd.DataFrame(rows).groupby(["task", "loss"], sort=False)
    summary = table.agg(
        skill=("skill", "mean"), sd=("skill", "std"), coverage=("coverage", "mean"),
        failed=("failed", "sum"), seconds=("seconds", "mean"),
    )  # fmt: skip
    print(summary.round(3).to_string())


if __name__ == "__main__":
    main()
