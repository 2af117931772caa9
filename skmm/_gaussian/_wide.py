"""Modalities with more columns than rows: their covariance lives where their rows are.

Without single gaps the estimate of a modality with fewer rows than columns has the form

    Q C Q' + a (I - Q Q'),

where the columns of Q (d, r) span the standardised rows: expected rows never leave the span, and
the rest of the covariance is that of the prior and of the rows that lack the modality. So EM runs
on the coordinates x Q alone, exactly, and the matrices are as large as the rows are many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import linalg

from skmm._gaussian._conditional import LOG_2_PI
from skmm._gaussian._normal import DenseNormal, Normal, shrunk
from skmm._linalg import psd_eigh

Array = np.ndarray


class Axes(Protocol):
    """Q (d, r) with orthonormal columns."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of columns and of axes."""

    def coordinates(self, x: Array) -> Array:
        """Return x Q (n, r)."""

    def expand(self, y: Array) -> Array:
        """Return y Q' (n, d)."""

    def rows(self, columns: Array) -> Array:
        """Return some rows of Q (p, r)."""


@dataclass(frozen=True)
class DenseAxes:
    """Q itself."""

    matrix: Array

    @classmethod
    def spanning(cls, rows: Array) -> DenseAxes:
        """Return the axes of the span of rows (n, d), n < d."""
        values, vectors = psd_eigh(rows @ rows.T)
        return cls(rows.T @ (vectors / np.sqrt(values)))

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of columns and of axes."""
        return self.matrix.shape

    def coordinates(self, x: Array) -> Array:
        """Return x Q (n, r)."""
        return x @ self.matrix

    def expand(self, y: Array) -> Array:
        """Return y Q' (n, d)."""
        return y @ self.matrix.T

    def rows(self, columns: Array) -> Array:
        """Return some rows of Q (p, r)."""
        return self.matrix[columns]


@dataclass(frozen=True)
class DualAxes:
    """Q = Z' D, never formed: Z (n, d) are the standardised rows, D (n, r)."""

    standardised: Array
    dual: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of columns and of axes."""
        return self.standardised.shape[1], self.dual.shape[1]

    def coordinates(self, x: Array) -> Array:
        """Return x Q (n, r)."""
        return (x @ self.standardised.T) @ self.dual

    def expand(self, y: Array) -> Array:
        """Return y Q' (n, d)."""
        return (y @ self.dual.T) @ self.standardised

    def rows(self, columns: Array) -> Array:
        """Return some rows of Q (p, r)."""
        return self.standardised[:, columns].T @ self.dual


