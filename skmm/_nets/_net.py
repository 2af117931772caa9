"""The skorch net: a lean step, objective terms by name, validation on all rows at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, PrintLog
from skorch.dataset import unpack_data
from torch import Tensor

from skmm._nets._data import Batches, epoch_generator
from skmm._nets._distributed import Share, check_sizes, sum_gradients
from skmm._nets._errors import diverged, enough_rows, is_early_stop
from skmm._nets._files import packed, unpacked
from skmm._nets._folds import FoldData
from skmm._nets._schedules import Schedule, constant
from skmm._nets._steps import StepTerms, Terms, concatenate
from skmm.nn import seed_draws
from skmm.nn._layers import at_least_single
from skmm.nn._members import members_of, objectives_of
from skmm.nn._processes import Processes, share

Outputs = tuple[Any, Tensor | None]
Scoring = Callable[["Net", list[Outputs]], float]
DROPOUT = 1  # stream of random numbers beside that of the order of rows


class Net(NeuralNet):
    """A net whose criterion returns the named terms of its objective.

    Parameters
    ----------
    module : torch.nn.Module
        Called with the entries of a batch's first part as keyword arguments.
    criterion : torch.nn.Module
        Called as ``criterion(outputs, **batch)``; returns a dict from name to 0-d tensor. Their
        sum is minimised; each is in the history, for training rows and validation rows. Its
        attribute `progress`, if it has one, is the share of the training that is done.
    seed : int, default=0
        Of the order of rows and of dropout.
    schedule : callable, default=constant
        From the share of the training that is done to a factor of the learning rate.
    precision : {"float32", "bf16", "float64"}, default="float32"
        "bf16" runs the module under autocast.
    scoring : callable, default=None
        ``scoring(net, found)`` with, for each network that is trained, its outputs for all its
        validation rows and which modalities these have; higher is better. None takes minus the sum
        of the terms.
    processes : Processes, default=None
        Those that train together, if there are several: each has a share of the rows of a batch,
        and all have the terms and gradients of the whole.
    **kwargs : dict
        As in `skorch.NeuralNet`.
    """

    module_: Any

    def __init__(
        self,
        module: torch.nn.Module,
        criterion: torch.nn.Module,
        *,
        seed: int = 0,
        schedule: Schedule = constant,
        precision: str = "float32",
        scoring: Scoring | None = None,
        processes: Processes | None = None,
        iterator_train: type = Batches,
        iterator_valid: type = Batches,
        **kwargs: Any,
    ) -> None:
        self.seed = seed
        self.schedule = schedule
        self.precision = precision
        self.scoring = scoring
        self.processes = processes
        super().__init__(
            module,
            criterion,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            **{"use_caching": False, **kwargs},  # callbacks would keep the graphs of all batches
        )

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        log = [("print_log", PrintLog())] if self.verbose > 1 else []
        return [("epoch_timer", EpochTimer()), *log]

    def initialize_module(self) -> Net:
        """Take the module as it is, in the precision of training."""
        super().initialize_module()
        if self.precision == "float64":
            self.module_.double()
        return self

    def torch_compile(self, module: torch.nn.Module, name: str) -> torch.nn.Module:
        """Compile the module in place, so that names of weights and pickling stay as they are."""
        if self.compile and name == "module":
            module.compile(**self.get_params_for("compile"))
        return module

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Shuffle by the seed, and drop a short last batch, unless a parameter says otherwise."""
        iterator = self.iterator_train if training else self.iterator_valid
        self._check_workers("iterator_train" if training else "iterator_valid")
        if training and isinstance(iterator, type) and issubclass(iterator, Batches):
            options = {"shuffle": True, "drop_last": True, "seed": self.seed}
            options |= self.get_params_for("iterator_train")
            iterator = iterator(self._share(dataset), **({"batch_size": self.batch_size} | options))
            if self.processes is not None:
                size, drop_last = iterator.batch_size, iterator.drop_last
                check_sizes(self.processes, len(dataset), size, drop_last)
            return iterator
        if isinstance(dataset, FoldData) and not (
            isinstance(iterator, type) and issubclass(iterator, Batches)
        ):
            role = "iterator_train" if training else "iterator_valid"
            raise ValueError(
                f"Several networks that train in step need skmm's Batches, but {role} is "
                f"{iterator!r}: use cv=None."
            )
        if training and self.processes is not None:
            raise ValueError(
                "With several processes iterator_train must be a subclass of skmm's Batches, got "
                f"{iterator!r}: leave it out of net_params."
            )
        return super().get_iterator(dataset, training=training)

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> Net:
        """Train; the start is the first row of the history in the end."""
        super().partial_fit(X, y, classes, **fit_params)
        self.history[:0] = self.start_
        return self

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> Net:
        """Train; an early stop ends the loop, Ctrl-C too but sets `interrupted_`."""
        self.interrupted_ = False
        try:
            super().fit_loop(X, y, epochs, **fit_params)
        except KeyboardInterrupt as error:
            self.interrupted_ = not is_early_stop(error)
            if self.history and "train_loss" not in self.history[-1]:
                del self.history[-1]
        return self

    def on_train_begin(self, net: Net, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Note how good the start is, which training has to beat."""
        share(self.module_, self.processes)
        train, valid = self.get_split_datasets(X, y)
        self.n_batches_ = len(self.get_iterator(train, training=True))
        if valid is not None and not self.history:
            self.history.new_epoch()
            self.history.record("epoch", 0)
            self._validate(valid)
        # Callbacks take each row of the history for an epoch: until the end the start is apart.
        has_start = self.history and self.history[0]["epoch"] == 0
        self.start_: list[dict[str, Any]] = [self.history.pop(0)] if has_start else []

    def on_train_end(self, net: Net, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Leave the module ready for prediction."""
        self._set_training(False)
        seed_draws(self.module_, None)
        share(self.module_, None)

    def forget(self) -> Net:
        """Let go of all that only training needs: gradients, moments of optimizers, other weights.

        Together they are several times the weights. Whoever trains on begins with the weights.
        """
        for parameter in self.module_.parameters():
            parameter.grad = None
        for name in self._optimizers:
            getattr(self, f"{name}_").state.clear()
        for _, callback in self.callbacks_:
            if hasattr(callback, "forget"):
                callback.forget()
            elif isinstance(callback, EarlyStopping):  # skorch's, which has loaded the best
                callback.best_model_weights_ = None
        return self

    def replace(self, module: torch.nn.Module) -> Net:
        """Put another module in the place of the trained one, on the same device."""
        self.module = self.module_ = module.to(self.device)
        self.initialize_optimizer()
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle: tensors apart, so that they load without the device."""
        return packed(self.__dict__, self.cuda_dependent_attributes_)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Return to the device, or to the one nearest to it."""
        self.__dict__.update(unpacked(state))

    def on_epoch_begin(
        self, net: Net, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any
    ) -> None:
        """Begin a row of the history; epochs count from 1, the start is 0."""
        epoch = self.history[-1]["epoch"] + 1 if self.history else 1
        self.history.new_epoch()
        self.history.record("epoch", epoch)

    def run_single_epoch(
        self,
        iterator: Any,
        training: bool,
        prefix: str,
        step_fn: Callable[..., dict[str, Any]],
        **fit_params: Any,
    ) -> None:
        """Train for an epoch, or validate on all rows; record once."""
        if iterator is None:
            return
        if not training:
            return self._validate(iterator.dataset)
        epoch = self.history[-1]["epoch"]
        self._step = (epoch - 1) * self.n_batches_
        if hasattr(iterator, "set_epoch"):
            iterator.set_epoch(epoch)
        seed_draws(self.module_, epoch_generator(self.seed, epoch, self.device, DROPOUT))
        self._set_training(True)
        steps = StepTerms()
        for batch in iterator:
            self.history.new_batch()
            self.notify("on_batch_begin", batch=batch, training=True)
            step = step_fn(batch, **fit_params)
            steps.add(step["terms"])
            self.notify("on_batch_end", batch=batch, training=True, **step)
        del self.history[-1]["batches"][:-1]  # which callbacks write in; they would grow too large
        self._record(prefix, steps)
        self.history.record("lr", self.optimizer_.param_groups[0]["lr"])

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Make one step of the optimizer, at the learning rate of the schedule."""
        self._begin_step()
        terms, outputs = self.get_terms(batch)
        loss = self._descend(self.optimizer_, terms, batch)
        return {
            "loss": loss,
            "y_pred": outputs,
            "terms": {name: term.detach() for name, term in terms.items()},
        }

    def _begin_step(self) -> None:
        """Set the learning rate and the progress of the objective."""
        progress = self._step / (self.max_epochs * self.n_batches_)
        self._step += 1
        if self.schedule is not constant:
            self._set_lr(progress)
        if hasattr(self.criterion_, "progress"):
            self.criterion_.progress = progress

    def _descend(self, optimizer: Any, terms: Terms, batch: Any) -> Tensor:
        """Make a step that lowers the sum of the terms."""
        for group in optimizer.param_groups:  # zero_grad, which takes a twentieth of a small step
            for parameter in group["params"]:
                parameter.grad = None
        loss: Any = sum(terms.values())
        (len(objectives_of(self.criterion_)) * loss).backward()  # as each network would alone
        if self.processes is not None:
            same = set(self.criterion_.parameters())  # of a loss that all have computed as a whole
            groups = optimizer.param_groups
            own = [p for group in groups for p in group["params"] if p not in same]
            sum_gradients(self.processes, own)
        self.notify(
            "on_grad_computed",
            named_parameters=self._parameters_of(optimizer),
            batch=batch,
            training=True,
        )
        optimizer.step()
        return loss.detach()

    def _parameters_of(self, optimizer: Any) -> Iterator[tuple[str, Tensor]]:
        """Yield the parameters that a step changes; nothing is done if no callback asks."""
        own = {id(p) for group in optimizer.param_groups for p in group["params"]}
        yield from ((name, p) for name, p in self.get_all_learnable_params() if id(p) in own)

    def get_terms(self, batch: Any) -> tuple[Terms, Any]:
        """Compute the terms of the objective for a batch, and the outputs of the module."""
        arguments, _ = unpack_data(batch)
        with enough_rows(), self._autocast():
            outputs = self.infer(arguments)
        if self.precision == "bf16":  # for networks; an objective in it has three digits
            outputs = concatenate([outputs], lambda parts: at_least_single(parts[0]))
        if self.processes is not None:
            observed = arguments.get("observed")
            outputs, observed = self._gathered((outputs, observed), arguments)
            arguments = {"observed": observed}
        try:
            return self.criterion_(outputs, **arguments), outputs
        except torch.linalg.LinAlgError as error:
            raise diverged("correlation", self.history[-1]["epoch"]) from error

    def outputs(self, dataset: Any) -> list[Outputs]:
        """Return, for each network, its outputs for all its rows, and their modalities."""
        self._set_training(False)
        networks = members_of(self.module_)
        rows = dataset.parts if isinstance(dataset, FoldData) else [dataset]
        with torch.inference_mode():
            return [self._outputs_of(*pair) for pair in zip(networks, rows, strict=True)]

    def _outputs_of(self, network: torch.nn.Module, dataset: Any) -> Outputs:
        parts = []
        for batch in self.get_iterator(self._share(dataset)):
            arguments, _ = unpack_data(batch)
            # Only skorch's own `infer` knows what users' iterators may give.
            alone = network is self.module_
            outputs = self.infer(arguments) if alone else network(**arguments)
            part = outputs, arguments.get("observed")
            parts.append(self._gathered(part, arguments))
        return concatenate(parts)

    def _validate(self, dataset: Any) -> None:
        """Record the terms and the score of all rows, not the mean over batches.

        Of several networks the terms are weighed by their rows, so that all rows count the same.
        """
        found = self.outputs(dataset)
        with torch.inference_mode():
            terms = self._terms_of(found, dataset)
        self._record("valid", StepTerms().add(terms))
        score = -self.history[-1]["valid_loss"]
        if self.scoring is not None:
            score = self.scoring(self, found)
        if self.processes is not None:  # an ulp more or less, and some would stop, others not
            score = self.processes.first(score, self.device)
        self.history.record("valid_score", score)

    def _terms_of(self, found: list[Outputs], dataset: Any) -> Terms:
        """Return the terms of the outputs of each network, on average over all rows."""
        each = [
            objective(outputs, observed=observed)
            for objective, (outputs, observed) in zip(
                objectives_of(self.criterion_), found, strict=True
            )
        ]
        if not isinstance(dataset, FoldData):
            return each[0]
        shares = [len(part) / sum(map(len, dataset.parts)) for part in dataset.parts]
        return {
            name: sum(s * terms[name] for s, terms in zip(shares, each, strict=True))
            for name in each[0]
        }

    def _record(self, prefix: str, steps: StepTerms) -> None:
        """Record the mean of each term over the steps, read from the device all at once."""
        names, values = steps.names, steps.values().double().cpu()
        for step in values.tolist():
            for name, value in zip(names, step, strict=True):
                if not math.isfinite(value):
                    raise diverged(name, self.history[-1]["epoch"])
        means = dict(zip(names, values.mean(dim=0).tolist(), strict=True))
        for name, value in means.items():
            self.history.record(f"{prefix}_{name}", value)
        loss = sum(means.values())
        before = [row[f"{prefix}_loss"] for row in self.history[:-1]]
        self.history.record(f"{prefix}_loss", loss)
        self.history.record(f"{prefix}_loss_best", all(loss < other for other in before))

    def _check_workers(self, role: str) -> None:
        """Refuse processes that would read data from a device."""
        where = torch.device(self.device).type
        if where != "cpu" and self.get_params_for(role).get("num_workers"):
            raise ValueError(
                f"{role}__num_workers in net_params needs device='cpu': processes of a DataLoader "
                f"cannot use {where}, where the data lie. Leave it out; skmm's own batches are "
                "slices of these and need no workers."
            )

    def _share(self, dataset: Any) -> Any:
        """Return the rows of each batch that this process has."""
        return dataset if self.processes is None else Share(dataset, self.processes)

    def _gathered(self, outputs: Any, arguments: Mapping[str, Any]) -> Any:
        """Return outputs for the whole batch, in all processes."""
        if self.processes is None:
            return outputs
        n_rows = len(next(iter(arguments["inputs"].values())))
        before, total = self.processes.place(n_rows, self.device)
        gather = self.processes.gather
        return concatenate([outputs], lambda parts: gather(parts[0], before, total))

    def _set_lr(self, progress: float) -> None:
        factor = float(self.schedule(progress))
        for name in self._optimizers:
            for group in getattr(self, f"{name}_").param_groups:
                group.setdefault("base_lr", group["lr"])
                group["lr"] = group["base_lr"] * factor

    def _autocast(self) -> AbstractContextManager:
        if self.precision != "bf16":
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, torch.bfloat16)
