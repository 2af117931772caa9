"""What the rows of a group say of the columns that they lack.

With the columns O that all rows of a group have, S_OO = L L' and H = L⁻¹ S_OM, a row x is expected
to have x S_OO⁻¹ S_OM = (L⁻¹ x)' H in the columns M, with covariance S_MM - H'H about it.

A row that lacks further entries e of O, and has the others r, needs no decomposition of its own:
with the precision P = S_OO⁻¹ the entries are normal with covariance P_ee⁻¹ and, where x_e is put to
0, expectation -P_ee⁻¹ (P x)_e; once they are filled in, M is expected as if the row had all of O.
The determinants differ by log|S_rr| = log|S_OO| + log|P_ee|.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg

from skmm._gaussian._patterns import Group, block_at

Array = np.ndarray
LOG_2_PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Conditional:
    """The normal distribution of the columns M given O, for a group of rows."""

    group: Group
    factor: Array  # L (p, p)
    half: Array  # H (p, d - p)

    @classmethod
    def of(cls, group: Group, covariance: Array) -> Conditional:
        """Decompose the covariance of the observed columns."""
        seen, rest = group.observed, group.missing
        factor = linalg.cholesky(block_at(covariance, seen, seen), lower=True, check_finite=False)
        half = linalg.solve_triangular(
            factor, block_at(covariance, seen, rest), lower=True, check_finite=False
        )
        return cls(group, factor, half)

    @property
    def log_det(self) -> float:
        """log|S_OO|."""
        return 2.0 * float(np.log(np.diag(self.factor)).sum())

    @cached_property
    def precision(self) -> Array:
        """P (p, p)."""
        return linalg.cho_solve((self.factor, True), np.eye(len(self.factor)), check_finite=False)

    @cached_property
    def slope(self) -> Array:
        """K = S_OO⁻¹ S_OM (p, d - p)."""
        return linalg.solve_triangular(
            self.factor, self.half, lower=True, trans=1, check_finite=False
        )

    def expect(self, rows: Array) -> Array:
        """Return what is expected in M (m, d - p) of rows (m, p), by the cheaper of two orders."""
        if len(rows) > self.half.shape[1]:
            return rows @ self.slope
        return self.whiten(rows).T @ self.half

    def whiten(self, rows: Array) -> Array:
        """Return L⁻¹ x of rows (m, p), (p, m)."""
        return linalg.solve_triangular(self.factor, rows.T, lower=True, check_finite=False)

    def fill(
        self, rows: Array, weights: Array | None = None, scatter: Array | None = None
    ) -> Filled:
        """Return centred rows (m, p), 0 in gaps, with their gaps filled.

        Where a matrix `scatter` (p, p) is given, the covariances of what is filled in are added to
        it, with `weights` (m,).
        """
        rows, log_dets = rows.copy(), np.zeros(len(rows))
        for gap in (part for gaps in self.group.gaps for part in gaps.parts()):
            at, e = gap.rows[:, None], gap.columns  # (m, 1), (m, k)
            pushed = np.take_along_axis(rows[gap.rows] @ self.precision, e, axis=1)
            blocks = self.precision[e[:, :, None], e[:, None, :]]  # P_ee (m, k, k)
            inverses = np.linalg.inv(blocks)
            rows[at, e] = -np.einsum("mij,mj->mi", inverses, pushed)
            log_dets[gap.rows] = np.linalg.slogdet(blocks)[1]
            if weights is not None and scatter is not None:
                weighted = weights[gap.rows, None, None] * inverses
                np.add.at(scatter, (e[:, :, None], e[:, None, :]), weighted)
        return Filled(rows, log_dets)


@dataclass(frozen=True)
class Filled:
    """Rows with their gaps filled, and log|P_ee| (m,)."""

    rows: Array
    log_dets: Array
