"""What the deep estimators share: their parameters, and validate → build → train."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any, Self

import joblib
import numpy as np
import pandas as pd
import torch
from sklearn.utils._param_validation import StrOptions

from skmm._base import BaseEstimator, unchanged_on_error
from skmm._deep._networks import check_tokens
from skmm._deep._split import held_out_rows
from skmm._modalities import Modalities, missing_mask
from skmm._modalities._stream import Stream
from skmm._nets import (
    SCHEDULES,
    BestWeights,
    Checkpoint,
    LazyData,
    Net,
    Progress,
    TensorData,
    apply_in_chunks,
    check_agreement,
    check_callbacks,
    check_net_params,
    constant,
    device_of,
    in_precision,
    join,
    n_rows_at_once,
    plain_torch,
    resume,
)
from skmm._parameters import POSITIVE, Numbers
from skmm._random import check_random_state, seed_of
from skmm.nn import ACTIVATIONS

Array = np.ndarray
OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


DEEP_CONSTRAINTS: dict[str, list[Any]] = {
    "modalities": [dict, list, tuple, None],
    "encoders": [StrOptions({"auto"}), dict],
    "hidden_layer_sizes": [list, tuple],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "normalization": [StrOptions({"batch", "layer"}), None],
    "dropout": [Numbers(Real, 0, 1, closed="left")],
    "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
    "lr": [Numbers(Real, 0, None, closed="neither")],
    "lr_schedule": [StrOptions(set(SCHEDULES)), callable],
    "weight_decay": [Numbers(Real, 0, None, closed="left")],
    "batch_size": [POSITIVE, StrOptions({"auto"})],
    "max_epochs": [POSITIVE],
    "early_stopping": ["boolean"],
    "validation_fraction": [Numbers(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [POSITIVE],
    "checkpoint_dir": [str, Path, None],
    "device": [str, torch.device],
    "precision": [StrOptions({"float32", "bf16", "float64"})],
    "compile": ["boolean"],
    "callbacks": [list, tuple, None],
    "net_params": [dict, None],
    "warm_start": ["boolean"],
    "verbose": ["verbose"],
    "random_state": ["random_state"],
}
# In the history for skorch's callbacks alone.
_OF_SKORCH = ("batches", "train_loss_best", "valid_loss_best")
# What a checkpoint may differ in from the fit that goes on with it.
_NOT_IN_THE_KEY = ("checkpoint_dir", "device", "callbacks", "verbose", "warm_start")


class DeepEstimator(BaseEstimator):
    """An estimator that has a net. The parameters are those of the subclasses."""

    _net_class = Net

    @property
    def history_(self) -> pd.DataFrame:
        """One row per epoch: the terms of the objective, the score, the learning rate."""
        history = self.net_.history
        rows = [{k: v for k, v in row.items() if k not in _OF_SKORCH} for row in history]
        return pd.DataFrame(rows)

    def _fit_all_or_nothing(self, *data: Any) -> Self:
        """Fit whatever torch's settings are; leave the estimator as it was before on an error."""
        with unchanged_on_error(self), plain_torch():
            self._fit(*data)
        if self.net_.interrupted_:
            raise KeyboardInterrupt
        return self

    def _fit(self, *data: Any) -> None:
        """Fit; abstract."""
        raise NotImplementedError

    def _split(
        self, n_samples: int, rng: np.random.RandomState, labels: Array | None = None
    ) -> tuple[Array, Array | None]:
        """Return training rows, and with early stopping validation rows, stratified by labels."""
        if not self.early_stopping:
            return np.arange(n_samples), None
        n_valid = max(math.ceil(self.validation_fraction * n_samples), min(4, n_samples // 2))
        if n_samples - n_valid < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} leaves {n_samples - n_valid} of "
                f"n_samples={n_samples} to train on: a minimum of 2 is required."
            )
        valid = held_out_rows(n_samples, n_valid, rng, labels)
        return np.setdiff1d(np.arange(n_samples), valid), valid

    def _rng(self) -> np.random.RandomState:
        """Return the generator of a fit, in the same state in all processes that share it."""
        rng, (device, processes) = check_random_state(self.random_state), join(self.device)
        if self.random_state is None and processes is not None:
            rng = check_random_state(int(processes.first(seed_of(rng), device)))
        return rng

    def _dtype(self) -> torch.dtype:
        return torch.float64 if self.precision == "float64" else torch.float32

    def _data(
        self, X: Modalities, module: Any, extra: Mapping[str, Array] | None = None
    ) -> TensorData:
        """Return checked data as tensors to train a module, and what else rows have beside it."""
        device, dtype = join(self.device)[0], self._dtype()
        return tensors(X, device, dtype, X.names, extra, ahead=module.ahead())

    def _train(
        self,
        module: torch.nn.Module,
        criterion: torch.nn.Module,
        train: TensorData,
        valid: TensorData | None,
        **settings: Any,
    ) -> Net:
        """Train a module; `interrupted_` of the net tells whether Ctrl-C ended it."""
        processes = join(self.device)[1]
        leads = processes is None or processes.index == 0
        callbacks: list[Any] = []
        if valid is not None:
            callbacks.append(("best", BestWeights(self.n_iter_no_change)))
        path = None
        if self.checkpoint_dir is not None:
            path = Path(self.checkpoint_dir) / f"{self._key(train)}.pt"
            callbacks += [("checkpoint", Checkpoint(path))] if leads else []
        if self.verbose == 1 and leads:
            callbacks.append(("progress", Progress()))
        fused = {"optimizer__fused": True} if isinstance(self.optimizer, str) else {}
        check_net_params(self.net_params or {})
        settings = {
            **fused,
            "optimizer": OPTIMIZERS.get(self.optimizer, self.optimizer),
            "optimizer__weight_decay": self.weight_decay,
            "lr": self.lr,
            "schedule": SCHEDULES.get(self.lr_schedule, self.lr_schedule),
            "iterator_valid__batch_size": n_rows_at_once(train.inputs),
            "max_epochs": self.max_epochs,
            "train_split": None if valid is None else partial(_beside, valid),
            "device": train.device,
            "precision": self.precision,
            "compile": self.compile,
            "callbacks": [*callbacks, *(self.callbacks or [])],
            "verbose": int(self.verbose) if leads else 0,
            "processes": processes,
            **settings,
            **(self.net_params or {}),
        }
        check_callbacks(
            self.callbacks or [],
            validates=valid is not None,
            scheduled=settings["schedule"] is not constant,
            adversarial=getattr(module, "discriminator", None) is not None,
        )
        net = self._net_class(module, criterion, **settings).initialize()
        if path is not None and self.warm_start:
            resume(net, path)
        done = net.history[-1]["epoch"] if net.history else 0
        if processes is not None:
            numbers = {"n_samples": len(train), "seed": net.seed, "epochs done": done}
            check_agreement(processes, net.device, net.module_, **numbers)
        net.partial_fit(train, epochs=net.max_epochs - done)
        # They hold the data, and what the net computes from now on it computes alone.
        return net.set_params(train_split=None, scoring=None, processes=None).forget()

    def _predictor(self) -> torch.nn.Module:
        """Return the network that predictions come from."""
        return self.net_.module_

    def _key(self, train: TensorData) -> str:
        """Return the name of a checkpoint: of this estimator with these parameters and data."""
        params = {k: v for k, v in self.get_params().items() if k not in _NOT_IN_THE_KEY}
        try:
            said = joblib.hash(params)
        except Exception:  # what cannot be pickled, of whatever kind, is only known by its text
            said = repr(params)
        # Lists and arrays: hashes of dicts ignore the order, those of tensors differ in copies.
        # As they came: what lies on a device depends on the device, and on what else lies there.
        data = [(name, _content(value)) for name, value in train.arrays.items()]
        rest = [None if t is None else t.cpu().numpy() for t in (train.rows, train.observed)]
        return (
            f"{type(self).__name__.lower()}-{joblib.hash((said, self._schema.kinds, data, rest))}"
        )

    @plain_torch()
    def _apply(
        self,
        function: Callable[..., Any],
        X: Modalities,
        rows: Array | slice | None = None,
        *,
        n_rows: int | None = None,
        **options: Any,
    ) -> Array:
        """Evaluate ``function(network, inputs, observed)`` for rows of X, in the precision of X.

        Rows are numbers, or a slice.
        """
        dtype = precision_of(X)
        module: Any = in_precision(self._predictor(), dtype)
        check_tokens(X, module)
        data = tensors(X, device_of(module), dtype, module.names, ahead=module.ahead())
        if rows is not None and not (isinstance(rows, slice) and rows == slice(None)):
            data = data.subset(np.arange(len(X))[rows])
        return apply_in_chunks(partial(function, module, **options), data, n_rows)


