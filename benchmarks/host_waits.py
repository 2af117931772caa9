"""How often a step of training makes the host wait for the device, for every kind of objective.

A host that waits can hand out no work: the device idles. Counted are copies between host and
device that are not asynchronous from pinned memory, and numbers and shapes that are read from the
device (`bool`, `item`, `nonzero`, boolean masks as indices); beside them factorisations, which
check their result. Needs a GPU, or the simulated one:

PYTHONPATH=tests python -m simulated_cuda benchmarks/host_waits.py
"""

from __future__ import annotations

import argparse
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import skmm
from skmm import (
    ConditionalGAN,
    DeepCCA,
    Modalities,
    MultimodalAutoencoder,
    MultimodalClassifier,
    MultimodalRegressor,
    MultimodalVAE,
)
from skmm._nets import _data

aten: Any = torch.ops.aten
N_SAMPLES, BATCH, WIDTH = 96, 24, 5
FACTORS = {aten._linalg_eigh, aten._linalg_svd, aten.linalg_eig, aten.linalg_qr}
# The shape of the result, or the result itself, is read from the device.
SHAPES = {
    aten.nonzero,
    aten.masked_select,
    aten.masked_scatter_backward,
    aten.unique_dim,
    aten._unique2,
    aten.bincount,
    aten.equal,
    aten._local_scalar_dense,
    aten.repeat_interleave,
}
INDEXED = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_, aten._unsafe_index}


