"""MNIST images, binarised anew in each epoch, and labels: log-likelihoods beside multivae.

The task of Wu and Goodman (2018, section 5): pixels are Bernoulli draws of the grey values. Each
side trains the same networks (theirs: 784-512-512-64 with Swish, decoders with three layers of
512; "joint" and JMVAE have the same joint encoder) on the same rows with Adam at a constant
learning rate, the same batches, epochs and share of annealing, and no weights of modalities. The
test images are binarised once.

One function evaluates all: with K draws from the posterior given the image (or both), importance
sampling gives log p(image), log p(image, label), and log p(image | label) as log p(image, label)
minus log p(label), the latter the logarithm of the mean over draws from the prior. The same with
draws from the posterior given the label, which tells about the label's encoder, is in the column
"by label". Draws are the same for all models. Further lines say
how far `MultimodalVAE.score_samples`, with draws of its own, is from the evaluation beside how far
other draws are, and compare models row by row.
Standard errors are over test rows: fits with other seeds differ by more.

Models: "poe", "joint" (of skmm), "MVAE", "JMVAE" (of multivae, with ``--peers-python``);
"poe-default" and "joint-default" are skmm's with its own optimizer, schedule and warm-up.
skmm standardises what its encoders see; "MVAE-standardised" and "JMVAE-standardised" do the same,
which multivae leaves to its users.
"""

import argparse
import json
import math
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skorch
import torch
from speed_fusion import Peers, Times, now, per_epoch
from torch import Tensor
from torch.nn import functional as F

from skmm import Modalities, MultimodalVAE
from skmm.datasets import fetch_mnist
from skmm.nn import MLP

Array = np.ndarray
OURS = ("poe", "joint", "poe-default", "joint-default")
THEIRS = {"MVAE": "poe", "JMVAE": "joint"}  # the posterior of skmm that is of the same kind
VARIANTS = [*THEIRS, *(f"{name}-standardised" for name in THEIRS)]
ENCODER = MLP((512, 512), activation="silu")
DECODER = MLP((512, 512, 512), activation="silu")
N_COMPONENTS = 64
N_PRIOR = 100_000  # draws behind log p(label)
N_ROWS = 10  # test rows at once
N_CHECKED = 100  # test rows in the check of `score_samples`


@dataclass
class Fitted:
    """Normal posteriors of the test rows given "image", "label", "all"; decoders; seconds."""

    posteriors: dict[str, tuple[Tensor, Tensor]]
    decoders: Mapping[str, Callable[[Tensor], Tensor]]
    seconds: float
    per_epoch: Times
    model: MultimodalVAE | None = None


@dataclass
class Task:
    """Grey values of the training images in [0, 1], binary test images; labels are numbers."""

    grey: Array
    labels: Array
    test: Array
    test_labels: Array

    def modalities(self, image: Array, labels: Array) -> Modalities:
        return Modalities({"image": image, "label": labels.astype(str)}, kinds={"image": "binary"})


class Redraw(skorch.callbacks.Callback):
    """Binarises the training images before each epoch, and notes when epochs end."""

    def __init__(self, grey: Array, seed: int) -> None:
        self.grey = grey
        self.seed = seed
        self.stamps: list[Times] = []

    def on_train_begin(self, net: Any = None, **kwargs: Any) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)

    def on_epoch_begin(self, net: Any = None, dataset_train: Any = None, **kwargs: Any) -> None:
        image = dataset_train.inputs["image"]
        image.copy_(torch.bernoulli(torch.from_numpy(self.grey), generator=self.generator))

    def on_epoch_end(self, net: Any = None, **kwargs: Any) -> None:
        self.stamps.append(now())


def make_task(options: argparse.Namespace) -> Task:
    train: Any = [fetch_mnist("labels", subset=part).data for part in ("train", "tune")]
    image = np.concatenate([np.asarray(X["image"], dtype=np.float32) for X in train])
    label = np.concatenate([np.asarray(X["label"]) for X in train]).astype(np.int64)
    rows = np.random.default_rng(0).permutation(len(image))[: options.rows]
    test: Any = fetch_mnist("labels", subset="test").data[: options.test_rows]
    grey = np.asarray(test["image"], dtype=np.float32)
    binary = (np.random.default_rng(1).uniform(size=grey.shape) < grey).astype(np.float32)
    return Task(image[rows], label[rows], binary, np.asarray(test["label"]).astype(np.int64))


