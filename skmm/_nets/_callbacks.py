"""Callbacks: the best weights, checkpoints, a progress bar."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from tqdm import tqdm

from skmm._atomic import replacing
from skmm._nets._errors import EarlyStop
from skmm._nets._net import Net

State = dict[str, Any]


class BestWeights(Callback):
    """Stop when the validation score has not risen for some epochs; restore the best weights.

    The start counts as epoch 0.

    Parameters
    ----------
    patience : int
        Epochs without a gain after which to stop.
    """

    # Not skorch's EarlyStopping: it begins anew whenever training begins, so that a training that
    # goes on from a checkpoint would forget its best epoch, and the start is no candidate.

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def initialize(self) -> BestWeights:
        """Forget the epochs of a former training."""
        self.best_: State = {"epoch": None, "score": -np.inf, "weights": {}}
        return self

    def on_train_begin(self, net: Net, **kwargs: Any) -> None:
        """Take the start as the best so far; a checkpoint brings its own."""
        if self.best_["epoch"] is None:
            self._compare(net)
        elif not self.best_["weights"]:
            self.best_["weights"] = _weights(net)

    def on_epoch_end(self, net: Net, **kwargs: Any) -> None:
        """Compare with the best so far."""
        self._compare(net)
        if net.history[-1]["epoch"] - self.best_["epoch"] >= self.patience:
            raise EarlyStop

    def on_train_end(self, net: Net, **kwargs: Any) -> None:
        """Restore the best weights."""
        net.module_.load_state_dict(self.best_["weights"])

    def forget(self) -> None:
        """Let go of the weights, which are those of the net now."""
        self.best_ = {**self.best_, "weights": {}}

    def _compare(self, net: Net) -> None:
        row = [*net.start_, *net.history][-1]
        if row["valid_score"] > self.best_["score"]:
            score, weights = row["valid_score"], _weights(net)
            self.best_ = {"epoch": row["epoch"], "score": score, "weights": weights}


def _weights(net: Net) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in net.module_.state_dict().items()}


class Checkpoint(Callback):
    """Write all that is needed to go on after each epoch, by way of a temporary file.

    A folder that cannot be made stops the training before it begins. A later failure, as on a
    full disk, warns once: the former checkpoint stays, and the training goes on.

    Parameters
    ----------
    path : str or pathlib.Path
        The file; its folder is made if need be.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path

    def on_train_begin(self, net: Net, **kwargs: Any) -> None:
        """Make the folder."""
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        self.failed_ = False

    def on_epoch_end(self, net: Net, **kwargs: Any) -> None:
        """Write the file."""
        best = best_weights(net)
        state = {
            "module": net.module_.state_dict(),
            "optimizers": {n: getattr(net, f"{n}_").state_dict() for n in net._optimizers},
            "history": [
                {k: v for k, v in row.items() if k != "batches"}
                for row in [*net.start_, *net.history]
            ],
            "best": None if best is None else best.best_,
        }
        try:
            with replacing(self.path) as temporary:
                torch.save(state, temporary)
        except (OSError, RuntimeError) as error:  # torch's writer says RuntimeError
            if not self.failed_:
                self._warn(error)
            self.failed_ = True

    def _warn(self, error: Exception) -> None:
        warnings.warn(
            f"The checkpoint {str(self.path)!r} could not be written ({error}): is the disk full? "
            "The training goes on; what was there before is kept, and each epoch tries again.",
            RuntimeWarning,
            stacklevel=2,
        )


def resume(net: Net, path: str | Path) -> bool:
    """Put an initialised net into the state of a checkpoint; return whether there was one."""
    if not Path(path).exists():
        return False
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)  # runs no code
        _restore(net, state)
    except Exception as error:  # zip, pickle and torch raise many types
        raise ValueError(
            f"The checkpoint {str(path)!r} is damaged or was changed: delete it to start anew, or "
            f"use warm_start=False. {type(error).__name__}: {error}"
        ) from error
    return True


def _restore(net: Net, state: State) -> None:
    if (best := best_weights(net)) is not None:
        net.module_.load_state_dict(state["best"]["weights"])  # they must fit at the end
        best.best_ = state["best"]
    net.module_.load_state_dict(state["module"])
    for name in net._optimizers:
        getattr(net, f"{name}_").load_state_dict(state["optimizers"][name])
    for row in state["history"]:
        net.history.new_epoch()
        for key, value in row.items():
            net.history.record(key, value)


def best_weights(net: Net) -> BestWeights | None:
    """Return the callback that keeps the best weights, if the net has one."""
    found = [cb for _, cb in net.callbacks_ if isinstance(cb, BestWeights)]
    return found[0] if found else None


class Progress(Callback):
    """Progress bar over the epochs, with the latest figures."""

    def on_train_begin(self, net: Net, **kwargs: Any) -> None:
        """Show the bar."""
        done = net.history[-1]["epoch"] if net.history else 0
        self.bar_ = tqdm(total=net.max_epochs, initial=done, unit="epoch")

    def on_epoch_end(self, net: Net, **kwargs: Any) -> None:
        """Move the bar."""
        row = net.history[-1]
        figures = {key: row[key] for key in ("train_loss", "valid_score") if key in row}
        self.bar_.set_postfix(figures, refresh=False)
        self.bar_.update()

    def on_train_end(self, net: Net, **kwargs: Any) -> None:
        """Close the bar."""
        self.bar_.close()
        del self.bar_  # it holds the stream, which cannot be pickled
