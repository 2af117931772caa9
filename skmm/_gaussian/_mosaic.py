"""Pairs of modalities that no row has both of: what one says of the other is an assumption."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from skmm._base import warn_caller

Array = np.ndarray


def never_together(observed: Array) -> list[tuple[int, int]]:
    """Return the pairs of modalities that no row has both of.

    Parameters
    ----------
    observed : ndarray of bool (n, n_modalities)
        Which row has which modality.
    """
    shared = observed.astype(float).T @ observed
    return [pair for pair in combinations(range(len(shared)), 2) if shared[pair] == 0]


def warn_of_pairs(names: Sequence[str], observed: Array) -> None:
    """Warn of each pair of modalities that no row (n, n_modalities) has both of."""
    for a, b in never_together(observed):
        warn_caller(
            f"Modalities {names[a]!r} and {names[b]!r} are never observed together: what one says "
            "of the other goes through third modalities that rows have with each of them, and is "
            "nothing where there is none. Add rows that have both, if there are any."
        )
