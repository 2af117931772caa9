"""A solved CCA over named modalities: the computations of the methods, on checked data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from skmm._cca._device import Home, to_numpy
from skmm._cca._incomplete import has_gaps
from skmm._cca._solution import Solution, component_slice, rows_of
from skmm._gaussian._distribution import Gaussian, Unshrunk
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
    distribution: Gaussian | Unshrunk

    @cached_property
    def gaussian(self) -> Gaussian:
        """The normal distribution of all columns; shrunk when it is first needed."""
        found = self.distribution
        return found.shrunk() if isinstance(found, Unshrunk) else found

    @property
    def n_components(self) -> int:
        """Number of components k."""
        return len(self.solution.eigenvalues)

    def codes(self, X: Modalities) -> dict[str, Array]:
        """Return each modality's projections (n, k); NaN where it is missing.

        Single gaps are filled with what is expected given the rest of the modality: its projection
        says nothing of the other modalities.
        """
        rows, codes = rows_of(X), {}
        for j, name in enumerate(X.names):
            m = self.names.index(name)
            scale, weights = self.solution.scales[m], self.solution.weights[m]
            codes[name] = rows.project(j, self.means[name], scale, weights)
            if (missing := missing_mask(X)[:, j]).any():
                codes[name][missing] = np.nan
            if len(gaps := _incomplete_rows(codes[name], missing)):
                part = self.completed(X.select([name])[gaps], [name])[name]
                codes[name][gaps] = (part - self.means[name]) @ weights
        return codes

    def fuse(self, X: Modalities, fusion: str) -> Array:
        """Return the fused projections; for "concat", X must be complete."""
        if fusion == "posterior" and (len(X.names) < len(self.names) or has_gaps(X)):
            codes = self._expected_codes(X)
        else:
            codes = self.codes(X)
        if fusion == "concat":
            return _beside([codes[name] for name in self.names])
        if Home.of(codes[X.names[0]]) is not None:
            fused = sum(list(codes.values())[1:], start=codes[X.names[0]]) / len(codes)
        else:
            fused = np.nanmean(list(codes.values()), axis=0)
        if fusion == "mean":
            return fused
        home = Home.of(fused)
        return fused * (self.latent_scale() if home is None else home.double(self.latent_scale()))

    def latent_scale(self) -> Array:
        """Return s (k,) with E[z | all] = s * (mean of the projections).

        With equal correlations rho between the M unit-variance projections of a component, the
        one latent variable behind them has this posterior mean; a component whose projections do
        not agree on average has none (s = 0).
        """
        n_modalities = len(self.names)
        pairs = np.triu_indices(n_modalities, 1)
        rho = np.clip(self.correlations()[:, *pairs].mean(axis=1), 0.0, 1.0)
        return n_modalities * np.sqrt(rho) / (1.0 + (n_modalities - 1) * rho)

    def correlations(self) -> Array:
        """Return the correlation (k, M, M) of the projections of each pair in the distribution."""
        return self.solution.model_correlations(self.gaussian)

    def varies(self, name: str) -> Array:
        """Return which columns (d,) of a modality are not constant."""
        return np.isfinite(self.solution.deviations[self.names.index(name)])

    def in_type(self, name: str, values: Array, dtype: Any) -> Array:
        """Return values of a modality in this type if it holds them."""
        deviation = self.solution.deviations[self.names.index(name)]  # infinite where constant
        scale = np.where(np.isfinite(deviation), deviation, 0.0)
        return in_type(values, dtype, self.means[name], scale)

    def incomplete(self, X: Modalities) -> list[str]:
        """Return the modalities that are missing in some row of X."""
        missing = dict(zip(X.names, np.any(missing_mask(X), axis=0), strict=True))
        return [name for name in self.names if missing.get(name, True)]

    def completed(self, X: Modalities, names: Sequence[str]) -> dict[str, Array]:
        """Return modalities (n, d), what is missing of them filled in given what the row has."""
        wanted = self._positions(names)
        filled = [self.gaussian.complete(rows, wanted) for rows in self._batches(X)]
        return self._split(np.vstack(filled), names)

    def draw(self, n_samples: int, rng: np.random.RandomState) -> dict[str, Array]:
        """Draw n_samples rows of all modalities."""
        return self._split(self.gaussian.draw(n_samples, rng), self.names)

    def complete(
        self, X: Modalities, names: Sequence[str], rng: np.random.RandomState
    ) -> dict[str, Array]:
        """Return modalities, what is missing of them drawn given what the row has."""
        drawn = [self.gaussian.draw_given(rows, rng) for rows in self._batches(X)]
        return self._split(np.vstack(drawn), names)

    def log_density(self, X: Modalities) -> Array:
        """Return the log-density (n,) of what each row has."""
        return np.concatenate([self.gaussian.log_density(rows) for rows in self._batches(X)])

    def total_correlation(self, X: Modalities, weight: Array | None = None) -> float:
        """Return the sum of correlations along the training axes, averaged over the pairs."""
        along = self.along_axes(to_numpy(self.codes(X)))
        for (a, b), (both, _, _) in zip(combinations(X.names, 2), along, strict=True):
            if both.sum() < 2:
                raise ValueError(f"Fewer than 2 rows have both {a!r} and {b!r}: nothing to score.")
        totals = [
            pearson(a, b, None if weight is None else weight[both], constant=CONSTANT).sum()
            for both, a, b in along
        ]
        return float(np.mean(totals))

    def along_axes(self, codes: dict[str, Array]) -> list[Along]:
        """Return, for each pair of modalities, its rows and their codes along the training axes.

        Codes are NaN where a modality is missing.
        """
        present, found = {name: ~np.isnan(code[:, 0]) for name, code in codes.items()}, []
        for a, b in combinations(codes, 2):
            both = present[a] & present[b]
            A, B = self._axes(a, b)
            found.append((both, codes[a][both] @ A, codes[b][both] @ B))
        return found

    def _axes(self, a: str, b: str) -> tuple[Array, Array]:
        """Return the canonical axes of the training projections of two modalities."""
        i, j = (component_slice(m, self.n_components) for m in self._positions([a, b]))
        C = self.solution.codes
        A, B, _ = canonical_axes(C[i, i], C[j, j], C[i, j])
        return A, B

    def _expected_codes(self, X: Modalities) -> dict[str, Array]:
        """Return the projections (n, k) of all modalities, expected where they are missing."""
        filled = self.completed(X, self.names)
        weights = zip(self.names, self.solution.weights, strict=True)
        return {name: (filled[name] - self.means[name]) @ W for name, W in weights}

    def _batches(self, X: Modalities) -> Iterator[Array]:
        """Yield rows of all modalities side by side, NaN where an entry is missing."""
        source = rows_of(X)
        for batch in source.batches():
            part, missing = source[batch], missing_mask(X)[batch]
            rows = np.full((len(part), len(self.gaussian.mean)), np.nan)
            for j, name in enumerate(X.names):
                block = self.gaussian.blocks[self.names.index(name)]
                rows[:, block] = part.dense(part.blocks[j])
                rows[missing[:, j], block] = np.nan
            yield rows

    def _split(self, rows: Array, names: Sequence[str]) -> dict[str, Array]:
        return {n: rows[:, self.gaussian.blocks[self.names.index(n)]] for n in names}

    def _positions(self, names: Sequence[str]) -> list[int]:
        return [self.names.index(name) for name in names]


def _incomplete_rows(codes: Any, missing: Array) -> Array:
    """Return the rows whose modality is there but lacks entries: their codes are NaN."""
    if not isinstance(codes, np.ndarray):  # rows on a device are complete
        return np.empty(0, dtype=int)
    return np.flatnonzero(np.isnan(codes).any(axis=1) & ~missing)


def _beside(codes: Sequence[Any]) -> Any:
    home = Home.of(codes[0])
    return np.hstack(codes) if home is None else home.xp.concat(codes, axis=1)