def _beside(valid: TensorData, train: TensorData) -> tuple[TensorData, TensorData]:
    return train, valid


def _content(value: Any) -> Any:
    """Return what stands for an input in a hash: its values, or the hashes of its blocks."""
    if isinstance(value, Stream):
        return [joblib.hash(block) for _, block in value.blocks()]
    return np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("="))


def precision_of(X: Modalities) -> torch.dtype:
    """Return the precision of predictions: single if all numbers of X are, else double."""
    floats = {value.dtype for value in X.values() if value.dtype.kind == "f"}
    return torch.float32 if floats == {np.dtype(np.float32)} else torch.float64


def numpy_type(X: Modalities) -> np.dtype:
    """Return that precision as a type of arrays."""
    return np.dtype(np.float32 if precision_of(X) == torch.float32 else np.float64)


def tensors(
    X: Modalities,
    device: str | torch.device,
    dtype: torch.dtype,
    names: Sequence[str],
    extra: Mapping[str, Array] | None = None,
    *,
    ahead: Mapping[str, Any],
) -> TensorData:
    """Return checked data as tensors; the numbers at missing rows are never read.

    What is observed is of all modalities `names`, of which X may lack some. Those in `ahead` are
    standardised by its means and scales.
    """
    observed = None
    if missing_mask(X).any() or len(X.names) < len(names):
        observed = np.zeros((len(X), len(names)), dtype=bool)
        observed[:, [list(names).index(name) for name in X.names]] = ~missing_mask(X)
    arrays: dict[str, Any] = {
        name: value if isinstance(value, Stream) else np.asarray(value) for name, value in X.items()
    }
    lazy = any(isinstance(value, Stream) for value in arrays.values())
    kind = LazyData if lazy else TensorData
    return kind({**arrays, **(extra or {})}, observed, device=device, dtype=dtype, ahead=ahead)


def n_rows_per_step(batch_size: int | str, n_samples: int) -> int:
    """Return the batch size; "auto" makes about twenty steps of an epoch."""
    if isinstance(batch_size, str):
        batch_size = int(np.clip(n_samples // 20, 32, 512))
    return min(batch_size, n_samples)


def check_same_labels(before: Mapping[str, Array], now: Mapping[str, Array]) -> None:
    """Refuse to go on from a fit whose weights stand for other labels."""
    for name, labels in now.items():
        if not np.array_equal(labels, before.get(name, ())):
            raise ValueError(
                f"warm_start=True needs the labels of the fit before; those of {name!r} are "
                "others: use warm_start=False."
            )


def continue_from(old: torch.nn.Module, new: torch.nn.Module) -> None:
    """Copy the weights of a fitted network."""
    try:
        new.load_state_dict(old.state_dict())
    except RuntimeError as error:
        raise ValueError(
            "warm_start=True needs networks and modalities as in the fit before; with other "
            f"parameters use warm_start=False. {error}"
        ) from error
