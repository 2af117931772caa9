"""Peak memory of DeepCCA.fit over the size of the data that it fits.

Each line is a fresh process: it loads the data, fits a few small rows (which imports all there is
and starts the threads), and then measures how far the fit raises the resident memory above what it
was. Printed in copies of the data's own size, in the precision in which it is given: at the peak,
and what is still held with the fitted estimator; the first should be within the target. "array" is
one array that `modalities` splits by columns, "dict" an array for each modality.

The network is small and trained for a moment, since the size of the data is what counts; the
network's own weights, gradients and moments would come on top.
"""

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

TARGET = 2.0
Views = dict[str, np.ndarray]
Figures = dict[str, float]


def resident(peak: bool = False) -> int:
    """Return the bytes that the process has in memory, or had at most since `reset_peak`."""
    field = "VmHWM:" if peak else "VmRSS:"
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def reset_peak() -> None:
    """Give back freed memory, and let the peak be the present size."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def measure(options: argparse.Namespace) -> Figures:
    """Fit once, in this process."""
    from skmm import DeepCCA  # not at the top: the process that only starts others does without

    warnings.simplefilter("ignore")
    model = DeepCCA(
        options.components,
        hidden_layer_sizes=options.hidden,
        max_epochs=options.epochs,
        early_stopping=options.early_stopping,
        device="cpu",
        random_state=0,
    )
    X = load(options)
    small = {name: view[:400, :9].copy() for name, view in X.items()}
    model.set_params(n_components=2).fit(small)
    model.set_params(n_components=options.components)
    n_bytes = sum(view.nbytes for view in X.values())
    argument: Any = X
    if options.form == "array":
        argument = np.concatenate(list(X.values()), axis=1)
        width = options.columns // 2
        model.set_params(modalities={"x": slice(0, width), "y": slice(width, options.columns)})
        del X
    reset_peak()
    before, start = resident(), time.perf_counter()
    model.fit(argument)
    seconds, peak = time.perf_counter() - start, resident(peak=True)
    reset_peak()
    return {
        "bytes": n_bytes,
        "peak": peak - before,
        "held": resident() - before,
        "seconds": seconds,
        "is_linear": model.linear_share_ == 1,
    }


def load(options: argparse.Namespace) -> Views:
    return {name: np.load(options.folder / f"{name}-{options.dtype}.npy") for name in ("x", "y")}


def make_data(folder: Path, options: argparse.Namespace) -> None:
    """Write two modalities with 20 shared directions, in both precisions."""
    rng = np.random.default_rng(options.seed)
    width = options.columns // 2
    shared = rng.standard_normal((options.rows, 20), dtype=np.float32)
    for name in ("x", "y"):
        view = shared @ rng.standard_normal((20, width), dtype=np.float32)
        view += rng.standard_normal((options.rows, width), dtype=np.float32)
        for dtype in options.dtypes:
            np.save(folder / f"{name}-{dtype}.npy", view.astype(dtype))


def in_fresh_process(
    folder: Path, dtype: str, form: str, early_stopping: bool, options: argparse.Namespace
) -> Figures:
    """Call this script again with what it was called with, for one measurement."""
    one = ["--one", str(folder), dtype, form, str(int(early_stopping))]
    command = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:], *one]
    environment = dict(os.environ)
    if options.threads:
        variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment |= dict.fromkeys(variables, str(options.threads))
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--columns", type=int, default=784, help="of both modalities together")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--forms", nargs="+", choices=("dict", "array"), default=["dict", "array"])
    parser.add_argument("--hidden", type=int, nargs="*", default=[64])
    parser.add_argument("--components", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, help="of torch and BLAS; all by default")
    parser.add_argument("--seed", type=int, default=0, help="of the data")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.columns % 2:
        parser.error("--columns must be even: two modalities share them")
    if options.one:
        folder, options.dtype, options.form, early_stopping = options.one
        options.folder, options.early_stopping = Path(folder), early_stopping == "1"
    return options


def main() -> None:
    options = parse()
    if options.one:
        print(json.dumps(measure(options)))
        return
    print(f"{options.rows} rows of 2 x {options.columns // 2} columns; hidden {options.hidden},"
          f" {options.components} outputs, {options.epochs} epochs; load {os.getloadavg()[0]:.1f},"
          f" {time.strftime('%Y-%m-%d')}\n")  # fmt: skip
    print("| input | as | early stopping | data MiB | peak MiB | copies | held after | seconds "
          "| kept |")  # fmt: skip
    print("|---" * 9 + "|")
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        make_data(Path(folder), options)
        for dtype in options.dtypes:
            for form in options.forms:
                for early_stopping in (True, False):
                    found = in_fresh_process(Path(folder), dtype, form, early_stopping, options)
                    copies = found["peak"] / found["bytes"]
                    worst = max(worst, copies)
                    print(
                        f"| {dtype} | {form} | {'yes' if early_stopping else 'no'}"
                        f" | {found['bytes'] / 2**20:.0f} | {found['peak'] / 2**20:.0f}"
                        f" | {copies:.2f} | {found['held'] / found['bytes']:.2f}"
                        f" | {found['seconds']:.1f}"
                        f" | {'linear' if found['is_linear'] else 'network'} |",
                        flush=True,
                    )
    met = "met" if worst <= TARGET else "missed"
    print(f"\nat most {worst:.2f} copies; target at most {TARGET:g}: {met}")


if __name__ == "__main__":
    main()
