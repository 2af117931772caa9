"""One side of the speed comparison, in a process of its own and in any environment.

Data come as .npy files; commands come as JSON lines on the standard input, answers go as JSON
lines to the standard output. Needs NumPy alone, and the package that the side fits.
"""

import argparse
import gc
import importlib
import json
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray
Fit = Callable[[Array, Array, int, float], Any]
Answer = dict[str, Any]


def fit_floor(X: Array, Y: Array, k: int, shrinkage: float) -> Any:
    return importlib.import_module("floors").floor(X, Y, k, shrinkage)


def fit_skmm(X: Array, Y: Array, k: int, shrinkage: float) -> Any:
    # Shrunk covariances depend on the units: the floor takes them as they come.
    scale = shrinkage == 0.0
    return importlib.import_module("skmm").CCA(k, shrinkage=shrinkage, scale=scale).fit(X, Y)


def fit_cca_zoo(X: Array, Y: Array, k: int, shrinkage: float) -> Any:
    linear = importlib.import_module("cca_zoo.linear")
    model = linear.RidgeCCA(k, shrinkage=shrinkage) if shrinkage else linear.CCA(k)
    return model.fit([X, Y])


def fit_mvlearn(X: Array, Y: Array, k: int, shrinkage: float) -> Any:
    embed = importlib.import_module("mvlearn.embed")
    return embed.CCA(n_components=k, regs=shrinkage or None).fit([X, Y])


def fit_sklearn(X: Array, Y: Array, k: int, shrinkage: float) -> Any:
    if shrinkage:
        raise ValueError("scikit-learn's CCA has no shrinkage.")
    return importlib.import_module("sklearn.cross_decomposition").CCA(k).fit(X, Y)


SIDES: dict[str, Fit] = {
    "floor": fit_floor,
    "skmm": fit_skmm,
    "cca_zoo": fit_cca_zoo,
    "mvlearn": fit_mvlearn,
    "sklearn": fit_sklearn,
}


def correlations(side: str, model: Any, X: Array, Y: Array) -> list[float]:
    """Return the training correlations of the projections, computed from the rows."""
    if side == "floor":
        a, b = X @ model[1], Y @ model[2]
    elif side == "skmm":
        a, b = model.transform_each(X, Y).values()
    elif side in ("cca_zoo", "mvlearn"):
        a, b = model.transform([X, Y])
    else:
        a, b = model.transform(X, Y)
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    norms = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
    return (np.sum(a * b, axis=0) / norms).tolist()


def timed(fit: Callable[[], Any]) -> Answer:
    """Return the seconds of one fit, by the clock and of the processor."""
    gc.collect()
    wall, processor = time.perf_counter(), time.process_time()
    fit()
    return {
        "seconds": time.perf_counter() - wall,
        "processor": time.process_time() - processor,
    }


def resident_peak(fit: Callable[[], Any]) -> Answer:
    """Return by how many bytes the process grew at most (Linux; else from getrusage)."""
    gc.collect()
    before = _resident(reset=True)
    model = fit()
    grown = _resident(peak=True) - before
    del model
    return {"resident": grown}


def _resident(peak: bool = False, reset: bool = False) -> int:
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")  # the peak becomes the present size
        field = "VmHWM:" if peak else "VmRSS:"
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])
    except OSError:
        import resource

        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return size if sys.platform == "darwin" else 1024 * size


def traced_peak(fit: Callable[[], Any]) -> Answer:
    """Return the peak of what NumPy allocated (LAPACK's own workspaces are not seen)."""
    gc.collect()
    tracemalloc.start()
    fit()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"traced": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=sorted(SIDES))
    parser.add_argument("data", type=Path, help="a folder with x.npy and y.npy")
    parser.add_argument("--components", type=int, required=True)
    parser.add_argument("--shrinkage", type=float, default=0.0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the floor
    side, k, shrinkage = options.side, options.components, options.shrinkage
    X, Y = np.load(options.data / "x.npy"), np.load(options.data / "y.npy")
    # Imports, threads and their buffers, on data of the same form: tall or wide.
    shape = (60, 8) if len(X) > X.shape[1] else (20, 60)
    small = np.random.default_rng(0).standard_normal((2, *shape))
    SIDES[side](small[0], small[1], 2, shrinkage)

    def fit() -> Any:
        return SIDES[side](X, Y, k, shrinkage)

    commands: dict[str, Callable[[], Answer]] = {
        "time": lambda: timed(fit),
        "resident": lambda: resident_peak(fit),
        "traced": lambda: traced_peak(fit),
        "correlations": lambda: {"correlations": correlations(side, fit(), X, Y)},
    }
    print(json.dumps({"ready": side}), flush=True)
    for line in sys.stdin:
        try:
            answer = commands[line.strip()]()
        except Exception as error:  # the other side must hear of it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
