"""From the start to convergence, and without what the bound does not pay for."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from skmm._group_factor_analysis._state import Data, State
from skmm._group_factor_analysis._variational import (
    expect_loadings,
    gains,
    shares,
    step,
)

Array = np.ndarray
COARSE = 30.0  # times the tolerance: near enough to see which components are of no use
N_TURNS = 3  # times as many iterations for the rotation, once the rest is nearly there
N_TRIAL = 10  # steps for the rest to adapt to what was switched off
SMALL = 0.01  # share of a modality's variance, above which a component stays active there
N_FAILURES = 3  # after so many pairs in a row that are needed no other one is tried


@dataclass
class Fit:
    """A run of steps, of which each raises the bound.

    Parameters
    ----------
    data : Data
    state : State
    max_iter : int
    tol : float
        The run is over when a step raises the bound by less, per observed entry.
    may_drop : bool
        Whether components that are of no use are left out.

    Attributes
    ----------
    bounds : list of float
        After each step that was kept.
    converged : bool
    """

    data: Data
    state: State
    max_iter: int
    tol: float
    may_drop: bool
    bounds: list[float] = field(default_factory=list)
    converged: bool = False

    def run(self) -> "Fit":
        """Step until nothing raises the bound."""
        self._climb(COARSE * self.tol)
        if self.data.relevance:
            self._switch_off_useless(whole=True)
        self._climb(self.tol)
        while self.data.relevance and self.converged and self._simplify():
            self._climb(self.tol)
        return self

    def _climb(self, tol: float) -> None:
        """Step until the bound rises by less than the tolerance."""
        least = tol * self.data.counts.sum()
        self.converged = False
        while len(self.bounds) < self.max_iter and not self.converged:
            before = self.state.bound
            near = bool(self.bounds) and tol < COARSE * self.tol
            self._keep(step(self.data, self.state, N_TURNS if near else 1))
            self.converged = self.state.bound - before < least

    def _keep(self, state: State) -> None:
        self.state = state
        self.bounds.append(state.bound)

    def _simplify(self) -> bool:
        """Switch off pairs of modality and component; whether any was."""
        return self._switch_off_useless(whole=False) | self._switch_off_weak()

    def _gains(self, *, whole: bool = False) -> Array:
        """Return what each pair costs the bound (M, k); -inf for those that must stay.

        Loadings that explain little are switched off where the bound is higher. Larger ones stay:
        with few rows the bound does not pay for them either, but shrunk as they are they predict.
        """
        state = self.state
        found = gains(self.data, replace(state, loadings=expect_loadings(self.data, state)))
        if not whole:
            found[shares(self.data, state.loadings.mean) > SMALL] = -np.inf
        alone = state.relevance.active.sum(axis=0) == 1
        if not self.may_drop:
            found[:, alone] = -np.inf
        elif state.k == 1 and alone[0]:
            found[:] = -np.inf
        return found

    def _switch_off_useless(self, *, whole: bool) -> bool:
        """Switch off, all at once, pairs without which the bound is higher, the rest as it is."""
        cost = self._gains(whole=whole)
        off = cost > 0
        if whole:
            off &= np.all(off | ~self.state.relevance.active, axis=0)
        off = self._sparing_one(off, cost)
        return bool(off.any()) and self._try(off, 1)

    def _sparing_one(self, off: Array, cost: Array) -> Array:
        """Spare the best pair of a component that must not be dropped."""
        active = self.state.relevance.active
        gone = np.all(off | ~active, axis=0)
        if not gone.any() or (self.may_drop and not gone.all()):
            return off
        off = off.copy()
        needed = np.where(active, -cost, -np.inf)
        if self.may_drop:
            best = np.unravel_index(needed.argmax(), needed.shape)
            off[best] = False
        else:
            off[needed.argmax(axis=0)[gone], np.flatnonzero(gone)] = False
        return off

    def _switch_off_weak(self) -> bool:
        """Switch off single pairs where the bound is higher once the rest has adapted."""
        changed, failures = False, 0
        tried: set[tuple[int, ...]] = set()
        while failures < N_FAILURES:
            pair = next(self._weakest(tried), None)
            if pair is None:
                break
            off = np.zeros(self.state.relevance.active.shape, dtype=bool)
            off[pair] = True
            if self._try(off, N_TRIAL):
                changed, failures, tried = True, 0, set()
            else:
                failures += 1
                tried.add(pair)
        return changed

    def _weakest(self, tried: set[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
        cost = self._gains()
        order = np.argsort(-cost, axis=None, kind="stable")
        for number in order[np.isfinite(cost.ravel()[order])]:
            pair = tuple(int(i) for i in np.unravel_index(number, cost.shape))
            if pair not in tried:
                yield pair

    def _try(self, off: Array, n_steps: int) -> bool:
        """Switch pairs off and step; keep the result if the bound is higher.

        Steps raise the bound less and less, so that a trial is over when the rest, were each as
        good as the last one, would not be enough.
        """
        state = self.state.without(off)
        for n_left in reversed(range(n_steps if len(self.bounds) < self.max_iter else 0)):
            before, state = state.bound, step(self.data, state)
            if state.bound > self.state.bound:
                self._keep(state)
                return True
            if before + (n_left + 1) * (state.bound - before) < self.state.bound:
                break
        return False
