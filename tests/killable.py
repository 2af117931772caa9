"""A benchmark to be killed, in a module that other processes know by the same name."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
from sklearn.model_selection import KFold

from skmm import CCA, Modalities
from skmm.benchmark import Benchmark, Task
from skmm.benchmark._fingerprint import data_hash

FITS = "fits.log"


class Killer(threading.Thread):
    """Kills a worker of a dask cluster when `ready` says so."""

    def __init__(self, cluster, ready):
        super().__init__(daemon=True)
        self.cluster, self.ready, self.n_killed = cluster, ready, 0

    def run(self):
        while not self.ready():
            time.sleep(0.01)
        worker = next(iter(self.cluster.workers.values()))
        os.kill(worker.process.process.pid, signal.SIGKILL)
        self.n_killed += 1


class Logged(CCA):
    """Writes down every fit that has ended."""

    def __init__(self, n_components=None, *, log=None, seconds=0.0):
        super().__init__(n_components)
        self.log = log
        self.seconds = seconds

    def fit(self, X, y=None, sample_weight=None):
        super().fit(X)
        time.sleep(self.seconds)
        with open(self.log, "a", encoding="utf-8") as file:
            file.write(f"{self.n_components} {data_hash(X['a'])}\n")
        return self


def data(n=60, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((n, 3))
    return Modalities({"a": a, "b": a[:, :2] + rng.standard_normal((n, 2))})


def slow_benchmark(folder):
    """Return 24 cells of a tenth of a second."""
    log = str(Path(folder) / FITS)
    methods = {f"CCA {k}": Logged(k, log=log, seconds=0.1) for k in (1, 2)}
    tasks = [Task(f"task {i}", data(seed=i), metrics=["foscttm"]) for i in range(4)]
    return Benchmark(methods, tasks, cv=KFold(3, shuffle=True, random_state=0), control=False)
