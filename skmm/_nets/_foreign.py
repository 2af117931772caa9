"""Options and callbacks of skorch that these nets refuse, and what to use instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.metrics._scorer import _BaseScorer
from skorch.callbacks import (
    BatchScoring,
    EpochScoring,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    PassthroughScoring,
    WandbLogger,
)
from skorch.callbacks.scoring import convert_sklearn_metric_function
from torch.optim.lr_scheduler import ReduceLROnPlateau

REFUSED = {
    BatchScoring: "history_ has each term of the objective; EpochScoring takes a function",
    PassthroughScoring: "history_ has the mean of each term of the objective in each epoch",
    InputShapeSetter: "networks have the shapes of the data; encoders= takes others",
    LoadInitState: "checkpoint_dir= with warm_start=True goes on where a fit has ended",
}
SETTINGS = {
    "module": "encoders= and the parameters of the networks make it",
    "criterion": "the estimator's own objective is trained; its parameters change it",
    "train_split": "early_stopping= and validation_fraction= choose the validation rows",
    "callbacks": "callbacks= adds to those that the estimator needs",
    "device": "device= places the data too",
}


def check_net_params(given: Mapping[str, Any]) -> None:
    """Refuse settings of the net that would contradict those of the estimator."""
    for name in given:
        if name in SETTINGS:
            raise TypeError(f"net_params cannot set {name!r}: {SETTINGS[name]}.")


def check_callbacks(
    callbacks: Sequence[Any], *, validates: bool, scheduled: bool, adversarial: bool
) -> None:
    """Refuse values that are no callbacks, and callbacks of skorch that would fail or do nothing.

    Parameters
    ----------
    callbacks : sequence
        Callbacks, their classes, or pairs of a name and one of these.
    validates : bool
        Whether there are validation rows.
    scheduled : bool
        Whether the learning rate has a schedule already.
    adversarial : bool
        Whether there are two optimizers.
    """
    for given in callbacks:
        callback = given[-1] if isinstance(given, tuple) and given else given
        if not hasattr(callback, "set_params"):
            raise TypeError(f"callbacks holds {given!r}, which is no callback of skorch.")
        kind = callback if isinstance(callback, type) else type(callback)
        for refused, instead in REFUSED.items():
            if issubclass(kind, refused):
                raise TypeError(f"callbacks cannot hold {kind.__name__}: {instead}.")
        if issubclass(kind, EpochScoring):
            _check_scoring(kind, getattr(callback, "scoring", None))
        if issubclass(kind, LRScheduler):
            _check_scheduler(callback, scheduled, adversarial)
        monitor = getattr(callback, "monitor", None)
        if issubclass(kind, WandbLogger) and getattr(callback, "save_model", False):
            monitor = "valid_loss_best"
        if isinstance(monitor, str) and monitor.startswith("valid") and not validates:
            raise TypeError(
                f"{kind.__name__} in callbacks looks at {monitor!r}, but there are no validation "
                "rows: use early_stopping=True, or let it look at something else."
            )


def _check_scoring(kind: type, scoring: Any) -> None:
    """Refuse scorers, for which the net would have to predict as an estimator does."""
    scoring = convert_sklearn_metric_function(scoring)
    if not callable(scoring) or isinstance(scoring, _BaseScorer):
        raise TypeError(
            f"callbacks cannot hold {kind.__name__}({scoring!r}), as the net predicts no targets: "
            "use scoring= of the classifier or regressor, score the fitted estimator, or pass "
            f"{kind.__name__} a function (net, dataset, y), where y is None."
        )


def _check_scheduler(callback: Any, scheduled: bool, adversarial: bool) -> None:
    if scheduled:
        raise TypeError(
            "callbacks holds an LRScheduler, but lr_schedule sets the learning rate of each step "
            "already: use lr_schedule='constant' beside it, or a function as lr_schedule."
        )
    if adversarial:
        raise TypeError(
            "callbacks cannot hold an LRScheduler beside a discriminator, whose learning rate it "
            "would leave as it is: use lr_schedule=."
        )
    plateau = getattr(callback, "policy", None) in ("ReduceLROnPlateau", ReduceLROnPlateau)
    if plateau and callback.step_every == "batch" and isinstance(callback.monitor, str):
        raise TypeError(
            "LRScheduler('ReduceLROnPlateau') in callbacks needs step_every='epoch': figures are "
            "known once an epoch."
        )
