"""Figures of ConditionalGAN, with its default settings unless said otherwise.

simulated: four tasks whose conditional distribution is known. By how many percent the energy score
lies above that of the exact distribution (targets divided by their training standard deviation),
the variogram score above that of exact draws; coverage of central intervals, overall and in the
worst decile of the first condition of the worst column. Beside it the simple samplers, and
samplers that are wrong in one respect: "constant noise" (a mean, true or fitted, plus residuals of
random training rows) and "independent columns" (its own draws, each column shuffled over draws).

repeats: many seeds on one task: how many fits failed, and whether a seed gives the same twice.

digits, mnist: images given the label. Accuracy on real images of a classifier that is trained on
generated ones, over that of one trained on the real ones; the distance from generated images to
the nearest training image over that from held-out ones (0 for copies); density and coverage. The
images are vectors of pixels, each with its scale, or images, which have one; "relativistic" is the
recipe for images, `SHARP` below, "dense" that networks without convolutions (`DENSE`) make images.

Real data beside other packages: `rivals_conditional_gan.py`.
"""

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import SVC

from skmm import ConditionalGAN, Modalities
from skmm.baselines import MarginalSampler, NeighborsSampler, RidgeSampler
from skmm.datasets import fetch_mnist, make_conditional
from skmm.metrics import (
    coverage_per_group,
    density_coverage,
    energy_skill,
    interval_coverage,
    synthetic_training_accuracy,
    variogram_score,
)
from skmm.nn import MLP

Array = np.ndarray
TASKS = ("circle", "branches", "heteroscedastic", "correlated")
N_TEST = 5000
N_DRAWS = 100
N_SCORED = 2000  # of the held-out rows, for scores and distances
N_TRUTHS = 4  # exact draws per held-out row, to take noise out of the figures
LEVELS = (0.8, 0.9)
SHARP = {  # for images
    "loss": "relativistic",
    "activation": "relu",
    "lr_schedule": "onecycle",
    "early_stopping": False,
}
DENSE = MLP((256, 256, 256), activation="relu")
N_CLASSIFIED = 10_000  # images at most that a classifier is trained on


def simulated(seed: int, options: argparse.Namespace) -> None:
    for task in options.tasks:
        for n_train in options.rows:
            made = make_conditional(task, n_train + N_TEST, random_state=seed)
            X, y = np.asarray(made.data["X"]), np.asarray(made.target)
            X, y, X_test = X[:n_train], y[:n_train], X[n_train:]
            rng = np.random.RandomState([seed, 1])  # not the numbers that X is made of
            truths = made.sample_conditional(X_test, N_TRUTHS, random_state=rng)
            many = made.sample_conditional(X_test[:N_SCORED], N_DRAWS, random_state=rng)
            exact = made.sample_conditional(X_test, N_DRAWS, random_state=rng)
            draws, seconds, n_epochs = all_draws(made, X, y, X_test, seed, options.settings)
            best = float(made.energy_score(X_test[:N_SCORED], y.std(axis=0)).mean())
            print(f"\n{task}, {n_train} rows, seed {seed}: {seconds:.1f} s, {n_epochs} epochs")
            print("| sampler | energy score, % above | variogram score, % above | 80 %, "
                  "worst decile | 90 %, worst decile |\n" + "|---" * 5 + "|")  # fmt: skip
            for name, drawn in {**draws, "exact draws": exact}.items():
                above = 100 * excess(many, drawn[:, :N_SCORED], y.std(axis=0)) / best
                wide = [coverages(truths, drawn, X_test[:, 0], level) for level in LEVELS]
                cells = " | ".join(f"{100 * a:.1f}, {100 * b:.1f}" for a, b in wide)
                print(f"| {name} | {above:.1f} | {variogram(truths, drawn, exact)} | {cells} |",
                      flush=True)  # fmt: skip


def all_draws(
    made: Any, X: Array, y: Array, X_test: Array, seed: int, settings: dict[str, Any]
) -> tuple[dict[str, Array], float, int]:
    """Return draws (N_DRAWS, N_TEST, d) of each sampler; seconds and epochs of the GAN."""
    start = time.perf_counter()
    gan = ConditionalGAN(random_state=seed, **settings).fit(X, y)
    seconds = time.perf_counter() - start
    rng = np.random.default_rng(seed)
    given: dict[str, Any] = {"given": X_test, "random_state": np.random.RandomState([seed, 2])}
    found = {"ConditionalGAN": gan.sample(N_DRAWS, **given)}
    for sampler in (RidgeSampler, NeighborsSampler, MarginalSampler):
        found[sampler.__name__] = sampler(random_state=seed).fit(X, y).sample(N_DRAWS, **given)
    for name, mean in (("true mean", made.conditional_mean), ("its own mean", gan.predict)):
        residuals = (y - mean(X))[rng.integers(len(y), size=(N_DRAWS, len(X_test)))]
        found[f"constant noise, {name}"] = mean(X_test) + residuals
    if y.shape[1] > 1:
        shuffled = rng.permuted(found["ConditionalGAN"], axis=0)  # each column on its own
        found["independent columns"] = shuffled
    return found, seconds, len(gan.history_) - 1