def fit_skmm(name: str, task: Task, seed: int, options: argparse.Namespace) -> Fitted:
    posterior, _, default = name.partition("-")
    redraw = Redraw(task.grey, seed)
    recipe: dict[str, Any] = {
        "optimizer": "adam",
        "weight_decay": 0.0,
        "lr_schedule": "constant",
        "kl_warmup": max(0, options.warmup - 1) / options.epochs,  # as multivae counts
    }
    model = MultimodalVAE(
        N_COMPONENTS,
        posterior=posterior,
        encoders={"image": ENCODER, "label": ENCODER},
        decoders={"image": DECODER, "label": DECODER},
        hidden_layer_sizes=(512, 512),
        activation="silu",
        normalization=None,
        modality_weights=None,
        lr=options.lr,
        batch_size=options.batch_size,
        max_epochs=options.epochs,
        early_stopping=False,
        n_importance_samples=options.draws,
        callbacks=[redraw],
        random_state=seed,
        **({} if default else recipe),
    )
    first = (np.random.default_rng(seed).uniform(size=task.grey.shape) < task.grey).astype("f4")
    start = time.perf_counter()
    model.fit(task.modalities(first, task.labels))
    seconds = time.perf_counter() - start
    return Fitted(
        posteriors_of(model, task),
        dict(zip(("image", "label"), model.net_.module_.decoders, strict=True)),
        seconds,
        per_epoch(redraw.stamps),
        model,
    )


@torch.no_grad()
def posteriors_of(model: MultimodalVAE, task: Task) -> dict[str, tuple[Tensor, Tensor]]:
    """Return means and log-variances of the test rows."""
    inputs = {"image": torch.from_numpy(task.test), "label": torch.from_numpy(task.test_labels)}
    found = {}
    for given, names in (("image", ["image"]), ("label", ["label"]), ("all", list(inputs))):
        seen = torch.tensor([n in names for n in inputs]).expand(len(task.test), -1)
        mixture = model.net_.module_.posterior({n: inputs[n] for n in names}, seen)
        found[given] = mixture.means[0], mixture.log_variances[0]
    return found


def write_task(task: Task, folder: Path) -> None:
    """Write what the peers need."""
    one_hot = np.eye(10, dtype=np.float32)
    np.save(folder / "image.npy", task.grey)
    np.save(folder / "label.npy", one_hot[task.labels])
    np.save(folder / "test_image.npy", task.test)
    np.save(folder / "test_label.npy", one_hot[task.test_labels])
    likelihoods = {"image": "bernoulli", "label": "categorical"}
    (folder / "modalities.json").write_text(json.dumps(likelihoods))


def fit_peer(
    name: str, peers: Peers, folder: Path, seed: int, options: argparse.Namespace
) -> Fitted | None:
    output = folder / f"{name}.pt"
    kind, _, standardised = name.partition("-")
    command = {
        "package": "multivae", "model": kind, "standardise": bool(standardised),
        "components": N_COMPONENTS, "activation": "silu",
        "hidden": ENCODER.hidden_layer_sizes, "decoder_hidden": DECODER.hidden_layer_sizes,
        "epochs": options.epochs, "batch_size": options.batch_size, "lr": options.lr,
        "warmup": options.warmup, "seed": seed, "redraw": True, "output": str(output),
    }  # fmt: skip
    answer = peers.ask(json.dumps(command), 7200.0)
    if answer is None:
        print(f"{name}: {peers.failure}")
        return None
    saved = torch.load(output, weights_only=True)
    decoders = {}
    for modality, width in (("image", 784), ("label", 10)):
        network = DECODER.decoder(N_COMPONENTS, (width,))
        with torch.no_grad():
            for own, given in zip(network.parameters(), saved["decoders"][modality], strict=True):
                own.copy_(given)
        decoders[modality] = network
    times = answer["seconds"], answer["processor"]
    return Fitted(saved["posteriors"], decoders, answer["total"], times)


