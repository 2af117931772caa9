"""Deep estimators on rows from disk: peak memory, and the time of an epoch over that in memory.

Two float32 modalities of 128 columns each, as mapped .npy files, zarr arrays and HDF5 datasets in
chunks of 4096 rows, uncompressed. Each fit runs in a process of its own, on one thread. Memory is
the peak of the anonymous (private) memory of the process above that after the imports and a small
fit, sampled every 2 ms; mapped pages of files can be given back at any time and do not count, but
the resident peak is printed too. `hold` reads the arrays first, which does not count either.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

WIDTH = 128
CHUNK = 4096
SOURCES = ("hold", "memmap", "zarr", "h5py")
MODELS = ("DeepCCA", "MultimodalAutoencoder", "MultimodalVAE", "ConditionalGAN",
          "MultimodalClassifier", "MultimodalRegressor")  # fmt: skip


def make(n: int, folder: Path) -> None:
    """Write the files: ten shared directions, and noise."""
    import h5py
    import zarr

    rng = np.random.default_rng(0)
    mix = rng.standard_normal((2, 10, WIDTH)).astype(np.float32)
    shape, kept = (n, WIDTH), {}
    for name in "ab":
        kept[name] = [
            np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, shape),
            zarr.create_array(folder / f"{name}.zarr", shape=shape, chunks=(CHUNK, WIDTH),
                              dtype="float32", compressors=None),
            h5py.File(folder / f"{name}.h5", "w").create_dataset(
                "x", shape, np.float32, chunks=(CHUNK, WIDTH)),
        ]  # fmt: skip
    for start in range(0, n, 25 * CHUNK):
        rows = slice(start, min(n, start + 25 * CHUNK))
        shared = rng.standard_normal((rows.stop - start, 10), dtype=np.float32)
        for m, name in enumerate("ab"):
            noise = rng.standard_normal((rows.stop - start, WIDTH), dtype=np.float32)
            for target in kept[name]:
                target[rows] = shared @ mix[m] + noise
    for one in kept.values():
        one[0].flush()
        one[2].file.close()


def load(source: str, folder: Path) -> dict[str, Any]:
    if source in ("hold", "memmap"):
        files = {n: np.load(folder / f"{n}.npy", mmap_mode="r") for n in "ab"}
        return {n: np.array(f) for n, f in files.items()} if source == "hold" else files
    if source == "zarr":
        import zarr

        return {n: zarr.open_array(folder / f"{n}.zarr", mode="r") for n in "ab"}
    import h5py

    return {n: h5py.File(folder / f"{n}.h5", "r")["x"] for n in "ab"}


class Peak(threading.Thread):
    """Samples the private and the resident memory of this process, in MiB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.private, self.resident = self.now()
        self.before = self.private
        self.done = False

    def run(self) -> None:
        while not self.done:
            private, resident = self.now()
            self.private = max(self.private, private)
            self.resident = max(self.resident, resident)
            time.sleep(0.002)

    @staticmethod
    def now() -> tuple[float, float]:
        lines = Path("/proc/self/status").read_text().splitlines()
        kib = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
        resident = next(line.split()[1] for line in lines if line.startswith("VmRSS"))
        return int(kib["RssAnon"]) / 1024, int(resident) / 1024


def run_side(options: argparse.Namespace) -> None:
    import torch

    import skmm

    torch.set_num_threads(1)
    X = load(options.side, options.folder)
    n = X["a"].shape[0]
    warm = {name: np.array(value[:2000]) for name, value in X.items()}
    kind = getattr(skmm, options.model)
    params = {"max_epochs": options.epochs, "random_state": 0, "hidden_layer_sizes": (64,)}
    params |= {"batch_size": options.batch_size}
    params |= {"target": "b"} if options.model == "ConditionalGAN" else {}
    y = np.random.default_rng(1).integers(2, size=n)
    takes_y = options.model in MODELS[-2:]
    kind(**params).fit(warm, *([y[:2000]] if takes_y else []))
    peak = Peak()
    peak.start()
    start = time.perf_counter()
    model = kind(**params).fit(X, *([y] if takes_y else []))
    seconds = time.perf_counter() - start
    peak.done = True
    history = model.history_
    epoch = history["dur"].dropna()
    print(json.dumps({
        "private": peak.private - peak.before, "resident": peak.resident, "fit": seconds,
        "epoch": float(epoch.iloc[1:].median() if len(epoch) > 1 else epoch.iloc[0]),
    }))  # fmt: skip


def measure(model: str, source: str, options: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--side", source, "--folder", str(options.folder),
               "--model", model, "--epochs", str(options.epochs),
               "--batch-size", str(options.batch_size)]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    answer = subprocess.run(command, capture_output=True, text=True, env=environment)
    if answer.returncode:
        raise RuntimeError(answer.stderr)
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10**5, 10**6])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=SOURCES)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--folder", type=Path, help="where the files are written")
    parser.add_argument("--side", choices=SOURCES, help=argparse.SUPPRESS)
    parser.add_argument("--model", choices=MODELS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        run_side(options)
        return
    print("| rows | model | source | private, MiB | resident, MiB | fit, s | epoch, s | / hold |")
    print("|---|---|---|---|---|---|---|---|")
    for n in options.rows:
        with tempfile.TemporaryDirectory(dir=options.folder) as made:
            make(n, Path(made))
            for model in options.models:
                report(n, model, argparse.Namespace(**{**vars(options), "folder": Path(made)}))


def report(n: int, model: str, options: argparse.Namespace) -> None:
    found: dict[str, list[dict[str, float]]] = {source: [] for source in options.sources}
    for i in range(options.rounds):
        for source in options.sources[:: -1 if i % 2 else 1]:
            found[source].append(measure(model, source, options))
    for source, runs in found.items():
        private, resident = (max(run[key] for run in runs) for key in ("private", "resident"))
        fit, epoch = (median(run[key] for run in runs) for key in ("fit", "epoch"))
        held = found.get("hold", runs)
        ratio = median(a["epoch"] / b["epoch"] for a, b in zip(runs, held, strict=True))
        print(
            f"| {n} | {model} | {source} | {private:.0f} | {resident:.0f} | {fit:.1f} | "
            f"{epoch:.2f} | {ratio:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
