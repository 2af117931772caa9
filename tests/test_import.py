"""What `import skmm` costs: each statement in a new interpreter."""

import json
import subprocess
import sys

import pytest
import sklearn

import skmm

# The libraries of deep estimators, of downloads, and of the extras.
HEAVY = {"torch", "skorch", "pooch", "matplotlib", "jinja2", "typer", "dask"}
FIT = """
import numpy as np
from skmm import CCA
CCA(1).fit(*np.random.RandomState(0).standard_normal((2, 9, 2))).sample()
"""


def _loaded_by(statements):
    """Return which of the heavy libraries an interpreter has loaded after these statements."""
    code = f"{statements}\nimport json, sys; print(json.dumps(list(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in json.loads(run.stdout)} & HEAVY


@pytest.mark.parametrize(
    "statements",
    ["import skmm; dir(skmm)", FIT, "import skmm.compose, skmm.datasets, skmm.metrics"],
    ids=["import skmm", "fit", "submodules"],
)
def test_heavy_libraries_are_not_loaded(statements):
    assert not _loaded_by(statements)


def test_deep_estimators_load_theirs_at_first_use():
    assert {"torch", "skorch"} <= _loaded_by("from skmm import DeepCCA")


def test_loaded_libraries_are_seen():
    assert _loaded_by("import pooch") == {"pooch"}


def test_the_package_says_what_a_bug_report_needs():
    run = subprocess.run([sys.executable, "-m", "skmm"], capture_output=True, text=True, check=True)
    said = dict(line.split(maxsplit=1) for line in run.stdout.splitlines())
    assert {"system", "hardware", "executable", "threads", "torch"} <= set(said)
    assert said["skmm"] == skmm.__version__
    assert said["scikit-learn"] == sklearn.__version__
