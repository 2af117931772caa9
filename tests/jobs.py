"""What other processes do, in a module that they know by the same name."""

import multiprocessing
import sys
from typing import Any

import numpy as np
from contract_cases import CASES, assert_same, complete, fitted
from threadpoolctl import threadpool_limits

SEEDS = (0,)


def fit_and_transform(name: str, seed: int, n_threads: int | None = 1) -> np.ndarray:
    """Return what a small estimator makes of data with this seed."""
    (case,) = (case for case in CASES if case.name == name)
    X = complete(seed=seed)
    with threadpool_limits(n_threads):
        return fitted(case.small, X, random_state=seed).transform(X)


def everything() -> list[tuple[str, int]]:
    """Return the arguments of all jobs."""
    return [(case.name, seed) for case in CASES for seed in SEEDS]


def compare(found: list[Any], expected: list[Any], tolerance: float) -> None:
    """Compare the results of two ways to do all jobs; single precision depends on the threads."""
    keys = [f"{name} {seed}" for name, seed in everything()]
    found_by_key, expected_by_key = (dict(zip(keys, v, strict=True)) for v in (found, expected))
    assert_same(found_by_key, expected_by_key, tolerance)


def main(method: str) -> None:
    """Do all jobs here, and then in processes that are started in this way."""
    all_jobs = [(*job, None) for job in everything()]
    expected = [fit_and_transform(*job) for job in all_jobs]
    with multiprocessing.get_context(method).Pool(1) as pool:
        compare(pool.starmap(fit_and_transform, all_jobs), expected, 1e-5)
    print(f"{len(expected)} alike")


if __name__ == "__main__":
    main(sys.argv[1])
