"""Rows that lack modalities or single entries: by way of the distribution that they come from.

Covariances of pairs of modalities that are read from different rows do not fit together. Instead
the mean and covariance of all columns are estimated at once by expectation-maximisation, and CCA is
that of complete rows with these moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from skmm._cca._rows import DenseRows, Rows
from skmm._cca._solution import choose_route
from skmm._gaussian._distribution import (
    Gaussian,
    fit_gaussian,
    without_prior,
)
from skmm._gaussian._patterns import side_by_side
from skmm._modalities import Modalities, missing_mask
from skmm._modalities._values import is_sparse

Array = np.ndarray


def has_gaps(X: Modalities) -> bool:
    """Return whether a row lacks a modality or an entry."""
    return bool(missing_mask(X).any()) or any(_lacks_entries(X[name]) for name in X.names)


def refuse_sparse_gaps(X: Modalities) -> Modalities:
    """Return X unless a sparse modality has NaN among its entries."""
    for name in X.names:
        if is_sparse(X[name]) and (n := int(np.isnan(X[name].data).sum())):
            raise ValueError(
                f"Modality {name!r} is sparse and has {n} entries that are NaN: sparse modalities "
                "miss by whole rows only. Fill them in, or pass a dense array."
            )
    return X


def shared_rows(X: Modalities, weight: Array | None) -> Array:
    """Return the numbers (M, M) of rows of positive weight that have both modalities."""
    there = ~missing_mask(X) if weight is None else ~missing_mask(X) & (weight > 0)[:, None]
    return there.T.astype(np.int64) @ there


class Estimated(NamedTuple):
    """The distribution of rows with gaps that predicts modalities best, and that of directions."""

    predicting: Gaussian
    aligning: Gaussian


def estimate(X: Modalities, rows: Rows, scale: bool) -> Estimated:
    """Return the distributions that rows with gaps are likeliest from."""
    if not rows.can_be_read_dense:
        raise ValueError(
            "Sparse data with missing modalities are estimated as a dense array, and these are "
            f"too large for one: {len(rows)} rows of {sum(rows.widths)} columns. Fit on complete "
            "rows, or on fewer columns, e.g. with PerModality(TruncatedSVD())."
        )
    values = np.hstack([np.asarray(rows.dense(b), dtype=np.float64) for b in rows.blocks])
    blocks = side_by_side(rows.widths)
    for block, missing in zip(blocks, missing_mask(X).T, strict=True):
        values[missing, block] = np.nan
    gaussian = fit_gaussian(values, blocks, rows.weight, scale=scale)
    return Estimated(gaussian, without_prior(gaussian, values, rows.weight))


def typical_rows(gaussian: Gaussian) -> DenseRows:
    """Return complete rows with the moments of a distribution."""
    rows = gaussian.typical_rows()
    return DenseRows([np.ascontiguousarray(rows[:, block]) for block in gaussian.blocks])


def analytic_shrinkages(
    X: Modalities, gaussian: Gaussian, shrinkages: Sequence[float | str], rows: Rows, scale: bool
) -> list[float | str]:
    """Return the shrinkages, "auto" as the analytic ones of the rows that have a modality.

    Their single gaps are filled in; `rows` are dense.
    """
    found: list[float | str] = []
    for m, shrinkage in enumerate(shrinkages):
        if shrinkage == "auto":
            here, block = ~missing_mask(X)[:, m], gaussian.blocks[m]
            values = np.full((int(here.sum()), len(gaussian.mean)), np.nan)
            values[:, block] = rows.dense(rows.blocks[m])[here]
            part = gaussian.complete(values, [m])[:, block]
            weight = None if rows.weight is None else rows.weight[here]
            route = choose_route(DenseRows([part], weight), ["auto"], scale, "auto")
            found.append(route.shrinkages[0])
        else:
            found.append(shrinkage)
    return found


def _lacks_entries(value: Any) -> bool:
    dense = isinstance(value, np.ndarray) and not is_sparse(value)
    return dense and value.dtype.kind == "f" and bool(np.isnan(value).any())
