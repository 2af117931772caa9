"""CCA against the number of columns: seconds and peak memory of one fit.

Two CSR files of as many columns each, a part `--density` of which is stored, with topics in common;
with `--dense` two arrays of float32 instead, shared directions and noise.
Every fit runs in a fresh process, which loads the data and fits a small part of them first (imports
and threads do not count); "growth" is by how much the fit raises the peak of the resident memory,
"data" what the CSR arrays take, and "dense" what the arrays would. "slope" is that of the time,
log-log, between one line and the next; 1 is linear in the columns.

By default there are fewer rows than columns at the end, and the n x n products serve; from 5000
rows and columns on the iteration takes over (`--rows 20000 --columns 6000 12000 25000 50000`).
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import scipy.sparse as sp

NAMES = ("a", "b")
TOPICS = 60
TARGET_MIB = 1024.0


def make_dense(n: int, d: int, folder: Path) -> None:
    """Write two files of numbers."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((n, TOPICS), dtype=np.float32)
    for name in NAMES:
        mix = rng.standard_normal((TOPICS, d), dtype=np.float32) / 4
        values = rng.standard_normal((n, d), dtype=np.float32)
        values += shared @ mix
        np.save(folder / f"{name}.npy", values)


def make(n: int, d: int, density: float, folder: Path) -> None:
    """Write two files of counts; each row has two topics, each topic prefers some columns."""
    rng = np.random.default_rng(0)
    topics = rng.integers(TOPICS, size=(n, 2))
    for name in NAMES:
        n_words = rng.poisson(density * d, size=n) + 1
        rows = np.repeat(np.arange(n), n_words)
        of_topic = topics[rows, rng.integers(2, size=len(rows))]
        # The squared uniform makes some columns common; topics begin at different columns.
        place = rng.random(len(rows)) ** 2 * d
        start = np.where(rng.random(len(rows)) < 0.7, of_topic / TOPICS * d, 0.0)
        columns = ((place + start) % d).astype(np.int64)
        counts = sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=(n, d))
        sp.save_npz(folder / f"{name}.npz", counts, compressed=False)


def fit(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Fit once and return what it took."""
    from skmm import CCA, Modalities

    if options.dense:
        data = {name: np.load(folder / f"{name}.npy") for name in NAMES}
    else:
        data = {name: sp.load_npz(folder / f"{name}.npz") for name in NAMES}
    small = {name: value[:200, :60] for name, value in data.items()}
    CCA(1, shrinkage=0.5, solver="randomized").fit(small)
    X = Modalities(data)
    model = CCA(
        options.components,
        shrinkage=options.shrinkage if options.shrinkage == "auto" else float(options.shrinkage),
        solver="auto" if options.dense else "randomized",
        random_state=0,
    )
    before, start = resident("VmRSS"), time.perf_counter()
    model.fit(X)
    seconds, after = time.perf_counter() - start, resident("VmHWM")
    start = time.perf_counter()
    model.transform(X)
    return {
        "seconds": seconds,
        "growth": after - before,
        "transform": time.perf_counter() - start,
        "data": sum(stored(v) for v in data.values()) / 2**20,
        "correlation": float(model.canonical_correlations_.mean()),
    }


def stored(values: Any) -> int:
    """Return the bytes of an array or of what a CSR array keeps."""
    return values.data.nbytes + (values.indices.nbytes if sp.issparse(values) else 0)


def resident(which: str) -> float:
    """Return the resident memory in MiB: now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(which))


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Fit in a fresh process."""
    command = [sys.executable, __file__, "--folder", str(folder)]
    command += ["--components", str(options.components), "--shrinkage", options.shrinkage]
    command += ["--dense"] * options.dense
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(answer.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--columns", type=int, nargs="+", default=[100, 1000, 10_000, 50_000])
    parser.add_argument("--density", type=float, default=1e-3)
    parser.add_argument("--dense", action="store_true", help="arrays of float32")
    parser.add_argument("--components", type=int, default=50)
    parser.add_argument("--shrinkage", default="0.5")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder:
        print(json.dumps(fit(options.folder, options)))
        return
    kind = "dense" if options.dense else f"density {options.density:g}"
    print(
        f"{options.rows} rows, {kind}, k = {options.components}, "
        f"shrinkage {options.shrinkage}; medians of {options.rounds}, {time.strftime('%Y-%m-%d')}\n"
    )
    print("| columns | fit, s | transform, s | growth, MiB | data, MiB | dense, MiB "
          "| mean correlation |")  # fmt: skip
    print("|---" * 7 + "|")
    points, worst = [], 0.0
    for d in options.columns:
        with tempfile.TemporaryDirectory() as folder:
            if options.dense:
                make_dense(options.rows, d, Path(folder))
            else:
                make(options.rows, d, options.density, Path(folder))
            found = [measure(Path(folder), options) for _ in range(options.rounds)]
        one = {key: median(result[key] for result in found) for key in found[0]}
        worst = max(worst, *(result["growth"] for result in found))
        dense = 2 * options.rows * d * 8 / 2**20
        print(
            f"| {d} + {d} | {one['seconds']:.2f} | {one['transform']:.3f} | {one['growth']:.0f}"
            f" | {one['data']:.1f} | {dense:.0f} | {one['correlation']:.3f} |",
            flush=True,
        )
        points.append((math.log10(d), math.log10(one["seconds"])))
    steps = [(d - b) / (c - a) for (a, b), (c, d) in pairwise(points)]
    print("\nslopes:", ", ".join(f"{step:.2f}" for step in steps))
    if not options.dense:
        met = "met" if worst <= TARGET_MIB else "missed"
        print(f"at most {worst:.0f} MiB; target at most {TARGET_MIB:.0f}: {met}")


if __name__ == "__main__":
    main()