@torch.no_grad()
def log_evidence(
    fitted: Fitted, given: str, targets: dict[str, Tensor], n_draws: int, seed: int = 0
) -> Array:
    r"""Return :math:`\log \frac1K \sum_k p(x, z_k) / q(z_k)` for each row (Burda et al. 2016).

    The targets may be of the first rows alone.
    """
    generator = torch.Generator().manual_seed(seed)
    mean, log_variance = (part.float() for part in fitted.posteriors[given])
    found = []
    n_rows = len(next(iter(targets.values())))
    for rows in torch.arange(n_rows).split(N_ROWS):
        noise = torch.randn(n_draws, len(rows), mean.shape[1], generator=generator)
        z = mean[rows] + (0.5 * log_variance[rows]).exp() * noise
        # log p(z) - log q(z): the constants cancel.
        log_ratio = 0.5 * (noise.square() - z.square() + log_variance[rows]).sum(dim=2)
        for name, target in targets.items():
            parameters = fitted.decoders[name](z.flatten(0, 1)).unflatten(0, z.shape[:2])
            log_ratio += LOG_PROBS[name](parameters, target[rows])
        found.append(log_ratio.logsumexp(dim=0) - math.log(n_draws))
    return torch.cat(found).double().numpy()


def bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    """Return the log-probability of binary x (n, width) for logits (K, n, width)."""
    return -F.softplus((1 - 2 * x) * logits).sum(dim=2)


def categorical(logits: Tensor, labels: Tensor) -> Tensor:
    index = labels.expand(logits.shape[:2])[..., None]
    return logits.log_softmax(dim=2).gather(2, index)[..., 0]


LOG_PROBS = {"image": bernoulli, "label": categorical}


@torch.no_grad()
def log_p_label(fitted: Fitted, labels: Array) -> Array:
    """Return the logarithm of the mean, over draws from the prior, of the label's probability."""
    z = torch.randn(N_PRIOR, N_COMPONENTS, generator=torch.Generator().manual_seed(0))
    logits = torch.cat([fitted.decoders["label"](part) for part in z.split(10_000)])
    log_p = logits.double().log_softmax(dim=1).logsumexp(dim=0) - math.log(N_PRIOR)
    return log_p.numpy()[labels]


@torch.no_grad()
def evaluate(fitted: Fitted, task: Task, options: argparse.Namespace) -> dict[str, Array]:
    """Return the figures of each test row."""
    image, label = torch.from_numpy(task.test), torch.from_numpy(task.test_labels)
    both, K = {"image": image, "label": label}, options.draws
    joint = log_evidence(fitted, "all", both, K)
    marginal = log_p_label(fitted, task.test_labels)
    guess = fitted.decoders["label"](fitted.posteriors["image"][0].float()).argmax(dim=1)
    return {
        "log p(image)": log_evidence(fitted, "image", {"image": image}, K),
        "log p(image, label)": joint,
        "log p(image | label)": joint - marginal,
        "by label": log_evidence(fitted, "label", both, K) - marginal,
        "accuracy": (guess == label).double().numpy(),
    }


def check_scores(
    name: str, fitted: Fitted, task: Task, found: dict[str, Array], n_draws: int
) -> None:
    """Print how far `score_samples`, and the evaluation with other draws, are from it."""
    if fitted.model is None:
        return
    n = min(N_CHECKED, len(task.test))
    X = task.modalities(task.test[:n], task.test_labels[:n])
    image, label = (torch.from_numpy(part[:n]) for part in (task.test, task.test_labels))
    for part, given, targets, figure in (
        (X.select(["image"]), "image", {"image": image}, "log p(image)"),
        (X, "all", {"image": image, "label": label}, "log p(image, label)"),
    ):
        scores = fitted.model.score_samples(part)
        again = log_evidence(fitted, given, targets, n_draws, seed=1)
        gaps = [values - found[figure][:n] for values in (scores, again)]
        said = [f"{gap.mean():+.3f} (standard deviation {gap.std():.3f})" for gap in gaps]
        print(f"{name}, {figure} of {n} rows: score_samples {said[0]}, other draws {said[1]} from "
              "the figure above", flush=True)  # fmt: skip


