"""CCA of torch's tensors beside NumPy's arrays: seconds of `fit` and of `transform`.

The same rows, as a pair (X, y), under scikit-learn's array API dispatch: NumPy's arrays, tensors of
the processor, which `CCA` reads without a copy, and tensors of a CUDA device, if there is one,
where the products over rows are formed. Every round times each of them once; "ratio" is the median
over the rounds of NumPy's seconds by those of the tensor of the same round, so that more than 1 is
faster than NumPy. The rows lie on the device before the clock starts.

Threads are those of the environment, for NumPy and torch: OMP_NUM_THREADS=1 for one.
"""

import argparse
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

os.environ["SCIPY_ARRAY_API"] = "1"  # scikit-learn asks for it, before SciPy is imported

import numpy as np
import sklearn
import torch

from skmm import CCA

SHAPES = [(100_000, 100), (20_000, 1000)]
TOPICS = 20


def make(n: int, d: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a pair (n, d) with common factors."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((n, TOPICS))
    pair = (z @ rng.standard_normal((TOPICS, d)) + rng.standard_normal((n, d)) for _ in range(2))
    X, y = (block.astype(dtype) for block in pair)
    return X, y


def homes() -> dict[str, Callable[[np.ndarray], Any]]:
    """Return what brings an array to each kind and device."""
    found: dict[str, Callable[[np.ndarray], Any]] = {
        "numpy": lambda array: array,
        "torch, processor": torch.from_numpy,
    }
    if torch.cuda.is_available():
        found[f"torch, {torch.cuda.get_device_name()}"] = lambda array: torch.tensor(
            array, device="cuda"
        )
    return found


def seconds(X: Any, y: Any, params: dict[str, Any]) -> tuple[float, float, Any]:
    """Return seconds of fit and of transform, and the first correlation."""
    start = time.perf_counter()
    model = CCA(**params).fit(X, y)
    between = time.perf_counter()
    Z = model.transform(X)
    float(Z[0, 0])  # waits for the device
    return between - start, time.perf_counter() - between, float(model.canonical_correlations_[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--components", type=int, default=10)
    parser.add_argument("--solver", default="auto")
    parser.add_argument("--rows", type=int, help="instead of those of the two shapes")
    parser.add_argument("--columns", type=int, help="with --rows: of each modality")
    options = parser.parse_args()
    shapes = SHAPES if options.rows is None else [(options.rows, options.columns)]
    params = {"n_components": options.components, "solver": options.solver}
    sklearn.set_config(array_api_dispatch=True)
    print(f"k = {options.components}, solver {options.solver!r}, torch {torch.__version__} of "
          f"{torch.get_num_threads()} threads; medians of {options.rounds}, "
          f"{time.strftime('%Y-%m-%d')}\n")  # fmt: skip
    print(
        "| rows | columns | dtype | arrays | fit, s | ratio | transform, s | ratio | difference |"
    )
    print("|---" * 9 + "|")
    for n, d in shapes:
        for dtype in ("float64", "float32"):
            pair = make(n, d, dtype)
            data = {name: tuple(map(put, pair)) for name, put in homes().items()}
            for X, y in data.values():
                seconds(X[:500, :5], y[:500, :5], {"n_components": 1})  # imports and libraries
            rounds = [
                {name: seconds(X, y, params) for name, (X, y) in data.items()}
                for _ in range(options.rounds)
            ]
            for name in data:
                report(f"| {n} | {d} + {d} | {dtype} | {name}", rounds, name)


def report(label: str, rounds: list[dict[str, tuple[float, float, float]]], name: str) -> None:
    """Print a line of medians, and by how much the first correlation differs from NumPy's."""
    cells = []
    for clock in (0, 1):
        cells.append(f"{median(one[name][clock] for one in rounds):.3f}")
        cells.append(f"{median(one['numpy'][clock] / one[name][clock] for one in rounds):.2f}")
    difference = max(abs(one[name][2] - one["numpy"][2]) for one in rounds)
    print(f"{label} | {' | '.join(cells)} | {difference:.0e} |", flush=True)


if __name__ == "__main__":
    main()
