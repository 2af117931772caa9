"""Seconds per epoch of MultimodalAutoencoder and MultimodalVAE beside a hand-written PyTorch loop.

The loop trains a module of the same graph with the same objective, batches, fused AdamW and
constant learning rate, on tensors that it shuffles by itself. Sides alternate; printed are medians,
the ratio of the medians and the median of the ratios within rounds, target at most 1.15.
"""

import argparse
import time
from statistics import median
from typing import Any

import numpy as np
import skorch
import torch
from sklearn.base import clone

from skmm import Modalities, MultimodalAutoencoder, MultimodalVAE
from skmm.datasets import load_digits_halves

TARGET = 1.15


class Clock(skorch.callbacks.Callback):
    """Notes when epochs end."""

    def __init__(self) -> None:
        self.stamps: list[float] = []

    def on_epoch_end(self, net: Any = None, **kwargs: Any) -> None:
        self.stamps.append(time.perf_counter())


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


def ours(model: Any, X: Modalities) -> float:
    clock = Clock()
    clone(model).set_params(callbacks=[clock]).fit(X)
    return (clock.stamps[-1] - clock.stamps[0]) / (len(clock.stamps) - 1)


def loop(model: Any, X: Modalities) -> float:
    model = clone(model)
    X = model._read(X, reset=True)
    module, objective = model._networks(X, 0)
    inputs = {
        name: torch.tensor(np.asarray(v), dtype=torch.long if v.dtype.kind == "i" else None)
        for name, v in X.items()
    }
    inputs = {n: v.float() if v.is_floating_point() else v for n, v in inputs.items()}
    optimizer = torch.optim.AdamW(module.parameters(), lr=model.lr, fused=True)
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
        stamps.append(time.perf_counter())
    return (stamps[-1] - stamps[0]) / (len(stamps) - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    common = {
        "early_stopping": False, "max_epochs": options.epochs, "lr_schedule": "constant",
        "random_state": 0,
    }  # fmt: skip
    for data, X, size in (
        ("digits halves + label", digits_and_label(), 64),
        ("20000 x (64, 64, 10)", generated(), 256),
    ):
        for model in (
            MultimodalAutoencoder(10, batch_size=size, **common),
            *(MultimodalVAE(10, posterior=p, batch_size=size, **common) for p in ("poe", "moe")),
        ):
            loop(model, X)
            rounds = []
            for i in range(options.rounds):
                sides = (ours, loop) if i % 2 else (loop, ours)
                found = {side: side(model, X) for side in sides}
                rounds.append((found[ours], found[loop]))
            mine, theirs = (median(column) for column in zip(*rounds, strict=True))
            paired = median(a / b for a, b in rounds)
            name = type(model).__name__ + getattr(model, "posterior", "").join(["(", ")"])
            verdict = "met" if max(mine / theirs, paired) <= TARGET else "missed"
            print(f"{data}, {name}: skmm {mine:.3f} s, loop {theirs:.3f} s, ratio "
                  f"{mine / theirs:.3f}, paired {paired:.3f}: {verdict}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
