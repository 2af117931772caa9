"""From rows to a solved CCA: route, weights, covariances, the normal distribution."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy import linalg

from skmm._cca._device import DeviceBlock, DeviceRows
from skmm._cca._gram import GramRoute
from skmm._cca._iterative import IterativeRoute
from skmm._cca._objectives import maxvar, sumcor, two_blocks
from skmm._cca._root import RootRoute
from skmm._cca._rows import DenseRows, Rows
from skmm._cca._sparse import SparseRows
from skmm._cca._whitening import IllConditionedError, MomentRoute, Route
from skmm._gaussian._distribution import Gaussian, Unshrunk, common_unit
from skmm._gaussian._normal import DenseNormal
from skmm._gaussian._patterns import side_by_side
from skmm._gaussian._wide import Axes, DenseAxes, WideNormal
from skmm._linalg import dominant_signs, psd_pinv
from skmm._modalities import Modalities
from skmm._modalities._values import is_sparse
from skmm._random import Seed, check_random_state

Array = np.ndarray
_ROUNDING = 1e-10


@dataclass(frozen=True)
class Solution:
    """A solved CCA; modalities are numbered, everything is in the original units.

    Attributes
    ----------
    weights : list of ndarray (d_m, k)
        Of unit-variance projections.
    between : list of ndarray (d_m, M k)
        Covariance of each modality's columns with the projections of all.
    codes : ndarray (M k, M k)
        Covariance of the projections on the training rows; if these have gaps, on complete rows as
        their distribution expects them.
    eigenvalues : ndarray (k,)
    scales : list of ndarray (d_m,)
        By which columns were divided.
    deviations : list of ndarray (d_m,)
        Standard deviation of each column; infinity for constants.
    """

    weights: list[Array]
    between: list[Array]
    codes: Array
    eigenvalues: Array
    scales: list[Array]
    deviations: list[Array]

    def covariances(self) -> list[Array]:
        """Return the covariances (d_m, k) of each modality's columns with its own projections."""
        k = len(self.eigenvalues)
        return [
            np.ascontiguousarray(C[:, component_slice(m, k)]) for m, C in enumerate(self.between)
        ]

    def loadings(self) -> list[Array]:
        """Return the correlations (d_m, k) of each modality's columns with its own projections."""
        parts = zip(self.covariances(), self.deviations, strict=True)
        return [np.clip(C / s[:, None], -1.0, 1.0) for C, s in parts]

    def correlations(self) -> Array:
        """Correlation (k, M, M) of the projections of each pair of modalities in complete rows."""
        return self._grid(self.codes)

    def _grid(self, joint: Array) -> Array:
        k = len(self.eigenvalues)
        grid = joint.reshape(-1, k, len(joint) // k, k)
        return np.ascontiguousarray(np.clip(np.einsum("mknk->kmn", grid), -1.0, 1.0))

    def model_correlations(self, gaussian: Gaussian) -> Array:
        """Correlation (k, M, M) of the projections of each pair in a distribution."""
        joint = gaussian.covariance_along(linalg.block_diag(*self.weights))
        variance = np.diag(joint)
        deviation = np.sqrt(np.where(variance > 0, variance, np.inf))
        return self._grid(joint / np.outer(deviation, deviation))

    def fusion_map(self, fusion: str) -> Array:
        """Return P with fused = P @ (all projections of a complete row)."""
        k = len(self.eigenvalues)
        if fusion == "concat":
            return np.eye(len(self.codes))
        n_modalities = len(self.weights)
        return np.tile(np.eye(k) / n_modalities, n_modalities)

    def decoders(self, fusion: str, scale: Array | None = None) -> list[Array]:
        """Return B_m of the training regressions x_m - mu_m = z @ B_m on the fused projections.

        A `scale` (k,) multiplies their mean.
        """
        P = self.fusion_map(fusion)
        P = P if scale is None else scale[:, None] * P
        right = psd_pinv(P @ self.codes @ P.T) @ P
        return [right @ C.T for C in self.between]


def component_slice(m: int, k: int) -> slice:
    """Positions of modality m among the projections of all."""
    return slice(m * k, (m + 1) * k)


def rows_of(X: Modalities, weight: Array | None = None) -> Rows:
    """Return the rows of checked modalities by where they lie, whether or not they have gaps."""
    blocks = [X[name] for name in X.names]
    kind: type[Rows] = SparseRows if any(map(is_sparse, blocks)) else DenseRows
    kind = DeviceRows if isinstance(blocks[0], DeviceBlock) else kind
    return kind(blocks, weight)


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
        return GramRoute(rows, shrinkages, scale, strict=strict)
    except IllConditionedError:
        pass
    return RootRoute(rows, shrinkages, scale)


def solve(
    route: Route,
    n_components: int,
    objective: str,
    solver: str,
    random_state: int | np.random.RandomState | None,
    priority: Sequence[int],
) -> Solution:
    """Find the directions in whitened coordinates and carry them back to the columns.

    Modalities come in the order of `priority` where signs are tied.
    """
    k, n_modalities = n_components, len(route.ranks)
    blocks = [component_slice(m, k) for m in range(n_modalities)]
    directions, eigenvalues = _directions(route, k, objective, solver, random_state)
    # Unit variance; a modality without part in a component gets zero.
    images = route.apply_covariances(directions)
    variances = [np.einsum("rk,rk->k", v, Sv) for v, Sv in zip(directions, images, strict=True)]
    deviations = [np.sqrt(np.maximum(variance, 0.0)) for variance in variances]
    directions = [
        v / np.where(s > 1e-10, s, np.inf) for v, s in zip(directions, deviations, strict=True)
    ]
    weights, between = route.project(directions)  # (d_m, k), (d_m, M k)
    signs = dominant_signs([between[m][:, blocks[m]] for m in priority])
    directions = [v * signs for v in directions]
    weights = [W * signs for W in weights]
    between = [C * np.tile(signs, n_modalities) for C in between]
    codes = route.projection_covariance(directions)
    in_units = [C * s[:, None] for C, s in zip(between, route.scales, strict=True)]
    weights = [W / s[:, None] for W, s in zip(weights, route.scales, strict=True)]
    return Solution(weights, in_units, codes, eigenvalues, route.scales, route.deviations)


def check_n_components(
    wanted: Any, names: Sequence[str], ranks: Sequence[int], *, additive: bool
) -> int:
    """Return the number of components; None is the smallest rank.

    The bound is the sum of the ranks if components may belong to few modalities (`additive`),
    else the smallest.
    """
    check_varying(names, ranks)
    if wanted is None:
        return min(ranks)
    bound = sum(ranks) if additive else min(ranks)
    if wanted > bound:
        kind = "sum of the ranks" if additive else "smallest rank"
        raise ValueError(
            f"n_components={wanted} is above its bound {bound}, the {kind} of the modalities "
            f"{dict(zip(names, ranks, strict=True))}."
        )
    return int(wanted)


def check_varying(names: Sequence[str], ranks: Sequence[int]) -> None:
    """Refuse modalities without a column that varies."""
    for name, rank in zip(names, ranks, strict=True):
        if rank == 0:
            raise ValueError(f"Modality {name!r} is constant: it has nothing to align.")


def check_alignable(names: Sequence[str], shared: Array) -> None:
    """Refuse two modalities that no rows have in common."""
    if len(names) == 2 and shared[0, 1] < 2:
        pair = f"{names[0]!r} and {names[1]!r}"
        raise ValueError(f"Fewer than 2 rows have both {pair}: nothing can be aligned.")


def check_shared_rows(
    names: Sequence[str], ranks: Sequence[int], shrinkages: Sequence[float], shared: Array
) -> None:
    """Warn where two unshrunk modalities have too few common rows for their columns.

    `shared` counts the rows that have both of a pair, (M, M). What a pair without any has in common
    is known from the other modalities alone.
    """
    for i, j in combinations(range(len(names)), 2):
        pair, n_rows = f"{names[i]!r} and {names[j]!r}", int(shared[i, j])
        shrunk = shrinkages[i] > 0 or shrinkages[j] > 0
        if n_rows < 2:
            message = (
                f"Fewer than 2 rows have both {pair}: what they have in common is known only as "
                "far as other modalities tell."
            )
        elif ranks[i] + ranks[j] > n_rows - 1 and not shrunk:
            message = (
                f"Modalities {pair} have ranks {ranks[i]} and {ranks[j]}, too many for {n_rows} "
                "rows: some canonical correlations are 1 and mean nothing. Use shrinkage='auto' "
                "or fewer columns."
            )
        else:
            continue
        warnings.warn(message, stacklevel=5)


def _directions(
    route: Route,
    k: int,
    objective: str,
    solver: str,
    random_state: int | np.random.RandomState | None,
) -> tuple[list[Array], Array]:
    """Return the directions (r_m, k) in whitened coordinates and the values of the components."""
    several = len(route.ranks) > 2
    needed = solver == "randomized" or (several and objective == "sumcor")
    rng = check_random_state(random_state) if needed else None
    lanczos = rng if solver == "randomized" else None
    if not several:
        directions, correlations = two_blocks(route.cross[0, 1], k, lanczos)
        return directions, correlations + 1.0 if objective == "maxvar" else correlations
    directions, eigenvalues = maxvar(route.joint, route.ranks, k, lanczos)
    if rng is not None and objective == "sumcor":
        return sumcor(route.joint, route.ranks, k, directions, rng)
    return directions, eigenvalues


def distribution(route: Route, scale: bool) -> Unshrunk:
    """Return the normal distribution of complete rows; constant columns have no part in it."""
    deviations = [np.where(np.isfinite(s), s, 0.0) for s in route.deviations]
    units = deviations if scale else [common_unit(s) for s in deviations]
    parts = zip(route.scales, units, route.varying, strict=True)
    factors = [(s / np.where(v, u, 1.0))[v] for s, u, v in parts]
    squares = [np.sum((s[s > 0] / u[s > 0]) ** 2) for s, u in zip(deviations, units, strict=True)]
    axes: list[Axes | None] = [route.axes(m) for m in range(len(units))]
    S = route.core()
    sizes = zip(axes, factors, strict=True)
    own = side_by_side([len(f) if Q is None else Q.shape[1] for Q, f in sizes])
    for m, (Q, factor, block) in enumerate(zip(axes, factors, own, strict=True)):
        if np.all(factor == 1.0):
            continue
        axes[m], change = _in_other_units(Q, factor)
        S[block] = change @ S[block] if change.ndim == 2 else change[:, None] * S[block]
        S[:, block] = S[:, block] @ change.T if change.ndim == 2 else S[:, block] * change
    core = DenseNormal(S, own)
    inner = side_by_side([len(factor) for factor in factors])
    spare = [_mean_outside(Q, S[b, b], s) for Q, b, s in zip(axes, own, squares, strict=True)]
    wide = any(Q is not None for Q in axes)
    normal = WideNormal(core, axes, spare, inner) if wide else core
    blocks = side_by_side([len(u) for u in units])
    return Unshrunk(
        np.concatenate(route.means), np.concatenate(units), blocks, normal, route.weight
    )


def _mean_outside(axes: Axes | None, inside: Array, square: float) -> float:
    """Return the mean variance outside the axes, of columns whose variances add up to `square`.

    It is rounding where the axes span the rows.
    """
    free = 0 if axes is None else axes.shape[0] - axes.shape[1]
    left = square - float(np.trace(inside))
    return left / free if free and left > _ROUNDING * square else 0.0


def _in_other_units(axes: Axes | None, factor: Array) -> tuple[Axes | None, Array]:
    """Return axes of columns that are multiplied by a factor (d,), and what changes coordinates.

    The change is a factor for each coordinate, or a matrix.
    """
    if axes is None:
        return None, factor
    if np.ptp(factor) == 0:
        return axes, np.full(axes.shape[1], factor[0])
    Q, R = linalg.qr(
        factor[:, None] * axes.rows(np.arange(len(factor))), mode="economic", check_finite=False
    )
    return DenseAxes(Q), R


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
