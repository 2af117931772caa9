"""Cross-validation where modalities are missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator, KFold

from skmm._modalities import Modalities
from skmm._random import Seed, check_random_state

Array = np.ndarray
__all__ = ["MissingModalitySplit"]


class MissingModalitySplit(BaseCrossValidator):
    """K folds of the rows that can be judged; rows that lack a modality are always for training.

    What is recovered of a missing modality can only be compared where it is known. Held-out rows
    are complete, so that a scorer may hide what it likes ("over_imputation",
    "cross_reconstruction" of :func:`skmm.metrics.get_scorer`); training rows are as they are.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.
    modalities : str or list of str, default=None
        Modalities that held-out rows must have; None takes all.
    shuffle : bool, default=True
        Whether the complete rows are shuffled before they are split.
    random_state : int, RandomState instance or None, default=None
        Determines the order, if they are shuffled.

    Notes
    -----
    A row that lacks a modality is never held out: `cross_val_predict`, which needs a prediction of
    every row, cannot be used with this splitter.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import cross_validate
    >>> from skmm import CCA
    >>> from skmm.datasets import load_digits_halves
    >>> from skmm.metrics import get_scorer
    >>> from skmm.model_selection import MissingModalitySplit
    >>> X = load_digits_halves().data[:300].with_missing("left", np.arange(100))
    >>> cv = MissingModalitySplit(3, random_state=0)
    >>> [len(test) for _, test in cv.split(X)]
    [67, 67, 66]
    >>> scoring = get_scorer("cross_reconstruction")
    >>> cross_validate(CCA(5, shrinkage=0.1), X, cv=cv, scoring=scoring)["test_score"].shape
    (3,)
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        modalities: str | Sequence[str] | None = None,
        shuffle: bool = True,
        random_state: Seed = None,
    ) -> None:
        self.n_splits = n_splits
        self.modalities = modalities
        self.shuffle = shuffle
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X : object, default=None
            Ignored.
        y : object, default=None
            Ignored.
        groups : object, default=None
            Ignored.

        Returns
        -------
        n_splits : int
            Number of folds.
        """
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Array, Array]]:
        """Yield training and held-out rows.

        Parameters
        ----------
        X : Modalities or DataFrame with two column levels
            The data.
        y : object, default=None
            Ignored.
        groups : object, default=None
            Ignored.

        Yields
        ------
        train : ndarray of int
            All rows that are not held out.
        test : ndarray of int
            Complete rows.

        Raises
        ------
        TypeError
            If `X` has no names of modalities.
        ValueError
            If there are fewer complete rows than folds, `n_splits` is not an integer of at least
            2, or `modalities` is empty or names one that does not exist.
        """
        rng = check_random_state(self.random_state) if self.shuffle else None
        folds = KFold(self.n_splits, shuffle=self.shuffle, random_state=rng)
        complete = np.flatnonzero(self._complete(X))
        if len(complete) < self.n_splits:
            raise ValueError(
                f"n_splits={self.n_splits} folds need as many complete rows, but there are "
                f"{len(complete)}. Name fewer modalities, or use fewer folds."
            )
        n_samples = len(X)
        for _, held_out in folds.split(complete):
            test = complete[held_out]
            yield np.setdiff1d(np.arange(n_samples), test), test

    def _complete(self, X: Any) -> Array:
        """Return which rows have all modalities that they must have."""
        if isinstance(X, pd.DataFrame) and X.columns.nlevels == 2:
            X = Modalities.from_frame(X)
        if not isinstance(X, Modalities):
            raise TypeError(
                f"MissingModalitySplit needs names of modalities: Modalities or a DataFrame with "
                f"two column levels, got {type(X).__name__}. For arrays: Modalities({{...}})."
            )
        asked = X.names if self.modalities is None else self.modalities
        names = [asked] if isinstance(asked, str) else list(asked)
        if not names:
            raise ValueError(
                f"modalities={self.modalities!r} names none, so that any row could be held out; "
                "name one or more, or use None for all."
            )
        if unknown := [name for name in names if name not in X]:
            raise ValueError(f"modalities names {unknown}, but there are {list(X.names)}.")
        return np.asarray(~X.missing[names].to_numpy().any(axis=1))
