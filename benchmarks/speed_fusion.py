"""Seconds per epoch of MultimodalAutoencoder and MultimodalVAE beside a hand-written PyTorch loop.

The loop trains a module of the same graph with the same objective, batches, fused AdamW and
constant learning rate, on tensors that it shuffles by itself. Sides alternate; printed are medians,
the ratio of the medians and the median of the ratios within rounds, target at most 1.15.

With ``--peers-python`` models of multivae and multi-view-AE follow, with the same networks (two
hidden layers of 256, ReLU, no normalisation), batches and fused Adam, in a process of their own
each under its package's own trainer. multivae's MVAE has the bounds of single modalities beside
that of all and decodes for each; "poe" decodes for all and for a random subset, multi-view-AE once.
The two MVTCAE, as "mvtcae", all decode once. The scale of the normal
likelihood is learned by skmm and multi-view-AE, and 1 in multivae.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import skorch
import torch
from sklearn.base import clone
from speed_cca import Side

from skmm import Modalities, MultimodalAutoencoder, MultimodalVAE
from skmm.datasets import load_digits_halves

HERE = Path(__file__).resolve().parent
TARGET = 1.15


PEERS = {
    "poe": (("multivae", "MVAE"), ("multiviewae", "mVAE")),
    "mvtcae": (("multivae", "MVTCAE"), ("multiviewae", "mvtCAE")),
}
HIDDEN = (256, 256)
Times = tuple[float, float]  # seconds, of an epoch: by the clock, of the processor
Run = Callable[[], Times | None]


class Peers(Side):
    """The peers in a process of their own; `ask` takes a JSON object that says what to train."""

    def __init__(self, python: str, data: Path, threads: int) -> None:
        self.name = "peers"
        self._process = subprocess.Popen(
            [python, str(HERE / "peers_fusion.py"), str(data), "--threads", str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "TQDM_DISABLE": "1"},
        )  # fmt: skip
        self.failure = ""
        self.versions = (self._read(300.0) or {}).get("ready", self.failure)


class Clock(skorch.callbacks.Callback):
    """Notes when epochs end."""

    def __init__(self) -> None:
        self.stamps: list[Times] = []

    def on_epoch_end(self, net: Any = None, **kwargs: Any) -> None:
        self.stamps.append(now())


def digits_and_label() -> Modalities:
    X, y = load_digits_halves(return_X_y=True)
    return Modalities({**dict(X.items()), "label": np.asarray(y).astype(str)})


def generated() -> Modalities:
    rng = np.random.default_rng(0)
    z = rng.standard_normal((20_000, 8))
    widths = {"a": 64, "b": 64, "c": 10}
    return Modalities(
        {
            name: (z @ rng.standard_normal((8, w)) + rng.standard_normal((20_000, w))).astype("f4")
            for name, w in widths.items()
        }
    )


def now() -> Times:
    return time.perf_counter(), time.process_time()


def per_epoch(stamps: list[Times]) -> Times:
    """Return the means over all epochs but the first."""
    n_epochs = len(stamps) - 1
    wall, processor = (b - a for a, b in zip(stamps[0], stamps[-1], strict=True))
    return wall / n_epochs, processor / n_epochs


def ours(model: Any, X: Modalities) -> Times:
    clock = Clock()
    clone(model).set_params(callbacks=[clock]).fit(X)
    return per_epoch(clock.stamps)


def loop(model: Any, X: Modalities) -> Times:
    model = clone(model)
    X = model._read(X, reset=True)
    module, objective = model._networks(X, 0)
    inputs = {
        name: torch.tensor(np.asarray(v), dtype=torch.long if v.dtype.kind == "i" else None)
        for name, v in X.items()
    }
    inputs = {n: v.float() if v.is_floating_point() else v for n, v in inputs.items()}
    make = torch.optim.Adam if model.optimizer == "adam" else torch.optim.AdamW
    optimizer = make(module.parameters(), lr=model.lr, fused=True)
    n, size = len(X), model.batch_size
    stamps = []
    module.train()
    objective.train()
    for _ in range(model.max_epochs):
        order = torch.randperm(n)
        for i in range(n // size):
            rows = order[i * size : (i + 1) * size]
            optimizer.zero_grad(set_to_none=True)
            outputs = module({name: v[rows] for name, v in inputs.items()})
            loss = sum(objective(outputs).values())
            loss.backward()
            optimizer.step()
        stamps.append(now())
    return per_epoch(stamps)


def measure(sides: dict[str, Run], rounds: int) -> dict[str, list[Times]]:
    """Let the sides take turns in alternating order; one that fails is left out."""
    found: dict[str, list[Times]] = {name: [] for name in sides}
    for i in range(rounds):
        for name in reversed(sides) if i % 2 else sides:
            if (seconds := sides[name]()) is not None:
                found[name].append(seconds)
    return {name: seconds for name, seconds in found.items() if len(seconds) == rounds}


def compare_with_loop(data: str, X: Modalities, size: int, options: argparse.Namespace) -> None:
    """Print a line per estimator."""
    common = settings(size, options)
    for model in (
        MultimodalAutoencoder(10, **common),
        *(MultimodalVAE(10, posterior=p, **common) for p in ("poe", "moe")),
    ):
        loop(model, X)
        sides: dict[str, Run] = {
            "skmm": partial(ours, model, X),
            "loop": partial(loop, model, X),
        }
        found = measure(sides, options.rounds)
        mine, theirs = (median(wall for wall, _ in found[side]) for side in sides)
        paired = paired_ratio(found["skmm"], found["loop"])
        name = type(model).__name__ + getattr(model, "posterior", "").join(["(", ")"])
        verdict = "met" if max(mine / theirs, paired) <= TARGET else "missed"
        print(f"{data}, {name}: skmm {mine:.3f} s, loop {theirs:.3f} s, ratio "
              f"{mine / theirs:.3f}, paired {paired:.3f}: {verdict}", flush=True)  # fmt: skip


def compare_with_peers(data: str, X: Modalities, size: int, options: argparse.Namespace) -> None:
    """Print a table per posterior; ratios are to skmm. Processor seconds count all threads."""
    with tempfile.TemporaryDirectory() as folder:
        write(X, Path(folder))
        peers = Peers(options.peers_python, Path(folder), options.threads)
        print(f"\n{data}, batches of {size}, {options.epochs - 1} epochs in each of "
              f"{options.rounds} rounds; {peers.versions}")  # fmt: skip
        try:
            for posterior, others in PEERS.items():
                model = MultimodalVAE(
                    10, posterior=posterior, hidden_layer_sizes=HIDDEN, normalization=None,
                    modality_weights=None, optimizer="adam", weight_decay=0.0,
                    **settings(size, options),
                )  # fmt: skip
                sides: dict[str, Run] = {
                    f"skmm {posterior}": partial(ours, model, X),
                    f"loop {posterior}": partial(loop, model, X),
                }
                for package, name in others:
                    command = json.dumps(peer_command(package, name, model))
                    sides[f"{package} {name}"] = partial(seconds_of, peers, command)
                for run in sides.values():
                    run()
                report(measure(sides, options.rounds))
        finally:
            peers.close()
        if peers.failure:
            print(f"peers: {peers.failure}")


def report(found: dict[str, list[Times]]) -> None:
    print("\n| side | seconds per epoch (median) | min | over skmm | paired | processor s "
          "| over skmm |\n" + "|---" * 7 + "|")  # fmt: skip
    first = next(iter(found.values()))
    own = [median(column) for column in zip(*first, strict=True)]
    for name, times in found.items():
        wall, processor = (median(column) for column in zip(*times, strict=True))
        print(f"| {name} | {wall:.3f} | {min(times)[0]:.3f} | {wall / own[0]:.2f} "
              f"| {paired_ratio(times, first):.2f} | {processor:.3f} "
              f"| {processor / own[1]:.2f} |", flush=True)  # fmt: skip


def paired_ratio(a: list[Times], b: list[Times]) -> float:
    """Return the median of the ratios within rounds, by the clock."""
    return median(x[0] / y[0] for x, y in zip(a, b, strict=True))


def settings(size: int, options: argparse.Namespace) -> dict[str, Any]:
    return {"batch_size": size, "early_stopping": False, "max_epochs": options.epochs,
            "lr_schedule": "constant", "random_state": 0}  # fmt: skip


def write(X: Modalities, folder: Path) -> None:
    """Write what the peers need: standardised numbers, labels as indicators."""
    likelihoods = {}
    for name, value in X.items():
        value = np.asarray(value)
        if X.kinds[name] == "categorical":
            value = value[:, None] == np.unique(value)
        else:
            scale = value.std(axis=0)
            value = (value - value.mean(axis=0)) / np.where(scale > 0, scale, 1)
        likelihoods[name] = "categorical" if X.kinds[name] == "categorical" else "normal"
        np.save(folder / f"{name}.npy", value.astype(np.float32))
    (folder / "modalities.json").write_text(json.dumps(likelihoods))


def peer_command(package: str, name: str, model: MultimodalVAE) -> dict[str, Any]:
    return {
        "package": package, "model": name, "components": model.n_components,
        "hidden": HIDDEN, "decoder_hidden": HIDDEN[::-1], "activation": "relu",
        "epochs": model.max_epochs, "batch_size": model.batch_size, "lr": model.lr,
        "warmup": 1, "seed": 0, "redraw": False, "standardise": False,
    }  # fmt: skip


def seconds_of(peers: Peers, command: str) -> Times | None:
    answer = peers.ask(command, 1800.0)
    return None if answer is None else (answer["seconds"], answer["processor"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4, help="of each fit; the first is not timed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers-python", help="interpreter of the peers' environment")
    parser.add_argument("--peers-only", action="store_true", help="leave the first part out")
    options = parser.parse_args()
    if options.epochs < 2:
        parser.error("--epochs must be at least 2: the first is not timed")
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", UserWarning)  # few epochs: nothing has been learnt
    print(f"{options.threads} threads, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}, "
          f"{time.strftime('%Y-%m-%d')}")  # fmt: skip
    for data, X, size in (
        ("digits halves + label", digits_and_label(), 64),
        ("20000 x (64, 64, 10)", generated(), 256),
    ):
        if not options.peers_only:
            compare_with_loop(data, X, size, options)
        if options.peers_python:
            compare_with_peers(data, X, size, options)


if __name__ == "__main__":
    main()