def report(name: str, seed: int, fitted: Fitted, found: dict[str, Array]) -> None:
    cells = [f"{v.mean():.3f} ± {v.std() / math.sqrt(len(v)):.3f}" for v in found.values()]
    print(f"| {name} | {seed} | {fitted.seconds:.0f} | "
          f"{fitted.per_epoch[0]:.2f} | {fitted.per_epoch[1]:.2f} | "
          f"{' | '.join(cells)} |", flush=True)  # fmt: skip


def compare(results: dict[tuple[str, int], dict[str, Array]]) -> None:
    """Print differences from the peers of the same kind, with standard errors over the rows."""
    for (name, seed), found in results.items():
        for peer in VARIANTS:
            other = results.get((peer, seed))
            kind = THEIRS[peer.partition("-")[0]]
            if name not in OURS or other is None or name.partition("-")[0] != kind:
                continue
            cells = []
            for figure in found:
                gap = found[figure] - other[figure]
                cells.append(f"{figure} {gap.mean():+.3f} ± {gap.std() / math.sqrt(len(gap)):.3f}")
            print(f"{name} - {peer}, seed {seed}: {'; '.join(cells)}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models", nargs="+", choices=[*OURS, *VARIANTS], default=[*OURS, *VARIANTS]
    )
    parser.add_argument("--rows", type=int, default=60_000, help="of the training images")
    parser.add_argument("--test-rows", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=1000, help="K of the importance sampling")
    parser.add_argument("--epochs", type=int, default=10, help="the first is not timed")
    parser.add_argument("--warmup", type=int, default=4, help="epochs of annealing, of multivae")
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peers-python", help="interpreter of the peers' environment")
    parser.add_argument("--output", type=Path, help=".npz file for the figures of all rows")
    options = parser.parse_args()
    if options.warmup > options.epochs:
        parser.error("--warmup must be at most --epochs.")
    return options


def main() -> None:
    options = parse()
    warnings.simplefilter("ignore", UserWarning)
    torch.set_num_threads(options.threads)
    task = make_task(options)
    print(f"{len(task.grey)} training rows, {options.epochs} epochs in batches of "
          f"{options.batch_size}, lr {options.lr}, annealing {options.warmup} epochs; "
          f"{len(task.test)} test rows, K = {options.draws}\n{options.threads} threads, load "
          f"{os.getloadavg()[0]:.1f}, torch {torch.__version__}, "
          f"{time.strftime('%Y-%m-%d')}")  # fmt: skip
    results = {}
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder, peers = Path(name_of_folder), None
        if options.peers_python:
            write_task(task, folder)
            peers = Peers(options.peers_python, folder, options.threads)
            print(f"peers: {peers.versions}")
        print("\n| model | seed | seconds | per epoch | of the processor | log p(image) "
              "| log p(image, label) | log p(image \\| label) | by label | accuracy |")  # fmt: skip
        print("|---" * 10 + "|", flush=True)
        try:
            for seed in options.seeds:
                for name in options.models:
                    if name in OURS:
                        fitted: Fitted | None = fit_skmm(name, task, seed, options)
                    elif peers is not None:
                        fitted = fit_peer(name, peers, folder, seed, options)
                    else:
                        continue
                    if fitted is None:
                        continue
                    results[name, seed] = evaluate(fitted, task, options)
                    report(name, seed, fitted, results[name, seed])
                    check_scores(name, fitted, task, results[name, seed], options.draws)
        finally:
            if peers is not None:
                peers.close()
    print()
    compare(results)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        arrays = {f"{n}/{s}/{k}": v for (n, s), r in results.items() for k, v in r.items()}
        np.savez(options.output, **arrays)


if __name__ == "__main__":
    main()
