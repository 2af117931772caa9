"""A solved CCA over named modalities: the computations of the methods, on checked data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from skmm._cca._device import Home, to_numpy
from skmm._cca._solution import Solution, component_slice, rows_of
from skmm._linalg import CONSTANT, canonical_axes, pearson
from skmm._modalities import Modalities, missing_mask
from skmm._modalities._columns import in_type

Array = np.ndarray
Along = tuple[Array, Array, Array]  # which rows (n,) have both of a pair, and two codes (n_both, k)


@dataclass(frozen=True)
class Model:
    """Projections, expectations and draws of named modalities; X has been checked and flattened.

    All arithmetic is in float64. A modality that X lacks is missing in every row.
    """

    names: tuple[str, ...]
    means: dict[str, Array]
    solution: Solution

    @property
    def n_components(self) -> int:
        """Number of components k."""
        return len(self.solution.eigenvalues)

    def codes(self, X: Modalities) -> dict[str, Array]:
        """Return each modality's projections (n, k); NaN where it is missing."""
        rows, codes = rows_of(X), {}
        for j, name in enumerate(X.names):
            m = self.names.index(name)
            scale = self.solution.gaussian.margins[m].scales
            codes[name] = rows.project(j, self.means[name], scale, self.solution.weights[m])
        return codes

    def fuse(self, X: Modalities, fusion: str) -> Array:
        """Return the fused projections; for "concat", X must be complete."""
        codes = self.codes(X)
        if (home := Home.of(codes[X.names[0]])) is not None:
            return self._fuse_there(list(codes.values()), self._positions(X.names), fusion, home)
        if fusion == "concat":
            return np.hstack([codes[name] for name in self.names])
        fused = np.empty((len(X), self.n_components))
        for names, rows in self._patterns(X):
            part = [codes[name][rows] for name in names]
            if fusion == "mean":
                fused[rows] = np.mean(part, axis=0)
            else:
                given = self._positions(names)
                fused[rows] = self.solution.gaussian.posterior_mean(np.hstack(part), given)
        return fused

    def _fuse_there(
        self, codes: Sequence[Any], given: Sequence[int], fusion: str, home: Home
    ) -> Any:
        """Fuse complete projections on their device."""
        if fusion == "mean":
            return sum(codes[1:], start=codes[0]) / len(codes)
        together = home.xp.concat(codes, axis=1)
        if fusion == "concat":
            return together
        every = np.eye(len(given) * self.n_components)
        return together @ home.double(self.solution.gaussian.posterior_mean(every, given))

    def varies(self, name: str) -> Array:
        """Return which columns (d,) of a modality are not constant."""
        return self.solution.gaussian.margins[self.names.index(name)].varying

    def in_type(self, name: str, values: Array, dtype: Any) -> Array:
        """Return values of a modality in this type if it holds them."""
        deviation = self.solution.deviations[self.names.index(name)]  # infinite where constant
        scale = np.where(np.isfinite(deviation), deviation, 0.0)
        return in_type(values, dtype, self.means[name], scale)

    def incomplete(self, X: Modalities) -> list[str]:
        """Return the modalities that are missing in some row of X."""
        missing = dict(zip(X.names, np.any(missing_mask(X), axis=0), strict=True))
        return [name for name in self.names if missing.get(name, True)]

    def expected(self, X: Modalities, to: str) -> Array:
        """Return E[x_to | the row's other modalities], (n, d); NaN where there are none."""
        codes, gaussian, target = self.codes(X), self.solution.gaussian, self._positions([to])
        result = np.full((len(X), len(self.means[to])), np.nan)
        for pattern, rows in self._patterns(X):
            names = [name for name in pattern if name != to]
            if names:
                known = np.hstack([codes[name][rows] for name in names])
                u = known @ gaussian.regression(target, self._positions(names))
                result[rows] = self.means[to] + gaussian.decode(target[0], u)
        return result

    def draw(self, n_samples: int, rng: np.random.RandomState) -> dict[str, Array]:
        """Draw n_samples rows of all modalities."""
        every = range(len(self.names))
        codes = self.solution.gaussian.sample_codes(n_samples, rng, every)
        return self._rows(codes, every, rng)

    def complete(self, X: Modalities, rng: np.random.RandomState) -> dict[str, Array]:
        """Draw the missing modalities given the observed ones; NaN where one is observed."""
        codes, gaussian = self.codes(X), self.solution.gaussian
        lacked = self.incomplete(X)
        drawn = {name: np.full((len(X), len(self.means[name])), np.nan) for name in lacked}
        for names, rows in self._patterns(X):
            lacking = self._positions([name for name in self.names if name not in names])
            if not lacking:
                continue
            known = np.hstack([codes[name][rows] for name in names])
            u = gaussian.sample_codes(len(rows), rng, lacking, self._positions(names), known)
            for name, values in self._rows(u, lacking, rng).items():
                drawn[name][rows] = values
        return drawn

    def log_density(self, X: Modalities) -> Array:
        """Return the log-density (n,) of the observed modalities of each row."""
        result = np.empty(len(X))
        for names, rows in self._patterns(X):
            part = rows_of(X.select(names)[rows])
            for batch in part.batches():  # sparse rows are made dense, some at a time
                few = part[batch]
                centred = [few.centred(j, self.means[name]) for j, name in enumerate(names)]
                given = self._positions(names)
                result[rows[batch]] = self.solution.gaussian.log_density(centred, given)
        return result

    def total_correlation(self, X: Modalities, weight: Array | None = None) -> float:
        """Return the sum of correlations along the training axes, averaged over the pairs."""
        return total_correlation(self.along_axes(X), weight)

    def along_axes(self, X: Modalities) -> list[Along]:
        """Return, for each pair of modalities, its rows and their codes along the training axes."""
        codes, found = to_numpy(self.codes(X)), []
        present = dict(zip(X.names, ~missing_mask(X).T, strict=True))
        for a, b in combinations(X.names, 2):
            both = present[a] & present[b]
            if both.sum() < 2:
                raise ValueError(f"Fewer than 2 rows have both {a!r} and {b!r}: nothing to score.")
            A, B = self._axes(a, b)
            found.append((both, codes[a][both] @ A, codes[b][both] @ B))
        return found

    def _axes(self, a: str, b: str) -> tuple[Array, Array]:
        """Return the canonical axes of the training projections of two modalities."""
        i, j = (component_slice(m, self.n_components) for m in self._positions([a, b]))
        C = self.solution.codes
        A, B, _ = canonical_axes(C[i, i], C[j, j], C[i, j])
        return A, B

    def _positions(self, names: Sequence[str]) -> list[int]:
        return [self.names.index(name) for name in names]

    def _rows(
        self, codes: Array, which: Sequence[int], rng: np.random.RandomState
    ) -> dict[str, Array]:
        """Draw the modalities numbered `which`, whose projections lie side by side in `codes`."""
        parts = np.split(codes, len(which), axis=1)
        drawn = [
            self.solution.gaussian.sample_rows(m, u, rng) for m, u in zip(which, parts, strict=True)
        ]
        names = [self.names[m] for m in which]
        return {name: self.means[name] + rows for name, rows in zip(names, drawn, strict=True)}

    @staticmethod
    def _patterns(X: Modalities) -> Iterator[tuple[list[str], Array]]:
        """Yield the sets of modalities that rows have, with the rows; rows with none are left."""
        patterns, which = np.unique(~missing_mask(X), axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            names = [name for name, there in zip(X.names, pattern, strict=True) if there]
            if names:
                yield names, np.flatnonzero(which.reshape(-1) == number)


def total_correlation(pairs: Sequence[Along], weight: Array | None = None) -> float:
    """Return the sum of the correlations of a pair's codes, averaged over the pairs."""
    totals = [
        pearson(a, b, None if weight is None else weight[both], constant=CONSTANT).sum()
        for both, a, b in pairs
    ]
    return float(np.mean(totals))
