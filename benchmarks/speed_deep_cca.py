"""Seconds per epoch of DeepCCA beside a hand-written PyTorch loop and cca_zoo under Lightning.

All sides train the same network on the same float32 rows with the same batch size, fused AdamW and
constant learning rate; rows are shuffled each epoch, a short last batch is left out. DeepCCA
standardises its inputs in the network; the others get them standardised, which costs them nothing.
The loop calls `skmm.nn.cca_loss`, since the loops are compared; ``--loss plain`` gives it a
compact loss of its own. cca_zoo keeps its own loss, in float32.

For each batch size the sides take turns. A line per side has the median and the least seconds per
epoch, the ratio of the medians to the loop's, the median of the ratios within rounds, the processor
seconds with their ratio of medians (steadier on a busy machine), and the mean loss of the last
epoch. The first epoch of each fit, with all that is set up before, is not counted. A last line says
whether the ratio to the loop is within the target.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import skorch
import torch
from speed_cca import Side
from torch import Tensor, nn

from skmm import DeepCCA
from skmm.datasets import fetch_mnist
from skmm.nn import cca_loss

HERE = Path(__file__).resolve().parent
TARGET = 1.15
REG_COVAR = 1e-4
WEIGHT_DECAY = 1e-2
Views = dict[str, np.ndarray]
Figures = dict[str, float]
Run = Callable[[int], Figures | None]


class Clock(skorch.callbacks.Callback):
    """Notes when epochs end, by the clock and of the processor."""

    def __init__(self) -> None:
        self.stamps: list[tuple[float, float]] = []

    def on_epoch_end(self, net: Any = None, **kwargs: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.stamps.append((time.perf_counter(), time.process_time()))

    def per_epoch(self) -> Figures:
        """Return the means over all epochs but the first."""
        n_epochs = len(self.stamps) - 1
        differences = [
            (b - a) / n_epochs for a, b in zip(self.stamps[0], self.stamps[-1], strict=True)
        ]
        return dict(zip(("seconds", "processor"), differences, strict=True))


def run_skmm(X: Views, batch_size: int, options: argparse.Namespace) -> Figures:
    clock = Clock()
    model = DeepCCA(
        options.components,
        hidden_layer_sizes=options.hidden,
        normalization=None if options.normalization == "none" else options.normalization,
        dropout=0.0,
        reg_covar=REG_COVAR,
        lr=options.lr,
        lr_schedule="constant",
        weight_decay=WEIGHT_DECAY,
        batch_size=batch_size,
        max_epochs=options.epochs,
        early_stopping=False,
        device=options.device,
        callbacks=[clock],
        random_state=0,
    ).fit(X)
    return {**clock.per_epoch(), "loss": float(model.history_["train_loss"].iloc[-1])}


def run_loop(X: Views, batch_size: int, options: argparse.Namespace) -> Figures:
    """Train as one would by hand."""
    torch.manual_seed(0)
    x, y = (torch.from_numpy(view).to(options.device) for view in X.values())
    f, g = (network(view.shape[1], options).to(options.device) for view in (x, y))
    parameters = [*f.parameters(), *g.parameters()]
    optimizer = torch.optim.AdamW(parameters, options.lr, weight_decay=WEIGHT_DECAY, fused=True)
    loss_of = plain_loss if options.loss == "plain" else skmm_loss
    clock = Clock()
    for _ in range(options.epochs):
        order = torch.randperm(len(x)).to(options.device)
        losses = []
        for i in range(0, len(x) - batch_size + 1, batch_size):
            rows = order[i : i + batch_size]
            loss = loss_of(f(x[rows]), g(y[rows]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        mean_loss = torch.stack(losses).mean().item()
        clock.on_epoch_end()
    return {**clock.per_epoch(), "loss": mean_loss}


def network(n_inputs: int, options: argparse.Namespace) -> nn.Module:
    """Return linear maps with what is between them."""
    layers: list[nn.Module] = []
    for size in options.hidden:
        layers.append(nn.Linear(n_inputs, size))
        layers += [nn.LayerNorm(size)] if options.normalization == "layer" else []
        layers.append(nn.ReLU())
        n_inputs = size
    return nn.Sequential(*layers, nn.Linear(n_inputs, options.components))


def skmm_loss(a: Tensor, b: Tensor) -> Tensor:
    return cca_loss([a, b], reg_covar=REG_COVAR, squared=True)["correlation"]


def plain_loss(a: Tensor, b: Tensor) -> Tensor:
    """Return minus the sum of the squared canonical correlations of a batch."""
    a, b = a.double(), b.double()
    a, b = a - a.mean(0), b - b.mean(0)
    identity = torch.eye(a.shape[1], dtype=a.dtype, device=a.device)
    S_aa, S_ab, S_bb = a.T @ a, a.T @ b, b.T @ b
    L_a = torch.linalg.cholesky(S_aa + REG_COVAR * S_aa.diagonal().mean() * identity)
    L_b = torch.linalg.cholesky(S_bb + REG_COVAR * S_bb.diagonal().mean() * identity)
    half = torch.linalg.solve_triangular(L_a, S_ab, upper=False)
    return -torch.linalg.solve_triangular(L_b, half.T, upper=False).square().sum()


class Peer(Side):
    """cca_zoo in a process of its own."""

    def __init__(self, data: Path, options: argparse.Namespace) -> None:
        self.name = "cca_zoo"
        command = [options.peers_python, str(HERE / "peers" / "deep_runner.py"), str(data)]
        for name in ("hidden", "components", "normalization", "lr", "epochs", "device", "threads"):
            value = getattr(options, name)
            if value is not None:
                values = value if isinstance(value, list | tuple) else [value]
                command += [f"--{name}", *map(str, values)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.failure = ""
        self.versions = (self._read(300.0) or {}).get("ready", f"cca_zoo {self.failure}")


def make_data(options: argparse.Namespace) -> Views:
    """Return two modalities of float32, not standardised."""
    if options.data == "mnist-halves":
        loaded: Any = fetch_mnist("halves")
        X = loaded.data
        rows = np.random.default_rng(options.seed).permutation(len(X))[: options.rows]
        return {name: np.array(X[name])[rows].astype(np.float32) for name in X.names}
    rng = np.random.default_rng(options.seed)
    shared = rng.standard_normal((options.rows, 20))
    views = {}
    for name in ("x", "y"):
        view = shared @ rng.standard_normal((20, options.columns)) / np.sqrt(20)
        view += rng.standard_normal((options.rows, options.columns))
        views[name] = (3 * view + rng.standard_normal(options.columns)).astype(np.float32)
    return views


def standardised(X: Views) -> Views:
    """Return the modalities with columns of mean 0 and, unless constant, standard deviation 1."""
    scaled = {}
    for name, view in X.items():
        view = view - view.mean(axis=0)
        scale = view.std(axis=0)
        scaled[name] = np.ascontiguousarray(view / np.where(scale > 0, scale, 1), dtype=np.float32)
    return scaled


def measure(sides: dict[str, Run], batch_size: int, rounds: int) -> dict[str, list[Figures]]:
    """Warm up, then let the sides take turns in alternating order."""
    found: dict[str, list[Figures]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name in sides if turn % 2 else reversed(sides):
            figures = sides[name](batch_size)
            if turn and figures is not None:
                found[name].append(figures)
    return found


def report(batch_size: int, found: dict[str, list[Figures]]) -> None:
    """Print a row per side; ratios are to the loop."""
    columns = {
        name: {key: [one[key] for one in runs] for key in ("seconds", "processor", "loss")}
        for name, runs in found.items()
        if runs
    }
    loop, ratio, paired = columns["loop"], float("nan"), float("nan")
    print(f"\nbatches of {batch_size}\n")
    print("| side | seconds per epoch (median) | min | ratio of medians | median of paired ratios "
          "| processor s | ratio | loss |")  # fmt: skip
    print("|---" * 8 + "|")
    for name, own in columns.items():
        ratio_here = median(own["seconds"]) / median(loop["seconds"])
        paired_here = median(a / b for a, b in zip(own["seconds"], loop["seconds"], strict=False))
        if name == "skmm":
            ratio, paired = ratio_here, paired_here
        print(
            f"| {name} | {median(own['seconds']):.3f} | {min(own['seconds']):.3f}"
            f" | {ratio_here:.3f} | {paired_here:.3f} | {median(own['processor']):.3f}"
            f" | {median(own['processor']) / median(loop['processor']):.3f}"
            f" | {median(own['loss']):.3f} |"
        )
    met = "met" if max(ratio, paired) <= TARGET else "missed"
    print(f"\nskmm over the loop: {ratio:.3f} of medians, {paired:.3f} paired;"
          f" target at most {TARGET}: {met}")  # fmt: skip
    sys.stdout.flush()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[128, 800])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4, help="of each fit; the first is not timed")
    parser.add_argument("--data", choices=("generated", "mnist-halves"), default="generated")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=100, help="of each generated modality")
    parser.add_argument("--hidden", type=int, nargs="*", default=[512, 512])
    parser.add_argument("--components", type=int, default=10)
    parser.add_argument("--normalization", choices=("none", "layer"), default="none")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--loss", choices=("skmm", "plain"), default="skmm", help="of the loop")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, help="of torch; all by default")
    parser.add_argument("--peers-python", help="interpreter of the peers' environment")
    parser.add_argument("--seed", type=int, default=0, help="of the generated data")
    parser.add_argument("--output", type=Path, help="JSON file for all that was measured")
    options = parser.parse_args()
    if options.epochs < 2:
        parser.error("--epochs must be at least 2: the first is not timed")
    return options


def main() -> None:
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    X = make_data(options)
    scaled = standardised(X)
    sides: dict[str, Run] = {
        "loop": lambda batch_size: run_loop(scaled, batch_size, options),
        "skmm": lambda batch_size: run_skmm(X, batch_size, options),
    }
    widths = " + ".join(str(view.shape[1]) for view in X.values())
    print(f"{options.data} data, {options.rows} rows of {widths} columns; hidden {options.hidden},"
          f" {options.components} outputs, normalization {options.normalization}; the loop has"
          f" {'a plain' if options.loss == 'plain' else 'skmm.nn.cca_loss as'} loss\n"
          f"{options.device}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f},"
          f" torch {torch.__version__}, {time.strftime('%Y-%m-%d')}; {options.rounds} rounds of"
          f" {options.epochs - 1} epochs")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        peer = None
        if options.peers_python:
            for name, view in zip("xy", scaled.values(), strict=True):
                np.save(Path(folder) / f"{name}.npy", view)
            peer = Peer(Path(folder), options)
            print(f"peer: {peer.versions}")
            sides["cca_zoo"] = lambda batch_size: peer.ask(str(batch_size), 1800.0)
        everything = {}
        try:
            for batch_size in options.batch_sizes:
                everything[batch_size] = measure(sides, batch_size, options.rounds)
                report(batch_size, everything[batch_size])
        finally:
            if peer is not None:
                peer.close()
    if peer is not None and peer.failure:
        print(f"\ncca_zoo: {peer.failure}")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
