"""A dask cluster of separate processes: the same result whatever becomes of the workers."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

SCRIPT = """
import json, os, signal, sys, threading, time
import dask, dask.array as da
import numpy as np
from skmm import CCA
from dask.distributed import Client, LocalCluster

n_workers, killed = int(sys.argv[1]), sys.argv[2] == "killed"

def slowly(block):
    time.sleep(0.05)
    return block

def kill(cluster):
    time.sleep(0.7)
    os.kill(next(iter(cluster.workers.values())).process.process.pid, signal.SIGKILL)

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
            if killed:
                threading.Thread(target=kill, args=(cluster,), daemon=True).start()
            found = CCA(2).fit(lazy)
    whole = CCA(2).fit(arrays)
    gaps = [abs(found.weights_[name] - whole.weights_[name]).max() for name in arrays]
    print(json.dumps(float(max(gaps))))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("n_workers", "fate"), [(1, "spared"), (2, "spared"), (2, "killed")])
def test_same_result_on_any_workers(n_workers, fate, tmp_path):
    script = tmp_path / "fit_on_workers.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(n_workers), fate]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) < 1e-8
