"""The objectives by name, and their requirements of the data."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from skmm import nn
from skmm._base import warn_caller
from skmm._modalities import Modalities, missing_mask

OBJECTIVES: dict[str, Callable[..., Any]] = {
    "cca": partial(nn.cca_loss, squared=True),
    "gcca": nn.gcca_loss,
    "ey": nn.ey_loss,
    "barlow_twins": nn.barlow_twins_loss,
    "vicreg": nn.vicreg_loss,
    "infonce": nn.infonce_loss,
}
WHITENING = ("cca", "gcca")  # invert covariances of a batch
RIDGE = (*WHITENING, "ey")


def check_objective(
    objective: str | Callable[..., Any], X: Modalities, reg_covar: float
) -> Callable[..., Any]:
    """Return the loss of an objective; refuse data that it cannot take."""
    if not isinstance(objective, str):
        return objective
    if objective == "cca" and len(X.names) != 2:
        raise ValueError(
            f"objective='cca' aligns exactly two modalities, got {X.names!r}: use 'gcca', or name "
            "two with modalities=."
        )
    if objective == "cca" and missing_mask(X).any():
        lacking = [name for name, m in zip(X.names, missing_mask(X).T, strict=True) if m.any()]
        raise ValueError(
            f"objective='cca' needs complete rows in fit, but modalities {lacking!r} are missing "
            "in some: use objective='gcca' or drop the incomplete rows."
        )
    loss = OBJECTIVES[objective]
    return partial(loss, reg_covar=reg_covar) if objective in RIDGE else loss


def check_batch_size(
    objective: str | Callable[..., Any], batch_size: int, n_components: int
) -> None:
    """Warn of batches whose covariances cannot be inverted; refuse those without an estimate."""
    if objective in WHITENING and batch_size <= 2 * n_components:
        warn_caller(
            f"Batches of {batch_size} rows are too few for {n_components} components: the "
            "correlations of a batch are nearly 1 whatever the networks do. Use a larger "
            "batch_size, fewer n_components or objective='ey'."
        )
    if objective == "ey" and batch_size < 4:
        raise ValueError(f"objective='ey' needs batches of at least 4 rows, got {batch_size}.")
