"""Which rows, and which route: the two choices of a fit."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skmm._cca._device import DeviceBlock, DeviceRows
from skmm._cca._gram import GramRoute
from skmm._cca._iterative import IterativeRoute
from skmm._cca._root import RootRoute
from skmm._cca._rows import DenseRows, Rows
from skmm._cca._sparse import SparseRows
from skmm._cca._whitening import IllConditionedError, MomentRoute, Route
from skmm._modalities import Modalities, missing_mask
from skmm._modalities._values import is_sparse
from skmm._random import Seed, check_random_state

Array = np.ndarray


def rows_of(X: Modalities, weight: Array | None = None) -> Rows:
    """Return the rows of checked modalities by where they lie."""
    blocks, mask = [X[name] for name in X.names], missing_mask(X)
    kind: type[Rows] = SparseRows if any(map(is_sparse, blocks)) else DenseRows
    kind = DeviceRows if isinstance(blocks[0], DeviceBlock) else kind
    return kind(blocks, ~mask if mask.any() else None, weight)


def choose_route(
    rows: Rows,
    shrinkages: Sequence[float | str],
    scale: bool,
    solver: str,
    *,
    n_components: Any = None,
    objective: str = "maxvar",
    random_state: Seed = None,
) -> Route:
    """Return the route that `solver` names; "auto" takes the cheapest that keeps the digits.

    Components, objective and random state are for the route that finds some directions alone.
    """
    if solver == "svd":
        return RootRoute(rows, shrinkages, scale)
    if solver != "covariance" and rows.needs_iteration:
        k = _check_iterative(rows, n_components, objective)
        return IterativeRoute(rows, shrinkages, scale, k, check_random_state(random_state))
    strict = solver != "covariance" and rows.can_be_read_dense
    try:
        if max(rows.widths) <= len(rows):
            moments = rows.moments()
            return MomentRoute(moments, shrinkages, scale, rows, strict=strict, overwrite=True)
        if rows.has_gram:
            return GramRoute(rows, shrinkages, scale, strict=strict)
    except IllConditionedError:
        pass
    return RootRoute(rows, shrinkages, scale)


def _check_iterative(rows: Rows, n_components: int | str | None, objective: str) -> int:
    size = f"{len(rows)} rows of up to {max(rows.widths)} sparse columns"
    if n_components is None or isinstance(n_components, str):
        raise ValueError(
            f"n_components={n_components!r} would need all components of {size}: give a number, "
            "or use solver='covariance' if the memory allows."
        )
    if objective == "sumcor" and len(rows.blocks) > 2:
        raise ValueError(
            f"objective='sumcor' needs all directions of {size}: use objective='maxvar', or "
            "solver='covariance' if the memory allows."
        )
    return n_components
