"""What fit knows of the columns of a modality, and the one rule for which of them are constant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from skmm._modalities._container import Modalities
from skmm._modalities._schema import Schema
from skmm._modalities._stream import pieces
from skmm._modalities._values import Array, is_sparse

# A column whose standard deviation is this share of its mean, or less, holds rounding alone.
ROUNDING = 8 * float(np.finfo(np.float64).eps)
# By how many standard deviations expectations, and what networks see, may leave the training range.
REACH = 1.0
LIMIT = 10.0  # standard deviations


@dataclass(frozen=True)
class ColumnStatistics:
    """Statistics of the observed entries of each column, in float64; NaN counts as unobserved.

    Attributes
    ----------
    count : ndarray
        Entries of each column, or the sum of their weights. All are shaped as a sample is.
    mean : ndarray
        Exactly the value of a column that has one only.
    scale : ndarray
        Standard deviation, dividing by `count`; exactly 0 in constant columns.
    low, high : ndarray
        Smallest and largest entry.
    """

    count: Array
    mean: Array
    scale: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, value: Any, here: Array | None = None, weight: Array | None = None) -> Self:
        """Take the statistics of rows that are `here`, in one pass; weights of 0 leave rows out."""
        if weight is not None:
            here = weight > 0 if here is None else here & (weight > 0)
        chunks = _by_chunk(value, here, weight)
        count, mean, scale, low, high = next(chunks, _nothing(value.shape[1:]))
        for more in chunks:
            low, high = np.fmin(low, more[3]), np.fmax(high, more[4])
            count, mean, scale = _joined((count, mean, scale), more[:3])
        varying = varies(mean, scale)
        mean = np.where(low == high, low, mean)
        return cls(count, mean, np.where(varying, scale, 0.0), low, high)

    @property
    def varies(self) -> Array:
        """Which columns are not constant."""
        return self.scale > 0

    @property
    def divisor(self) -> Array:
        """What to divide centred columns by: 1 where they are constant."""
        return np.where(self.varies, self.scale, 1.0)

    def of_channels(self) -> ColumnStatistics:
        """Return the statistics of each channel of an image (C, 1, 1), over all its pixels."""
        over: dict[str, Any] = {"axis": tuple(range(1, self.mean.ndim)), "keepdims": True}
        count = self.count.sum(**over)
        share = self.count / np.maximum(count, 1.0)
        mean = self.low.min(**over) + (share * (self.mean - self.low.min(**over))).sum(**over)
        offset = self.mean - mean
        size = np.maximum(self.scale, np.abs(offset)).max(**over)
        unit = np.where(size > 0, size, 1.0)
        square = (share * ((self.scale / unit) ** 2 + (offset / unit) ** 2)).sum(**over)
        scale = unit * np.sqrt(square)
        scale = np.where(varies(mean, scale), scale, 0.0)
        return ColumnStatistics(count, mean, scale, self.low.min(**over), self.high.max(**over))

    def limits(self) -> tuple[Array, Array]:
        """Return between which standardised values models are to see; 0 for constant columns.

        By a standard deviation outside the training range nothing is known, and ten are enough even
        inside it: columns that are nearly always constant have hundreds.
        """
        reach = REACH * self.varies
        low, high = ((end - self.mean) / self.divisor for end in (self.low, self.high))
        return np.clip(low - reach, -LIMIT, 0.0), np.clip(high + reach, 0.0, LIMIT)

    def within(self, values: Array) -> Array:
        """Return expectations (..., width) that do not leave the training range by far."""
        low, high = self.low - REACH * self.scale, self.high + REACH * self.scale
        return np.clip(values, low.ravel(), high.ravel())

    def in_type(self, values: Array, dtype: Any) -> Array:
        """Return values in this type, or as doubles, as `in_type`."""
        return in_type(values, dtype, self.mean, self.scale)

    def with_constants(self, values: Array) -> Array:
        """Return values (..., width) in which constant columns are what they are."""
        constant = ~self.varies.ravel()
        if not constant.any():
            return values
        values = np.array(values)
        values[..., constant] = self.mean.ravel()[constant]
        return values


def in_type(values: Array, dtype: Any, mean: Array, scale: Array) -> Array:
    """Return values in this type, but doubles where single precision would lose what they say.

    It does where an offset is so large that its rounding is a thousandth of a standard deviation.
    """
    lost = np.finfo(np.float32).eps * np.abs(mean) > 1e-3 * scale
    return values.astype(np.float64 if np.any(lost & (scale > 0)) else dtype, copy=False)


def varies(mean: Array, scale: Array) -> Array:
    """Return whether columns of this mean and standard deviation are more than rounding."""
    return scale > ROUNDING * np.abs(mean)


def column_statistics(
    X: Modalities, schema: Schema, weight: Array | None = None
) -> dict[str, ColumnStatistics]:
    """Return the statistics of all modalities of numbers, checked and in float or integers.

    A column that is NaN in every row is refused: nothing can be said of it. Sparse modalities,
    whose rows have no gaps, are left out.
    """
    found = {}
    for name, kind, mask in zip(X.names, X.kinds.values(), X._mask.T, strict=True):
        if kind == "categorical" or is_sparse(X[name]):
            continue
        found[name] = ColumnStatistics.of(X[name], ~mask if mask.any() else None, weight)
        if (empty := np.flatnonzero(found[name].count == 0)).size:
            columns = schema.columns[name]
            names: Any = empty if columns is None else columns[empty]
            shown = ", ".join(repr(column) for column in names[:5].tolist())
            raise ValueError(
                f"Modality {name!r} is NaN in every training row in {empty.size} of its columns: "
                f"{shown}{', ...' if empty.size > 5 else ''}. Leave them out, or fill them in, "
                "e.g. with PerModality(SimpleImputer(keep_empty_features=True))."
            )
    return found


def _by_chunk(value: Any, here: Array | None, weight: Array | None) -> Iterator[tuple[Array, ...]]:
    """Yield count, mean, standard deviation, lowest and highest entry of each chunk of rows."""
    weights = None if weight is None or here is None else weight[here]
    start = 0
    for chunk in pieces(value, here):
        own = None if weights is None else weights[start : start + len(chunk)]
        start += len(chunk)
        yield _of_chunk(np.asarray(chunk, dtype=np.float64), own)


def _of_chunk(x: Array, weight: Array | None) -> tuple[Array, ...]:
    low, high = np.fmin.reduce(x, axis=0), np.fmax.reduce(x, axis=0)
    known = ~np.isnan(x)
    shares = np.ones(len(x)) if weight is None else weight
    count = np.tensordot(shares, known, axes=1)
    shares_of: Any = shares.reshape(-1, *[1] * (x.ndim - 1))
    most = np.maximum(count, np.finfo(np.float64).tiny)
    # From the lowest entry, so that a constant has deviations of exactly 0.
    x = np.where(known, x - low, 0.0)
    above = (shares_of * x).sum(axis=0) / most
    x -= above
    x *= known
    size = np.maximum(high - low - above, above)
    unit = np.where(size > 0, size, 1.0)  # squares neither overflow nor vanish
    x /= unit
    scale = unit * np.sqrt((shares_of * x * x).sum(axis=0) / most)
    empty = count == 0
    return count, np.where(empty, 0.0, low + above), np.where(empty, 0.0, scale), low, high


def _joined(first: tuple[Array, ...], second: tuple[Array, ...]) -> tuple[Array, Array, Array]:
    """Return count, mean and standard deviation of two sets of rows together (Chan et al. 1979)."""
    (n, mean, scale), (more, other_mean, other_scale) = first, second
    share = more / np.maximum(n + more, np.finfo(np.float64).tiny)
    gap = np.where((n > 0) & (more > 0), other_mean - mean, 0.0)
    mean = np.where(n > 0, mean + share * gap, other_mean)
    size = np.maximum(np.maximum(scale, other_scale), np.abs(gap))
    unit = np.where(size > 0, size, 1.0)
    inside = (1 - share) * (scale / unit) ** 2 + share * (other_scale / unit) ** 2
    between = share * (1 - share) * (gap / unit) ** 2
    return n + more, mean, unit * np.sqrt(inside + between)


def _nothing(shape: tuple[int, ...]) -> tuple[Array, ...]:
    zero, nan = np.zeros(shape), np.full(shape, np.nan)
    return zero, zero, zero, nan, nan
