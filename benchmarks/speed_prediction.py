"""Seconds per step and memory of MultimodalClassifier beside a network written by hand.

The network: three blocks of convolutions with 64, 128 and 256 channels on images of 3 × 224 × 224;
an embedding of 10000 tokens in 64 numbers and an LSTM of 64 on texts of 100 tokens; their codes
side by side, hidden layers of 128 and 64, two classes. In skmm it is one call of the constructor;
by hand it is plain torch.nn, trained by a loop. Batches, fused AdamW and generated data are the
same.

Each side trains in a process of its own; sides alternate. Printed are medians of the seconds by the
clock and of the processor (which other processes disturb less), the ratios of the medians (target
at most 1.2), and the highest memory of the processes.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from statistics import median
from typing import Any

import numpy as np
import skorch
import torch
from torch import Tensor, nn

from skmm import Modalities, MultimodalClassifier
from skmm.nn import Conv, Tokens

Array = np.ndarray
Times = tuple[float, float]  # seconds by the clock, and of the processor
TARGET = 1.2
VOCABULARY, LENGTH, SIZE = 10_000, 100, 224


class Clock(skorch.callbacks.Callback):
    """Notes when steps end."""

    def __init__(self) -> None:
        self.stamps: list[Times] = []

    def on_batch_end(self, net: Any = None, **kwargs: Any) -> None:
        self.stamps.append(now())


class ByHand(nn.Module):
    """What a tutorial would write."""

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for n_in, n_out in ((3, 64), (64, 128), (128, 256)):
            blocks += [nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out),
                       nn.ReLU(), nn.MaxPool2d(2)]  # fmt: skip
        self.image = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(256 * (SIZE // 8) ** 2, 128))
        self.embedding = nn.Embedding(VOCABULARY, 64, padding_idx=0)
        self.lstm = nn.LSTM(64, 64, batch_first=True)
        self.text = nn.Linear(64, 128)
        self.fusion = nn.Linear(256, 128)
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(128, 64), nn.LayerNorm(64), nn.ReLU(),
                                  nn.Linear(64, 2))  # fmt: skip

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        last = self.lstm(self.embedding(text))[1][0][-1]
        codes = torch.cat([self.image(image), self.text(last)], dim=1)
        return self.head(self.fusion(codes.relu()))


def generated(n_samples: int) -> tuple[Modalities, Array]:
    """Return images whose brightness, and texts of which a token, depend on the class."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n_samples)
    image = rng.random((n_samples, 3, SIZE, SIZE), dtype=np.float32)
    image += 0.2 * y[:, None, None, None].astype(np.float32)
    text = rng.integers(1, VOCABULARY, (n_samples, LENGTH))
    text[:, 50] = 1 + y
    return Modalities({"image": image, "text": text}, kinds={"text": "tokens"}), y


def now() -> Times:
    return time.perf_counter(), time.process_time()


def ours(X: Modalities, y: Array, batch_size: int) -> list[Times]:
    clock = Clock()
    MultimodalClassifier(
        encoders={
            "image": Conv((64, 128, 256), hidden_layer_sizes=()),
            "text": Tokens(VOCABULARY, embedding_dim=64, hidden_size=64),
        },
        hidden_layer_sizes=(128,),
        head_layer_sizes=(64,),
        modality_dropout=0.0,
        early_stopping=False,
        max_epochs=1,
        batch_size=batch_size,
        lr_schedule="constant",
        device="cpu",
        callbacks=[clock],
        random_state=0,
    ).fit(X, y)
    return clock.stamps


def by_hand(X: Modalities, y: Array, batch_size: int) -> list[Times]:
    image, text, target = (torch.tensor(np.asarray(a)) for a in (X["image"], X["text"], y))
    mean, scale = image.mean(dim=(0, 2, 3), keepdim=True), image.std(dim=(0, 2, 3), keepdim=True)
    network = ByHand()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    order = torch.randperm(len(y))
    stamps = []
    for i in range(len(y) // batch_size):
        rows = order[i * batch_size : (i + 1) * batch_size]
        optimizer.zero_grad(set_to_none=True)
        outputs = network((image[rows] - mean) / scale, text[rows])
        nn.functional.cross_entropy(outputs, target[rows]).backward()
        optimizer.step()
        stamps.append(now())
    return stamps


SIDES = {"skmm": ours, "by hand": by_hand}


def measure(side: str, options: argparse.Namespace) -> dict[str, float]:
    """Train in this process; the first step, which allocates, is not timed."""
    torch.set_num_threads(options.threads)
    X, y = generated(options.batch_size * (options.steps + 1))
    stamps = SIDES[side](X, y, options.batch_size)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clock, processor = np.median(np.diff(stamps, axis=0), axis=0).tolist()
    return {"clock": clock, "processor": processor, "peak": peak / 1024}


def compare(options: argparse.Namespace) -> None:
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for i in range(options.rounds):
        for side in reversed(SIDES) if i % 2 else SIDES:
            call = [sys.executable, __file__, *sys.argv[1:], "--side", side]
            done = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True)
            found[side].append(json.loads(done.stdout))
    middle = {
        side: {what: median(row[what] for row in rows) for what in rows[0]}
        for side, rows in found.items()
    }
    for side, row in middle.items():
        said = f"{side}: {row['clock']:.2f} s per step of {options.batch_size} rows"
        print(f"{said}, {row['processor']:.2f} s of the processor, {row['peak']:.0f} MiB")
    ratios = {what: middle["skmm"][what] / middle["by hand"][what] for what in middle["skmm"]}
    print(f"ratios (target at most {TARGET})", {what: round(r, 3) for what, r in ratios.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side is None:
        return compare(options)
    print(json.dumps(measure(options.side, options)))


if __name__ == "__main__":
    main()