def excess(truths: Array, draws: Array, scale: Array) -> float:
    """Return the mean over rows of E|X - Y| - E|X - X'|/2 - E|Y - Y'|/2, unbiased.

    It is in expectation the energy score of the draws X less that of the exact distribution of Y,
    which is 0 where they are distributed alike.
    """
    X, Y = (torch.as_tensor(np.moveaxis(a / scale, 0, 1).copy()) for a in (draws, truths))
    within = [torch.cdist(a, a).sum(dim=(1, 2)) / (a.shape[1] * (a.shape[1] - 1)) for a in (X, Y)]
    return float((torch.cdist(X, Y).mean(dim=(1, 2)) - (within[0] + within[1]) / 2).mean())


def variogram(truths: Array, draws: Array, exact: Array) -> str:
    """Return by how many percent the variogram score lies above that of exact draws."""
    if truths.shape[2] < 2:
        return "–"
    y, drawn = truths[:, :N_SCORED], (draws[:, :N_SCORED], exact[:, :N_SCORED])
    scores = [np.mean([variogram_score(one, some) for one in y]) for some in drawn]
    return f"{100 * (scores[0] / scores[1] - 1):.1f}"


def coverages(truths: Array, draws: Array, condition: Array, level: float) -> tuple[float, float]:
    """Return the coverage overall, and that farthest from the level by column and decile."""
    y, samples = truths.reshape(-1, truths.shape[2]), np.tile(draws, (1, len(truths), 1))
    deciles = np.digitize(condition, np.quantile(condition, np.arange(1, 10) / 10))
    groups = coverage_per_group(
        y, samples, np.tile(deciles, len(truths)), level=level, multioutput="raw_values"
    )
    each = np.concatenate([np.ravel(value) for value in groups.values()])
    overall = float(interval_coverage(y, samples, level=level))
    return overall, float(each[np.abs(each - level).argmax()])


def repeats(seed: int, options: argparse.Namespace) -> None:
    """Fit with as many seeds as asked for, to data of one seed; the first of them twice."""
    for task in options.tasks[:1]:
        n_train = options.rows[0]
        X, y = make_conditional(task, n_train + N_TEST, random_state=seed, return_X_y=True)
        found, failed, first = [], 0, None
        for start in (*range(options.starts), 0):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                gan = ConditionalGAN(random_state=start).fit(X[:n_train], y[:n_train])
            draws = gan.sample(N_DRAWS, given=X[n_train:], random_state=0)
            skill = energy_skill(y[n_train:], draws, y[:n_train], random_state=0)
            collapsed = any(issubclass(w.category, ConvergenceWarning) for w in caught)
            failed += collapsed or not skill > 0
            found.append(skill)
            first = draws if first is None else first
        same = bool((draws == first).all())
        skills = np.array(found[:-1])
        print(f"repeats {task}, {n_train} rows: {failed} of {len(found)} fits failed; energy skill "
              f"{skills.mean():.4f}, from {skills.min():.4f} to {skills.max():.4f}; "
              f"same seed, same draws: {same}", flush=True)  # fmt: skip


def digits(seed: int, options: argparse.Namespace) -> None:
    bunch = load_digits()
    images(bunch.images / 16, bunch.target, 0.4, seed, options)


def mnist(seed: int, options: argparse.Namespace) -> None:
    X = fetch_mnist("labels", as_images=True).data
    values = np.asarray(X["image"])[:, 0], np.asarray(X["label"])
    if options.rows_of_mnist < 60_000:  # of the training images, in the order of the files
        chosen = np.r_[: options.rows_of_mnist, 60_000:70_000]
        values = values[0][chosen], values[1][chosen]
    images(*values, 10_000, seed, options)


