"""ConditionalGAN on real data, beside simple samplers, engression and CTGAN.

halves: the right half of MNIST's images given the left one. cells: one assay of single cells given
the other, the genes' methylation as its first ten principal components. Energy skill and R² (each
column weighs by its variance) on held-out rows; with `--peers-python` engression as it comes and
the best of eight settings, each trained as long as ConditionalGAN, chosen by the energy score of
validation rows.

tables: features given the class. Accuracy on real rows of a classifier that is trained on generated
ones; with `--peers-python` CTGAN, as it comes and trained as long as ConditionalGAN.

Seconds are of the processor.
"""

import argparse
import json
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from speed_cca import Side

from skmm import ConditionalGAN, Modalities
from skmm.baselines import NeighborsSampler, RidgeSampler
from skmm.datasets import fetch_mnist, fetch_scgem, fetch_snareseq
from skmm.metrics import energy_skill, synthetic_training_accuracy

Array = np.ndarray
HERE = Path(__file__).resolve().parent
N_DRAWS = 100
LIMIT = 3600.0  # seconds that a peer may take


class Peers(Side):
    """The peers in a process of their own."""

    def __init__(self, python: str, threads: int) -> None:
        self.name, self.failure = "peers", ""
        self._process = subprocess.Popen(
            [python, str(HERE / "peers_gan.py"), "--threads", str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.versions = (self._read(300.0) or {}).get("ready", self.failure)

    def run(self, data: dict[str, Array], **command: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the answer and the arrays that were written."""
        with tempfile.TemporaryDirectory() as folder:
            paths = {"data": f"{folder}/data.npz", "output": f"{folder}/output.npz"}
            np.savez(paths["data"], **data)
            answer = self.ask(json.dumps({**command, **paths}), LIMIT)
            if answer is None:
                raise RuntimeError(f"{command['package']}: {self.failure}")
            with np.load(paths["output"]) as file:
                return answer, dict(file)


def halves(seed: int, options: argparse.Namespace) -> Iterator[tuple[str, Array, Array, int]]:
    X = fetch_mnist("halves").data
    rows = np.random.default_rng(seed).permutation(60_000)[: options.rows]
    rows = np.concatenate([rows, np.arange(60_000, 61_000)])
    yield "halves, left to right", np.asarray(X["left"])[rows], np.asarray(X["right"])[rows], 1000


def cells(seed: int, options: argparse.Namespace) -> Iterator[tuple[str, Array, Array, int]]:
    for name, fetch in (("scgem", fetch_scgem), ("snareseq", fetch_snareseq)):
        X = fetch().data
        parts = {n: np.asarray(X[n], float) for n in X.names}
        rows = np.random.default_rng(seed).permutation(len(X))
        parts = {n: scores(value[rows]) for n, value in parts.items()}
        first, second = parts
        n_test = int(0.3 * len(X))
        for a, b in ((first, second), (second, first)):
            yield f"{name}, {a} to {b}", parts[a], parts[b], n_test


def scores(values: Array) -> Array:
    """Return ten principal components of more than twenty columns; the last rows are left out."""
    if values.shape[1] <= 20:
        return values
    return PCA(10).fit(values[: int(0.7 * len(values))]).transform(values)


def pairs(name: str, X: Array, y: Array, n_test: int, seed: int, options: Any) -> None:
    """Print a table; the last rows are held out."""
    data = {"X": X[:-n_test], "y": y[:-n_test], "X_test": X[-n_test:]}
    y_test, budget = y[-n_test:], 0.0
    print(f"\n{name}: {len(data['X'])} x {X.shape[1]} to {y.shape[1]}, seed {seed}")
    print("| sampler | energy skill | R² | seconds |\n" + "|---" * 4 + "|")

    def line(sampler_name: str, draws: Array, mean: Array, seconds: float) -> None:
        skill = energy_skill(y_test, draws, data["y"], random_state=0)
        r2 = r2_score(y_test, mean, multioutput="variance_weighted")
        print(f"| {sampler_name} | {skill:.3f} | {r2:.3f} | {seconds:.1f} |", flush=True)

    for sampler in (
        RidgeSampler(random_state=seed),
        NeighborsSampler(random_state=seed),
        ConditionalGAN(random_state=seed, **options.settings),
    ):
        start = time.process_time()
        sampler.fit(data["X"], data["y"])
        budget = time.process_time() - start
        drawn = sampler.sample(N_DRAWS, given=data["X_test"], random_state=seed)
        line(type(sampler).__name__, drawn, sampler.predict(data["X_test"]), budget)
    for kind in ("default", "tuned") if options.peers else ():
        answer, found = options.peers.run(
            data, package="engression", tuned=kind == "tuned", seed=seed, seconds=budget,
            draws=N_DRAWS,
        )  # fmt: skip
        line(f"engression, {kind} {answer['chosen'] or ''}", found["draws"], found["mean"],
             answer["seconds"])  # fmt: skip


def tables(seed: int, options: argparse.Namespace) -> None:
    for name, load in (("breast_cancer", load_breast_cancer), ("wine", load_wine),
                       ("digits", load_digits)):  # fmt: skip
        X, y = load(return_X_y=True)
        X, X_test, y, y_test = train_test_split(X, y, test_size=0.4, stratify=y, random_state=seed)
        if name == "digits":
            pca = PCA(20).fit(X)
            X, X_test = pca.transform(X), pca.transform(X_test)
        gan = ConditionalGAN(target="features", random_state=seed)
        neighbors = NeighborsSampler(
            int(np.bincount(y).min()), target="features", random_state=seed
        )
        generated = {}
        for sampler in (gan, neighbors):
            start = time.process_time()
            sampler.fit(Modalities({"class": y, "features": X}))
            seconds = time.process_time() - start
            drawn = sampler.sample(1, given={"class": y}, random_state=seed)[0]
            generated[type(sampler).__name__] = (drawn, y, seconds)
        budget = generated["ConditionalGAN"][2]
        for kind in ("same time", "300 epochs") if options.peers else ():
            limit = budget if kind == "same time" else None
            answer, some = options.peers.run(
                {"X": X, "y": y}, package="ctgan", seed=seed, seconds=limit
            )
            generated[f"CTGAN, {kind}"] = (some["X"], some["y"], answer["seconds"])
        classifier = make_pipeline(StandardScaler(), SVC())
        real = synthetic_training_accuracy(classifier, X, y, X_test, y_test)
        print(f"\n{name}: {X.shape[0]} x {X.shape[1]}, seed {seed}; trained on real {real:.3f}")
        print("| sampler | accuracy, % of that | seconds |\n" + "|---" * 3 + "|")
        for sampler_name, (drawn, labels, seconds) in generated.items():
            found = synthetic_training_accuracy(classifier, drawn, labels, X_test, y_test)
            print(f"| {sampler_name} | {100 * found / real:.1f} | {seconds:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=["halves", "cells", "tables"])
    parser.add_argument("--seeds", type=int, nargs="+", default=range(3))
    parser.add_argument("--rows", type=int, default=10_000, help="training rows of halves")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help="of pairs, a JSON object of parameters"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peers-python", help="interpreter of the peers' environment")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", UserWarning)
    options.peers = Peers(options.peers_python, options.threads) if options.peers_python else None
    if options.peers:
        print(options.peers.versions)
    try:
        for seed in options.seeds:
            if options.task == "tables":
                tables(seed, options)
                continue
            for pair in {"halves": halves, "cells": cells}[options.task](seed, options):
                pairs(*pair, seed, options)
    finally:
        if options.peers:
            options.peers.close()


if __name__ == "__main__":
    main()
