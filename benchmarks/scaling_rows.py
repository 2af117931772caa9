"""CCA of rows that do not fit into memory: seconds and peak memory against the number of rows.

Two float32 files of 100 columns each, mapped; `floor` reads the same files in the same pieces into
memory, turns them into float64 and multiplies, which is the least that moments in double precision
take. Each side runs in a process of its own, alternating; peak memory is the process's resident
peak, imports included, mapped pages included.
"""

from __future__ import annotations

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
from scipy.linalg import blas

WIDTH = 100
PIECE = 2**25  # bytes, as CCA reads
SIDES = ("floor", "skmm")


def make(n: int, folder: Path) -> None:
    """Write two files with ten shared directions."""
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((2, 10, WIDTH)).astype(np.float32)
    files = [
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, (n, WIDTH))
        for name in "ab"
    ]
    for start in range(0, n, 100_000):
        stop = min(n, start + 100_000)
        shared = rng.standard_normal((stop - start, 10), dtype=np.float32)
        for m, file in enumerate(files):
            noise = rng.standard_normal((stop - start, WIDTH), dtype=np.float32)
            file[start:stop] = shared @ mix[m] + noise
    for file in files:
        file.flush()


def floor(folder: Path) -> list[float]:
    """Read and multiply."""
    shapes = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in "ab"]
    n = len(shapes[0])
    rows = PIECE // (2 * WIDTH * 4)
    products = [np.zeros((WIDTH, WIDTH), order="F") for _ in range(3)]
    streams = [(folder / f"{name}.npy").open("rb") for name in "ab"]
    for stream, shape in zip(streams, shapes, strict=True):
        stream.seek(shape.offset)
    for start in range(0, n, rows):
        count = min(rows, n - start) * WIDTH
        a, b = (
            np.fromfile(stream, np.float32, count).reshape(-1, WIDTH).astype(np.float64)
            for stream in streams
        )
        blas.dsyrk(1.0, a.T, 1.0, products[0], overwrite_c=True)
        blas.dsyrk(1.0, b.T, 1.0, products[1], overwrite_c=True)
        blas.dgemm(1.0, a.T, b.T, 1.0, products[2], trans_b=True, overwrite_c=True)
    return [float(product[0, 0]) for product in products]


def skmm(folder: Path) -> list[float]:
    """Fit CCA."""
    from skmm import CCA

    X = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in "ab"}
    return CCA(10).fit(X).canonical_correlations_.tolist()


def run_side(side: str, folder: Path) -> None:
    import skmm as _skmm  # imports do not count  # noqa: F401
    from skmm import CCA  # noqa: F401

    start = time.perf_counter()
    result = (floor if side == "floor" else skmm)(folder)
    seconds = time.perf_counter() - start
    peak = next(
        int(line.split()[1]) / 1024
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    print(json.dumps({"seconds": seconds, "peak": peak, "result": result[:2]}))


def measure(side: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(answer.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10**4, 10**5, 10**6, 10**7])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="where the files are written")
    options = parser.parse_args()
    if options.side:
        run_side(options.side, options.folder)
        return
    print("| rows | floor, s | CCA, s | floor / CCA | peak of CCA, MiB | of floor |")
    print("|---|---|---|---|---|---|")
    points = []
    for n in options.rows:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            make(n, Path(folder))
            found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
            for i in range(options.rounds):
                for side in SIDES if i % 2 else SIDES[::-1]:
                    found[side].append(measure(side, Path(folder)))
        seconds = {side: median(one["seconds"] for one in found[side]) for side in SIDES}
        peaks = {side: max(one["peak"] for one in found[side]) for side in SIDES}
        pairs = zip(found["floor"], found["skmm"], strict=True)
        share = median(a["seconds"] / b["seconds"] for a, b in pairs)
        print(
            f"| {n} | {seconds['floor']:.2f} | {seconds['skmm']:.2f} | {share:.2f} "
            f"| {peaks['skmm']:.0f} | {peaks['floor']:.0f} |",
            flush=True,
        )
        points.append((math.log10(n), math.log10(seconds["skmm"])))
    if len(points) > 1:
        steps = [(d - b) / (c - a) for (a, b), (c, d) in pairwise(points)]
        print("log-log slopes:", ", ".join(f"{step:.2f}" for step in steps))


if __name__ == "__main__":
    main()