def images(
    values: Array, labels: Array, test_size: float | int, seed: int, options: argparse.Namespace
) -> None:
    """Compare generated with real images (n, height, width) in [0, 1]."""
    stay = {"shuffle": False} if test_size == 10_000 else {"stratify": labels, "random_state": seed}
    real, held_out, y, y_test = train_test_split(values, labels, test_size=test_size, **stay)
    shape = real.shape[1:]
    flat, flat_test = real.reshape(len(real), -1), held_out.reshape(len(held_out), -1)
    given = {"label": y}
    few = np.random.default_rng(seed).permutation(len(y))[:N_CLASSIFIED]
    reference = synthetic_training_accuracy(SVC(), flat[few], y[few], flat_test, y_test)
    n_each = int(np.bincount(y).min())
    changes = {} if options.epochs is None else {"max_epochs": options.epochs}
    gan = ConditionalGAN(target="image", random_state=seed, **changes)
    sharp = clone(gan).set_params(**{**SHARP, **changes})
    dense = clone(sharp).set_params(encoders={"image": DENSE}, decoders={"image": DENSE})
    samplers: dict[str, tuple[Any, Array]] = {
        "default, vectors": (gan, flat),
        "relativistic, vectors": (sharp, flat),
        "relativistic, dense images": (dense, real[:, None]),
        "default, images": (clone(gan), real[:, None]),
        "training images of the class": (
            NeighborsSampler(n_each, target="image", random_state=seed), flat),
        "RidgeSampler": (RidgeSampler(target="image", random_state=seed), flat),
    }  # fmt: skip
    print(f"\nseed {seed}: {len(real)} images of {shape}; accuracy of SVC trained on real images "
          f"{100 * reference:.2f} %")  # fmt: skip
    print("| sampler | accuracy, % of that | distance to training images | density | coverage "
          "| seconds |\n" + "|---" * 6 + "|")  # fmt: skip
    print(f"| held-out images | | 1 | {cell(flat, flat_test, flat_test, seed)} | |")
    for name, (sampler, target) in samplers.items():
        if options.only and options.only not in name:
            continue
        start = time.perf_counter()
        sampler.fit(Modalities({**given, "image": target}))
        seconds = time.perf_counter() - start
        drawn = sampler.sample(1, given={"label": y[few]}, random_state=seed)[0]
        found = drawn.reshape(len(drawn), -1)
        accuracy = synthetic_training_accuracy(SVC(), found, y[few], flat_test, y_test) / reference
        near = [distance_to(flat, some) for some in (found, flat_test)]
        print(f"| {name} | {100 * accuracy:.1f} | {near[0] / near[1]:.2f} "
              f"| {cell(flat, flat_test, found, seed)} | {seconds:.0f} |", flush=True)  # fmt: skip
        if options.picture and isinstance(sampler, ConditionalGAN):
            save(sampler, Modalities({"label": np.arange(10)}), shape, options.picture, name)


def distance_to(training: Array, some: Array) -> float:
    """Return the median distance to the nearest training image."""
    nearest = NearestNeighbors(n_neighbors=1).fit(training)
    return float(np.median(nearest.kneighbors(some[:N_SCORED])[0]))


def cell(training: Array, held_out: Array, found: Array, seed: int) -> str:
    """Return density and coverage among held-out images; of these among training images."""
    rng = np.random.default_rng(seed)
    real = training if found is held_out else held_out
    n = min(len(real), len(found), N_SCORED)
    density, coverage = density_coverage(
        *(some[rng.permutation(len(some))[:n]] for some in (real, found))
    )
    return f"{density:.2f} | {coverage:.2f}"


def save(gan: Any, labels: Modalities, shape: tuple[int, ...], path: Path, name: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from skmm.inspection import SamplesDisplay

    draws = gan.sample(10, given=labels, random_state=0).reshape(10, 10, *shape)
    display = SamplesDisplay.from_samples(
        None, draws, n_conditions=None, conditions=np.asarray(labels["label"]), image_shape=shape
    )
    kind = name.replace(", ", "_")
    display.figure_.savefig(path.with_stem(f"{path.stem}_{kind}"), dpi=150)


def main() -> None:
    tasks = {"simulated": simulated, "repeats": repeats, "digits": digits, "mnist": mnist}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=list(tasks))
    parser.add_argument("--seeds", type=int, nargs="+", default=range(3))
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS, help="of simulated")
    parser.add_argument("--rows", type=int, nargs="+", default=[5000], help="of simulated")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help="of simulated, a JSON object of parameters"
    )
    parser.add_argument("--starts", type=int, default=20, help="of repeats")
    parser.add_argument("--rows-of-mnist", type=int, default=60_000)
    parser.add_argument("--epochs", type=int, help="of images, if not the default")
    parser.add_argument("--only", help="of images, a part of the samplers' names")
    parser.add_argument("--picture", type=Path, help="of images, where to save some")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for seed in options.seeds:
        tasks[options.task](seed, options)


if __name__ == "__main__":
    main()
