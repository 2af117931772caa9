"""Random splits of rows, and the data of one split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit

from skmm._modalities import Modalities


@dataclass(frozen=True)
class RandomSplits:
    """Random splits: 80 % training, or 80 % of the groups.

    Parameters
    ----------
    n_splits : int, default=5
        How many. The first ones are the same for any number.
    random_state : int, default=0
        Determines them.
    """

    n_splits: int = 5
    random_state: int = 0

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, ...]]:
        """Yield training and held-out rows."""
        kind = ShuffleSplit if groups is None else GroupShuffleSplit
        splitter = kind(self.n_splits, test_size=0.2, random_state=self.random_state)
        yield from splitter.split(X, y, groups)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return how many splits there are."""
        return self.n_splits


class Split(NamedTuple):
    """Training and held-out rows of a task, and its question.

    Methods are fitted on `train`. It differs from `whole` in the control, whose pairs are broken:
    probes learn on whole rows, since labels belong to whole rows.
    """

    kind: str
    target: str | None
    measured: tuple[str, ...]
    train: Modalities
    whole: Modalities
    test: Modalities
    y_train: np.ndarray | None
    y_test: np.ndarray | None
    seed: int
