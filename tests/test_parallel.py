"""Threads and processes, however started, give the results of a sequential run."""

import os
import subprocess
import sys
from pathlib import Path

import joblib
import jobs
import pytest

TESTS = Path(__file__).parent
pytestmark = pytest.mark.filterwarnings(
    "ignore:.* ha(s|ve) collapsed:sklearn.exceptions.ConvergenceWarning"
)


@pytest.fixture(scope="module")
def sequential():
    return [jobs.fit_and_transform(*job) for job in jobs.everything()]


@pytest.mark.parametrize("backend", ["threading", "loky", "multiprocessing"])
def test_joblib_backends_agree_with_a_sequential_run(backend, sequential):
    run = joblib.Parallel(n_jobs=2, backend=backend, timeout=120)
    found = run(joblib.delayed(jobs.fit_and_transform)(*job) for job in jobs.everything())
    jobs.compare(found, sequential, 1e-10)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_may_be_started_after_a_fit(method):
    """Torch and BLAS have threads of their own by then: a fork must not wait for them."""
    env = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "ignore", TESTS / "jobs.py", method]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{len(jobs.everything())} alike"