class Waits(TorchDispatchMode):
    """Counts operations for which the host waits, by where they stand in skmm."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.factors = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        operation, kwargs = function.overloadpacket, kwargs or {}
        result = function(*args, **kwargs)
        if operation in FACTORS and on_device(args[0]):
            self.factors += 1
        elif waits(operation, args, kwargs, result):
            self.found[f"{operation} {place_in_skmm()}"] += 1
        return result

    def total(self) -> int:
        """Return how many there were, factorisations aside."""
        return sum(self.found.values())


def waits(operation: Any, args: Any, kwargs: dict[str, Any], result: Any) -> bool:
    """Whether the host waits for an operation."""
    if operation in (aten._to_copy, aten.copy_):
        source, made = args[-1 if operation is aten.copy_ else 0], result
        if operation is aten.copy_:
            source, made = args[1], args[0]
        free = kwargs.get("non_blocking") or (operation is aten.copy_ and len(args) > 2 and args[2])
        pinned = (made if on_device(source) else source).is_pinned()
        return source.device != made.device and not (free and pinned)
    if operation is aten.lift_fresh:  # of a list or number, put on the device by its maker
        return on_device(args[0])
    if operation in INDEXED and on_device(args[0]):
        return not _is_fill(args) and any(map(_index_waits, args[1]))
    return operation in SHAPES and on_device(args[0])


def on_device(value: Any) -> bool:
    """Whether this is a tensor that the host cannot read at once."""
    return isinstance(value, Tensor) and value.device.type != "cpu"


def _index_waits(index: Tensor | None) -> bool:
    """Whether an index is a mask, whose sum is needed, or has to be copied to the device."""
    return index is not None and (index.dtype == torch.bool or not on_device(index))


def _is_fill(args: Any) -> bool:
    """Whether a single number is put where a mask is true, which is an operation of its own."""
    masks = [index for index in args[1] if index is not None]
    return len(args) > 2 and args[2].numel() == 1 and len(masks) == 1 and on_device(masks[0])


def place_in_skmm() -> str:
    """Return where in skmm an operation stands; what comes from no line of it is a gradient."""
    root = Path(skmm.__file__).parent
    for frame in reversed(traceback.extract_stack()):
        path = Path(frame.filename)
        if path.is_relative_to(root):
            if frame.name == "_descend":
                return "in a gradient"
            return f"{path.relative_to(root)}:{frame.lineno}"
    return "elsewhere"


class PerStep(Callback):
    """Notes the epoch, the waits and the factorisations when a step ends."""

    def __init__(self, waits: Waits) -> None:
        self.waits = waits
        self.ends: list[tuple[int, int, int]] = []

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        epoch = net.history[-1]["epoch"]
        self.ends.append((epoch, self.waits.total(), self.waits.factors))

    def most(self) -> tuple[int, int]:
        """Return the waits and the factorisations of the worst step; its batch is part of it."""
        steps = [
            (b[1] - a[1], b[2] - a[2])
            for a, b in pairwise(self.ends)
            if a[0] == b[0]  # between epochs losses are read
        ]
        return max(w for w, _ in steps), max(f for _, f in steps)


class Case(NamedTuple):
    """A configuration, and how often its steps may wait: without and with gaps."""

    make: Callable[..., Any]
    n_modalities: int = 3
    complete: int = 0
    gaps: int | None = 0
    factors: int = 0
    labels: str = ""
    content: str = "numbers"  # or "kinds", "rare", "far": see `data`
    spare: float = _data.SPARE  # share of the device's memory that data may take
    for_gaps: Mapping[str, Any] = MappingProxyType({})  # what the estimator needs to take them


def cases() -> dict[str, Case]:
    """Return all configurations by name."""
    found = {"DeepCCA cca": Case(_of(DeepCCA, objective="cca"), 2, gaps=None)}
    for objective in ("gcca", "ey", "infonce", "barlow_twins", "vicreg"):
        case = Case(_of(DeepCCA, objective=objective), factors=int(objective == "gcca"))
        found[f"DeepCCA {objective}"] = case
    found["DeepCCA ey, decoders"] = Case(_of(DeepCCA, objective="ey", reconstruction_weight=1.0))
    for fusion in ("concat", "mean", "attention"):
        found[f"autoencoder {fusion}"] = Case(_of(MultimodalAutoencoder, fusion=fusion), 4)
    aligned = _of(MultimodalAutoencoder, alignment_weight=1.0, modality_dropout=0.2, noise=0.1)
    found["autoencoder aligned, dropout"] = Case(aligned, 4)
    for posterior in ("poe", "moe", "mopoe", "mvtcae", "joint"):
        found[f"VAE {posterior}"] = Case(_of(MultimodalVAE, posterior=posterior))
    weights = {f"m{i}": 1.0 + i for i in range(3)}
    found["VAE poe, weights"] = Case(_of(MultimodalVAE, modality_weights=weights))
    for loss in ("energy", "relativistic", "wasserstein", "hinge", "standard"):
        gan = _of(ConditionalGAN, target="m0", loss=loss)
        # What a step of either side hides is drawn on the device, and read once.
        sides = 1 if loss == "energy" else 2
        found[f"GAN {loss}"] = Case(gan, gaps=sides, for_gaps={"modality_dropout": 0.3})
    hidden = _of(ConditionalGAN, target="m0", loss="hinge", n_critic=2, modality_dropout=0.3)
    found["GAN hinge, n_critic=2, dropout"] = Case(hidden, complete=3, gaps=3)
    for fusion in ("concat", "mean", "attention", "late"):
        found[f"classifier {fusion}"] = Case(
            _of(MultimodalClassifier, fusion=fusion, class_weight="balanced"), labels="classes"
        )
    found["regressor"] = Case(_of(MultimodalRegressor), labels="numbers")
    every = {"n_modalities": 5, "content": "kinds"}
    found["autoencoder of all kinds"] = Case(_of(MultimodalAutoencoder), **every)
    found["VAE of all kinds, bf16"] = Case(_of(MultimodalVAE, precision="bf16"), **every)
    adam = _of(MultimodalClassifier, optimizer="adam", normalization="batch", dropout=0.1)
    found["classifier of all kinds, adam"] = Case(adam, labels="classes", **every)
    hiding = {"modality_dropout": 0.3}
    labels = _of(ConditionalGAN, target="m2")
    found["GAN of labels"] = Case(labels, 5, gaps=1, content="kinds", for_gaps=hiding)
    rare = _of(ConditionalGAN, target="m0")
    found["GAN of rare values"] = Case(rare, gaps=1, content="rare", for_gaps=hiding)
    found["autoencoder of far values"] = Case(_of(MultimodalAutoencoder), content="far")
    for content in ("kinds", "far"):
        case = Case(_of(MultimodalAutoencoder), 5, content=content, spare=0.0)
        found[f"data in the host's memory, {content}"] = case
    return found


def data(n_modalities: int, gaps: bool, content: str = "numbers") -> Modalities:
    """Return modalities that have a common factor; with gaps each lacks some rows.

    They are numbers; an image, token ids, labels, counts and numbers ("kinds"); mostly zeros in the
    first ("rare"); or numbers so far from 0 that single precision would lose them ("far").
    """
    rng = np.random.default_rng(0)
    z = rng.standard_normal((N_SAMPLES, 1))
    arrays = {
        f"m{i}": (z + rng.standard_normal((N_SAMPLES, WIDTH))).astype(np.float32)
        for i in range(n_modalities)
    }
    kinds = {}
    if content == "rare":
        arrays["m0"][rng.random(N_SAMPLES) < 0.95] = 0.0
    if content == "far":
        arrays = {name: value.astype(np.float64) + 1e8 for name, value in arrays.items()}
    if content == "kinds":
        arrays["m0"] = rng.standard_normal((N_SAMPLES, 1, 8, 8)).astype(np.float32)
        arrays["m1"] = rng.integers(0, 20, (N_SAMPLES, 6))
        arrays["m2"] = rng.integers(0, 3, N_SAMPLES)
        arrays["m3"] = rng.poisson(3, (N_SAMPLES, WIDTH)).astype(np.float32)
        kinds = {"m1": "tokens", "m2": "categorical", "m3": "count"}
    if not gaps:
        return Modalities(arrays, kinds=kinds)
    missing = rng.random((N_SAMPLES, n_modalities)) < 0.25
    missing[missing.sum(axis=1) > n_modalities - 2] = False  # two stay: one may be a target
    return Modalities(arrays, missing=missing, kinds=kinds)


def count(case: Case, gaps: bool, device: str = "cuda") -> tuple[int, int, Waits]:
    """Return the waits of the worst step of a fit, its factorisations, and where they stand."""
    waits = Waits()
    steps = PerStep(waits)
    with waits:
        fit(case, gaps, device=device, callbacks=[steps])
    return (*steps.most(), waits)


def fit(case: Case, gaps: bool, **parameters: Any) -> None:
    """Fit a configuration."""
    X, y = data(case.n_modalities, gaps, case.content), None
    if case.labels:
        y = np.arange(N_SAMPLES) % 3 if case.labels == "classes" else np.linspace(0, 1, N_SAMPLES)
    with warnings.catch_warnings(), patch.object(_data, "SPARE", case.spare):
        warnings.simplefilter("ignore")
        case.make(**parameters, **(case.for_gaps if gaps else {})).fit(X, y)


def _of(estimator: Callable[..., Any], **parameters: Any) -> Callable[..., Any]:
    common = {
        "hidden_layer_sizes": (8,),
        "batch_size": BATCH,
        "max_epochs": 2,
        "early_stopping": False,
        "random_state": 0,
    }
    if estimator in (DeepCCA, MultimodalAutoencoder, MultimodalVAE):
        common["n_components"] = 2
    return lambda **more: estimator(**{**common, **parameters, **more})


def table(device: str, only: str, where: bool) -> Iterator[bool]:
    """Print a row per configuration; yield whether its bounds hold."""
    print(f"{'':34} complete  with gaps  factorisations")
    for name, case in cases().items():
        if only not in name:
            continue
        complete, factors, waits = count(case, False, device)
        gaps, waits_of_gaps = None, None
        if case.gaps is not None:
            gaps, _, waits_of_gaps = count(case, True, device)
        within = complete <= case.complete and (gaps is None or gaps <= (case.gaps or 0))
        within = within and factors <= case.factors
        shown = "-" if gaps is None else str(gaps)
        print(f"{name:34} {complete:8}  {shown:>9}  {factors:14}  {'' if within else 'TOO MANY'}")
        if where:
            for found in filter(None, (waits, waits_of_gaps)):
                for place, n in found.found.most_common():
                    print(f"    {n:5} {place}")
        yield within


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", default="", help="part of the name of a configuration")
    parser.add_argument(
        "--where", action="store_true", help="print where they stand, of whole fits"
    )
    options = parser.parse_args()
    sys.exit(not all(list(table(options.device, options.only, options.where))))


if __name__ == "__main__":
    main()
