"""Seconds per training step of ConditionalGAN beside a hand-written PyTorch loop.

The loop trains the same networks on tensors that it shuffles by itself, with the same losses
written out, batches, fused AdamW, constant learning rate and moving average of the weights. Sides
alternate; printed are medians, by the clock and of the processor (all threads), and the medians of
the ratios within rounds, target at most 1.2 of the processor's.
"""

import argparse
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import skorch
import torch
from sklearn.base import clone
from torch import Tensor
from torch.nn.functional import softplus

from skmm import ConditionalGAN
from skmm.datasets import load_digits_halves, make_conditional

Array = np.ndarray
TARGET = 1.2
N_DRAWS = 4  # per row, in the energy score
FIRST, SECOND = torch.triu_indices(N_DRAWS, N_DRAWS, 1)  # pairs of draws
Step = Callable[[Tensor, Tensor], None]
Times = tuple[float, float]  # seconds, of an epoch: by the clock, of the processor


class Clock(skorch.callbacks.Callback):
    """Notes when epochs end."""

    def __init__(self) -> None:
        self.stamps: list[Times] = []

    def on_epoch_end(self, net: Any = None, **kwargs: Any) -> None:
        self.stamps.append(now())


def now() -> Times:
    return time.perf_counter(), time.process_time()


def per_epoch(stamps: list[Times]) -> Times:
    wall, processor = np.diff(stamps, axis=0).mean(axis=0)
    return wall, processor


def ours(model: ConditionalGAN, X: Array, y: Array) -> Times:
    """Return the mean seconds of all epochs but the first."""
    clock = Clock()
    clone(model).set_params(callbacks=[clock]).fit(X, y)
    return per_epoch(clock.stamps)


def loop(model: ConditionalGAN, X: Array, y: Array) -> Times:
    """Do the same by hand."""
    model = clone(model)
    module = model._build(model._read_fit(X, y), 0)[0]
    x, target = (scaled(values) for values in (X, y))
    step = (
        energy_step(module, model) if model.loss == "energy" else relativistic_step(module, model)
    )
    n, size = len(x), model.batch_size
    stamps: list[Times] = []
    module.train()
    for _ in range(model.max_epochs):
        order = torch.randperm(n)
        for i in range(n // size):
            rows = order[i * size : (i + 1) * size]
            step(x[rows], target[rows])
        stamps.append(now())
    return per_epoch(stamps)


def scaled(values: Array) -> Tensor:
    scale = values.std(axis=0)
    return torch.tensor((values - values.mean(axis=0)) / np.where(scale > 0, scale, 1)).float()


def energy_step(module: Any, model: ConditionalGAN) -> Step:
    generate, k = module.generator.network, model.noise_dim
    optimizer = adamw(generate, model)
    average = Average(generate, model.ema_decay)

    def step(x: Tensor, y: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        noise = torch.randn(N_DRAWS, len(x), k)
        both = torch.cat([x.expand(N_DRAWS, -1, -1), noise], dim=2)
        draws = generate(both.flatten(0, 1)).reshape(N_DRAWS, *y.shape)
        error = (draws - y).norm(dim=2).mean()
        loss = error - (draws[FIRST] - draws[SECOND]).norm(dim=2).mean() / 2
        loss.backward()
        optimizer.step()
        average.update()

    return step


def relativistic_step(module: Any, model: ConditionalGAN) -> Step:
    generate, judge, k = module.generator.network, module.discriminator.network, model.noise_dim
    optimizer, other = adamw(generate, model), adamw(judge, model)
    average = Average(generate, model.ema_decay)
    gamma = model._penalty()

    def fake(x: Tensor) -> Tensor:
        return generate(torch.cat([x, torch.randn(len(x), k)], dim=1))

    def step(x: Tensor, y: Tensor) -> None:
        other.zero_grad(set_to_none=True)
        with torch.no_grad():
            generated = fake(x)
        pair, twice = torch.cat([y, generated]), torch.cat([x, x])
        on_real, on_fake = judge(torch.cat([twice, pair], dim=1)).squeeze(1).chunk(2)
        pair.requires_grad_()
        judged = judge(torch.cat([twice, pair], dim=1)).sum()
        (gradient,) = torch.autograd.grad(judged, pair, create_graph=True)
        penalty = gradient.square().sum() / (2 * len(x))
        (softplus(on_fake - on_real).mean() + gamma * penalty).backward()
        other.step()
        optimizer.zero_grad(set_to_none=True)
        judge.requires_grad_(False)
        with torch.no_grad():
            on_real = judge(torch.cat([x, y], dim=1)).squeeze(1)
        on_fake = judge(torch.cat([x, fake(x)], dim=1)).squeeze(1)
        softplus(on_real - on_fake).mean().backward()
        optimizer.step()
        judge.requires_grad_(True)
        average.update()

    return step


def adamw(network: torch.nn.Module, model: ConditionalGAN) -> torch.optim.Optimizer:
    weights = {"lr": model.lr, "weight_decay": model.weight_decay}
    return torch.optim.AdamW(network.parameters(), fused=True, **weights)


class Average:
    """The moving average of a network's weights."""

    def __init__(self, network: torch.nn.Module, decay: float) -> None:
        self.weights = [p.detach() for p in network.parameters()]
        self.values = [w.clone() for w in self.weights]
        self.decay = decay

    def update(self) -> None:
        torch._foreach_lerp_(self.values, self.weights, 1 - self.decay)


def compare(name: str, X: Array, y: Array, model: ConditionalGAN, rounds: int) -> None:
    """Let the sides take turns in alternating order, and print a line."""
    sides: dict[str, Callable[..., Times]] = {"skmm": ours, "loop": loop}
    found: dict[str, list[Times]] = {side: [] for side in sides}
    loop(model, X, y)
    for i in range(rounds):
        for side in reversed(sides) if i % 2 else sides:
            found[side].append(sides[side](model, X, y))
    n_steps = len(X) // int(model.batch_size)
    cells, ratio = [], 1.0
    for k, clock in enumerate(("clock", "processor")):
        mine, theirs = (np.array(found[side])[:, k] for side in sides)
        ratio = median(mine / theirs)
        cells.append(f"{clock} {1e3 * median(mine) / n_steps:.2f} and "
                     f"{1e3 * median(theirs) / n_steps:.2f} ms, ratio {ratio:.2f}")  # fmt: skip
    verdict = "met" if ratio <= TARGET else "missed"
    print(f"{name}, {model.loss}, batches of {model.batch_size}: {'; '.join(cells)}: {verdict}",
          flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4, help="of each fit; the first is not timed")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.epochs < 2:
        parser.error("--epochs must be at least 2: the first is not timed")
    torch.set_num_threads(options.threads)
    print(f"{options.threads} threads, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}, "
          f"{time.strftime('%Y-%m-%d')}")  # fmt: skip
    X = load_digits_halves().data
    digits = np.asarray(X["left"]), np.asarray(X["right"])
    circle = make_conditional("circle", 20_000, random_state=0, return_X_y=True)
    for name, (x, y), size in (("circle", circle, 256), ("digits halves", digits, 64)):
        for loss in ("energy", "relativistic"):
            model = ConditionalGAN(
                loss=loss, batch_size=size, early_stopping=False, max_epochs=options.epochs,
                lr_schedule="constant", random_state=0,
            )  # fmt: skip
            compare(name, x, y, model, options.rounds)


if __name__ == "__main__":
    main()
