"""How the defaults of DeepCCA were chosen: one change at a time, on the halves of digits.

Held-out total correlation, k=10, three quarters of the rows to fit; each line beside the default on
the same splits.
"""

import argparse
import time
import warnings
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import ShuffleSplit

from skmm import CCA, DeepCCA, Modalities
from skmm.datasets import load_digits_halves
from skmm.nn import MLP, cca_loss


class LinearPath(torch.nn.Module):
    """A network beside a linear map that starts at the solution of CCA, the network at zero."""

    def __init__(self, network: torch.nn.Module, weights: np.ndarray) -> None:
        super().__init__()
        self.network = network
        self.linear = torch.nn.Linear(*weights.shape, bias=False)
        last = [m for m in network.modules() if isinstance(m, torch.nn.Linear)][-1]
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(weights.T))
            last.weight.zero_()
            last.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x) + self.linear(x)


def with_linear_path(X: Modalities) -> dict[str, Any]:
    """Return encoders with a linear path, for standardised columns."""
    cca = CCA(10, shrinkage=0.01).fit(X)
    spec = MLP((512, 512, 512), normalization="layer", dropout=0.1)
    return {
        name: lambda shape, k, w=cca.weights_[name] * cca.scales_[name][:, None]: LinearPath(
            spec(shape, k), w
        )
        for name in X.names
    }


CHANGES: dict[str, Any] = {
    "default": {},
    "trace norm": {"objective": partial(cca_loss, squared=False)},
    "linear path from CCA": with_linear_path,
    "batch normalisation": {"normalization": "batch"},
    "no normalisation": {"normalization": None},
    "two layers": {"hidden_layer_sizes": (512, 512)},
    "four layers": {"hidden_layer_sizes": (512, 512, 512, 512)},
    "no dropout": {"dropout": 0.0},
    "dropout .3": {"dropout": 0.3},
    "lr 1e-3": {"lr": 1e-3},
    "constant lr 1e-3": {"lr": 1e-3, "lr_schedule": "constant"},
    "batches of 128": {"batch_size": 128},
    "all rows in a batch": {"batch_size": 10_000},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("changes", nargs="*", help=f"of {list(CHANGES)}; all by default")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    X = load_digits_halves().data
    reference: list[float] = []
    for name in dict.fromkeys(["default", *(options.changes or CHANGES)]):
        scores, seconds = [], 0.0
        for seed in range(options.seeds):
            ((rows, held_out),) = ShuffleSplit(1, test_size=0.25, random_state=seed).split(X)
            params = CHANGES[name]
            if callable(params):
                params = {"encoders": params(X[rows])}
            start = time.perf_counter()
            scores.append(DeepCCA(10, random_state=seed, **params).fit(X[rows]).score(X[held_out]))
            seconds += time.perf_counter() - start
        reference = reference or scores
        gain = np.subtract(scores, reference)
        print(
            f"{name:<22} {np.mean(scores):.2f} ± {np.std(scores, ddof=1):.2f}  beside the default "
            f"{np.mean(gain):+.2f} ± {np.std(gain, ddof=1):.2f}  {seconds / options.seeds:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
