"""The laws of the deep estimators on a device, which is simulated: `simulated_cuda` says how."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import simulated_cuda

TESTS = Path(__file__).parent
# A device is another seed: its random numbers are others, so "device" has an effect there.
CONTRACT = "(Multimodal or DeepCCA or ConditionalGAN) and not -device"
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent), *sys.path]),
    "SCIPY_ARRAY_API": "1",  # of CCA on tensors
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def on_devices():
    """Return what runs tests on the simulated devices."""
    if reason := simulated_cuda.unavailable():
        pytest.skip(reason)
    simulated_cuda.build()

    def run(*args):
        command = [sys.executable, "-m", "simulated_cuda", "-m", "pytest", "-q", "--color=no"]
        command += ["-p", "no:cacheprovider", *args]
        done = subprocess.run(
            command, env=ENVIRONMENT, capture_output=True, text=True, cwd=TESTS.parent, timeout=7200
        )
        print(done.stdout[-5000:])
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]

    return run


def test_laws_of_devices(on_devices):
    on_devices("tests/simulated_cuda/laws.py")


def test_the_contract(on_devices):
    on_devices("tests/test_contract.py", "-k", CONTRACT)


def test_the_script_for_a_real_device(on_devices, tmp_path):
    command = [sys.executable, "-m", "simulated_cuda", "benchmarks/gpu_checks.py", "--tiny"]
    command += ["--budget", "1500"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "found.json")],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        cwd=TESTS.parent,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert (tmp_path / "found.json").stat().st_size
