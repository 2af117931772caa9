"""The route for fewer rows than columns: whitening by the n x n products of the rows.

With Z = U D V' (U and D from ZZ' = U D^2 U', which is small) the eigenvectors V = Z'U / D of S are
never formed: whitened coordinates are combinations of the rows themselves, ``K = Z'U (...)``.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from skmm._cca._rows import Rows
from skmm._cca._whitening import DEPENDENT, WELL_CONDITIONED, IllConditionedError, Route
from skmm._gaussian._wide import Axes
from skmm._linalg import product, psd_eigh

Array = np.ndarray


class GramRoute(Route):
    """Whitening by the n x n products of the standardised rows.

    Raises
    ------
    IllConditionedError
        If `strict` and the products are too inexact to tell the rank.
    """

    def __init__(
        self, rows: Rows, shrinkages: Sequence[float | str], scale: bool, *, strict: bool = False
    ) -> None:
        super().__init__(scale, rows.n_used)
        every = range(len(rows.blocks))
        count, weight = rows.total, rows.roots() ** 2
        read = [rows.columns(m) for m in every]
        means, variances = [one.mean for one in read], [one.variance for one in read]
        divisors = self._standardise(means, variances, [scale] * len(read))
        self._columns = [c.divided_by(s) for c, s in zip(read, divisors, strict=True)]
        self._left: list[Array] = []  # U (n, r)
        spectra, traces, squares, fourth, unclear = [], [], [], [], []
        for m in every:
            gram = self._columns[m].gram()  # lower triangle
            norms = np.diag(gram)
            traces.append(float(norms.sum() / count))
            twice = 2 * np.einsum("ij,ij->", gram, gram) - np.sum(norms**2)
            squares.append(float(twice / count**2))
            fourth.append(np.sum(norms**2 / np.where(weight > 0, weight, np.inf)) / count)
            values, vectors = psd_eigh(gram, DEPENDENT)
            unclear.append(bool(np.any(values < WELL_CONDITIONED * values[:1])))
            spectra.append(values / count)
            self._left.append(vectors)
        self._shrink(shrinkages, traces, squares, fourth, count)
        self.inexact = [m for m in every if self.shrinkages[m] == 0.0 and unclear[m]]
        if strict and self.inexact:
            raise IllConditionedError
        self._spectra = spectra  # eigenvalues (r,) of S
        gains = [np.sqrt(values / self._shrunk(m, values)) for m, values in enumerate(spectra)]
        self.ranks = [len(gain) for gain in gains]
        self.whitened_covariances = [gain**2 for gain in gains]
        for i, j in combinations(every, 2):
            overlap = product(self._left[i].T, self._left[j])
            self.cross[i, j] = gains[i][:, None] * overlap * gains[j]

    def project(self, directions: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Return Z' times the dual coefficients, and Z' times the projections over n."""
        # With S = V diag(s) V' and V = Z'U / root(n s), the weights are
        # W = K v = V v / root(shrunk) = Z' dual, dual = U v / root(n s shrunk), (n, k),
        # and the projections are Z W = U root(n s / shrunk) v: neither needs the d x d matrices.
        duals, codes = [], []
        for m, (U, spectrum, v) in enumerate(
            zip(self._left, self._spectra, directions, strict=True)
        ):
            shrunk, count = self._shrunk(m, spectrum)[:, None], self.weight
            duals.append(product(U, v / np.sqrt(spectrum[:, None] * shrunk * count)))
            codes.append(product(U, v * np.sqrt(spectrum[:, None] / shrunk * count)))
        k, weights, between = directions[0].shape[1], [], []
        for m, dual in enumerate(duals):
            # One product with Z' for the weights and the covariances with all projections.
            shares = [code / self.weight for code in codes]
            both = self._columns[m].pull(np.hstack([dual, *shares]))
            weights.append(both[:, :k])
            between.append(both[:, k:])
        return weights, between

    def axes(self, m: int) -> Axes:
        """Return V = Z'U / root(n s), as a product; rows are copied last, when the rest is done."""
        dual = self._left[m] / np.sqrt(self._spectra[m] * self.weight)
        return self._columns[m].axes(dual, self.varying[m])
