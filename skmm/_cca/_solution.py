"""From whitened coordinates to a solved CCA: weights, covariances, the Gaussian model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skmm._cca._gaussian import CanonicalGaussian, Margin
from skmm._cca._objectives import maxvar, sumcor, two_blocks
from skmm._cca._route import Route
from skmm._linalg import dominant_signs, positive_part, product, psd_pinv
from skmm._random import check_random_state

Array = np.ndarray


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
        Covariance of the projections on the training rows, each entry on the rows that have what
        it needs.
    eigenvalues : ndarray (k,)
    gaussian : CanonicalGaussian
    deviations : list of ndarray (d_m,)
        Standard deviation of each column; infinity for constants.
    """

    weights: list[Array]
    between: list[Array]
    codes: Array
    eigenvalues: Array
    gaussian: CanonicalGaussian
    deviations: list[Array]

    def covariances(self, m: int) -> Array:
        """Covariance (d_m, k) of a modality's columns with its own projections."""
        return np.ascontiguousarray(self.between[m][:, own(m, len(self.eigenvalues))])

    def loadings(self, m: int) -> Array:
        """Correlation (d_m, k) of a modality's columns with its own projections."""
        return np.clip(self.covariances(m) / self.deviations[m][:, None], -1.0, 1.0)

    def correlations(self) -> Array:
        """Correlation (k, M, M) of the projections of each pair of modalities in complete rows."""
        return self._grid(self.codes)

    def model_correlations(self) -> Array:
        """Correlation (k, M, M) of the projections of each pair in the Gaussian model."""
        joint = self.gaussian.joint
        variance = np.diag(joint)
        deviation = np.sqrt(np.where(variance > 0, variance, np.inf))
        return self._grid(joint / np.outer(deviation, deviation))

    def _grid(self, joint: Array) -> Array:
        k = len(self.eigenvalues)
        grid = joint.reshape(-1, k, len(joint) // k, k)
        return np.ascontiguousarray(np.clip(np.einsum("mknk->kmn", grid), -1.0, 1.0))

    def fusion_map(self, fusion: str) -> Array:
        """Return P with fused = P @ (all projections of a complete row)."""
        k = len(self.eigenvalues)
        if fusion == "concat":
            return np.eye(len(self.codes))
        n_modalities = len(self.weights)
        mean = np.tile(np.eye(k) / n_modalities, n_modalities)
        return mean if fusion == "mean" else self.gaussian.latent_scale()[:, None] * mean

    def decoders(self, fusion: str) -> list[Array]:
        """Return B_m of the training regressions x_m - mu_m = z @ B_m on the fused projections."""
        P = self.fusion_map(fusion)
        right = psd_pinv(P @ self.codes @ P.T) @ P
        return [right @ C.T for C in self.between]


def own(m: int, k: int) -> slice:
    """Positions of modality m among the projections of all."""
    return slice(m * k, (m + 1) * k)


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
    rng = check_random_state(random_state)
    lanczos = rng if solver == "randomized" else None
    if len(route.ranks) == 2:
        directions, eigenvalues = two_blocks(route.cross[0, 1], n_components, lanczos)
        eigenvalues = eigenvalues + 1.0 if objective == "maxvar" else eigenvalues
    else:
        directions, eigenvalues = maxvar(route.joint, route.ranks, n_components, lanczos)
        if objective == "sumcor":
            directions, eigenvalues = sumcor(
                route.joint, route.ranks, n_components, directions, rng
            )
    directions = [_unit_variance(route, m, v) for m, v in enumerate(directions)]
    weights, between = route.project(directions)
    signs = dominant_signs([between[m][:, own(m, n_components)] for m in priority])
    directions = [v * signs for v in directions]
    weights = [W * signs for W in weights]
    between = [C * np.tile(signs, len(weights)) for C in between]
    codes = _projection_covariance(route, directions)
    gaussian = _gaussian(route, weights, between, codes)
    in_units = [C * s[:, None] for C, s in zip(between, route.scales, strict=True)]
    return Solution(gaussian.weights, in_units, codes, eigenvalues, gaussian, route.deviations)


def _unit_variance(route: Route, m: int, directions: Array) -> Array:
    """Scale the projections to unit variance; a modality without part in a component gets zero."""
    variance = np.einsum("rk,rk->k", directions, route.apply_inner(m, directions))
    deviation = np.sqrt(np.maximum(variance, 0.0))
    return directions / np.where(deviation > 1e-10, deviation, np.inf)


def _projection_covariance(route: Route, directions: Sequence[Array]) -> Array:
    """Return the covariance of all projections on the training rows."""
    k, n_modalities = directions[0].shape[1], len(directions)
    codes = np.zeros((n_modalities * k, n_modalities * k))
    for m, v in enumerate(directions):
        codes[own(m, k), own(m, k)] = product(v.T, route.apply_inner(m, v))
        for n in range(m):
            block = product(v.T, product(route.joint(m, n), directions[n]))
            codes[own(m, k), own(n, k)], codes[own(n, k), own(m, k)] = block, block.T
    return codes


def _gaussian(
    route: Route, weights: Sequence[Array], between: Sequence[Array], codes: Array
) -> CanonicalGaussian:
    """Return the Gaussian model, shrunk as the directions are but not beyond the optimum.

    Strong shrinkage is a way to find stable directions (1 is partial least squares), but a
    covariance shrunk beyond its optimum predicts hardly anything.
    """
    n_modalities, k = len(weights), weights[0].shape[1]
    shrinkages = np.minimum(route.shrinkages, route.optima)
    blocks = [own(m, k) for m in range(n_modalities)]
    keep = np.repeat(np.sqrt(1.0 - shrinkages), k)
    joint, loadings = codes * np.outer(keep, keep), []
    for W, C, block, c, t, s in zip(
        weights, between, blocks, shrinkages, route.targets, route.scales, strict=True
    ):
        joint[block, block] += c * t * product(W.T, W)
        loadings.append(((1.0 - c) * C[:, block] + c * t * W) * s[:, None])
    margins = [
        Margin(
            route.spread(m),
            float(shrinkages[m]),
            route.targets[m],
            route.scales[m],
            route.varying[m],
        )
        for m in range(n_modalities)
    ]
    return CanonicalGaussian(
        [W / s[:, None] for W, s in zip(weights, route.scales, strict=True)],
        loadings,
        positive_part(joint, blocks) if route.damped else joint,
        margins,
    )
