"""Diagnostics of a fitted VAE: shares of modalities in the posterior, and collapse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning

from skmm._base import warn_caller
from skmm._modalities import Modalities

Array = np.ndarray
N_VALUES = 2**22  # in the reconstructions that collapse is judged by
COLLAPSED = 0.01  # R² of a reconstruction below which it says nothing


def judged_rows(X: Modalities, n_samples: int) -> Array | slice:
    """Return all of so many rows, or some if the reconstructions of all would be too large."""
    width = sum(int(np.prod(value.shape[1:], dtype=int)) for value in X.values())
    most = max(1000, N_VALUES // width)
    if n_samples <= most:
        return slice(None)
    return np.linspace(0, n_samples - 1, most).astype(np.int64)


def contributions(shares: Array, names: Sequence[str]) -> pd.DataFrame:
    """Return the mean shares (n_modalities + 1, n_components) in the precision."""
    return pd.DataFrame(shares.mean(axis=0), index=[*names, "prior"])


def warn_of_collapse(active: Array, skill: Mapping[str, float]) -> None:
    """Warn if the codes ignore the data, or if they say nothing about some modalities."""
    if not active.any():
        warn_caller(
            "The posterior has collapsed: no component depends on the data. Try a smaller beta, "
            "free_bits, a longer kl_warmup, a larger lr or more epochs.",
            ConvergenceWarning,
        )
        return
    if collapsed := [name for name, value in skill.items() if value < COLLAPSED]:
        warn_caller(
            f"Modalities {collapsed} have collapsed: their reconstructions are no better than the "
            "mean. Raise their modality_weights, or train for more epochs.",
            ConvergenceWarning,
        )
