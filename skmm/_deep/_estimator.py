"""The base of the deep estimators: parameters, and read → split → build → train → finish."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Real
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, Self

import joblib
import numpy as np
import pandas as pd
import torch
from sklearn.utils import estimator_html_repr
from sklearn.utils._param_validation import StrOptions

from skmm._base import BaseEstimator, fits_or_changes_nothing
from skmm._deep._networks import check_tokens
from skmm._deep._spec import NetworkSpec, describe
from skmm._deep._split import Rows, Split, automatic_folds, fold_splits, group_split, split_rows
from skmm._linear._columns import Columns, fit_columns
from skmm._modalities import Modalities, missing_mask, observed_rows
from skmm._modalities._columns import ColumnStatistics
from skmm._modalities._stream import Stream, is_streamed
from skmm._nets import (
    SCHEDULES,
    BestWeights,
    Checkpoint,
    FoldData,
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
from skmm.nn._members import Members, MembersObjective, members_of
from skmm.nn._processes import Processes

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
    "cv": ["cv_object", StrOptions({"auto"})],
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
LARGEST_LINEAR = 2**26  # values in the columns of a linear model
# In the history for skorch's callbacks alone.
_OF_SKORCH = ("batches", "train_loss_best", "valid_loss_best")
# Parameters that may change between a fit and the one that goes on from its checkpoint.
_NOT_IN_THE_KEY = ("checkpoint_dir", "device", "callbacks", "verbose", "warm_start")


@dataclass(frozen=True)
class FitData:
    """The data of a fit; arrays have a row per sample.

    `target` holds the numbers (n, width) to predict or to generate, `y` the target as it was
    passed, `weight` the weights of rows, `labels` the classes (n, n_tasks) by which splits are
    stratified, `groups` those of rows that are held out together.
    """

    X: Modalities
    target: Any = None
    y: Any = None
    weight: Array | None = None
    labels: Array | None = None
    groups: Any = None


class Run(NamedTuple):
    """State of a fit that its steps share.

    `previous` has the attributes of the fit that a warm start goes on from; `processes` train
    together, None is this one alone.
    """

    previous: Any
    rng: np.random.RandomState
    device: torch.device
    processes: Processes | None


class DeepEstimator(BaseEstimator):
    """An estimator that has a net. The parameters are those of the subclasses.

    `_fit` is the one way through a fit; subclasses fill in its steps: `_read_fit`, `_fit_linear`,
    `_build`, `_extra`, `_settings`, `_blend` and `_finish`.

    Several splits train a network each, in step, in one net; together they have judged all rows by
    networks that have not seen them. Where the networks are no ensemble (`_is_ensemble`), one that
    is trained on all rows takes their place.
    """

    _net_class: type[Net] = Net
    _is_ensemble = True
    _n_folds = 5  # of cv="auto"
    _most_rows = 3000  # that cv="auto" divides into folds
    modality_names_in_: tuple[str, ...]
    oof_score_: float
    _schema: Any
    _columns: dict[str, ColumnStatistics]
    net_: Any

    @property
    def history_(self) -> pd.DataFrame:
        """One row per epoch: the terms of the objective, the score, the learning rate."""
        history = self.net_.history
        rows = [{k: v for k, v in row.items() if k not in _OF_SKORCH} for row in history]
        return pd.DataFrame(rows)

    def _fit(self, *data: Any) -> Self:
        """Fit, whatever torch's settings are; after Ctrl-C finish with what there is, and raise."""
        self._fit_steps(*data)
        if self.net_.interrupted_:
            raise KeyboardInterrupt
        return self

    @fits_or_changes_nothing
    @plain_torch()
    def _fit_steps(self, *arguments: Any) -> None:
        """Read → split → build → train → finish."""
        previous = SimpleNamespace(**vars(self)) if self.warm_start and self._has_nets() else None
        data = self._read_fit(*arguments)
        if previous is not None:
            self._check_continues(previous)
        device, processes = join(self.device)
        rng = self._rng(device, processes)
        run = Run(previous, rng, device, processes)
        splits = self._splits(data, run)
        linear = self._fit_linear(data, splits, rng)
        self.net_ = self._fit_net(data, splits, run)
        self._blend(data, splits, linear, rng)
        if len(splits) > 1 and not self._is_ensemble and self._needs_network():
            self.net_ = self._fit_on_all(data, run)
        self._finish(data, splits, rng)
        leads = processes is None or processes.index == 0
        if self.verbose and leads and (line := self._linear_line()):
            print(f"{type(self).__name__}: {line}")

    def _linear_line(self) -> str:
        """Return in words how linear the fit is, nothing if no rows held out have chosen that."""
        share = getattr(self, "linear_share_", 0.0)
        shares = list(share.values()) if isinstance(share, dict) else np.ravel(share)
        score = getattr(self, "oof_score_", np.nan)
        if not np.isfinite(score):
            return ""
        return f"{np.mean(shares):.0%} linear, oof_score_ {score:.3g}"

    def _html_repr(self) -> str:
        line = self._linear_line()
        return estimator_html_repr(self) + (f"<p>{line}</p>" if line else "")

    def _splits(self, data: FitData, run: Run) -> list[Split]:
        """Return the splits that networks are trained on, of the rows that have weight."""
        usable = _usable(data)
        if not self.early_stopping:
            return [Split(usable)]
        rows = Rows(len(data.X), usable, data.labels, data.y, data.groups)
        together = run.processes is not None or is_streamed(data.X)
        cv = self.cv
        if isinstance(cv, str):
            cv = None if together else automatic_folds(rows, self._n_folds, self._most_rows)
        if cv is None and data.groups is not None:
            return [group_split(rows, self.validation_fraction, run.rng)]
        if cv is None:
            return [split_rows(usable, self.validation_fraction, run.rng, data.labels)]
        if together:
            raise ValueError(
                f"cv={self.cv!r} needs data in memory and one process: use cv=None, which holds "
                "out validation_fraction of the rows."
            )
        return fold_splits(cv, rows, run.rng)

    def _fit_net(
        self, data: FitData, splits: Sequence[Split], run: Run, n_epochs: int | None = None
    ) -> Net:
        """Build a network for each split, or take up the previous ones, and train them in step."""
        seeds = [seed_of(run.rng) for _ in splits]
        built = [self._build(data, seed) for seed in seeds]
        module, objective = built[0]
        if len(built) > 1:
            module = Members([module for module, _ in built])
            objective = MembersObjective([objective for _, objective in built])
        if run.previous is not None:
            continue_from(run.previous.net_.module_, module)
        rows = self._tensors(data, module, run)
        valid = None if splits[0].valid is None else of_splits(rows, [s.valid for s in splits])
        return self._train(
            module,
            objective,
            of_splits(rows, [split.train for split in splits]),
            valid,
            run.processes,
            n_epochs,
            batch_size=self._n_rows_per_step(min(len(split.train) for split in splits)),
            seed=seeds[0],
            **self._settings(data, splits, rows, run.rng),
        )

    def _fit_on_all(self, data: FitData, run: Run) -> Net:
        """Train a network on all rows, for as many epochs as were best for rows held out.

        After Ctrl-C the first of the networks stays.
        """
        folds = self.net_
        if folds.interrupted_:
            return folds.replace(members_of(folds.module_)[0])
        net = self._fit_net(data, [Split(_usable(data))], run, best_epoch(folds))
        for stage, rows_of_stage in (("folds", folds.history), ("all rows", net.history)):
            for row in rows_of_stage:
                row["stage"] = stage
        net.history[:0] = folds.history
        return net

    def _tensors(self, data: FitData, module: Any, run: Run) -> TensorData:
        network = members_of(module)[0]
        check_tokens(data.X, self._predictor(network))
        names, extra, ahead = self.modality_names_in_, self._extra(data), network.ahead()
        return tensors(data.X, run.device, self._dtype(), names, extra, ahead=ahead)

    def _read_fit(self, *arguments: Any) -> FitData:
        """Check the arguments of `fit`, and set the attributes that describe the data; abstract."""
        raise NotImplementedError

    def _has_nets(self) -> bool:
        """Whether there are networks that a warm start can take up."""
        return hasattr(self, "net_")

    def _check_continues(self, previous: Any) -> None:
        """Refuse to go on from the attributes of a fit whose weights stand for other labels."""
        for name, labels in getattr(self, "categories_", {}).items():
            if not np.array_equal(labels, previous.categories_.get(name, ())):
                raise ValueError(
                    f"warm_start=True needs the labels of the fit before; those of {name!r} are "
                    "others: use warm_start=False."
                )

    def _fit_linear(
        self, data: FitData, splits: Sequence[Split], rng: np.random.RandomState
    ) -> Any:
        """Fit a linear model before the networks; None where there is none."""
        return None

    def _linear_columns(self, X: Modalities, weight: Array | None = None) -> Columns | None:
        """Return the columns of a linear model; None if they are too many, or not in memory."""
        if is_streamed(X):
            return None
        modalities = describe(X, self._columns, self.categories_, self._network_spec().encoders)
        n_classes = {one.name: one.n_classes for one in modalities}
        width = sum(one.width * max(1, one.n_classes) for one in modalities)
        if len(X) * width > LARGEST_LINEAR:
            return None
        return fit_columns(X, n_classes, weight)

    def _build(self, data: FitData, seed: int) -> tuple[Any, torch.nn.Module]:
        """Return the module to train, and the objective that training minimises; abstract."""
        raise NotImplementedError

    def _extra(self, data: FitData) -> dict[str, Array]:
        """Return arrays with a row per sample that are no modalities: a target, weights."""
        return {}

    def _settings(
        self, data: FitData, splits: Sequence[Split], rows: TensorData, rng: np.random.RandomState
    ) -> dict[str, Any]:
        """Return settings of the net beyond those of all deep estimators."""
        return {}

    def _n_rows_per_step(self, n_samples: int) -> int:
        """Return the batch size; the rule of "auto" is `_auto_batch_size`."""
        is_auto = isinstance(self.batch_size, str)
        size = self._auto_batch_size(n_samples) if is_auto else self.batch_size
        return min(size, n_samples)

    def _auto_batch_size(self, n_samples: int) -> int:
        """Return the rows per step of "auto": about twenty steps of an epoch."""
        return max(32, min(n_samples // 20, 512))

    def _blend(
        self, data: FitData, splits: Sequence[Split], linear: Any, rng: np.random.RandomState
    ) -> None:
        """Choose among the linear model and the networks of the splits, or combine them."""

    def _needs_network(self) -> bool:
        """Whether a network has a part in what was chosen."""
        return True

    def _finish(self, data: FitData, splits: Sequence[Split], rng: np.random.RandomState) -> None:
        """Set the fitted attributes that need the trained net."""

    def _network_spec(self) -> NetworkSpec:
        """Return the description of the networks that the parameters ask for."""
        return NetworkSpec.of(vars(self), self.modality_names_in_, self._dtype())

    def _rng(self, device: torch.device, processes: Processes | None) -> np.random.RandomState:
        """Return the generator of a fit, in the same state in all processes that share it."""
        rng = check_random_state(self.random_state)
        if self.random_state is None and processes is not None:
            rng = check_random_state(int(processes.first(seed_of(rng), device)))
        return rng

    def _dtype(self) -> torch.dtype:
        return torch.float64 if self.precision == "float64" else torch.float32

    def _train(
        self,
        module: torch.nn.Module,
        criterion: torch.nn.Module,
        train: TensorData | FoldData,
        valid: TensorData | FoldData | None,
        processes: Processes | None,
        n_epochs: int | None = None,
        **settings: Any,
    ) -> Net:
        """Train a module; `interrupted_` of the net tells whether Ctrl-C ended it."""
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
        n_epochs = net.max_epochs if n_epochs is None else n_epochs
        net.partial_fit(train, epochs=max(0, n_epochs - done))
        # They hold the data, and from now on the net computes in this process alone.
        return net.set_params(train_split=None, scoring=None, processes=None).forget()

    def _predictor(self, module: Any) -> Any:
        """Return the network of a trained module that predictions come from."""
        return module

    def _key(self, train: TensorData | FoldData) -> str:
        """Return the name of a checkpoint: of this estimator with these parameters and data."""
        params = {k: v for k, v in self.get_params().items() if k not in _NOT_IN_THE_KEY}
        try:
            said = joblib.hash(params)
        except Exception:  # a parameter that cannot be pickled is only known by its text
            said = repr(params)
        # Lists and arrays: hashes of dicts ignore the order, those of tensors differ in copies.
        # As they came: values on a device depend on its precision.
        data = [(name, _content(value)) for name, value in train.arrays.items()]
        parts = train.parts if isinstance(train, FoldData) else [train]
        tensors = [*(part.rows for part in parts), train.observed]
        rest = [None if t is None else t.cpu().numpy() for t in tensors]
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
        member: int = 0,
        n_rows: int | None = None,
        **options: Any,
    ) -> Array:
        """Evaluate ``function(network, inputs, observed)`` for rows of X, in the precision of X.

        Rows are numbers, or a slice. Of several networks it is the one with the number `member`.
        """
        dtype = precision_of(X)
        network = members_of(self.net_.module_)[member]
        module: Any = in_precision(self._predictor(network), dtype)
        check_tokens(X, module)
        data = tensors(X, device_of(module), dtype, module.names, ahead=module.ahead())
        if rows is not None and not (isinstance(rows, slice) and rows == slice(None)):
            data = data.subset(np.arange(len(X))[rows])
        return apply_in_chunks(partial(function, module, **options), data, n_rows)

    @property
    def _n_members(self) -> int:
        return len(members_of(self.net_.module_))

    def _held_out(
        self, function: Callable[..., Any], X: Modalities, splits: Sequence[Split], **options: Any
    ) -> Array:
        """Evaluate a function for each row by the networks that have not seen it, on average.

        NaN in rows that no split holds out.
        """
        found, times = np.zeros(0), np.zeros(len(X))
        for member, split in enumerate(splits):
            if split.valid is None:
                continue
            values = self._apply(function, X, split.valid, member=member, **options)
            if not found.size:
                found = np.zeros((len(X), *values.shape[1:]))
            found[split.valid] += values
            times[split.valid] += 1
        with np.errstate(invalid="ignore"):
            return found / times.reshape(-1, *[1] * (found.ndim - 1))

    def _apply_each(
        self, function: Callable[..., Any], X: Modalities, **options: Any
    ) -> dict[str, Array]:
        """Evaluate a function for each modality alone; NaN in rows that lack it."""
        found = {}
        for name in X.names:
            here = observed_rows(X, name)
            part = X.select([name])
            values = self._apply(function, part, None if here.all() else here, **options)
            found[name] = np.full((len(X), *values.shape[1:]), np.nan, dtype=values.dtype)
            found[name][here] = values
        return found


def _usable(data: FitData) -> Array:
    """Return the numbers of the rows that have weight."""
    return np.arange(len(data.X)) if data.weight is None else np.flatnonzero(data.weight > 0)


def _beside(valid: Any, train: Any) -> tuple[Any, Any]:
    return train, valid


def of_splits(rows: TensorData, parts: Sequence[Any]) -> TensorData | FoldData:
    """Return the rows of each split."""
    each = [rows.subset(part) for part in parts]
    return FoldData(each) if len(each) > 1 else each[0]


def best_epoch(net: Net) -> int:
    """Return the epoch whose validation score is the best."""
    return int(max(net.history, key=lambda row: row["valid_score"])["epoch"])


def _content(value: Any) -> Any:
    """Return an input as it is hashed: its values, or the hashes of its blocks."""
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

    The mask of observed modalities has a column for each of `names`, also for those that X lacks.
    Modalities in `ahead` are standardised by the means and scales given there.
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


def continue_from(old: torch.nn.Module, new: torch.nn.Module) -> None:
    """Copy the weights of fitted networks; one is copied to all."""
    try:
        networks = [new] if isinstance(old, Members) else members_of(new)
        for network in networks:
            network.load_state_dict(old.state_dict())
    except RuntimeError as error:
        raise ValueError(
            "warm_start=True needs networks and modalities as in the fit before; with other "
            f"parameters use warm_start=False. {error}"
        ) from error
