"""What `import skmm` costs: each statement in a new interpreter."""

import json
import runpy
import subprocess
import sys

import sklearn

import skmm

# The libraries of deep estimators, of downloads, and of the extras.
HEAVY = {"torch", "skorch", "pooch", "matplotlib", "jinja2", "typer", "dask"}
FIT = """
import numpy as np
from skmm import CCA
CCA(1).fit(*np.random.RandomState(0).standard_normal((2, 9, 2))).sample()
"""


def _loaded_by(*steps):
    """Return which of the heavy libraries an interpreter has loaded after each step."""
    tell = "import json, sys; print(json.dumps(list(sys.modules)))"
    code = "\n".join(f"{step}\n{tell}" for step in steps)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    lines = run.stdout.splitlines()
    return [{name.split(".")[0] for name in json.loads(line)} & HEAVY for line in lines]


def test_heavy_libraries_are_loaded_at_first_use():
    light = ["import skmm; dir(skmm)", FIT, "import skmm.compose, skmm.datasets, skmm.metrics"]
    *before, after = _loaded_by(*light, "from skmm import DeepCCA")
    assert before == [set()] * len(light)
    assert {"torch", "skorch"} <= after


def test_loaded_libraries_are_seen():
    assert _loaded_by("import pooch") == [{"pooch"}]


def test_the_package_says_what_a_bug_report_needs(capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "skmm.__main__", raising=False)
    runpy.run_module("skmm", run_name="__main__")  # as python -m skmm
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert {"system", "hardware", "executable", "threads", "torch"} <= set(said)
    assert said["skmm"] == skmm.__version__
    assert said["scikit-learn"] == sklearn.__version__
