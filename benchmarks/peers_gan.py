"""engression and CTGAN, trained in a process and environment of their own.

Each line on the standard input is a JSON object that says what to do with the arrays of an ``.npz``
file, each answer on the standard output a JSON line. Draws are written to another file. Needs the
package that is asked for; times are of the processor, of all threads.
"""

import argparse
import contextlib
import importlib
import itertools
import json
import math
import sys
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

Array = np.ndarray
Command = dict[str, Any]
N_CHUNK = 500  # rows drawn for at once
# engression's settings that are tried: two or four layers, their width, the learning rate; in all
# of them batches of 128, since full batches need more steps than there is time for.
TRIED = [
    {"num_layer": layers, "hidden_dim": width, "lr": lr, "batch_size": 128}
    for layers, width, lr in itertools.product((2, 4), (100, 256), (1e-4, 1e-3))
]


def run_engression(data: dict[str, Array], command: Command) -> Command:
    """Fit to X and y, draw for X_test; settings are tried on a tenth of the rows."""
    torch.manual_seed(command["seed"])
    X, y = (torch.from_numpy(data[name].astype(np.float32)) for name in ("X", "y"))
    start, chosen = time.process_time(), dict[str, float]()
    if command["tuned"]:
        order = torch.randperm(len(X))
        valid, train = order[: len(X) // 10], order[len(X) // 10 :]
        fits = []
        for settings in TRIED:
            model = timed(X[train], y[train], settings, command["seconds"])
            drawn = sample(model, X[valid], 20)
            fits.append((energy(y[valid], drawn, y.std(dim=0)), settings, model))
        _, chosen, model = min(fits, key=lambda fit: fit[0])
    else:
        fit = importlib.import_module("engression").engression
        model = fit(X, y, verbose=False)
    seconds = time.process_time() - start
    asked = torch.from_numpy(data["X_test"].astype(np.float32))
    draws = sample(model, asked, command["draws"])
    np.savez(command["output"], draws=draws.numpy(), mean=sample(model, asked, 128).mean(dim=0))
    return {"seconds": seconds, "chosen": chosen}


def timed(X: torch.Tensor, y: torch.Tensor, settings: Command, seconds: float) -> Any:
    """Train for so many processor seconds, after two epochs that say how long one takes."""
    module = importlib.import_module("engression")
    make: Any = {**settings, "batch_size": min(settings["batch_size"], len(X) // 4)}
    start = time.process_time()
    module.engression(X, y, num_epochs=2, verbose=False, **make)
    each = (time.process_time() - start) / 2
    return module.engression(
        X, y, num_epochs=max(2, math.ceil(seconds / each)), verbose=False, **make
    )


def sample(model: Any, X: torch.Tensor, n_draws: int) -> torch.Tensor:
    """Return draws (n_draws, n, d)."""
    parts = [model.sample(part, sample_size=n_draws) for part in X.split(N_CHUNK)]
    return torch.cat(parts).reshape(len(X), -1, n_draws).permute(2, 0, 1)


def energy(y: torch.Tensor, draws: torch.Tensor, scale: torch.Tensor) -> float:
    """Return the mean energy score, unbiased, of columns that vary."""
    y, draws = y[:, scale > 0] / scale[scale > 0], draws[..., scale > 0] / scale[scale > 0]
    m, flat = len(draws), draws.transpose(0, 1).contiguous()
    error = (draws - y).norm(dim=2).mean(dim=0)
    return float((error - torch.cdist(flat, flat).sum(dim=(1, 2)) / (2 * m * (m - 1))).mean())


def run_ctgan(data: dict[str, Array], command: Command) -> Command:
    """Fit to a table of features and the class, draw as many rows of each class as it has.

    CTGAN's condition makes a class more likely; the rows keep the class that they come with.
    """
    pd, CTGAN = importlib.import_module("pandas"), importlib.import_module("ctgan").CTGAN
    torch.manual_seed(command["seed"])
    np.random.seed(command["seed"])  # noqa: NPY002 what it draws from
    X, y = data["X"], data["y"]
    table = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    table["class"] = y.astype(str)
    # Its default, or about ten steps of an epoch; a multiple of its pac, 10.
    size = 500 if command["seconds"] is None else max(50, len(X) // 10)
    size = min(size, len(X)) // 10 * 10

    def fit(n_epochs: int) -> tuple[Any, float]:
        start = time.process_time()
        model = CTGAN(epochs=n_epochs, batch_size=size, enable_gpu=False)
        model.fit(table, ["class"])
        return model, time.process_time() - start

    if command["seconds"] is None:
        model, seconds = fit(300)
    else:
        short, longer = fit(1)[1], fit(6)[1]
        each = max((longer - short) / 5, 1e-3)
        model, seconds = fit(max(1, int((command["seconds"] - short) / each)))
    parts = []
    for name, n in zip(*np.unique(y.astype(str), return_counts=True), strict=True):
        parts.append(model.sample(int(n), condition_column="class", condition_value=name))
    drawn = pd.concat(parts)
    kept = drawn["class"].astype(type(y.flat[0].item())).to_numpy()
    np.savez(command["output"], X=drawn.drop(columns="class").to_numpy(float), y=kept)
    return {"seconds": seconds}


RUNS = {"engression": run_engression, "ctgan": run_ctgan}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)
    print(json.dumps({"ready": _versions()}), flush=True)
    for line in sys.stdin:
        try:
            command = json.loads(line)
            with np.load(Path(command["data"])) as file:
                data = dict(file)
            with contextlib.redirect_stdout(sys.stderr):
                answer = RUNS[command["package"]](data, command)
        except Exception as error:  # the other side must hear of it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def _versions() -> str:
    found = []
    for name in ("engression", "ctgan", "torch"):
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return ", ".join(found)


if __name__ == "__main__":
    main()
