"""A normal distribution of standardised columns with a covariance of any shrinkage."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skmm._gaussian._conditional import LOG_2_PI, Conditional
from skmm._gaussian._patterns import groups
from skmm._linalg import psd_eigh

Array = np.ndarray


class Normal(ABC):
    """Centred rows (n, d), NaN where an entry is missing, of covariance (1 - c) S + c I."""

    @abstractmethod
    def complete(self, rows: Array, shrinkage: float) -> Array:
        """Return rows with what is missing replaced by its expectation given the rest."""

    @abstractmethod
    def log_density(self, rows: Array, shrinkage: float) -> Array:
        """Return the log-density (n,) of what rows have."""

    @abstractmethod
    def mix(self, noise: Array, shrinkage: float) -> Array:
        """Return independent normal rows (n, d) times the symmetric root of the covariance.

        That root does not depend on the basis of an eigenspace, which rounding chooses, nor on the
        axes in which a covariance is given.
        """

    @abstractmethod
    def along(self, directions: Array, shrinkage: float) -> Array:
        """Return the covariance (m, m) of rows times directions (d, m)."""

    @property
    @abstractmethod
    def core(self) -> DenseNormal:
        """The distribution of the coordinates of all modalities."""

    @abstractmethod
    def typical_rows(self) -> Array:
        """Return rows (m, d) of mean 0 whose covariance is S."""


@dataclass(frozen=True)
class DenseNormal(Normal):
    """S itself.

    Attributes
    ----------
    covariance : ndarray (d, d)
    blocks : sequence of slice
        The columns of each modality.
    """

    covariance: Array
    blocks: Sequence[slice]

    def complete(self, rows: Array, shrinkage: float) -> Array:
        """Return rows with what is missing replaced by its expectation given the rest."""
        rows, S = rows.copy(), shrunk(self.covariance, shrinkage)
        for group in groups(rows, self.blocks):
            if not len(group.observed):
                rows[group.rows] = 0.0
            elif len(group.missing) or group.gaps:
                given, at = Conditional.of(group, S), group.rows[:, None]
                filled = given.fill(np.nan_to_num(rows[at, group.observed])).rows
                rows[at, group.observed] = filled
                rows[at, group.missing] = given.expect(filled)
        return rows

    def log_density(self, rows: Array, shrinkage: float) -> Array:
        """Return the log-density (n,) of what rows have."""
        found, S = np.zeros(len(rows)), shrunk(self.covariance, shrinkage)
        for group in groups(rows, self.blocks):
            if not len(group.observed):
                continue
            given = Conditional.of(group, S)
            filled = given.fill(np.nan_to_num(rows[np.ix_(group.rows, group.observed)]))
            distance = (given.whiten(filled.rows) ** 2).sum(axis=0)
            found[group.rows] = -0.5 * (distance + given.log_det + filled.log_dets)
        return found - 0.5 * LOG_2_PI * (~np.isnan(rows)).sum(axis=1)

    def mix(self, noise: Array, shrinkage: float) -> Array:
        """Return independent normal rows (n, d) times the symmetric root of the covariance."""
        values, vectors = psd_eigh(shrunk(self.covariance, shrinkage))
        return ((noise @ vectors) * np.sqrt(values)) @ vectors.T

    def along(self, directions: Array, shrinkage: float) -> Array:
        """Return the covariance (m, m) of rows times directions (d, m)."""
        return directions.T @ shrunk(self.covariance, shrinkage) @ directions

    @property
    def core(self) -> DenseNormal:
        """The distribution itself."""
        return self

    def typical_rows(self) -> Array:
        """Return rows (2 r, d) of mean 0 whose covariance is S, of rank r."""
        values, vectors = psd_eigh(self.covariance)
        half = np.sqrt(len(values) * values)[:, None] * vectors.T
        return np.vstack([half, -half])


def shrunk(covariance: Array, shrinkage: float) -> Array:
    """Return (1 - c) S + c I."""
    S = (1.0 - shrinkage) * covariance
    S[np.diag_indices_from(S)] += shrinkage
    return S
