"""Controls: training data whose relation is broken, from which nothing can be learned."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState

from skmm._modalities import Modalities, missing_mask, with_values
from skmm._modalities._values import take_rows
from skmm._random import check_random_state
from skmm.benchmark._splits import Split


def shuffle_pairs(X: Modalities, random_state: int | RandomState | None = None) -> Modalities:
    """Break the pairing: permute the rows of every modality but the first, each on its own.

    Rows that lack a modality keep lacking it.

    Parameters
    ----------
    X : Modalities
        The data.
    random_state : int, RandomState instance or None, default=None
        Determines the permutations.

    Returns
    -------
    X : Modalities
        Each modality has the same rows as before, but they no longer belong together.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm import Modalities
    >>> from skmm.benchmark import shuffle_pairs
    >>> X = Modalities({"a": np.arange(4.0), "b": np.arange(4.0)})
    >>> shuffled = shuffle_pairs(X, random_state=0)
    >>> shuffled["a"], shuffled["b"]
    (array([0., 1., 2., 3.]), array([2., 3., 1., 0.]))
    """
    rng = check_random_state(random_state)
    values = dict(X._values)
    for name in X.names[1:]:
        # Rows that lack a modality go on lacking it, so that none comes to lack all of them.
        rows, there = np.arange(len(X)), np.flatnonzero(~X.missing[name])
        rows[there] = rng.permutation(there)
        values[name] = X._ids.put_on(take_rows(values[name], rows))
    return with_values(X, values)


def break_relation(split: Split) -> Split:
    """Break in training what the task asks about: pairs, pairs with the target, or labels."""
    rng = check_random_state(split.seed)
    if split.kind == "classify" and split.y_train is not None:
        return split._replace(y_train=rng.permutation(split.y_train))
    if split.kind != "transfer":
        return split._replace(train=shuffle_pairs(split.train, rng))
    # The conditions still belong together; only the target no longer belongs to them.
    name, train = str(split.target), split.train
    rows, j = rng.permutation(len(train)), train.names.index(name)
    values, mask = dict(train._values), missing_mask(train).copy()
    values[name], mask[:, j] = train._ids.put_on(take_rows(values[name], rows)), mask[rows, j]
    return split._replace(train=with_values(train, values, mask=mask))
