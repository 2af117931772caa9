"""Nothing reads or moves NumPy's global generator: where it comes from, and the functions."""

import ast
from pathlib import Path

import numpy as np
import pytest

import skmm
from skmm import Modalities
from skmm.benchmark import shuffle_pairs
from skmm.datasets import make_conditional, make_shared_latent
from skmm.model_selection import MissingModalitySplit

ROOT = Path(skmm.__file__).parent
FILES = [*sorted(ROOT.rglob("*.py")), *sorted((ROOT.parent / "benchmarks").rglob("*.py"))]
# What makes a generator of its own, from `numpy.random`.
OWN = {"RandomState", "Generator", "SeedSequence", "default_rng", "PCG64", "MT19937"}
# One calls a library that knows no other source of random numbers, one looks whether it moves.
EXEMPT = {"peers_gan.py", "gpu_checks.py"}


def _faults(source):
    """Yield the lines that use the global generator of NumPy, by themselves or by scikit-learn."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("sklearn.utils"):
            if "check_random_state" in {alias.name for alias in node.names}:
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == "numpy.random":
            if {alias.name for alias in node.names} - OWN:
                yield node.lineno
        elif (
            isinstance(node, ast.Attribute)
            and ast.unparse(node.value) in ("np.random", "numpy.random")
            and node.attr not in OWN
        ):
            yield node.lineno


def test_no_code_uses_the_global_generator():
    found = {
        f"{path.name}:{line}"
        for path in FILES
        if path != ROOT / "_random.py" and path.name not in EXEMPT
        for line in _faults(path.read_text("utf-8"))
    }
    assert not found, "use skmm._random.check_random_state, or a generator of its own"


@pytest.mark.parametrize(
    "source",
    [
        "from sklearn.utils import check_random_state",
        "from sklearn.utils.validation import check_random_state",
        "import numpy as np\nnp.random.seed(0)",
        "import numpy\nx = numpy.random.permutation(3)",
        "from numpy.random import rand",
    ],
)
def test_uses_would_be_seen(source):
    assert list(_faults(source))


@pytest.mark.parametrize(
    "draw",
    [
        lambda seed: shuffle_pairs(
            Modalities({"a": np.arange(50.0), "b": np.arange(50.0)}), random_state=seed
        )["b"],
        lambda seed: make_shared_latent(20, random_state=seed).data["modality0"],
        lambda seed: make_conditional("branches", 20, random_state=seed).target,
        lambda seed: np.concatenate(
            [
                test
                for _, test in MissingModalitySplit(2, shuffle=True, random_state=seed).split(
                    Modalities({"a": np.arange(50.0), "b": np.arange(50.0)})
                )
            ]
        ),
    ],
    ids=["shuffle_pairs", "make_shared_latent", "make_conditional", "MissingModalitySplit"],
)
def test_none_is_a_seed_of_the_operating_system(draw):
    found = []
    for _ in range(2):
        np.random.seed(0)  # noqa: NPY002
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        found.append(draw(None))
        np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert not np.array_equal(*found)
    np.testing.assert_array_equal(draw(3), draw(3))
