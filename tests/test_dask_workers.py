"""A dask cluster of separate processes: the same result whatever becomes of the workers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

SCRIPT = """
import json, sys, time
import dask, dask.array as da
import numpy as np
from killable import Killer
from skmm import CCA
from dask.distributed import Client, LocalCluster

n_workers, killed = int(sys.argv[1]), sys.argv[2] == "killed"

def slowly(block):
    time.sleep(0.05)
    return block

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    a = rng.standard_normal((4000, 5))
    arrays = {"a": a, "b": a[:, :4] + rng.standard_normal((4000, 4))}
    with dask.config.set({"distributed.scheduler.allowed-failures": 10}):
        cluster = LocalCluster(n_workers, threads_per_worker=1, dashboard_address=None)
        with cluster, Client(cluster):
            lazy = {
                name: da.from_array(value, chunks=(100, -1)).map_blocks(slowly)
                for name, value in arrays.items()
            }
            start = time.monotonic()
            killer = Killer(cluster, lambda: time.monotonic() > start + 0.7)
            if killed:
                killer.start()
            found = CCA(2).fit(lazy)
    whole = CCA(2).fit(arrays)
    gaps = [abs(found.weights_[name] - whole.weights_[name]).max() for name in arrays]
    print(json.dumps([float(max(gaps)), killer.n_killed]))
"""


# Print: the same scores, cells, fits made anew, killed workers.
BENCHMARK = """
import json, os, sys
import dask, joblib
from killable import FITS, Killer, slow_benchmark
from dask.distributed import Client, LocalCluster

folder = sys.argv[1]
log = os.path.join(folder, FITS)

if __name__ == "__main__":
    with dask.config.set({"distributed.scheduler.allowed-failures": 10}):
        cluster = LocalCluster(2, threads_per_worker=1, dashboard_address=None)
        with cluster, Client(cluster), joblib.parallel_config(backend="dask"):
            killer = Killer(cluster, lambda: os.path.exists(log))
            killer.start()
            found = slow_benchmark(folder).run(folder, n_jobs=-1)
    n_fits = open(log).read().count("\\n")
    whole = slow_benchmark(folder).run()
    values = [f[f["metric"] == "foscttm"]["value"].tolist() for f in (found, whole)]
    n_cells = len(values[0])
    print(json.dumps([values[0] == values[1], n_cells, n_fits - n_cells, killer.n_killed]))
"""

SEARCH = """
import json, os, sys
import dask, joblib
from killable import FITS, Killer, Logged, data
from dask.distributed import Client, LocalCluster
from sklearn.model_selection import GridSearchCV, KFold

log = os.path.join(sys.argv[1], FITS)

if __name__ == "__main__":
    X = data(20_000)
    folds = list(KFold(3).split(X))
    shared = [X, *(rows for fold in folds for rows in fold)]
    grid = {"n_components": [1, 2], "seconds": [0.1, 0.11, 0.12, 0.13]}
    search = GridSearchCV(Logged(log=log), grid, cv=folds, n_jobs=2, refit=False)
    dask.config.set({"distributed.scheduler.active-memory-manager.start": False})
    cluster = LocalCluster(2, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster), joblib.parallel_config(backend="dask", scatter=shared):
        killer = Killer(cluster, lambda: os.path.exists(log))
        killer.start()
        found = search.fit(X).cv_results_
    n_fits, n_cells = open(log).read().count("\\n"), 3 * len(found["params"])
    whole = search.set_params(n_jobs=None).fit(X).cv_results_
    scores = [results["mean_test_score"].tolist() for results in (found, whole)]
    print(json.dumps([scores[0] == scores[1], n_cells, n_fits - n_cells, killer.n_killed]))
"""


def _run(script, tmp_path, *arguments):
    """Run a script, and return what its last line says."""
    path = tmp_path / "on_workers.py"
    path.write_text(script)
    command = [sys.executable, str(path), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("script", [BENCHMARK, SEARCH], ids=["benchmark", "search"])
def test_a_killed_worker_costs_its_cells_only(script, tmp_path):
    same, n_cells, n_more, n_killed = _run(script, tmp_path, str(tmp_path))
    assert n_killed == 1
    assert same
    assert n_cells == 24
    assert 0 <= n_more <= 4  # what was in flight


@pytest.mark.slow
@pytest.mark.parametrize(("n_workers", "fate"), [(1, "spared"), (2, "spared"), (2, "killed")])
def test_same_result_on_any_workers(n_workers, fate, tmp_path):
    gap, n_killed = _run(SCRIPT, tmp_path, str(n_workers), fate)
    assert n_killed == (fate == "killed")
    assert gap < 1e-8