@dataclass(frozen=True)
class WideNormal(Normal):
    """A normal distribution some of whose modalities are given in coordinates.

    Attributes
    ----------
    coordinates : DenseNormal
        Of the coordinates of all modalities side by side.
    axes : sequence of Axes or None
        Of each modality; None where the coordinates are the columns.
    spare : sequence of float
        Variance of each modality in S along directions outside its axes.
    blocks : sequence of slice
        The columns of each modality.
    """

    coordinates: DenseNormal
    axes: Sequence[Axes | None]
    spare: Sequence[float]
    blocks: Sequence[slice]

    def complete(self, rows: Array, shrinkage: float) -> Array:
        """Return rows with what is missing replaced by its expectation given the rest."""
        found, partial = rows.copy(), self._partial(rows)
        whole = self.core.complete(self._coordinates(rows[~partial]), shrinkage)
        found[~partial] = self._filled(rows[~partial], whole)
        for i in np.flatnonzero(partial):
            given = self._given(rows[i], shrinkage)
            found[i] = self._filled(rows[[i]], given.expected[None])[0]
        return found

    def log_density(self, rows: Array, shrinkage: float) -> Array:
        """Return the log-density (n,) of what rows have."""
        found, partial = np.empty(len(rows)), self._partial(rows)
        whole, at = rows[~partial], self._coordinates(rows[~partial])
        density = self.core.log_density(at, shrinkage)
        for axes, spare, block, own in zip(
            self.axes, self.spare, self.blocks, self.core.blocks, strict=True
        ):
            if axes is not None:
                variance = (1.0 - shrinkage) * spare + shrinkage
                left = (whole[:, block] ** 2).sum(axis=1) - (at[:, own] ** 2).sum(axis=1)
                free = axes.shape[0] - axes.shape[1]
                outside = np.maximum(left, 0.0) / variance + free * (LOG_2_PI + np.log(variance))
                density -= 0.5 * np.where(np.isnan(left), 0.0, outside)
        found[~partial] = density
        for i in np.flatnonzero(partial):
            found[i] = self._given(rows[i], shrinkage).log_density
        return found

    def mix(self, noise: Array, shrinkage: float) -> Array:
        """Return independent normal rows (n, d) times the symmetric root of the covariance."""
        at, found = self._coordinates(noise), []
        mixed = self.core.mix(at, shrinkage)
        for axes, spare, block, own in zip(
            self.axes, self.spare, self.blocks, self.core.blocks, strict=True
        ):
            part = mixed[:, own]
            if axes is not None:
                outside = noise[:, block] - axes.expand(at[:, own])
                deviation = np.sqrt((1.0 - shrinkage) * spare + shrinkage)
                part = axes.expand(part) + deviation * outside
            found.append(part)
        return np.hstack(found)

    def along(self, directions: Array, shrinkage: float) -> Array:
        """Return the covariance (m, m) of rows times directions (d, m)."""
        at = self._coordinates(directions.T)
        found = self.core.along(at.T, shrinkage)
        for axes, spare, block, own in zip(
            self.axes, self.spare, self.blocks, self.core.blocks, strict=True
        ):
            if axes is not None:
                outside = directions[block].T @ directions[block] - at[:, own] @ at[:, own].T
                found += ((1.0 - shrinkage) * spare + shrinkage) * outside
        return found

    @property
    def core(self) -> DenseNormal:
        """The distribution of the coordinates of all modalities."""
        return self.coordinates

    def typical_rows(self) -> Array:
        """Return rows of mean 0 whose covariance is S within the axes."""
        rows = self.core.typical_rows()
        parts = zip(self.axes, self.core.blocks, strict=True)
        return np.hstack([rows[:, b] if Q is None else Q.expand(rows[:, b]) for Q, b in parts])

    def _partial(self, rows: Array) -> Array:
        """Return which rows (n,) lack single entries of a modality that is given in coordinates."""
        found = np.zeros(len(rows), dtype=bool)
        for axes, block in zip(self.axes, self.blocks, strict=True):
            if axes is not None:
                lacks = np.isnan(rows[:, block])
                found |= lacks.any(axis=1) & ~lacks.all(axis=1)
        return found

    def _coordinates(self, rows: Array) -> Array:
        parts = zip(self.axes, self.blocks, strict=True)
        return np.hstack(
            [rows[:, b] if axes is None else axes.coordinates(rows[:, b]) for axes, b in parts]
        )

    def _filled(self, rows: Array, at: Array) -> Array:
        """Return rows with what is missing put in from complete coordinates."""
        found = rows.copy()
        for axes, block, own in zip(self.axes, self.blocks, self.core.blocks, strict=True):
            missing = np.isnan(rows[:, block])
            if missing.any():
                part = at[:, own] if axes is None else axes.expand(at[:, own])
                found[:, block] = np.where(missing, part, rows[:, block])
        return found

    def _given(self, row: Array, shrinkage: float) -> _Given:
        """Return what the observed columns o of one row say of the coordinates.

        With B = Q (or I), the covariance is B K B' + diag(a), K = C - a. By Woodbury's identity,
        with G = B_o' B_o / a and h = B_o' x_o / a, the coordinates less their noise are expected to
        be K (I + G K)⁻¹ h.
        """
        S, size = shrunk(self.core.covariance, shrinkage), len(self.core.covariance)
        a, G, h = np.empty(size), np.zeros((size, size)), np.zeros(size)
        square, log_det, count = 0.0, 0.0, 0
        for axes, spare, block, own in zip(
            self.axes, self.spare, self.blocks, self.core.blocks, strict=True
        ):
            x = row[block]
            seen = np.flatnonzero(~np.isnan(x))
            noise = shrinkage if axes is None else (1.0 - shrinkage) * spare + shrinkage
            B = np.eye(len(x))[seen] if axes is None else axes.rows(seen)
            a[own], G[own, own], h[own] = noise, B.T @ B / noise, B.T @ x[seen] / noise
            square += float((x[seen] ** 2).sum()) / noise
            log_det += len(seen) * float(np.log(noise))
            count += len(seen)
        K = S - np.diag(a)
        inner = np.eye(size) + G @ K
        solved = linalg.solve(inner, h, check_finite=False)
        log_det += float(np.linalg.slogdet(inner)[1])
        distance = square - h @ K @ solved
        return _Given(K @ solved, -0.5 * (count * LOG_2_PI + log_det + distance))


@dataclass(frozen=True)
class _Given:
    expected: Array  # (r,) coordinates
    log_density: float
