"""Seconds per epoch of DeepCCA in one and in several processes of the CPU, a thread each.

The batch is the same, so is what is learned, but for rounding: "codes differ" says by how much.
`floor` is the time of one process divided by their number.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

N_EPOCHS = 4  # the first is left out


def fit(n_samples: int, batch_size: int, width: int, precision: str, result: Path) -> None:
    """Train as one of the processes that `torchrun` started; the first says what it took."""
    from skmm import DeepCCA, Modalities

    rng = np.random.default_rng(0)
    shared = rng.standard_normal((n_samples, 5), dtype=np.float32)
    mix = rng.standard_normal((2, 5, 100), dtype=np.float32)
    noise = rng.standard_normal((2, n_samples, 100), dtype=np.float32)
    X = Modalities({name: shared @ mix[m] + noise[m] for m, name in enumerate("ab")})
    model = DeepCCA(
        5,
        hidden_layer_sizes=(width,) * 3,
        batch_size=batch_size,
        max_epochs=N_EPOCHS,
        early_stopping=False,
        precision=precision,
        device="accelerate",
        random_state=0,
    ).fit(X)
    if os.environ["RANK"] == "0":
        seconds = median(model.history_["dur"][1:])
        result.write_text(json.dumps([seconds, model.transform(X[:100]).tolist()]))


def launch(n_processes: int, options: list[str], folder: Path) -> tuple[float, np.ndarray]:
    """Return the seconds per epoch and codes."""
    result = folder / "result.json"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc_per_node", str(n_processes), __file__, *options, "--result", str(result)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}
    subprocess.run(command, check=True, env=environment)
    seconds, codes = json.loads(result.read_text())
    return seconds, np.asarray(codes)


def main() -> None:
    """Print a table, a line per number of processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--batch-size", type=int, default=1000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.result is not None:
        return fit(args.rows, args.batch_size, args.width, args.precision, args.result)
    options = ["--rows", str(args.rows), "--batch-size", str(args.batch_size)]
    options += ["--width", str(args.width), "--precision", args.precision]
    print(f"{'processes':>9}  {'s/epoch':>8}  {'floor':>8}  codes differ", flush=True)
    first: tuple[float, np.ndarray] | None = None
    with tempfile.TemporaryDirectory() as folder:
        for n in args.processes:
            seconds, codes = launch(n, options, Path(folder))
            first = first or (seconds * n, codes)
            gap = np.abs(codes - first[1]).max()
            print(f"{n:9}  {seconds:8.2f}  {first[0] / n:8.2f}  {gap:.1e}", flush=True)
    return None


if __name__ == "__main__":
    main()
