"""cca_zoo's DCCA under Lightning, timed in a process and environment of its own.

Data come as .npy files; each line on the standard input is a batch size, each answer on the
standard output a JSON line. Needs cca_zoo with its extra `deep`.
"""

import argparse
import contextlib
import json
import logging
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from cca_zoo.deep import DCCA, MultiviewDataset
from torch import nn
from torch.utils.data import DataLoader

WEIGHT_DECAY = 1e-2


class WithAdamW(DCCA):
    """DCCA with the optimizer of the other sides in place of Adam."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.parameters(), lr=self.learning_rate, weight_decay=WEIGHT_DECAY, fused=True
        )


class Clock(pl.Callback):
    """Notes when epochs end, by the clock and of the processor."""

    def __init__(self) -> None:
        self.stamps: list[tuple[float, float]] = []

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.stamps.append((time.perf_counter(), time.process_time()))


def network(n_inputs: int, options: argparse.Namespace) -> nn.Module:
    """Return linear maps with what is between them."""
    layers: list[nn.Module] = []
    for size in options.hidden:
        layers.append(nn.Linear(n_inputs, size))
        layers += [nn.LayerNorm(size)] if options.normalization == "layer" else []
        layers.append(nn.ReLU())
        n_inputs = size
    return nn.Sequential(*layers, nn.Linear(n_inputs, options.components))


def run(data: MultiviewDataset, batch_size: int, options: argparse.Namespace) -> dict[str, float]:
    """Train for some epochs; return the seconds of one, the first not counted."""
    torch.manual_seed(0)
    model = WithAdamW(
        options.components,
        [network(view.shape[1], options) for view in data.views],
        learning_rate=options.lr,
    )
    clock = Clock()
    trainer = pl.Trainer(
        max_epochs=options.epochs,
        accelerator="gpu" if options.device == "cuda" else "cpu",
        devices=1,
        callbacks=[clock],
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    trainer.fit(model, DataLoader(data, batch_size=batch_size, shuffle=True, drop_last=True))
    first, last = clock.stamps[0], clock.stamps[-1]
    return {
        "seconds": (last[0] - first[0]) / (options.epochs - 1),
        "processor": (last[1] - first[1]) / (options.epochs - 1),
        "loss": float(trainer.callback_metrics["train/objective"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="a folder with x.npy and y.npy, standardised")
    parser.add_argument("--hidden", type=int, nargs="*", required=True)
    parser.add_argument("--components", type=int, required=True)
    parser.add_argument("--normalization", choices=("none", "layer"), required=True)
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--device", choices=("cpu", "cuda"), required=True)
    parser.add_argument("--threads", type=int, help="of torch; all by default")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if options.threads:
        torch.set_num_threads(options.threads)
    data = MultiviewDataset([np.load(options.data / f"{name}.npy") for name in "xy"])
    versions = ", ".join(f"{name} {version(name)}" for name in ("cca_zoo", "lightning", "torch"))
    print(json.dumps({"ready": versions}), flush=True)
    for line in sys.stdin:
        try:
            with contextlib.redirect_stdout(sys.stderr):
                answer: dict[str, Any] = run(data, int(line), options)
        except Exception as error:  # the other side must hear of it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
