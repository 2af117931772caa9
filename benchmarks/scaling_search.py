"""A grid search on dask's workers beside joblib's own, and how often the data travel.

Both sides have two processes of one thread; they alternate. The cluster is started once.
Dask sets `MALLOC_TRIM_THRESHOLD_` for its workers, with which the C library gives every array
of a fit back to the system and asks for it again; `--trim` leaves it so and shows what that costs.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from statistics import median

import dask
import joblib
import numpy as np
from dask.distributed import Client, LocalCluster
from sklearn.model_selection import GridSearchCV

from skmm import CCA, Modalities


class Counted(Modalities):
    """Counts how often it is pickled here."""

    n_pickled = 0

    def __getstate__(self):
        Counted.n_pickled += 1
        return super().__getstate__()


def make_search(n_points: int) -> GridSearchCV:
    grid = {"n_components": [1, 2, 5, 10], "shrinkage": np.linspace(0, 0.9, n_points // 4)}
    return GridSearchCV(CCA(), grid, cv=3, n_jobs=2, refit=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trim", action="store_true", help="leave dask's setting of malloc")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rng = np.random.default_rng(0)
    a = rng.standard_normal((options.rows, 30))
    values = {"a": a, "b": a[:, :20] + 2 * rng.standard_normal((options.rows, 20))}
    X, search = Counted(values), make_search(options.points)
    seconds: dict[str, list[float]] = {"loky": [], "dask": []}
    scores = {}
    logging.getLogger("distributed").setLevel(logging.ERROR)
    if not options.trim:
        environ = dask.config.get("distributed.nanny.pre-spawn-environ")
        environ = {name: value for name, value in environ.items() if "MALLOC" not in name}
        dask.config.set({"distributed.nanny.pre-spawn-environ": environ})
    with LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        for i in range(options.rounds + 1):
            for backend in ("loky", "dask") if i % 2 else ("dask", "loky"):
                Counted.n_pickled = 0
                start = time.perf_counter()
                with joblib.parallel_config(backend=backend):
                    search.fit(X)
                if i:
                    seconds[backend].append(time.perf_counter() - start)
                scores[backend] = search.cv_results_["mean_test_score"]
                print(f"{backend}: {time.perf_counter() - start:.1f} s, data pickled "
                      f"{Counted.n_pickled} times", flush=True)  # fmt: skip
    ratios = [b / a for a, b in zip(seconds["loky"], seconds["dask"], strict=True)]
    print(f"{options.points} points, 3 folds; same scores: {np.allclose(*scores.values())}")
    print(f"loky {median(seconds['loky']):.1f} s, dask {median(seconds['dask']):.1f} s")
    print(f"dask over loky, paired: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
